//! A second opinion: a slow, obvious parser of HTTP/1.1 messages in one buffer, by RFC 9110, RFC 9112 and the
//! deviations that `docs/architecture.md` lists, as the strict profile asks.
//!
//! It shares nothing with the crate that it judges (only std is used), keeps no state between calls and knows
//! nothing of speed: to learn what a longer input means, it is asked again from the first byte. It goes
//! through the grammar from left to right, one function per rule; a byte that no rule takes is the error, and
//! bytes that are missing are a question for more.
//!
//! Used by the oracle tests beside this folder and by the fuzz targets. Not in here: leniencies, deadlines,
//! answers, and who compares what with it.
//!
//! | file | what it reads |
//! |---|---|
//! | `request.rs` | request lines and heads, sequences of requests |
//! | `response.rs` | status lines and heads, the interim and final responses to one request |
//! | `fields.rs` | field sections, and what the known fields say |
//! | `uri.rs` | hosts and request targets |
//! | `body.rs` | bodies and trailer sections |

#![allow(dead_code)] // Each user takes its part.

mod body;
mod fields;
pub(crate) mod request;
pub(crate) mod response;
mod uri;

pub(crate) use self::request::{Proposal, Request, requests};
pub(crate) use self::response::{Asked, Response, response};

use std::fmt;

/// A field line: its name as it stands on the wire, its value without the white space around it.
pub(crate) type Line = (Vec<u8>, Vec<u8>);

fn show_fields(f: &mut fmt::Formatter<'_>, what: &str, lines: &[Line]) -> fmt::Result {
    for (name, value) in lines {
        writeln!(
            f,
            "  {what}  \"{}\": \"{}\"",
            name.escape_ascii(),
            value.escape_ascii()
        )?;
    }
    Ok(())
}

fn show_body(f: &mut fmt::Formatter<'_>, body: &[u8], trailers: &[Line], complete: bool) -> fmt::Result {
    writeln!(f, "  body  {} bytes \"{}\"", body.len(), body.escape_ascii())?;
    show_fields(f, "trailer", trailers)?;
    f.write_str(if complete {
        "  complete\n"
    } else {
        "  not complete\n"
    })
}

/// How far messages may go; what each limit counts is said where it is looked at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) head: usize,
    pub(crate) fields: usize,
    pub(crate) target: usize,
    pub(crate) trailers: usize,
    pub(crate) trailer_fields: usize,
    pub(crate) chunk_line: usize,
    pub(crate) chunk_overhead: u64,
    pub(crate) interim: usize,
    pub(crate) empty_lines: usize,
}

impl Limits {
    /// What a server allows unless told otherwise.
    pub(crate) const SERVER: Limits = Limits {
        head: 65_536,
        fields: 100,
        target: 16_384,
        trailers: 16_384,
        trailer_fields: 100,
        chunk_line: 4_096,
        chunk_overhead: 16_384,
        interim: 100,
        empty_lines: 4,
    };
    /// What a client allows unless told otherwise.
    pub(crate) const CLIENT: Limits = Limits {
        head: 262_144,
        fields: 256,
        ..Limits::SERVER
    };
}

/// The rules that a message can break.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Wrong {
    Method,
    RequestLine,
    TargetByte,
    TargetForm,
    Version,
    UnsupportedVersion,
    LineEnd,
    EmptyLines,
    FieldName,
    FieldValue,
    LineFolding,
    TargetTooLong,
    RequestLineTooLong,
    HeadTooLarge,
    TooManyFields,
    HostMissing,
    HostRepeated,
    Host,
    ContentLength,
    ContentLengthConflict,
    TransferCoding,
    TransferEncodingInHttp10,
    LengthAndCoding,
    Expectation,
    ConnectContent,
    ChunkSize,
    ChunkExtension,
    ChunkEnd,
    ChunkLineTooLong,
    ChunkOverhead,
    TrailersTooLarge,
    UnexpectedEof,
    StatusLine,
    TooManyInterim,
    UnexpectedSwitch,
}

impl Wrong {
    /// The status that a server answers with, if it answers at all.
    pub(crate) fn status(self) -> Option<u16> {
        match self {
            Wrong::TargetTooLong | Wrong::RequestLineTooLong => Some(414),
            Wrong::HeadTooLarge | Wrong::TooManyFields | Wrong::TrailersTooLarge => Some(431),
            Wrong::UnsupportedVersion => Some(505),
            Wrong::TransferCoding => Some(501),
            Wrong::Expectation => Some(417),
            Wrong::UnexpectedEof | Wrong::StatusLine | Wrong::TooManyInterim | Wrong::UnexpectedSwitch => {
                None
            }
            _ => Some(400),
        }
    }
}

/// How a message's body is delimited (RFC 9112, section 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// There is none.
    Nothing,
    Length(u64),
    Chunked,
    UntilClose,
}

/// What a buffer comes to behind the messages in it. Offsets count from the buffer's first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The last message is complete and another may follow, at this offset. For requests: the buffer ends there.
    Complete(usize),
    /// It ends inside a message.
    More,
    /// The byte at this offset proves that a rule is broken. Where a limit is passed: the first byte behind it. Where
    /// the stream ends too early: how many bytes there are.
    Wrong(Wrong, usize),
    /// The last message ended the connection; what stands at this offset is not read.
    Closes(usize),
    /// Another protocol may begin at this offset.
    Switches(usize),
    /// Responses: the connection ended before a byte of the answer.
    NoAnswer,
}

/// Why reading stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    More,
    Wrong(Wrong, usize),
}

/// Bytes read from left to right, up to a wall: a limit on the section that is being read.
struct Cursor<'a> {
    data: &'a [u8],
    at: usize,
    wall: usize,
    /// What it means to run into the wall.
    beyond: Wrong,
}

impl<'a> Cursor<'a> {
    fn new(data: &'a [u8], at: usize, most: usize, beyond: Wrong) -> Cursor<'a> {
        Cursor {
            data,
            at,
            wall: at.saturating_add(most),
            beyond,
        }
    }

    fn peek(&self) -> Result<u8, Stop> {
        if self.at == self.wall {
            return Err(Stop::Wrong(self.beyond, self.at));
        }
        self.data.get(self.at).copied().ok_or(Stop::More)
    }

    fn next(&mut self) -> Result<u8, Stop> {
        let byte = self.peek()?;
        self.at += 1;
        Ok(byte)
    }

    /// The byte that was read last is wrong.
    fn bad<T>(&self, wrong: Wrong) -> Result<T, Stop> {
        Err(Stop::Wrong(wrong, self.at - 1))
    }

    /// "a recipient [...] MUST" not take CR for a line end unless LF follows (RFC 9112, section 2.2).
    fn lf_after_cr(&mut self) -> Result<(), Stop> {
        if self.next()? == b'\n' {
            Ok(())
        } else {
            self.bad(Wrong::LineEnd)
        }
    }
}

/// `tchar` (RFC 9110, section 5.6.2)
fn is_tchar(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b)
}

/// SP, HTAB, VCHAR, obs-text: what may stand in a field value or a reason phrase.
fn is_text(b: u8) -> bool {
    matches!(b, b'\t' | b' '..=b'~' | 0x80..)
}

fn is_blank(b: u8) -> bool {
    b == b' ' || b == b'\t'
}

/// Without the white space at both ends.
fn trimmed(text: &[u8]) -> &[u8] {
    let from = text.iter().position(|&b| !is_blank(b)).unwrap_or(text.len());
    let to = text.iter().rposition(|&b| !is_blank(b)).map_or(from, |i| i + 1);
    &text[from..to]
}

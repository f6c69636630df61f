//! Bodies (RFC 9112, sections 6 and 7) and the trailer section.

use super::fields::{may_be_trailer, section};
use super::{Cursor, Framing, Limits, Line, Stop, Wrong};

/// A body as far as it goes.
#[derive(Default)]
pub(super) struct Body {
    pub(super) bytes: Vec<u8>,
    pub(super) trailers: Vec<Line>,
}

/// Reads the body that begins at `at` into `body`; tells where it ends. What was read before it stops stays in `body`.
///
/// A body that ends with the connection ends where `data` does if `eof`.
pub(super) fn read(
    data: &[u8],
    at: usize,
    eof: bool,
    framing: Framing,
    limits: &Limits,
    body: &mut Body,
) -> Result<usize, Stop> {
    match framing {
        Framing::Nothing => Ok(at),
        Framing::Length(n) => take(data, at, n, body),
        Framing::Chunked => chunked(data, at, limits, body),
        Framing::UntilClose => {
            body.bytes.extend_from_slice(&data[at..]);
            if eof { Ok(data.len()) } else { Err(Stop::More) }
        }
    }
}

fn take(data: &[u8], at: usize, n: u64, body: &mut Body) -> Result<usize, Stop> {
    let there = (data.len() - at) as u64;
    let end = at + n.min(there) as usize;
    body.bytes.extend_from_slice(&data[at..end]);
    if there < n { Err(Stop::More) } else { Ok(end) }
}

/// `*chunk last-chunk trailer-section CRLF`
fn chunked(data: &[u8], mut at: usize, limits: &Limits, body: &mut Body) -> Result<usize, Stop> {
    // By how much framing has outgrown data: 16 bytes a chunk and twice its data are free, what is left of that is not
    // saved up.
    let mut excess = 0u64;
    loop {
        let mut c = Cursor::new(data, at, usize::MAX, Wrong::ChunkSize);
        let size = size_line(&mut c, limits)?;
        let line = (c.at - at) as u64;
        excess = (excess + line).saturating_sub(16 + 2 * u64::min(size, 1 << 40));
        if excess > limits.chunk_overhead {
            return Err(Stop::Wrong(Wrong::ChunkOverhead, c.at - 1));
        }
        if size == 0 {
            return trailers(data, c.at, limits, body);
        }
        let mut c = Cursor::new(data, take(data, c.at, size, body)?, usize::MAX, Wrong::ChunkEnd);
        for expected in *b"\r\n" {
            if c.next()? != expected {
                return c.bad(Wrong::ChunkEnd);
            }
        }
        at = c.at;
    }
}

/// `chunk-size [ chunk-ext ] CRLF`. The limit counts the line without its CRLF. Extensions are not understood, so
/// that nothing but control bytes is refused in them; white space before the semicolon is "bad", but to be accepted.
fn size_line(c: &mut Cursor<'_>, limits: &Limits) -> Result<u64, Stop> {
    let start = c.at;
    let mut digits = String::new();
    let (mut blank, mut extension) = (false, false);
    loop {
        let byte = c.next()?;
        if byte == b'\r' {
            if digits.is_empty() || (blank && !extension) {
                return c.bad(Wrong::ChunkSize);
            }
            c.lf_after_cr()?;
            return Ok(u64::from_str_radix(&digits, 16).expect("digits were read, and not too many"));
        }
        if c.at - start > limits.chunk_line {
            return c.bad(Wrong::ChunkLineTooLong);
        }
        match byte {
            b'\n' => return c.bad(Wrong::LineEnd),
            _ if extension && super::is_text(byte) => {}
            _ if extension => return c.bad(Wrong::ChunkExtension),
            b';' if !digits.is_empty() => extension = true,
            b' ' | b'\t' if !digits.is_empty() => blank = true,
            b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F' if !blank => {
                digits.push(char::from(byte));
                // "Recipients MUST anticipate potentially large [...] numerals": 2^63 and more are refused.
                if i64::from_str_radix(&digits, 16).is_err() {
                    return c.bad(Wrong::ChunkSize);
                }
            }
            _ => return c.bad(Wrong::ChunkSize),
        }
    }
}

fn trailers(data: &[u8], at: usize, limits: &Limits, body: &mut Body) -> Result<usize, Stop> {
    let mut c = Cursor::new(data, at, limits.trailers, Wrong::TrailersTooLarge);
    let lines = section(
        &mut c,
        limits.trailer_fields,
        Wrong::TrailersTooLarge,
        false,
        |_| Ok(()),
    )?;
    body.trailers = lines.into_iter().map(|p| p.line).filter(may_be_trailer).collect();
    Ok(c.at)
}

//! Responses (RFC 9112, section 4): the interim ones and the final one to a given request.

use super::body::{self, Body};
use super::fields::{Placed, Says, section};
use super::{Cursor, Framing, Limits, Line, Outcome, Stop, Wrong, is_text, show_body, show_fields};
use std::fmt;

/// What a response has to know of its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct Asked {
    /// The method is HEAD.
    pub(crate) head: bool,
    /// The method is CONNECT.
    pub(crate) connect: bool,
    /// An upgrade was proposed.
    pub(crate) upgrade: bool,
}

/// A response as far as it goes: its head is complete.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) reason: Vec<u8>,
    /// 0 or 1: a higher minor version is read as 1.1 (RFC 9110, section 2.5).
    pub(crate) minor: u8,
    pub(crate) fields: Vec<Line>,
    pub(crate) framing: Framing,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Vec<Line>,
    /// Whether its last byte is there.
    pub(crate) complete: bool,
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (minor, status, reason) = (self.minor, self.status, self.reason.escape_ascii());
        writeln!(f, "HTTP/1.{minor} {status} \"{reason}\"\n  {:?}", self.framing)?;
        show_fields(f, "field", &self.fields)?;
        show_body(f, &self.body, &self.trailers, self.complete)
    }
}

/// Reads the responses to one request: any number of interim ones, then the final one. `eof`: no more bytes come.
pub(crate) fn response(data: &[u8], eof: bool, asked: Asked, limits: &Limits) -> (Vec<Response>, Outcome) {
    let mut read = Vec::new();
    let mut at = 0;
    loop {
        if at == data.len() {
            // An empty stream is nobody's fault: the request may have been too late.
            return (read, if eof { Outcome::NoAnswer } else { Outcome::More });
        }
        let (mut response, mut says, lines, end) = match head(data, at, limits) {
            Ok(head) => head,
            Err(stop) => return (read, stopped(stop, data, eof)),
        };
        if (100..200).contains(&response.status) && response.status != 101 {
            if read.len() == limits.interim {
                return (read, Outcome::Wrong(Wrong::TooManyInterim, at));
            }
            response.complete = true;
            read.push(response);
            at = end;
            continue;
        }
        let judged = judge(&mut says, &lines);
        if response.status == 101 && !(asked.upgrade && says.upgrade) {
            return (read, Outcome::Wrong(Wrong::UnexpectedSwitch, at + 9));
        }
        let switches = response.status == 101 || (asked.connect && (200..300).contains(&response.status));
        // RFC 9112, section 6.3, rules 1 and 2: no content, whatever the fields say.
        let bodiless = asked.head || switches || [204, 304].contains(&response.status);
        if !bodiless {
            if let Err((wrong, at)) = judged {
                return (read, Outcome::Wrong(wrong, at));
            }
            response.framing = says.framing(Framing::UntilClose);
        }
        // Faulty framing that is read all the same is not trusted with another response (RFC 9112, section 6.1), nor is
        // what a client sends into a tunnel that it did not get.
        let faulty = !bodiless && says.chunked && (says.length.is_some() || response.minor == 0);
        let persists = says.persists(response.minor)
            && response.framing != Framing::UntilClose
            && !faulty
            && !asked.connect;
        let mut body = Body::default();
        let end = body::read(data, end, eof, response.framing, limits, &mut body);
        response.body = body.bytes;
        response.trailers = body.trailers;
        response.complete = end.is_ok();
        read.push(response);
        return match end {
            Err(stop) => (read, stopped(stop, data, eof)),
            Ok(end) if switches => (read, Outcome::Switches(end)),
            Ok(end) if !persists => (read, Outcome::Closes(end)),
            Ok(end) => (read, Outcome::Complete(end)),
        };
    }
}

fn stopped(stop: Stop, data: &[u8], eof: bool) -> Outcome {
    match stop {
        Stop::More if eof => Outcome::Wrong(Wrong::UnexpectedEof, data.len()),
        Stop::More => Outcome::More,
        Stop::Wrong(wrong, at) => Outcome::Wrong(wrong, at),
    }
}

/// What the known fields say; the first wrong one with its place. Those behind it are still listened to.
fn judge(says: &mut Says, lines: &[Placed]) -> Result<(), (Wrong, usize)> {
    let mut first = Ok(());
    for placed in lines {
        if let Err(wrong) = says.listen(&placed.line)
            && first.is_ok()
        {
            first = Err((wrong, placed.value_at));
        }
    }
    first
}

/// `status-line *( field-line CRLF ) CRLF`.
///
/// A response head is judged when it is complete. Before that only what can be seen without reading it is: that it begins
/// with `HTTP/1.`, that its lines end in CRLF, and that it is not too large.
fn head(data: &[u8], at: usize, limits: &Limits) -> Result<(Response, Says, Vec<Placed>, usize), Stop> {
    let end = head_end(data, at, limits)?;
    let mut c = Cursor::new(&data[..end], at, usize::MAX, Wrong::HeadTooLarge);
    let (minor, status, reason) = status_line(&mut c)?;
    let lines = section(&mut c, limits.fields, Wrong::TooManyFields, true, |_| Ok(()))?;
    let response = Response {
        status,
        reason,
        minor,
        fields: lines.iter().map(|p| p.line.clone()).collect(),
        framing: Framing::Nothing,
        body: Vec::new(),
        trailers: Vec::new(),
        complete: false,
    };
    Ok((response, Says::default(), lines, c.at))
}

/// Where the first empty line ends.
fn head_end(data: &[u8], at: usize, limits: &Limits) -> Result<usize, Stop> {
    let mut c = Cursor::new(data, at, limits.head, Wrong::HeadTooLarge);
    for expected in *b"HTTP/1." {
        if c.next()? != expected {
            return c.bad(Wrong::StatusLine);
        }
    }
    let mut line = at;
    loop {
        if c.next()? == b'\n' {
            match &data[line..c.at] {
                b"\r\n" => return Ok(c.at),
                [.., b'\r', b'\n'] => line = c.at,
                _ => return c.bad(Wrong::LineEnd),
            }
        }
    }
}

/// `"HTTP/1." DIGIT SP 3DIGIT SP [ reason-phrase ] CRLF`, the second space left out by some.
fn status_line(c: &mut Cursor<'_>) -> Result<(u8, u16, Vec<u8>), Stop> {
    let mut minor = 0;
    let mut status = 0u16;
    for (i, expected) in b"HTTP/1.m d00".iter().enumerate() {
        let byte = c.next()?;
        let good = match expected {
            b'm' => {
                minor = u8::from(byte != b'0');
                byte.is_ascii_digit()
            }
            // "The first digit of the status-code defines the class": there is no class 0.
            b'd' | b'0' => {
                status = status * 10 + u16::from(byte.wrapping_sub(b'0'));
                byte.is_ascii_digit() && !(i == 9 && byte == b'0')
            }
            _ => byte == *expected,
        };
        if !good {
            return c.bad(Wrong::StatusLine);
        }
    }
    let mut reason = Vec::new();
    match c.next()? {
        b' ' => {}
        b'\r' => {
            c.lf_after_cr()?;
            return Ok((minor, status, reason));
        }
        _ => return c.bad(Wrong::StatusLine),
    }
    loop {
        match c.next()? {
            b'\r' => {
                c.lf_after_cr()?;
                return Ok((minor, status, reason));
            }
            b if is_text(b) => reason.push(b),
            _ => return c.bad(Wrong::StatusLine),
        }
    }
}

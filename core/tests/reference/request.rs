//! Requests (RFC 9112, section 3), one after the other.

use super::body::{self, Body};
use super::fields::{Says, section};
use super::{Cursor, Framing, Limits, Line, Outcome, Stop, Wrong, is_tchar, show_body, show_fields, uri};
use std::fmt;

/// A protocol that a request asks to go over to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Proposal {
    Nothing,
    Connect,
    Upgrade,
}

/// A request as far as it goes: its head is complete.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) method: Vec<u8>,
    pub(crate) target: Vec<u8>,
    /// 0 or 1: a higher minor version is read as 1.1 (RFC 9110, section 2.5).
    pub(crate) minor: u8,
    pub(crate) fields: Vec<Line>,
    pub(crate) framing: Framing,
    pub(crate) expects_continue: bool,
    pub(crate) proposes: Proposal,
    /// Whether another request may follow.
    pub(crate) persists: bool,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Vec<Line>,
    /// Whether its last byte is there.
    pub(crate) complete: bool,
    /// Where it begins (empty lines before it left out), and where its body does.
    pub(crate) head_at: usize,
    pub(crate) body_at: usize,
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (method, target) = (self.method.escape_ascii(), self.target.escape_ascii());
        writeln!(f, "{method} {target} HTTP/1.{}", self.minor)?;
        let (framing, proposes) = (self.framing, self.proposes);
        let (expects, persists) = (self.expects_continue, self.persists);
        writeln!(
            f,
            "  {framing:?}, proposes {proposes:?}, expects {expects}, persists {persists}"
        )?;
        show_fields(f, "field", &self.fields)?;
        show_body(f, &self.body, &self.trailers, self.complete)
    }
}

/// Reads the requests in `data`. `eof`: no more bytes come.
///
/// A proposed upgrade is taken as refused, so that what follows is another request; a CONNECT is not, since nothing
/// tells what its client sends then.
pub(crate) fn requests(data: &[u8], eof: bool, limits: &Limits) -> (Vec<Request>, Outcome) {
    let mut read = Vec::new();
    let mut at = 0;
    loop {
        at = match empty_lines(data, at, limits) {
            Ok(at) => at,
            Err(stop) => return (read, stopped(stop, data, eof)),
        };
        if at == data.len() {
            return (read, Outcome::Complete(at));
        }
        let request = match head(data, at, limits) {
            Ok(request) => request,
            Err(stop) => return (read, stopped(stop, data, eof)),
        };
        let (framing, body_at) = (request.framing, request.body_at);
        let (connect, persists) = (request.proposes == Proposal::Connect, request.persists);
        read.push(request);
        let mut body = Body::default();
        let end = body::read(data, body_at, eof, framing, limits, &mut body);
        if let Some(request) = read.last_mut() {
            request.body = body.bytes;
            request.trailers = body.trailers;
            request.complete = end.is_ok();
        }
        match end {
            Err(stop) => return (read, stopped(stop, data, eof)),
            Ok(end) if connect => return (read, Outcome::Switches(end)),
            Ok(end) if !persists => return (read, Outcome::Closes(end)),
            Ok(end) => at = end,
        }
    }
}

fn stopped(stop: Stop, data: &[u8], eof: bool) -> Outcome {
    match stop {
        Stop::More if eof => Outcome::Wrong(Wrong::UnexpectedEof, data.len()),
        Stop::More => Outcome::More,
        Stop::Wrong(wrong, at) => Outcome::Wrong(wrong, at),
    }
}

/// "a server that is expecting to receive and parse a request-line SHOULD ignore at least one empty line (CRLF)
/// received prior to the request-line" (RFC 9112, section 2.2). One that is too many is refused at its CR.
fn empty_lines(data: &[u8], mut at: usize, limits: &Limits) -> Result<usize, Stop> {
    let mut lines = 0;
    loop {
        match data.get(at) {
            Some(b'\n') => return Err(Stop::Wrong(Wrong::LineEnd, at)),
            Some(b'\r') if lines == limits.empty_lines => return Err(Stop::Wrong(Wrong::EmptyLines, at)),
            Some(b'\r') => match data.get(at + 1) {
                None => return Err(Stop::More),
                Some(b'\n') => at += 2,
                Some(_) => return Err(Stop::Wrong(Wrong::LineEnd, at + 1)),
            },
            _ => return Ok(at),
        }
        lines += 1;
    }
}

/// `request-line *( field-line CRLF ) CRLF`. The limit counts from the first byte of the request line to the last of the
/// empty line.
fn head(data: &[u8], at: usize, limits: &Limits) -> Result<Request, Stop> {
    let mut c = Cursor::new(data, at, limits.head, Wrong::RequestLineTooLong);
    let method = method(&mut c)?;
    let target = target(&mut c, &method, limits)?;
    let minor = version(&mut c)?;
    c.beyond = Wrong::HeadTooLarge;
    let mut says = Says::default();
    // A field that says something wrong is refused when its line is complete, at its value.
    let lines = section(&mut c, limits.fields, Wrong::TooManyFields, false, |placed| {
        says.listen(&placed.line)
            .and_then(|()| says.listen_as_server(&placed.line))
            .map_err(|wrong| Stop::Wrong(wrong, placed.value_at))
    })?;
    // What the head as a whole breaks is proved by its last byte.
    let whole = |wrong| Err(Stop::Wrong(wrong, c.at - 1));
    if says.chunked && minor == 0 {
        return whole(Wrong::TransferEncodingInHttp10);
    }
    if says.chunked && says.length.is_some() {
        return whole(Wrong::LengthAndCoding);
    }
    if minor > 0 && !says.host {
        return whole(Wrong::HostMissing);
    }
    let framing = match says.framing(Framing::Nothing) {
        Framing::Length(0) => Framing::Nothing,
        other => other,
    };
    let connect = method == b"CONNECT";
    if connect && framing != Framing::Nothing {
        return whole(Wrong::ConnectContent);
    }
    let content = framing != Framing::Nothing;
    Ok(Request {
        proposes: if connect {
            Proposal::Connect
        } else if minor > 0 && !content && says.upgrade && says.option("upgrade") {
            Proposal::Upgrade
        } else {
            Proposal::Nothing
        },
        persists: says.persists(minor),
        // "A server that receives a 100-continue expectation in an HTTP/1.0 request MUST ignore that expectation."
        expects_continue: says.expects_continue && minor > 0 && content,
        method,
        target,
        minor,
        fields: lines.into_iter().map(|p| p.line).collect(),
        framing,
        body: Vec::new(),
        trailers: Vec::new(),
        complete: false,
        head_at: at,
        body_at: c.at,
    })
}

/// `method SP`
fn method(c: &mut Cursor<'_>) -> Result<Vec<u8>, Stop> {
    let mut method = Vec::new();
    loop {
        match c.next()? {
            b if is_tchar(b) => method.push(b),
            b' ' if !method.is_empty() => return Ok(method),
            // The line has no method, or nothing but one.
            b' ' | b'\r' | b'\n' => return c.bad(Wrong::RequestLine),
            _ => return c.bad(Wrong::Method),
        }
    }
}

/// `request-target SP`: visible US-ASCII without `#`. One byte too many is refused as it comes; a form that does not go
/// with the method is refused at the target's first byte, when the target is complete.
fn target(c: &mut Cursor<'_>, method: &[u8], limits: &Limits) -> Result<Vec<u8>, Stop> {
    let from = c.at;
    let mut target = Vec::new();
    loop {
        match c.next()? {
            b' ' if !target.is_empty() => break,
            b' ' | b'\t' | b'\r' | b'\n' => return c.bad(Wrong::RequestLine),
            b'#' => return c.bad(Wrong::TargetByte),
            b'!'..=b'~' if target.len() == limits.target => return c.bad(Wrong::TargetTooLong),
            b @ b'!'..=b'~' => target.push(b),
            _ => return c.bad(Wrong::TargetByte),
        }
    }
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("only US-ASCII was taken");
    if uri::goes_with(&text(method), &text(&target)) {
        Ok(target)
    } else {
        Err(Stop::Wrong(Wrong::TargetForm, from))
    }
}

/// `"HTTP/" DIGIT "." DIGIT CRLF`; tells the minor version. That the major one is not spoken here shows when the line
/// ends, and is refused at its digit.
fn version(c: &mut Cursor<'_>) -> Result<u8, Stop> {
    let from = c.at;
    let mut digits = Vec::new();
    for expected in *b"HTTP/d.d" {
        let byte = c.next()?;
        let good = if expected == b'd' {
            digits.push(byte);
            byte.is_ascii_digit()
        } else {
            byte == expected
        };
        if !good {
            // No version at all, or more than one space before it.
            let none = c.at == from + 1 && b" \t\r\n".contains(&byte);
            return c.bad(if none { Wrong::RequestLine } else { Wrong::Version });
        }
    }
    let end = c.next()?;
    if end != b'\r' && end != b'\n' {
        return c.bad(Wrong::Version);
    }
    if digits[0] != b'1' {
        return Err(Stop::Wrong(Wrong::UnsupportedVersion, from + 5));
    }
    if end == b'\n' {
        return c.bad(Wrong::LineEnd);
    }
    c.lf_after_cr()?;
    Ok(u8::from(digits[1] != b'0'))
}

//! Field sections (RFC 9112, section 5), and what the fields that matter to framing and persistence say.

use super::{Cursor, Framing, Line, Stop, Wrong, is_blank, is_tchar, is_text, trimmed, uri};

/// A field line and where its value starts: the first byte behind the colon that is no white space (nor a fold), or the
/// first CR if the value is empty.
pub(super) struct Placed {
    pub(super) line: Line,
    pub(super) value_at: usize,
}

/// Reads lines up to and with the empty one, and shows each to `judge` when its line end has been read.
///
/// `most` counts lines (a folded one goes with the line that it continues); a line that is one too many is refused at
/// its first byte. `folds`: a line that begins with white space continues the one before it, and the fold becomes one
/// space (RFC 9112, section 5.2); else it is refused.
pub(super) fn section(
    c: &mut Cursor<'_>,
    most: usize,
    too_many: Wrong,
    folds: bool,
    mut judge: impl FnMut(&Placed) -> Result<(), Stop>,
) -> Result<Vec<Placed>, Stop> {
    let mut lines: Vec<Placed> = Vec::new();
    loop {
        match c.peek()? {
            b'\r' => {
                c.next()?;
                c.lf_after_cr()?;
                return Ok(lines);
            }
            b'\n' => return Err(Stop::Wrong(Wrong::LineEnd, c.at)),
            b if is_blank(b) => {
                let Some(Placed {
                    line: (_, text),
                    value_at,
                }) = lines.last_mut().filter(|_| folds)
                else {
                    return Err(Stop::Wrong(Wrong::LineFolding, c.at));
                };
                while is_blank(c.peek()?) {
                    c.next()?;
                }
                let at = c.at;
                let more = value(c)?;
                let more = trimmed(&more);
                match (text.is_empty(), more.is_empty()) {
                    (_, true) => {}
                    (true, false) => *value_at = at,
                    (false, false) => text.push(b' '),
                }
                text.extend_from_slice(more);
            }
            _ if lines.len() == most => return Err(Stop::Wrong(too_many, c.at)),
            _ => {
                let placed = line(c)?;
                judge(&placed)?;
                lines.push(placed);
            }
        }
    }
}

/// `field-name ":" OWS field-value OWS CRLF`
fn line(c: &mut Cursor<'_>) -> Result<Placed, Stop> {
    let mut name = Vec::new();
    loop {
        match c.next()? {
            b if is_tchar(b) => name.push(b),
            b':' if !name.is_empty() => break,
            // "No whitespace is allowed between the field name and colon." (RFC 9112, section 5.1)
            _ => return c.bad(Wrong::FieldName),
        }
    }
    while is_blank(c.peek()?) {
        c.next()?;
    }
    let value_at = c.at;
    let text = trimmed(&value(c)?).to_vec();
    Ok(Placed {
        line: (name, text),
        value_at,
    })
}

/// The rest of a line, which ends in CRLF.
fn value(c: &mut Cursor<'_>) -> Result<Vec<u8>, Stop> {
    let mut text = Vec::new();
    loop {
        match c.next()? {
            b'\r' => {
                c.lf_after_cr()?;
                return Ok(text);
            }
            b'\n' => return c.bad(Wrong::LineEnd),
            b if is_text(b) => text.push(b),
            _ => return c.bad(Wrong::FieldValue),
        }
    }
}

/// What the known fields of a head say.
#[derive(Clone, Debug, Default)]
pub(super) struct Says {
    pub(super) length: Option<u64>,
    pub(super) chunked: bool,
    pub(super) host: bool,
    pub(super) expects_continue: bool,
    pub(super) upgrade: bool,
    /// The members of all Connection fields, in lower case.
    options: Vec<String>,
}

impl Says {
    pub(super) fn option(&self, name: &str) -> bool {
        self.options.iter().any(|o| o == name)
    }

    /// RFC 9112, section 9.3
    pub(super) fn persists(&self, minor: u8) -> bool {
        !self.option("close") && (minor > 0 || self.option("keep-alive"))
    }

    /// The fields that both sides listen to.
    pub(super) fn listen(&mut self, (name, value): &Line) -> Result<(), Wrong> {
        match name.to_ascii_lowercase().as_slice() {
            b"content-length" => self.content_length(value),
            b"transfer-encoding" => {
                // "multiple transfer codings" are none that we know, and `chunked` twice is forbidden.
                if self.chunked || !value.eq_ignore_ascii_case(b"chunked") {
                    return Err(Wrong::TransferCoding);
                }
                self.chunked = true;
                Ok(())
            }
            b"connection" => {
                for member in value.split(|&b| b == b',') {
                    let member = String::from_utf8_lossy(trimmed(member)).to_ascii_lowercase();
                    self.options.push(member);
                }
                Ok(())
            }
            b"upgrade" => {
                self.upgrade = true;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// The fields that only a server judges.
    pub(super) fn listen_as_server(&mut self, (name, value): &Line) -> Result<(), Wrong> {
        match name.to_ascii_lowercase().as_slice() {
            // "A server MUST respond with a 400 (Bad Request) status code to any [...] request message that contains
            // more than one Host header field line or a Host header field with an invalid field value."
            b"host" if self.host => Err(Wrong::HostRepeated),
            b"host" => {
                self.host = true;
                match std::str::from_utf8(value) {
                    Ok(text) if uri::is_host(text, true) => Ok(()),
                    _ => Err(Wrong::Host),
                }
            }
            b"expect" => {
                if !value.eq_ignore_ascii_case(b"100-continue") {
                    return Err(Wrong::Expectation);
                }
                self.expects_continue = true;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// One or more equal numbers below 2^63, separated by commas (RFC 9112, section 6.3, and RFC 9110, section 8.6).
    fn content_length(&mut self, value: &[u8]) -> Result<(), Wrong> {
        for member in value.split(|&b| b == b',') {
            let text = std::str::from_utf8(trimmed(member)).map_err(|_| Wrong::ContentLength)?;
            if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
                return Err(Wrong::ContentLength);
            }
            let n = text
                .parse::<i64>()
                .map_err(|_| Wrong::ContentLength)?
                .unsigned_abs();
            if self.length.is_some_and(|before| before != n) {
                return Err(Wrong::ContentLengthConflict);
            }
            self.length = Some(n);
        }
        Ok(())
    }

    /// Framing where both fields are allowed: Transfer-Encoding wins.
    pub(super) fn framing(&self, otherwise: Framing) -> Framing {
        match (self.chunked, self.length) {
            (true, _) => Framing::Chunked,
            (false, Some(n)) => Framing::Length(n),
            (false, None) => otherwise,
        }
    }
}

/// Fields that have no say behind a body (RFC 9110, section 6.5.1): those for framing, routing, authentication,
/// request modifiers, response control data and how to process the content. They are left out.
pub(super) fn may_be_trailer((name, _): &Line) -> bool {
    let name = String::from_utf8_lossy(name).to_ascii_lowercase();
    let framing = ["transfer-encoding", "content-length", "trailer", "te"];
    let routing = ["host", "connection", "keep-alive", "proxy-connection", "upgrade"];
    let modifiers = ["cache-control", "expect", "max-forwards", "pragma", "range"];
    let authentication = [
        "authorization",
        "proxy-authorization",
        "www-authenticate",
        "proxy-authenticate",
        "realm",
        "cookie",
        "set-cookie",
    ];
    let content = ["content-encoding", "content-type", "content-range"];
    let conditional = name.starts_with("if-") && name != "if-";
    !(conditional
        || [&framing[..], &routing, &modifiers, &authentication, &content]
            .concat()
            .contains(&name.as_str()))
}

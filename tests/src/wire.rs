//! Reads messages off the wire strictly and on its own, as the other side of every test: nothing of the code
//! under test is used here. Framing is taken at its word and everything sloppy is an error.

/// A response as it stood on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The statuses of the interim responses before it.
    pub interim: Vec<u16>,
    /// The status.
    pub status: u16,
    /// Whether the version was 1.0.
    pub http10: bool,
    /// The header section, without Date and Server, which vary.
    pub fields: Vec<(String, String)>,
    /// How the body was delimited.
    pub framing: Framing,
    /// The body.
    pub body: Vec<u8>,
    /// The trailer section.
    pub trailers: Vec<(String, String)>,
}

/// Fields that may differ from one run to the next.
const VARYING: [&str; 2] = ["date", "server"];

/// How a body was delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// There is none by the rules.
    None,
    /// Content-Length.
    Length,
    /// Chunked.
    Chunked,
    /// The end of the connection.
    Close,
}

impl Framing {
    /// For transcripts.
    pub fn name(self) -> &'static str {
        match self {
            Framing::None => "none",
            Framing::Length => "length",
            Framing::Chunked => "chunked",
            Framing::Close => "close",
        }
    }
}

/// What reading came to: `Ok(None)` means that bytes are missing.
pub type Read<T> = Result<Option<T>, String>;

/// Reads one final response, with the interim ones before it, from the front of `bytes`; tells how long it is.
///
/// # Errors
/// The rule that the bytes break.
pub fn response(bytes: &[u8], method: &str, eof: bool) -> Read<(Response, usize)> {
    let (mut at, mut interim) = (0, Vec::new());
    loop {
        let Some((line, fields, end)) = head(&bytes[at..])? else {
            return Ok(None);
        };
        at += end;
        let bad = || format!("status line {:?}", line.escape_ascii().to_string());
        let rest = line.strip_prefix(b"HTTP/1.").ok_or_else(bad)?;
        let [minor @ (b'0' | b'1'), b' ', a, b, c, b' ', ..] = rest else {
            return Err(bad());
        };
        let code = std::str::from_utf8(&[*a, *b, *c])
            .ok()
            .and_then(|s| s.parse::<u16>().ok());
        let status = code.ok_or_else(bad)?;
        let length = content_length(&fields)?;
        let coded = all(&fields, "transfer-encoding").next().is_some();
        if coded && (length.is_some() || !is_chunked(&fields)) {
            return Err("Transfer-Encoding beside Content-Length, or not a single chunked".into());
        }
        if (status < 200 || status == 204) && (coded || length.is_some()) {
            return Err(format!("a framing field in a {status}"));
        }
        if status < 200 && status != 101 {
            interim.push(status);
            continue;
        }
        let http10 = *minor == b'0';
        let kept = fields
            .into_iter()
            .filter(|(n, _)| !VARYING.contains(&n.to_ascii_lowercase().as_str()));
        let fields = kept.collect();
        let mut r = Response {
            interim,
            status,
            http10,
            fields,
            framing: Framing::None,
            body: vec![],
            trailers: vec![],
        };
        let rest = &bytes[at..];
        let tunnel = method == "CONNECT" && status / 100 == 2;
        if method == "HEAD" || tunnel || matches!(status, 101 | 204 | 304) {
            return Ok(Some((r, at)));
        }
        if coded {
            r.framing = Framing::Chunked;
            let Some((body, trailers, used)) = chunked(rest)? else {
                return Ok(None);
            };
            (r.body, r.trailers) = (body, trailers);
            at += used;
        } else if let Some(n) = length {
            r.framing = Framing::Length;
            let Some(body) = rest.get(..n) else {
                return Ok(None);
            };
            r.body = body.into();
            at += n;
        } else {
            r.framing = Framing::Close;
            if !eof {
                return Ok(None);
            }
            r.body = rest.into();
            at = bytes.len();
        }
        return Ok(Some((r, at)));
    }
}

/// The length of the request at the front of `bytes`, and its body.
///
/// # Errors
/// The rule that the bytes break.
pub fn request(bytes: &[u8]) -> Read<(Vec<u8>, usize)> {
    let Some((line, fields, end)) = head(bytes)? else {
        return Ok(None);
    };
    let parts: Vec<&[u8]> = line.split(|&b| b == b' ').collect();
    if parts.len() != 3 || parts[2] != b"HTTP/1.1" || parts.iter().any(|p| p.is_empty()) {
        return Err(format!("request line {:?}", line.escape_ascii().to_string()));
    }
    if all(&fields, "host").count() != 1 {
        return Err("not exactly one Host field".into());
    }
    let rest = &bytes[end..];
    let length = content_length(&fields)?;
    if all(&fields, "transfer-encoding").next().is_some() {
        if length.is_some() || !is_chunked(&fields) {
            return Err("Transfer-Encoding beside Content-Length, or not a single chunked".into());
        }
        return Ok(chunked(rest)?.map(|(body, _, used)| (body, end + used)));
    }
    let n = length.unwrap_or(0);
    Ok(rest.get(..n).map(|body| (body.to_vec(), end + n)))
}

/// Whether a whole head stands at the front, and where it ends.
pub fn head_end(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|w| w == b"\r\n\r\n").map(|i| i + 4)
}

type FieldLines = Vec<(String, String)>;

fn head(bytes: &[u8]) -> Read<(&[u8], FieldLines, usize)> {
    let Some(end) = head_end(bytes) else {
        return Ok(None);
    };
    let text = &bytes[..end - 4];
    let line_end = text.windows(2).position(|w| w == b"\r\n").unwrap_or(text.len());
    let rest = text.get(line_end + 2..).unwrap_or_default();
    Ok(Some((&text[..line_end], fields(rest)?, end)))
}

fn fields(text: &[u8]) -> Result<FieldLines, String> {
    let mut out = Vec::new();
    let text = std::str::from_utf8(text).map_err(|_| "not ASCII".to_string())?;
    for line in text.split("\r\n").filter(|l| !l.is_empty()) {
        let (name, value) = line.split_once(':').ok_or(format!("field line {line:?}"))?;
        let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
        let value = value.trim_matches([' ', '\t']);
        let clean = value.bytes().all(|b| b == b'\t' || (b >= b' ' && b != 0x7f));
        if name.is_empty() || !name.bytes().all(token) || !clean {
            return Err(format!("field line {line:?}"));
        }
        out.push((name.into(), value.into()));
    }
    Ok(out)
}

fn all<'a>(fields: &'a FieldLines, name: &'a str) -> impl Iterator<Item = &'a str> {
    fields
        .iter()
        .filter(move |(n, _)| n.eq_ignore_ascii_case(name))
        .map(|(_, v)| v.as_str())
}

fn is_chunked(fields: &FieldLines) -> bool {
    let mut codings = all(fields, "transfer-encoding");
    codings.next().is_some_and(|v| v.eq_ignore_ascii_case("chunked")) && codings.next().is_none()
}

fn content_length(fields: &FieldLines) -> Result<Option<usize>, String> {
    let mut values = all(fields, "content-length");
    let Some(first) = values.next() else {
        return Ok(None);
    };
    let digits = !first.is_empty() && first.bytes().all(|b| b.is_ascii_digit());
    match first.parse() {
        Ok(n) if digits && values.next().is_none() => Ok(Some(n)),
        _ => Err(format!("Content-Length {first:?}")),
    }
}

fn chunked(bytes: &[u8]) -> Read<(Vec<u8>, FieldLines, usize)> {
    let (mut at, mut body) = (0, Vec::new());
    loop {
        let Some(end) = bytes[at..].windows(2).position(|w| w == b"\r\n") else {
            return Ok(None);
        };
        let size = std::str::from_utf8(&bytes[at..at + end]).unwrap_or_default();
        let n = usize::from_str_radix(size, 16).map_err(|_| format!("chunk size {size:?}"))?;
        at += end + 2;
        if n == 0 {
            break;
        }
        let Some(data) = bytes.get(at..at + n + 2) else {
            return Ok(None);
        };
        let data = data.strip_suffix(b"\r\n").ok_or("no CRLF after chunk data")?;
        body.extend_from_slice(data);
        at += n + 2;
    }
    if bytes[at..].starts_with(b"\r\n") {
        return Ok(Some((body, Vec::new(), at + 2)));
    }
    let Some(end) = head_end(&bytes[at..]) else {
        return Ok(None);
    };
    Ok(Some((body, fields(&bytes[at..at + end - 4])?, at + end)))
}

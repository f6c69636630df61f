//! An independent reader of what a machine wrote: httparse for heads, an obvious decoder for chunks, nothing of
//! `core`. It panics at whatever no peer should ever be sent; only the last message may be cut short.

#![allow(dead_code)] // Each target takes its part.

/// A field line: name and value.
pub(crate) type Line = (Vec<u8>, Vec<u8>);

/// A message as it was read back.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Message {
    /// Method and target of a request.
    pub(crate) asks: (String, String),
    /// A response's status; 0 in a request.
    pub(crate) status: u16,
    pub(crate) fields: Vec<Line>,
    pub(crate) framing: Framing,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Vec<Line>,
    /// Whether its end was there.
    pub(crate) complete: bool,
}

/// How a body is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    Nothing,
    Length(u64),
    Chunked,
    UntilClose,
}

impl Message {
    pub(crate) fn is_final(&self) -> bool {
        self.status >= 200 || self.status == 101
    }

    /// All values of a field.
    pub(crate) fn values(&self, name: &str) -> Vec<&[u8]> {
        let lines = self.fields.iter();
        lines
            .filter(|(n, _)| n.eq_ignore_ascii_case(name.as_bytes()))
            .map(|(_, v)| &v[..])
            .collect()
    }
}

/// Reads requests; what follows a CONNECT or a proposed upgrade may be anything and is left alone.
pub(crate) fn requests(mut wire: &[u8]) -> Vec<Message> {
    let mut all = Vec::new();
    while !wire.is_empty() {
        let mut slots = [httparse::EMPTY_HEADER; 600];
        let mut head = httparse::Request::new(&mut slots);
        let size = match head.parse(wire) {
            Ok(httparse::Status::Complete(size)) => size,
            Ok(httparse::Status::Partial) => break,
            Err(e) => panic!("{e} in \"{}\"", wire.escape_ascii()),
        };
        assert_eq!(head.version, Some(1));
        let mut message = Message {
            asks: (head.method.unwrap_or("").into(), head.path.unwrap_or("").into()),
            status: 0,
            fields: lines(head.headers),
            framing: Framing::Nothing,
            body: Vec::new(),
            trailers: Vec::new(),
            complete: false,
        };
        if let Some(framing) = framing(&message) {
            message.framing = framing;
        }
        wire = read_body(&mut message, &wire[size..]);
        let switches = message.asks.0 == "CONNECT" || !message.values("upgrade").is_empty();
        all.push(message);
        if switches {
            break;
        }
    }
    all
}

/// Reads responses to requests with these methods; the answer to a request that was refused unread is read as one
/// to a GET. What follows a switch is left alone.
pub(crate) fn responses(mut wire: &[u8], methods: &[String]) -> Vec<Message> {
    let mut methods = methods.iter();
    let mut method = methods.next();
    let mut all = Vec::new();
    while !wire.is_empty() {
        let mut slots = [httparse::EMPTY_HEADER; 600];
        let mut head = httparse::Response::new(&mut slots);
        let size = match head.parse(wire) {
            Ok(httparse::Status::Complete(size)) => size,
            Ok(httparse::Status::Partial) => break,
            Err(e) => panic!("{e} in \"{}\"", wire.escape_ascii()),
        };
        assert_eq!(head.version, Some(1));
        let status = head.code.unwrap_or(0);
        let mut message = Message {
            asks: (String::new(), String::new()),
            status,
            fields: lines(head.headers),
            framing: Framing::Nothing,
            body: Vec::new(),
            trailers: Vec::new(),
            complete: false,
        };
        let framing = framing(&message);
        let to = method.map_or("GET", |m| m.as_str());
        let tunnel = to == "CONNECT" && (200..300).contains(&status);
        if status < 200 || status == 204 || tunnel {
            // RFC 9110, section 8.6, and RFC 9112, section 6.1.
            assert_eq!(framing, None, "framing in a {status} to {to}");
        } else if status != 304 && to != "HEAD" {
            message.framing = framing.unwrap_or(Framing::UntilClose);
        }
        wire = read_body(&mut message, &wire[size..]);
        if message.is_final() {
            method = methods.next();
        }
        all.push(message);
        if status == 101 || tunnel {
            break;
        }
    }
    all
}

fn lines(headers: &[httparse::Header<'_>]) -> Vec<Line> {
    let line = |h: &httparse::Header<'_>| (h.name.as_bytes().to_vec(), h.value.to_vec());
    headers.iter().map(line).collect()
}

/// What the framing fields say: at most one of them, once.
fn framing(message: &Message) -> Option<Framing> {
    let (lengths, codings) = (
        message.values("content-length"),
        message.values("transfer-encoding"),
    );
    match (&lengths[..], &codings[..]) {
        ([], []) => None,
        ([length], []) => {
            let text = std::str::from_utf8(length).expect("a number");
            assert!(text.bytes().all(|b| b.is_ascii_digit()));
            Some(Framing::Length(text.parse().expect("a number of 64 bits")))
        }
        ([], [coding]) if *coding == b"chunked" => Some(Framing::Chunked),
        _ => panic!("ambiguous framing: {lengths:?} {codings:?}"),
    }
}

fn read_body<'a>(message: &mut Message, wire: &'a [u8]) -> &'a [u8] {
    match message.framing {
        Framing::Nothing => message.complete = true,
        Framing::Length(n) => {
            let n = usize::try_from(n).unwrap_or(usize::MAX);
            message.complete = wire.len() >= n;
            let (body, rest) = wire.split_at(n.min(wire.len()));
            message.body = body.to_vec();
            return rest;
        }
        Framing::UntilClose => {
            message.body = wire.to_vec();
            return &[];
        }
        Framing::Chunked => {
            let Some(size) = chunks(message, wire) else {
                return &[];
            };
            message.complete = true;
            return &wire[size..];
        }
    }
    wire
}

/// `None`: cut short.
fn chunks(message: &mut Message, wire: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let line = wire[at..].windows(2).position(|w| w == b"\r\n")?;
        let text = std::str::from_utf8(&wire[at..at + line]).expect("a chunk size");
        assert!(
            !text.is_empty() && text.bytes().all(|b| b.is_ascii_hexdigit()),
            "{text:?}"
        );
        let size = usize::from_str_radix(text, 16).expect("a chunk size");
        at += line + 2;
        if size == 0 {
            break;
        }
        message
            .body
            .extend_from_slice(&wire[at..wire.len().min(at.saturating_add(size))]);
        let end = wire.get(at.checked_add(size)?..at.checked_add(size + 2)?)?;
        assert_eq!(end, b"\r\n", "a chunk's end");
        at += size + 2;
    }
    let mut slots = [httparse::EMPTY_HEADER; 600];
    match httparse::parse_headers(&wire[at..], &mut slots) {
        Ok(httparse::Status::Complete((size, headers))) => {
            message.trailers = lines(headers);
            Some(at + size)
        }
        Ok(httparse::Status::Partial) => None,
        Err(e) => panic!("{e} in the trailers \"{}\"", wire[at..].escape_ascii()),
    }
}

//! One message on any stream of bytes: reading a request or a response from a [`Read`], writing one to a [`Write`]. For
//! tools that have messages in files, pipes or sockets of their own; no connection is kept, and nothing is answered.
//!
//! The rules and bounds are those of the core's [`standalone`](antiphon_core::h1::standalone) messages, which do the
//! work and go with an async stream as well.
//!
//! ```
//! use antiphon_blocking::message;
//! use antiphon_core::{Method, Request, Target};
//! use std::io::Read;
//!
//! let mut request = Request::new(Method::POST, Target::new("/tea")?);
//! request.headers.append("host", "example.com")?;
//! let mut wire = Vec::new();
//! message::write_request(&mut wire, &request, "milk")?;
//! assert!(wire.starts_with(b"POST /tea HTTP/1.1\r\n"));
//!
//! let mut read = message::read_request(&wire[..])?.expect("there is one");
//! assert_eq!(read.head.target, request.target);
//! let mut text = String::new();
//! read.body.read_to_string(&mut text)?;
//! assert_eq!(text, "milk");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use crate::body::Body;
use crate::error::{Error, ErrorKind};
use antiphon_core::client::settle;
use antiphon_core::h1::standalone::{Piece, RequestReader, RequestWriter, ResponseReader, ResponseWriter};
use antiphon_core::h1::{BodyLen, Limits, Misuse, PeerError, Profile};
use antiphon_core::{Fields, Headers, Method, Request, Response, Version};
use bytes::Bytes;
use std::fmt;
use std::io::{self, Read, Write};
use std::ops::Range;

const READING: &str = "reading a message";
const WRITING: &str = "writing a message";
/// How much is asked of a stream at once; so much more than the message may be taken from it.
const PIECE: usize = 8 * 1024;

/// A message that was read as far as its head.
#[derive(Debug)]
pub struct Message<H, R> {
    /// Its head.
    pub head: H,
    /// The interim responses that came before a response.
    pub informational: Vec<Response>,
    /// Its body, still in the stream.
    pub body: MessageBody<R>,
}

/// The body of a [`Message`], read from its stream as it is asked for.
///
/// Reading fails with an [`io::Error`] whose inner error is an [`Error`]: of [`ErrorKind::Peer`] where the message
/// breaks a rule (which one, and at which byte of the message, it says), or what the stream said.
pub struct MessageBody<R> {
    stream: R,
    parser: Parser,
    /// What was read last, and which part of it the parser has not taken.
    piece: Box<[u8]>,
    left: Range<usize>,
    len: BodyLen,
    over: bool,
}

/// What finds the pieces.
enum Parser {
    Request(Box<RequestReader>),
    Response(Box<ResponseReader>),
}

/// The same call on either.
macro_rules! on {
    ($parser:expr, $reader:ident => $call:expr) => {
        match $parser {
            Parser::Request($reader) => $call,
            Parser::Response($reader) => $call,
        }
    };
}

/// Reads a request as far as its head, with [`Limits::SERVER`] and [`Profile::STRICT`]. `None`: the stream has ended.
///
/// # Errors
/// [`ErrorKind::Peer`] for what is no request (which rule, which byte), [`ErrorKind::Io`] for what the stream said.
pub fn read_request<R: Read>(stream: R) -> Result<Option<Message<Request, R>>, Error> {
    read_request_with(stream, Limits::SERVER, Profile::STRICT)
}

/// As [`read_request`], with bounds and strictness of your own.
///
/// # Errors
/// As [`read_request`].
pub fn read_request_with<R: Read>(
    stream: R,
    limits: Limits,
    profile: Profile,
) -> Result<Option<Message<Request, R>>, Error> {
    let parser = Parser::Request(Box::new(RequestReader::new(limits, profile)));
    let mut body = MessageBody::new(stream, parser);
    let Some(informational) = body.head()? else {
        return Ok(None);
    };
    let Parser::Request(reader) = &body.parser else {
        return Ok(None);
    };
    let head = reader.head().and_then(|head| head.to_request());
    let head = head.ok_or_else(|| Error::misuse(READING, Misuse::NoHead))?;
    Ok(Some(Message {
        head,
        informational,
        body,
    }))
}

/// Reads the response to a request with this method as far as its head, with [`Limits::CLIENT`] and
/// [`Profile::STRICT`]. Interim responses before it are read too. `None`: the stream has ended.
///
/// # Errors
/// [`ErrorKind::Peer`] for what is no response (which rule, which byte), [`ErrorKind::Io`] for what the stream said.
pub fn read_response<R: Read>(stream: R, method: &Method) -> Result<Option<Message<Response, R>>, Error> {
    read_response_with(stream, method, Limits::CLIENT, Profile::STRICT)
}

/// As [`read_response`], with bounds and strictness of your own.
///
/// # Errors
/// As [`read_response`].
pub fn read_response_with<R: Read>(
    stream: R,
    method: &Method,
    limits: Limits,
    profile: Profile,
) -> Result<Option<Message<Response, R>>, Error> {
    let parser = Parser::Response(Box::new(ResponseReader::new(method.as_str(), limits, profile)));
    let mut body = MessageBody::new(stream, parser);
    let Some(informational) = body.head()? else {
        return Ok(None);
    };
    let Parser::Response(reader) = &body.parser else {
        return Ok(None);
    };
    let head = reader.head().map(|head| head.to_response());
    let head = head.ok_or_else(|| Error::misuse(READING, Misuse::NoHead))?;
    Ok(Some(Message {
        head,
        informational,
        body,
    }))
}

/// Writes a request, in the form that its target has: the origin form for servers, the absolute form for proxies. Its
/// framing fields decide how the body is framed, where there are some; one `Host` must be among the fields. The body's
/// trailers are sent behind it.
///
/// # Errors
/// [`ErrorKind::InvalidRequest`] or [`ErrorKind::Misuse`] before anything is written, [`ErrorKind::Body`] if the body
/// fails or is not as long as it has to be, [`ErrorKind::Io`] for what the stream said.
pub fn write_request(stream: impl Write, request: &Request, body: impl Into<Body>) -> Result<(), Error> {
    let body = body.into();
    let mut request = request.clone();
    let len = settle(&mut request, body.framing()).map_err(|e| Error::unsendable(WRITING, e))?;
    let writer = RequestWriter::new(&request, len).map_err(|e| Error::misuse(WRITING, e))?;
    write(stream, Writer::Request(Box::new(writer)), body)
}

/// Writes the response to a request with this method and version: HEAD gets no body, HTTP/1.0 no chunks. Its framing
/// fields decide how the body is framed, where there are some. The body's trailers are sent behind it.
///
/// # Errors
/// As [`write_request`].
pub fn write_response(
    stream: impl Write,
    response: &Response,
    body: impl Into<Body>,
    method: &Method,
    version: Version,
) -> Result<(), Error> {
    let body = body.into();
    let mut response = response.clone();
    let misuse = |e| Error::misuse(WRITING, e);
    let len = BodyLen::from_fields(&mut response.headers, body.framing()).map_err(misuse)?;
    let writer = ResponseWriter::new(&response, len, method.as_str(), version).map_err(misuse)?;
    write(stream, Writer::Response(Box::new(writer)), body)
}

enum Writer {
    Request(Box<RequestWriter>),
    Response(Box<ResponseWriter>),
}

impl Writer {
    fn body(&mut self, bytes: &[u8]) -> Result<(), Misuse> {
        match self {
            Writer::Request(writer) => writer.body(bytes),
            Writer::Response(writer) => writer.body(bytes),
        }
    }

    fn finish(&mut self, trailers: Fields<'_>) -> Result<(), Misuse> {
        match self {
            Writer::Request(writer) => writer.finish(&trailers),
            Writer::Response(writer) => writer.finish(&trailers),
        }
    }

    fn flush(&mut self, stream: &mut impl Write) -> Result<(), Error> {
        let bytes = match self {
            Writer::Request(writer) => writer.take(),
            Writer::Response(writer) => writer.take(),
        };
        stream.write_all(&bytes).map_err(|e| Error::io(WRITING, e))
    }
}

fn write(mut stream: impl Write, mut writer: Writer, mut body: Body) -> Result<(), Error> {
    let wrong = |m: Misuse| Error::new(ErrorKind::Body, WRITING).with_source(m);
    writer.flush(&mut stream)?;
    while let Some(piece) = body.chunk() {
        writer.body(&piece?).map_err(wrong)?;
        writer.flush(&mut stream)?;
    }
    let trailers = body.take_trailers().unwrap_or_default();
    writer.finish(trailers.as_fields()).map_err(wrong)?;
    writer.flush(&mut stream)?;
    stream.flush().map_err(|e| Error::io(WRITING, e))
}

impl<R: Read> MessageBody<R> {
    fn new(stream: R, parser: Parser) -> MessageBody<R> {
        MessageBody {
            stream,
            parser,
            piece: vec![0; PIECE].into(),
            left: 0..0,
            len: BodyLen::None,
            over: false,
        }
    }

    /// Reads until the head is there; gives the interim ones before it.
    fn head(&mut self) -> Result<Option<Vec<Response>>, Error> {
        let mut informational = Vec::new();
        loop {
            match self.piece()? {
                Piece::Head(len) => {
                    self.len = len;
                    return Ok(Some(informational));
                }
                Piece::Interim(_) => {
                    if let Parser::Response(reader) = &self.parser
                        && let Some(head) = reader.head()
                    {
                        informational.push(head.to_response());
                    }
                }
                _ => return Ok(None),
            }
        }
    }

    /// The next piece that is not a wish for more.
    fn piece(&mut self) -> Result<Piece, Error> {
        let broken = |e: PeerError| Error::peer(READING, e);
        loop {
            let piece = on!(&mut self.parser, reader => reader.piece()).map_err(broken)?;
            if piece != Piece::NeedMore {
                return Ok(piece);
            }
            if self.left.is_empty() {
                let n = match self.stream.read(&mut self.piece) {
                    Ok(n) => n,
                    Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                    Err(e) => return Err(Error::io(READING, e)),
                };
                if n == 0 {
                    on!(&mut self.parser, reader => reader.end_of_input());
                    continue;
                }
                self.left = 0..n;
            }
            let fresh = &self.piece[self.left.clone()];
            let taken = on!(&mut self.parser, reader => reader.feed(fresh));
            self.left.start += taken;
            if taken == 0 {
                // It wants more, and has room for nothing: there is no such state.
                return Err(Error::misuse(READING, Misuse::TooMuch));
            }
        }
    }
}

impl<R> MessageBody<R> {
    /// The length that the head tells.
    pub fn len(&self) -> BodyLen {
        self.len
    }

    /// Whether there is no body, by what the head tells.
    pub fn is_empty(&self) -> bool {
        matches!(self.len, BodyLen::None | BodyLen::Known(0))
    }

    /// The trailers, once the body was read to its end, if there are some.
    pub fn trailers(&self) -> Option<Headers> {
        on!(&self.parser, reader => reader.trailers()).map(|trailers| trailers.to_headers())
    }

    /// The stream, and what was read from it and not used: behind the end of the body, what lies behind the message.
    pub fn into_parts(self) -> (R, Bytes) {
        let rest = on!(self.parser, reader => reader.into_rest());
        let left = &self.piece[self.left];
        let unread = match left.is_empty() {
            true => rest,
            false => [&rest[..], left].concat().into(),
        };
        (self.stream, unread)
    }
}

impl<R: Read> Read for MessageBody<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.over || buf.is_empty() {
            return Ok(0);
        }
        loop {
            let body = on!(&self.parser, reader => reader.body());
            let n = body.len().min(buf.len());
            if n > 0 {
                buf[..n].copy_from_slice(&body[..n]);
                on!(&mut self.parser, reader => reader.consume(n)).map_err(io::Error::other)?;
                return Ok(n);
            }
            match self.piece().map_err(io::Error::other)? {
                Piece::End | Piece::Nothing => {
                    self.over = true;
                    return Ok(0);
                }
                _ => {}
            }
        }
    }
}

impl<R> fmt::Debug for MessageBody<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MessageBody")
            .field("len", &self.len)
            .field("over", &self.over)
            .finish_non_exhaustive()
    }
}

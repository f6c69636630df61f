//! Messages without a connection: reading one request or response out of bytes, and writing one into bytes, with the
//! rules and bounds of the connection machines, which do the work.
//!
//! There is no keep-alive here, no time and no answer: one value is one message. What was fed and lies behind the
//! message is given back.
//!
//! ```
//! use antiphon_core::h1::standalone::{Piece, RequestReader, RequestWriter};
//! use antiphon_core::h1::{BodyLen, Limits, Profile};
//! use antiphon_core::{Fields, Method, Request, Target};
//!
//! let mut request = Request::new(Method::PUT, Target::new("/tea")?);
//! request.headers.append("host", "example.com")?;
//! let mut writer = RequestWriter::new(&request, BodyLen::Known(4))?;
//! writer.body(b"milk")?;
//! writer.finish(&Fields::EMPTY)?;
//! let mut wire = writer.take();
//! assert_eq!(wire, b"PUT /tea HTTP/1.1\r\nhost: example.com\r\ncontent-length: 4\r\n\r\nmilk");
//!
//! wire.extend_from_slice(b"and more");
//! let mut reader = RequestReader::new(Limits::SERVER, Profile::STRICT);
//! assert_eq!(reader.feed(&wire), wire.len());
//! assert_eq!(reader.piece()?, Piece::Head(BodyLen::Known(4)));
//! assert_eq!(reader.head().and_then(|h| h.to_request()).unwrap().target, request.target);
//! assert_eq!(reader.piece()?, Piece::Body);
//! assert_eq!(reader.take_body(), &b"milk"[..]);
//! assert_eq!(reader.piece()?, Piece::End);
//! assert_eq!(reader.into_rest(), &b"and more"[..]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use super::config::{ClientConfig, ErrorReply, Limits, Profile, ServerConfig};
use super::error::{Misuse, PeerError};
use super::event::{BodyLen, ClientEvent, ExchangeId, ServerEvent};
use super::head::{RequestHead, ResponseHead};
use super::{ClientConn, ServerConn};
use crate::message::Version;
use crate::{Field, FieldLines, Fields, Instant, Request, Response, Status};
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;
use core::fmt;

/// What a reader has to tell next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Piece {
    /// More bytes are needed, or the end of the input.
    NeedMore,
    /// An interim response; its head can be looked at until the next piece.
    Interim(Status),
    /// The head of the message is there; so long is its body. That of a response without a length ends with the input.
    Head(BodyLen),
    /// Bytes of the body can be taken.
    Body,
    /// The message is complete; trailers can be looked at. Told ever after.
    End,
    /// The input ended before a byte of a message.
    Nothing,
}

/// Reads one request. Bounds are the [`Limits`]; it holds no more than a connection would.
pub struct RequestReader {
    conn: ServerConn,
    id: Option<ExchangeId>,
    over: Option<Piece>,
}

/// Reads one response. Bounds are the [`Limits`]; it holds no more than a connection would.
pub struct ResponseReader {
    conn: ClientConn,
    id: Option<ExchangeId>,
    over: Option<Piece>,
}

impl RequestReader {
    /// A reader that has seen nothing. [`Limits::SERVER`] and [`Profile::STRICT`] are what a server goes by.
    pub fn new(limits: Limits, profile: Profile) -> RequestReader {
        let config = ServerConfig {
            limits,
            profile,
            error_reply: ErrorReply::Silent,
            ..ServerConfig::DEFAULT
        };
        RequestReader {
            conn: ServerConn::new(Arc::new(config), Instant::ZERO),
            id: None,
            over: None,
        }
    }

    /// The next piece.
    ///
    /// # Errors
    /// Which rule was broken, and at which byte, counted from the first one fed.
    pub fn piece(&mut self) -> Result<Piece, PeerError> {
        while self.over.is_none() {
            match self.conn.next_event()? {
                Some(ServerEvent::Request { id, body, .. }) => {
                    self.id = Some(id);
                    if body == BodyLen::None {
                        self.over = Some(Piece::End);
                    }
                    return Ok(Piece::Head(body));
                }
                Some(ServerEvent::Body { .. }) => return Ok(Piece::Body),
                Some(ServerEvent::BodyEnd { .. }) => self.over = Some(Piece::End),
                Some(_) => {}
                None if self.id.is_none() && self.conn.link.input_has_ended() => {
                    self.over = Some(Piece::Nothing);
                }
                None => return Ok(Piece::NeedMore),
            }
        }
        Ok(self.over.unwrap_or(Piece::NeedMore))
    }

    /// The request's head, once it is there.
    pub fn head(&self) -> Option<RequestHead<'_>> {
        self.conn.head(self.id?).ok()
    }
}

impl ResponseReader {
    /// A reader for the response to a request with this method, on which its framing depends. [`Limits::CLIENT`] and
    /// [`Profile::STRICT`] are what a client goes by.
    pub fn new(method: &str, limits: Limits, profile: Profile) -> ResponseReader {
        const HOST: Field<'static> = Field::from_static("host", "h");
        let config = ClientConfig {
            limits,
            profile,
            ..ClientConfig::DEFAULT
        };
        let mut conn = ClientConn::new(Arc::new(config), Instant::ZERO);
        // The request that it answers. All that counts of it is HEAD, CONNECT, or another; and that a switch may have
        // been proposed.
        let upgrade = [
            HOST,
            Field::from_static("connection", "upgrade"),
            Field::from_static("upgrade", "any"),
        ];
        let asked = match method {
            "CONNECT" => conn.send_request("CONNECT", "h:1", &[HOST], BodyLen::None),
            "HEAD" => conn.send_request("HEAD", "/", &upgrade, BodyLen::None),
            _ => conn.send_request("GET", "/", &upgrade, BodyLen::None),
        };
        let n = conn.outgoing().first().len() as u64;
        let sent = conn.sent(n, Instant::ZERO);
        debug_assert!(sent.is_ok(), "all of it lies in one piece");
        ResponseReader {
            conn,
            id: asked.ok(),
            over: None,
        }
    }

    /// The next piece.
    ///
    /// # Errors
    /// Which rule was broken, and at which byte, counted from the first one fed.
    pub fn piece(&mut self) -> Result<Piece, PeerError> {
        while self.over.is_none() {
            match self.conn.next_event()? {
                Some(ClientEvent::Interim { status, .. }) => return Ok(Piece::Interim(status)),
                Some(ClientEvent::Response { body, .. }) => return Ok(Piece::Head(body)),
                Some(ClientEvent::Body { .. }) => return Ok(Piece::Body),
                Some(ClientEvent::BodyEnd { .. }) => self.over = Some(Piece::End),
                Some(ClientEvent::ExchangeEnd { .. }) => self.over = Some(Piece::Nothing),
                Some(_) => {}
                None => return Ok(Piece::NeedMore),
            }
        }
        Ok(self.over.unwrap_or(Piece::NeedMore))
    }

    /// The response's head, once it is there; that of an interim response until the next piece.
    pub fn head(&self) -> Option<ResponseHead<'_>> {
        self.conn.head(self.id?).ok()
    }
}

macro_rules! reader {
    ($name:ident) => {
        impl $name {
            /// Takes bytes in; says how many. Fewer than were offered: look at the pieces first, and take the body.
            /// Bytes behind the message are taken as far as there is room; [`rest`](Self::rest) counts them.
            pub fn feed(&mut self, bytes: &[u8]) -> usize {
                self.conn.received_copy(bytes, Instant::ZERO)
            }

            /// No more bytes come.
            pub fn end_of_input(&mut self) {
                self.conn.received_eof(Instant::ZERO);
            }

            /// Body bytes that [`Piece::Body`] has announced.
            pub fn body(&self) -> &[u8] {
                self.conn.body()
            }

            /// The first `n` bytes of [`body`](Self::body) were used.
            ///
            /// # Errors
            /// [`Misuse::TooMuch`].
            pub fn consume(&mut self, n: usize) -> Result<(), Misuse> {
                self.conn.consume(n)
            }

            /// All of [`body`](Self::body), owned.
            pub fn take_body(&mut self) -> Bytes {
                self.conn.take_body()
            }

            /// The trailers, after [`Piece::End`], if there are some.
            pub fn trailers(&self) -> Option<Fields<'_>> {
                self.conn.trailers(self.id?).filter(|t| !t.is_empty())
            }

            /// How many bytes at the end of what was fed lie behind the message, after [`Piece::End`].
            pub fn rest(&self) -> usize {
                self.conn.link.unread().len()
            }

            /// Those bytes: nothing is lost.
            pub fn into_rest(self) -> Bytes {
                self.conn.into_parts().unread
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name))
                    .field("over", &self.over)
                    .finish_non_exhaustive()
            }
        }
    };
}

reader!(RequestReader);
reader!(ResponseReader);

/// Writes one request. What was written is taken with `take`, at best after each call; it is the caller who bounds how
/// much lies there.
pub struct RequestWriter {
    conn: ClientConn,
    id: ExchangeId,
}

/// Writes one response.
pub struct ResponseWriter {
    conn: ServerConn,
    id: ExchangeId,
}

/// Output is taken by the caller, and bodies are written as they come.
const UNBOUNDED: usize = usize::MAX;

impl RequestWriter {
    /// Begins with the head, in the form that its target has: the origin form, or the absolute form that proxies are
    /// told. `body` decides the framing. One `Host` must be among the fields.
    ///
    /// # Errors
    /// [`Misuse::Target`], [`Misuse::HostField`], [`Misuse::ForbiddenField`].
    pub fn new(request: &Request, body: BodyLen) -> Result<RequestWriter, Misuse> {
        let mut config = ClientConfig::DEFAULT;
        config.limits.send_buffer = UNBOUNDED;
        config.timeouts.continue_wait = None;
        let mut conn = ClientConn::new(Arc::new(config), Instant::ZERO);
        let (method, target) = (request.method.as_str(), request.target.as_str());
        let id = conn.send_request(method, target, &request.headers, body)?;
        Ok(RequestWriter { conn, id })
    }
}

impl ResponseWriter {
    /// Begins with the head of the answer to a request with this method and version, on which its framing depends: HEAD
    /// gets no body, HTTP/1.0 no chunks. `body` decides the framing otherwise. Interim responses and switches belong to
    /// a connection.
    ///
    /// # Errors
    /// [`Misuse::NotFinal`], [`Misuse::NoSwitchProposed`], [`Misuse::ForbiddenField`].
    pub fn new(
        response: &Response,
        body: BodyLen,
        method: &str,
        version: Version,
    ) -> Result<ResponseWriter, Misuse> {
        let mut config = ServerConfig::DEFAULT;
        config.limits.send_buffer = UNBOUNDED;
        let mut conn = ServerConn::new(Arc::new(config), Instant::ZERO);
        let asked: &[u8] = match (method, version) {
            ("HEAD", Version::Http11) => b"HEAD / HTTP/1.1\r\nHost: h\r\n\r\n",
            ("HEAD", Version::Http10) => b"HEAD / HTTP/1.0\r\n\r\n",
            (_, Version::Http11) => b"GET / HTTP/1.1\r\nHost: h\r\n\r\n",
            (_, Version::Http10) => b"GET / HTTP/1.0\r\n\r\n",
        };
        conn.received_copy(asked, Instant::ZERO);
        let Ok(Some(ServerEvent::Request { id, .. })) = conn.next_event() else {
            return Err(Misuse::UnknownExchange);
        };
        conn.send_head(id, response.status, &response.headers, body)?;
        Ok(ResponseWriter { conn, id })
    }
}

macro_rules! writer {
    ($name:ident) => {
        impl $name {
            /// Bytes of the body.
            ///
            /// # Errors
            /// [`Misuse::BodyTooLong`], [`Misuse::BodyFinished`].
            pub fn body(&mut self, bytes: &[u8]) -> Result<(), Misuse> {
                if bytes.is_empty() {
                    return Ok(());
                }
                self.conn.send_body(self.id, Bytes::copy_from_slice(bytes))
            }

            /// The end, with trailers, which need chunked framing.
            ///
            /// # Errors
            /// [`Misuse::BodyTooShort`], [`Misuse::TrailersNeedChunked`], [`Misuse::ForbiddenField`].
            pub fn finish<F: FieldLines + ?Sized>(&mut self, trailers: &F) -> Result<(), Misuse> {
                self.conn.finish(self.id, trailers)
            }

            /// What has to be written next.
            pub fn take(&mut self) -> Vec<u8> {
                let mut out = Vec::new();
                loop {
                    let n = {
                        let piece = self.conn.outgoing();
                        out.extend_from_slice(piece.first());
                        piece.first().len() as u64
                    };
                    if n == 0 || self.conn.sent(n, Instant::ZERO).is_err() {
                        return out;
                    }
                }
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name)).finish_non_exhaustive()
            }
        }
    };
}

writer!(RequestWriter);
writer!(ResponseWriter);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::h1::PeerErrorKind;
    use crate::{Headers, Method, Target};
    use quickcheck::quickcheck;
    use std::string::{String, ToString};
    use std::vec;

    /// What a reader has read: interim statuses, head, body, trailers; and what lay behind.
    type Read<H> = (Vec<u16>, Option<H>, Vec<u8>, Option<Headers>, Vec<u8>);

    macro_rules! drive {
        ($reader:expr, $wire:expr, $cut:expr, $to_owned:ident) => {{
            let (mut reader, mut wire, cut) = ($reader, $wire, $cut.max(1));
            let (mut interim, mut head, mut body, mut ended) = (vec![], None, vec![], false);
            let trailers = loop {
                match reader.piece()? {
                    Piece::NeedMore if wire.is_empty() => {
                        assert!(!ended, "neither bytes nor an end");
                        ended = true;
                        reader.end_of_input();
                    }
                    Piece::NeedMore => {
                        let n = reader.feed(&wire[..cut.min(wire.len())]);
                        assert!(n > 0, "wants more and takes nothing");
                        wire = &wire[n..];
                    }
                    Piece::Interim(status) => interim.push(status.code()),
                    Piece::Head(_) => head = Some(reader.head().unwrap().$to_owned()),
                    Piece::Body => body.extend_from_slice(&reader.take_body()),
                    Piece::End => {
                        assert_eq!(reader.piece(), Ok(Piece::End));
                        break reader.trailers().map(|t| t.to_headers());
                    }
                    Piece::Nothing => break None,
                }
            };
            assert_eq!(reader.rest(), reader.conn.link.unread().len());
            let mut rest = reader.into_rest().to_vec();
            rest.extend_from_slice(wire);
            Ok((interim, head, body, trailers, rest))
        }};
    }

    fn request(wire: &[u8], cut: usize) -> Result<Read<Option<Request>>, PeerError> {
        drive!(
            RequestReader::new(Limits::SERVER, Profile::STRICT),
            wire,
            cut,
            to_request
        )
    }

    fn response(method: &str, wire: &[u8], cut: usize) -> Result<Read<Response>, PeerError> {
        let reader = ResponseReader::new(method, Limits::CLIENT, Profile::STRICT);
        drive!(reader, wire, cut, to_response)
    }

    fn fields(n: u8) -> Headers {
        let mut headers = Headers::new();
        for i in 0..n % 5 {
            headers.append(std::format!("x-{i}"), i.to_string()).unwrap();
        }
        headers
    }

    #[test]
    fn the_end_of_the_input_at_each_place() {
        assert_eq!(request(b"", 1).unwrap().1, None);
        assert_eq!(response("GET", b"", 1).unwrap().1, None);
        let whole = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nab";
        for n in 1..whole.len() {
            let error = request(&whole[..n], 7).unwrap_err();
            assert_eq!(
                (error.kind(), error.offset()),
                (PeerErrorKind::UnexpectedEof, n as u64)
            );
        }
        let (_, _, body, ..) = response("GET", b"HTTP/1.1 200 OK\r\n\r\nto the end", 4).unwrap();
        assert_eq!(body, b"to the end");
    }

    #[test]
    fn errors_name_the_rule_and_the_byte() {
        let e = request(b"GET / HTTP/1.1\r\nHost: h\r\nbad field: x\r\n\r\n", 3).unwrap_err();
        assert_eq!((e.kind(), e.offset()), (PeerErrorKind::FieldName, 28));
        let e = response("GET", b"HTTP/1.1 20x OK\r\n\r\n", 3).unwrap_err();
        assert_eq!(e.kind(), PeerErrorKind::StatusLine);
    }

    #[test]
    fn what_the_method_means_for_a_response() {
        let wire = b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab";
        let (interim, _, body, _, rest) = response("GET", wire, 5).unwrap();
        assert_eq!((interim, &body[..], &rest[..]), (vec![103], &b"ab"[..], &b""[..]));
        for method in ["HEAD", "CONNECT"] {
            let (_, _, body, _, rest) = response(method, wire, 5).unwrap();
            assert_eq!((&body[..], &rest[..]), (&b""[..], &b"ab"[..]), "{method}");
        }
        let switch = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\nframes";
        let (_, head, _, _, rest) = response("GET", switch, 5).unwrap();
        assert_eq!((head.unwrap().status.code(), &rest[..]), (101, &b"frames"[..]));
        let mut head = ResponseWriter::new(
            &Response::new(Status::OK),
            BodyLen::Known(9),
            "HEAD",
            Version::Http11,
        )
        .unwrap();
        assert_eq!(head.take(), b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n");
    }

    quickcheck! {
        /// However it is cut, and whatever lies behind it.
        fn what_is_written_is_read(sizes: (u8, u8, u8), absolute: bool, chunks: Vec<Vec<u8>>, known: bool, rest: Vec<u8>)
            -> bool
        {
            let (n, trailing, cut) = sizes;
            let whole = chunks.concat();
            let len = if known { BodyLen::Known(whole.len() as u64) } else { BodyLen::Unknown };
            let trailers = if known { Headers::new() } else { fields(trailing) };
            let target = if absolute { "http://h/p?q" } else { "/p?q" };
            let mut request_head = Request::new(Method::PUT, Target::new(target).unwrap());
            request_head.headers = fields(n);
            request_head.headers.append("host", "h").unwrap();
            let mut response_head = Response::new(Status::OK);
            response_head.headers = fields(n);

            let mut request_writer = RequestWriter::new(&request_head, len).unwrap();
            let mut response_writer = ResponseWriter::new(&response_head, len, "GET", Version::Http11).unwrap();
            let (mut asked, mut answered) = (vec![], vec![]);
            for chunk in &chunks {
                request_writer.body(chunk).unwrap();
                response_writer.body(chunk).unwrap();
                asked.extend(request_writer.take());
            }
            request_writer.finish(&trailers).unwrap();
            response_writer.finish(&trailers).unwrap();
            asked.extend(request_writer.take());
            answered.extend(response_writer.take());
            asked.extend_from_slice(&rest);
            answered.extend_from_slice(&rest);

            let cut = usize::from(cut);
            let (_, head, body, got, left) = request(&asked, cut).unwrap();
            let mut head = head.flatten().unwrap();
            head.headers.remove("content-length");
            head.headers.remove("transfer-encoding");
            assert_eq!((&head, &body, &left), (&request_head, &whole, &rest));
            assert_eq!(got.unwrap_or_default(), trailers);

            let (_, head, body, got, left) = response("GET", &answered, cut).unwrap();
            let mut head = head.unwrap();
            head.headers.remove("content-length");
            head.headers.remove("transfer-encoding");
            assert_eq!((&head, &body, &left), (&response_head, &whole, &rest));
            got.unwrap_or_default() == trailers
        }

        fn no_bytes_panic(bytes: Vec<u8>, cut: usize, head: bool) -> bool {
            let method: String = if head { "HEAD".into() } else { "GET".into() };
            let _ = (request(&bytes, cut), response(&method, &bytes, cut));
            true
        }
    }
}

//! [`Body`]: the content of a message in either direction, in memory, from a reader, or still on its way in
//! from a connection. How a connection is driven while it is read lives with the server and the client; reading a body to
//! its end lives in `whole`.

use crate::client::ResponseBody;
use crate::decoded::Decoded;
use crate::error::{BoxError, Error, ErrorKind};
use crate::exclusive::Exclusive;
use crate::server::RequestBody;
use crate::upgraded::Upgraded;
use antiphon_core::h1::{BodyLen, CloseReason};
use antiphon_core::{Fields, Headers};
use bytes::{Buf, Bytes};
use std::fmt;
use std::io::{self, Read};
use std::sync::Arc;

/// The size of the pieces in which readers are read.
pub(crate) const PIECE: usize = 16 * 1024;

/// The content of a request or response.
///
/// To send: [`Body::empty`], from a string or bytes (`"text".into()`), [`Body::from_reader`] (length unknown:
/// chunked), [`Body::sized_reader`] or [`file_body`](crate::file_body) (`Content-Length`). Nothing is read before it can be
/// sent, so a body of any size takes constant memory.
///
/// To receive: [`Read`], or [`chunk`](Body::chunk) without a copy, or [`bytes`](Body::bytes) for all of it.
/// A received body can be sent on as it is: an echo handler is `Ok(Response::new(Status::OK)
/// .with_body(request.into_body()))`, and runs at the speed of the slower direction.
///
/// ```
/// use antiphon_blocking::Body;
/// use std::io::Read;
/// let mut body = Body::sized_reader(5, std::io::repeat(b'x'));
/// let mut text = String::new();
/// body.read_to_string(&mut text)?;
/// assert_eq!(text, "xxxxx");
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// Dropping a received body that was not read to its end is fine: a server discards a bounded rest or closes
/// the connection, a client too.
pub struct Body {
    source: Source,
    len: BodyLen,
    end: Option<Box<End>>,
}

enum Source {
    Empty,
    Full(Bytes),
    /// The reader and how much of the declared length is left.
    Reader(Exclusive<Box<dyn Read + Send>>, Option<u64>),
    Server(RequestBody),
    Client(Box<ResponseBody>),
    Decoded(Box<Decoded>),
}

/// What stands behind the content: received after the end, or to be sent.
#[derive(Default)]
struct End {
    trailers: Option<Headers>,
    close: Option<CloseReason>,
    /// Outgoing: how it is had again.
    make: Option<Arc<Make>>,
}

/// Makes a body again.
pub(crate) type Make = dyn Fn() -> Result<Body, BoxError> + Send + Sync;

impl Body {
    /// No body.
    pub const fn empty() -> Body {
        Body {
            source: Source::Empty,
            len: BodyLen::None,
            end: None,
        }
    }

    /// Everything that `reader` gives. The length is unknown: it is sent chunked (or, to an HTTP/1.0 client,
    /// until the connection closes).
    ///
    /// Each read is sent at once, so a reader that yields now and then makes a live stream. An error of it
    /// breaks the message off, so that the peer cannot take it for complete.
    pub fn from_reader(reader: impl Read + Send + 'static) -> Body {
        Body {
            source: Source::Reader(Exclusive::new(Box::new(reader)), None),
            len: BodyLen::Unknown,
            end: None,
        }
    }

    /// The next `len` bytes of `reader`, sent with `Content-Length`. Bytes beyond are not read; a reader that
    /// ends earlier breaks the message off with [`ErrorKind::Body`].
    pub fn sized_reader(len: u64, reader: impl Read + Send + 'static) -> Body {
        Body {
            source: Source::Reader(Exclusive::new(Box::new(reader)), Some(len)),
            len: BodyLen::Known(len),
            end: None,
        }
    }

    /// A body that can be sent again, as redirects (307, 308) and retries of a [`Client`](crate::Client) want it: `make`
    /// makes it, now and each time that it is wanted once more. What is in memory, and a file
    /// ([`file_body`](crate::file_body)), needs it not.
    ///
    /// Each time it has to be the same: `make` may be called while the one before is still being sent.
    ///
    /// # Errors
    /// What `make` says the first time. If it fails later, so does the request, with [`ErrorKind::Body`].
    ///
    /// ```
    /// use antiphon_blocking::{Body, BoxError};
    /// use std::io::Read;
    /// let body = Body::repeatable(|| Ok(Body::from_reader(std::io::repeat(b'x').take(1000))))?;
    /// # Ok::<(), BoxError>(())
    /// ```
    pub fn repeatable<F>(make: F) -> Result<Body, BoxError>
    where
        F: Fn() -> Result<Body, BoxError> + Send + Sync + 'static,
    {
        Ok(make()?.made_by(Arc::new(make)))
    }

    pub(crate) fn made_by(mut self, make: Arc<Make>) -> Body {
        self.end.get_or_insert_default().make = Some(make);
        self
    }

    /// How it is had again, if that is known.
    pub(crate) fn take_make(&mut self) -> Option<Arc<Make>> {
        self.end.as_mut()?.make.take()
    }

    /// No bytes, but this length is declared: what a response to HEAD has.
    pub(crate) fn declared(len: u64) -> Body {
        Body {
            source: Source::Empty,
            len: BodyLen::Known(len),
            end: None,
        }
    }

    pub(crate) fn server(body: RequestBody, len: BodyLen) -> Body {
        Body {
            source: Source::Server(body),
            len,
            end: None,
        }
    }

    pub(crate) fn client(body: Box<ResponseBody>, len: BodyLen) -> Body {
        Body {
            source: Source::Client(body),
            len,
            end: None,
        }
    }

    /// A response's content, decoded: how long it will be nobody knows.
    pub(crate) fn decoded(body: Box<Decoded>) -> Body {
        Body {
            source: Source::Decoded(body),
            len: BodyLen::Unknown,
            end: None,
        }
    }

    /// A response body that arrived whole with its head.
    pub(crate) fn arrived(
        bytes: Bytes,
        len: BodyLen,
        trailers: Option<Headers>,
        close: Option<CloseReason>,
    ) -> Body {
        let end = (trailers.is_some() || close.is_some()).then(|| {
            Box::new(End {
                trailers,
                close,
                make: None,
            })
        });
        let source = if bytes.is_empty() {
            Source::Empty
        } else {
            Source::Full(bytes)
        };
        Body { source, len, end }
    }

    /// Sends `trailers` after the body, which is then sent chunked whatever its length.
    #[must_use]
    pub fn with_trailers(mut self, trailers: Headers) -> Body {
        let end = self.end.get_or_insert_default();
        if let Some(make) = end.make.take() {
            let again = trailers.clone();
            end.make = Some(Arc::new(move || Ok(make()?.with_trailers(again.clone()))));
        }
        end.trailers = Some(trailers);
        if self.len == BodyLen::None {
            self.len = BodyLen::Unknown;
        }
        self
    }

    /// The length of the whole body as it was declared; what was read already counts.
    pub fn len(&self) -> BodyLen {
        self.len
    }

    /// Whether there is certainly nothing to read.
    pub fn is_empty(&self) -> bool {
        self.len.is_empty()
    }

    /// The next bytes, as they come: of a received body what is there, waiting if there is nothing; of a reader
    /// some 16 KiB. `None` at the end; after the end or an error it is `None`.
    ///
    /// # Errors
    /// Received: what happened to the connection. From a reader of the application's: [`ErrorKind::Body`].
    pub fn chunk(&mut self) -> Option<Result<Bytes, Error>> {
        match &mut self.source {
            Source::Empty => None,
            Source::Full(bytes) => {
                let bytes = std::mem::take(bytes);
                self.source = Source::Empty;
                Some(Ok(bytes)).filter(|b| b.as_ref().is_ok_and(|b| !b.is_empty()))
            }
            Source::Server(body) => {
                let next = body.chunk().transpose();
                self.settle(!matches!(next, Some(Ok(_))));
                next
            }
            Source::Client(body) => {
                let next = body.chunk().transpose();
                self.settle(!matches!(next, Some(Ok(_))));
                next
            }
            Source::Reader(..) | Source::Decoded(_) => {
                let mut piece = vec![0; PIECE];
                match self.read(&mut piece) {
                    Ok(0) => None,
                    Ok(n) => {
                        piece.truncate(n);
                        Some(Ok(piece.into()))
                    }
                    Err(e) => Some(Err(Error::from_body(e))),
                }
            }
        }
    }

    /// The same as [`chunk`](Body::chunk), under the name that iterators have. (`Body` is no [`Iterator`], since
    /// that would clash with [`Read`] in `take`, `chain` and `by_ref`.)
    ///
    /// # Errors
    /// As [`chunk`](Body::chunk).
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Option<Result<Bytes, Error>> {
        self.chunk()
    }

    /// The trailers: those that came, once the end of a received body was read; those that are to be sent, for
    /// an outgoing one.
    pub fn trailers(&self) -> Option<&Headers> {
        self.end.as_ref()?.trailers.as_ref()
    }

    /// Why the connection that this response body came on is not used again, once that is known.
    pub fn close_reason(&self) -> Option<CloseReason> {
        match &self.source {
            Source::Client(body) => body.close_reason(),
            Source::Decoded(body) => body.close_reason(),
            _ => self.end.as_ref()?.close,
        }
    }

    pub(crate) fn take_trailers(&mut self) -> Option<Headers> {
        self.end.as_mut()?.trailers.take()
    }

    /// The framing to send it with.
    pub(crate) fn framing(&self) -> BodyLen {
        match &self.end {
            Some(end) if end.trailers.is_some() => BodyLen::Unknown,
            _ => self.len,
        }
    }

    /// Its bytes, if all of them are in memory. The body is empty then.
    pub(crate) fn take_full(&mut self) -> Option<Bytes> {
        match &mut self.source {
            Source::Empty => Some(Bytes::new()),
            Source::Full(bytes) => {
                let bytes = std::mem::take(bytes);
                self.source = Source::Empty;
                Some(bytes)
            }
            _ => None,
        }
    }

    /// Says that it will be read: a request body that is sent back as it comes must not look unwanted.
    pub(crate) fn ask(&self) {
        if let Source::Server(body) = &self.source {
            body.ask();
        }
    }

    /// Whether it comes from a connection, which gives pieces of its own.
    pub(crate) fn is_received(&self) -> bool {
        matches!(
            self.source,
            Source::Server(_) | Source::Client(_) | Source::Decoded(_)
        )
    }

    /// Its length and its trailers, if all of it is in memory.
    pub(crate) fn content(&self) -> Option<(u64, Fields<'_>)> {
        let len = match &self.source {
            Source::Empty => 0,
            Source::Full(bytes) => bytes.len() as u64,
            _ => return None,
        };
        Some((len, self.trailers().map_or(Fields::EMPTY, Headers::as_fields)))
    }

    /// A second one with the same content, if it can be had without reading: for sending a request again.
    pub(crate) fn replay(&self) -> Option<Body> {
        let source = match &self.source {
            Source::Empty => Source::Empty,
            Source::Full(bytes) => Source::Full(bytes.clone()),
            _ => return None,
        };
        let trailers = self.trailers().cloned();
        let end = trailers.map(|t| {
            Box::new(End {
                trailers: Some(t),
                ..End::default()
            })
        });
        Some(Body {
            source,
            len: self.len,
            end,
        })
    }

    pub(crate) fn into_upgraded(self) -> Result<Upgraded, Error> {
        match self.source {
            Source::Client(body) if body.is_switched() => body.into_upgraded(),
            _ => Err(Error::new(ErrorKind::NotUpgraded, "taking the connection over")),
        }
    }

    /// Keeps what a received body knows at its end, and lets go of the connection.
    fn settle(&mut self, over: bool) {
        if !over {
            return;
        }
        let (trailers, close) = match &mut self.source {
            Source::Server(body) => (body.take_trailers(), None),
            // The connection is still wanted, by `Response::into_upgraded`.
            Source::Client(body) if body.is_switched() => return,
            Source::Client(body) => (body.take_trailers(), body.close_reason()),
            Source::Decoded(body) => (body.take_trailers(), body.close_reason()),
            _ => return,
        };
        if trailers.is_some() || close.is_some() {
            let end = self.end.get_or_insert_default();
            (end.trailers, end.close) = (trailers, close);
        }
        self.source = Source::Empty;
    }
}

impl Read for Body {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        let result = match &mut self.source {
            Source::Empty => return Ok(0),
            Source::Full(bytes) => {
                let n = bytes.len().min(buf.len());
                bytes.split_to(n).copy_to_slice(&mut buf[..n]);
                return Ok(n);
            }
            Source::Reader(reader, left) => read_some(reader.get(), left, buf),
            Source::Server(body) => body.read(buf).map_err(io::Error::from),
            Source::Client(body) => body.read(buf).map_err(io::Error::from),
            Source::Decoded(body) => body.read(buf).map_err(io::Error::from),
        };
        let over = !matches!(result, Ok(n) if n > 0);
        if over && matches!(self.source, Source::Reader(..)) {
            self.source = Source::Empty;
        }
        self.settle(over);
        result
    }
}

/// Reads within what is left of the declared length, and keeps a short reader from passing for a complete one.
fn read_some(reader: &mut dyn Read, left: &mut Option<u64>, buf: &mut [u8]) -> io::Result<usize> {
    let room = left.map_or(buf.len(), |n| {
        usize::try_from(n).unwrap_or(usize::MAX).min(buf.len())
    });
    if room == 0 {
        return Ok(0);
    }
    let n = loop {
        match reader.read(&mut buf[..room]) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            result => break result?,
        }
    };
    match left {
        Some(_) if n == 0 => {
            let cause = io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the reader ended before the declared length",
            );
            return Err(Error::new(ErrorKind::Body, "reading the body to be sent")
                .with_source(cause)
                .into());
        }
        Some(left) => *left -= n as u64,
        None => {}
    }
    Ok(n)
}

impl Default for Body {
    fn default() -> Body {
        Body::empty()
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Body {
        // Empty content is no body.
        let len = if bytes.is_empty() {
            BodyLen::None
        } else {
            BodyLen::Known(bytes.len() as u64)
        };
        Body {
            source: Source::Full(bytes),
            len,
            end: None,
        }
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Body {
        Bytes::from(bytes).into()
    }
}

impl From<String> for Body {
    fn from(text: String) -> Body {
        Bytes::from(text).into()
    }
}

impl From<&'static str> for Body {
    fn from(text: &'static str) -> Body {
        Bytes::from_static(text.as_bytes()).into()
    }
}

impl From<&'static [u8]> for Body {
    fn from(bytes: &'static [u8]) -> Body {
        Bytes::from_static(bytes).into()
    }
}

impl From<()> for Body {
    fn from((): ()) -> Body {
        Body::empty()
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(mut body: Body, limit: usize) -> Result<Bytes, Error> {
        Body::bytes(&mut body, limit)
    }

    #[test]
    fn bodies_and_heads_may_be_shared() {
        fn shared<T: Send + Sync>() {}
        shared::<Body>();
        shared::<crate::Request>();
        shared::<crate::Response>();
        shared::<crate::RequestBuilder>();
        shared::<crate::Upgraded>();
        shared::<Error>();
    }

    #[test]
    fn a_sized_reader_gives_exactly_its_length_or_fails() {
        let body = Body::sized_reader(3, &b"abcdef"[..]);
        assert_eq!(body.len(), BodyLen::Known(3));
        assert_eq!(all(body, 3).unwrap(), "abc");
        let mut short = Body::sized_reader(9, &b"abc"[..]);
        assert_eq!(short.chunk().unwrap().unwrap(), "abc");
        assert_eq!(short.chunk().unwrap().unwrap_err().kind(), ErrorKind::Body);
        assert!(short.chunk().is_none());
    }

    #[test]
    fn a_limit_holds_at_n_and_bites_at_n_plus_one() {
        let body = |n: usize| Body::from_reader(io::repeat(b'.').take(n as u64));
        assert_eq!(all(body(40_000), 40_000).unwrap().len(), 40_000);
        assert_eq!(
            all(body(40_001), 40_000).unwrap_err().kind(),
            ErrorKind::BodyTooLarge
        );
        assert_eq!(
            all(Body::from("abc"), 2).unwrap_err().kind(),
            ErrorKind::BodyTooLarge
        );
        assert_eq!(Body::from("abc").text(3).unwrap(), "abc");
        assert_eq!(
            Body::from(vec![0xff]).text(3).unwrap_err().kind(),
            ErrorKind::NotText
        );
    }

    #[test]
    fn only_bodies_in_memory_can_be_replayed() {
        assert_eq!(all(Body::from("abc").replay().unwrap(), 9).unwrap(), "abc");
        assert!(Body::from_reader(io::empty()).replay().is_none());
    }
}

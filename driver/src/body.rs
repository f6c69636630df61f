//! [`Body`]: a message body, in either direction. Where incoming bytes come from (the connection) lives with
//! the server's and the client's drivers; reading one to its end lives in `whole.rs`.

use crate::client::ResponseBody;
use crate::exclusive::Exclusive;
use crate::server::RequestBody;
use crate::{BoxError, Error, ErrorKind, Upgraded};
use antiphon_core::h1::{BodyLen, CloseReason};
use antiphon_core::{Fields, Headers};
use bytes::Bytes;
use futures_core::Stream;
use std::fmt;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

/// A message body: empty, bytes in memory, a stream of the application's, or what a connection receives.
///
/// Incoming bodies are read straight from the connection; whoever reads one drives it. Dropping an unread
/// body is fine: the driver discards the rest or closes the connection, whichever is cheaper.
///
/// ```
/// use antiphon_core::h1::BodyLen;
/// use antiphon_driver::Body;
///
/// assert_eq!(Body::from("hello").len(), BodyLen::Known(5));
/// assert_eq!(Body::empty().len(), BodyLen::None);
/// ```
pub struct Body {
    source: Source,
    len: BodyLen,
    end: Option<Box<End>>,
}

/// What stands after a body.
#[derive(Default)]
struct End {
    /// Incoming: the trailers received. Outgoing: the ones to send.
    trailers: Option<Headers>,
    /// Incoming on a client: why the connection is not used again.
    close: Option<CloseReason>,
    /// Outgoing: how it is had again.
    make: Option<Arc<Make>>,
}

/// Makes a body again.
pub(crate) type Make = dyn Fn() -> Result<Body, BoxError> + Send + Sync;

pub(crate) enum Source {
    Empty,
    Full(Bytes),
    Stream(Exclusive<Pin<Box<dyn Chunks>>>),
    Server(RequestBody),
    Client(Exclusive<Box<dyn ResponseBody>>),
}

/// What the application streams out.
pub(crate) trait Chunks: Send {
    fn poll_chunk(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BoxError>>>;

    /// The trailers, once the end was reached.
    fn trailers(self: Pin<&mut Self>) -> Option<Headers> {
        None
    }
}

impl<S, E> Chunks for S
where
    S: Stream<Item = Result<Bytes, E>> + Send,
    E: Into<BoxError>,
{
    fn poll_chunk(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BoxError>>> {
        self.poll_next(cx)
            .map(|next| next.map(|chunk| chunk.map_err(Into::into)))
    }
}

/// Tells how much of a body was sent.
struct Counted<F: FnOnce(u64) + Send> {
    body: Body,
    taken: u64,
    done: Option<F>,
}

impl<F: FnOnce(u64) + Send + Unpin> Chunks for Counted<F> {
    fn poll_chunk(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BoxError>>> {
        let this = self.get_mut();
        let next = ready!(this.body.poll_chunk(cx));
        if let Some(Ok(bytes)) = &next {
            this.taken += bytes.len() as u64;
        }
        Poll::Ready(next.map(|chunk| chunk.map_err(Into::into)))
    }

    fn trailers(self: Pin<&mut Self>) -> Option<Headers> {
        self.get_mut().body.take_trailers()
    }
}

impl<F: FnOnce(u64) + Send> Drop for Counted<F> {
    fn drop(&mut self) {
        if let Some(done) = self.done.take() {
            // Dropped wherever the driver drops a body, perhaps while another panic unwinds: a panic of the
            // application's here must not take more than itself.
            let taken = self.taken;
            let _ = catch_unwind(AssertUnwindSafe(|| done(taken)));
        }
    }
}

impl Body {
    /// No body.
    pub const fn empty() -> Body {
        Body {
            source: Source::Empty,
            len: BodyLen::None,
            end: None,
        }
    }

    /// A body of unknown length: it is sent chunked (or, to an HTTP/1.0 client, until the connection closes).
    ///
    /// The stream is polled only when there is room to send, one chunk at a time. An error of it breaks the
    /// message off, so that the peer cannot take it for complete.
    pub fn from_stream<S, E>(stream: S) -> Body
    where
        S: Stream<Item = Result<Bytes, E>> + Send + 'static,
        E: Into<BoxError>,
    {
        Body::streaming(Box::pin(stream), BodyLen::Unknown)
    }

    /// A body of exactly `len` bytes, sent with `Content-Length`. A stream that gives more or fewer breaks the
    /// message off.
    pub fn sized<S, E>(len: u64, stream: S) -> Body
    where
        S: Stream<Item = Result<Bytes, E>> + Send + 'static,
        E: Into<BoxError>,
    {
        Body::streaming(Box::pin(stream), BodyLen::Known(len))
    }

    /// A body that can be sent again, as redirects (307, 308) and retries of a [`Client`](crate::Client) want it: `make`
    /// makes it, now and each time that it is wanted once more. What is in memory, and a file, needs it not.
    ///
    /// Each time it has to be the same: `make` may be called while the one before is still being sent.
    ///
    /// # Errors
    /// What `make` says the first time. If it fails later, so does the request, with [`ErrorKind::Body`].
    ///
    /// ```
    /// # use antiphon_driver::{Body, BoxError};
    /// # struct Lines(u32);
    /// # impl futures_core::Stream for Lines {
    /// #     type Item = Result<bytes::Bytes, BoxError>;
    /// #     fn poll_next(self: std::pin::Pin<&mut Self>, _: &mut std::task::Context<'_>)
    /// #         -> std::task::Poll<Option<Self::Item>> { std::task::Poll::Ready(None) }
    /// # }
    /// let body = Body::repeatable(|| Ok(Body::from_stream(Lines(1000))))?;
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

    pub(crate) fn streaming(chunks: Pin<Box<dyn Chunks>>, len: BodyLen) -> Body {
        Body {
            source: Source::Stream(Exclusive::new(chunks)),
            len,
            end: None,
        }
    }

    /// No bytes, but this length is declared: what a response to HEAD has.
    pub(crate) fn declared(len: u64) -> Body {
        Body {
            source: Source::Empty,
            len: BodyLen::Known(len),
            end: None,
        }
    }

    /// The same body; `done` is told how many bytes were taken from it, once it ended or was given up.
    pub(crate) fn counted(self, done: Box<dyn FnOnce(u64) + Send>) -> Body {
        let len = self.framing();
        let counted = Counted {
            body: self,
            taken: 0,
            done: Some(done),
        };
        Body::streaming(Box::pin(counted), len)
    }

    pub(crate) fn server(body: RequestBody, len: BodyLen) -> Body {
        Body {
            source: Source::Server(body),
            len,
            end: None,
        }
    }

    pub(crate) fn client(body: Box<dyn ResponseBody>, len: BodyLen) -> Body {
        Body {
            source: Source::Client(Exclusive::new(body)),
            len,
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
        let make = None;
        let end = (trailers.is_some() || close.is_some()).then(|| {
            Box::new(End {
                trailers,
                close,
                make,
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

    /// The next bytes, as they come; `None` at the end. After the end or an error it is `None`.
    ///
    /// # Errors
    /// Incoming: what happened to the connection. From a stream of the application's: [`ErrorKind::Body`].
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing: bytes stay with the connection until a chunk was returned.
    pub async fn chunk(&mut self) -> Option<Result<Bytes, Error>> {
        poll_fn(|cx| self.poll_chunk(cx)).await
    }

    /// The same as [`chunk`](Body::chunk), under the name that streams have.
    ///
    /// # Errors
    /// As [`chunk`](Body::chunk).
    ///
    /// # Cancel safety
    /// As [`chunk`](Body::chunk).
    pub async fn next(&mut self) -> Option<Result<Bytes, Error>> {
        self.chunk().await
    }

    /// Polls for the next bytes: what [`chunk`](Body::chunk) awaits.
    pub fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Error>>> {
        let next = match &mut self.source {
            Source::Empty => return Poll::Ready(None),
            Source::Full(bytes) => {
                let bytes = std::mem::take(bytes);
                self.source = Source::Empty;
                return Poll::Ready((!bytes.is_empty()).then_some(Ok(bytes)));
            }
            Source::Stream(stream) => match ready!(stream.get().as_mut().poll_chunk(cx)) {
                Some(Err(e)) => Some(Err(Error::new(ErrorKind::Body, "reading a body").with_source(e))),
                Some(Ok(bytes)) => Some(Ok(bytes)),
                None => {
                    if let Some(trailers) = stream.get().as_mut().trailers() {
                        self.end.get_or_insert_default().trailers = Some(trailers);
                    }
                    None
                }
            },
            Source::Server(body) => {
                let next = ready!(body.poll_chunk(cx));
                if next.is_none()
                    && let Some(trailers) = body.take_trailers()
                {
                    self.end.get_or_insert_default().trailers = Some(trailers);
                }
                next
            }
            Source::Client(body) => {
                let body = body.get();
                let next = ready!(body.poll_chunk(cx));
                if !matches!(next, Some(Ok(_))) {
                    let (trailers, close) = (body.take_trailers(), body.close_reason());
                    if trailers.is_some() || close.is_some() {
                        let end = self.end.get_or_insert_default();
                        (end.trailers, end.close) = (trailers, close);
                    }
                    if body.is_switched() {
                        // The connection is still wanted, by `Response::into_upgraded`.
                        return Poll::Ready(next);
                    }
                }
                next
            }
        };
        if !matches!(next, Some(Ok(_))) {
            self.source = Source::Empty;
        }
        Poll::Ready(next)
    }

    /// The trailers: those that came, once the end of an incoming body was read; those that are to be sent,
    /// for an outgoing one.
    pub fn trailers(&self) -> Option<&Headers> {
        self.end.as_ref()?.trailers.as_ref()
    }

    /// Why the connection that this response body came on is not used again, once that is known.
    pub fn close_reason(&self) -> Option<CloseReason> {
        match &self.source {
            Source::Client(body) => body.look(|body| body.close_reason()),
            _ => self.end.as_ref()?.close,
        }
    }

    pub(crate) fn take_trailers(&mut self) -> Option<Headers> {
        self.end.as_mut()?.trailers.take()
    }

    /// How it is had again, if that is known.
    pub(crate) fn take_make(&mut self) -> Option<Arc<Make>> {
        self.end.as_mut()?.make.take()
    }

    /// The framing to send it with.
    pub(crate) fn framing(&self) -> BodyLen {
        match &self.end {
            Some(end) if end.trailers.is_some() => BodyLen::Unknown,
            _ => self.len,
        }
    }

    /// Whether the rest of it can be had without running anybody's code.
    pub(crate) fn is_in_memory(&self) -> bool {
        matches!(self.source, Source::Empty | Source::Full(_))
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
            Source::Client(body) if body.look(|body| body.is_switched()) => body.into_inner().into_upgraded(),
            _ => Err(Error::new(ErrorKind::NotUpgraded, "taking the connection over")),
        }
    }
}

impl Default for Body {
    fn default() -> Body {
        Body::empty()
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Body {
        // As in Go, an empty body in memory is none; POST, PUT and PATCH say `Content-Length: 0` all the same.
        let len = match bytes.len() as u64 {
            0 => BodyLen::None,
            n => BodyLen::Known(n),
        };
        let source = if bytes.is_empty() {
            Source::Empty
        } else {
            Source::Full(bytes)
        };
        Body {
            source,
            len,
            end: None,
        }
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

impl From<String> for Body {
    fn from(text: String) -> Body {
        Bytes::from(text).into()
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Body {
        Bytes::from(bytes).into()
    }
}

impl From<()> for Body {
    fn from((): ()) -> Body {
        Body::empty()
    }
}

/// A body is a stream of its chunks, so an incoming one can be given to [`Body::from_stream`].
impl Stream for Body {
    type Item = Result<Bytes, Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll_chunk(cx)
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let source = match &self.source {
            Source::Empty => "empty",
            Source::Full(_) => "in memory",
            Source::Stream(_) => "stream",
            Source::Server(_) | Source::Client(_) => "connection",
        };
        f.debug_struct("Body")
            .field("source", &source)
            .field("len", &self.len)
            .finish_non_exhaustive()
    }
}

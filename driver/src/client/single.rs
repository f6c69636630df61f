//! [`ClientConnection`]: one connection outside the pool, for those who build their own. Whose turn it is is decided by
//! the core's [`Single`]; here it meets wakers and sockets. Requests go over it as [`Exchange`]s, those of the pool.
//!
//! Nobody watches it while it rests, unless somebody waits for its end: it is looked at when it is asked or used.

use super::Client;
use super::call::ResponseBody;
use super::connection::Conn;
use super::exchange::Exchange;
use super::hub::{Hub, before};
use super::seat::{Seat, Shared};
use super::upload::Upload;
use crate::runtime::{Runtime, Spawn, Stream};
use crate::{Body, Error, ErrorKind, Response, Task, Upgraded};
use antiphon_core::client::single::{Promise, State};
use antiphon_core::client::{Origin, Route, Scheme, Unsendable, Url, settle};
use antiphon_core::h1::{BodyLen, ClientConn, CloseReason, Misuse};
use antiphon_core::{Headers, Request};
use bytes::Bytes;
use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

const CONNECTING: &str = "connecting";
const SENDING: &str = "sending the request";

/// One HTTP/1.1 connection outside the pool of a [`Client`], for those who build their own. Clones are the same
/// connection; when the last one is dropped, it is closed, after the request that is under way.
///
/// Made by [`Client::connect`], by [`Client::adopt`] from a stream, or by [`ClientConnection::new`].
///
/// It takes one request at a time: requests are not pipelined, as the machine below has one exchange open at once.
/// A request is sent as it is: no redirects, no retries, no cookies, no decoding, no `User-Agent` of our own. Its
/// response's body has to be read, or dropped, before the next one; whether the connection can then be used again
/// the core decides. One on which bytes arrived while it was idle, or its end, is never used again.
///
/// What the client is set to is kept: limits, deadlines, strictness, the observer.
pub struct ClientConnection<R: Runtime> {
    hub: Arc<Hub<R>>,
    shared: Arc<Shared<R>>,
}

impl<R: Runtime> Clone for ClientConnection<R> {
    fn clone(&self) -> Self {
        ClientConnection {
            hub: self.hub.clone(),
            shared: self.shared.clone(),
        }
    }
}

impl<R: Runtime + Spawn<Task>> Client<R> {
    /// Connects to the origin of `url` (whose path does not matter) for a connection outside the pool: by the client's
    /// rules, with its resolver, dialer, proxies and TLS. The connection adds the `Host` of that origin to requests
    /// without one, and words them for the proxy.
    ///
    /// # Errors
    /// Everything that can go wrong with connecting, see [`ErrorKind`]; [`ErrorKind::InvalidUrl`],
    /// and [`ErrorKind::Unsupported`] for a URL with credentials: send a field instead.
    ///
    /// # Cancel safety
    /// Dropping the future closes everything that was begun.
    pub async fn connect(&self, url: &str) -> Result<ClientConnection<R>, Error> {
        let unsendable = |why| Error::unsendable(CONNECTING, why);
        let url = Url::parse(url).map_err(|e| unsendable(Unsendable::Url(e)))?;
        let config = &self.hub.calls.config;
        if url.userinfo().is_some() {
            return Err(unsendable(Unsendable::Credentials));
        }
        if config.plain_only && url.scheme() == Scheme::Https {
            return Err(unsendable(Unsendable::Tls));
        }
        let route = Route::new(&url, &config.proxies)
            .map_err(|e| Error::new(ErrorKind::Proxy, CONNECTING).with_source(e))?;
        let dialed = self.hub.connect(&route, self.hub.own_tracer());
        let conn = match config.connect_timeout {
            None => dialed.await?,
            Some(most) => {
                let at = self.hub.runtime.now() + most;
                let late = || Error::new(ErrorKind::Timeout, CONNECTING);
                before(&self.hub.runtime, at, dialed).await.ok_or_else(late)??
            }
        };
        let remote = Some(conn.remote);
        let origin = Some(Origin::new(&url, &route));
        Ok(ClientConnection::over(self.hub.clone(), conn, remote, origin))
    }

    /// A connection outside the pool over a stream that leads to a server already, TLS and proxies included: HTTP is
    /// spoken on it at once. Each request has to bring its `Host`.
    pub fn adopt(&self, stream: impl Stream + Send + 'static) -> ClientConnection<R> {
        let conn = self.hub.over(Box::new(stream));
        ClientConnection::over(self.hub.clone(), conn, None, None)
    }
}

impl<R: Runtime + Spawn<Task> + Default> ClientConnection<R> {
    /// A connection over `stream` with the default settings: see [`Client::adopt`].
    pub fn new(stream: impl Stream + Send + 'static) -> ClientConnection<R> {
        // What the environment says of proxies need not be read.
        Client::builder().no_proxy().build().adopt(stream)
    }
}

impl<R: Runtime + Spawn<Task>> ClientConnection<R> {
    fn over(
        hub: Arc<Hub<R>>,
        conn: Box<Conn<R>>,
        remote: Option<std::net::SocketAddr>,
        origin: Option<Origin>,
    ) -> ClientConnection<R> {
        let timeout = hub.calls.config.timeout;
        ClientConnection {
            hub,
            shared: Arc::new(Shared::new(conn, remote, origin, timeout)),
        }
    }

    /// Sends a request and waits for the head of its final response. The body of the request goes on being sent while
    /// the response's body is read.
    ///
    /// The framing fields of `request` decide how the body is framed, where there are some; its version is not looked
    /// at.
    ///
    /// # Errors
    /// [`ErrorKind::Misuse`] with [`Misuse::NotReady`] while another request is under way or promised: the connection
    /// is as it was. [`ErrorKind::Closed`] and the like once it is over: nothing was sent if it was over before.
    /// What may not be sent is told before anything is: [`ErrorKind::InvalidRequest`], [`ErrorKind::Misuse`].
    /// Else everything that can go wrong, see [`ErrorKind`]; after an error of those the connection is closed.
    ///
    /// # Cancel safety
    /// Dropping the future gives the request up: the connection is closed, since the server may be at work on it.
    /// Before the first poll nothing has happened.
    pub async fn send(&self, request: Request, body: impl Into<Body>) -> Result<Response, Error> {
        self.exchange(&mut None, request, body.into()).await
    }

    /// How long a request may take from now on, from [`send`](Self::send) to the end of the response's body. At first
    /// it is the client's [`timeout`](crate::ClientBuilder::timeout), if it has one.
    pub fn set_timeout(&self, timeout: Option<Duration>) {
        self.shared.set_timeout(timeout);
    }

    /// How many requests it takes now, 1 or 0. Looks at the connection: 0 also if the peer has closed it, or has sent
    /// something that it was not asked for.
    pub fn available(&self) -> usize {
        self.shared.looked(|single| single.available())
    }

    /// How many requests are under way or promised: 0 or 1.
    pub fn in_flight(&self) -> usize {
        self.shared.look(|single| single.in_flight())
    }

    /// Promises the next request to the caller: nobody else can send one until the reservation is used or dropped.
    /// `None`: it takes no request now. Looks at the connection, as [`available`](Self::available) does.
    pub fn reserve(&self) -> Option<Reservation<R>> {
        let promise = self.shared.looked(|single| single.reserve())?;
        Some(Reservation {
            connection: self.clone(),
            promise: Some(promise),
        })
    }

    /// How it stands, as far as is known without looking at the connection.
    pub fn state(&self) -> State {
        self.shared.look(|single| single.state())
    }

    /// Calls `hook` with the new state when it has changed: one call at a time, and the last one tells how it stands;
    /// states that passed in the meantime may be left out. It replaces the hook before it.
    ///
    /// It is called where things happen, under no lock, and may use the connection; a panic of it is caught. That an
    /// idle connection ended is noticed only when somebody looks, or waits for [`closed`](Self::closed).
    pub fn on_state(&self, hook: impl Fn(State) + Send + Sync + 'static) {
        self.shared.set_hook(Arc::new(hook));
    }

    /// Takes no more requests. An idle connection is closed at once, a promise is void; a request under way is
    /// finished first (to break that off, drop its future or its response).
    pub fn close(&self) {
        let closed = self.shared.with(|single| single.close());
        drop(closed);
    }

    /// Why it is closed, if it is. Looks at the connection, as [`available`](Self::available) does.
    pub fn close_reason(&self) -> Option<CloseReason> {
        match self.shared.looked(|single| single.state()) {
            State::Closed(reason) => Some(reason),
            _ => None,
        }
    }

    /// Waits until it is over, and says why; `None` if it speaks another protocol now. While the connection is idle it
    /// is watched meanwhile, its idle deadline ([`Timeouts::idle`](crate::Timeouts::idle), `Keep-Alive: timeout`)
    /// included.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub async fn closed(&self) -> Option<CloseReason> {
        match self.shared.wait(State::is_over).await {
            State::Closed(reason) => Some(reason),
            _ => None,
        }
    }

    /// Waits until it takes a request. Several who wait are all told; who then comes first has it.
    ///
    /// # Errors
    /// [`ErrorKind::Closed`] and the like once it is over.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub async fn ready(&self) -> Result<(), Error> {
        match self.shared.wait(|s| s == State::Idle || s.is_over()).await {
            State::Idle => Ok(()),
            state => Err(in_the_way(state)),
        }
    }

    async fn exchange(
        &self,
        promise: &mut Option<Promise>,
        mut request: Request,
        mut body: Body,
    ) -> Result<Response, Error> {
        let len = self.shared.complete(&mut request, &body)?;
        let limit = self.shared.timeout().map(|most| self.hub.runtime.now() + most);
        let mut conn = self
            .shared
            .looked(|single| single.begin(promise.take()))
            .map_err(in_the_way)?;
        let (method, target) = (request.method.as_str(), request.target.as_str());
        let id = match conn.machine.send_request(method, target, &request.headers, len) {
            Ok(id) => id,
            Err(misuse) => {
                let spare = self.shared.with(|single| single.not_begun(conn));
                drop(spare);
                return Err(Error::unsendable(SENDING, misuse.into()));
            }
        };
        let held = request.headers.as_fields().has_token("expect", "100-continue");
        let upload = match len {
            BodyLen::None => Upload::NONE,
            len => Upload::new(
                std::mem::take(&mut body),
                len,
                held && self.hub.holds_bodies(),
                None,
            ),
        };
        let seat = Seat::Single(self.shared.clone());
        let mut exchange = Exchange::new(self.hub.clone(), conn, seat, id, upload, limit);
        let response = poll_fn(|cx| exchange.poll_head(cx)).await?;
        let len = exchange.body_len();
        let pending = exchange.settle();
        if exchange.is_over() {
            let (trailers, close) = (exchange.take_trailers(), exchange.close_reason());
            return Ok(response.with_body(Body::arrived(pending, len, trailers, close)));
        }
        Ok(response.with_body(Body::client(Box::new(Incoming { exchange, pending }), len)))
    }
}

impl<R: Runtime> Shared<R> {
    /// Makes the request what is sent, and says how its body is framed; tells what may not be sent.
    fn complete(&self, request: &mut Request, body: &Body) -> Result<BodyLen, Error> {
        let unsendable = |why| Error::unsendable(SENDING, why);
        if let Some(origin) = self.origin() {
            origin.complete(request).map_err(unsendable)?;
        }
        let len = settle(request, body.framing()).map_err(unsendable)?;
        if let Some((n, trailers)) = body.content() {
            ClientConn::check_body(len, n, &trailers).map_err(|e| unsendable(e.into()))?;
        }
        Ok(len)
    }
}

/// The error of a connection that takes no request.
fn in_the_way(state: State) -> Error {
    match state {
        State::Closed(reason) => Error::closed(SENDING, reason),
        _ => Error::new(ErrorKind::Misuse(Misuse::NotReady), SENDING).with_source(state),
    }
}

impl<R: Runtime> fmt::Debug for ClientConnection<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientConnection")
            .field("state", &self.shared.look(|single| single.state()))
            .finish_non_exhaustive()
    }
}

/// The right to send the next request on a [`ClientConnection`]. Dropping it gives the right back.
///
/// It does not keep the connection alive: the peer may close it meanwhile, which [`send`](Self::send) tells.
pub struct Reservation<R: Runtime> {
    connection: ClientConnection<R>,
    /// Until it is used.
    promise: Option<Promise>,
}

impl<R: Runtime + Spawn<Task>> Reservation<R> {
    /// Sends the request: see [`ClientConnection::send`].
    ///
    /// # Errors
    /// As [`ClientConnection::send`]. If the request may not be sent, the right is given back.
    ///
    /// # Cancel safety
    /// As [`ClientConnection::send`]. Before the first poll the right is given back.
    pub async fn send(mut self, request: Request, body: impl Into<Body>) -> Result<Response, Error> {
        let connection = self.connection.clone();
        connection.exchange(&mut self.promise, request, body.into()).await
    }
}

impl<R: Runtime> Drop for Reservation<R> {
    fn drop(&mut self) {
        if let Some(promise) = self.promise.take() {
            self.connection.shared.with(|single| single.release(promise));
        }
    }
}

impl<R: Runtime> fmt::Debug for Reservation<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reservation").finish_non_exhaustive()
    }
}

/// The response's body on its way in.
struct Incoming<R: Runtime + Spawn<Task>> {
    exchange: Exchange<R>,
    /// Taken from the connection already.
    pending: Bytes,
}

impl<R: Runtime + Spawn<Task>> ResponseBody for Incoming<R> {
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Error>>> {
        if !self.pending.is_empty() {
            return Poll::Ready(Some(Ok(std::mem::take(&mut self.pending))));
        }
        self.exchange.poll_body(cx)
    }

    fn take_trailers(&mut self) -> Option<Headers> {
        self.exchange.take_trailers()
    }

    fn close_reason(&self) -> Option<CloseReason> {
        self.exchange.close_reason()
    }

    fn is_switched(&self) -> bool {
        self.exchange.is_switched()
    }

    fn into_upgraded(self: Box<Self>) -> Result<Upgraded, Error> {
        self.exchange.into_upgraded()
    }
}

#[allow(dead_code)]
const fn connections_are_send_and_sync<R: Runtime>() {
    const fn both<T: Send + Sync>() {}
    both::<ClientConnection<R>>();
    both::<Reservation<R>>();
}

//! [`ClientConnection`]: one connection outside the pool, for those who build their own. Whose turn it is is decided by
//! the core's `Single`; requests go over it as [`Exchange`]s, those of the pool.
//!
//! Nobody watches it while it rests: it is looked at when it is asked or used.

use super::Client;
use super::exchange::Exchange;
use super::failure::CONNECTING;
use super::hub::{Conn, Held, Hub};
use super::seat::{Seat, Shared};
use crate::body::Body;
use crate::clock;
use crate::error::{Error, ErrorKind};
use crate::response::{Received, Response};
use crate::stream::Stream;
use antiphon_core::Request;
use antiphon_core::client::single::{Promise, State};
use antiphon_core::client::{Origin, Route, Scheme, Unsendable, Url, settle};
use antiphon_core::h1::{BodyLen, ClientConn, CloseReason, Misuse};
use std::fmt;
use std::io;
use std::mem;
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

const SENDING: &str = "sending the request";

/// One HTTP/1.1 connection outside the pool of a [`Client`], for those who build their own. Clones are the same
/// connection; when the last one is dropped, it is closed, after the request that is under way.
///
/// Made by [`Client::connect`], by [`Client::adopt`] from a socket, or by [`ClientConnection::new`].
///
/// It takes one request at a time: requests are not pipelined, as the machine below has one exchange open at once.
/// A request is sent as it is: no redirects, no retries, no cookies, no decoding, no `User-Agent` of our own. Its
/// response's body has to be read, or dropped, before the next one; whether the connection can then be used again
/// the core decides. One on which bytes arrived while it was idle, or its end, is never used again.
///
/// What the client is set to is kept: limits, deadlines, strictness.
#[derive(Clone)]
pub struct ClientConnection {
    hub: Arc<Hub>,
    shared: Arc<Shared>,
}

impl Client {
    /// Connects to the origin of `url` (whose path does not matter) for a connection outside the pool: by the client's
    /// rules, with its resolver, dialer, proxies and TLS. The connection adds the `Host` of that origin to requests
    /// without one, and words them for the proxy.
    ///
    /// # Errors
    /// Everything that can go wrong with connecting, see [`ErrorKind`]; [`ErrorKind::InvalidUrl`],
    /// and [`ErrorKind::Unsupported`] for a URL with credentials: send a field instead.
    pub fn connect(&self, url: &str) -> Result<ClientConnection, Error> {
        let unsendable = |why| Error::unsendable(CONNECTING, why);
        let url = Url::parse(url).map_err(|e| unsendable(Unsendable::Url(e)))?;
        let config = &self.hub.call;
        if url.userinfo().is_some() {
            return Err(unsendable(Unsendable::Credentials));
        }
        if config.plain_only && url.scheme() == Scheme::Https {
            return Err(unsendable(Unsendable::Tls));
        }
        let route = Route::new(&url, &config.proxies)
            .map_err(|e| Error::new(ErrorKind::Proxy, CONNECTING).with_source(e))?;
        let until = config.connect_timeout.map(|most| clock::mono() + most);
        let conn = self.hub.dial(&route, until, self.hub.own_tracer())?;
        Ok(self.single(conn, Some(Origin::new(&url, &route))))
    }

    /// A connection outside the pool over a socket that leads to a server already: HTTP is spoken on it at once. Each
    /// request has to bring its `Host`.
    ///
    /// # Errors
    /// What the system says when the socket is set not to block, or is not connected.
    pub fn adopt(&self, socket: TcpStream) -> io::Result<ClientConnection> {
        socket.set_nonblocking(true)?;
        let remote = socket.peer_addr()?;
        let conn = self.hub.over(Stream::plain(Arc::new(socket)), remote);
        Ok(self.single(conn, None))
    }

    fn single(&self, conn: Conn, origin: Option<Origin>) -> ClientConnection {
        ClientConnection {
            hub: Arc::clone(&self.hub),
            shared: Arc::new(Shared::new(conn, origin, self.hub.call.timeout)),
        }
    }
}

impl ClientConnection {
    /// A connection over `socket` with the default settings: see [`Client::adopt`].
    ///
    /// # Errors
    /// As [`Client::adopt`].
    pub fn new(socket: TcpStream) -> io::Result<ClientConnection> {
        // What the environment says of proxies need not be read.
        Client::builder().no_proxy().build().adopt(socket)
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
    pub fn send(&self, request: Request, body: impl Into<Body>) -> Result<Response, Error> {
        self.exchange(&mut None, request, body.into())
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
    pub fn reserve(&self) -> Option<Reservation> {
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
    /// idle connection ended is noticed only when somebody looks.
    pub fn on_state(&self, hook: impl Fn(State) + Send + Sync + 'static) {
        self.shared.set_hook(Arc::new(hook));
    }

    /// Takes no more requests. An idle connection is closed at once, a promise is void; a request under way is
    /// finished first (to break that off, drop its response).
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

    fn exchange(
        &self,
        promise: &mut Option<Promise>,
        mut request: Request,
        body: Body,
    ) -> Result<Response, Error> {
        let len = self.complete(&mut request, &body)?;
        let until = self.shared.timeout().map(|most| clock::mono() + most);
        let conn = self
            .shared
            .looked(|single| single.begin(promise.take()))
            .map_err(in_the_way)?;
        let seat = Seat::Single(Arc::clone(&self.shared));
        let held = Held::new(&self.hub, conn, seat, self.hub.own_tracer());
        let (remote, reused) = (held.remote(), held.reused());
        let mut exchange = Exchange::begin(held, len, body, None, until, |machine| {
            let (method, target) = (request.method.as_str(), request.target.as_str());
            Ok(machine.send_request(method, target, &request.headers, len)?)
        })?;
        let (head, reason) = match exchange.response() {
            Ok(response) => response,
            Err(e) => {
                exchange.ends(&e);
                return Err(e);
            }
        };
        let informational = mem::take(&mut exchange.interim);
        let body = match exchange.has_content() {
            true => exchange.into_body(None, None),
            false => exchange.into_empty_body(),
        };
        let received = Received {
            reason,
            reused,
            remote,
            informational,
            operation: request.method,
            url: None,
            history: Vec::new(),
            coding: None,
        };
        Ok(Response::received(head, body, received))
    }

    /// Makes the request what is sent, and says how its body is framed; tells what may not be sent.
    fn complete(&self, request: &mut Request, body: &Body) -> Result<BodyLen, Error> {
        let unsendable = |why| Error::unsendable(SENDING, why);
        if let Some(origin) = &self.shared.origin {
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
        _ => Error::misuse(SENDING, Misuse::NotReady),
    }
}

impl fmt::Debug for ClientConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientConnection")
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}

/// The right to send the next request on a [`ClientConnection`]. Dropping it gives the right back.
///
/// It does not keep the connection alive: the peer may close it meanwhile, which [`send`](Self::send) tells.
#[derive(Debug)]
pub struct Reservation {
    connection: ClientConnection,
    /// Until it is used.
    promise: Option<Promise>,
}

impl Reservation {
    /// Sends the request: see [`ClientConnection::send`].
    ///
    /// # Errors
    /// As [`ClientConnection::send`]. If the request may not be sent, the right is given back.
    pub fn send(mut self, request: Request, body: impl Into<Body>) -> Result<Response, Error> {
        let connection = self.connection.clone();
        connection.exchange(&mut self.promise, request, body.into())
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if let Some(promise) = self.promise.take() {
            self.connection.shared.with(|single| single.release(promise));
        }
    }
}

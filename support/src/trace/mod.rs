//! [`Trace`]: who is told what becomes of a client's calls and connections, from the look-up of a name to the end.
//!
//! What can be told lives in this file, the same for all clients; on whose behalf it is told in `tell.rs`, and in
//! `watch.rs` what can only be seen by looking at a connection after each of its turns. The clients tell it.

mod tell;
#[cfg(feature = "tracing")]
mod tracing;
mod watch;

pub use self::tell::{CallTracer, Tracer};
#[cfg(feature = "tracing")]
pub use self::tracing::Tracing;
pub use self::watch::Watch;
use antiphon_core::client::Url;
use antiphon_core::client::call::{Decode, NotFollowed, Redirect};
use antiphon_core::client::connect::Peer;
use antiphon_core::client::pool::{CloseReason, Key};
use antiphon_core::client::retry::{Failure, Why};
use antiphon_core::{Fields, Method, Status};
use core::net::SocketAddr;
use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::time::Duration;

/// Is told what becomes of a client's calls and connections: `ClientBuilder::trace` names one for all of a client,
/// `RequestBuilder::trace` one for a single call.
///
/// It is called where things happen, on whichever task or thread that is, outside all locks: what it does holds that up.
///
/// # Those of Go's `httptrace`
///
/// | Go | here |
/// |---|---|
/// | `GetConn`, `GotConn` | [`GetConnection`](TraceEvent::GetConnection), [`GotConnection`](TraceEvent::GotConnection) |
/// | `PutIdleConn` | [`PutIdle`](TraceEvent::PutIdle), or [`NotKept`](TraceEvent::NotKept) with the reason |
/// | `GotFirstResponseByte` | [`FirstByte`](TraceEvent::FirstByte) |
/// | `Got100Continue`, `Got1xxResponse` | [`Continue`](TraceEvent::Continue), [`Interim`](TraceEvent::Interim); neither can end the call |
/// | `DNSStart`, `DNSDone` | [`ResolveStart`](TraceEvent::ResolveStart), [`ResolveDone`](TraceEvent::ResolveDone) |
/// | `ConnectStart`, `ConnectDone` | [`DialStart`](TraceEvent::DialStart), [`DialDone`](TraceEvent::DialDone) or [`DialCancelled`](TraceEvent::DialCancelled) |
/// | `TLSHandshakeStart`, `TLSHandshakeDone` | [`TlsStart`](TraceEvent::TlsStart), [`TlsDone`](TraceEvent::TlsDone) |
/// | `WroteHeaderField` | none: field values are secrets; [`Sending`](TraceEvent::Sending) has what is none |
/// | `WroteHeaders` | [`WroteHead`](TraceEvent::WroteHead) |
/// | `Wait100Continue` | [`WaitContinue`](TraceEvent::WaitContinue) |
/// | `WroteRequest` | [`WroteRequest`](TraceEvent::WroteRequest), or [`AttemptFailed`](TraceEvent::AttemptFailed) with the error |
pub trait Trace: Send + Sync {
    /// Something happened.
    fn event(&self, event: &TraceEvent<'_>);
}

impl<F: Fn(&TraceEvent<'_>) + Send + Sync> Trace for F {
    fn event(&self, event: &TraceEvent<'_>) {
        self(event);
    }
}

/// Names a connection of a client, from the moment in which it is begun. Counted from 1; begins anew after 2^32 - 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId(pub u32);

impl fmt::Display for ConnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Names a call of a client: one request of the application's, with all its redirects and retries. Counted from 1 among
/// the calls that are traced; begins anew after 2^32 - 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId(pub u32);

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What happened. Keys and URLs are shown without the credentials that are in them.
///
/// A connection is made beside the call that caused it, which may meanwhile be served by another: so the events of
/// making one name the connection; [`Begun`](TraceEvent::Begun) has both.
///
/// Each call begins with [`CallStart`](TraceEvent::CallStart) and ends with one of [`Deliver`](TraceEvent::Deliver),
/// [`CallFailed`](TraceEvent::CallFailed) and [`CallDropped`](TraceEvent::CallDropped); that its exchange is over is told
/// after that, if the response has a body.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum TraceEvent<'a> {
    /// A call begins: the request has been found fit to be sent.
    CallStart {
        /// Which.
        call: CallId,
        /// Its method.
        method: &'a Method,
        /// What it asks for first.
        url: &'a Url,
    },
    /// The jar has cookies for a request.
    CookiesSent {
        /// Of which call.
        call: CallId,
        /// For what.
        url: &'a Url,
        /// How many.
        cookies: usize,
    },
    /// A response sets cookies, and the jar has been told.
    CookiesSet {
        /// Of which call.
        call: CallId,
        /// Who sets them.
        url: &'a Url,
        /// How many `Set-Cookie` lines there were; the jar may have refused some.
        cookies: usize,
    },
    /// A request asks for a connection.
    GetConnection {
        /// Of which call.
        call: CallId,
        /// Which connections may serve it.
        key: &'a Key,
    },
    /// A request has a connection.
    GotConnection {
        /// Of which call.
        call: CallId,
        /// Which.
        conn: ConnId,
        /// Whose.
        key: &'a Key,
        /// The address at the other end: the first hop's.
        remote: SocketAddr,
        /// It served another request before.
        reused: bool,
        /// It comes out of the pool, where it was idle for so long; zero if another request handed it over.
        idle: Option<Duration>,
    },
    /// A request's head is handed to the connection.
    Sending {
        /// Of which call.
        call: CallId,
        /// On which connection.
        conn: ConnId,
        /// The method.
        method: &'a Method,
        /// What is asked for.
        url: &'a Url,
    },
    /// The last byte of the request's head was written.
    WroteHead {
        /// Of which call.
        call: CallId,
    },
    /// The head has been written, and the body waits for `100 Continue`.
    WaitContinue {
        /// Of which call.
        call: CallId,
    },
    /// `100 Continue` came.
    Continue {
        /// For which call.
        call: CallId,
    },
    /// Another interim response came.
    Interim {
        /// For which call.
        call: CallId,
        /// Its status.
        status: Status,
        /// Its fields. They may hold secrets.
        fields: Fields<'a>,
    },
    /// The last byte of the request was written, its body included.
    WroteRequest {
        /// Of which call.
        call: CallId,
    },
    /// The first byte came, of whichever response.
    FirstByte {
        /// For which call.
        call: CallId,
    },
    /// The head of a final response came.
    Response {
        /// For which call.
        call: CallId,
        /// Its status.
        status: Status,
        /// Its fields. They may hold secrets.
        fields: Fields<'a>,
    },
    /// A redirect is followed, as the policy says.
    Redirect {
        /// Of which call.
        call: CallId,
        /// From where.
        from: &'a Url,
        /// To where, and what comes along. Its fields may hold secrets.
        next: &'a Redirect,
    },
    /// A request came to nothing: [`Retry`](TraceEvent::Retry) or [`CallFailed`](TraceEvent::CallFailed) comes next.
    AttemptFailed {
        /// Of which call.
        call: CallId,
        /// What went wrong, in the words of the rule about retries.
        failure: Failure,
        /// Some of the request was written.
        written: bool,
        /// What went wrong.
        error: &'a (dyn StdError + 'static),
    },
    /// The request is sent again.
    Retry {
        /// Of which call.
        call: CallId,
        /// Why it may be.
        why: Why,
    },
    /// The caller gets the response.
    Deliver {
        /// Of which call.
        call: CallId,
        /// Its status.
        status: Status,
        /// Why it is not followed to elsewhere.
        why: NotFollowed,
        /// Whether its content is decoded, and if not, why.
        decode: Decode,
    },
    /// The caller gets an error in the place of a response.
    CallFailed {
        /// Which call.
        call: CallId,
        /// The client's error; of a request that failed it says why it was not tried again.
        error: &'a (dyn StdError + 'static),
    },
    /// The caller has given the call up before there was a response.
    CallDropped {
        /// Which.
        call: CallId,
    },
    /// An idle connection was to be used again, but something had arrived on it, such as its end. It is closed, and
    /// the request asks again.
    Stale {
        /// Which.
        conn: ConnId,
    },
    /// An exchange is over, and its connection became idle, or serves another request at once.
    PutIdle {
        /// Which.
        conn: ConnId,
        /// Another request was waiting for it.
        handed_over: bool,
    },
    /// An exchange is over, and the pool did not take its connection back.
    NotKept {
        /// Which.
        conn: ConnId,
        /// Why.
        why: CloseReason,
    },
    /// The pool closes an idle connection.
    ClosedIdle {
        /// Which.
        conn: ConnId,
        /// Why.
        why: CloseReason,
    },
    /// A connection is closed after an exchange that left it unusable, or after its request was given up.
    Discarded {
        /// Which.
        conn: ConnId,
    },
    /// A connection speaks another protocol now, and is the application's.
    Switched {
        /// Which.
        conn: ConnId,
    },
    /// A connection is begun.
    Begun {
        /// For which call, at first.
        call: CallId,
        /// Which.
        conn: ConnId,
        /// For whom.
        key: &'a Key,
    },
    /// A name is looked up.
    ResolveStart {
        /// For which connection.
        conn: ConnId,
        /// The name.
        host: &'a str,
    },
    /// ... and this is what became of it.
    ResolveDone {
        /// For which connection.
        conn: ConnId,
        /// The name.
        host: &'a str,
        /// The addresses in the resolver's order.
        result: Result<&'a [SocketAddr], &'a io::Error>,
    },
    /// An address is dialled, perhaps beside others.
    DialStart {
        /// For which connection.
        conn: ConnId,
        /// The address.
        address: SocketAddr,
    },
    /// ... and this is what became of it.
    DialDone {
        /// For which connection.
        conn: ConnId,
        /// The address.
        address: SocketAddr,
        /// What became of it.
        result: Result<(), &'a io::Error>,
    },
    /// ... or it was given up: another address was faster, or its time was out.
    DialCancelled {
        /// For which connection.
        conn: ConnId,
        /// The address.
        address: SocketAddr,
    },
    /// A TLS handshake begins.
    TlsStart {
        /// Of which connection.
        conn: ConnId,
        /// With the target, or with the proxy.
        peer: Peer,
        /// The name to be verified.
        server_name: &'a str,
    },
    /// ... and this is what became of it.
    TlsDone {
        /// Of which connection.
        conn: ConnId,
        /// With the target, or with the proxy.
        peer: Peer,
        /// The protocol that was agreed on, if one was.
        result: Result<Option<&'a [u8]>, &'a (dyn StdError + 'static)>,
    },
    /// A proxy is asked for the target, by CONNECT or in a SOCKS handshake.
    ProxyStart {
        /// Of which connection.
        conn: ConnId,
        /// The target's host.
        host: &'a str,
        /// The target's port.
        port: u16,
    },
    /// ... and this is what became of it.
    ProxyDone {
        /// Of which connection.
        conn: ConnId,
        /// Why it came to nothing.
        result: Result<(), &'a (dyn StdError + 'static)>,
    },
    /// A connection is made.
    Made {
        /// Which.
        conn: ConnId,
        /// The address that was dialled.
        remote: SocketAddr,
    },
    /// No connection was made.
    Failed {
        /// Which.
        conn: ConnId,
        /// Why: the client's error.
        error: &'a (dyn StdError + 'static),
    },
}

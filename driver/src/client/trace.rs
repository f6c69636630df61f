//! [`Trace`]: who is told what becomes of a client's connections, from the look-up of a name to the end.
//!
//! What happens to a request on its connection is not told here.

use antiphon_core::client::connect::Peer;
use antiphon_core::client::pool::{CloseReason, Key};
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

/// Is told what becomes of a client's connections. See
/// [`ClientBuilder::trace`](crate::ClientBuilder::trace).
///
/// It is called where things happen, on whichever task that is, outside all locks: what it does holds that task up.
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
pub struct ConnId(pub(crate) u32);

impl fmt::Display for ConnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What happened. Keys are shown without the credentials that are in them.
///
/// A connection is made beside the request that caused it, which may meanwhile be served by another: so the events of
/// making one name the connection, not the request.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum TraceEvent<'a> {
    /// A request asks for a connection.
    GetConnection {
        /// Which connections may serve it.
        key: &'a Key,
    },
    /// A request has a connection.
    GotConnection {
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
        result: Result<Option<&'a [u8]>, &'a (dyn std::error::Error + 'static)>,
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
        result: Result<(), &'a (dyn std::error::Error + 'static)>,
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
        /// Why.
        error: &'a crate::Error,
    },
}

//! The pool's tokens, decisions and reasons. Nothing here changes state.

use crate::Now;
use alloc::vec::Vec;
use core::fmt;
use core::num::NonZeroU32;
use core::time::Duration;

/// A place in the line of one host. Ends by a result of [`Pool::poll`](super::Pool::poll) or by
/// [`Pool::cancel`](super::Pool::cancel). Never reused by the pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub(super) u64);

/// The permission and the duty to make one connection: end it with [`Pool::dialed`](super::Pool::dialed) or
/// [`Pool::dial_failed`](super::Pool::dial_failed), whatever became of the request.
#[derive(Debug)]
#[must_use = "a dial that is dropped keeps its place under the per-host limit for ever"]
pub struct Dial {
    pub(super) host: u32,
    pub(super) ticket: u64,
}

impl Dial {
    /// The ticket for which it was begun.
    pub const fn ticket(&self) -> Ticket {
        Ticket(self.ticket)
    }
}

/// A connection in use. End it with [`Pool::put`](super::Pool::put) or
/// [`Pool::discard`](super::Pool::discard).
#[derive(Debug)]
#[must_use = "a lease that is dropped keeps its place under the per-host limit for ever"]
pub struct Lease {
    pub(super) host: u32,
    pub(super) created: Now,
    pub(super) requests: u32,
    pub(super) shared: Option<SharedId>,
}

impl Lease {
    /// How many requests the connection has been given, this one included.
    pub const fn requests(&self) -> u32 {
        self.requests
    }

    /// Whether it served another request before.
    pub const fn is_reused(&self) -> bool {
        self.requests > 1
    }

    /// When the connection was made.
    pub const fn created(&self) -> Now {
        self.created
    }

    /// The name of the connection, if it is shared with other requests.
    pub const fn shared(&self) -> Option<SharedId> {
        self.shared
    }
}

/// Names one shared connection. The pool uses a name again after 2^32 - 1 others, at the earliest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SharedId {
    // Half the size of the names of idle connections, since every lease has room for one.
    pub(super) serial: NonZeroU32,
    pub(super) slot: u32,
}

impl SharedId {
    /// Names no connection: there is no such slot.
    pub(super) const NONE: SharedId = SharedId {
        serial: NonZeroU32::MIN,
        slot: u32::MAX,
    };
}

/// Names one idle period of one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IdleId {
    pub(super) serial: u64,
    pub(super) slot: u32,
}

impl IdleId {
    /// No idle period.
    pub(super) const NONE: IdleId = IdleId { serial: 0, slot: 0 };
}

/// The past of a connection that is not new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reused {
    /// How long it was idle; zero if it came straight from another request, or is shared with one.
    pub idle: Duration,
    /// How long ago it was made.
    pub age: Duration,
    /// How many requests it was given before. Zero for one that was dialled for a request which then took
    /// another: it is fresh but was idle.
    pub requests: u32,
}

/// The answer to [`Pool::acquire`](super::Pool::acquire).
#[derive(Debug)]
#[must_use]
#[allow(clippy::exhaustive_structs)]
pub struct Acquired<C> {
    /// What the request does next.
    pub step: Acquire<C>,
    /// Idle connections found too old on the way: close them.
    pub closed: Vec<Closed<C>>,
}

/// What a request does next.
#[derive(Debug)]
#[allow(clippy::exhaustive_enums)]
pub enum Acquire<C> {
    /// Use this connection.
    Reuse {
        /// The connection.
        conn: C,
        /// Stands for it until it is put back.
        lease: Lease,
        /// Its past.
        reused: Reused,
    },
    /// Dial, and wait: an idle connection may come first.
    Dial {
        /// Ask with it.
        ticket: Ticket,
        /// Dial with it.
        dial: Dial,
    },
    /// Wait: the host has as many connections as it may.
    Wait {
        /// Ask with it.
        ticket: Ticket,
    },
}

/// What has become of a ticket.
#[derive(Debug)]
#[must_use]
#[allow(clippy::exhaustive_enums)]
pub enum Poll<C> {
    /// Nothing yet.
    Pending,
    /// A place became free: dial, and go on waiting.
    Dial(Dial),
    /// A connection. The ticket has ended.
    Ready {
        /// The connection.
        conn: C,
        /// Stands for it until it is put back.
        lease: Lease,
        /// Its past; `None` for the one that was dialled for this ticket.
        reused: Option<Reused>,
    },
    /// The dial for this ticket failed before a connection came. The ticket has ended.
    DialFailed,
    /// The ticket had ended before.
    Gone,
}

/// What a successful dial was good for.
#[derive(Debug)]
#[must_use]
#[allow(clippy::exhaustive_enums)]
pub enum Dialed<C> {
    /// It serves the ticket that caused it.
    Delivered(Ticket),
    /// That ticket had ended; this became of the connection.
    Spare(Put<C>),
}

/// What a successful dial was good for whose connection is shared.
#[derive(Debug)]
#[must_use]
#[allow(clippy::exhaustive_structs)]
pub struct DialedShared<C> {
    /// The connection's name: for [`Pool::set_capacity`](super::Pool::set_capacity) and
    /// [`Pool::going_away`](super::Pool::going_away). Names nothing if the connection was refused.
    pub id: SharedId,
    /// The first that it serves; there may be more, which [`Pool::next_ready`](super::Pool::next_ready) gives.
    pub dialed: Dialed<C>,
}

/// Who hears of a failed dial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums)]
pub enum DialFailed {
    /// This ticket's `poll` will give [`Poll::DialFailed`]; keep the error for it.
    Delivered(Ticket),
    /// Nobody: the ticket had ended.
    Unwanted,
}

/// What became of a connection that was put back.
#[derive(Debug)]
#[must_use]
#[allow(clippy::exhaustive_enums)]
pub enum Put<C> {
    /// It is idle; a shared one may be in use by others still.
    Pooled {
        /// For [`Pool::remove`](super::Pool::remove), if it turns out to be closed. Names nothing while a shared
        /// connection is in use: that goes by its [`SharedId`].
        id: IdleId,
        /// The least recently used connection of all hosts, which had to go.
        evicted: Option<Closed<C>>,
    },
    /// It serves this ticket; a shared one may serve more, if several waited.
    HandedTo(Ticket),
    /// It may not be used again: close it. Of a shared connection that others still use, this is the handle that was
    /// put back, and the reason why no request gets another.
    Refused(Closed<C>),
}

/// A connection that the pool lets go of: close it.
#[derive(Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs)]
pub struct Closed<C> {
    /// The connection.
    pub conn: C,
    /// Why.
    pub reason: CloseReason,
}

/// Why the pool lets go of a connection, or does not take it back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum CloseReason {
    /// [`PoolConfig::keep_alive`](super::PoolConfig::keep_alive) is off.
    KeepAliveDisabled,
    /// [`Pool::close_idle`](super::Pool::close_idle) was called and no request has asked since.
    CloseIdle,
    /// [`PoolConfig::max_idle_per_host`](super::PoolConfig::max_idle_per_host) was reached.
    TooManyIdleForHost,
    /// [`PoolConfig::max_idle`](super::PoolConfig::max_idle) was passed.
    TooManyIdle,
    /// It was idle for too long.
    IdleTimeout,
    /// [`PoolConfig::max_age`](super::PoolConfig::max_age) was reached.
    MaxAge,
    /// [`PoolConfig::max_requests`](super::PoolConfig::max_requests) was reached.
    MaxRequests,
    /// The driver took it out ([`Pool::remove`](super::Pool::remove)), because it was closed or broken.
    Removed,
    /// The peer takes no new requests on this shared connection ([`Pool::going_away`](super::Pool::going_away)).
    GoingAway,
    /// This shared connection was closed or broke ([`Pool::broken`](super::Pool::broken),
    /// [`Pool::discard`](super::Pool::discard)).
    Broken,
    /// It is shared, and the request needs HTTP/1 ([`Key::only_http1`](super::Key::only_http1)).
    OnlyHttp1,
}

impl CloseReason {
    /// All of them.
    pub const ALL: [CloseReason; 11] = [
        CloseReason::KeepAliveDisabled,
        CloseReason::CloseIdle,
        CloseReason::TooManyIdleForHost,
        CloseReason::TooManyIdle,
        CloseReason::IdleTimeout,
        CloseReason::MaxAge,
        CloseReason::MaxRequests,
        CloseReason::Removed,
        CloseReason::GoingAway,
        CloseReason::Broken,
        CloseReason::OnlyHttp1,
    ];
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            CloseReason::KeepAliveDisabled => "keep-alive is switched off",
            CloseReason::CloseIdle => "idle connections are being closed",
            CloseReason::TooManyIdleForHost => "the host has too many idle connections",
            CloseReason::TooManyIdle => "there are too many idle connections",
            CloseReason::IdleTimeout => "it was idle for too long",
            CloseReason::MaxAge => "it reached its greatest age",
            CloseReason::MaxRequests => "it served as many requests as it may",
            CloseReason::Removed => "it was closed or broken while idle",
            CloseReason::GoingAway => "the peer takes no new requests on it",
            CloseReason::Broken => "it was closed or broken while it was shared",
            CloseReason::OnlyHttp1 => "it does not speak HTTP/1, which the request needs",
        })
    }
}

//! [`Shutdown`]: who is told to finish when a server stops, and when it is over; [`ConnState`], what a
//! server's connection is doing.
//!
//! The connections themselves, and the means to wake them, belong to the driver. Each connection keeps its own
//! state, so that a request on a running server touches nothing shared.

use crate::Instant;
use core::time::Duration;

/// What a server's connection is doing.
///
/// ```text
///   New --first byte--> Active --response done--> Idle
///                         |  ^----first byte-------|
///                         +--> Switched         any --> Closed
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(clippy::exhaustive_enums)]
pub enum ConnState {
    /// Accepted; not a byte has arrived.
    New,
    /// A request has begun to arrive or is being answered.
    Active,
    /// All requests were answered; not a byte of another has arrived.
    Idle,
    /// It speaks another protocol: no concern of the server any more.
    Switched,
    /// It has ended.
    Closed,
}

/// The settings of a [`Shutdown`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShutdownConfig {
    /// How long connections may take to finish, before they are dropped. Default: 30 s. `None`: as long as
    /// they like.
    pub drain: Option<Duration>,
    /// How long a new connection may stay silent, counted from when it was accepted, before it is taken for
    /// idle: its request may be under way. Default: 5 s, as in Go.
    pub new_grace: Duration,
}

impl ShutdownConfig {
    /// The defaults.
    pub const DEFAULT: ShutdownConfig = ShutdownConfig {
        drain: Some(Duration::from_secs(30)),
        new_grace: Duration::from_secs(5),
    };
}

impl Default for ShutdownConfig {
    fn default() -> ShutdownConfig {
        ShutdownConfig::DEFAULT
    }
}

/// What a connection is to do. Later ones include the earlier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(clippy::exhaustive_enums)]
pub enum Order {
    /// Go on serving.
    Serve,
    /// Answer what has begun, say `Connection: close`, then close.
    Finish,
    /// Close in good order: nothing has begun.
    Close,
    /// Drop the socket, whatever is going on.
    Drop,
}

/// How a shutdown ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums)]
pub enum Over {
    /// Every connection finished.
    Drained,
    /// Time was up (or the end was forced) with this many connections open: they are dropped.
    Dropped(usize),
}

/// The end of a server: pure bookkeeping.
///
/// Count connections with [`opened`](Shutdown::opened) and [`closed`](Shutdown::closed). After
/// [`begin`](Shutdown::begin), stop accepting and let every connection look at [`order`](Shutdown::order): at
/// once, whenever its state changes, and at [`order_deadline`](Shutdown::order_deadline). The server itself
/// looks at [`over`](Shutdown::over) when a connection has closed and at [`deadline`](Shutdown::deadline).
///
/// ```
/// use antiphon_core::server::shutdown::{ConnState, Order, Over, Shutdown, ShutdownConfig};
/// use antiphon_core::Instant;
/// let t = Instant::from_millis;
/// let mut s = Shutdown::new(ShutdownConfig::default());
/// assert!(s.opened() && s.opened());
/// s.begin(t(0));
/// assert!(!s.opened());
/// assert_eq!(s.order(ConnState::Idle, t(0), t(0)), Order::Close);
/// assert_eq!(s.order(ConnState::Active, t(0), t(0)), Order::Finish);
/// s.closed();
/// assert_eq!(s.over(t(1)), None);
/// s.closed();
/// assert_eq!(s.over(t(2)), Some(Over::Drained));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Shutdown {
    config: ShutdownConfig,
    connections: usize,
    begun: Option<Instant>,
    forced: bool,
}

impl Shutdown {
    /// A server that runs, without connections.
    pub const fn new(config: ShutdownConfig) -> Shutdown {
        Shutdown {
            config,
            connections: 0,
            begun: None,
            forced: false,
        }
    }

    /// A connection was accepted. `false`: the server is stopping, so close it; it is not counted.
    #[must_use = "a connection that comes too late is not counted and must be closed"]
    pub const fn opened(&mut self) -> bool {
        if self.begun.is_some() {
            return false;
        }
        self.connections += 1;
        true
    }

    /// A counted connection has closed, or was switched to another protocol.
    pub const fn closed(&mut self) {
        self.connections = self.connections.saturating_sub(1);
    }

    /// How many connections are counted.
    pub const fn connections(&self) -> usize {
        self.connections
    }

    /// Begins to stop. A second call changes nothing, so that it does not lengthen the wait.
    pub const fn begin(&mut self, now: Instant) {
        if self.begun.is_none() {
            self.begun = Some(now);
        }
    }

    /// Stops without waiting for anybody.
    pub const fn force(&mut self, now: Instant) {
        self.begin(now);
        self.forced = true;
    }

    /// Whether the server is stopping: accept nothing.
    pub const fn is_begun(&self) -> bool {
        self.begun.is_some()
    }

    /// What a connection is to do that has been in `state` since `since`. Pure; the answer changes with the
    /// state, after `begin` and `force`, and at [`order_deadline`](Shutdown::order_deadline).
    pub fn order(&self, state: ConnState, since: Instant, now: Instant) -> Order {
        if self.begun.is_none() || matches!(state, ConnState::Switched | ConnState::Closed) {
            return Order::Serve;
        }
        if self.time_is_up(now) {
            return Order::Drop;
        }
        match state {
            ConnState::Idle => Order::Close,
            ConnState::New if now >= since + self.config.new_grace => Order::Close,
            _ => Order::Finish,
        }
    }

    /// When the answer of `order` for this connection changes by time alone; `None` if it does not.
    pub fn order_deadline(&self, state: ConnState, since: Instant, now: Instant) -> Option<Instant> {
        let grace = match state {
            ConnState::Switched | ConnState::Closed => return None,
            ConnState::New if self.begun.is_some() && !self.time_is_up(now) => {
                Some(since + self.config.new_grace)
            }
            _ => None,
        };
        grace
            .into_iter()
            .chain(self.drain_end())
            .filter(|&at| at > now && !self.forced)
            .min()
    }

    /// When the wait is over at the latest; `None` before `begin`, without a bound, and when it is over.
    pub fn deadline(&self, now: Instant) -> Option<Instant> {
        if self.over(now).is_some() {
            None
        } else {
            self.drain_end()
        }
    }

    /// Whether the server is down, and how. Pure; may change after `begin`, `force` and `closed`, and at
    /// `deadline`.
    pub fn over(&self, now: Instant) -> Option<Over> {
        self.begun?;
        match self.connections {
            0 => Some(Over::Drained),
            left => self.time_is_up(now).then_some(Over::Dropped(left)),
        }
    }

    fn time_is_up(&self, now: Instant) -> bool {
        self.forced || self.drain_end().is_some_and(|end| now >= end)
    }

    fn drain_end(&self) -> Option<Instant> {
        Some(self.begun? + self.config.drain?)
    }
}

#[cfg(test)]
mod tests {
    use super::ConnState::{Active, Closed, Idle, New, Switched};
    use super::*;

    const MS: fn(u64) -> Instant = Instant::from_millis;

    fn with(connections: usize) -> Shutdown {
        let mut s = Shutdown::new(ShutdownConfig::DEFAULT);
        for _ in 0..connections {
            assert!(s.opened());
        }
        s
    }

    #[test]
    fn a_running_server_serves() {
        let s = with(1);
        for state in [New, Active, Idle, Switched, Closed] {
            assert_eq!(s.order(state, MS(0), MS(1_000_000)), Order::Serve);
            assert_eq!(s.order_deadline(state, MS(0), MS(1)), None);
        }
        assert_eq!(
            (s.over(MS(9)), s.deadline(MS(9)), s.is_begun()),
            (None, None, false)
        );
    }

    #[test]
    fn idle_ones_close_active_ones_finish_until_time_is_up() {
        let mut s = with(2);
        s.begin(MS(100));
        s.begin(MS(20_000)); // changes nothing
        let end = MS(30_100);
        assert_eq!(s.deadline(MS(100)), Some(end));
        for now in [MS(100), MS(30_099)] {
            assert_eq!(s.order(Idle, MS(0), now), Order::Close);
            assert_eq!(s.order(Active, MS(0), now), Order::Finish);
            assert_eq!(s.order_deadline(Active, MS(0), now), Some(end));
            assert_eq!(s.order(Switched, MS(0), now), Order::Serve);
            assert_eq!(s.over(now), None);
        }
        assert_eq!(s.order(Idle, MS(0), end), Order::Drop);
        assert_eq!(s.order(Active, MS(0), end), Order::Drop);
        assert_eq!(s.order(New, end, end), Order::Drop);
        assert_eq!(s.order_deadline(Active, MS(0), end), None);
        assert_eq!((s.over(end), s.deadline(end)), (Some(Over::Dropped(2)), None));
        s.closed();
        s.closed();
        assert_eq!(s.over(end), Some(Over::Drained));
    }

    #[test]
    fn new_ones_have_five_seconds_from_their_accept() {
        let mut s = with(1);
        s.begin(MS(4_000));
        // Accepted at 1 s: idle at 6 s.
        assert_eq!(s.order(New, MS(1_000), MS(5_999)), Order::Finish);
        assert_eq!(s.order_deadline(New, MS(1_000), MS(5_999)), Some(MS(6_000)));
        assert_eq!(s.order(New, MS(1_000), MS(6_000)), Order::Close);
        assert_eq!(s.order_deadline(New, MS(1_000), MS(6_000)), Some(MS(34_000)));
        // One that was silent for longer before the shutdown closes at once.
        let mut s = with(1);
        s.begin(MS(10_000));
        assert_eq!(s.order(New, MS(1_000), MS(10_000)), Order::Close);
    }

    #[test]
    fn forced() {
        let mut s = with(1);
        s.force(MS(5));
        assert_eq!(s.order(Active, MS(0), MS(5)), Order::Drop);
        assert_eq!(s.order_deadline(New, MS(0), MS(5)), None);
        assert_eq!(s.over(MS(5)), Some(Over::Dropped(1)));
        assert!(!s.opened());
    }

    #[test]
    fn without_a_bound_it_waits() {
        let mut s = Shutdown::new(ShutdownConfig {
            drain: None,
            ..ShutdownConfig::DEFAULT
        });
        assert!(s.opened());
        s.begin(MS(0));
        assert_eq!((s.deadline(MS(1)), s.over(Instant::MAX)), (None, None));
        assert_eq!(s.order(Active, MS(0), Instant::MAX), Order::Finish);
        s.closed();
        s.closed(); // one too many: no underflow
        assert_eq!((s.over(MS(2)), s.connections()), (Some(Over::Drained), 0));
    }

    #[test]
    fn nobody_connected_is_over_at_once() {
        let mut s = with(0);
        s.begin(MS(0));
        assert_eq!((s.over(MS(0)), s.deadline(MS(0))), (Some(Over::Drained), None));
    }
}

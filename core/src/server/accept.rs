//! [`Accept`]: whether to accept the next connection now, later, or never again.
//!
//! Listening sockets and timers belong to the adapter; who is told to leave at the end is in
//! [`shutdown`](super::shutdown).

use crate::Instant;
use core::time::Duration;

/// The first pause after a failure, and the longest; each failure in a row doubles it. The values are Go's.
const FIRST: Duration = Duration::from_millis(5);
const LONGEST: Duration = Duration::from_secs(1);

/// The policy of an accept loop: pause after temporary failures, stop at a number of connections.
///
/// Look at [`step`](Accept::step) before each accept; tell the result with [`accepted`](Accept::accepted) or
/// [`failed`](Accept::failed).
///
/// ```
/// use antiphon_core::server::accept::{Accept, AcceptStep, Failure};
/// use antiphon_core::Instant;
/// let t = Instant::from_millis;
/// let mut accept = Accept::new(10_000);
/// assert_eq!(accept.step(0, t(0)), AcceptStep::Accept);
/// accept.failed(Failure::Temporary, t(0)); // out of file descriptors, say
/// assert_eq!(accept.step(0, t(4)), AcceptStep::PauseUntil(t(5)));
/// assert_eq!(accept.step(0, t(5)), AcceptStep::Accept);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Accept {
    max_connections: usize,
    /// The pause that the last failure brought; zero after a success.
    pause: Duration,
    until: Instant,
}

/// What the accept loop does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums)]
pub enum AcceptStep {
    /// Accept a connection.
    Accept,
    /// Ask again at this time.
    PauseUntil(Instant),
    /// Ask again when a connection has ended; until then new ones wait in the system's queue.
    Full,
}

/// What a failed accept means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums)]
pub enum Failure {
    /// That one connection: it was gone before it could be accepted. The next may be fine.
    Connection,
    /// The system, for a while: it is out of descriptors or memory, or something that nobody foresaw.
    Temporary,
    /// The listener: it accepts nothing any more.
    Permanent,
}

impl Failure {
    /// What this error number of `accept` means on the system that the code is compiled for.
    ///
    /// Only what says that the listener itself is wrong is permanent. An unknown number is temporary: with the
    /// pause, trying again does no harm.
    pub const fn of_os_error(number: i32) -> Failure {
        let (connection, permanent): (&[i32], &[i32]) = if cfg!(windows) {
            // WSAEINTR, WSAECONNABORTED, WSAECONNRESET; WSAEBADF, WSAEFAULT, WSAEINVAL, WSAENOTSOCK,
            // WSAEOPNOTSUPP, WSANOTINITIALISED.
            (
                &[10004, 10053, 10054],
                &[10009, 10014, 10022, 10038, 10045, 10093],
            )
        } else if cfg!(any(target_os = "linux", target_os = "android")) {
            // EINTR, EPROTO, ENETDOWN, ENETUNREACH, ECONNABORTED, ECONNRESET, EHOSTDOWN, EHOSTUNREACH: "treat
            // them like EAGAIN" (accept(2)); EBADF, EFAULT, EINVAL, ENOTSOCK, EOPNOTSUPP.
            (&[4, 71, 100, 101, 103, 104, 112, 113], &[9, 14, 22, 88, 95])
        } else {
            // The same on the BSDs and macOS: EINTR, ECONNABORTED, ECONNRESET; EBADF, EFAULT, EINVAL,
            // ENOTSOCK, EOPNOTSUPP (45, on macOS 102).
            (&[4, 53, 54], &[9, 14, 22, 38, 45, 102])
        };
        if contains(connection, number) {
            Failure::Connection
        } else if contains(permanent, number) {
            Failure::Permanent
        } else {
            Failure::Temporary
        }
    }
}

/// What follows from a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums)]
pub enum AfterFailure {
    /// Go on at once.
    Continue,
    /// Worth a line in the log; go on after this pause.
    Pause(Duration),
    /// Stop serving with this error.
    Stop,
}

impl Accept {
    /// A loop that holds at most `max_connections` connections at a time.
    pub const fn new(max_connections: usize) -> Accept {
        Accept {
            max_connections,
            pause: Duration::ZERO,
            until: Instant::ZERO,
        }
    }

    /// What to do next, with `connections` open. Pure; may change with both arguments and after `accepted` and
    /// `failed`.
    pub fn step(&self, connections: usize, now: Instant) -> AcceptStep {
        if connections >= self.max_connections {
            AcceptStep::Full
        } else if now < self.until {
            AcceptStep::PauseUntil(self.until)
        } else {
            AcceptStep::Accept
        }
    }

    /// A connection was accepted: the next failure begins with the shortest pause again.
    pub const fn accepted(&mut self) {
        self.pause = Duration::ZERO;
    }

    /// Accepting failed.
    pub fn failed(&mut self, failure: Failure, now: Instant) -> AfterFailure {
        match failure {
            Failure::Connection => AfterFailure::Continue,
            Failure::Permanent => AfterFailure::Stop,
            Failure::Temporary => {
                self.pause = if self.pause.is_zero() {
                    FIRST
                } else {
                    (self.pause * 2).min(LONGEST)
                };
                self.until = now + self.pause;
                AfterFailure::Pause(self.pause)
            }
        }
    }
}

const fn contains(list: &[i32], number: i32) -> bool {
    let mut i = 0;
    while i < list.len() {
        if list[i] == number {
            return true;
        }
        i += 1;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Instant = Instant::from_millis;

    #[test]
    fn pauses_double_up_to_a_second_and_start_anew_after_a_success() {
        let mut a = Accept::new(1);
        let mut now = 0;
        for pause in [5, 10, 20, 40, 80, 160, 320, 640, 1000, 1000] {
            assert_eq!(
                a.failed(Failure::Temporary, MS(now)),
                AfterFailure::Pause(Duration::from_millis(pause))
            );
            assert_eq!(
                a.step(0, MS(now + pause - 1)),
                AcceptStep::PauseUntil(MS(now + pause))
            );
            now += pause;
            assert_eq!(a.step(0, MS(now)), AcceptStep::Accept);
        }
        a.accepted();
        assert_eq!(a.failed(Failure::Temporary, MS(now)), AfterFailure::Pause(FIRST));
    }

    #[test]
    fn a_lost_connection_neither_pauses_nor_counts() {
        let mut a = Accept::new(1);
        a.failed(Failure::Temporary, MS(0));
        assert_eq!(a.failed(Failure::Connection, MS(5)), AfterFailure::Continue);
        assert_eq!(a.step(0, MS(5)), AcceptStep::Accept);
        assert_eq!(
            a.failed(Failure::Temporary, MS(5)),
            AfterFailure::Pause(Duration::from_millis(10))
        );
        assert_eq!(a.failed(Failure::Permanent, MS(5)), AfterFailure::Stop);
    }

    #[test]
    fn the_cap_is_exact_and_comes_before_a_pause() {
        let mut a = Accept::new(2);
        assert_eq!(a.step(1, MS(0)), AcceptStep::Accept);
        assert_eq!(a.step(2, MS(0)), AcceptStep::Full);
        assert_eq!(a.step(3, MS(0)), AcceptStep::Full);
        a.failed(Failure::Temporary, MS(0));
        assert_eq!(a.step(2, MS(0)), AcceptStep::Full);
        assert_eq!(Accept::new(0).step(0, MS(0)), AcceptStep::Full);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn error_numbers() {
        for (number, failure) in [
            (24, Failure::Temporary),   // EMFILE
            (23, Failure::Temporary),   // ENFILE
            (12, Failure::Temporary),   // ENOMEM
            (105, Failure::Temporary),  // ENOBUFS
            (1, Failure::Temporary),    // EPERM: a firewall rule
            (9999, Failure::Temporary), // unknown
            (103, Failure::Connection), // ECONNABORTED
            (4, Failure::Connection),   // EINTR
            (9, Failure::Permanent),    // EBADF
            (22, Failure::Permanent),   // EINVAL: not listening
        ] {
            assert_eq!(Failure::of_os_error(number), failure, "{number}");
        }
    }
}

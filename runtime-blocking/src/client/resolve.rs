//! Looking names up within a deadline. The system's resolver (`getaddrinfo`) cannot be told how long it may take, and
//! cannot be given up: so it runs on a thread of its own, and whoever is out of time leaves it behind.
//!
//! The alternatives: a resolver of our own would pass over what the system is set up to do (`nsswitch.conf`, mDNS, VPNs),
//! and a look-up on the request's thread would break the promise that a timeout covers everything. The price is one
//! short-lived thread for each connection that is made to a name (not for each request).

use crate::clock;
use antiphon_core::Instant;
use std::io;
use std::net::SocketAddr;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread;

/// Look-ups at once in this process, those included that nobody waits for any more: the system gives up in its own
/// time, usually within half a minute. Further ones wait in line, as long as their deadlines let them.
const MOST: usize = 32;

static RUNNING: Mutex<usize> = Mutex::new(0);
static FREED: Condvar = Condvar::new();

/// The place of a look-up under way.
struct Slot;

impl Slot {
    /// `None`: the time is up.
    fn take(until: Instant) -> Option<Slot> {
        let mut running = crate::lock(&RUNNING);
        while *running >= MOST {
            let left = until.saturating_since(clock::mono());
            if left.is_zero() {
                return None;
            }
            running = FREED
                .wait_timeout(running, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        *running += 1;
        Some(Slot)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        *crate::lock(&RUNNING) -= 1;
        FREED.notify_one();
    }
}

/// What `resolve` finds; `None` if it takes longer than `until`.
pub(super) fn within(
    until: Option<Instant>,
    resolve: impl FnOnce() -> io::Result<Vec<SocketAddr>> + Send + 'static,
) -> Option<io::Result<Vec<SocketAddr>>> {
    let Some(until) = until else {
        return Some(resolve());
    };
    let slot = Slot::take(until)?;
    let (tell, told) = mpsc::sync_channel(1);
    let thread = thread::Builder::new().name("http resolver".into());
    let spawned = thread.spawn(move || {
        let _slot = slot;
        // Nobody may be waiting any more.
        let _ = tell.send(resolve());
    });
    if let Err(e) = spawned {
        return Some(Err(e));
    }
    match told.recv_timeout(until.saturating_since(clock::mono())) {
        Ok(result) => Some(result),
        Err(RecvTimeoutError::Timeout) => None,
        Err(RecvTimeoutError::Disconnected) => Some(Err(io::Error::other("the resolver panicked"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant as Clock};

    #[test]
    fn a_slow_resolver_is_left_behind() {
        let (release, held) = mpsc::channel::<()>();
        let begun = Clock::now();
        let until = clock::mono() + Duration::from_millis(50);
        let found = within(Some(until), move || {
            let _ = held.recv();
            Ok(Vec::new())
        });
        assert!(found.is_none());
        assert!(begun.elapsed() >= Duration::from_millis(50));
        drop(release);
    }

    #[test]
    fn what_it_finds_is_told_and_a_panic_too() {
        let until = Some(clock::mono() + Duration::from_secs(60));
        let address: SocketAddr = "192.0.2.1:80".parse().unwrap();
        assert_eq!(
            within(until, move || Ok(vec![address])).unwrap().unwrap(),
            [address]
        );
        assert_eq!(
            within(None, move || Ok(vec![address])).unwrap().unwrap(),
            [address]
        );
        let e = within(until, || panic!("as asked")).unwrap().unwrap_err();
        assert_eq!(e.to_string(), "the resolver panicked");
    }
}

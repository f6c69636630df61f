//! Wall-clock and CPU time of a stretch of work, printed as one JSON line.

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::{TimeVal, TimeValLike};
use std::time::Instant;

/// A stretch that has begun.
#[derive(Debug)]
pub struct Stretch {
    wall: Instant,
    user: TimeVal,
    system: TimeVal,
}

fn times() -> (TimeVal, TimeVal) {
    let usage = getrusage(UsageWho::RUSAGE_SELF).expect("a process may ask for its own usage");
    (usage.user_time(), usage.system_time())
}

impl Stretch {
    /// Begins now.
    pub fn begin() -> Stretch {
        let (user, system) = times();
        Stretch {
            wall: Instant::now(),
            user,
            system,
        }
    }

    /// Ends now: `{"n", "wall_us", "user_us", "sys_us", "bytes"}` of `n` requests that moved `bytes` body bytes.
    pub fn end(self, n: usize, bytes: u64) -> String {
        let wall = self.wall.elapsed().as_micros();
        let (user, system) = times();
        let (user, system) = (
            (user - self.user).num_microseconds(),
            (system - self.system).num_microseconds(),
        );
        format!(r#"{{"n":{n},"wall_us":{wall},"user_us":{user},"sys_us":{system},"bytes":{bytes}}}"#)
    }
}

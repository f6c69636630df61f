//! The clocks: the core is told the time, and this is who tells it.

use antiphon_core::{Instant, Now, UnixTime};
use std::sync::LazyLock;
use std::time::{SystemTime, UNIX_EPOCH};

/// The origin of monotonic time: one for the process, so that instants of all connections compare.
static ORIGIN: LazyLock<std::time::Instant> = LazyLock::new(std::time::Instant::now);

/// Monotonic time.
pub(crate) fn mono() -> Instant {
    Instant::from_duration(ORIGIN.elapsed())
}

/// Wall-clock time, in whole seconds.
pub(crate) fn unix() -> UnixTime {
    let secs = match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_secs()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_secs()).map_or(i64::MIN, |s| -s),
    };
    UnixTime(secs)
}

/// Both.
pub(crate) fn now() -> Now {
    Now {
        mono: mono(),
        unix: unix(),
    }
}

//! Time as an argument: the core never reads a clock.
//!
//! [`Instant`] is monotonic time since an origin that the driver picks (so a test starts at zero);
//! [`UnixTime`] is wall-clock time, which dates, cookies and conditionals need; [`Now`] carries both.

use core::ops::{Add, Sub};
use core::time::Duration;

/// A monotonic point in time: nanoseconds since an origin of the driver's choosing.
///
/// Arithmetic saturates; the core never panics over time.
///
/// ```
/// use antiphon_core::Instant;
/// use core::time::Duration;
/// let t = Instant::ZERO + Duration::from_secs(3);
/// assert_eq!(t - Instant::from_millis(500), Duration::from_millis(2_500));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(u64);

impl Instant {
    /// The origin.
    pub const ZERO: Instant = Instant(0);
    /// The latest representable point, some 584 years after the origin.
    pub const MAX: Instant = Instant(u64::MAX);

    /// `nanos` nanoseconds after the origin.
    pub const fn from_nanos(nanos: u64) -> Instant {
        Instant(nanos)
    }

    /// `millis` milliseconds after the origin.
    pub const fn from_millis(millis: u64) -> Instant {
        Instant(millis.saturating_mul(1_000_000))
    }

    /// The point that lies `since_origin` after the origin (what `std::time::Instant::elapsed` gives).
    pub const fn from_duration(since_origin: Duration) -> Instant {
        Instant(nanos(since_origin))
    }

    /// The distance from the origin.
    pub const fn since_origin(self) -> Duration {
        Duration::from_nanos(self.0)
    }

    /// The time from `earlier` to `self`; zero if `earlier` is later.
    pub const fn saturating_since(self, earlier: Instant) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

const fn nanos(d: Duration) -> u64 {
    d.as_secs()
        .saturating_mul(1_000_000_000)
        .saturating_add(d.subsec_nanos() as u64)
}

impl Add<Duration> for Instant {
    type Output = Instant;
    fn add(self, d: Duration) -> Instant {
        Instant(self.0.saturating_add(nanos(d)))
    }
}

impl Sub<Duration> for Instant {
    type Output = Instant;
    fn sub(self, d: Duration) -> Instant {
        Instant(self.0.saturating_sub(nanos(d)))
    }
}

impl Sub for Instant {
    type Output = Duration;
    fn sub(self, earlier: Instant) -> Duration {
        self.saturating_since(earlier)
    }
}

/// Wall-clock time: whole seconds since 1970-01-01T00:00:00Z, without leap seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixTime(pub i64);

/// Both clocks at once, for policy machines that need dates as well as deadlines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// Monotonic time, for deadlines.
    pub mono: Instant,
    /// Wall-clock time, for dates and for noticing that the machine slept.
    pub unix: UnixTime,
}

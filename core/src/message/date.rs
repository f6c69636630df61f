//! HTTP dates: [`format`](format()) writes the one format that is sent, [`parse`] reads the three that may
//! arrive (RFC 9110, section 5.6.7), [`DateCache`] formats at most once a second.
//!
//! Time zones and calendars other than the Gregorian one in GMT do not live here: HTTP has none. Nor does the
//! lenient reading of a cookie's `Expires`: [`super::cookie`] has it.

use crate::{Field, FieldName, FieldValue, UnixTime};
use core::fmt;

const DAYS: [&str; 7] = [
    "Sunday",
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
];
pub(super) const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

const DAY: i64 = 86_400;
/// 0000-01-01T00:00:00Z and 9999-12-31T23:59:59Z: what four digits of a year can say.
const FIRST: i64 = -62_167_219_200;
const LAST: i64 = 253_402_300_799;

/// `t` as an IMF-fixdate, always 29 bytes: the only format that may be sent.
///
/// Times outside the years 0000 to 9999, which the format cannot say, become the nearest one inside.
///
/// ```
/// use antiphon_core::{message::date, UnixTime};
/// assert_eq!(&date::format(UnixTime(784_111_777)), b"Sun, 06 Nov 1994 08:49:37 GMT");
/// ```
pub fn format(t: UnixTime) -> [u8; 29] {
    let t = t.0.clamp(FIRST, LAST);
    let (days, second) = (t.div_euclid(DAY), t.rem_euclid(DAY));
    let (year, month, day) = civil(days);
    let mut out = *b"Sun, 00 Jan 0000 00:00:00 GMT";
    out[..3].copy_from_slice(&DAYS[weekday(days)].as_bytes()[..3]);
    two(&mut out, 5, day);
    out[8..11].copy_from_slice(MONTHS[month as usize - 1].as_bytes());
    two(&mut out, 12, year / 100);
    two(&mut out, 14, year % 100);
    two(&mut out, 17, second / 3600);
    two(&mut out, 20, second / 60 % 60);
    two(&mut out, 23, second % 60);
    out
}

/// Reads an IMF-fixdate, an RFC 850 date or an asctime date.
///
/// `now` is needed for RFC 850's two-digit years: one that appears to be more than 50 years in the future
/// means the most recent year in the past with the same digits (RFC 9110, section 5.6.7). The day name must be
/// one, but need not fit the date: a wrong one changes nothing. A leap second reads as the second after it.
///
/// ```
/// use antiphon_core::{message::date, UnixTime};
/// let now = UnixTime(1_700_000_000);
/// for text in ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"] {
///     assert_eq!(date::parse(text, now), Ok(UnixTime(784_111_777)));
/// }
/// assert!(date::parse("yesterday", now).is_err());
/// ```
///
/// # Errors
/// [`InvalidDate`] for anything else; dates are case-sensitive and single-spaced.
pub fn parse(text: impl AsRef<[u8]>, now: UnixTime) -> Result<UnixTime, InvalidDate> {
    let text = text.as_ref();
    imf(text)
        .or_else(|| rfc850(text, now))
        .or_else(|| asctime(text))
        .ok_or(InvalidDate(()))
}

/// The current second as an IMF-fixdate, formatted when the second changes.
///
/// ```
/// use antiphon_core::{message::date::DateCache, UnixTime};
/// let mut cache = DateCache::new();
/// assert_eq!(cache.at(UnixTime(0)), b"Thu, 01 Jan 1970 00:00:00 GMT");
/// let field = cache.field(UnixTime(1));
/// assert_eq!(field.value.as_bytes(), b"Thu, 01 Jan 1970 00:00:01 GMT");
/// ```
#[derive(Clone, Debug)]
pub struct DateCache {
    second: UnixTime,
    text: [u8; 29],
}

impl DateCache {
    /// A cache that has seen the epoch.
    pub const fn new() -> DateCache {
        DateCache {
            second: UnixTime(0),
            text: *b"Thu, 01 Jan 1970 00:00:00 GMT",
        }
    }

    /// `now` as an IMF-fixdate.
    pub fn at(&mut self, now: UnixTime) -> &[u8; 29] {
        if self.second != now {
            self.second = now;
            self.text = format(now);
        }
        &self.text
    }

    /// The field line `Date` of a message that is made now.
    pub fn field(&mut self, now: UnixTime) -> Field<'_> {
        const DATE: FieldName<'static> = FieldName::from_static("Date");
        Field::new(DATE, FieldValue::checked(self.at(now)))
    }
}

impl Default for DateCache {
    fn default() -> DateCache {
        DateCache::new()
    }
}

/// The text is no HTTP date (RFC 9110, section 5.6.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidDate(());

impl fmt::Display for InvalidDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not an HTTP date such as `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110, section 5.6.7)")
    }
}

impl core::error::Error for InvalidDate {}

fn two(out: &mut [u8; 29], at: usize, number: i64) {
    out[at] = b'0' + (number / 10) as u8;
    out[at + 1] = b'0' + (number % 10) as u8;
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`
fn imf(t: &[u8]) -> Option<UnixTime> {
    if t.len() != 29 || day_name(&t[..3], 3).is_none() {
        return None;
    }
    let spaced = &t[3..5] == b", " && t[7] == b' ' && t[11] == b' ' && t[16] == b' ' && &t[25..] == b" GMT";
    if !spaced {
        return None;
    }
    unix(
        digits(&t[12..16])?,
        month(&t[8..11])?,
        digits(&t[5..7])?,
        clock(&t[17..25])?,
    )
}

/// `Sunday, 06-Nov-94 08:49:37 GMT`
fn rfc850(t: &[u8], now: UnixTime) -> Option<UnixTime> {
    let comma = t.iter().position(|&b| b == b',')?;
    day_name(&t[..comma], usize::MAX)?;
    let t = &t[comma..];
    if t.len() != 24 {
        return None;
    }
    let spaced = &t[..2] == b", " && t[4] == b'-' && t[8] == b'-' && t[11] == b' ' && &t[20..] == b" GMT";
    if !spaced {
        return None;
    }
    let (two, month, day, clock) = (
        digits(&t[9..11])?,
        month(&t[5..8])?,
        digits(&t[2..4])?,
        clock(&t[12..20])?,
    );
    let (this_year, ..) = civil(now.0.clamp(FIRST, LAST).div_euclid(DAY));
    // The latest year with these digits that may still be less than 50 years ahead, and the one before it.
    let mut year = this_year + 50 - (this_year + 50 - two).rem_euclid(100);
    let ahead = |year| {
        let limit = unix_unchecked(this_year + 50, now);
        unix(year, month, day, clock).is_some_and(|t| t.0 > limit)
    };
    if ahead(year) {
        year -= 100;
    }
    unix(year, month, day, clock)
}

/// `now`, moved to `year`: 29 February moves to 1 March where there is none.
fn unix_unchecked(year: i64, now: UnixTime) -> i64 {
    let t = now.0.clamp(FIRST, LAST);
    let (_, month, day) = civil(t.div_euclid(DAY));
    days(year, month, day) * DAY + t.rem_euclid(DAY)
}

/// `Sun Nov  6 08:49:37 1994`
fn asctime(t: &[u8]) -> Option<UnixTime> {
    if t.len() != 24 || day_name(&t[..3], 3).is_none() {
        return None;
    }
    if t[3] != b' ' || t[7] != b' ' || t[10] != b' ' || t[19] != b' ' {
        return None;
    }
    // date3 = month SP ( 2DIGIT / ( SP 1DIGIT ))
    let day = if t[8] == b' ' {
        digits(&t[9..10])?
    } else {
        digits(&t[8..10])?
    };
    unix(digits(&t[20..])?, month(&t[4..7])?, day, clock(&t[11..19])?)
}

/// The index of the day whose name, cut at `len`, is `text`.
fn day_name(text: &[u8], len: usize) -> Option<usize> {
    DAYS.iter()
        .position(|d| &d.as_bytes()[..d.len().min(len)] == text)
}

fn month(text: &[u8]) -> Option<i64> {
    MONTHS
        .iter()
        .position(|m| m.as_bytes() == text)
        .map(|m| m as i64 + 1)
}

/// `hh:mm:ss` as seconds of the day.
fn clock(t: &[u8]) -> Option<i64> {
    let (h, m, s) = (digits(&t[..2])?, digits(&t[3..5])?, digits(&t[6..8])?);
    // second = 2DIGIT, up to 60 for a leap second.
    (t[2] == b':' && t[5] == b':' && h < 24 && m < 60 && s <= 60).then_some(h * 3600 + m * 60 + s)
}

fn digits(text: &[u8]) -> Option<i64> {
    text.iter()
        .try_fold(0, |n, b| b.is_ascii_digit().then(|| n * 10 + i64::from(b - b'0')))
}

/// A Gregorian date and a second of its day; `None` if the month has no such day.
pub(super) fn unix(year: i64, month: i64, day: i64, second: i64) -> Option<UnixTime> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let last = match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    (1..=last)
        .contains(&day)
        .then(|| UnixTime(days(year, month, day) * DAY + second))
}

/// Days from 1970-01-01 to a Gregorian date. Years are counted from 1 March, so that the leap day comes last.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// The Gregorian date (year, month, day) that lies `days` after 1970-01-01.
fn civil(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let (era, of_era) = (z.div_euclid(146_097), z.rem_euclid(146_097));
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let m = (5 * of_year + 2) / 153;
    let (day, month) = (
        of_year - (153 * m + 2) / 5 + 1,
        if m < 10 { m + 3 } else { m - 9 },
    );
    (year + era * 400 + i64::from(month <= 2), month, day)
}

/// 1970-01-01 was a Thursday.
fn weekday(days: i64) -> usize {
    (days + 4).rem_euclid(7) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::String;
    use quickcheck::quickcheck;

    const NOW: UnixTime = UnixTime(1_700_000_000); // Tue, 14 Nov 2023 22:13:20 GMT

    fn text(t: i64) -> String {
        String::from_utf8(format(UnixTime(t)).to_vec()).unwrap()
    }

    #[test]
    fn known_dates() {
        for (t, s) in [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (-1, "Wed, 31 Dec 1969 23:59:59 GMT"),
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
            (951_868_800, "Wed, 01 Mar 2000 00:00:00 GMT"),
            (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"), // 2100 is no leap year
            (1_700_000_000, "Tue, 14 Nov 2023 22:13:20 GMT"),
            (FIRST, "Sat, 01 Jan 0000 00:00:00 GMT"),
            (LAST, "Fri, 31 Dec 9999 23:59:59 GMT"),
        ] {
            assert_eq!(text(t), s);
            assert_eq!(parse(s, NOW), Ok(UnixTime(t)), "{s}");
        }
        assert_eq!(text(i64::MIN), text(FIRST));
        assert_eq!(text(i64::MAX), text(LAST));
    }

    #[test]
    fn two_digit_years_are_at_most_fifty_years_ahead() {
        // now is Tue, 14 Nov 2023 22:13:20
        for (s, year) in [
            ("Sunday, 06-Nov-94 08:49:37 GMT", "1994"),
            ("Tuesday, 14-Nov-23 22:13:20 GMT", "2023"),
            ("Tuesday, 14-Nov-73 22:13:20 GMT", "2073"), // 50 years ahead to the second: not more than 50
            ("Tuesday, 14-Nov-73 22:13:21 GMT", "1973"), // one second more
            ("Tuesday, 01-Jan-74 00:00:00 GMT", "1974"),
            ("Monday, 01-Jan-00 00:00:00 GMT", "2000"),
        ] {
            assert_eq!(&text(parse(s, NOW).unwrap().0)[12..16], year, "{s}");
        }
        // "most recent year in the past": in 1990, 94 is four years ahead.
        assert_eq!(
            &text(
                parse("Sunday, 06-Nov-94 08:49:37 GMT", UnixTime(640_000_000))
                    .unwrap()
                    .0
            )[12..16],
            "1994"
        );
    }

    #[test]
    fn a_leap_second_is_the_second_after() {
        assert_eq!(
            parse("Sat, 31 Dec 2016 23:59:60 GMT", NOW),
            parse("Sun, 01 Jan 2017 00:00:00 GMT", NOW)
        );
    }

    #[test]
    fn what_is_no_date() {
        for s in [
            "",
            "0",
            "-1",
            "Sun, 06 Nov 1994 08:49:37 UTC",
            "Sun, 06 Nov 1994 08:49:37 gmt",
            "sun, 06 Nov 1994 08:49:37 GMT",
            "Xyz, 06 Nov 1994 08:49:37 GMT",
            "Sun, 6 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 8:49:37 GMT",
            "Sun, 06 Nov 1994 24:00:00 GMT",
            "Sun, 06 Nov 1994 08:60:00 GMT",
            "Sun, 06 Nov 1994 08:49:61 GMT",
            "Sun, 31 Nov 1994 08:49:37 GMT",
            "Sun, 00 Nov 1994 08:49:37 GMT",
            "Sun, 29 Feb 1900 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37 GMT ",
            "Sun,  06 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov +994 08:49:37 GMT",
            "Sun, 06-Nov-94 08:49:37 GMT", // RFC 850 wants the full day name
            "Sunday, 06-Nov-1994 08:49:37 GMT",
            "Sunday, 31-Feb-94 08:49:37 GMT",
            ", 06-Nov-94 08:49:37 GMT",
            "Sun Nov 6 08:49:37 1994",
            "Sun Nov 06 08:49:37 94",
            "Sun, 06 Nov 1994 08:49:37 \u{ff}MT",
        ] {
            assert_eq!(parse(s, NOW), Err(InvalidDate(())), "{s:?}");
        }
        // Two digits and a blank with one are both allowed by asctime-date.
        assert_eq!(parse("Sun Nov 06 08:49:37 1994", NOW), Ok(UnixTime(784_111_777)));
    }

    #[test]
    fn the_cache_follows_the_clock_both_ways() {
        let mut c = DateCache::new();
        for t in [5, 5, 6, 4, 0, -1] {
            assert_eq!(c.at(UnixTime(t)), &format(UnixTime(t)));
        }
    }

    quickcheck! {
        fn what_is_formatted_parses_back(t: i64) -> bool {
            let t = FIRST + t.rem_euclid(LAST - FIRST + 1);
            parse(format(UnixTime(t)), NOW) == Ok(UnixTime(t))
        }

        fn neighbours_differ_by_one_second(t: u32) -> bool {
            let t = i64::from(t);
            parse(format(UnixTime(t + 1)), NOW).unwrap().0 - parse(format(UnixTime(t)), NOW).unwrap().0 == 1
        }

        fn no_input_panics(bytes: alloc::vec::Vec<u8>, now: i64) -> bool {
            let _ = parse(&bytes, UnixTime(now));
            true
        }

        // Damaged dates: the parser slices by fixed offsets.
        fn no_damaged_date_panics(at: usize, byte: u8, cut: usize) -> bool {
            for s in ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"] {
                let mut v = s.as_bytes().to_vec();
                let n = v.len();
                v[at % n] = byte;
                let _ = parse(&v, NOW);
                v.truncate(cut % n);
                let _ = parse(&v, NOW);
            }
            true
        }
    }
}

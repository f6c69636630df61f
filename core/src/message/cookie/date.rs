//! The lenient reading of a cookie's `Expires` (RFC 6265, section 5.1.1). What HTTP's other dates look like
//! does not live here.

use crate::UnixTime;
use crate::message::date::{MONTHS, unix};

/// Reads a cookie date: a time, a day of the month, a month and a year in any order, with anything between
/// them. The three formats of HTTP dates are among what it reads.
///
/// ```
/// use antiphon_core::{message::cookie::parse_date, UnixTime};
/// for text in ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "08:49:37 nov 1994 6"] {
///     assert_eq!(parse_date(text), Some(UnixTime(784_111_777)));
/// }
/// assert_eq!(parse_date("tomorrow"), None);
/// ```
pub fn parse_date(text: impl AsRef<[u8]>) -> Option<UnixTime> {
    let (mut time, mut day, mut month, mut year) = (None, None, None, None);
    for token in text.as_ref().split(|&b| is_delimiter(b)) {
        // Each token is tried in this order, and is what is still wanted first.
        if time.is_none() && clock(token).is_some() {
            time = clock(token);
        } else if day.is_none() && number(token, 1, 2).is_some() {
            day = number(token, 1, 2);
        } else if month.is_none() && month_of(token).is_some() {
            month = month_of(token);
        } else if year.is_none() && number(token, 2, 4).is_some() {
            year = number(token, 2, 4);
        }
    }
    let year = match year? {
        y @ 70..=99 => y + 1900,
        y @ 0..=69 => y + 2000,
        // "Abort these steps and fail to parse the cookie-date if [...] the year-value is less than 1601."
        ..=1600 => return None,
        y => y,
    };
    let [hour, minute, second] = time?;
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    unix(year, month?, day?, hour * 3600 + minute * 60 + second)
}

/// `delimiter = %x09 / %x20-2F / %x3B-40 / %x5B-60 / %x7B-7E`
fn is_delimiter(b: u8) -> bool {
    matches!(b, 0x09 | 0x20..=0x2f | 0x3b..=0x40 | 0x5b..=0x60 | 0x7b..=0x7e)
}

/// From `min` to `max` digits, and then nothing, or a byte that is no digit and anything.
fn number(token: &[u8], min: usize, max: usize) -> Option<i64> {
    let len = token.iter().take_while(|b| b.is_ascii_digit()).count();
    let value = |n, b: &u8| n * 10 + i64::from(b - b'0');
    (min..=max)
        .contains(&len)
        .then(|| token[..len].iter().fold(0, value))
}

/// `hms-time = time-field ":" time-field ":" time-field`, each of one or two digits.
fn clock(token: &[u8]) -> Option<[i64; 3]> {
    let mut parts = token.splitn(3, |&b| b == b':');
    let mut exact = || parts.next().filter(|p| p.iter().all(u8::is_ascii_digit));
    let (hour, minute) = (number(exact()?, 1, 2)?, number(exact()?, 1, 2)?);
    Some([hour, minute, number(parts.next()?, 1, 2)?])
}

/// The first three letters of a month, without regard to case; what follows them does not matter.
fn month_of(token: &[u8]) -> Option<i64> {
    let name = token.get(..3)?;
    let at = MONTHS
        .iter()
        .position(|m| m.as_bytes().eq_ignore_ascii_case(name))?;
    Some(at as i64 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::date::{format, parse};
    use quickcheck::quickcheck;

    #[test]
    fn dates_as_servers_write_them() {
        for (text, same) in [
            ("Mon, 10-Dec-2007 17:02:24 GMT", "Mon, 10 Dec 2007 17:02:24 GMT"),
            ("Wed, 09 Dec 2009 16:27:23 GMT", "Wed, 09 Dec 2009 16:27:23 GMT"),
            (
                "Thursday, 01-Jan-1970 00:00:00 GMT",
                "Thu, 01 Jan 1970 00:00:00 GMT",
            ),
            ("Mon Dec 24 16:32:30 1977 GMT", "Sat, 24 Dec 1977 16:32:30 GMT"),
            ("Mon, 01-Jan-69 00:00:01 GMT", "Tue, 01 Jan 2069 00:00:01 GMT"),
            ("Mon, 01-Jan-70 00:00:01 GMT", "Thu, 01 Jan 1970 00:00:01 GMT"),
            ("1 jAnUaRy 2030 1:2:3", "Tue, 01 Jan 2030 01:02:03 GMT"),
            ("2030 1 01:02:03 Jan", "Tue, 01 Jan 2030 01:02:03 GMT"),
            ("29 Feb 2100 00:00:00", ""),
            ("31 Nov 2030 00:00:00", ""),
            ("1 Jan 1600 00:00:00", ""),
            ("1 Jan 1601 00:00:00", "Mon, 01 Jan 1601 00:00:00 GMT"),
            ("1 Jan 2030 24:00:00", ""),
            ("1 Jan 2030 23:60:00", ""),
            ("1 Jan 2030 23:59:60", ""),
            ("1 Jan 2030 23:59", ""),
            ("1 Jan 20300 23:59:00", ""),
            ("1 Jan 2030th 23:59:00Z", "Tue, 01 Jan 2030 23:59:00 GMT"),
            ("1 Jan 2030 123:59:00", ""),
            ("1 Ja 2030 23:59:00", ""),
            ("", ""),
        ] {
            let want = Some(same)
                .filter(|s| !s.is_empty())
                .map(|s| parse(s, UnixTime(0)).unwrap());
            assert_eq!(parse_date(text), want, "{text}");
        }
    }

    quickcheck! {
        fn whatever_we_send_reads_back(t: u32) -> bool {
            let t = UnixTime(i64::from(t));
            parse_date(format(t)) == Some(t)
        }

        fn no_input_panics(bytes: alloc::vec::Vec<u8>) -> bool {
            let _ = parse_date(bytes);
            true
        }
    }
}

//! Byte ranges (RFC 9110, section 14): what a `Range` value asks of a representation of known length.
//!
//! Several ranges in one response (multipart/byteranges) do not live here.

use crate::message::token;
use alloc::format;
use alloc::string::String;

/// What to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums)]
pub enum RangeAnswer {
    /// Everything: there is no range, or none that is understood.
    Whole,
    /// One part.
    Part(ByteRange),
    /// Nothing: the range lies behind the end (416).
    Unsatisfiable,
}

/// A part of a representation: never empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs)]
pub struct ByteRange {
    /// Offset of the first byte.
    pub start: u64,
    /// Number of bytes.
    pub len: u64,
}

impl ByteRange {
    /// The value of `Content-Range` for this part of `total` bytes (RFC 9110, section 14.4).
    pub fn content_range(self, total: u64) -> String {
        format!("bytes {}-{}/{total}", self.start, self.start + (self.len - 1))
    }
}

/// The value of `Content-Range` in a 416 for a representation of `total` bytes.
pub fn unsatisfied_range(total: u64) -> String {
    format!("bytes */{total}")
}

/// What this `Range` value asks of a representation of `total` bytes.
///
/// A value that is malformed, of another unit, or of several ranges is ignored, as section 14.2 allows; so is
/// every range of an empty representation.
///
/// ```
/// use antiphon_core::server::range::{self, ByteRange, RangeAnswer};
/// assert_eq!(range::evaluate(b"bytes=0-99", 1000), RangeAnswer::Part(ByteRange { start: 0, len: 100 }));
/// assert_eq!(range::evaluate(b"bytes=-1", 1000), RangeAnswer::Part(ByteRange { start: 999, len: 1 }));
/// assert_eq!(range::evaluate(b"bytes=1000-", 1000), RangeAnswer::Unsatisfiable);
/// assert_eq!(range::evaluate(b"bytes=0-1,5-6", 1000), RangeAnswer::Whole);
/// ```
pub fn evaluate(value: &[u8], total: u64) -> RangeAnswer {
    specified(value, total).unwrap_or(RangeAnswer::Whole)
}

/// `None` for what is ignored.
fn specified(value: &[u8], total: u64) -> Option<RangeAnswer> {
    let equals = value.iter().position(|&b| b == b'=')?;
    let (unit, set) = (&value[..equals], &value[equals + 1..]);
    if !unit.eq_ignore_ascii_case(b"bytes") || total == 0 {
        return None;
    }
    // A list may have empty members (RFC 9110, section 5.6.1.2).
    let mut members = token::list_members(set);
    let (Some(spec), None) = (members.next(), members.next()) else {
        return None;
    };
    let dash = spec.iter().position(|&b| b == b'-')?;
    let (first, last) = (&spec[..dash], &spec[dash + 1..]);
    if first.is_empty() {
        // suffix-range: the last n bytes, all if there are fewer.
        let len = number(last)?.min(total);
        if len == 0 {
            return Some(RangeAnswer::Unsatisfiable);
        }
        return Some(RangeAnswer::Part(ByteRange {
            start: total - len,
            len,
        }));
    }
    let start = number(first)?;
    let last = if last.is_empty() { u64::MAX } else { number(last)? };
    // "An int-range is invalid if the last-pos value is present and less than first-pos."
    if last < start {
        return None;
    }
    if start >= total {
        return Some(RangeAnswer::Unsatisfiable);
    }
    Some(RangeAnswer::Part(ByteRange {
        start,
        len: last.min(total - 1) - start + 1,
    }))
}

/// A decimal number; one beyond `u64` is as good as the greatest, since it lies behind every end.
fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0u64, |n, b| {
        b.is_ascii_digit()
            .then(|| n.saturating_mul(10).saturating_add(u64::from(b - b'0')))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use quickcheck::quickcheck;

    #[test]
    fn ranges_of_ten_bytes() {
        use RangeAnswer::{Unsatisfiable, Whole};
        let part = |start, len| RangeAnswer::Part(ByteRange { start, len });
        for (value, answer) in [
            ("bytes=0-0", part(0, 1)),
            ("bytes=0-9", part(0, 10)),
            ("bytes=0-10", part(0, 10)),
            ("bytes=0-", part(0, 10)),
            ("bytes=9-", part(9, 1)),
            ("bytes=3-5", part(3, 3)),
            ("BYTES=3-5", part(3, 3)),
            ("bytes= 3-5 ,", part(3, 3)),
            ("bytes=-3", part(7, 3)),
            ("bytes=-10", part(0, 10)),
            ("bytes=-11", part(0, 10)),
            ("bytes=-99999999999999999999999", part(0, 10)),
            ("bytes=5-99999999999999999999999", part(5, 5)),
            ("bytes=10-", Unsatisfiable),
            ("bytes=10-20", Unsatisfiable),
            ("bytes=99999999999999999999999-", Unsatisfiable),
            ("bytes=-0", Unsatisfiable),
            ("bytes=5-4", Whole),
            ("bytes=", Whole),
            ("bytes=-", Whole),
            ("bytes=5", Whole),
            ("bytes", Whole),
            ("", Whole),
            ("bytes=a-b", Whole),
            ("bytes=+1-2", Whole),
            ("bytes=1 -2", Whole),
            ("bytes =1-2", Whole),
            ("bytes=1-2-3", Whole),
            ("bytes=--1", Whole),
            ("lines=0-1", Whole),
            ("bytes=0-1,3-4", Whole),
        ] {
            assert_eq!(evaluate(value.as_bytes(), 10), answer, "{value}");
        }
    }

    #[test]
    fn an_empty_representation_has_no_ranges() {
        for value in ["bytes=0-", "bytes=-1", "bytes=0-0", "bytes=-0"] {
            assert_eq!(evaluate(value.as_bytes(), 0), RangeAnswer::Whole, "{value}");
        }
    }

    #[test]
    fn the_greatest_representation() {
        let total = u64::MAX;
        let RangeAnswer::Part(part) = evaluate(b"bytes=0-", total) else {
            panic!()
        };
        assert_eq!(part.len, total);
        assert_eq!(
            part.content_range(total),
            "bytes 0-18446744073709551614/18446744073709551615"
        );
        assert_eq!(unsatisfied_range(7), "bytes */7");
    }

    quickcheck! {
        fn a_part_lies_inside(a: Option<u64>, b: Option<u64>, total: u64) -> bool {
            let text = |n: Option<u64>| n.map_or(String::new(), |n| format!("{n}"));
            match evaluate(format!("bytes={}-{}", text(a), text(b)).as_bytes(), total) {
                RangeAnswer::Part(p) => {
                    p.len > 0 && p.start < total && p.len <= total - p.start
                        && a.is_none_or(|a| a == p.start && b.is_none_or(|b| p.len == b.min(total - 1) - a + 1))
                }
                RangeAnswer::Unsatisfiable => total > 0 && (a.is_some_and(|a| a >= total) || b == Some(0)),
                RangeAnswer::Whole => total == 0 || (a.is_none() && b.is_none()) || a > b,
            }
        }

        fn no_value_panics(value: alloc::vec::Vec<u8>, total: u64) -> bool {
            evaluate(&value, total);
            true
        }
    }
}

//! Conditional requests (RFC 9110, section 13): whether a request's preconditions hold for a representation
//! with these [`Validators`].

use super::date;
use crate::message::token;
use crate::{Fields, UnixTime};
use alloc::format;
use alloc::string::String;

/// What identifies the version of a representation.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Validators {
    /// The entity tag as it stands in `ETag`: `"xyz"` or `W/"xyz"`.
    pub etag: Option<String>,
    /// When it was last changed; never later than the time of the response.
    pub last_modified: Option<UnixTime>,
}

impl Validators {
    /// Validators of a file: its time of change and a weak tag made of its length and that time. The tag is
    /// weak because a file can change twice within what a file system can tell.
    ///
    /// `now` bounds the date: "An origin server with a clock MUST NOT generate a Last-Modified date that is
    /// later than the server's time of message origination" (RFC 9110, section 8.8.2.1).
    pub fn of_file(len: u64, modified: Option<UnixTime>, nanos: u32, now: UnixTime) -> Validators {
        Validators {
            etag: modified.map(|t| format!("W/\"{len:x}-{:x}-{nanos:x}\"", t.0)),
            last_modified: modified.map(|t| t.min(now)),
        }
    }
}

/// What the preconditions of a request say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums)]
pub enum Verdict {
    /// Go on.
    Proceed,
    /// 304: the client has it already.
    NotModified,
    /// 412: the client wants it only in another version.
    Failed,
}

/// Evaluates `If-Match`, `If-Unmodified-Since`, `If-None-Match` and `If-Modified-Since` for an existing
/// representation, in the order of RFC 9110, section 13.2.2.
///
/// ```
/// use antiphon_core::server::conditional::{self, Validators, Verdict};
/// use antiphon_core::{Headers, UnixTime};
/// let now = UnixTime(1_700_000_000);
/// let file = Validators::of_file(5, Some(UnixTime(784_111_777)), 0, now);
/// let mut h = Headers::new();
/// h.append("If-Modified-Since", "Sun, 06 Nov 1994 08:49:37 GMT")?;
/// assert_eq!(conditional::evaluate("GET", h.as_fields(), &file, now), Verdict::NotModified);
/// # Ok::<(), antiphon_core::InvalidField>(())
/// ```
pub fn evaluate(method: &str, fields: Fields<'_>, current: &Validators, now: UnixTime) -> Verdict {
    let reads = matches!(method, "GET" | "HEAD");
    let etag = current.etag.as_deref().map(str::as_bytes);
    if fields.get("If-Match").is_some() {
        if !names(fields, "If-Match", etag, strong_eq) {
            return Verdict::Failed;
        }
    } else if let Some(since) = single_date(fields, "If-Unmodified-Since", now)
        && current.last_modified.is_some_and(|changed| changed > since)
    {
        return Verdict::Failed;
    }
    if fields.get("If-None-Match").is_some() {
        if names(fields, "If-None-Match", etag, weak_eq) {
            return if reads {
                Verdict::NotModified
            } else {
                Verdict::Failed
            };
        }
    } else if reads
        && let Some(since) = single_date(fields, "If-Modified-Since", now)
        && current.last_modified.is_some_and(|changed| changed <= since)
    {
        return Verdict::NotModified;
    }
    Verdict::Proceed
}

/// Whether `Range` is to be heeded: there is no `If-Range`, or its validator is a strong match (RFC 9110,
/// section 13.1.5). A weak tag never is; a date is when it is exactly the time of the last change and that
/// second is over, so that nothing can have changed twice in it (section 8.8.2.2).
pub fn range_applies(fields: Fields<'_>, current: &Validators, now: UnixTime) -> bool {
    let mut lines = fields.get_all("If-Range");
    let Some(value) = lines.next() else { return true };
    if lines.next().is_some() {
        return false;
    }
    if value.starts_with(b"\"") || value.starts_with(b"W/") {
        return current
            .etag
            .as_ref()
            .is_some_and(|etag| strong_eq(value, etag.as_bytes()));
    }
    match (date::parse(value, now), current.last_modified) {
        (Ok(date), Some(changed)) => date == changed && changed < now,
        _ => false,
    }
}

/// The date of a field that occurs once and is valid; others are ignored (RFC 9110, section 13.1.3).
fn single_date(fields: Fields<'_>, name: &str, now: UnixTime) -> Option<UnixTime> {
    let mut lines = fields.get_all(name);
    let value = lines.next()?;
    if lines.next().is_some() {
        return None;
    }
    date::parse(value, now).ok()
}

/// Whether a list of entity tags (or `*`) names the current one.
fn names(fields: Fields<'_>, name: &str, current: Option<&[u8]>, eq: fn(&[u8], &[u8]) -> bool) -> bool {
    fields.get_all(name).any(|value| {
        // `*` stands for any current representation, and there is one.
        token::trim_ows(value) == b"*" || entity_tags(value).any(|tag| current.is_some_and(|c| eq(tag, c)))
    })
}

/// The entity tags of a list, up to the first thing that is none. A tag may contain commas.
fn entity_tags(mut value: &[u8]) -> impl Iterator<Item = &[u8]> {
    core::iter::from_fn(move || {
        while let [b' ' | b'\t' | b',', rest @ ..] = value {
            value = rest;
        }
        let prefix = if value.starts_with(b"W/") { 2 } else { 0 };
        // opaque-tag = DQUOTE *etagc DQUOTE; etagc is "!", 0x23-0x7E and obs-text.
        let [b'"', inside @ ..] = &value[prefix..] else {
            return None;
        };
        let end = inside.iter().position(|&b| b == b'"' || b <= b' ' || b == 0x7f)?;
        if inside[end] != b'"' {
            return None;
        }
        let (tag, rest) = value.split_at(prefix + 1 + end + 1);
        value = rest;
        Some(tag)
    })
}

/// "Two entity tags are equivalent if both are not weak and their opaque-tags match character-by-character."
fn strong_eq(a: &[u8], b: &[u8]) -> bool {
    a == b && !a.starts_with(b"W/")
}

/// "... regardless of either or both being tagged as weak." (RFC 9110, section 8.8.3.2)
fn weak_eq(a: &[u8], b: &[u8]) -> bool {
    let opaque = |t| <[u8]>::strip_prefix(t, b"W/").unwrap_or(t);
    opaque(a) == opaque(b)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Headers;

    const NOW: UnixTime = UnixTime(1_700_000_000);
    const CHANGED: UnixTime = UnixTime(784_111_777);
    const BEFORE: &str = "Sun, 06 Nov 1994 08:49:36 GMT";
    const SAME: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const AFTER: &str = "Sun, 06 Nov 1994 08:49:38 GMT";

    fn headers(lines: &[(&str, &str)]) -> Headers {
        let mut h = Headers::new();
        for (n, v) in lines {
            h.append(n, v).unwrap();
        }
        h
    }

    fn current(etag: &str) -> Validators {
        Validators {
            etag: Some(etag.into()),
            last_modified: Some(CHANGED),
        }
    }

    #[test]
    fn the_validators_of_a_file() {
        let v = Validators::of_file(0x1234, Some(UnixTime(0xabcd)), 0xf, NOW);
        assert_eq!(v.etag.as_deref(), Some("W/\"1234-abcd-f\""));
        assert_eq!(v.last_modified, Some(UnixTime(0xabcd)));
        // A file from the future claims to be from now.
        assert_eq!(
            Validators::of_file(1, Some(UnixTime(NOW.0 + 1)), 0, NOW).last_modified,
            Some(NOW)
        );
        let none = Validators::of_file(1, None, 0, NOW);
        assert_eq!((none.etag, none.last_modified), (None, None));
    }

    #[test]
    fn preconditions() {
        use Verdict::*;
        let weak = "W/\"v1\"";
        let strong = "\"v1\"";
        for (etag, method, lines, verdict) in [
            (weak, "GET", &[][..], Proceed),
            (weak, "GET", &[("If-Modified-Since", BEFORE)], Proceed),
            (weak, "GET", &[("If-Modified-Since", SAME)], NotModified),
            (weak, "HEAD", &[("If-Modified-Since", AFTER)], NotModified),
            (weak, "POST", &[("If-Modified-Since", AFTER)], Proceed),
            (
                weak,
                "GET",
                &[("If-Modified-Since", "Sunday, 06-Nov-94 08:49:37 GMT")],
                NotModified,
            ),
            (weak, "GET", &[("If-Modified-Since", "nonsense")], Proceed),
            (
                weak,
                "GET",
                &[("If-Modified-Since", SAME), ("If-Modified-Since", AFTER)],
                Proceed,
            ),
            (weak, "GET", &[("If-Unmodified-Since", BEFORE)], Failed),
            (weak, "GET", &[("If-Unmodified-Since", SAME)], Proceed),
            (weak, "GET", &[("If-Unmodified-Since", "nonsense")], Proceed),
            (weak, "GET", &[("If-None-Match", "W/\"v1\"")], NotModified),
            (weak, "GET", &[("If-None-Match", "\"v1\"")], NotModified),
            (strong, "GET", &[("If-None-Match", "W/\"v1\"")], NotModified),
            (weak, "PUT", &[("If-None-Match", "\"v1\"")], Failed),
            (
                weak,
                "GET",
                &[("If-None-Match", "\"v0\", W/\"v1\" ,\"v2\"")],
                NotModified,
            ),
            (
                weak,
                "GET",
                &[("If-None-Match", "\"v0\""), ("If-None-Match", "\"v1\"")],
                NotModified,
            ),
            (weak, "GET", &[("If-None-Match", "\"v0\",\"a,b\"")], Proceed),
            (weak, "GET", &[("If-None-Match", "v1")], Proceed),
            (weak, "GET", &[("If-None-Match", "\"v1")], Proceed),
            (weak, "GET", &[("If-None-Match", "w/\"v1\"")], Proceed), // "W/" is case-sensitive
            (weak, "GET", &[("If-None-Match", "*")], NotModified),
            // If-None-Match switches If-Modified-Since off.
            (
                weak,
                "GET",
                &[("If-None-Match", "\"v0\""), ("If-Modified-Since", AFTER)],
                Proceed,
            ),
            (weak, "GET", &[("If-Match", "*")], Proceed),
            (weak, "GET", &[("If-Match", "W/\"v1\"")], Failed), // a weak tag is no strong match
            (strong, "GET", &[("If-Match", "\"v0\", \"v1\"")], Proceed),
            (strong, "GET", &[("If-Match", "W/\"v1\"")], Failed),
            // If-Match switches If-Unmodified-Since off.
            (
                strong,
                "GET",
                &[("If-Match", "\"v1\""), ("If-Unmodified-Since", BEFORE)],
                Proceed,
            ),
            // A failed first one wins over a second one.
            (
                strong,
                "GET",
                &[("If-Match", "\"v0\""), ("If-None-Match", "\"v1\"")],
                Failed,
            ),
            (
                strong,
                "GET",
                &[("If-Match", "\"v1\""), ("If-None-Match", "\"v1\"")],
                NotModified,
            ),
        ] {
            let h = headers(lines);
            assert_eq!(
                evaluate(method, h.as_fields(), &current(etag), NOW),
                verdict,
                "{etag} {method} {lines:?}"
            );
        }
    }

    #[test]
    fn without_validators_dates_say_nothing() {
        let bare = Validators {
            etag: None,
            last_modified: None,
        };
        for (lines, verdict) in [
            (&[("If-Modified-Since", AFTER)], Verdict::Proceed),
            (&[("If-Unmodified-Since", BEFORE)], Verdict::Proceed),
            (&[("If-None-Match", "\"v1\"")], Verdict::Proceed),
            (&[("If-None-Match", "*")], Verdict::NotModified),
            (&[("If-Match", "\"v1\"")], Verdict::Failed),
            (&[("If-Match", "*")], Verdict::Proceed),
        ] {
            assert_eq!(
                evaluate("GET", headers(lines).as_fields(), &bare, NOW),
                verdict,
                "{lines:?}"
            );
        }
    }

    #[test]
    fn if_range() {
        let applies = |etag: &str, lines: &[(&str, &str)], now| {
            range_applies(headers(lines).as_fields(), &current(etag), now)
        };
        assert!(applies("W/\"v1\"", &[], NOW));
        assert!(applies("\"v1\"", &[("If-Range", "\"v1\"")], NOW));
        assert!(!applies("\"v1\"", &[("If-Range", "\"v0\"")], NOW));
        assert!(!applies("\"v1\"", &[("If-Range", "W/\"v1\"")], NOW));
        assert!(!applies("W/\"v1\"", &[("If-Range", "W/\"v1\"")], NOW));
        assert!(applies("W/\"v1\"", &[("If-Range", SAME)], NOW));
        assert!(!applies("W/\"v1\"", &[("If-Range", BEFORE)], NOW));
        assert!(!applies("W/\"v1\"", &[("If-Range", AFTER)], NOW)); // exact, not "not later"
        assert!(!applies("W/\"v1\"", &[("If-Range", "nonsense")], NOW));
        assert!(!applies(
            "W/\"v1\"",
            &[("If-Range", SAME), ("If-Range", SAME)],
            NOW
        ));
        // In the second of the change it may change again; in the next one the date is strong.
        assert!(!applies("W/\"v1\"", &[("If-Range", SAME)], CHANGED));
        assert!(applies(
            "W/\"v1\"",
            &[("If-Range", SAME)],
            UnixTime(CHANGED.0 + 1)
        ));
    }
}

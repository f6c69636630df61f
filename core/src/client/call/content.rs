//! Content codings as decisions: when `Accept-Encoding` is added, which response is to be decoded, and which fields are
//! mended then (RFC 9110, sections 8.4 and 12.5.3).
//!
//! Decoding itself lives above: the core only says what is to be done.

use crate::h1::BodyLen;
use crate::{Fields, Headers, Method};

/// A content coding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Coding {
    /// `gzip`, and its old name `x-gzip`.
    Gzip,
    /// `deflate`: the zlib format.
    Deflate,
    /// `br`.
    Brotli,
    /// `zstd`.
    Zstd,
}

/// In the order in which they are offered.
const ALL: [(Coding, &str); 4] = [
    (Coding::Gzip, "gzip"),
    (Coding::Deflate, "deflate"),
    (Coding::Brotli, "br"),
    (Coding::Zstd, "zstd"),
];

/// Each subset of [`ALL`], its bits counted from the first.
const ACCEPT: [&str; 16] = [
    "",
    "gzip",
    "deflate",
    "gzip, deflate",
    "br",
    "gzip, br",
    "deflate, br",
    "gzip, deflate, br",
    "zstd",
    "gzip, zstd",
    "deflate, zstd",
    "gzip, deflate, zstd",
    "br, zstd",
    "gzip, br, zstd",
    "deflate, br, zstd",
    "gzip, deflate, br, zstd",
];

impl Coding {
    /// The name in `Accept-Encoding` and `Content-Encoding`.
    pub fn name(self) -> &'static str {
        ALL.iter().find(|(c, _)| *c == self).map_or("", |(_, n)| n)
    }

    fn of(name: &[u8]) -> Option<Coding> {
        let name = name.trim_ascii();
        if name.eq_ignore_ascii_case(b"x-gzip") {
            return Some(Coding::Gzip);
        }
        let known = ALL.iter().find(|(_, n)| name.eq_ignore_ascii_case(n.as_bytes()));
        known.map(|(c, _)| *c)
    }
}

/// The codings that the layer above can decode.
///
/// ```
/// use antiphon_core::client::call::{Coding, Codings};
/// let codings = Codings::NONE.with(Coding::Brotli).with(Coding::Gzip);
/// assert_eq!(codings.accept_encoding(), "gzip, br");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Codings(u8);

impl Codings {
    /// None: nothing is asked for, nothing decoded.
    pub const NONE: Codings = Codings(0);

    /// These and `coding`.
    #[must_use]
    pub const fn with(self, coding: Coding) -> Codings {
        Codings(self.0 | 1 << coding as u8)
    }

    /// Whether `coding` is one of them.
    pub const fn contains(self, coding: Coding) -> bool {
        self.0 & 1 << coding as u8 != 0
    }

    /// Whether there is none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// These but `coding`.
    #[must_use]
    pub const fn without(self, coding: Coding) -> Codings {
        Codings(self.0 & !(1 << coding as u8))
    }

    /// The value of `Accept-Encoding`.
    pub const fn accept_encoding(self) -> &'static str {
        ACCEPT[self.0 as usize]
    }
}

/// Whether codings are asked for behind the caller's back, with the reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Ask {
    /// `Accept-Encoding` is added.
    Yes,
    /// The layer above decodes nothing.
    NothingDecoded,
    /// The caller's own `Accept-Encoding` stands, and the bytes are given as they come.
    CallersOwn,
    /// A range of coded bytes cannot be decoded.
    Range,
    /// A response to HEAD or CONNECT has no content.
    NoContent,
}

/// Whether `Accept-Encoding` is to be added to a request.
pub fn ask(codings: Codings, method: &Method, fields: Fields<'_>) -> Ask {
    if codings.is_empty() {
        Ask::NothingDecoded
    } else if fields.contains("accept-encoding") {
        Ask::CallersOwn
    } else if fields.contains("range") {
        Ask::Range
    } else if *method == Method::HEAD || *method == Method::CONNECT {
        Ask::NoContent
    } else {
        Ask::Yes
    }
}

/// Whether a response is to be decoded, with the reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Decode {
    /// Decode it; the length is unknown then, and [`mend`] tells the fields so.
    Yes(Coding),
    /// This client did not ask for a coding.
    NotAsked(Ask),
    /// It has no content.
    NoContent,
    /// It is not coded.
    NotCoded,
    /// Coded in a way that was not asked for, or more than once: it is given as it comes.
    NotOurs,
}

/// Whether the content of a response is to be decoded.
///
/// ```
/// use antiphon_core::client::call::{Ask, Coding, Codings, Decode, decode, mend};
/// use antiphon_core::{Headers, h1::BodyLen};
/// let mut headers = Headers::new();
/// headers.append("Content-Encoding", "gzip")?;
/// headers.append("Content-Length", "20")?;
/// let codings = Codings::NONE.with(Coding::Gzip);
/// let decision = decode(codings, Ask::Yes, headers.as_fields(), BodyLen::Known(20));
/// assert_eq!(decision, Decode::Yes(Coding::Gzip));
/// mend(&mut headers);
/// assert!(headers.is_empty());
/// # Ok::<(), antiphon_core::InvalidField>(())
/// ```
pub fn decode(codings: Codings, asked: Ask, fields: Fields<'_>, body: BodyLen) -> Decode {
    if asked != Ask::Yes {
        return Decode::NotAsked(asked);
    }
    if body.is_empty() {
        return Decode::NoContent;
    }
    let mut lines = fields.get_all("content-encoding");
    match (lines.next(), lines.next()) {
        (None, _) => Decode::NotCoded,
        (Some(value), None) => match Coding::of(value) {
            Some(coding) if codings.contains(coding) => Decode::Yes(coding),
            _ => Decode::NotOurs,
        },
        _ => Decode::NotOurs,
    }
}

/// Takes out the fields that speak of the coded bytes: `Content-Encoding` and `Content-Length`.
pub fn mend(headers: &mut Headers) {
    headers.retain(|f| !f.name.is("content-encoding") && !f.name.is("content-length"));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(lines: &[(&str, &str)]) -> Headers {
        let mut h = Headers::new();
        for (n, v) in lines {
            h.append(n, v).unwrap();
        }
        h
    }

    #[test]
    fn what_is_offered_is_what_there_is() {
        for bits in 0..16 {
            let codings = Codings(bits);
            let names: alloc::vec::Vec<&str> = ALL
                .iter()
                .filter(|(c, _)| codings.contains(*c))
                .map(|(_, n)| *n)
                .collect();
            assert_eq!(codings.accept_encoding(), names.join(", "));
            for (coding, _) in ALL {
                assert!(!codings.without(coding).contains(coding));
                assert_eq!(codings.without(coding).with(coding), codings.with(coding));
            }
        }
    }

    #[test]
    fn o1_accept_encoding_is_added_unless() {
        let gzip = Codings::NONE.with(Coding::Gzip);
        for (codings, method, lines, decision) in [
            (gzip, Method::GET, &[][..], Ask::Yes),
            (gzip, Method::POST, &[("x", "y")], Ask::Yes),
            (Codings::NONE, Method::GET, &[], Ask::NothingDecoded),
            (gzip, Method::GET, &[("Accept-Encoding", "br")], Ask::CallersOwn),
            (gzip, Method::GET, &[("accept-encoding", "")], Ask::CallersOwn),
            (gzip, Method::GET, &[("Range", "bytes=0-1")], Ask::Range),
            (gzip, Method::HEAD, &[], Ask::NoContent),
            (gzip, Method::CONNECT, &[], Ask::NoContent),
        ] {
            assert_eq!(
                ask(codings, &method, fields(lines).as_fields()),
                decision,
                "{method} {lines:?}"
            );
        }
    }

    #[test]
    fn o2_only_what_was_asked_for_is_decoded() {
        let some = Codings::NONE.with(Coding::Gzip).with(Coding::Zstd);
        let known = BodyLen::Known(9);
        for (asked, lines, body, decision) in [
            (
                Ask::Yes,
                &[("Content-Encoding", "gzip")][..],
                known,
                Decode::Yes(Coding::Gzip),
            ),
            (
                Ask::Yes,
                &[("content-encoding", "X-GZIP")],
                BodyLen::Unknown,
                Decode::Yes(Coding::Gzip),
            ),
            (
                Ask::Yes,
                &[("content-encoding", "zstd")],
                known,
                Decode::Yes(Coding::Zstd),
            ),
            (Ask::Yes, &[("content-encoding", "br")], known, Decode::NotOurs),
            (
                Ask::Yes,
                &[("content-encoding", "gzip, zstd")],
                known,
                Decode::NotOurs,
            ),
            (
                Ask::Yes,
                &[("content-encoding", "gzip"), ("content-encoding", "gzip")],
                known,
                Decode::NotOurs,
            ),
            (Ask::Yes, &[], known, Decode::NotCoded),
            (
                Ask::Yes,
                &[("content-encoding", "gzip")],
                BodyLen::None,
                Decode::NoContent,
            ),
            (
                Ask::Yes,
                &[("content-encoding", "gzip")],
                BodyLen::Known(0),
                Decode::NoContent,
            ),
            (
                Ask::CallersOwn,
                &[("content-encoding", "gzip")],
                known,
                Decode::NotAsked(Ask::CallersOwn),
            ),
        ] {
            let headers = fields(lines);
            assert_eq!(
                decode(some, asked, headers.as_fields(), body),
                decision,
                "{lines:?} {body:?}"
            );
        }
    }
}

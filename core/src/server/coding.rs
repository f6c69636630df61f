//! Content codings of responses: [`negotiate`] reads what the client accepts (RFC 9110, section 12.5.3), [`code`] says
//! whether a response is coded and changes its head accordingly.
//!
//! The codings themselves do not live here: they are names, and whoever offers them has the encoders.

use crate::h1::BodyLen;
use crate::message::token::{list_members, trim_ows};
use crate::{Fields, Headers, Status};
use alloc::vec::Vec;

/// What a client accepts of the codings that a server offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums)]
pub enum Choice {
    /// This one, as it was offered.
    Coded(&'static str),
    /// None.
    Identity,
    /// Neither any of them nor none: an answer without a coding, or 406 or 415 if the server would rather refuse.
    Nothing,
}

/// Chooses among the codings that are offered, by the request's `Accept-Encoding`: the one which the client rates highest,
/// and of several the one that is offered first. One that the client rates below `identity` is not chosen.
///
/// - Without the field nothing is coded: the client would have to accept anything, but has not said so.
/// - `*` stands for the codings that are not named, but is no wish for `identity`.
/// - `x-gzip` and `x-compress` are `gzip` and `compress` (section 8.4.1).
/// - A member that is malformed is left out, as if it were not there; of one that is named twice the first counts.
///
/// ```
/// use antiphon_core::server::coding::{negotiate, Choice};
/// use antiphon_core::Headers;
/// let mut request = Headers::new();
/// request.append("Accept-Encoding", "gzip, br;q=0.9, zstd")?;
/// let offered = ["zstd", "br", "gzip"];
/// assert_eq!(negotiate(request.as_fields(), &offered), Choice::Coded("zstd"));
/// # Ok::<(), antiphon_core::InvalidField>(())
/// ```
pub fn negotiate(request: Fields<'_>, offered: &[&'static str]) -> Choice {
    const FIELD: &str = "accept-encoding";
    if !request.contains(FIELD) {
        return Choice::Identity;
    }
    let rated = |name: &str| {
        request
            .get_all(FIELD)
            .flat_map(list_members)
            .filter_map(member)
            .find(|(coding, _)| is_same(coding, name))
            .map(|(_, weight)| weight)
    };
    let others = rated("*");
    let mut best: Option<(&'static str, u16)> = None;
    for &name in offered {
        // "If the representation's content coding is one of the content codings listed in the Accept-Encoding field value, then
        // it is acceptable unless it is accompanied by a qvalue of 0."
        let weight = rated(name).or(others).unwrap_or(0);
        if weight > best.map_or(0, |(_, best)| best) {
            best = Some((name, weight));
        }
    }
    let identity = rated("identity");
    match best {
        Some((name, weight)) if identity.is_none_or(|identity| identity <= weight) => Choice::Coded(name),
        // "... unless specifically excluded by the Accept-Encoding header field stating either "identity;q=0" or "*;q=0" without a
        // more specific entry for "identity"."
        _ if identity.or(others) == Some(0) => Choice::Nothing,
        _ => Choice::Identity,
    }
}

/// A member of `Accept-Encoding`: a name and its weight in thousandths.
fn member(member: &[u8]) -> Option<(&[u8], u16)> {
    let mut parts = member.split(|&b| b == b';').map(trim_ows);
    let name = parts.next().filter(|name| !name.is_empty())?;
    let weight = match parts.next() {
        None => 1000,
        Some([b'q' | b'Q', b'=', value @ ..]) => weight(value)?,
        Some(_) => return None,
    };
    parts.next().is_none().then_some((name, weight))
}

/// `qvalue = ( "0" [ "." 0*3DIGIT ] ) / ( "1" [ "." 0*3("0") ] )` (section 12.4.2), in thousandths.
fn weight(value: &[u8]) -> Option<u16> {
    let (whole, fraction) = match value {
        [whole @ (b'0' | b'1')] => (whole, &[][..]),
        [whole @ (b'0' | b'1'), b'.', fraction @ ..] => (whole, fraction),
        _ => return None,
    };
    if fraction.len() > 3 || !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let mut weight = u16::from(whole - b'0');
    for at in 0..3 {
        weight = weight * 10 + fraction.get(at).map_or(0, |digit| u16::from(digit - b'0'));
    }
    (weight <= 1000).then_some(weight)
}

fn is_same(listed: &[u8], name: &str) -> bool {
    fn plain(name: &[u8]) -> &[u8] {
        const OLD: [&[u8]; 2] = [b"x-gzip", b"x-compress"];
        match OLD.iter().any(|old| old.eq_ignore_ascii_case(name)) {
            true => &name[2..],
            false => name,
        }
    }
    plain(listed).eq_ignore_ascii_case(plain(name.as_bytes()))
}

/// The settings of [`code`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CodingConfig {
    /// A body that is known to be shorter than this is not coded: what is saved would not fill a packet. Default: 1,024 bytes.
    pub min_len: u64,
}

impl CodingConfig {
    /// The defaults.
    pub const DEFAULT: CodingConfig = CodingConfig { min_len: 1024 };
}

impl Default for CodingConfig {
    fn default() -> CodingConfig {
        CodingConfig::DEFAULT
    }
}

/// What became of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums)]
pub enum Outcome {
    /// Its body is to be coded with this, and has no known length then ([`BodyLen::Unknown`]).
    Coded(&'static str),
    /// It stays as it is.
    Plain(Plain),
}

/// Why a response is not coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Plain {
    /// The client accepts none of the codings.
    NotAccepted,
    /// It has no content.
    NoContent,
    /// It is a part (206, `Content-Range`): its offsets are those of the content as it is.
    Part,
    /// It has a `Content-Encoding`.
    AlreadyCoded,
    /// `Cache-Control: no-transform` (RFC 9111, section 5.2.2.6).
    NoTransform,
    /// A digest of the content as it is was set (`Content-Digest`, `Repr-Digest`, `Digest`, `Content-MD5`).
    Digest,
    /// The media type is one that does not gain by it, or is not known.
    MediaType,
    /// It is too short: [`CodingConfig::min_len`].
    Short,
}

/// Decides whether the body of a response is coded, and changes its fields if so.
///
/// Of a response that could be coded `Vary` names `Accept-Encoding`, whether it is coded now or not, so that a cache keeps
/// the two apart (RFC 9110, section 12.5.5). Of one that is coded, also:
///
/// - `Content-Encoding` is set; `Content-Length` and `Accept-Ranges`, which speak of the content as it is, are removed;
/// - a strong `ETag` becomes a weak one, because it named other bytes (section 8.8.1).
///
/// For HEAD it decides as for GET. `body` is the length of the body, `choice` comes from [`negotiate`].
///
/// ```
/// use antiphon_core::h1::BodyLen;
/// use antiphon_core::server::coding::{code, Choice, CodingConfig, Outcome};
/// use antiphon_core::{Headers, Status};
/// let mut fields = Headers::new();
/// fields.append("Content-Type", "text/html")?;
/// fields.append("ETag", "\"v1\"")?;
/// let choice = Choice::Coded("gzip");
/// let outcome = code(choice, Status::OK, &mut fields, BodyLen::Known(5000), &CodingConfig::DEFAULT);
/// assert_eq!(outcome, Outcome::Coded("gzip"));
/// assert_eq!(fields.get("etag"), Some(&b"W/\"v1\""[..]));
/// assert_eq!(fields.get("vary"), Some(&b"Accept-Encoding"[..]));
/// # Ok::<(), antiphon_core::InvalidField>(())
/// ```
pub fn code(
    choice: Choice,
    status: Status,
    fields: &mut Headers,
    body: BodyLen,
    config: &CodingConfig,
) -> Outcome {
    if let Some(plain) = why_not(status, fields.as_fields(), body, config) {
        return Outcome::Plain(plain);
    }
    vary(fields);
    let Choice::Coded(name) = choice else {
        return Outcome::Plain(Plain::NotAccepted);
    };
    fields.remove("content-length");
    fields.remove("accept-ranges");
    weaken(fields);
    set(fields, "Content-Encoding", name.as_bytes());
    Outcome::Coded(name)
}

fn why_not(status: Status, fields: Fields<'_>, body: BodyLen, config: &CodingConfig) -> Option<Plain> {
    const DIGESTS: [&str; 4] = ["content-digest", "repr-digest", "digest", "content-md5"];
    if status.is_bodiless() || status == Status::RESET_CONTENT || body.is_empty() {
        return Some(Plain::NoContent);
    }
    if status == Status::PARTIAL_CONTENT || fields.contains("content-range") {
        return Some(Plain::Part);
    }
    if fields.contains("content-encoding") {
        return Some(Plain::AlreadyCoded);
    }
    if fields.has_token("cache-control", "no-transform") {
        return Some(Plain::NoTransform);
    }
    if DIGESTS.iter().any(|name| fields.contains(name)) {
        return Some(Plain::Digest);
    }
    if !fields.get_str("content-type").is_some_and(is_compressible) {
        return Some(Plain::MediaType);
    }
    match body {
        BodyLen::Known(len) if len < config.min_len => Some(Plain::Short),
        _ => None,
    }
}

/// Whether content of this media type, parameters aside, usually becomes shorter by coding it. Not a stream of events
/// (`text/event-stream`), which an encoder would hold back.
///
/// ```
/// use antiphon_core::server::coding::is_compressible;
/// assert!(is_compressible("text/html; charset=utf-8") && is_compressible("application/problem+json"));
/// assert!(!is_compressible("image/png") && !is_compressible("text/event-stream"));
/// ```
pub fn is_compressible(media_type: &str) -> bool {
    /// Beside text and what is written in JSON or XML.
    const TYPES: [&str; 25] = [
        "application/javascript",
        "application/json",
        "application/json5",
        "application/jsonl",
        "application/msword",
        "application/postscript",
        "application/rtf",
        "application/sql",
        "application/toml",
        "application/vnd.ms-excel",
        "application/vnd.ms-fontobject",
        "application/vnd.ms-powerpoint",
        "application/wasm",
        "application/x-javascript",
        "application/x-ndjson",
        "application/x-sh",
        "application/x-tar",
        "application/x-www-form-urlencoded",
        "application/xml",
        "application/yaml",
        "font/collection",
        "font/otf",
        "font/ttf",
        "image/bmp",
        "image/x-icon",
    ];
    let essence = media_type.split(';').next().unwrap_or("");
    let essence = essence.trim_matches([' ', '\t']);
    let begins = |with: &str| {
        essence
            .get(..with.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(with))
    };
    let ends = |with: &str| {
        let at = essence.len().checked_sub(with.len());
        at.and_then(|at| essence.get(at..))
            .is_some_and(|end| end.eq_ignore_ascii_case(with))
    };
    (begins("text/") && !essence.eq_ignore_ascii_case("text/event-stream"))
        || ends("+json")
        || ends("+xml")
        || TYPES.iter().any(|known| known.eq_ignore_ascii_case(essence))
}

fn vary(fields: &mut Headers) {
    let there = fields.as_fields();
    if !there.has_token("vary", "accept-encoding") && !there.has_token("vary", "*") {
        // A valid line: it is not refused.
        let _ = fields.append("Vary", "Accept-Encoding");
    }
}

/// "Content codings are a property of the representation data, so a strong entity tag for a content-encoded representation
/// has to be distinct from the entity tag of an unencoded representation" (section 8.8.3.3).
fn weaken(fields: &mut Headers) {
    if let Some(strong) = fields.get("etag").filter(|tag| tag.starts_with(b"\"")) {
        let weak: Vec<u8> = [b"W/", strong].concat();
        set(fields, "ETag", &weak);
    }
}

fn set(fields: &mut Headers, name: &str, value: &[u8]) {
    // Made of what was a valid line, or of the names of codings, which whoever offers them vouches for.
    let _ = fields.set(name, value);
}

#[cfg(test)]
#[path = "coding_tests.rs"]
mod tests;

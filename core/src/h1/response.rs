//! Reading response heads: a resumable scan finds the head's end within the limits, then httparse reads it.
//!
//! httparse reports no offsets, so when it refuses a head our own tokenizer looks for the byte. Its leniency
//! switches are the client's profile.

use super::config::{Limits, Profile};
use super::error::PeerErrorKind as Kind;
use super::framing::Facts;
use super::head::{HeadStore, StartLine};
use super::scan::{Fault, Rules, Scan, Sink, fault};
use super::search::find_byte;
use crate::message::{FieldSpan, Status, Version};
use alloc::vec::Vec;
use core::mem::MaybeUninit;

/// The most field lines that can be read, whatever the limit says.
const MOST_FIELDS: usize = 256;

/// The resumable search for the end of a response head.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HeadEnd {
    /// Bytes looked at.
    pos: usize,
    /// Start of the current line.
    line: usize,
    /// A line begins with white space: the one before it is folded.
    folded: bool,
}

impl HeadEnd {
    pub(crate) const START: HeadEnd = HeadEnd {
        pos: 0,
        line: 0,
        folded: false,
    };

    /// Whether a line of the head is folded.
    pub(crate) fn folded(&self) -> bool {
        self.folded
    }

    /// Goes on over `data`. `Ok(Some(n))`: the head is `data[..n]`.
    pub(crate) fn find(
        &mut self,
        data: &[u8],
        limits: &Limits,
        profile: &Profile,
    ) -> Result<Option<usize>, Fault> {
        let lim = data.len().min(limits.head_max());
        // The status line's beginning is judged as it comes, so that something else is refused at once.
        while self.pos < lim && self.pos < PREFIX.len() {
            if data[self.pos] != PREFIX[self.pos] {
                return Err(fault(Kind::StatusLine, self.pos));
            }
            self.pos += 1;
        }
        while let Some(lf) = find_byte(data, self.pos, lim, b'\n') {
            let bare = lf == self.line || data[lf - 1] != b'\r';
            if bare && !profile.bare_lf {
                return Err(fault(Kind::LineEnd, lf));
            }
            let end = if bare { lf } else { lf - 1 };
            let empty = end == self.line;
            self.folded |= matches!(data[self.line], b' ' | b'\t');
            self.pos = lf + 1;
            self.line = lf + 1;
            if empty {
                return Ok(Some(lf + 1));
            }
        }
        self.pos = lim;
        if lim == limits.head_max() {
            Err(fault(Kind::HeadTooLarge, lim))
        } else {
            Ok(None)
        }
    }
}

const PREFIX: &[u8] = b"HTTP/1.";

/// Reads the complete head `data` into `store` and gathers what its fields mean.
pub(crate) fn read(
    data: &[u8],
    limits: &Limits,
    profile: &Profile,
    folded: bool,
    store: &mut HeadStore,
    facts: &mut Facts,
) -> Result<(), Fault> {
    // httparse knows 1.0 and 1.1 only. "A recipient [of a higher minor version] SHOULD process the message as if
    // it were in the highest minor version [...] to which the recipient is conformant" (RFC 9110, section 2.5)
    if data.get(7).is_some_and(|b| (b'2'..=b'9').contains(b)) {
        let mut patched = data.to_vec();
        patched[7] = b'1';
        return read(&patched, limits, profile, folded, store, facts);
    }
    let mut config = httparse::ParserConfig::default();
    // RFC 9112, section 5.2: "A user agent that receives an obs-fold in a response message [...] MUST replace
    // each received obs-fold with one or more SP octets"
    config.allow_obsolete_multiline_headers_in_responses(true);
    config.allow_spaces_after_header_name_in_responses(profile.space_before_colon);
    config.allow_multiple_spaces_in_response_status_delimiters(profile.status_line_spaces);
    config.ignore_invalid_headers_in_responses(profile.ignore_bad_fields);
    let mut slots = [const { MaybeUninit::<httparse::Header<'_>>::uninit() }; MOST_FIELDS];
    let most = limits.fields.min(MOST_FIELDS);
    let mut parsed = httparse::Response::new(&mut []);
    match config.parse_response_with_uninit_headers(&mut parsed, data, &mut slots[..most]) {
        Ok(httparse::Status::Complete(n)) if n == data.len() => {}
        Ok(httparse::Status::Complete(n)) => return Err(fault(Kind::LineEnd, n)),
        Ok(httparse::Status::Partial) => return Err(locate(data, limits, profile, Kind::LineEnd)),
        Err(e) => {
            let kind = match e {
                httparse::Error::TooManyHeaders => Kind::TooManyFields,
                httparse::Error::HeaderName => Kind::FieldName,
                httparse::Error::HeaderValue => Kind::FieldValue,
                httparse::Error::NewLine => Kind::LineEnd,
                _ => Kind::StatusLine,
            };
            return Err(locate(data, limits, profile, kind));
        }
    }
    let (Some(minor), Some(code), Some(reason)) = (parsed.version, parsed.code, parsed.reason) else {
        return Err(fault(Kind::StatusLine, 0));
    };
    let status = Status::new(code).map_err(|_| fault(Kind::StatusLine, 9))?;
    let version = if minor == 0 {
        Version::Http10
    } else {
        Version::Http11
    };
    // httparse gives an empty reason for one with obs-text; the bytes themselves are what is kept.
    let _ = reason;
    let (reason, reason_end) = reason_span(data);
    let base = data.as_ptr() as usize;
    let offset = |part: &[u8]| (part.as_ptr() as usize - base) as u32;
    store.clear();
    store.bytes.extend_from_slice(data);
    store.spans.reserve(parsed.headers.len());
    for h in parsed.headers.iter() {
        let name = offset(h.name.as_bytes());
        let value = if h.value.is_empty() {
            // It points nowhere; an error in it needs a place.
            empty_value(data, name as usize + h.name.len()) as u32
        } else {
            offset(h.value)
        };
        store.spans.push(FieldSpan {
            name,
            name_end: name + h.name.len() as u32,
            value,
            value_end: value + h.value.len() as u32,
        });
    }
    store.line = StartLine::Response {
        status,
        reason,
        reason_end,
        version,
    };
    if folded {
        store.unfold();
    }
    for s in &store.spans {
        let name = &store.bytes[s.name as usize..s.name_end as usize];
        if Facts::may_know(name) {
            let value = &store.bytes[s.value as usize..s.value_end as usize];
            // Whether it matters depends on the status and the request's method.
            if let Err(kind) = facts.field(name, value) {
                facts.fault.get_or_insert((kind, s.value));
            }
        }
    }
    Ok(())
}

/// Where the empty value behind a field name stands: at its line's end.
fn empty_value(data: &[u8], name_end: usize) -> usize {
    let line = &data[name_end..];
    name_end
        + line
            .iter()
            .position(|b| !matches!(b, b':' | b' ' | b'\t'))
            .unwrap_or(line.len())
}

/// Where the reason phrase stands in a head that httparse accepted.
fn reason_span(data: &[u8]) -> (u32, u32) {
    let end = find_byte(data, 0, data.len(), b'\n').unwrap_or(0);
    let end = if end > 0 && data[end - 1] == b'\r' {
        end - 1
    } else {
        end
    };
    // After the code: the first three digits behind the version's space.
    let line = &data[..end];
    let mut at = 8.min(end);
    while at < end && line[at] == b' ' {
        at += 1;
    }
    at = (at + 3).min(end);
    if at < end && line[at] == b' ' {
        at += 1;
    }
    (at as u32, end as u32)
}

/// httparse refused the head: which byte was it? Our own tokenizer knows for the fields; the status line is
/// short enough to be walked here.
fn locate(data: &[u8], limits: &Limits, profile: &Profile, kind: Kind) -> Fault {
    let line_end = data
        .iter()
        .position(|&b| b == b'\n')
        .map_or(data.len(), |i| i + 1);
    if let Some(f) = bad_status_line(&data[..line_end], profile) {
        return f;
    }
    let fields = &data[line_end..];
    let rules = Rules {
        profile: &Profile {
            fold_in_requests: true,
            ..*profile
        },
        size: limits.head_max() + 1,
        fields: limits.fields.min(MOST_FIELDS),
        target: 0,
        too_large: Kind::HeadTooLarge,
        too_many: Kind::TooManyFields,
    };
    let mut spans: Vec<FieldSpan> = Vec::new();
    let mut facts = Facts::IGNORE;
    let mut sink = Sink {
        spans: &mut spans,
        facts: &mut facts,
    };
    match { Scan::FIELDS }.run(fields, fields.len(), &rules, &mut sink) {
        Err(f) => fault(f.kind, f.at + line_end),
        // The two disagree: httparse's word stands, at the section's start.
        Ok(_) => fault(kind, line_end.min(data.len())),
    }
}

/// `HTTP/1.d SP ddd [SP reason] CRLF`: the first byte that is out of place.
fn bad_status_line(line: &[u8], profile: &Profile) -> Option<Fault> {
    let text = line.strip_suffix(b"\n").unwrap_or(line);
    let text = text.strip_suffix(b"\r").unwrap_or(text);
    let at = |i: usize| text.get(i).copied();
    let bad = |i: usize| Some(fault(Kind::StatusLine, i));
    if !at(7).is_some_and(|b| b.is_ascii_digit()) {
        return bad(7);
    }
    if at(8) != Some(b' ') {
        return bad(8);
    }
    let mut i = 9;
    while profile.status_line_spaces && at(i) == Some(b' ') {
        i += 1;
    }
    for k in i..i + 3 {
        // There is no class 0.
        let first = if k == i { b'1' } else { b'0' };
        if !at(k).is_some_and(|b| (first..=b'9').contains(&b)) {
            return bad(k);
        }
    }
    // What follows the code: nothing, or a space and the reason phrase.
    let mut k = i + 3;
    if at(k) == Some(b' ') {
        k += text[k..]
            .iter()
            .position(|&b| !crate::message::token::is_value(b))?;
    }
    match at(k)? {
        // A line end, were it not for the byte behind it (RFC 9112, section 2.2).
        b'\r' => Some(fault(Kind::LineEnd, k + 1)),
        _ => bad(k),
    }
}

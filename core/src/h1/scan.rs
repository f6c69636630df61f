//! The tokenizer of request heads and of all field sections: one pass, resumable at any byte, recording
//! offsets as it goes.
//!
//! It looks at each byte once, however the bytes arrive, and stops at the byte that proves an error, so the
//! same input gives the same error at the same offset for every split. Limits count bytes seen.
//! What the known fields mean is gathered by [`Facts`](super::framing::Facts) as each line ends.

use super::config::Profile;
use super::error::PeerErrorKind as Kind;
use super::framing::Facts;
use super::search::{name_end, target_end, value_end};
use crate::message::token::{TOKEN, is_value, trim_ows};
use crate::message::{FieldSpan, TargetForm, Version, target};
use alloc::vec::Vec;

/// What went wrong, and where, counted from the section's first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) kind: Kind,
    pub(crate) at: usize,
}

pub(crate) const fn fault(kind: Kind, at: usize) -> Fault {
    Fault { kind, at }
}

/// The rules of one section.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules<'a> {
    pub(crate) profile: &'a Profile,
    /// Bytes of the whole section.
    pub(crate) size: usize,
    pub(crate) fields: usize,
    pub(crate) target: usize,
    /// The error for passing `size` after the request line, and for passing `fields`.
    pub(crate) too_large: Kind,
    pub(crate) too_many: Kind,
}

/// Where the tokenizer stands between two calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Method,
    Target,
    Version,
    /// After the start-line's CR.
    StartLf,
    /// At the first byte of a line.
    Line,
    Name,
    /// After the colon, before the value's first byte.
    Blank,
    Value,
    /// After a value's CR.
    ValueLf,
    /// After the CR of the empty line.
    EndLf,
    Done,
}

/// The tokenizer's position.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scan {
    at: At,
    /// A field is complete but for a possible folded continuation.
    pending: bool,
    folded: bool,
    pos: u32,
    /// Start of the target; later, of the field's name.
    mark: u32,
    /// End of the method; later, of the field's name.
    mark_end: u32,
    /// End of the target; later, start of the field's value.
    value: u32,
    value_end: u32,
    version: Version,
    line: RequestLine,
}

/// A request line's parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RequestLine {
    pub(crate) method_end: u32,
    pub(crate) target: u32,
    pub(crate) target_end: u32,
    pub(crate) version: Version,
}

/// Receives what the tokenizer finds.
pub(crate) struct Sink<'a> {
    pub(crate) spans: &'a mut Vec<FieldSpan>,
    pub(crate) facts: &'a mut Facts,
}

impl Scan {
    /// At the first byte of a request line.
    pub(crate) const REQUEST: Scan = Scan {
        at: At::Method,
        pending: false,
        folded: false,
        pos: 0,
        mark: 0,
        mark_end: 0,
        value: 0,
        value_end: 0,
        version: Version::Http11,
        line: RequestLine {
            method_end: 0,
            target: 0,
            target_end: 0,
            version: Version::Http11,
        },
    };
    /// At the first byte of a field section.
    pub(crate) const FIELDS: Scan = Scan {
        at: At::Line,
        ..Scan::REQUEST
    };

    /// How many bytes of the section have been looked at; when complete, its length.
    pub(crate) fn position(&self) -> usize {
        self.pos as usize
    }

    /// The request line's parts, once it has gone by.
    pub(crate) fn line(&self) -> RequestLine {
        self.line
    }

    /// Whether a value contains a fold that the caller has to replace.
    pub(crate) fn folded(&self) -> bool {
        self.folded
    }

    /// Goes on over `data[..end]` (bytes of `data` behind `end` are never judged). `Ok(true)`: complete.
    pub(crate) fn run(
        &mut self,
        data: &[u8],
        end: usize,
        rules: &Rules<'_>,
        sink: &mut Sink<'_>,
    ) -> Result<bool, Fault> {
        let end = end.min(data.len());
        let lim = end.min(rules.size);
        let mut pos = self.pos as usize;
        if pos == 0 && self.at == At::Method {
            pos = self.usual_request_line(&data[..lim], rules);
        }
        loop {
            if self.at == At::Line && !rules.profile.fold_in_requests {
                pos = self.usual_lines(data, pos, lim, rules, sink)?;
            }
            if pos >= lim && self.at != At::Done {
                self.pos = pos as u32;
                return if lim == rules.size {
                    let kind = match self.at {
                        At::Method | At::Target | At::Version | At::StartLf => Kind::RequestLineTooLong,
                        _ => rules.too_large,
                    };
                    Err(fault(kind, rules.size))
                } else {
                    Ok(false)
                };
            }
            match self.at {
                At::Method => {
                    while pos < lim && TOKEN[data[pos] as usize] {
                        pos += 1;
                    }
                    if pos < lim {
                        if data[pos] != b' ' {
                            let kind = match data[pos] {
                                b'\r' | b'\n' => Kind::RequestLine,
                                _ => Kind::Method,
                            };
                            return Err(fault(kind, pos));
                        }
                        if pos == 0 {
                            return Err(fault(Kind::RequestLine, pos));
                        }
                        self.mark_end = pos as u32;
                        pos += 1;
                        self.mark = pos as u32;
                        self.at = At::Target;
                    }
                }
                At::Target => {
                    let from = self.mark as usize;
                    let most = lim.min(from.saturating_add(rules.target).saturating_add(1));
                    pos = target_end(data, pos, most, rules.profile.target_high_bytes);
                    if pos - from > rules.target {
                        return Err(fault(Kind::TargetTooLong, from + rules.target));
                    }
                    if pos < lim {
                        match data[pos] {
                            b' ' if pos > from => {}
                            b' ' | b'\t' | b'\r' | b'\n' => return Err(fault(Kind::RequestLine, pos)),
                            _ => return Err(fault(Kind::TargetByte, pos)),
                        }
                        check_target(&data[..self.mark_end as usize], &data[from..pos])
                            .map_err(|()| fault(Kind::TargetForm, from))?;
                        self.value = pos as u32;
                        pos += 1;
                        self.at = At::Version;
                    }
                }
                At::Version => {
                    let from = self.value as usize + 1;
                    if pos == from && pos + 9 <= lim && data[pos..pos + 9] == *b"HTTP/1.1\r" {
                        self.version = Version::Http11;
                        pos += 9;
                        self.at = At::StartLf;
                    } else {
                        match version_byte(pos - from, data[pos]) {
                            VersionByte::Good => pos += 1,
                            VersionByte::Bad(kind) => return Err(fault(kind, pos)),
                            VersionByte::End => {
                                let (major, minor) = (data[from + 5], data[from + 7]);
                                if major != b'1' {
                                    return Err(fault(Kind::UnsupportedVersion, from + 5));
                                }
                                if data[pos] == b'\n' && !rules.profile.bare_lf {
                                    return Err(fault(Kind::LineEnd, pos));
                                }
                                self.version = if minor == b'0' {
                                    Version::Http10
                                } else {
                                    Version::Http11
                                };
                                self.at = At::StartLf;
                                if data[pos] == b'\r' {
                                    pos += 1;
                                }
                            }
                        }
                    }
                }
                At::StartLf => {
                    if data[pos] != b'\n' {
                        return Err(fault(Kind::LineEnd, pos));
                    }
                    pos += 1;
                    self.line = RequestLine {
                        method_end: self.mark_end,
                        target: self.mark,
                        target_end: self.value,
                        version: self.version,
                    };
                    self.at = At::Line;
                }
                At::Line => {
                    let b = data[pos];
                    if b == b' ' || b == b'\t' {
                        if !self.pending {
                            return Err(fault(Kind::LineFolding, pos));
                        }
                        self.folded = true;
                        self.pending = false;
                        self.at = At::Value;
                        continue;
                    }
                    if self.pending {
                        self.commit(data, sink)?;
                    }
                    match b {
                        b'\r' => {
                            pos += 1;
                            self.at = At::EndLf;
                        }
                        b'\n' if rules.profile.bare_lf => self.at = At::EndLf,
                        b'\n' => return Err(fault(Kind::LineEnd, pos)),
                        _ => {
                            if sink.spans.len() >= rules.fields {
                                return Err(fault(rules.too_many, pos));
                            }
                            self.mark = pos as u32;
                            self.at = At::Name;
                        }
                    }
                }
                At::Name => {
                    while pos < lim && TOKEN[data[pos] as usize] {
                        pos += 1;
                    }
                    if pos < lim {
                        if data[pos] != b':' || pos == self.mark as usize {
                            return Err(fault(Kind::FieldName, pos));
                        }
                        self.mark_end = pos as u32;
                        pos += 1;
                        self.at = At::Blank;
                    }
                }
                At::Blank => {
                    while pos < lim && (data[pos] == b' ' || data[pos] == b'\t') {
                        pos += 1;
                    }
                    if pos < lim {
                        self.value = pos as u32;
                        self.at = At::Value;
                    }
                }
                At::Value => {
                    pos = value_end(data, pos, lim);
                    if pos < lim {
                        match data[pos] {
                            b'\r' => {
                                self.value_end = pos as u32;
                                pos += 1;
                                self.at = At::ValueLf;
                            }
                            b'\n' if rules.profile.bare_lf => {
                                self.value_end = pos as u32;
                                self.at = At::ValueLf;
                            }
                            b'\n' => return Err(fault(Kind::LineEnd, pos)),
                            _ => return Err(fault(Kind::FieldValue, pos)),
                        }
                    }
                }
                At::ValueLf => {
                    if data[pos] != b'\n' {
                        return Err(fault(Kind::LineEnd, pos));
                    }
                    pos += 1;
                    self.at = At::Line;
                    if rules.profile.fold_in_requests {
                        // Whether the line is folded shows in the next byte.
                        self.pending = true;
                    } else {
                        self.commit(data, sink)?;
                    }
                }
                At::EndLf => {
                    if data[pos] != b'\n' {
                        return Err(fault(Kind::LineEnd, pos));
                    }
                    pos += 1;
                    self.at = At::Done;
                }
                At::Done => {
                    self.pos = pos as u32;
                    return Ok(true);
                }
            }
        }
    }

    /// A request line as nearly all are, `METHOD SP /path SP HTTP/1.1 CRLF`, when it has arrived whole: straight
    /// through, without a stop at each part. Returns where it ends, or 0 when the slow way has to look.
    #[inline]
    fn usual_request_line(&mut self, data: &[u8], rules: &Rules<'_>) -> usize {
        let mut i = name_end(data, 0);
        let method_end = i;
        // CONNECT is the only method that may not have a path here.
        if i == 0 || i == 7 || data.get(i..).and_then(|d| d.first_chunk()) != Some(b" /") {
            return 0;
        }
        let target = i + 1;
        i = target_end(data, target, data.len(), false);
        if i - target > rules.target || data.get(i..).and_then(|d| d.first_chunk()) != Some(b" HTTP/1.1\r\n")
        {
            return 0;
        }
        self.line = RequestLine {
            method_end: method_end as u32,
            target: target as u32,
            target_end: i as u32,
            version: Version::Http11,
        };
        self.at = At::Line;
        i + 11
    }

    /// Field lines as nearly all are, as many as have arrived whole. Stops before the first line that is not,
    /// and leaves it to the slow way.
    #[inline]
    fn usual_lines(
        &mut self,
        data: &[u8],
        mut pos: usize,
        lim: usize,
        rules: &Rules<'_>,
        sink: &mut Sink<'_>,
    ) -> Result<usize, Fault> {
        while sink.spans.len() < rules.fields {
            let name_end = name_end(&data[..lim], pos);
            if name_end == pos || name_end + 2 >= lim || data[name_end] != b':' {
                break;
            }
            let mut value = name_end + 1;
            if data[value] == b' ' {
                value += 1;
            }
            while value < lim && matches!(data[value], b' ' | b'\t') {
                value += 1;
            }
            let end = value_end(data, value, lim);
            if end + 1 >= lim || data[end] != b'\r' || data[end + 1] != b'\n' {
                break;
            }
            let mut to = end;
            while to > value && matches!(data[to - 1], b' ' | b'\t') {
                to -= 1;
            }
            sink.spans.push(FieldSpan {
                name: pos as u32,
                name_end: name_end as u32,
                value: value as u32,
                value_end: to as u32,
            });
            let name = &data[pos..name_end];
            if Facts::may_know(name) {
                sink.facts
                    .field(name, &data[value..to])
                    .map_err(|kind| fault(kind, value))?;
            }
            pos = end + 2;
        }
        if pos + 1 < lim && data[pos] == b'\r' && data[pos + 1] == b'\n' {
            self.at = At::Done;
            pos += 2;
        }
        Ok(pos)
    }

    /// A few more bytes of the same name or value, as they come when input trickles: whether that is all there
    /// is to say about them. Cheap, and only a shortcut: `run` would come to the same.
    #[inline]
    pub(crate) fn coasts(&mut self, data: &[u8], end: usize, size: usize) -> bool {
        let mut pos = self.pos as usize;
        if end >= size || end - pos > 8 || end > data.len() {
            return false;
        }
        match self.at {
            At::Value => {
                while pos < end && is_value(data[pos]) {
                    pos += 1;
                }
            }
            At::Name => {
                while pos < end && TOKEN[data[pos] as usize] {
                    pos += 1;
                }
            }
            _ => {}
        }
        self.pos = pos as u32;
        pos == end
    }

    /// The field line `mark..value_end` is complete: records it and gathers what it means.
    #[inline]
    fn commit(&mut self, data: &[u8], sink: &mut Sink<'_>) -> Result<(), Fault> {
        self.pending = false;
        let (name, name_end) = (self.mark, self.mark_end);
        let (from, mut to) = (self.value as usize, self.value_end as usize);
        while to > from && matches!(data[to - 1], b' ' | b'\t') {
            to -= 1;
        }
        sink.spans.push(FieldSpan {
            name,
            name_end,
            value: from as u32,
            value_end: to as u32,
        });
        let n = &data[name as usize..name_end as usize];
        if !Facts::may_know(n) {
            return Ok(());
        }
        let value = &data[from..to];
        let known = if self.folded && value.contains(&b'\n') {
            sink.facts.field(n, &unfold(value))
        } else {
            sink.facts.field(n, value)
        };
        known.map_err(|kind| fault(kind, from))
    }
}

/// A value with each fold replaced by one space (RFC 9112, section 5.2).
pub(crate) fn unfold(value: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len());
    for line in value.split(|&b| b == b'\n') {
        let line = trim_ows(line.strip_suffix(b"\r").unwrap_or(line));
        if !out.is_empty() && !line.is_empty() {
            out.push(b' ');
        }
        out.extend_from_slice(line);
    }
    out
}

enum VersionByte {
    Good,
    /// The version is complete and this byte ends the line.
    End,
    Bad(Kind),
}

/// `HTTP/d.d` followed by CR or LF, byte by byte.
fn version_byte(i: usize, b: u8) -> VersionByte {
    let good = match i {
        0..=4 => b == b"HTTP/"[i],
        5 | 7 => b.is_ascii_digit(),
        6 => b == b'.',
        _ => {
            return if b == b'\r' || b == b'\n' {
                VersionByte::End
            } else {
                VersionByte::Bad(Kind::Version)
            };
        }
    };
    if good {
        VersionByte::Good
    } else if i == 0 && matches!(b, b' ' | b'\t' | b'\r' | b'\n') {
        VersionByte::Bad(Kind::RequestLine)
    } else {
        VersionByte::Bad(Kind::Version)
    }
}

/// RFC 9112, section 3.2: which form goes with which method.
#[inline]
fn check_target(method: &[u8], text: &[u8]) -> Result<(), ()> {
    let connect = method == b"CONNECT";
    if text[0] == b'/' && !connect {
        return Ok(());
    }
    let good = match TargetForm::of(text) {
        Some(TargetForm::Origin) => !connect,
        Some(TargetForm::Absolute) => {
            !connect && absolute_authority(text).is_some_and(|a| target::is_host(a, true))
        }
        Some(TargetForm::Authority) => connect,
        Some(TargetForm::Asterisk) => method == b"OPTIONS",
        None => false,
    };
    if good { Ok(()) } else { Err(()) }
}

/// The authority of an absolute target. One with userinfo is no host: RFC 9110, section 4.2.4, has it treated as
/// an error, since it mostly serves to disguise the host.
fn absolute_authority(text: &[u8]) -> Option<&[u8]> {
    let rest = &text[text.windows(3).position(|w| w == b"://")? + 3..];
    let end = rest
        .iter()
        .position(|b| matches!(b, b'/' | b'?'))
        .unwrap_or(rest.len());
    Some(&rest[..end])
}

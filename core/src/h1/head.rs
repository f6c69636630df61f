//! Parsed heads: [`RequestHead`] and [`ResponseHead`] look into the machine's storage; [`OwnedHead`] is that
//! storage, taken out.

use crate::message::{FieldSpan, Masked, Method, Request, Response, Target, TargetForm, Version, target};
use crate::{Fields, Headers, Status};
use alloc::vec::Vec;
use core::fmt;

/// Where the parts of a start-line stand in the head's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StartLine {
    None,
    Request {
        method_end: u32,
        target: u32,
        target_end: u32,
        version: Version,
    },
    Response {
        status: Status,
        reason: u32,
        reason_end: u32,
        version: Version,
    },
}

/// A head's bytes and the offsets into them; reused from exchange to exchange.
#[derive(Clone, Debug)]
pub(crate) struct HeadStore {
    pub(crate) bytes: Vec<u8>,
    pub(crate) spans: Vec<FieldSpan>,
    pub(crate) line: StartLine,
}

impl Default for HeadStore {
    fn default() -> Self {
        HeadStore {
            bytes: Vec::new(),
            spans: Vec::new(),
            line: StartLine::None,
        }
    }
}

impl HeadStore {
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.spans.clear();
        self.line = StartLine::None;
    }

    pub(crate) fn capacity(&self) -> usize {
        self.bytes.capacity() + self.spans.capacity() * size_of::<FieldSpan>()
    }

    pub(crate) fn fields(&self) -> Fields<'_> {
        Fields::new(&self.bytes, &self.spans)
    }

    fn text(&self, from: u32, to: u32) -> &str {
        // Methods and targets are ASCII unless `target_high_bytes` let other bytes in.
        core::str::from_utf8(&self.bytes[from as usize..to as usize]).unwrap_or("")
    }
}

/// A request head as it was read. `Copy`; valid until the exchange ends.
#[derive(Clone, Copy)]
pub struct RequestHead<'a> {
    store: &'a HeadStore,
}

impl<'a> RequestHead<'a> {
    pub(crate) fn new(store: &'a HeadStore) -> Option<RequestHead<'a>> {
        matches!(store.line, StartLine::Request { .. }).then_some(RequestHead { store })
    }

    fn parts(self) -> (u32, u32, u32, Version) {
        match self.store.line {
            StartLine::Request {
                method_end,
                target,
                target_end,
                version,
            } => (method_end, target, target_end, version),
            _ => (0, 0, 0, Version::Http11),
        }
    }

    /// The method's name.
    pub fn method(self) -> &'a str {
        self.store.text(0, self.parts().0)
    }

    /// The request target, verbatim. Empty if it is not UTF-8 (only with
    /// [`Profile::target_high_bytes`](super::Profile::target_high_bytes)): see [`target_bytes`](Self::target_bytes).
    pub fn target(self) -> &'a str {
        let (_, from, to, _) = self.parts();
        self.store.text(from, to)
    }

    /// The request target's bytes.
    pub fn target_bytes(self) -> &'a [u8] {
        let (_, from, to, _) = self.parts();
        &self.store.bytes[from as usize..to as usize]
    }

    /// The form of the target.
    pub fn target_form(self) -> TargetForm {
        TargetForm::of(self.target_bytes()).unwrap_or(TargetForm::Origin)
    }

    /// The target's path, not decoded (see [`Target::path`]).
    pub fn path(self) -> &'a str {
        target::path_of(self.target())
    }

    /// The target's query, not decoded, without the question mark.
    pub fn query(self) -> Option<&'a str> {
        target::query_of(self.target())
    }

    /// The host that is asked for: the authority of an absolute target, else the Host field
    /// (RFC 9112, section 3.3).
    pub fn host(self) -> Option<&'a str> {
        target::authority_of(self.target()).or_else(|| self.fields().get_str("host"))
    }

    /// The version; `HTTP/1.x` above 1.1 counts as 1.1.
    pub fn version(self) -> Version {
        self.parts().3
    }

    /// The header section.
    pub fn fields(self) -> Fields<'a> {
        self.store.fields()
    }

    /// The first value of the field `name`.
    pub fn header(self, name: &str) -> Option<&'a [u8]> {
        self.fields().get(name)
    }

    /// An owned copy; `None` only if the target is not ASCII
    /// ([`Profile::target_high_bytes`](super::Profile::target_high_bytes)).
    pub fn to_request(self) -> Option<Request> {
        Some(Request {
            method: Method::new(self.method()).ok()?,
            target: Target::new(self.target()).ok()?,
            version: self.version(),
            headers: self.fields().to_headers(),
        })
    }
}

impl fmt::Debug for RequestHead<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestHead")
            .field("method", &self.method())
            .field("target", &Masked(self.target_bytes()))
            .field("version", &self.version())
            .field("fields", &self.fields())
            .finish()
    }
}

/// A response head as it was read. `Copy`; valid until the exchange ends.
#[derive(Clone, Copy)]
pub struct ResponseHead<'a> {
    store: &'a HeadStore,
}

impl<'a> ResponseHead<'a> {
    pub(crate) fn new(store: &'a HeadStore) -> Option<ResponseHead<'a>> {
        matches!(store.line, StartLine::Response { .. }).then_some(ResponseHead { store })
    }

    /// The status.
    pub fn status(self) -> Status {
        match self.store.line {
            StartLine::Response { status, .. } => status,
            _ => Status::OK,
        }
    }

    /// The reason phrase as it was sent, often empty; clients should not depend on it.
    pub fn reason(self) -> &'a [u8] {
        match self.store.line {
            StartLine::Response {
                reason, reason_end, ..
            } => &self.store.bytes[reason as usize..reason_end as usize],
            _ => &[],
        }
    }

    /// The version; `HTTP/1.x` above 1.1 counts as 1.1.
    pub fn version(self) -> Version {
        match self.store.line {
            StartLine::Response { version, .. } => version,
            _ => Version::Http11,
        }
    }

    /// The header section.
    pub fn fields(self) -> Fields<'a> {
        self.store.fields()
    }

    /// The first value of the field `name`.
    pub fn header(self, name: &str) -> Option<&'a [u8]> {
        self.fields().get(name)
    }

    /// An owned copy.
    pub fn to_response(self) -> Response {
        Response {
            status: self.status(),
            version: self.version(),
            headers: self.fields().to_headers(),
        }
    }
}

impl fmt::Debug for ResponseHead<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseHead")
            .field("status", &self.status())
            .field("reason", &self.reason().escape_ascii())
            .field("version", &self.version())
            .field("fields", &self.fields())
            .finish()
    }
}

/// A head taken out of the machine with its storage, so that it outlives the exchange without a copy. Give it
/// back with `recycle` and the next head is read without an allocation.
#[derive(Clone, Default)]
pub struct OwnedHead {
    pub(crate) store: HeadStore,
}

impl OwnedHead {
    /// As a request head; `None` if it is a response head.
    pub fn as_request(&self) -> Option<RequestHead<'_>> {
        RequestHead::new(&self.store)
    }

    /// As a response head; `None` if it is a request head.
    pub fn as_response(&self) -> Option<ResponseHead<'_>> {
        ResponseHead::new(&self.store)
    }

    /// The header section.
    pub fn fields(&self) -> Fields<'_> {
        self.store.fields()
    }

    /// The header section as an owned list, without copying it.
    pub fn into_headers(self) -> Headers {
        Headers {
            bytes: self.store.bytes,
            spans: self.store.spans,
        }
    }
}

impl fmt::Debug for OwnedHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.as_request(), self.as_response()) {
            (Some(r), _) => r.fmt(f),
            (_, Some(r)) => r.fmt(f),
            _ => f.write_str("OwnedHead(empty)"),
        }
    }
}

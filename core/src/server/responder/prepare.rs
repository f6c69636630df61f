//! What becomes of a response head: [`prepare`] for a head whose body is known, and the [`Ruling`] that it shares
//! with [`super::Responder`].

use super::error::Notice;
use crate::h1::{BodyLen, Switch};
use crate::message::token::trim_ows;
use crate::server::sniff;
use crate::{Field, FieldLines, FieldName, FieldValue, Headers, Status, Version};

/// What the rules of a response have to know of its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestFacts {
    pub(super) head: bool,
    pub(super) http10: bool,
    pub(super) proposes: Switch,
}

impl RequestFacts {
    /// The facts of a request with this method and version which proposes this switch
    /// ([`ServerEvent::Request`](crate::h1::ServerEvent::Request) says which).
    pub fn new(method: &str, version: Version, proposes: Switch) -> RequestFacts {
        RequestFacts {
            head: method == "HEAD",
            http10: version == Version::Http10,
            proposes,
        }
    }

    /// Whether a response of this status can have content. 1xx, 204 and 304 have none (RFC 9112, section 6.3), 205 may not
    /// be given any (RFC 9110, section 15.3.6), and behind a 2xx to CONNECT another protocol begins. A response to HEAD
    /// counts as one that can: what is written for it is only not sent.
    pub fn has_content(self, status: Status) -> bool {
        !(status.is_bodiless()
            || status == Status::RESET_CONTENT
            || (self.proposes == Switch::Connect && status.is_success()))
    }
}

/// How a response is to be sent: the result of [`prepare`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Prepared {
    /// The framing, for [`ServerConn::send_head`](crate::h1::ServerConn::send_head).
    pub body: BodyLen,
    /// Whether body bytes are to be sent: not for HEAD, nor with a status that has no content.
    pub sends_body: bool,
    /// The media type that was found in the content, for the field `Content-Type`.
    pub media_type: Option<&'static str>,
    /// Whether there is no `Date` yet.
    pub needs_date: bool,
    /// What was changed in the handler's fields and should not have been there.
    pub notice: Option<Notice>,
}

impl Prepared {
    /// The lines to send: `fields`, and what [`prepare`] found missing. `date` is the line `Date`
    /// ([`DateCache::field`](crate::server::DateCache::field)); `None` for a server without a clock (RFC 9110, section 6.6.1).
    pub fn fields<'a>(&self, fields: &'a Headers, date: Option<Field<'a>>) -> SendFields<'a> {
        SendFields {
            fields,
            date: if self.needs_date { date } else { None },
            media_type: self.media_type,
        }
    }
}

/// A handler's fields with `Date` and `Content-Type` added where they are due, without a copy: for
/// [`ServerConn::send_head`](crate::h1::ServerConn::send_head).
#[derive(Clone, Copy, Debug)]
pub struct SendFields<'a> {
    fields: &'a Headers,
    date: Option<Field<'a>>,
    media_type: Option<&'static str>,
}

impl FieldLines for SendFields<'_> {
    #[inline]
    fn for_each_field(&self, mut each: impl FnMut(Field<'_>)) {
        const CONTENT_TYPE: FieldName<'static> = FieldName::from_static("Content-Type");
        if let Some(date) = self.date {
            each(date);
        }
        if let Some(media_type) = self.media_type {
            each(Field::new(
                CONTENT_TYPE,
                FieldValue::checked(media_type.as_bytes()),
            ));
        }
        self.fields.for_each_field(each);
    }
}

/// Applies the rules of responses to a complete head: for handlers that return their response instead of writing it.
///
/// `body` is the length of the body that goes with it, `start` the first bytes of that ([`sniff::LOOKED_AT`] of them, if it
/// has as many), or nothing where they are not at hand.
///
/// - A `Content-Length` or `Transfer-Encoding` among the fields goes before `body`, and is taken out: framing is the
///   connection's to write. Of both, the length is dropped; a length that is no number and a coding other than `chunked`
///   are dropped too ([`Prepared::notice`]).
/// - A status without content has [`BodyLen::None`], whatever was given; a 304 also loses its `Content-Type`.
/// - `Content-Type` is found from `start` if it is not set, unless the content is coded (`Content-Encoding`,
///   `Transfer-Encoding`), so that its bytes tell nothing, or there is none.
/// - `Date` is due unless it is set.
///
/// The fields are changed in place; nothing is allocated.
///
/// ```
/// use antiphon_core::h1::{BodyLen, Switch};
/// use antiphon_core::server::responder::{self, RequestFacts};
/// use antiphon_core::{Headers, Status, Version};
/// let facts = RequestFacts::new("GET", Version::Http11, Switch::None);
/// let mut fields = Headers::new();
/// let p = responder::prepare(Status::OK, &mut fields, BodyLen::Known(6), b"<html>", facts);
/// assert_eq!((p.body, p.media_type), (BodyLen::Known(6), Some("text/html; charset=utf-8")));
/// let p = responder::prepare(Status::NOT_MODIFIED, &mut fields, BodyLen::Known(6), b"<html>", facts);
/// assert_eq!((p.body, p.media_type, p.sends_body), (BodyLen::None, None, false));
/// ```
#[inline]
pub fn prepare(
    status: Status,
    fields: &mut Headers,
    body: BodyLen,
    start: &[u8],
    facts: RequestFacts,
) -> Prepared {
    Ruling::of(status, fields, facts).prepared(body, start, facts)
}

/// What the status and the handler's fields say, before anything is known of the body.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ruling {
    /// Whether there can be content.
    pub(super) content: bool,
    pub(super) framing: Framing,
    /// Whether the content's bytes may say what it is.
    sniff: bool,
    needs_date: bool,
    pub(super) notice: Option<Notice>,
}

/// What the handler's fields say of the body's length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    Unsaid,
    Length(u64),
    Chunked,
}

impl Ruling {
    /// Looks at the fields once, and takes out what may not be sent.
    #[inline]
    pub(super) fn of(status: Status, fields: &mut Headers, facts: RequestFacts) -> Ruling {
        let seen = Seen::of(fields);
        let content = facts.has_content(status);
        let mut ruling = Ruling {
            content,
            framing: Framing::Unsaid,
            sniff: content && !seen.media_type && !seen.coded && seen.coding == Coding::Unsaid,
            needs_date: !seen.date,
            notice: None,
        };
        if seen.length != Length::Unsaid || seen.coding != Coding::Unsaid {
            ruling.frame(seen, fields);
        }
        if status == Status::NOT_MODIFIED && seen.media_type {
            fields.remove("content-type");
        }
        ruling
    }

    /// Framing fields are rare, and taking them out is not cheap.
    #[cold]
    fn frame(&mut self, seen: Seen, fields: &mut Headers) {
        fields.remove("content-length");
        fields.remove("transfer-encoding");
        if !self.content {
            return;
        }
        (self.framing, self.notice) = match (seen.coding, seen.length) {
            (Coding::Chunked, Length::Unsaid) => (Framing::Chunked, None),
            // "A sender MUST NOT send a Content-Length header field in any message that contains a Transfer-Encoding header
            // field." (RFC 9112, section 6.2)
            (Coding::Chunked, _) => (Framing::Chunked, Some(Notice::LengthDropped)),
            (Coding::Other, Length::Unsaid) => (Framing::Unsaid, Some(Notice::CodingDropped)),
            (Coding::Other, _) => (Framing::Unsaid, Some(Notice::LengthDropped)),
            // Long obsolete, and it never meant anything.
            (Coding::Identity | Coding::Unsaid, Length::Is(n)) => (Framing::Length(n), None),
            (Coding::Identity | Coding::Unsaid, Length::Wrong) => {
                (Framing::Unsaid, Some(Notice::LengthInvalid))
            }
            (Coding::Identity, Length::Unsaid) => (Framing::Unsaid, Some(Notice::CodingDropped)),
            (Coding::Unsaid, Length::Unsaid) => (Framing::Unsaid, None),
        };
    }

    /// What is sent for a body of this length that begins so.
    #[inline]
    pub(super) fn prepared(self, body: BodyLen, start: &[u8], facts: RequestFacts) -> Prepared {
        let body = match self.framing {
            _ if !self.content => BodyLen::None,
            Framing::Length(n) => BodyLen::Known(n),
            Framing::Chunked => BodyLen::Unknown,
            Framing::Unsaid => body,
        };
        Prepared {
            body,
            sends_body: self.content && !facts.head,
            media_type: if self.sniff && !start.is_empty() {
                Some(sniff::media_type(start))
            } else {
                None
            },
            needs_date: self.needs_date,
            notice: self.notice,
        }
    }
}

/// What the fields hold of what the rules ask for.
#[derive(Clone, Copy)]
struct Seen {
    length: Length,
    coding: Coding,
    media_type: bool,
    coded: bool,
    date: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Length {
    Unsaid,
    Is(u64),
    /// No decimal number below 2^63, or several that differ.
    Wrong,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Coding {
    Unsaid,
    Chunked,
    Identity,
    Other,
}

impl Seen {
    #[inline]
    fn of(fields: &Headers) -> Seen {
        let mut seen = Seen {
            length: Length::Unsaid,
            coding: Coding::Unsaid,
            media_type: false,
            coded: false,
            date: false,
        };
        for field in fields {
            let name = field.name.as_bytes();
            match name.len() {
                4 => seen.date |= name.eq_ignore_ascii_case(b"date"),
                12 => seen.media_type |= name.eq_ignore_ascii_case(b"content-type"),
                14 if name.eq_ignore_ascii_case(b"content-length") => {
                    seen.length = match (seen.length, decimal(field.value.as_bytes())) {
                        (Length::Unsaid, Some(n)) => Length::Is(n),
                        (Length::Is(m), Some(n)) if m == n => Length::Is(n),
                        _ => Length::Wrong,
                    };
                }
                16 => seen.coded |= name.eq_ignore_ascii_case(b"content-encoding"),
                17 if name.eq_ignore_ascii_case(b"transfer-encoding") => {
                    let value = trim_ows(field.value.as_bytes());
                    seen.coding = match seen.coding {
                        Coding::Unsaid if value.eq_ignore_ascii_case(b"chunked") => Coding::Chunked,
                        Coding::Unsaid if value.eq_ignore_ascii_case(b"identity") => Coding::Identity,
                        _ => Coding::Other,
                    };
                }
                _ => {}
            }
        }
        seen
    }
}

/// A decimal number below 2^63: digits only, at least one.
fn decimal(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    let mut n: u64 = 0;
    for &b in text {
        if !b.is_ascii_digit() {
            return None;
        }
        n = n.checked_mul(10)?.checked_add(u64::from(b - b'0'))?;
    }
    (n >> 63 == 0).then_some(n)
}

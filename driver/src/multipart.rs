//! [`Multipart`]: forms with files, as request bodies. What stands between the contents is decided in the core
//! ([`antiphon_core::forms::multipart`]); here the contents are put in as they are sent.

use crate::body::{Chunks, Make};
use crate::{Body, BoxError};
use antiphon_core::forms::Boundary;
use antiphon_core::forms::multipart::{self as form, InvalidPart, Segment};
use antiphon_core::h1::BodyLen;
use antiphon_support::random_boundary;
use bytes::Bytes;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

/// A form with files: a body of the type `multipart/form-data` (RFC 7578), for
/// [`RequestBuilder::multipart`](crate::RequestBuilder::multipart).
///
/// Parts are sent as they come, in constant memory. The length of the whole is known, and sent, if that of every part is;
/// it can be sent again, where a redirect or a retry wants it, if every part can.
///
/// ```
/// use antiphon_driver::{Multipart, Part};
///
/// let form = Multipart::new()
///     .text("title", "A tale")
///     .part("picture", Part::bytes(&b"\x89PNG"[..]).file_name("cat.png").content_type("image/png"));
/// # drop(form);
/// ```
pub struct Multipart {
    form: form::Multipart,
    /// Of the parts that are not in memory, in their order.
    streams: Vec<Content>,
    /// The first thing that was wrong with a part.
    problem: Option<InvalidPart>,
}

/// The content of a part that is not in memory.
struct Content {
    first: Body,
    make: Option<Arc<Make>>,
}

impl Multipart {
    /// A form without parts.
    ///
    /// What stands between parts is chosen at random, and not looked for in them: it has 128 bits from the keyed hash with
    /// which std guards its maps. That a content holds it by accident will not happen. On purpose it could only be put there
    /// by somebody who foresees it, against which std promises nothing in so many words: where that matters, see
    /// [`with_boundary`](Multipart::with_boundary).
    pub fn new() -> Multipart {
        Multipart::with_boundary(random_boundary())
    }

    /// A form without parts, with a boundary of the caller's: one from a cryptographic random number
    /// ([`Boundary::from_random`]), or one that is known not to occur.
    pub fn with_boundary(boundary: Boundary) -> Multipart {
        Multipart {
            form: form::Multipart::new(boundary),
            streams: Vec::new(),
            problem: None,
        }
    }

    /// Adds a value.
    #[must_use]
    pub fn text(self, name: impl Into<String>, value: impl Into<String>) -> Multipart {
        self.part(name, Part::text(value))
    }

    /// Adds a part under this name. What is wrong with it is told by [`send`](crate::RequestBuilder::send).
    #[must_use]
    pub fn part(mut self, name: impl Into<String>, part: Part) -> Multipart {
        let Part {
            mut body,
            file_name,
            fields,
        } = part;
        let mut described = match body.take_full() {
            Some(bytes) => form::Part::bytes(name, bytes),
            None => {
                let length = match body.len() {
                    BodyLen::None => Some(0),
                    BodyLen::Known(n) => Some(n),
                    BodyLen::Unknown => None,
                };
                let make = body.take_make();
                self.streams.push(Content { first: body, make });
                form::Part::stream(name, length)
            }
        };
        if let Some(file_name) = file_name {
            described = described.filename(file_name);
        }
        for (name, value) in fields {
            // It is the part with what was good of it until it is told.
            match described.clone().field(&name, &value) {
                Ok(more) => described = more,
                Err(e) => {
                    self.problem.get_or_insert(e);
                }
            }
        }
        self.form.push(described);
        self
    }

    /// The value of `Content-Type`, and the body.
    pub(crate) fn into_body(self) -> Result<(String, Body), InvalidPart> {
        if let Some(problem) = self.problem {
            return Err(problem);
        }
        let content_type = self.form.content_type();
        let len = self.form.len().map_or(BodyLen::Unknown, BodyLen::Known);
        let form = Arc::new(self.form);
        let again: Option<Vec<Arc<Make>>> = self.streams.iter().map(|c| c.make.clone()).collect();
        let first = self.streams.into_iter().map(|c| Source::Body(c.first)).collect();
        let body = Body::streaming(Box::pin(Parts::new(form.clone(), first)), len);
        let body = match again {
            Some(makes) => body.made_by(Arc::new(move || {
                let sources = makes.iter().cloned().map(Source::Make).collect();
                Ok(Body::streaming(Box::pin(Parts::new(form.clone(), sources)), len))
            })),
            None => body,
        };
        Ok((content_type, body))
    }
}

impl Default for Multipart {
    fn default() -> Multipart {
        Multipart::new()
    }
}

/// Names of fields and contents stay hidden.
impl fmt::Debug for Multipart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Multipart")
            .field("parts", &self.form.parts().len())
            .field("len", &self.form.len())
            .finish_non_exhaustive()
    }
}

/// A part of a [`Multipart`] form, without its name.
pub struct Part {
    body: Body,
    file_name: Option<String>,
    fields: Vec<(String, String)>,
}

impl Part {
    /// Bytes in memory.
    pub fn bytes(content: impl Into<Bytes>) -> Part {
        Part::body(content.into())
    }

    /// Text in memory.
    pub fn text(content: impl Into<String>) -> Part {
        Part::body(content.into())
    }

    /// Any body: a file, a stream. Its trailers, if it has some, are not sent.
    pub fn body(content: impl Into<Body>) -> Part {
        Part {
            body: content.into(),
            file_name: None,
            fields: Vec::new(),
        }
    }

    /// The name of the file, for the receiver's information. Directories do not belong in it.
    #[must_use]
    pub fn file_name(mut self, name: impl Into<String>) -> Part {
        self.file_name = Some(name.into());
        self
    }

    /// The part's `Content-Type`. Without one it is `text/plain` (RFC 7578, section 4.4).
    #[must_use]
    pub fn content_type(self, value: impl Into<String>) -> Part {
        self.header("Content-Type", value)
    }

    /// A further field of the part's head, at most one of a name; `Content-Disposition` is not the caller's to write.
    /// Receivers need not look at any but `Content-Type` (RFC 7578, section 4.8).
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Part {
        self.fields.push((name.into(), value.into()));
        self
    }
}

/// Names of fields and contents stay hidden.
impl fmt::Debug for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Part")
            .field("body", &self.body)
            .finish_non_exhaustive()
    }
}

/// A form on its way out.
struct Parts {
    form: Arc<form::Multipart>,
    /// The segment that comes next.
    at: usize,
    /// The contents that have not begun, the last one first.
    waiting: Vec<Source>,
    current: Option<Current>,
}

enum Source {
    Body(Body),
    Make(Arc<Make>),
}

/// The content that is being sent.
struct Current {
    body: Body,
    /// What it still owes of the length it declared.
    owed: Option<u64>,
}

impl Parts {
    fn new(form: Arc<form::Multipart>, mut sources: Vec<Source>) -> Parts {
        sources.reverse();
        Parts {
            form,
            at: 0,
            waiting: sources,
            current: None,
        }
    }
}

impl Chunks for Parts {
    fn poll_chunk(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BoxError>>> {
        let this = self.get_mut();
        loop {
            if let Some(current) = &mut this.current {
                match ready!(current.body.poll_chunk(cx)).transpose()? {
                    Some(bytes) => {
                        current.take(bytes.len() as u64)?;
                        return Poll::Ready(Some(Ok(bytes)));
                    }
                    None if current.owed.is_some_and(|n| n > 0) => {
                        return Poll::Ready(Some(Err(LENGTH.into())));
                    }
                    None => this.current = None,
                }
            }
            let Some(segment) = this.form.segment(this.at) else {
                return Poll::Ready(None);
            };
            this.at += 1;
            match segment {
                Segment::Bytes(bytes) if bytes.is_empty() => {}
                Segment::Bytes(bytes) => return Poll::Ready(Some(Ok(bytes))),
                Segment::Part(part) => {
                    let body = match this.waiting.pop() {
                        Some(Source::Body(body)) => body,
                        Some(Source::Make(make)) => make()?,
                        None => Body::empty(),
                    };
                    let owed = this.form.parts()[part].content_len();
                    this.current = Some(Current { body, owed });
                }
            }
        }
    }
}

const LENGTH: &str = "a part of the form does not keep to the length it declared";

impl Current {
    /// Were one part too long by what another is too short, the length of the whole would be right, and the receiver be
    /// none the wiser.
    fn take(&mut self, len: u64) -> Result<(), BoxError> {
        if let Some(owed) = &mut self.owed {
            *owed = owed.checked_sub(len).ok_or(LENGTH)?;
        }
        Ok(())
    }
}

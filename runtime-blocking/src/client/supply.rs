//! [`Supply`]: the body of a call's request, as often as it is wanted.

use crate::body::{Body, Make};
use crate::error::{Error, ErrorKind};
use antiphon_core::Fields;
use antiphon_core::client::call::{Content, SendBody};
use antiphon_core::h1::BodyLen;
use std::sync::Arc;

/// What a call has to send.
pub(super) struct Supply {
    /// `None` while it is being sent, unless it is in memory: of that a copy is sent, which shares the bytes.
    body: Option<Body>,
    make: Option<Arc<Make>>,
}

impl Supply {
    pub(super) fn new(mut body: Body) -> Supply {
        let make = body.take_make();
        Supply {
            body: Some(body),
            make,
        }
    }

    /// What the call is told of it.
    pub(super) fn content(&self) -> Content {
        let Some(body) = &self.body else {
            return Content::None;
        };
        match body.framing() {
            BodyLen::None => Content::None,
            len if self.make.is_some() || body.content().is_some() => Content::Repeatable(len),
            len => Content::Once(len),
        }
    }

    /// Its length and its trailers, if it is in memory.
    pub(super) fn in_memory(&self) -> Option<(u64, Fields<'_>)> {
        self.body.as_ref()?.content()
    }

    /// A body to be sent.
    ///
    /// # Errors
    /// What the function says that makes it.
    pub(super) fn take(&mut self, which: SendBody) -> Result<Body, Error> {
        if let SendBody::None = which {
            return Ok(Body::empty());
        }
        if let Some(copy) = self.body.as_ref().and_then(Body::replay) {
            return Ok(copy);
        }
        if let Some(body) = self.body.take() {
            return Ok(body);
        }
        let again = |why| Error::new(ErrorKind::Body, "making the request body again").with_source(why);
        match &self.make {
            Some(make) => make().map_err(again),
            None => Err(again("it is a stream that has been sent".into())),
        }
    }

    /// It was not sent after all: nothing was taken from it.
    pub(super) fn put_back(&mut self, body: Body) {
        self.body.get_or_insert(body);
    }
}

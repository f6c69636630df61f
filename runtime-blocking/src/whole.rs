//! Reading a body to its end: into one piece, as text, as JSON, into a writer. What a [`Response`] adds is that it knows what
//! its body is.

use crate::body::Body;
use crate::error::{Error, ErrorKind};
use crate::response::Response;
use antiphon_core::h1::BodyLen;
#[cfg(feature = "json")]
use antiphon_support::json;
use bytes::{Bytes, BytesMut};
use std::io;

const READING: &str = "reading a body";

impl Body {
    /// Reads the rest of the body into one piece of at most `limit` bytes.
    ///
    /// Where [`Read`](io::Read) is in scope its own `bytes`, which takes the body by value, comes first for a variable that
    /// holds a body: write `Body::bytes(&mut body, limit)` there. Behind `body_mut()`, and on
    /// [`Response`](crate::Response::bytes), there is no such clash.
    ///
    /// # Errors
    /// [`ErrorKind::BodyTooLarge`] as soon as more than `limit` bytes are known to come; else as
    /// [`chunk`](Body::chunk).
    pub fn bytes(&mut self, limit: usize) -> Result<Bytes, Error> {
        let too_large = || Error::new(ErrorKind::BodyTooLarge, READING);
        if let BodyLen::Known(n) = self.len()
            && n > limit as u64
        {
            return Err(too_large());
        }
        let Some(first) = self.chunk().transpose()? else {
            return Ok(Bytes::new());
        };
        if first.len() > limit {
            return Err(too_large());
        }
        let Some(second) = self.chunk().transpose()? else {
            return Ok(first);
        };
        let expected = match self.len() {
            BodyLen::Known(n) => usize::try_from(n).unwrap_or(0),
            _ => first.len() + second.len(),
        };
        // `expected` is at most `limit`, but that may be far more than ever arrives.
        let mut all = BytesMut::with_capacity(expected.min(1 << 20));
        all.extend_from_slice(&first);
        let mut next = Some(second);
        while let Some(chunk) = next {
            if all.len() + chunk.len() > limit {
                return Err(too_large());
            }
            all.extend_from_slice(&chunk);
            next = self.chunk().transpose()?;
        }
        Ok(all.freeze())
    }

    /// Reads the rest of the body as text in UTF-8, of at most `limit` bytes.
    ///
    /// # Errors
    /// [`ErrorKind::NotText`] if it is not UTF-8; else as [`bytes`](Body::bytes).
    pub fn text(&mut self, limit: usize) -> Result<String, Error> {
        let bytes = self.bytes(limit)?;
        String::from_utf8(bytes.into())
            .map_err(|e| Error::new(ErrorKind::NotText, READING).with_source(e.utf8_error()))
    }

    /// Reads the rest of the body as JSON, of at most `limit` bytes. What `Content-Type` says of it is not looked at.
    /// Nesting is bounded at 128 levels.
    ///
    /// # Errors
    /// [`ErrorKind::Json`] if it is no JSON, or not what `T` is made of; else as [`bytes`](Body::bytes).
    #[cfg(feature = "json")]
    pub fn json<T: json::DeserializeOwned>(&mut self, limit: usize) -> Result<T, Error> {
        let bytes = self.bytes(limit)?;
        json::decode(&bytes).map_err(|e| Error::new(ErrorKind::Json, READING).with_source(e))
    }

    /// Writes the rest of the body into `writer`, chunk by chunk, and gives its length. The writer is not flushed.
    ///
    /// Where a body comes from a connection this copies less than [`io::copy`], and its errors are ours.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] if `writer` fails; else as [`chunk`](Body::chunk).
    pub fn copy_to<W: io::Write + ?Sized>(&mut self, writer: &mut W) -> Result<u64, Error> {
        let mut count = 0;
        while let Some(chunk) = self.chunk().transpose()? {
            writer
                .write_all(&chunk)
                .map_err(|e| Error::io("writing a body out", e))?;
            count += chunk.len() as u64;
        }
        Ok(count)
    }
}

impl Response {
    /// The next bytes of the body, as they come; `None` at the end: [`Body::chunk`].
    ///
    /// # Errors
    /// As [`Body::chunk`].
    pub fn chunk(&mut self) -> Option<Result<Bytes, Error>> {
        self.body_mut().chunk()
    }

    /// Reads the rest of the body into one piece: [`Body::bytes`].
    ///
    /// # Errors
    /// As [`Body::bytes`].
    pub fn bytes(&mut self, limit: usize) -> Result<Bytes, Error> {
        self.body_mut().bytes(limit)
    }

    /// Reads the rest of the body, of at most `limit` bytes, as text.
    ///
    /// Without the feature `charset`: in UTF-8, as [`Body::text`] does. With it: in the charset that a byte order mark or
    /// `Content-Type` tells, or in UTF-8; what cannot be decoded becomes U+FFFD, and is no error. The text then takes at most
    /// three times the bytes.
    ///
    /// # Errors
    /// As [`Body::text`]; with the feature `charset` as [`Body::bytes`].
    pub fn text(&mut self, limit: usize) -> Result<String, Error> {
        #[cfg(feature = "charset")]
        {
            let bytes = self.body_mut().bytes(limit)?;
            let text = antiphon_support::charset::decode(self.header("content-type"), &bytes, None);
            Ok(text.into_text().into_owned())
        }
        #[cfg(not(feature = "charset"))]
        self.body_mut().text(limit)
    }

    /// Reads the rest of the body as JSON: [`Body::json`].
    ///
    /// # Errors
    /// As [`Body::json`].
    #[cfg(feature = "json")]
    pub fn json<T: json::DeserializeOwned>(&mut self, limit: usize) -> Result<T, Error> {
        self.body_mut().json(limit)
    }

    /// Writes the rest of the body into `writer`, and gives its length: [`Body::copy_to`].
    ///
    /// # Errors
    /// As [`Body::copy_to`].
    pub fn copy_to<W: io::Write + ?Sized>(&mut self, writer: &mut W) -> Result<u64, Error> {
        self.body_mut().copy_to(writer)
    }
}

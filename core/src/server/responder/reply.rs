//! Short replies in plain text: errors, and "not found".

use super::{RespondError, Responder};
use crate::{FieldName, Headers, Response, Status};
use bytes::Bytes;

/// What a handler may have set for the content that the error takes the place of.
const OF_THE_CONTENT: [&str; 5] = [
    "content-length",
    "content-encoding",
    "etag",
    "last-modified",
    "cache-control",
];

/// A response in plain text: `text` and a line end. For an error, as Go's `http.Error`.
///
/// `X-Content-Type-Options: nosniff` keeps a browser from finding markup in a text that repeats what the client sent.
///
/// ```
/// use antiphon_core::server::responder::error_reply;
/// use antiphon_core::Status;
/// let (head, body) = error_reply(Status::CONFLICT, "somebody else was faster");
/// assert_eq!(head.headers.get("content-type"), Some(&b"text/plain; charset=utf-8"[..]));
/// assert_eq!(body, "somebody else was faster\n");
/// ```
pub fn error_reply(status: Status, text: &str) -> (Response, Bytes) {
    let mut head = Response::new(status);
    plain(&mut head.headers);
    (head, line(text))
}

/// The 404 of a server that has nothing more to say: `404 page not found`.
pub fn not_found() -> (Response, Bytes) {
    error_reply(Status::NOT_FOUND, NOT_FOUND)
}

const NOT_FOUND: &str = "404 page not found";

fn line(text: &str) -> Bytes {
    let mut body = alloc::string::String::with_capacity(text.len() + 1);
    body.push_str(text);
    body.push('\n');
    body.into()
}

fn plain(fields: &mut Headers) {
    const VALID: &str = "a constant line is valid";
    fields.retain(|f| !is_of_the_content(f.name));
    fields
        .set("Content-Type", "text/plain; charset=utf-8")
        .expect(VALID);
    fields.set("X-Content-Type-Options", "nosniff").expect(VALID);
}

fn is_of_the_content(name: FieldName<'_>) -> bool {
    OF_THE_CONTENT.iter().any(|n| name.is(n))
}

impl Responder {
    /// Writes an error in plain text: `text` and a line end. Fields that were set for the content which it takes the place of
    /// are removed: `Content-Length`, `Content-Encoding`, `ETag`, `Last-Modified`, `Cache-Control`; others stay. The handler is
    /// to write nothing more, and to [`finish`](Responder::finish).
    ///
    /// # Errors
    /// [`RespondError::HeadWritten`], [`RespondError::Ended`], [`RespondError::NotFinal`] for 1xx, and
    /// [`RespondError::BodyNotAllowed`] for a status that has no content: nothing was changed.
    pub fn error(&mut self, status: Status, text: &str) -> Result<(), RespondError> {
        self.before_head()?;
        if status.is_informational() {
            return Err(RespondError::NotFinal);
        }
        if !self.facts.has_content(status) {
            return Err(RespondError::BodyNotAllowed { status });
        }
        plain(&mut self.fields);
        self.write_head(status)?;
        self.write_bytes(line(text))
    }

    /// Writes the 404 of [`not_found`].
    ///
    /// # Errors
    /// As [`error`](Responder::error).
    pub fn not_found(&mut self) -> Result<(), RespondError> {
        self.error(Status::NOT_FOUND, NOT_FOUND)
    }
}

//! [`Files`]: the answer to a request for a file below a root directory.
//!
//! The disk belongs to the adapter, which opens what [`Files::resolve`] names, says what it [`Found`], and
//! carries out the [`Answer`]. The parts that decide live in [`path`](super::path), [`conditional`], [`range`],
//! [`media`] and [`listing`](super::listing).

use super::conditional::{self, Validators, Verdict};
use super::path::{Dotfiles, PathError, RelativePath, encode};
use super::range::{self, ByteRange, RangeAnswer};
use super::{date, media};
use crate::h1::BodyLen;
use crate::{Fields, Headers, Status, UnixTime};
use alloc::string::String;

/// How a directory is served.
///
/// ```
/// use antiphon_core::server::files::{Answer, Content, FileMeta, FileRequest, Files, Found};
/// use antiphon_core::{Headers, UnixTime};
///
/// let now = UnixTime(1_700_000_000);
/// let mut fields = Headers::new();
/// fields.append("Range", "bytes=0-9")?;
/// let request = FileRequest { method: "GET", path: "/a.txt", query: None, fields: fields.as_fields() };
///
/// let files = Files::DEFAULT;
/// let path = files.resolve(&request).unwrap();
/// assert_eq!(path.as_str(), "a.txt"); // open it below the root ...
/// let found = Found::File(FileMeta::new(1000, Some(UnixTime(784_111_777))));
/// let answer = files.answer(&request, &path, found, now);
/// assert_eq!(answer.status, 206);
/// assert_eq!(answer.headers.get_str("Content-Range"), Some("bytes 0-9/1000"));
/// assert_eq!(answer.content, Content::Bytes { start: 0, len: 10 }); // ... and send this
/// # Ok::<(), antiphon_core::InvalidField>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Files {
    /// Whether names that begin with a dot are served and listed. Default: hidden.
    pub dotfiles: Dotfiles,
    /// Whether a directory without index file is listed; 404 otherwise. Default: `true`.
    pub listing: bool,
    /// The file that stands for its directory. Default: `index.html`.
    pub index: &'static str,
}

impl Files {
    /// The defaults.
    pub const DEFAULT: Files = Files {
        dotfiles: Dotfiles::Hidden,
        listing: true,
        index: "index.html",
    };
}

impl Default for Files {
    fn default() -> Files {
        Files::DEFAULT
    }
}

/// The parts of a request that decide.
#[derive(Clone, Copy, Debug)]
#[allow(clippy::exhaustive_structs)]
pub struct FileRequest<'a> {
    /// The method.
    pub method: &'a str,
    /// The path of the target, not decoded.
    pub path: &'a str,
    /// Its query, without question mark: redirects keep it.
    pub query: Option<&'a str>,
    /// The header section.
    pub fields: Fields<'a>,
}

/// What a file system tells about a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FileMeta {
    /// Its length in bytes.
    pub len: u64,
    /// When it was last changed, in whole seconds.
    pub modified: Option<UnixTime>,
    /// The nanoseconds of that time, 0 if not known: they make the entity tag finer.
    pub modified_nanos: u32,
}

impl FileMeta {
    /// Length and time of change.
    pub const fn new(len: u64, modified: Option<UnixTime>) -> FileMeta {
        FileMeta {
            len,
            modified,
            modified_nanos: 0,
        }
    }

    /// The same with a finer time of change.
    pub const fn with_nanos(mut self, nanos: u32) -> FileMeta {
        self.modified_nanos = nanos;
        self
    }
}

/// What stands below the root at a path, symbolic links resolved and seen to lead nowhere outside
/// ([`is_inside`](super::path::is_inside)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums)]
pub enum Found {
    /// A regular file.
    File(FileMeta),
    /// A directory. When [`RelativePath::is_directory`] says that one was asked for, look for
    /// [`Files::index`] in it.
    Directory {
        /// The index file, if there is one and it is a regular file.
        index: Option<FileMeta>,
    },
    /// Nothing, or a device, socket or pipe, or something outside the root.
    Missing,
    /// Something that may not be read.
    Forbidden,
    /// Looking failed for another reason.
    Failed,
}

/// What to send. `Date` and the framing fields are the sender's.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Answer {
    /// The status.
    pub status: Status,
    /// The fields.
    pub headers: Headers,
    /// The length to declare; for HEAD that of the GET, although nothing is sent. For
    /// [`Content::Listing`] the length of the page, which is known when it has been made.
    pub length: BodyLen,
    /// What to send as content.
    pub content: Content,
}

/// The content of an [`Answer`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums)]
pub enum Content {
    /// Nothing.
    Nothing,
    /// This text.
    Text(&'static str),
    /// Bytes of the file that was found (or its directory's index).
    Bytes {
        /// Offset of the first.
        start: u64,
        /// How many.
        len: u64,
    },
    /// The page that [`listing::render`](super::listing::render) makes of the directory's entries.
    Listing,
}

impl Files {
    /// The path below the root that a request names.
    ///
    /// # Errors
    /// The answer to a request that names none: 405 with `Allow` for a method other than GET and HEAD, 404 for
    /// a hidden name, 400 for a path that no honest client sends.
    pub fn resolve(&self, request: &FileRequest<'_>) -> Result<RelativePath, Answer> {
        if !matches!(request.method, "GET" | "HEAD") {
            let mut answer = text(request, Status::METHOD_NOT_ALLOWED);
            put(&mut answer.headers, "Allow", "GET, HEAD");
            return Err(answer);
        }
        RelativePath::new(request.path, self.dotfiles).map_err(|e| match e {
            PathError::Hidden => text(request, Status::NOT_FOUND),
            _ => text(request, Status::BAD_REQUEST),
        })
    }

    /// The answer to a request whose path is `path`, where the adapter found `found`.
    ///
    /// A directory without trailing slash, a file with one, and the index file by its name are redirected
    /// (301) to where relative links work, by a relative reference, so that it does not matter where the
    /// directory is mounted. Preconditions come before ranges; `Range` is heeded for GET only (RFC 9110,
    /// section 14.2) and only if it is a single one.
    pub fn answer(
        &self,
        request: &FileRequest<'_>,
        path: &RelativePath,
        found: Found,
        now: UnixTime,
    ) -> Answer {
        match found {
            Found::Missing => text(request, Status::NOT_FOUND),
            Found::Forbidden => text(request, Status::FORBIDDEN),
            Found::Failed => text(request, Status::INTERNAL_SERVER_ERROR),
            Found::Directory { .. } if !path.is_directory() => redirect(request, "./", path.file_name(), "/"),
            Found::Directory { index: Some(meta) } => file(request, self.index, meta, now),
            Found::Directory { index: None } if self.listing => {
                let mut headers = Headers::new();
                put(&mut headers, "Content-Type", "text/html; charset=utf-8");
                Answer {
                    status: Status::OK,
                    headers,
                    length: BodyLen::Unknown,
                    content: Content::Listing,
                }
            }
            Found::Directory { index: None } => text(request, Status::NOT_FOUND),
            Found::File(_) if path.is_directory() => redirect(request, "../", path.file_name(), ""),
            Found::File(_) if path.file_name() == self.index => redirect(request, "./", "", ""),
            Found::File(meta) => file(request, path.file_name(), meta, now),
        }
    }
}

fn file(request: &FileRequest<'_>, name: &str, meta: FileMeta, now: UnixTime) -> Answer {
    let validators = Validators::of_file(meta.len, meta.modified, meta.modified_nanos, now);
    let verdict = conditional::evaluate(request.method, request.fields, &validators, now);
    if verdict == Verdict::Failed {
        return text(request, Status::PRECONDITION_FAILED);
    }
    let mut headers = Headers::new();
    if let Some(t) = validators.last_modified {
        put(&mut headers, "Last-Modified", date::format(t));
    }
    if let Some(etag) = &validators.etag {
        put(&mut headers, "ETag", etag);
    }
    if verdict == Verdict::NotModified {
        // "... a 304 response does not contain content", and no other representation metadata than the
        // validators (RFC 9110, section 15.4.5).
        return Answer {
            status: Status::NOT_MODIFIED,
            headers,
            length: BodyLen::None,
            content: Content::Nothing,
        };
    }
    put(&mut headers, "Accept-Ranges", "bytes");
    let (status, part) = match wanted_range(request, &validators, meta.len, now) {
        RangeAnswer::Whole => (
            Status::OK,
            ByteRange {
                start: 0,
                len: meta.len,
            },
        ),
        RangeAnswer::Part(part) => {
            put(&mut headers, "Content-Range", part.content_range(meta.len));
            (Status::PARTIAL_CONTENT, part)
        }
        RangeAnswer::Unsatisfiable => {
            let mut answer = text(request, Status::RANGE_NOT_SATISFIABLE);
            put(
                &mut answer.headers,
                "Content-Range",
                range::unsatisfied_range(meta.len),
            );
            return answer;
        }
    };
    put(&mut headers, "Content-Type", media::by_name(name));
    let content = if request.method == "HEAD" || part.len == 0 {
        Content::Nothing
    } else {
        Content::Bytes {
            start: part.start,
            len: part.len,
        }
    };
    Answer {
        status,
        headers,
        length: BodyLen::Known(part.len),
        content,
    }
}

fn wanted_range(request: &FileRequest<'_>, current: &Validators, len: u64, now: UnixTime) -> RangeAnswer {
    let mut lines = request.fields.get_all("Range");
    match (lines.next(), lines.next()) {
        (Some(value), None)
            if request.method == "GET" && conditional::range_applies(request.fields, current, now) =>
        {
            range::evaluate(value, len)
        }
        _ => RangeAnswer::Whole,
    }
}

/// A 301 to a relative reference: `up`, the name as a segment, `end`, and the query.
fn redirect(request: &FileRequest<'_>, up: &str, name: &str, end: &str) -> Answer {
    let mut to = String::from(up);
    encode(name, &mut to);
    to.push_str(end);
    if let Some(query) = request.query {
        to.push('?');
        to.push_str(query);
    }
    let mut answer = text(request, Status::MOVED_PERMANENTLY);
    put(&mut answer.headers, "Location", &to);
    answer
}

/// An answer of this status with its reason as text.
fn text(request: &FileRequest<'_>, status: Status) -> Answer {
    let mut headers = Headers::new();
    put(&mut headers, "Content-Type", "text/plain; charset=utf-8");
    let reason = status.reason();
    let content = if request.method == "HEAD" {
        Content::Nothing
    } else {
        Content::Text(reason)
    };
    Answer {
        status,
        headers,
        length: BodyLen::Known(reason.len() as u64),
        content,
    }
}

/// Adds a field whose name is a constant and whose value holds no control bytes by construction. A query that
/// was made with the lenient profile could hold others: then the redirect goes without `Location`, which is
/// better than going wrong.
fn put(headers: &mut Headers, name: &str, value: impl AsRef<[u8]>) {
    let _ = headers.append(name, value);
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use alloc::vec::Vec;

    const NOW: UnixTime = UnixTime(1_700_000_000);
    const CHANGED: UnixTime = UnixTime(784_111_777);
    const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const TAG: &str = "W/\"3e8-2ebc98a1-0\"";

    fn meta() -> FileMeta {
        FileMeta::new(1000, Some(CHANGED))
    }

    fn ask(method: &str, target: &str, lines: &[(&str, &str)], found: Found) -> Answer {
        let mut h = Headers::new();
        for (n, v) in lines {
            h.append(n, v).unwrap();
        }
        let (path, query) = match target.split_once('?') {
            Some((p, q)) => (p, Some(q)),
            None => (target, None),
        };
        let request = FileRequest {
            method,
            path,
            query,
            fields: h.as_fields(),
        };
        match Files::DEFAULT.resolve(&request) {
            Ok(path) => Files::DEFAULT.answer(&request, &path, found, NOW),
            Err(answer) => answer,
        }
    }

    /// The answer as text: status, fields, length, content.
    fn wire(a: &Answer) -> String {
        let fields: Vec<String> = a
            .headers
            .iter()
            .map(|f| alloc::format!("{}: {}", f.name.as_str(), f.value.to_str().unwrap()))
            .collect();
        alloc::format!(
            "{} [{}] {:?} {:?}",
            a.status,
            fields.join(", "),
            a.length,
            a.content
        )
    }

    #[test]
    fn a_file() {
        let a = ask("GET", "/d/a.txt", &[], Found::File(meta()));
        assert_eq!(
            wire(&a),
            alloc::format!(
                "200 [Last-Modified: {DATE}, ETag: {TAG}, Accept-Ranges: bytes, \
                 Content-Type: text/plain; charset=utf-8] Known(1000) Bytes {{ start: 0, len: 1000 }}"
            )
        );
        // HEAD declares the same and sends nothing, ranges or not.
        let h = ask("HEAD", "/d/a.txt", &[("Range", "bytes=0-1")], Found::File(meta()));
        assert_eq!(
            (h.status, &h.headers, h.length, h.content),
            (a.status, &a.headers, a.length, Content::Nothing)
        );
    }

    #[test]
    fn ranges() {
        let a = ask("GET", "/a.bin", &[("Range", "bytes=-10")], Found::File(meta()));
        assert_eq!(
            (a.status, a.length, a.content),
            (
                Status::PARTIAL_CONTENT,
                BodyLen::Known(10),
                Content::Bytes { start: 990, len: 10 }
            )
        );
        assert_eq!(a.headers.get_str("Content-Range"), Some("bytes 990-999/1000"));
        assert_eq!(
            a.headers.get_str("Content-Type"),
            Some("application/octet-stream")
        );
        assert_eq!(a.headers.get_str("ETag"), Some(TAG));

        let a = ask("GET", "/a.bin", &[("Range", "bytes=1000-")], Found::File(meta()));
        assert_eq!(a.status, 416);
        assert_eq!(a.headers.get_str("Content-Range"), Some("bytes */1000"));
        assert_eq!(a.content, Content::Text("Range Not Satisfiable"));

        for lines in [
            &[("Range", "bytes=0-1,4-5")][..],
            &[("Range", "bytes=0-1"), ("Range", "bytes=2-3")],
            &[
                ("Range", "bytes=0-1"),
                ("If-Range", "Sun, 06 Nov 1994 08:49:36 GMT"),
            ],
            &[("Range", "bytes=0-1"), ("If-Range", TAG)],
            &[("Range", "bytes=1000-"), ("If-Range", "\"other\"")],
        ] {
            assert_eq!(
                ask("GET", "/a", lines, Found::File(meta())).status,
                200,
                "{lines:?}"
            );
        }
        let a = ask(
            "GET",
            "/a",
            &[("Range", "bytes=0-1"), ("If-Range", DATE)],
            Found::File(meta()),
        );
        assert_eq!(a.status, 206);

        // An empty file has no ranges, and nothing to send.
        let a = ask(
            "GET",
            "/a",
            &[("Range", "bytes=0-1")],
            Found::File(FileMeta::new(0, None)),
        );
        assert_eq!(
            (a.status, a.length, a.content),
            (Status::OK, BodyLen::Known(0), Content::Nothing)
        );
        assert!(!a.headers.contains("ETag") && !a.headers.contains("Last-Modified"));
    }

    #[test]
    fn preconditions_come_before_ranges() {
        let lines = [("Range", "bytes=5000-"), ("If-None-Match", TAG)];
        let a = ask("GET", "/a", &lines, Found::File(meta()));
        assert_eq!(
            wire(&a),
            alloc::format!("304 [Last-Modified: {DATE}, ETag: {TAG}] None Nothing")
        );
        let a = ask(
            "GET",
            "/a",
            &[("Range", "bytes=5000-"), ("If-Match", "\"x\"")],
            Found::File(meta()),
        );
        assert_eq!(a.status, 412);
        assert_eq!(
            ask("GET", "/a", &[("If-Modified-Since", DATE)], Found::File(meta())).status,
            304
        );
        let finer = Found::File(meta().with_nanos(1));
        assert_eq!(ask("GET", "/a", &[("If-None-Match", TAG)], finer).status, 200);
    }

    #[test]
    fn methods() {
        for method in ["POST", "PUT", "DELETE", "OPTIONS", "get", "PROPFIND"] {
            let a = ask(method, "/../a", &[], Found::Missing);
            assert_eq!(a.status, 405, "{method}");
            assert_eq!(a.headers.get_str("Allow"), Some("GET, HEAD"));
        }
    }

    #[test]
    fn redirects_are_relative() {
        let dir = Found::Directory { index: None };
        for (target, found, to) in [
            ("/a/b", dir, "./b/"),
            ("/a/b?x=1&y", dir, "./b/?x=1&y"),
            ("/x:y", dir, "./x%3Ay/"),
            ("//evil.example", dir, "./evil.example/"),
            ("/a%20b", dir, "./a%20b/"),
            ("/a/b.txt/", Found::File(meta()), "../b.txt"),
            ("/a/index.html", Found::File(meta()), "./"),
            ("/index.html?q", Found::File(meta()), "./?q"),
            ("/index.html/", Found::File(meta()), "../index.html"),
        ] {
            let a = ask("GET", target, &[], found);
            assert_eq!(
                (a.status, a.headers.get_str("Location")),
                (Status::MOVED_PERMANENTLY, Some(to)),
                "{target}"
            );
        }
    }

    #[test]
    fn directories() {
        let a = ask("GET", "/d/", &[], Found::Directory { index: Some(meta()) });
        assert_eq!(
            (a.status, a.content),
            (Status::OK, Content::Bytes { start: 0, len: 1000 })
        );
        assert_eq!(
            a.headers.get_str("Content-Type"),
            Some("text/html; charset=utf-8")
        );
        let a = ask("GET", "/", &[], Found::Directory { index: None });
        assert_eq!(
            wire(&a),
            "200 [Content-Type: text/html; charset=utf-8] Unknown Listing"
        );

        let request = FileRequest {
            method: "GET",
            path: "/d/",
            query: None,
            fields: Fields::EMPTY,
        };
        let closed = Files {
            listing: false,
            ..Files::DEFAULT
        };
        let path = closed.resolve(&request).unwrap();
        assert_eq!(
            closed
                .answer(&request, &path, Found::Directory { index: None }, NOW)
                .status,
            404
        );
    }

    #[test]
    fn refusals() {
        for (target, found, status) in [
            ("/a", Found::Missing, 404),
            ("/a", Found::Forbidden, 403),
            ("/a", Found::Failed, 500),
            ("/.git/config", Found::File(meta()), 404),
            ("/../etc/passwd", Found::File(meta()), 400),
            ("/%2e%2e%2fetc/passwd", Found::File(meta()), 400),
            ("/a%00", Found::File(meta()), 400),
            ("*", Found::File(meta()), 400),
        ] {
            let a = ask("GET", target, &[], found);
            assert_eq!(a.status, status, "{target}");
            let Content::Text(t) = a.content else {
                panic!("{target}")
            };
            assert_eq!(a.length, BodyLen::Known(t.len() as u64));
            let h = ask("HEAD", target, &[], found);
            assert_eq!(
                (h.status, h.length, h.content),
                (a.status, a.length, Content::Nothing)
            );
        }
        assert!(PathError::Parent.to_string().contains(".."));
    }
}

//! Files: [`file_body`], and [`ServeDir`], which answers requests for the files of a directory.
//!
//! What a request means (safe paths, types, ranges, conditions, listings) decides
//! [`antiphon_core::server::files`]; here the disk is touched.

use crate::body::Body;
use crate::client::{Next, OutgoingRequest, RoundTrip};
use crate::clock;
use crate::error::Error;
use crate::request::Request;
use crate::response::Response;
use antiphon_core::h1::{BodyLen, ServerConfig};
use antiphon_core::server::files::{Answer, Content, FileMeta, FileRequest, Files, Found};
use antiphon_core::server::listing::{self, Entry};
use antiphon_core::server::path::{RelativePath, is_inside};
use antiphon_core::{Method, Status, UnixTime};
use antiphon_support::FilePlace;
use std::fs::{self, File, Metadata};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::UNIX_EPOCH;

/// How much of a request body is read for politeness: what the machine would discard by itself.
const SMALL: u64 = ServerConfig::DEFAULT.limits.discard;
/// A listing ends after this many entries, so that a huge directory costs no huge page.
const ENTRIES: usize = 10_000;

/// The next `len` bytes of `file`, from where it stands, in constant memory. A file that turns out to be shorter
/// breaks the message off.
///
/// Of what can be sought in, a client can send the same bytes again, as redirects and retries want it: so the place of
/// `file` is this body's, and a duplicate of it that is moved meanwhile spoils it. A pipe is sent once.
pub fn file_body(mut file: File, len: u64) -> Body {
    let Ok(at) = file.stream_position() else {
        return Body::sized_reader(len, file);
    };
    let reader = PartReader {
        file: Arc::new(Mutex::new(Place { file, at })),
        at,
    };
    let again = reader.clone();
    Body::sized_reader(len, reader).made_by(Arc::new(move || Ok(Body::sized_reader(len, again.clone()))))
}

/// Reads a file from a place of its own, though several may share it.
#[derive(Clone)]
struct PartReader {
    file: Arc<Mutex<Place>>,
    at: u64,
}

/// A file, and where it stands.
struct Place {
    file: File,
    at: u64,
}

impl Read for PartReader {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let mut place = crate::lock(&self.file);
        if place.at != self.at {
            // Another one has read meanwhile.
            place.file.seek(SeekFrom::Start(self.at))?;
            place.at = self.at;
        }
        let n = place.file.read(buf)?;
        place.at += n as u64;
        self.at = place.at;
        Ok(n)
    }
}

/// Serves the files below a directory: types by extension, `index.html`, plain listings, HEAD, single ranges,
/// conditional requests.
///
/// Nothing outside of the directory is reachable, be it by `..` or by a symbolic link; listings leave out links
/// that lead outside or nowhere. Only regular files are opened. What is not covered: hard links and mounts count
/// as inside; and a local process that may write in the directory while it is served can, by exchanging
/// directories for links at the right moments, have its names looked at elsewhere. On Unix a file that was opened
/// is compared with what stands at its path afterwards, so that one such exchange discloses no content, but a
/// directory may be listed, and several exchanges that all hit their moment are not noticed. A FIFO that takes a
/// file's place in the instant before it is opened holds up that one request until somebody writes to it.
#[derive(Clone, Debug)]
pub struct ServeDir {
    /// Canonical.
    root: PathBuf,
    files: Files,
}

impl ServeDir {
    /// Serves `root`.
    ///
    /// # Errors
    /// If it does not exist, is no directory, or may not be looked at.
    pub fn new(root: impl AsRef<Path>) -> io::Result<ServeDir> {
        let root = fs::canonicalize(root)?;
        fs::read_dir(&root)?;
        Ok(ServeDir {
            root,
            files: Files::DEFAULT,
        })
    }

    /// How it is served.
    #[must_use]
    pub fn files(mut self, files: Files) -> ServeDir {
        self.files = files;
        self
    }

    /// The response to `request`.
    ///
    /// A file server has no use for a body, but a small one is read all the same: so the connection can be kept
    /// even when the client waits for `100 Continue` before it sends it. A large one is left unread.
    pub fn respond(&self, request: &mut Request) -> Response {
        swallow(request.body_mut());
        self.find(&FileRequest {
            method: request.method(),
            path: request.path(),
            query: request.query(),
            fields: request.headers(),
        })
    }

    fn find(&self, wanted: &FileRequest<'_>) -> Response {
        let path = match self.files.resolve(wanted) {
            Ok(path) => path,
            Err(answer) => return plain(answer),
        };
        let look = look(&self.root, &path, &self.files);
        let answer = self.files.answer(wanted, &path, look.found, clock::unix());
        match (answer.content, look.file) {
            (Content::Bytes { start, len }, Some(mut file)) => match file.seek(SeekFrom::Start(start)) {
                Ok(_) => plain(answer).with_body(Body::sized_reader(len, file)),
                Err(_) => Response::new(Status::INTERNAL_SERVER_ERROR),
            },
            (Content::Listing, _) => {
                let page = listing::render(&path, look.entries, self.files.dotfiles);
                plain(answer).with_body(page)
            }
            _ => plain(answer),
        }
    }
}

/// A handler for the scheme `file`: see [`ClientBuilder::scheme`](crate::ClientBuilder::scheme). The path of the URL is
/// one below the directory, so that `file:///etc/motd` asks for `etc/motd` in it; a host in the URL is refused, but for
/// `localhost` (RFC 8089).
impl RoundTrip for ServeDir {
    fn round_trip(&self, request: OutgoingRequest, _: Next<'_>) -> Result<Response, Error> {
        let place = FilePlace::of(request.url()).map_err(Error::round_trip)?;
        let response = self.find(&FileRequest {
            method: request.method().as_str(),
            path: place.path(),
            query: None,
            fields: request.headers().as_fields(),
        });
        as_received(response, *request.method() == Method::HEAD)
    }
}

/// What a connection would make of it: the length in a field, and no body for HEAD.
fn as_received(mut response: Response, to_head: bool) -> Result<Response, Error> {
    if let BodyLen::Known(len) = response.body().len()
        && !response.headers().contains("content-length")
    {
        response.headers_mut().append("content-length", len.to_string())?;
    }
    Ok(if to_head {
        response.with_body(Body::empty())
    } else {
        response
    })
}

/// Reads a body of at most [`SMALL`] bytes and throws it away.
fn swallow(body: &mut Body) {
    let mut left = match body.len() {
        BodyLen::Known(n) if n > SMALL => return,
        _ => SMALL,
    };
    // An error is the machine's to answer.
    while let Some(Ok(bytes)) = body.chunk() {
        left = left.saturating_sub(bytes.len() as u64);
        if left == 0 {
            return;
        }
    }
}

/// An answer without content from the disk.
fn plain(answer: Answer) -> Response {
    let mut response = Response::new(answer.status);
    *response.headers_mut() = answer.headers;
    match (answer.content, answer.length) {
        (Content::Text(text), _) => response.with_body(text),
        // For HEAD the length is declared, although nothing is sent.
        (Content::Nothing, BodyLen::Known(len)) => response.with_body(Body::declared(len)),
        _ => response,
    }
}

/// What the disk has.
struct Look {
    found: Found,
    file: Option<File>,
    entries: Vec<Entry>,
}

impl Look {
    fn only(found: Found) -> Look {
        Look {
            found,
            file: None,
            entries: Vec::new(),
        }
    }
}

fn look(root: &Path, path: &RelativePath, files: &Files) -> Look {
    match try_look(root, path, files) {
        Ok(look) => look,
        Err(e) => Look::only(failure(&e)),
    }
}

/// What an error of the disk means to the client.
fn failure(e: &io::Error) -> Found {
    match e.kind() {
        io::ErrorKind::PermissionDenied => Found::Forbidden,
        // Too many open files, a broken disk.
        io::ErrorKind::Other | io::ErrorKind::OutOfMemory => Found::Failed,
        _ if matches!(e.raw_os_error(), Some(5 | 23 | 24)) => Found::Failed,
        _ => Found::Missing,
    }
}

fn try_look(root: &Path, path: &RelativePath, files: &Files) -> io::Result<Look> {
    // The text is relative, without `.` and `..`; links are resolved before anything is opened.
    let named = root.join(path.as_str());
    let full = inside(root, &named)?;
    let meta = fs::metadata(&full)?;
    if meta.is_file() {
        let (file, meta) = open(root, &named, full)?;
        return Ok(Look {
            found: Found::File(meta),
            file: Some(file),
            entries: Vec::new(),
        });
    }
    if !meta.is_dir() {
        return Ok(Look::only(Found::Missing));
    }
    if !path.is_directory() {
        return Ok(Look::only(Found::Directory { index: None }));
    }
    let index = full.join(files.index);
    match inside(root, &index).and_then(|full| open(root, &index, full)) {
        Ok((file, meta)) => {
            return Ok(Look {
                found: Found::Directory { index: Some(meta) },
                file: Some(file),
                entries: Vec::new(),
            });
        }
        // An index that is there but cannot be had is not replaced by a listing.
        Err(e) if !matches!(failure(&e), Found::Missing) => return Err(e),
        Err(_) => {}
    }
    let entries = if files.listing {
        list(root, &full)?
    } else {
        Vec::new()
    };
    Ok(Look {
        found: Found::Directory { index: None },
        file: None,
        entries,
    })
}

/// `path` without links, if it lies below `root`.
fn inside(root: &Path, path: &Path) -> io::Result<PathBuf> {
    let path = fs::canonicalize(path)?;
    let bytes = |p: &Path| p.as_os_str().as_encoded_bytes().to_vec();
    if is_inside(bytes(root), bytes(&path)) {
        Ok(path)
    } else {
        Err(io::ErrorKind::NotFound.into())
    }
}

/// Opens the regular file that `path` leads to, below `root`; `full` is where it led when it was resolved.
/// Anything else counts as not there.
fn open(root: &Path, path: &Path, mut full: PathBuf) -> io::Result<(File, FileMeta)> {
    let missing = || io::Error::from(io::ErrorKind::NotFound);
    // A file that is replaced while it is opened is fine, and what stands there then is opened.
    for _ in 0..3 {
        // Opening a FIFO waits for a writer.
        if !fs::symlink_metadata(&full)?.is_file() {
            return Err(missing());
        }
        let file = File::open(&full)?;
        let meta = file.metadata()?;
        if !meta.is_file() {
            return Err(missing());
        }
        // A link may have taken the place of a part of the path in between: what was opened must be what
        // now lies inside.
        full = inside(root, path)?;
        if is_same(&fs::symlink_metadata(&full)?, &meta) {
            return Ok((file, described(&meta)));
        }
    }
    Err(missing())
}

#[cfg(unix)]
fn is_same(a: &Metadata, b: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    (a.dev(), a.ino()) == (b.dev(), b.ino())
}

/// Elsewhere files cannot be told apart, and making a link takes a privilege.
#[cfg(not(unix))]
fn is_same(_: &Metadata, _: &Metadata) -> bool {
    true
}

fn described(meta: &Metadata) -> FileMeta {
    let modified = meta
        .modified()
        .ok()
        .and_then(|t| t.duration_since(UNIX_EPOCH).ok());
    match modified {
        Some(t) => {
            let secs = i64::try_from(t.as_secs()).unwrap_or(i64::MAX);
            FileMeta::new(meta.len(), Some(UnixTime(secs))).with_nanos(t.subsec_nanos())
        }
        None => FileMeta::new(meta.len(), None),
    }
}

fn list(root: &Path, dir: &Path) -> io::Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(dir)?.take(ENTRIES) {
        let entry = entry?;
        // A name that is no text cannot be linked to.
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        // Of what a link leads to, if that may be seen; what is gone meanwhile is left out, too.
        let meta = match entry.file_type() {
            Ok(kind) if kind.is_symlink() => inside(root, &entry.path()).and_then(fs::symlink_metadata),
            _ => entry.metadata(),
        };
        let Ok(meta) = meta else { continue };
        let len = meta.is_file().then_some(meta.len());
        entries.push(Entry {
            name,
            is_dir: meta.is_dir(),
            len,
        });
    }
    Ok(entries)
}

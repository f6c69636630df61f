//! Files: bodies that stream from disk in constant memory, and [`ServeDir`], which answers requests for the
//! files of a directory.
//!
//! What a request means (safe paths, types, ranges, conditions, listings) decides
//! [`antiphon_core::server::files`]; the disk is touched here, where it holds up no other task.

use crate::body::Chunks;
use crate::runtime::Runtime;
use crate::{Body, BoxError, Error, Next, OutgoingRequest, Request, Response, ResponseFuture, RoundTrip};
use antiphon_core::h1::{BodyLen, ServerConfig};
use antiphon_core::server::files::{Answer, Content, FileMeta, FileRequest, Files, Found};
use antiphon_core::server::listing::{self, Entry};
use antiphon_core::server::path::{RelativePath, is_inside};
use antiphon_core::{Method, UnixTime};
use antiphon_support::FilePlace;
use bytes::{Bytes, BytesMut};
use std::fmt;
use std::fs::{self, File, Metadata};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::UNIX_EPOCH;

/// How much is read at a time, and all that a streaming file holds in memory.
const BLOCK: usize = 64 * 1024;
/// How much of a request body is read for politeness: what the machine would discard by itself.
const SMALL: u64 = ServerConfig::DEFAULT.limits.discard;
/// A listing ends after this many entries, so that a huge directory costs no huge page.
const ENTRIES: usize = 10_000;

impl Body {
    /// The next `len` bytes of `file`, from where it stands, read in blocks of 64 KiB. A file that turns out
    /// to be shorter breaks the message off.
    ///
    /// Of what can be sought in, the same bytes can be sent again, as redirects and retries want it: so the place of
    /// `file` is this body's, and a duplicate of it that is moved meanwhile spoils it. A pipe is sent once.
    pub fn from_file<R: Runtime>(runtime: &R, mut file: File, len: u64) -> Body {
        // Asking where it stands touches no disk.
        let Ok(at) = file.stream_position() else {
            return Body::from_file_once(runtime, file, 0, len);
        };
        let (runtime, file) = (runtime.clone(), Arc::new(Mutex::new(Place { file, at })));
        let make = move || {
            let chunks = FileChunks::new(&runtime, file.clone(), at, len);
            Body::streaming(Box::pin(chunks), BodyLen::Known(len))
        };
        let body = make();
        body.made_by(Arc::new(move || Ok(make())))
    }

    /// The same, to be sent once.
    fn from_file_once<R: Runtime>(runtime: &R, file: File, at: u64, len: u64) -> Body {
        let file = Arc::new(Mutex::new(Place { file, at }));
        Body::streaming(
            Box::pin(FileChunks::new(runtime, file, at, len)),
            BodyLen::Known(len),
        )
    }
}

/// Some bytes of a file. Each reads from its own place, though several may share the file.
struct FileChunks<R> {
    runtime: R,
    file: Arc<Mutex<Place>>,
    at: u64,
    left: u64,
    /// Under way, on the runtime's threads.
    reading: Option<Reading>,
}

/// Outside, whether the threads did it; inside, what the file gave.
type Reading = Pin<Box<dyn Future<Output = io::Result<io::Result<Bytes>>> + Send>>;

/// A file, and where it stands.
struct Place {
    file: File,
    at: u64,
}

impl<R: Runtime> FileChunks<R> {
    fn new(runtime: &R, file: Arc<Mutex<Place>>, at: u64, len: u64) -> FileChunks<R> {
        FileChunks {
            runtime: runtime.clone(),
            file,
            at,
            left: len,
            reading: None,
        }
    }
}

impl<R: Runtime> Chunks for FileChunks<R> {
    fn poll_chunk(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BoxError>>> {
        let this = self.get_mut();
        if this.left == 0 {
            return Poll::Ready(None);
        }
        let reading = match &mut this.reading {
            Some(reading) => reading,
            none => {
                let most = this.left.min(BLOCK as u64) as usize;
                let (file, at) = (this.file.clone(), this.at);
                none.insert(Box::pin(
                    this.runtime.unblock(move || read_block(&file, at, most)),
                ))
            }
        };
        let read = ready!(reading.as_mut().poll(cx));
        this.reading = None;
        let block = match read.and_then(|block| block) {
            Ok(block) => block,
            Err(error) => {
                this.left = 0;
                return Poll::Ready(Some(Err(error.into())));
            }
        };
        this.at += block.len() as u64;
        this.left -= block.len() as u64;
        Poll::Ready(Some(Ok(block)))
    }
}

/// Reads between 1 and `most` bytes from this place.
fn read_block(file: &Mutex<Place>, at: u64, most: usize) -> io::Result<Bytes> {
    let mut block = BytesMut::zeroed(most);
    let mut place = file.lock().unwrap_or_else(PoisonError::into_inner);
    if place.at != at {
        // Another one has read meanwhile.
        place.file.seek(SeekFrom::Start(at))?;
        place.at = at;
    }
    let n = loop {
        match place.file.read(&mut block) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => break read?,
        }
    };
    place.at += n as u64;
    drop(place);
    block.truncate(n);
    Ok(block.freeze())
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
pub struct ServeDir<R> {
    runtime: R,
    /// Canonical.
    root: Arc<Path>,
    files: Files,
}

impl<R: Runtime + Default> ServeDir<R> {
    /// Serves `root`.
    ///
    /// # Errors
    /// If it does not exist, is no directory, or may not be looked at.
    pub fn new(root: impl AsRef<Path>) -> io::Result<ServeDir<R>> {
        ServeDir::with_runtime(R::default(), root)
    }
}

impl<R: Runtime> ServeDir<R> {
    /// Serves `root` on this runtime.
    ///
    /// # Errors
    /// As [`new`](ServeDir::new).
    pub fn with_runtime(runtime: R, root: impl AsRef<Path>) -> io::Result<ServeDir<R>> {
        let root: PathBuf = fs::canonicalize(root)?;
        fs::read_dir(&root)?;
        Ok(ServeDir {
            runtime,
            root: root.into(),
            files: Files::DEFAULT,
        })
    }

    /// How it is served.
    pub fn files(mut self, files: Files) -> Self {
        self.files = files;
        self
    }

    /// The response to `request`.
    ///
    /// A file server has no use for a body, but a small one is read all the same: so the connection can be kept
    /// even when the client waits for `100 Continue` before it sends it. A large one is left unread.
    ///
    /// # Cancel safety
    /// Dropping the future leaves nothing behind but perhaps a look at the disk under way.
    pub async fn respond(&self, request: &mut Request) -> Response {
        swallow(request.body_mut()).await;
        self.find(&FileRequest {
            method: request.method(),
            path: request.path(),
            query: request.query(),
            fields: request.headers(),
        })
        .await
    }

    async fn find(&self, wanted: &FileRequest<'_>) -> Response {
        let path = match self.files.resolve(wanted) {
            Ok(path) => path,
            Err(answer) => return plain(answer),
        };
        let (root, files) = (self.root.clone(), self.files);
        let (path, found) = {
            let (path, looked) = (path.clone(), path);
            let look = self.runtime.unblock(move || look(&root, &looked, &files));
            (
                path,
                look.await.unwrap_or(Look {
                    found: Found::Failed,
                    file: None,
                    entries: Vec::new(),
                }),
            )
        };
        let unix = i64::try_from(self.runtime.unix_time().as_secs()).unwrap_or(i64::MAX);
        let answer = self.files.answer(wanted, &path, found.found, UnixTime(unix));
        match (answer.content, found.file) {
            (Content::Bytes { start, len }, Some(mut file)) => {
                // Seeking touches no disk.
                let seeked = if start == 0 {
                    Ok(0)
                } else {
                    file.seek(SeekFrom::Start(start))
                };
                match seeked {
                    Ok(_) => plain(answer).with_body(Body::from_file_once(&self.runtime, file, start, len)),
                    Err(_) => Response::new(antiphon_core::Status::INTERNAL_SERVER_ERROR),
                }
            }
            (Content::Listing, _) => {
                let page = listing::render(&path, found.entries, self.files.dotfiles);
                plain(answer).with_body(page)
            }
            _ => plain(answer),
        }
    }
}

/// A handler for the scheme `file`: see [`ClientBuilder::scheme`](crate::ClientBuilder::scheme). The path of the URL is
/// one below the directory, so that `file:///etc/motd` asks for `etc/motd` in it; a host in the URL is refused, but for
/// `localhost` (RFC 8089).
impl<R: Runtime> RoundTrip for ServeDir<R> {
    fn round_trip<'a>(&'a self, request: OutgoingRequest, _: Next<'a>) -> ResponseFuture<'a> {
        Box::pin(async move {
            let place = FilePlace::of(request.url()).map_err(Error::round_trip)?;
            let wanted = FileRequest {
                method: request.method().as_str(),
                path: place.path(),
                query: None,
                fields: request.headers().as_fields(),
            };
            as_received(self.find(&wanted).await, *request.method() == Method::HEAD)
        })
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
async fn swallow(body: &mut Body) {
    let mut left = match body.len() {
        BodyLen::Known(n) if n > SMALL => return,
        _ => SMALL,
    };
    // An error is the machine's to answer.
    while let Some(Ok(bytes)) = body.chunk().await {
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

impl<R> fmt::Debug for ServeDir<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServeDir")
            .field("root", &self.root)
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    /// A directory of its own, removed at the end.
    struct Dir(PathBuf);

    impl Drop for Dir {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn links_that_lead_outside_are_neither_listed_nor_opened() {
        let dir = Dir(std::env::temp_dir().join(format!("antiphon-driver-links-{}", std::process::id())));
        fs::create_dir_all(dir.0.join("root/sub")).unwrap();
        fs::write(dir.0.join("secret"), "secret").unwrap();
        fs::write(dir.0.join("root/a.txt"), "0123456789").unwrap();
        let root = fs::canonicalize(dir.0.join("root")).unwrap();
        for (to, name) in [
            ("../secret", "out"),
            ("..", "up"),
            ("nothing", "dead"),
            ("loop", "loop"),
            ("a.txt", "in"),
            ("sub", "below"),
        ] {
            symlink(to, root.join(name)).unwrap();
        }
        let _socket = std::os::unix::net::UnixListener::bind(root.join("socket")).unwrap();
        let mut listed = list(&root, &root).unwrap();
        listed.sort_by(|a, b| a.name.cmp(&b.name));
        let listed: Vec<_> = listed.iter().map(|e| (&*e.name, e.is_dir, e.len)).collect();
        assert_eq!(
            listed,
            [
                ("a.txt", false, Some(10)),
                ("below", true, None),
                ("in", false, Some(10)),
                ("socket", false, None),
                ("sub", true, None),
            ]
        );
        let open = |name| {
            let path = root.join(name);
            inside(&root, &path).and_then(|full| open(&root, &path, full))
        };
        for name in ["a.txt", "in"] {
            let (mut file, _) = open(name).unwrap();
            let mut text = String::new();
            file.read_to_string(&mut text).unwrap();
            assert_eq!(text, "0123456789", "{name}");
        }
        for name in ["out", "up/secret", "dead", "loop", "below", "socket", "none"] {
            let error = open(name).unwrap_err();
            assert!(matches!(failure(&error), Found::Missing), "{name}: {error}");
        }
        // What a link led to in between is not what lies inside now: that is opened instead.
        let (mut file, meta) = super::open(&root, &root.join("in"), dir.0.join("secret")).unwrap();
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        assert_eq!((&*text, meta.len), ("0123456789", 10));
        let other = fs::metadata(dir.0.join("secret")).unwrap();
        assert!(!is_same(&fs::metadata(root.join("a.txt")).unwrap(), &other));
        assert!(is_same(
            &fs::metadata(root.join("in")).unwrap(),
            &fs::metadata(root.join("a.txt")).unwrap()
        ));
    }
}

//! Serving a directory, and bodies from files.

use super::{Outcome, Raw, against_server, builder, pattern, start};
use crate::rt::{self, BodyLen, Client, Request, ServeDir, Status};
use std::fs::{self, File};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A directory of this test's own, removed at the end.
struct Dir(PathBuf);

impl Dir {
    fn new() -> Dir {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let name = format!(
            "antiphon-{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let dir = std::env::temp_dir().join(name);
        fs::create_dir_all(dir.join("root/sub")).expect("a directory");
        fs::write(dir.join("secret"), "secret").expect("written");
        fs::write(dir.join("root/a.txt"), "hello file").expect("written");
        fs::write(dir.join("root/sub/index.html"), "<p>index").expect("written");
        fs::write(dir.join("root/large"), pattern(5_000_000)).expect("written");
        #[cfg(unix)]
        std::os::unix::fs::symlink("../secret", dir.join("root/link")).expect("a link");
        Dir(dir)
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

type Answer = std::pin::Pin<Box<dyn Future<Output = Outcome> + Send>>;

fn handler(dir: &Dir) -> impl Fn(Request) -> Answer + Send + Sync + use<> {
    let files = Arc::new(ServeDir::new(dir.0.join("root")).expect("a directory"));
    move |mut request| {
        let files = files.clone();
        Box::pin(async move { Ok(files.respond(&mut request).await) })
    }
}

#[test]
fn a_directory_is_served_and_nothing_else() {
    let dir = Dir::new();
    let handler = handler(&dir);
    against_server(builder(), handler, |addr| {
        let mut peer = Raw::connect(addr);
        let mut get = |request: &str| {
            peer.send(format!("{request} HTTP/1.1\r\nHost: h\r\n\r\n"));
            peer.response()
        };
        let (head, body) = get("GET /a.txt");
        assert!(
            head.starts_with("HTTP/1.1 200 ") && head.to_lowercase().contains("content-type: text/plain"),
            "{head}"
        );
        assert_eq!(body, "hello file");
        assert_eq!(get("GET /sub/").1, "<p>index");
        assert!(get("GET /sub").0.starts_with("HTTP/1.1 301 "));
        let (_, listing) = get("GET /");
        assert!(
            listing.contains("a.txt") && listing.contains("sub/") && !listing.contains("secret"),
            "{listing}"
        );
        for escape in [
            "/../secret",
            "/%2e%2e/secret",
            "/sub/../../secret",
            "/..%2fsecret",
            "/link",
            "/nothing",
        ] {
            let (head, body) = get(&format!("GET {escape}"));
            assert!(head.starts_with("HTTP/1.1 40"), "{escape}: {head}");
            assert!(!body.contains("secret"), "{escape}");
        }
        let (head, _) = get("PUT /a.txt");
        assert!(
            head.starts_with("HTTP/1.1 405 ") && head.contains("Allow: GET, HEAD"),
            "{head}"
        );
        // What `curl -T` sends: the connection is kept.
        let mut peer = Raw::connect(addr);
        peer.send("PUT /a.txt HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");
        assert!(peer.until("\r\n\r\n").starts_with("HTTP/1.1 100 "));
        peer.send("new");
        assert!(peer.response().0.starts_with("HTTP/1.1 405 "));
        peer.send("GET /a.txt HTTP/1.1\r\nHost: h\r\nRange: bytes=6-\r\n\r\n");
        let (head, body) = peer.response();
        assert!(head.starts_with("HTTP/1.1 206 "), "{head}");
        assert_eq!(body, "file");
        peer.send("HEAD /a.txt HTTP/1.1\r\nHost: h\r\n\r\nGET /a.txt HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
        let both = peer.rest().to_lowercase();
        assert_eq!(both.matches("content-length: 10\r\n").count(), 2, "{both}");
        assert_eq!(both.matches("hello file").count(), 1, "{both}");
    });
}

#[test]
fn large_files_are_streamed_both_ways() {
    let dir = Dir::new();
    rt::block_on(async {
        let expected = pattern(5_000_000);
        let server = start(builder(), handler(&dir));
        let client = Client::new();
        for range in [0..5_000_000, 1_234_567..4_000_000] {
            let value = format!("bytes={}-{}", range.start, range.end - 1);
            let mut response = client
                .get(server.url("/large"))
                .header("range", value)
                .send()
                .await
                .expect("a response");
            assert_eq!(response.status(), Status::PARTIAL_CONTENT);
            assert_eq!(response.body().len(), BodyLen::Known(range.len() as u64));
            assert!(response.bytes(10_000_000).await.expect("the file") == expected[range]);
        }
        drop(server);

        let counting = start(builder(), |mut request: Request| async move {
            let mut sum = 0;
            while let Some(chunk) = request.body_mut().chunk().await {
                sum += chunk?.len();
            }
            super::ok(format!("{sum}"))
        });
        let open = || File::open(dir.0.join("root/large")).expect("the file");
        let upload = client
            .put(counting.url("/"))
            .body(rt::file_body(open(), 5_000_000));
        assert_eq!(
            upload
                .send()
                .await
                .expect("a response")
                .text(10)
                .await
                .expect("text"),
            "5000000"
        );
        // A file that shrank: the request is broken off, not padded.
        let upload = client
            .put(counting.url("/"))
            .body(rt::file_body(open(), 5_000_001));
        assert_eq!(
            upload.send().await.expect_err("too short").kind(),
            rt::ErrorKind::Body
        );
    });
}

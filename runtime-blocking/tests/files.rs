//! `ServeDir` over HTTP: types, ranges, HEAD, conditions, methods, and what must not be reachable.

mod common;

use antiphon_blocking::{Client, RedirectPolicy, Response, ServeDir};
use common::*;
use std::fs;
use std::io::Read;
use std::path::PathBuf;

/// A directory that goes when the test ends.
struct Dir(PathBuf);

impl Dir {
    fn new(name: &str) -> Dir {
        let path = std::env::temp_dir().join(format!("antiphon-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(path.join("www/sub")).unwrap();
        fs::write(path.join("secret.txt"), "secret").unwrap();
        fs::write(path.join("www/a.txt"), "0123456789").unwrap();
        fs::write(path.join("www/empty"), "").unwrap();
        fs::write(path.join("www/sub/index.html"), "<p>index</p>").unwrap();
        Dir(path)
    }

    fn serve(&self) -> Running {
        let files = ServeDir::new(self.0.join("www")).unwrap();
        Running::new(move |mut request| Ok(files.respond(&mut request)))
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn field<'a>(response: &'a Response, name: &str) -> &'a str {
    response
        .header(name)
        .map_or("-", |v| std::str::from_utf8(v).unwrap())
}

#[test]
fn files_and_their_parts() {
    let dir = Dir::new("files");
    let server = dir.serve();
    let client = Client::builder().redirects(RedirectPolicy::None).build();
    let url = server.url("/a.txt");
    let mut whole = client.get(&url).send().unwrap();
    assert_eq!(
        (whole.status().code(), field(&whole, "content-length")),
        (200, "10")
    );
    assert_eq!(field(&whole, "content-type"), "text/plain; charset=utf-8");
    assert_eq!(whole.text(100).unwrap(), "0123456789");
    let changed = field(&whole, "last-modified").to_owned();

    let head = client.head(&url).send().unwrap();
    assert_eq!(
        (head.status().code(), field(&head, "content-length")),
        (200, "10")
    );

    for (range, part, content_range) in [
        ("bytes=0-0", "0", "bytes 0-0/10"),
        ("bytes=3-5", "345", "bytes 3-5/10"),
        ("bytes=8-", "89", "bytes 8-9/10"),
        ("bytes=-4", "6789", "bytes 6-9/10"),
    ] {
        let mut r = client.get(&url).header("range", range).send().unwrap();
        assert_eq!(
            (r.status().code(), field(&r, "content-range")),
            (206, content_range)
        );
        assert_eq!(r.text(100).unwrap(), part);
    }
    let r = client.get(&url).header("range", "bytes=10-").send().unwrap();
    assert_eq!(
        (r.status().code(), field(&r, "content-range")),
        (416, "bytes */10")
    );
    drop(r);

    let r = client
        .get(&url)
        .header("if-modified-since", &changed)
        .send()
        .unwrap();
    assert_eq!(r.status(), 304);

    let mut r = client.get(server.url("/empty")).send().unwrap();
    assert_eq!(field(&r, "content-length"), "0");
    assert_eq!(r.text(9).unwrap(), "");
    let mut r = client.get(server.url("/sub/")).send().unwrap();
    assert_eq!(field(&r, "content-type"), "text/html; charset=utf-8");
    assert_eq!(r.text(100).unwrap(), "<p>index</p>");
    let r = client.get(server.url("/sub")).send().unwrap();
    assert_eq!((r.status().code(), field(&r, "location")), (301, "./sub/"));
    drop(r);
    let mut r = client.get(server.url("/")).send().unwrap();
    let page = r.text(10_000).unwrap();
    assert!(page.contains("a.txt") && page.contains("sub/"), "{page}");
    assert_eq!(client.get(server.url("/none")).send().unwrap().status(), 404);

    // All that on one connection, uploads that are refused included.
    let r = client.put(&url).body(vec![0; 100_000]).send().unwrap();
    assert_eq!((r.status().code(), field(&r, "allow")), (405, "GET, HEAD"));
    drop(r);
    assert!(client.get(&url).send().unwrap().reused());
    assert_eq!(server.handle.connections(), 1);
}

#[test]
fn nothing_outside_is_reachable() {
    let dir = Dir::new("outside");
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(dir.0.join("secret.txt"), dir.0.join("www/link.txt")).unwrap();
        std::os::unix::fs::symlink(&dir.0, dir.0.join("www/up")).unwrap();
        std::os::unix::fs::symlink("a.txt", dir.0.join("www/inside.txt")).unwrap();
        std::os::unix::fs::symlink("nothing", dir.0.join("www/dead.txt")).unwrap();
    }
    let server = dir.serve();
    for path in [
        "/../secret.txt",
        "/%2e%2e/secret.txt",
        "/sub/../../secret.txt",
        "/..%2fsecret.txt",
        "/%2e%2e%2fsecret.txt",
        "/link.txt",
        "/up/secret.txt",
        "//../secret.txt",
        "/sub/%00",
    ] {
        let mut s = server.connect();
        send(
            &mut s,
            &format!("GET {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"),
        );
        let all = read_all(&mut s);
        assert!(all.starts_with("HTTP/1.1 4"), "{path}: {all}");
        assert!(!all.contains("\r\n\r\nsecret"), "{path}: {all}");
    }
    #[cfg(unix)]
    assert_eq!(
        Client::new()
            .get(server.url("/inside.txt"))
            .send()
            .unwrap()
            .text(99)
            .unwrap(),
        "0123456789"
    );
    // Nor does a listing tell that there is anything, or how large it is.
    let page = Client::new()
        .get(server.url("/"))
        .send()
        .unwrap()
        .text(10_000)
        .unwrap();
    for name in ["link.txt", "up", "dead.txt"] {
        assert!(!page.contains(&format!("\"{name}")), "{name}: {page}");
        assert!(!page.contains(&format!("./{name}")), "{name}: {page}");
    }
    #[cfg(unix)]
    assert!(page.contains("inside.txt"), "{page}");
}

/// Opening it would wait for somebody who writes.
#[cfg(unix)]
#[test]
fn a_fifo_is_no_file() {
    let dir = Dir::new("fifo");
    for name in ["www/fifo", "www/empty-dir/index.html"] {
        let path = dir.0.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let made = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
        assert!(made.success());
    }
    let server = dir.serve();
    let get = |path| {
        let request = Client::new().get(server.url(path));
        request.timeout(LIMIT).send().unwrap().status().code()
    };
    assert_eq!(get("/fifo"), 404);
    // Instead of such an index there is a listing.
    assert_eq!(get("/empty-dir/"), 200);
}

#[test]
fn a_large_sparse_file_is_streamed() {
    let dir = Dir::new("sparse");
    const SIZE: u64 = 64 << 20;
    fs::File::create(dir.0.join("www/sparse"))
        .unwrap()
        .set_len(SIZE)
        .unwrap();
    let server = dir.serve();
    let mut response = Client::new().get(server.url("/sparse")).send().unwrap();
    let (mut total, mut piece) = (0, vec![0; 1 << 16]);
    loop {
        match response.body_mut().read(&mut piece).unwrap() {
            0 => break,
            n => total += n as u64,
        }
    }
    assert_eq!(total, SIZE);
}

#[test]
fn a_small_upload_is_refused_and_its_connection_kept() {
    let dir = Dir::new("upload");
    let server = dir.serve();
    let mut s = server.connect();
    // What `curl -T` sends.
    send(
        &mut s,
        "PUT /new HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n",
    );
    assert!(read_until(&mut s, "\r\n\r\n").starts_with("HTTP/1.1 100 "));
    send(&mut s, "new");
    assert!(read_response(&mut s).0.starts_with("HTTP/1.1 405 "));
    send(&mut s, "GET /none HTTP/1.1\r\nHost: h\r\n\r\n");
    assert!(read_response(&mut s).0.starts_with("HTTP/1.1 404 "));
}

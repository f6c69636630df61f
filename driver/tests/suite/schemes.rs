//! URL schemes that are answered without the network, `file` above all.

use super::script;
use crate::rt::{self, Client, ErrorKind, Next, OutgoingRequest, Response, ResponseFuture, ServeDir, Status};
use std::fs;
use std::path::PathBuf;

const HI: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";

/// A directory that is removed in the end: `tea.txt`, `sub/`, and beside it a file that is not in it.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Place {
        let outer = std::env::temp_dir().join(format!("antiphon-{name}-{}", std::process::id()));
        fs::create_dir_all(outer.join("root/sub")).expect("a directory");
        fs::write(outer.join("root/tea.txt"), "Assam").expect("a file");
        fs::write(outer.join("secret.txt"), "xyzzy").expect("a file");
        Place(outer)
    }

    fn files(&self) -> ServeDir {
        ServeDir::new(self.0.join("root")).expect("a directory")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn j4_files_below_a_directory() {
    let place = Place::new("schemes-files");
    #[cfg(unix)]
    std::os::unix::fs::symlink("../secret.txt", place.0.join("root/link.txt")).expect("a link");
    rt::block_on(async {
        let client = Client::builder().scheme("file", place.files()).build();
        let mut response = client.get("file:///tea.txt").send().await.expect("a response");
        assert_eq!(response.status(), Status::OK);
        let field = |name| response.headers().get_str(name).map(str::to_string);
        assert_eq!(field("content-length").as_deref(), Some("5"));
        assert!(field("content-type").expect("a type").starts_with("text/plain"));
        assert!(field("last-modified").expect("a time").ends_with(" GMT"));
        assert_eq!(response.text(10).await.expect("text"), "Assam");

        let mut head = client
            .head("FILE://localhost/tea.txt")
            .send()
            .await
            .expect("a response");
        assert_eq!(head.headers().get_str("content-length"), Some("5"));
        assert_eq!(head.text(10).await.expect("text"), "");

        let range = client.get("file:/tea.txt").header("range", "bytes=1-2");
        let mut part = range.send().await.expect("a response");
        assert_eq!(part.status().code(), 206);
        assert_eq!(part.text(10).await.expect("text"), "ss");

        for (url, status) in [
            ("file:///none.txt", 404),
            // Neither by dots, nor coded ones, nor by a link.
            ("file:///../secret.txt", 404),
            ("file:///sub/../../secret.txt", 404),
            ("file:///%2e%2e/secret.txt", 404),
            ("file:///..%2fsecret.txt", 404),
            ("file:///link.txt", 404),
        ] {
            let mut response = client.get(url).send().await.expect("a response");
            let code = response.status().code();
            assert!(code == status || code == 400, "{url}: {code}");
            assert!(
                !response.text(1000).await.expect("text").contains("xyzzy"),
                "{url}"
            );
        }
        let post = client
            .post("file:///tea.txt")
            .body("x")
            .send()
            .await
            .expect("a response");
        assert_eq!(post.status().code(), 405);
        let error = client.get("file://elsewhere/tea.txt").send().await;
        assert_eq!(error.expect_err("another machine").kind(), ErrorKind::RoundTrip);
        assert_eq!(client.pool_stats().counters.dials, 0);
    });
}

#[test]
fn j4_no_redirect_of_the_network_leads_to_a_handler() {
    let place = Place::new("schemes-redirect");
    let to = |url: &str| format!("HTTP/1.1 302 Found\r\nLocation: {url}\r\nContent-Length: 0\r\n\r\n");
    let (addr, thread) = script([to("file:///tea.txt"), to("FILE:/tea.txt")]);
    rt::block_on(async {
        let client = Client::builder().scheme("file", place.files()).build();
        for _ in 0..2 {
            let error = client.get(format!("http://{addr}/")).send().await;
            let error = error.expect_err("it is refused");
            assert_eq!(error.kind(), ErrorKind::Redirect);
        }
    });
    thread.join().expect("the server");
}

/// A scheme that is another name for `http`.
fn alias<'a>(request: OutgoingRequest, next: Next<'a>) -> ResponseFuture<'a> {
    Box::pin(async move {
        let mut request = request;
        match request.url().strip_prefix("tea://") {
            Some("pot") => Ok(Response::new(Status::OK).with_body("short and stout")),
            Some(rest) => {
                let url = format!("http://{rest}");
                request.set_url(url);
                next.run(request).await
            }
            None => next.run(request).await,
        }
    })
}

#[test]
fn j4_schemes_of_ones_own_and_unknown_ones() {
    let (addr, thread) = script([HI]);
    rt::block_on(async {
        let client = Client::builder().scheme("Tea", alias).build();
        let mut response = client.get("tea://pot").send().await.expect("a response");
        assert_eq!(response.text(20).await.expect("text"), "short and stout");
        let mut response = client
            .get(format!("tea://{addr}/"))
            .send()
            .await
            .expect("a response");
        assert_eq!(response.text(20).await.expect("text"), "hi");
        // What is next to a handler is the network, which does not speak it.
        for url in ["TEA://x/", "coffee://x/", "file:///etc/motd"] {
            let error = client.get(url).send().await.expect_err("unknown");
            assert_eq!(error.kind(), ErrorKind::InvalidUrl, "{url}");
        }
    });
    thread.join().expect("the server");
}

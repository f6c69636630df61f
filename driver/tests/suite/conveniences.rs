//! What makes requests and responses handy: forms, JSON, statuses as errors, bodies read to their ends.

use super::{Asked, Chunks, lines, raw_server, script};
use crate::rt::{
    self, Body, Boundary, Client, ErrorKind, Headers, Multipart, Part, RedirectPolicy, Response, Status,
};
use bytes::Bytes;
use std::error::Error as _;
use std::io::{self, Write};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";

fn answer(status: &str, fields: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\n{fields}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn stream(
    texts: &'static [&'static str],
) -> impl futures_core::Stream<Item = Result<Bytes, rt::Error>> + Send {
    Chunks(texts.iter().map(|t| Ok(Bytes::from_static(t.as_bytes()))))
}

/// The value of a field of a request, and its body.
fn field<'a>((_, request): &'a Asked, name: &str) -> Option<&'a str> {
    let head = request.split("\r\n\r\n").next().expect("a head");
    let line = |l: &'a str| l.split_once(": ").filter(|(n, _)| n.eq_ignore_ascii_case(name));
    head.lines().find_map(line).map(|(_, value)| value)
}

fn body((_, request): &Asked) -> &str {
    request.split_once("\r\n\r\n").expect("a head").1
}

/// Takes a multipart body apart (RFC 2046, section 5.1.1): the head of each part, and its content.
fn parts<'a>(content_type: &str, body: &'a str) -> Vec<(&'a str, &'a str)> {
    let boundary = content_type
        .strip_prefix("multipart/form-data; boundary=")
        .expect("a boundary");
    let (first, delimiter) = (format!("--{boundary}\r\n"), format!("\r\n--{boundary}"));
    let mut rest = body.strip_prefix(&first).expect("begins with the boundary");
    let mut parts = Vec::new();
    loop {
        let end = rest.find(&delimiter).expect("a boundary behind each part");
        parts.push(rest[..end].split_once("\r\n\r\n").expect("a head"));
        match &rest[end + delimiter.len()..] {
            "--\r\n" => return parts,
            next => rest = next.strip_prefix("\r\n").expect("a line of its own"),
        }
    }
}

#[test]
fn a_form_is_encoded_and_says_so() {
    let (addr, thread) = script([OK; 5]);
    rt::block_on(async {
        let mut defaults = Headers::new();
        defaults.append("content-type", "of/the-client").expect("a field");
        let client = Client::builder().default_headers(defaults).build();
        let post = || client.post(format!("http://{addr}/"));
        let pairs = [("q", "fish & chips"), ("\u{e9}", "1"), ("q", "")];
        for request in [
            post().form(pairs),
            post().header("Content-Type", "own/1").form(pairs),
            post().form(pairs).header("Content-Type", "own/2"),
            post().form(pairs).body("text"),
            post().form([] as [(&str, &str); 0]),
        ] {
            request.send().await.expect("a response");
        }
    });
    let asked = thread.join().expect("the server");
    let urlencoded = Some("application/x-www-form-urlencoded");
    let pairs = "q=fish+%26+chips&%C3%A9=1&q=";
    let told: Vec<_> = asked
        .iter()
        .map(|a| (field(a, "content-type"), body(a)))
        .collect();
    assert_eq!(
        told,
        [
            (urlencoded, pairs),
            (Some("own/1"), pairs),
            (Some("own/2"), pairs),
            (Some("of/the-client"), "text"),
            (urlencoded, ""),
        ]
    );
}

#[test]
fn a_form_with_files_reads_back_and_is_sent_again() {
    let path = std::env::temp_dir().join(format!("antiphon-multipart-{}", std::process::id()));
    let content = "line\r\n--antiphon-\r\n".repeat(10_000);
    std::fs::write(&path, &content).expect("a file");
    let form = || {
        let file = std::fs::File::open(&path).expect("the file");
        let again = Body::repeatable(|| Ok(Body::sized(4, stream(&["ab", "cd"])))).expect("a body");
        Multipart::new()
            .text("title", "A \u{e9} tale")
            .part(
                "file",
                Part::body(rt::file_body(file, content.len() as u64))
                    .file_name("a \"b\".txt")
                    .content_type("text/x-tale"),
            )
            .part("empty", Part::bytes(""))
            .part("stream", Part::body(again).header("X-More", "1"))
    };
    let (addr, thread) = script(["HTTP/1.1 307 T\r\nLocation: /b\r\nContent-Length: 0\r\n\r\n", OK]);
    rt::block_on(async {
        let request = Client::new().post(format!("http://{addr}/a")).multipart(form());
        request.send().await.expect("a response");
    });
    let asked = thread.join().expect("the server");
    assert_eq!(lines(&asked), [(0, "POST /a"), (0, "POST /b")]);
    for request in &asked {
        let told = field(request, "content-length").expect("the length is known");
        assert_eq!(told, body(request).len().to_string());
        let content_type = field(request, "content-type").expect("a type");
        let disposition = |name: &str| format!("Content-Disposition: form-data; name=\"{name}\"");
        let heads = [
            disposition("title"),
            disposition("file") + "; filename=\"a %22b%22.txt\"\r\nContent-Type: text/x-tale",
            disposition("empty"),
            disposition("stream") + "\r\nX-More: 1",
        ];
        let contents = ["A \u{e9} tale", &content, "", "abcd"];
        let expected: Vec<_> = heads.iter().map(String::as_str).zip(contents).collect();
        assert_eq!(parts(content_type, body(request)), expected);
    }
    assert_eq!(body(&asked[0]), body(&asked[1]));
    std::fs::remove_file(&path).expect("removed");
}

#[test]
fn a_form_with_a_stream_is_chunked_and_sent_once() {
    let moved = "HTTP/1.1 307 T\r\nLocation: /b\r\nContent-Length: 0\r\n\r\n";
    let (addr, thread) = script([moved]);
    rt::block_on(async {
        let form = Multipart::with_boundary(Boundary::new("edge").expect("a boundary"))
            .text("a", "1")
            .part("b", Part::body(Body::from_stream(stream(&["x", "", "yz"]))));
        let request = Client::new().post(format!("http://{addr}/")).multipart(form);
        let response = request.send().await.expect("a response");
        assert_eq!(response.status(), Status::TEMPORARY_REDIRECT);
    });
    let asked = &thread.join().expect("the server")[0];
    assert_eq!(field(asked, "transfer-encoding"), Some("chunked"));
    assert_eq!(
        field(asked, "content-type"),
        Some("multipart/form-data; boundary=edge")
    );
    let (mut rest, mut decoded) = (body(asked), String::new());
    while let Some((size, behind)) = rest.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).expect("a size");
        decoded += &behind[..size];
        rest = &behind[size + 2..];
    }
    let contents: Vec<_> = parts("multipart/form-data; boundary=edge", &decoded)
        .into_iter()
        .map(|part| part.1)
        .collect();
    assert_eq!(contents, ["1", "xyz"]);
}

#[test]
fn parts_keep_to_their_lengths() {
    // The sum is right, so only who looks at each part sees it.
    for texts in [[&["ab"][..], &["abcd"]], [&["abcd"], &["ab"]]] {
        let (addr, thread) = raw_server(1, |_, mut peer| drop(peer.rest()));
        rt::block_on(async {
            let form = texts.iter().fold(Multipart::new(), |form, texts| {
                form.part("a", Part::body(Body::sized(3, stream(texts))))
            });
            let request = Client::new().post(format!("http://{addr}/")).multipart(form);
            let error = request.send().await.expect_err("no such body");
            assert_eq!(error.kind(), ErrorKind::Body, "{error:?}");
        });
        thread.join().expect("the server");
    }
}

#[test]
fn what_is_wrong_with_a_part_is_told_before_anything_is_dialled() {
    rt::block_on(async {
        for part in [
            Part::text("x").content_type("a\nb"),
            Part::text("x").header("Content-Disposition", "x"),
            Part::text("x").content_type("a/b").content_type("a/c"),
            Part::text("x").header("no token", "x"),
        ] {
            let form = Multipart::new().part("a", part).text("b", "fine");
            assert!(!format!("{form:?}").contains("fine"));
            let error = Client::new()
                .post("http://user:secret@127.0.0.1:1/")
                .multipart(form)
                .send()
                .await
                .expect_err("no such part");
            assert_eq!(error.kind(), ErrorKind::InvalidRequest);
            assert!(error.is_builder() && error.source().is_some());
            assert_eq!(error.url(), Some("http://***@127.0.0.1:1/"));
        }
    });
}

#[test]
fn statuses_become_errors_when_asked() {
    let (addr, thread) = script([
        answer("404 Not Found", "", "no such tea"),
        answer("503 Busy", "", ""),
        answer("399 Odd", "", ""),
        answer("599 Odd", "Connection: close\r\n", ""),
    ]);
    rt::block_on(async {
        let client = Client::new();
        let send = || client.post(format!("http://u:secret@{addr}/tea?a=1")).send();
        let mut response = send().await.expect("a response");
        let error = response.error_for_status_ref().expect_err("404");
        assert_eq!(error.kind(), ErrorKind::Status(Status::NOT_FOUND));
        assert_eq!(error.status(), Some(Status::NOT_FOUND));
        assert_eq!(error.url(), Some(&*format!("http://***@{addr}/tea?a=1")));
        assert_eq!(
            error.to_string(),
            format!("Post \"http://***@{addr}/tea?a=1\": the answer was 404 Not Found")
        );
        assert!(error.is_status() && !error.is_body() && !error.is_request() && !error.is_builder());
        assert!(!format!("{error:?}").contains("secret"));
        // The response is as it was.
        assert_eq!(response.text(20).await.expect("text"), "no such tea");
        let error = send()
            .await
            .expect("a response")
            .error_for_status()
            .expect_err("503");
        assert_eq!(error.status(), Some(Status::SERVICE_UNAVAILABLE));
        let response = send()
            .await
            .expect("a response")
            .error_for_status()
            .expect("399 is none");
        assert!(response.error_for_status_ref().is_ok());
        let error = send()
            .await
            .expect("a response")
            .error_for_status()
            .expect_err("599");
        assert!(error.to_string().ends_with("the answer was 599"), "{error}");
        // One that was never received.
        let error = Response::new(Status::NOT_FOUND)
            .error_for_status()
            .expect_err("404");
        assert_eq!((error.status(), error.url()), (Some(Status::NOT_FOUND), None));
    });
    thread.join().expect("the server");
}

#[test]
fn locations_are_resolved() {
    let moved = |location: &str| answer("201 Created", &format!("Location: {location}\r\n"), "");
    let (addr, thread) = script([
        moved("../c?d"),
        moved("https://other.example/x"),
        moved(""),
        moved("http://u:secret@h:port/"),
        answer("302 Found", "Location: /e\r\n", ""),
        OK.into(),
    ]);
    rt::block_on(async {
        let client = Client::builder().redirects(RedirectPolicy::None).build();
        let send = || client.put(format!("http://{addr}/a/b/#f")).send();
        let mut shown = Vec::new();
        for _ in 0..3 {
            let response = send().await.expect("a response");
            let url = response.location().expect("a URL");
            shown.push(url.map(|u| (u.to_string(), u.fragment().map(str::to_owned))));
        }
        let handed_on = Some("f".to_owned());
        assert_eq!(
            shown,
            [
                Some((format!("http://{addr}/a/c?d"), handed_on.clone())),
                Some(("https://other.example/x".into(), handed_on)),
                None
            ]
        );
        let error = send().await.expect("a response").location().expect_err("no port");
        assert!(error.is_redirect() && error.status() == Some(Status::CREATED));
        let text = format!("{error} {error:?}");
        assert!(text.contains("***@h:port") && !text.contains("secret"), "{text}");
        let url = send().await.expect("a response").location().expect("a URL");
        assert_eq!(url.expect("one").to_string(), format!("http://{addr}/e"));
        assert_eq!(send().await.expect("a response").location().expect("none"), None);
    });
    thread.join().expect("the server");
    let made = |location| {
        Response::new(Status::CREATED)
            .with_header("location", location)
            .expect("a field")
    };
    let url = made("http://h/x").location().expect("a URL");
    assert_eq!(url.expect("one").to_string(), "http://h/x");
    assert_eq!(
        made("/x").location().expect_err("relative to what?").kind(),
        ErrorKind::Redirect
    );
}

/// Takes so much, and fails then.
struct Narrow(Vec<u8>, usize);

impl Write for Narrow {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = bytes.len().min(self.1 - self.0.len());
        self.0.extend_from_slice(&bytes[..n]);
        if n == 0 {
            Err(io::ErrorKind::StorageFull.into())
        } else {
            Ok(n)
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn bodies_go_into_writers_and_trailers_are_seen() {
    let chunked =
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4\r\ndefg\r\n0\r\nX-T: 1\r\n\r\n";
    let (addr, thread) = script([chunked; 3]);
    rt::block_on(async {
        let client = Client::new();
        let send = || client.get(format!("http://{addr}/")).send();
        let (mut response, mut all) = (send().await.expect("a response"), Vec::new());
        assert_eq!(response.trailers(), None);
        assert_eq!(response.copy_to(&mut all).await.expect("all of it"), 7);
        assert_eq!(all, b"abcdefg");
        assert_eq!(response.trailers().and_then(|t| t.get_str("x-t")), Some("1"));
        assert_eq!(response.copy_to(&mut all).await.expect("the end"), 0);
        let (mut response, mut text) = (send().await.expect("a response"), Vec::new());
        while let Some(chunk) = response.chunk().await {
            text.extend_from_slice(&chunk.expect("bytes"));
        }
        assert_eq!(text, b"abcdefg");
        let mut response = send().await.expect("a response");
        let error = response
            .copy_to(&mut Narrow(Vec::new(), 5))
            .await
            .expect_err("5 fit");
        assert_eq!(error.kind(), ErrorKind::Io);
        assert_eq!(
            error.io_error().map(io::Error::kind),
            Some(io::ErrorKind::StorageFull)
        );
    });
    thread.join().expect("the server");
}

#[cfg(feature = "json")]
#[test]
fn json_there_and_back() {
    use std::collections::BTreeMap;
    let (addr, thread) = script([
        answer("200 OK", "", "{\"tea\":[1,2]}"),
        answer("200 OK", "", "{\"tea\":[1"),
        answer("200 OK", "", "[1]"),
        answer("200 OK", "", "\"123\""),
    ]);
    rt::block_on(async {
        let client = Client::new();
        let value = BTreeMap::from([("tea", vec![1, 2])]);
        let send = || client.put(format!("http://{addr}/")).json(&value).send();
        let mut response = send().await.expect("a response");
        let read: BTreeMap<String, Vec<u32>> = response.json(100).await.expect("JSON");
        assert_eq!(read["tea"], [1, 2]);
        for _ in 0..2 {
            let mut response = send().await.expect("a response");
            let error = response
                .json::<BTreeMap<String, Vec<u32>>>(100)
                .await
                .expect_err("not that");
            assert!(error.kind() == ErrorKind::Json && error.is_decode());
            assert!(error.source().is_some());
        }
        let mut response = send().await.expect("a response");
        let error = response.json::<String>(4).await.expect_err("too long");
        assert_eq!(error.kind(), ErrorKind::BodyTooLarge);
        // A key that is no string.
        let request = client
            .post("http://u:secret@127.0.0.1:1/")
            .json(&BTreeMap::from([((1, 2), 3)]));
        let error = request.send().await.expect_err("no JSON");
        assert_eq!(error.kind(), ErrorKind::Body);
        assert!(error.is_builder() && error.url() == Some("http://***@127.0.0.1:1/"));
    });
    let asked = thread.join().expect("the server");
    assert_eq!(field(&asked[0], "content-type"), Some("application/json"));
    assert_eq!(body(&asked[0]), "{\"tea\":[1,2]}");
}

#[test]
fn text_goes_by_its_charset_where_that_is_compiled_in() {
    let latin = |fields: &str| {
        let head = format!("HTTP/1.1 200 OK\r\n{fields}Content-Length: 4\r\n\r\n");
        [head.as_bytes(), b"caf\xe9"].concat()
    };
    let (addr, thread) = script([
        latin("Content-Type: text/plain; charset=ISO-8859-1\r\n"),
        latin(""),
    ]);
    rt::block_on(async {
        let client = Client::new();
        let mut told = Vec::new();
        for _ in 0..2 {
            let mut response = client
                .get(format!("http://{addr}/"))
                .send()
                .await
                .expect("a response");
            told.push(response.text(4).await.map_err(|e| e.kind()));
        }
        if cfg!(feature = "charset") {
            assert_eq!(told, [Ok("caf\u{e9}".to_owned()), Ok("caf\u{fffd}".to_owned())]);
        } else {
            assert_eq!(told, [Err(ErrorKind::NotText), Err(ErrorKind::NotText)]);
        }
    });
    thread.join().expect("the server");
}

//! What makes requests and responses handy: forms, JSON, statuses as errors, bodies read to their ends.

mod common;

use antiphon_blocking::{
    Body, Boundary, Client, ErrorKind, Headers, Multipart, Part, RedirectPolicy, Response, Status, file_body,
};
use common::told::Asked;
use common::{Told, answer, script};
use std::error::Error as _;
use std::io::{self, Read, Write};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
const AGAIN: &str = "HTTP/1.1 307 T\r\nLocation: /b\r\nContent-Length: 0\r\n\r\n";

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
    let server = Told::new([OK; 5]);
    let mut defaults = Headers::new();
    defaults.append("content-type", "of/the-client").unwrap();
    let client = Client::builder().default_headers(defaults).build();
    let post = || client.post(server.url("/"));
    let pairs = [("q", "fish & chips"), ("\u{e9}", "1"), ("q", "")];
    for request in [
        post().form(pairs),
        post().header("Content-Type", "own/1").form(pairs),
        post().form(pairs).header("Content-Type", "own/2"),
        post().form(pairs).body("text"),
        post().form([] as [(&str, &str); 0]),
    ] {
        request.send().unwrap();
    }
    let asked = server.asked();
    let told: Vec<_> = asked
        .iter()
        .map(|a| (a.field("content-type"), &*a.body))
        .collect();
    let urlencoded = Some("application/x-www-form-urlencoded");
    let pairs = "q=fish+%26+chips&%C3%A9=1&q=";
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
    let path = std::env::temp_dir().join(format!("antiphon-form-blocking-{}", std::process::id()));
    let content = "line\r\n--antiphon-\r\n".repeat(10_000);
    std::fs::write(&path, &content).unwrap();
    let file = std::fs::File::open(&path).unwrap();
    let again = Body::repeatable(|| Ok(Body::sized_reader(4, &b"abcd"[..]))).unwrap();
    let form = Multipart::new()
        .text("title", "A \u{e9} tale")
        .part(
            "file",
            Part::body(file_body(file, content.len() as u64))
                .file_name("a \"b\".txt")
                .content_type("text/x-tale"),
        )
        .part("empty", Part::bytes(""))
        .part("stream", Part::body(again).header("X-More", "1"));
    let server = Told::new([AGAIN, OK]);
    Client::new()
        .post(server.url("/a"))
        .multipart(form)
        .send()
        .unwrap();
    assert_eq!(server.lines(), ["POST /a HTTP/1.1", "POST /b HTTP/1.1"]);
    let asked = server.asked();
    for request in &asked {
        let told = request.field("content-length").expect("the length is known");
        assert_eq!(told, request.body.len().to_string());
        let disposition = |name: &str| format!("Content-Disposition: form-data; name=\"{name}\"");
        let heads = [
            disposition("title"),
            disposition("file") + "; filename=\"a %22b%22.txt\"\r\nContent-Type: text/x-tale",
            disposition("empty"),
            disposition("stream") + "\r\nX-More: 1",
        ];
        let contents = ["A \u{e9} tale", &content, "", "abcd"];
        let expected: Vec<_> = heads.iter().map(String::as_str).zip(contents).collect();
        let content_type = request.field("content-type").expect("a type");
        assert_eq!(parts(content_type, &request.body), expected);
    }
    assert_eq!(asked[0].body, asked[1].body);
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn a_form_with_a_stream_is_chunked_and_sent_once() {
    let server = Told::new([AGAIN]);
    let form = Multipart::with_boundary(Boundary::new("edge").unwrap())
        .text("a", "1")
        .part("b", Part::body(Body::from_reader(&b"xyz"[..])));
    let response = Client::new()
        .post(server.url("/"))
        .multipart(form)
        .send()
        .unwrap();
    assert_eq!(response.status(), Status::TEMPORARY_REDIRECT);
    let asked: &Asked = &server.asked()[0];
    assert_eq!(asked.field("transfer-encoding"), Some("chunked"));
    let content_type = "multipart/form-data; boundary=edge";
    assert_eq!(asked.field("content-type"), Some(content_type));
    let (mut rest, mut decoded) = (&*asked.body, String::new());
    while let Some((size, behind)) = rest.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).expect("a size");
        decoded += &behind[..size];
        rest = &behind[size + 2..];
    }
    let contents: Vec<_> = parts(content_type, &decoded)
        .into_iter()
        .map(|part| part.1)
        .collect();
    assert_eq!(contents, ["1", "xyz"]);
}

#[test]
fn a_part_keeps_to_its_length() {
    let sized = |reader: &'static [u8]| Body::sized_reader(3, reader);
    let mut begun = sized(b"abc");
    begun.read_exact(&mut [0]).unwrap();
    for short in [sized(b"ab"), begun] {
        let (addr, thread) = script(1, |_, mut peer| drop(io::copy(&mut peer, &mut io::sink())));
        // The sum is right, so only who looks at each part sees it.
        let form = Multipart::new()
            .part("a", Part::body(short))
            .part("b", Part::body(sized(b"abcd")));
        let request = Client::new().post(format!("http://{addr}/")).multipart(form);
        let error = request.send().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Body, "{error:?}");
        thread.join().unwrap();
    }
}

#[test]
fn what_is_wrong_with_a_part_is_told_before_anything_is_dialled() {
    for part in [
        Part::text("x").content_type("a\nb"),
        Part::text("x").header("Content-Disposition", "x"),
        Part::text("x").content_type("a/b").content_type("a/c"),
        Part::text("x").header("no token", "x"),
    ] {
        let form = Multipart::new().part("a", part).text("b", "fine");
        assert!(!format!("{form:?}").contains("fine"));
        let request = Client::new().post("http://user:secret@127.0.0.1:1/");
        let error = request.multipart(form).send().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidRequest);
        assert!(error.is_builder() && error.source().is_some());
        assert_eq!(error.url(), Some("http://***@127.0.0.1:1/"));
    }
}

#[test]
fn statuses_become_errors_when_asked() {
    let server = Told::new([
        answer("404 Not Found", &[], "no such tea"),
        answer("503 Busy", &[], ""),
        answer("399 Odd", &[], ""),
        answer("599 Odd", &[("Connection", "close")], ""),
    ]);
    let client = Client::new();
    let send = || {
        let url = format!("http://u:secret@{}/tea?a=1", server.addr);
        client.post(url).send().unwrap()
    };
    let mut response = send();
    let error = response.error_for_status_ref().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Status(Status::NOT_FOUND));
    assert_eq!(error.status(), Some(Status::NOT_FOUND));
    let shown = format!("http://***@{}/tea?a=1", server.addr);
    assert_eq!(error.url(), Some(&*shown));
    assert_eq!(
        error.to_string(),
        format!("Post \"{shown}\": the answer was 404 Not Found")
    );
    assert!(error.is_status() && !error.is_body() && !error.is_request() && !error.is_builder());
    assert!(!format!("{error:?}").contains("secret"));
    // The response is as it was.
    assert_eq!(response.text(20).unwrap(), "no such tea");
    let error = send().error_for_status().unwrap_err();
    assert_eq!(error.status(), Some(Status::SERVICE_UNAVAILABLE));
    let response = send().error_for_status().expect("399 is none");
    assert!(response.error_for_status_ref().is_ok());
    let error = send().error_for_status().unwrap_err();
    assert!(error.to_string().ends_with("the answer was 599"), "{error}");
    // One that was never received.
    let error = Response::new(Status::NOT_FOUND).error_for_status().unwrap_err();
    assert_eq!((error.status(), error.url()), (Some(Status::NOT_FOUND), None));
}

#[test]
fn locations_are_resolved() {
    let created = |location: &str| answer("201 Created", &[("Location", location)], "");
    let server = Told::new([
        created("../c?d"),
        created("https://other.example/x"),
        created(""),
        created("http://u:secret@h:port/"),
        answer("302 Found", &[("Location", "/e")], ""),
        OK.into(),
    ]);
    let client = Client::builder().redirects(RedirectPolicy::None).build();
    let send = || client.put(server.url("/a/b/#f")).send().unwrap();
    let shown: Vec<_> = (0..3)
        .map(|_| {
            let url = send().location().unwrap()?;
            Some((url.to_string(), url.fragment().map(str::to_owned)))
        })
        .collect();
    let handed_on = Some("f".to_owned());
    assert_eq!(
        shown,
        [
            Some((server.url("/a/c?d"), handed_on.clone())),
            Some(("https://other.example/x".into(), handed_on)),
            None
        ]
    );
    let error = send().location().expect_err("no port");
    assert!(error.is_redirect() && error.status() == Some(Status::CREATED));
    let text = format!("{error} {error:?}");
    assert!(text.contains("***@h:port") && !text.contains("secret"), "{text}");
    let url = send().location().unwrap().unwrap();
    assert_eq!(url.to_string(), server.url("/e"));
    assert_eq!(send().location().unwrap(), None);
    let made = |location| {
        Response::new(Status::CREATED)
            .with_header("location", location)
            .unwrap()
    };
    let url = made("http://h/x").location().unwrap().unwrap();
    assert_eq!(url.to_string(), "http://h/x");
    let error = made("/x").location().expect_err("relative to what?");
    assert_eq!(error.kind(), ErrorKind::Redirect);
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
    let server = Told::new([chunked; 3]);
    let client = Client::new();
    let send = || client.get(server.url("/")).send().unwrap();
    let (mut response, mut all) = (send(), Vec::new());
    assert_eq!(response.trailers(), None);
    assert_eq!(response.copy_to(&mut all).unwrap(), 7);
    assert_eq!(all, b"abcdefg");
    assert_eq!(response.trailers().and_then(|t| t.get_str("x-t")), Some("1"));
    assert_eq!(response.copy_to(&mut all).unwrap(), 0);
    let (mut response, mut text) = (send(), Vec::new());
    while let Some(chunk) = response.chunk() {
        text.extend_from_slice(&chunk.unwrap());
    }
    assert_eq!(text, b"abcdefg");
    let error = send().copy_to(&mut Narrow(Vec::new(), 5)).expect_err("5 fit");
    assert_eq!(error.kind(), ErrorKind::Io);
    let kind = error.io_error().map(io::Error::kind);
    assert_eq!(kind, Some(io::ErrorKind::StorageFull));
}

#[cfg(feature = "json")]
#[test]
fn json_there_and_back() {
    use std::collections::BTreeMap;
    let server = Told::new([
        answer("200 OK", &[], "{\"tea\":[1,2]}"),
        answer("200 OK", &[], "{\"tea\":[1"),
        answer("200 OK", &[], "[1]"),
        answer("200 OK", &[], "\"123\""),
    ]);
    let client = Client::new();
    let value = BTreeMap::from([("tea", vec![1, 2])]);
    let send = || client.put(server.url("/")).json(&value).send().unwrap();
    let read: BTreeMap<String, Vec<u32>> = send().json(100).unwrap();
    assert_eq!(read["tea"], [1, 2]);
    for _ in 0..2 {
        let error = send().json::<BTreeMap<String, Vec<u32>>>(100).unwrap_err();
        assert!(error.kind() == ErrorKind::Json && error.is_decode());
        assert!(error.source().is_some());
    }
    let error = send().json::<String>(4).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BodyTooLarge);
    // A key that is no string.
    let request = client
        .post("http://u:secret@127.0.0.1:1/")
        .json(&BTreeMap::from([((1, 2), 3)]));
    let error = request.send().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Body);
    assert!(error.is_builder() && error.url() == Some("http://***@127.0.0.1:1/"));
    let asked = &server.asked()[0];
    assert_eq!(asked.field("content-type"), Some("application/json"));
    assert_eq!(asked.body, "{\"tea\":[1,2]}");
}

#[test]
fn text_goes_by_its_charset_where_that_is_compiled_in() {
    let latin = |fields: &str| {
        let head = format!("HTTP/1.1 200 OK\r\n{fields}Content-Length: 4\r\n\r\n");
        [head.as_bytes(), b"caf\xe9"].concat()
    };
    let server = Told::new([
        latin("Content-Type: text/plain; charset=ISO-8859-1\r\n"),
        latin(""),
    ]);
    let told = [(); 2].map(|()| {
        let mut response = Client::new().get(server.url("/")).send().unwrap();
        response.text(4).map_err(|e| e.kind())
    });
    if cfg!(feature = "charset") {
        assert_eq!(told, [Ok("caf\u{e9}".to_owned()), Ok("caf\u{fffd}".to_owned())]);
    } else {
        assert_eq!(told, [Err(ErrorKind::NotText), Err(ErrorKind::NotText)]);
    }
}

#[test]
fn a_form_takes_constant_memory() {
    // Far more than could be kept: what is sent is what was read, piece by piece.
    const LEN: u64 = 1 << 28;
    let (addr, thread) = script(1, |_, mut peer| {
        let head = common::read_until(&mut peer, "\r\n\r\n").to_ascii_lowercase();
        let told = head.lines().find_map(|l| l.strip_prefix("content-length: "));
        let len: u64 = told.expect("the length is known").parse().unwrap();
        assert_eq!(
            io::copy(&mut (&mut peer).take(len), &mut io::sink()).unwrap(),
            len
        );
        peer.write_all(OK.as_bytes()).unwrap();
        assert!(len > LEN && len < LEN + 1000, "{len}");
    });
    let zeros = Body::sized_reader(LEN, io::repeat(0));
    let form = Multipart::new().part("zeros", Part::body(zeros));
    let request = Client::new().post(format!("http://{addr}/")).multipart(form);
    assert_eq!(request.send().unwrap().status(), Status::OK);
    thread.join().unwrap();
}

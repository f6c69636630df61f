//! Redirects over sockets: which requests a server sees, over how many connections, and what the caller gets. The rules
//! themselves are the core's and tested there.

mod common;

use antiphon_blocking::{Body, Client, ErrorKind, RedirectPolicy, Verdict};
use common::*;
use std::error::Error as _;
use std::io::{self, Read};
use std::sync::mpsc;
use std::time::{Duration, Instant};

#[test]
fn a_chain_is_followed_over_one_connection() {
    let server = Told::new([
        moved("302 Found", "/two?x=1"),
        moved("301 Moved Permanently", "three#part"),
        answer("200 OK", &[], "here"),
    ]);
    let mut response = Client::new().get(server.url("/one")).send().unwrap();
    assert_eq!(response.text(9).unwrap(), "here");
    assert_eq!(
        server.lines(),
        [
            "GET /one HTTP/1.1",
            "GET /two?x=1 HTTP/1.1",
            "GET /three HTTP/1.1"
        ]
    );
    // The bodies of the redirects were read, so that one connection served them all.
    assert!(server.asked().iter().all(|a| a.connection == 0));
    assert_eq!(server.asked()[2].field("referer"), Some(&*server.url("/two?x=1")));
    assert_eq!(response.url().unwrap().to_string(), server.url("/three"));
    let history: Vec<(String, u16)> = response
        .history()
        .iter()
        .map(|past| (past.url.to_string(), past.status.code()))
        .collect();
    assert_eq!(
        history,
        [(server.url("/one"), 302), (server.url("/two?x=1"), 301)]
    );
}

#[test]
fn b1_which_method_and_body_come_along() {
    for (status, reader, expected) in [
        ("303 See Other", false, Some("GET /to HTTP/1.1")),
        ("302 Found", true, Some("GET /to HTTP/1.1")),
        ("307 Temporary Redirect", false, Some("PUT /to HTTP/1.1")),
        ("308 Permanent Redirect", false, Some("PUT /to HTTP/1.1")),
        // The reader has been read: the caller gets the redirect.
        ("307 Temporary Redirect", true, None),
        ("300 Multiple Choices", false, None),
    ] {
        let server = Told::new([moved(status, "/to"), answer("200 OK", &[], "here")]);
        let body = match reader {
            true => Body::from_reader(&b"content"[..]),
            false => Body::from("content"),
        };
        let request = Client::new().request("PUT", server.url("/from")).body(body);
        let mut response = request.header("content-type", "text/plain").send().unwrap();
        let asked = server.asked();
        match expected {
            Some(line) => {
                assert_eq!(asked[1].line(), line, "{status}");
                let kept = line.starts_with("PUT");
                assert_eq!(asked[1].body, if kept { "content" } else { "" }, "{status}");
                assert_eq!(asked[1].field("content-type").is_some(), kept, "{status}");
                assert_eq!(response.text(9).unwrap(), "here", "{status}");
            }
            None => {
                assert_eq!(asked.len(), 1, "{status}");
                assert_eq!(response.text(9).unwrap(), "moved", "{status}");
                assert!(response.history().is_empty());
            }
        }
    }
}

#[test]
fn the_policy_decides() {
    let redirects = || (0..12).map(|i| moved("302 Found", &format!("/{i}")));
    let get = |policy: Option<RedirectPolicy>| {
        let server = Told::new(redirects());
        let mut client = Client::builder();
        if let Some(policy) = policy {
            client = client.redirects(policy);
        }
        let result = client.build().get(server.url("/")).send();
        (result, server)
    };
    let (result, server) = get(Some(RedirectPolicy::None));
    assert_eq!(result.unwrap().status(), 302);
    assert_eq!(server.lines().len(), 1);

    let (result, server) = get(None);
    let e = result.unwrap_err();
    assert!(e.is_redirect() && !e.is_timeout(), "{e:?}");
    assert_eq!(e.to_string(), "Get \"/9\": stopped after 10 redirects");
    assert_eq!(e.status().map(|s| s.code()), Some(302));
    assert_eq!(server.lines().len(), 10);

    let (result, server) = get(Some(RedirectPolicy::Limit(2)));
    assert!(result.unwrap_err().is_redirect());
    assert_eq!(server.lines().len(), 2);

    let stop = RedirectPolicy::function(|next, past| match past.len() {
        3 => Verdict::UseLastResponse,
        _ if next.to.target().as_str() == "/0" => Verdict::Follow,
        _ => Verdict::Follow,
    });
    let (result, server) = get(Some(stop));
    let mut response = result.unwrap();
    assert_eq!((response.status().code(), response.history().len()), (302, 2));
    assert_eq!(response.text(9).unwrap(), "moved", "its body is still there");
    assert_eq!(server.lines().len(), 3);

    let refuse = RedirectPolicy::function(|_, _| Verdict::Refuse("not with me".into()));
    let (result, _) = get(Some(refuse));
    let e = result.unwrap_err();
    assert_eq!(e.to_string(), "Get \"/0\": not with me");
}

#[test]
fn a_location_that_leads_nowhere() {
    let server = Told::new([moved("302 Found", "ftp://u:pw@h/")]);
    let e = Client::new().post(server.url("/")).send().unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Redirect);
    assert_eq!(e.url(), Some(&*server.url("/")));
    assert!(
        e.to_string().starts_with("Post \"http://127.0.0.1:"),
        "the first request's method: {e}"
    );
    assert!(e.source().is_some() && !format!("{e} {e:?}").contains("pw"));
    // Without a Location it is a response like any other.
    let server = Told::new([answer("302 Found", &[], "nothing")]);
    let mut response = Client::new().get(server.url("/")).send().unwrap();
    assert_eq!(response.text(9).unwrap(), "nothing");
}

#[test]
fn credentials_stay_with_their_origin() {
    let other = Told::new([answer("200 OK", &[], "here")]);
    let server = Told::new([moved("302 Found", "/again"), moved("302 Found", &other.url("/"))]);
    let url = format!("http://me:secret@{}/", server.addr);
    let request = Client::new().get(url).header("cookie", "a=b");
    let response = request.send().unwrap();
    assert_eq!(response.url().unwrap().to_string(), other.url("/"));
    for asked in server.asked() {
        assert_eq!(asked.field("authorization"), Some("Basic bWU6c2VjcmV0"));
        assert_eq!(asked.field("cookie"), Some("a=b"));
    }
    let asked = &other.asked()[0];
    assert_eq!(
        (asked.field("authorization"), asked.field("cookie")),
        (None, None)
    );
    assert_eq!(asked.field("referer"), Some(&*server.url("/again")));
}

#[test]
fn b10_a_long_body_of_a_redirect_costs_its_connection() {
    for (len, connection) in [(2048, 0), (2049, 1)] {
        let long = "x".repeat(len);
        let server = Told::new([
            answer("302 Found", &[("Location", "/")], &long),
            answer("200 OK", &[], "here"),
        ]);
        Client::new().get(server.url("/")).send().unwrap();
        assert_eq!(server.asked()[1].connection, connection, "{len}");
    }
}

/// The redirect comes while the upload is under way, and the server reads no more of it.
#[test]
fn an_early_redirect_ends_the_upload() {
    let to = Told::new([answer("200 OK", &[], "here")]);
    let location = to.url("/to");
    let (done, hold) = mpsc::channel::<()>();
    let (addr, server) = script(1, move |_, mut s| {
        read_until(&mut s, "\r\n\r\n");
        send(&mut s, &answer("303 See Other", &[("Location", &location)], ""));
        let _ = hold.recv();
    });
    let endless = Body::from_reader(io::repeat(b'x'));
    let request = Client::new().post(format!("http://{addr}/")).body(endless);
    let mut response = request.timeout(LIMIT).send().unwrap();
    assert_eq!(response.text(9).unwrap(), "here");
    assert_eq!(to.lines(), ["GET /to HTTP/1.1"]);
    drop(done);
    server.join().unwrap();
}

#[test]
fn k1_the_timeout_is_one_for_all_hops() {
    let (addr, server) = script(1, |_, mut s| {
        // Each hop takes less than the timeout.
        while request_head(&mut s) {
            std::thread::sleep(Duration::from_millis(60));
            send(&mut s, &moved("302 Found", "/"));
        }
    });
    let begun = Instant::now();
    let client = Client::builder()
        .redirects(RedirectPolicy::Limit(1000))
        .timeout(Duration::from_millis(250))
        .build();
    let e = client.get(format!("http://{addr}/")).send().unwrap_err();
    assert!(e.is_timeout() && e.deadline().is_none(), "{e:?}");
    assert_took(begun, 250);
    drop(client);
    server.join().unwrap();
}

fn request_head(socket: &mut std::net::TcpStream) -> bool {
    let (mut seen, mut byte) = (Vec::new(), [0]);
    while !seen.ends_with(b"\r\n\r\n") {
        match socket.read(&mut byte) {
            Ok(1) => seen.push(byte[0]),
            _ => return false,
        }
    }
    true
}

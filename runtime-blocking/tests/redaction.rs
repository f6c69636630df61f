//! No `Debug` output shows a credential: requests, responses, errors, URLs with userinfo.

mod common;

use antiphon_blocking::{Client, Response, Server, Status};
use common::*;
use std::error::Error as _;
use std::fmt::Debug;
use std::sync::mpsc;

const SECRET: &str = "xyzzy-plugh-plover";

fn hides(what: &str, text: &str) {
    for part in SECRET.as_bytes().windows(5) {
        let word = std::str::from_utf8(part).unwrap();
        let numbers = format!("{part:?}");
        for shape in [word, numbers.trim_matches(['[', ']'])] {
            assert!(!text.contains(shape), "{what} shows {shape:?}: {text}");
        }
    }
}

fn debug(what: &str, value: &impl Debug) {
    hides(what, &format!("{value:?}"));
    hides(what, &format!("{value:#?}"));
}

#[test]
fn nothing_shows_credentials() {
    let (log, seen) = mpsc::channel();
    let server = Running::new(move |request| {
        assert_eq!(request.headers().get_str("cookie"), Some(SECRET));
        log.send(format!("{request:?} {:?}", request.headers())).unwrap();
        let response = Response::new(Status::OK)
            .with_header("set-cookie", SECRET)?
            .with_header("location", format!("http://{SECRET}@h/"))?
            .with_body(SECRET);
        log.send(format!("{response:?}")).unwrap();
        Ok(response)
    });
    let url = format!("http://{}/a", server.addr);
    let client = Client::new();
    let request = client
        .get(&url)
        .header("Authorization", SECRET)
        .header("Proxy-Authorization", SECRET)
        .header("Cookie", SECRET)
        .body(SECRET);
    debug("RequestBuilder", &request);
    let mut response = request.send().unwrap();
    debug("Response", &response);
    debug("Client", &client);
    assert_eq!(response.text(100).unwrap(), SECRET);
    debug("Server", &Server::bind("127.0.0.1:0").unwrap());
    drop(server);
    let seen: Vec<String> = seen.iter().collect();
    assert_eq!(seen.len(), 2);
    seen.iter().for_each(|text| hides("the handler's side", text));
}

/// Bytes of the other protocol that came early are as secret as any.
#[test]
fn an_upgraded_connection_shows_no_bytes() {
    let (addr, peer) = script(1, |_, mut s| {
        read_until(&mut s, "\r\n\r\n");
        let head = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n";
        send(&mut s, &format!("{head}{SECRET}"));
    });
    let response = Client::new()
        .get(format!("http://{addr}/"))
        .header("Connection", "upgrade")
        .header("Upgrade", "echo")
        .send()
        .unwrap();
    peer.join().unwrap();
    debug("Upgraded", &response.into_upgraded().unwrap());
}

#[test]
fn nothing_shows_what_stands_before_a_host() {
    let client = Client::new();
    for broken in ["", ":", "/", "?", "#", " ", "@", "%", "\\", "[", "\u{e9}", "\r\n"] {
        for text in [
            format!("http://u:{SECRET}{broken}@127.0.0.1:1/"),
            format!("u:{SECRET}{broken}@127.0.0.1"),
        ] {
            let request = client.get(&text[..]);
            debug("RequestBuilder", &request);
            let error = request.send().expect_err("credentials in a URL are refused");
            debug("Error", &error);
            hides("Error, displayed", &error.to_string());
            let mut at = error.source();
            while let Some(cause) = at {
                debug("a cause", &cause);
                hides("a cause, displayed", &cause.to_string());
                at = cause.source();
            }
        }
    }
}

//! No `Debug` output shows a credential: requests, responses, errors, URLs with userinfo.

use super::{Outcome, builder, start};
use crate::rt::{self, Client, Request, Response, Status};
use std::fmt::Debug;
use std::sync::{Arc, Mutex};

const SECRET: &str = "xyzzy-plugh-plover";

fn hides(what: &str, text: &str) {
    for part in SECRET.as_bytes().windows(5) {
        let word = std::str::from_utf8(part).expect("ASCII");
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
    rt::block_on(async {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&seen);
        let server = start(builder(), move |request: Request| {
            let log = Arc::clone(&log);
            async move {
                assert_eq!(request.headers().get_str("cookie"), Some(SECRET));
                let mut log = log.lock().expect("no panic");
                log.push(format!("{request:?} {:?}", request.headers()));
                let response = Response::new(Status::OK)
                    .with_header("set-cookie", SECRET)?
                    .with_header("location", format!("http://{SECRET}@h/"))?
                    .with_body(SECRET);
                log.push(format!("{response:?}"));
                let (head, body) = request.into_parts();
                log.push(format!("{head:?} {body:?}"));
                Outcome::Ok(response)
            }
        });
        let client = Client::new();
        let request = client
            .get(server.url("/a"))
            .header("Authorization", SECRET)
            .header("Proxy-Authorization", SECRET)
            .header("Cookie", SECRET)
            .body(SECRET);
        debug("RequestBuilder", &request);
        let mut response = request.send().await.expect("a response");
        debug("Response", &response);
        debug("its fields", &response.headers());
        assert_eq!(response.text(100).await.expect("text"), SECRET);
        debug("Client", &client);
        let seen = seen.lock().expect("no panic");
        assert_eq!(seen.len(), 3);
        seen.iter().for_each(|text| hides("the handler's side", text));
    });
}

#[test]
fn nothing_shows_what_stands_before_a_host() {
    rt::block_on(async {
        let client = Client::new();
        for broken in ["", ":", "/", "?", "#", " ", "@", "%", "\\", "[", "\u{e9}", "\r\n"] {
            for text in [
                format!("http://u:{SECRET}{broken}@127.0.0.1:1/"),
                format!("u:{SECRET}{broken}@127.0.0.1"),
            ] {
                let request = client.get(&text[..]);
                debug("RequestBuilder", &request);
                let error = request.send().await.expect_err("no such URL, or nobody listens");
                debug("Error", &error);
                hides("Error, displayed", &error.to_string());
                let mut at = std::error::Error::source(&error);
                while let Some(cause) = at {
                    debug("a cause", &cause);
                    hides("a cause, displayed", &cause.to_string());
                    at = cause.source();
                }
            }
        }
        let error = client
            .get("http://127.0.0.1:1/")
            .header("Cookie", format!("{SECRET}\n"))
            .send()
            .await
            .expect_err("no field value");
        debug("Error", &error);
    });
}

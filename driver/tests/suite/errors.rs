//! What the errors of a call say: the first method, the last URL, how far it had come, and every cause.

use super::script;
use crate::rt::{self, Client, Error, ErrorKind};
use std::error::Error as StdError;
use std::net::TcpListener;

/// What the error says, and what each cause adds.
fn chain(error: &Error) -> Vec<String> {
    let mut all = vec![error.to_string()];
    let mut at = error.source();
    while let Some(cause) = at {
        all.push(cause.to_string());
        at = cause.source();
    }
    all
}

#[test]
fn a7_nobody_listens_behind_a_redirect() {
    let closed = TcpListener::bind("127.0.0.1:0")
        .expect("a port")
        .local_addr()
        .expect("bound");
    let moved = format!(
        "HTTP/1.1 303 See Other\r\nLocation: http://bob:secret@{closed}/b\r\nContent-Length: 0\r\n\r\n"
    );
    let (addr, thread) = script([moved]);
    rt::block_on(async {
        let request = Client::new().post(format!("http://{addr}/a")).body("x");
        let error = request.send().await.expect_err("nobody listens");
        let said = chain(&error);
        assert_eq!(
            said[0],
            format!("Post \"http://***@{closed}/b\": failed while waiting for a connection")
        );
        assert!(
            said.len() >= 3,
            "the system's reason is among the causes: {said:?}"
        );
        assert_eq!(error.kind(), ErrorKind::Connect);
        assert!(error.is_connect() && !error.is_request() && !error.is_body() && !error.is_builder());
        assert_eq!(
            error.io_error().expect("the system's reason").kind(),
            std::io::ErrorKind::ConnectionRefused
        );
        assert_eq!(error.url(), Some(format!("http://***@{closed}/b").as_str()));
        assert!(!format!("{error:?} {said:?}").contains("secret"));
    });
    thread.join().expect("the server");
}

#[test]
fn a7_the_connection_ends() {
    let (addr, thread) = script([
        "",
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 9\r\n\r\nshort",
    ]);
    rt::block_on(async {
        let client = Client::new();
        let get = || {
            client
                .get(format!("http://{addr}/a?b#c"))
                .timeout(std::time::Duration::from_millis(300))
        };
        // Nothing comes: the connection stays open.
        let error = get().send().await.expect_err("no answer");
        assert_eq!(
            chain(&error),
            [format!(
                "Get \"http://{addr}/a?b\": the call's deadline passed while sending the request or waiting for the response"
            )]
        );
        assert!(error.is_timeout() && error.is_request(), "{error:?}");
        let mut response = get().send().await.expect("a head");
        let error = response.bytes(100).await.expect_err("too short");
        let said = chain(&error);
        assert_eq!(
            said[0],
            format!("Get \"http://{addr}/a?b\": failed while reading the body")
        );
        assert!(said[1].starts_with("reading the response body: "), "{said:?}");
        assert!(error.is_body() && !error.is_timeout(), "{error:?}");
        assert_eq!(error.status(), Some(rt::Status::OK));
    });
    thread.join().expect("the server");
}

#[test]
fn e12_what_may_not_be_sent_is_told_apart() {
    rt::block_on(async {
        let client = Client::new();
        for (request, said) in [
            (
                client.request("GE T", "http://u:secret@h/"),
                "Get \"http://***@h/\": not a method",
            ),
            (
                client.get("http://u:secret@h/").header("a b", "c"),
                "Get \"http://***@h/\": not a field name",
            ),
            (
                client.delete("http://h/").header("a", "secret\n"),
                "Delete \"http://h/\": not a field value",
            ),
            (client.get("/only/a/path"), "Get \"/only/a/path\": invalid URL"),
        ] {
            let error = request.send().await.expect_err(said);
            assert!(error.to_string().starts_with(said), "{error}");
            assert!(error.is_builder() && !error.is_request(), "{error:?}");
            assert!(error.source().is_some() && !format!("{error:?}").contains("secret"));
        }
        assert_eq!(client.pool_stats().counters.dials, 0);
    });
}

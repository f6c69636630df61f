//! What an observer is told of calls: every step, with the reason of each decision, and no secret. The same as on the
//! async clients.

mod common;
#[path = "../../driver/tests/support/told.rs"]
mod lines;

mod observed {
    pub(crate) use antiphon_blocking::{Trace, TraceEvent};
}

use antiphon_blocking::{Client, ClientBuilder, RequestBuilder};
use common::{HELLO, Told as Server, answer, moved, read_until, script, send};
use lines::{Told, connected, exchanged};
use std::io::Read;
use std::net::SocketAddr;

fn traced() -> (ClientBuilder, Told) {
    let told = Told::default();
    (Client::builder().no_proxy().trace(told.observer()), told)
}

fn words(lines: &[&str]) -> Vec<String> {
    lines.iter().map(|l| (*l).to_string()).collect()
}

fn text(request: RequestBuilder) -> String {
    request.send().unwrap().text(100).unwrap()
}

#[test]
fn p1_a_call_from_its_start_to_its_end_and_another_on_the_same_connection() {
    let server = Server::new([HELLO, HELLO]);
    let (builder, told) = traced();
    let client = builder.build();
    assert_eq!(text(client.get(server.url("/a"))), "hello");
    let mut expected = words(&["call 1: GET http://HOST/a"]);
    expected.extend(connected(1, 1));
    expected.extend(exchanged(1, 1, "GET /a", 200));
    expected.extend(words(&[
        "call 1: deliver 200, OtherStatus, NotCoded",
        "conn 1: idle",
    ]));
    assert_eq!(told.take(server.addr), expected);

    assert_eq!(text(client.get(server.url("/b"))), "hello");
    let mut expected = words(&[
        "call 2: GET http://HOST/b",
        "call 2: get http://HOST",
        "call 2: got 1, reused true, was idle true",
    ]);
    expected.extend(exchanged(2, 1, "GET /b", 200));
    expected.extend(words(&[
        "call 2: deliver 200, OtherStatus, NotCoded",
        "conn 1: idle",
    ]));
    assert_eq!(told.take(server.addr), expected);

    client.close_idle();
    assert_eq!(
        told.take(server.addr),
        ["conn 1: closed, idle connections are being closed"]
    );
}

#[test]
fn p1_interim_responses_and_a_body_that_waits() {
    let (addr, thread) = script(1, |_, mut socket| {
        read_until(&mut socket, "\r\n\r\n");
        send(&mut socket, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
        send(&mut socket, "HTTP/1.1 100 Continue\r\n\r\n");
        assert_eq!(read_until(&mut socket, "tea"), "tea");
        send(&mut socket, HELLO);
        assert_eq!(socket.read(&mut [0]).unwrap(), 0);
    });
    let (builder, told) = traced();
    let client = builder.build();
    let request = client.post(format!("http://{addr}/"));
    assert_eq!(text(request.expect_continue().body("tea")), "hello");
    let told = told.take(addr);
    let from = told.iter().position(|l| l.contains("sending")).unwrap();
    assert_eq!(
        told[from..],
        [
            "call 1: sending POST / on 1",
            "call 1: wrote head",
            "call 1: wait for 100",
            "call 1: first byte",
            "call 1: 103 with 1 fields",
            "call 1: 100",
            "call 1: wrote request",
            "call 1: response 200",
            "call 1: deliver 200, OtherStatus, NotCoded",
            "conn 1: idle",
        ]
    );
    drop(client);
    thread.join().unwrap();
}

#[test]
fn p1_a_redirect_and_why_the_next_is_not_followed() {
    let server = Server::new([moved("303 See Other", "/b"), answer("302 Found", &[], "")]);
    let (builder, told) = traced();
    let client = builder.build();
    client.post(server.url("/a")).send().unwrap();
    let mut expected = exchanged(1, 1, "POST /a", 303);
    expected.extend(words(&[
        "call 1: redirect /a to GET /b",
        "conn 1: idle",
        "call 1: get http://HOST",
        "call 1: got 1, reused true, was idle true",
    ]));
    expected.extend(exchanged(1, 1, "GET /b", 302));
    let decode = if cfg!(feature = "gzip") {
        "NoContent"
    } else {
        "NotAsked(NothingDecoded)"
    };
    // The reason stands with it.
    expected.push(format!("call 1: deliver 302, NoLocation, {decode}"));
    expected.push("conn 1: idle".into());
    let told = told.take(server.addr);
    let from = told.iter().position(|l| l.contains("sending")).unwrap();
    assert_eq!(told[from..], expected);
}

#[test]
fn p1_a_retry_and_its_reason() {
    let (addr, thread) = script(2, |i, mut socket| {
        read_until(&mut socket, "\r\n\r\n");
        send(&mut socket, HELLO);
        if i == 0 {
            read_until(&mut socket, "\r\n\r\n");
        } else {
            assert_eq!(socket.read(&mut [0]).unwrap(), 0);
        }
    });
    let (builder, told) = traced();
    let client = builder.build();
    assert_eq!(text(client.get(format!("http://{addr}/"))), "hello");
    told.take(addr);
    assert_eq!(text(client.get(format!("http://{addr}/"))), "hello");
    let mut expected = words(&[
        "call 2: sending GET / on 1",
        "call 2: wrote head",
        "call 2: wrote request",
        "call 2: failed, BeforeResponse, written true",
        "conn 1: discarded",
        "call 2: retry, BeforeResponse",
    ]);
    expected.extend(connected(2, 2));
    let told = told.take(addr);
    assert_eq!(told[3..3 + expected.len()], expected);
    drop(client);
    thread.join().unwrap();
}

#[test]
fn p1_a_call_that_fails() {
    let gone: SocketAddr = {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        port.local_addr().unwrap()
    };
    let (builder, told) = traced();
    builder.build().get(format!("http://{gone}/")).send().unwrap_err();
    let lines = told.take(gone);
    assert_eq!(
        lines[lines.len() - 3..],
        [
            "conn 1: dialled Err(ConnectionRefused)",
            "conn 1: connecting: no connection could be made",
            "call 1: Get \"http://HOST/\": failed while waiting for a connection",
        ]
    );
}

#[test]
fn p1_an_observer_of_one_call() {
    let server = Server::new([HELLO, HELLO, HELLO]);
    let (builder, all) = traced();
    let client = builder.build();
    let own = Told::default();
    text(client.get(server.url("/a")));
    text(client.get(server.url("/b")).trace(own.observer()));
    text(client.get(server.url("/c")));
    let own = own.take(server.addr);
    assert_eq!(own[0], "call 2: GET http://HOST/b");
    assert_eq!(own.last().map(String::as_str), Some("conn 1: idle"));
    let all = all.take(server.addr);
    let second: Vec<String> = all.iter().filter(|l| l.starts_with("call 2")).cloned().collect();
    assert_eq!(own[..own.len() - 1], second);
    assert!(all.iter().any(|l| l.starts_with("call 3")));
    // Without one of the client, it is still told.
    let client = Client::builder().no_proxy().build();
    let own = Told::default();
    let request = client.get("http://127.0.0.1:1/").trace(own.observer());
    request.send().unwrap_err();
    let told = own.take(server.addr);
    assert!(told.iter().any(|l| l == "conn 1: dialled Err(ConnectionRefused)"));
}

#[test]
fn p1_no_event_shows_a_secret() {
    let set = [
        ("Location", "http://ann:xyzzy@127.0.0.1:1/"),
        ("Set-Cookie", "a=xyzzy"),
    ];
    let server = Server::new([answer("302 Found", &set, "")]);
    let (builder, told) = traced();
    let client = builder.build();
    let request = client.get(format!("http://bob:xyzzy@{}/", server.addr));
    let request = request
        .header("Cookie", "b=xyzzy")
        .header("Proxy-Authorization", "xyzzy");
    request.send().unwrap_err();
    let texts = told.texts();
    assert!(texts.iter().any(|t| t.contains("Redirect")), "{texts:?}");
    for text in texts {
        assert!(!text.contains("xyzzy"), "{text}");
    }
}

#[test]
fn names_that_are_looked_up_are_told() {
    let server = Server::new([HELLO]);
    let (builder, told) = traced();
    let client = builder.resolve("h.test", [server.addr]).build();
    let url = format!("http://h.test:{}/", server.addr.port());
    assert_eq!(text(client.get(url)), "hello");
    let told = told.take(server.addr);
    assert_eq!(
        told[3..6],
        [
            "conn 1: resolve h.test",
            "conn 1: resolved Ok(1)",
            "conn 1: dial HOST"
        ]
    );
}

//! What an observer is told of calls: every step, with the reason of each decision, and no secret.

use super::told::{Told, connected, exchanged};
use super::{Raw, raw_server, script};
use crate::rt::{self, Client};
use std::net::SocketAddr;

const HI: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";

fn traced() -> (rt::ClientBuilder, Told) {
    let told = Told::default();
    (Client::builder().no_proxy().trace(told.observer()), told)
}

fn words(lines: &[&str]) -> Vec<String> {
    lines.iter().map(|l| (*l).to_string()).collect()
}

async fn text(request: rt::RequestBuilder) -> String {
    let mut response = request.send().await.expect("a response");
    response.text(100).await.expect("text")
}

#[test]
fn p1_a_call_from_its_start_to_its_end_and_another_on_the_same_connection() {
    let (addr, thread) = script([HI, HI]);
    rt::block_on(async {
        let (builder, told) = traced();
        let client = builder.build();
        assert_eq!(text(client.get(format!("http://{addr}/a"))).await, "hi");
        let mut expected = words(&["call 1: GET http://HOST/a"]);
        expected.extend(connected(1, 1));
        expected.extend(exchanged(1, 1, "GET /a", 200));
        expected.extend(words(&[
            "call 1: deliver 200, OtherStatus, NotCoded",
            "conn 1: idle",
        ]));
        assert_eq!(told.take(addr), expected);

        assert_eq!(text(client.get(format!("http://{addr}/b"))).await, "hi");
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
        assert_eq!(told.take(addr), expected);

        client.close_idle();
        assert_eq!(
            told.take(addr),
            ["conn 1: closed, idle connections are being closed"]
        );
    });
    thread.join().expect("the server");
}

#[test]
fn p1_interim_responses_and_a_body_that_waits() {
    let (addr, thread) = raw_server(1, |_, mut peer: Raw| {
        peer.until("\r\n\r\n");
        peer.send("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
        peer.send("HTTP/1.1 100 Continue\r\n\r\n");
        assert_eq!(peer.until("tea"), "tea");
        peer.send(HI);
        assert_eq!(peer.rest(), "");
    });
    rt::block_on(async {
        let (builder, told) = traced();
        let client = builder.build();
        let request = client.post(format!("http://{addr}/"));
        assert_eq!(text(request.expect_continue().body("tea")).await, "hi");
        let told = told.take(addr);
        let from = told
            .iter()
            .position(|l| l.contains("sending"))
            .expect("it is sent");
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
    });
    thread.join().expect("the server");
}

#[test]
fn p1_a_redirect_and_why_the_next_is_not_followed() {
    let to = "HTTP/1.1 303 See Other\r\nLocation: /b\r\nContent-Length: 0\r\n\r\n";
    let (addr, thread) = script([to, "HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n"]);
    rt::block_on(async {
        let (builder, told) = traced();
        let client = builder.build();
        client
            .post(format!("http://{addr}/a"))
            .send()
            .await
            .expect("a response");
        let mut expected = exchanged(1, 1, "POST /a", 303);
        expected.extend(words(&[
            "call 1: redirect /a to GET /b",
            "conn 1: idle",
            "call 1: get http://HOST",
            "call 1: got 1, reused true, was idle true",
        ]));
        expected.extend(exchanged(1, 1, "GET /b", 302));
        let told = told.take(addr);
        let from = told
            .iter()
            .position(|l| l.contains("sending"))
            .expect("it is sent");
        let end = told.len() - 2;
        assert_eq!(told[from..end], expected);
        // The reason stands with it.
        let mut last = told[end..].to_vec();
        last.sort();
        let decode = if cfg!(feature = "gzip") {
            "NoContent"
        } else {
            "NotAsked(NothingDecoded)"
        };
        let deliver = format!("call 1: deliver 302, NoLocation, {decode}");
        assert_eq!(last, [deliver, "conn 1: idle".into()]);
    });
    thread.join().expect("the server");
}

#[test]
fn p1_a_retry_and_its_reason() {
    let (addr, thread) = raw_server(2, |i, mut peer| {
        peer.request().expect("a request");
        peer.send(HI);
        if i == 0 {
            peer.request().expect("another");
        } else {
            assert_eq!(peer.rest(), "");
        }
    });
    rt::block_on(async {
        let (builder, told) = traced();
        let client = builder.build();
        assert_eq!(text(client.get(format!("http://{addr}/"))).await, "hi");
        told.take(addr);
        assert_eq!(text(client.get(format!("http://{addr}/"))).await, "hi");
        let mut expected = words(&[
            "call 2: sending GET / on 1",
            "call 2: wrote head",
            "call 2: wrote request",
            "call 2: failed, BeforeResponse, written true",
            "call 2: retry, BeforeResponse",
            "conn 1: discarded",
        ]);
        expected.extend(connected(2, 2));
        let told = told.take(addr);
        assert_eq!(told[3..3 + expected.len()], expected);
        drop(client);
    });
    thread.join().expect("the server");
}

#[test]
fn p1_a_call_that_fails_and_one_that_is_dropped() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let addr = silent.local_addr().expect("bound");
    rt::block_on(async {
        let (builder, told) = traced();
        let client = builder.build();
        let mut dropped = Box::pin(client.get(format!("http://{addr}/")).send());
        // Until the server has the request; it does not answer.
        let server = std::thread::spawn(move || {
            let mut peer = Raw::new(silent.accept().expect("accepted").0);
            peer.request().expect("a request");
            peer
        });
        std::future::poll_fn(|cx| {
            assert!(dropped.as_mut().poll(cx).is_pending());
            if server.is_finished() {
                return std::task::Poll::Ready(());
            }
            cx.waker().wake_by_ref();
            std::task::Poll::Pending
        })
        .await;
        drop(dropped);
        let lines = told.take(addr);
        let mut last = lines[lines.len() - 2..].to_vec();
        last.sort();
        assert_eq!(last, ["call 1: dropped", "conn 1: discarded"]);

        let gone: SocketAddr = {
            let port = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
            port.local_addr().expect("bound")
        };
        client
            .get(format!("http://{gone}/"))
            .send()
            .await
            .expect_err("nobody listens");
        let lines = told.take(gone);
        assert_eq!(
            lines[lines.len() - 3..],
            [
                "conn 2: dialled Err(ConnectionRefused)",
                "conn 2: connecting: no connection could be made",
                "call 2: Get \"http://HOST/\": failed while waiting for a connection",
            ]
        );
    });
}

#[test]
fn p1_an_observer_of_one_call() {
    let (addr, thread) = script([HI, HI, HI]);
    rt::block_on(async {
        let (builder, all) = traced();
        let client = builder.build();
        assert_eq!(text(client.get(format!("http://{addr}/a"))).await, "hi");
        let own = Told::default();
        let request = client.get(format!("http://{addr}/b")).trace(own.observer());
        assert_eq!(text(request).await, "hi");
        assert_eq!(text(client.get(format!("http://{addr}/c"))).await, "hi");
        let own = own.take(addr);
        assert_eq!(own[0], "call 2: GET http://HOST/b");
        assert_eq!(own.last().map(String::as_str), Some("conn 1: idle"));
        let all = all.take(addr);
        let second: Vec<String> = all.iter().filter(|l| l.starts_with("call 2")).cloned().collect();
        assert_eq!(own[..own.len() - 1], second);
        assert!(all.iter().any(|l| l.starts_with("call 3")));
        // Without one of the client, it is still told.
        let client = Client::builder().no_proxy().build();
        let own = Told::default();
        client
            .get("http://127.0.0.1:1/")
            .trace(own.observer())
            .send()
            .await
            .expect_err("nobody listens");
        assert!(
            own.take(addr)
                .iter()
                .any(|l| l == "conn 1: dialled Err(ConnectionRefused)")
        );
    });
    thread.join().expect("the server");
}

#[test]
fn p1_no_event_shows_a_secret() {
    let set = "HTTP/1.1 302 Found\r\nLocation: http://ann:xyzzy@127.0.0.1:1/\r\nSet-Cookie: a=xyzzy\r\n\
               Content-Length: 0\r\n\r\n";
    let (addr, thread) = script([set]);
    rt::block_on(async {
        let (builder, told) = traced();
        let client = builder.build();
        let request = client.get(format!("http://bob:xyzzy@{addr}/"));
        let request = request
            .header("Cookie", "b=xyzzy")
            .header("Proxy-Authorization", "xyzzy");
        request.send().await.expect_err("nobody listens");
        let texts = told.texts();
        assert!(texts.iter().any(|t| t.contains("Redirect")), "{texts:?}");
        for text in texts {
            assert!(!text.contains("xyzzy"), "{text}");
        }
    });
    thread.join().expect("the server");
}

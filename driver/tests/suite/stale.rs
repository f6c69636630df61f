//! What a server says when it gives a connection up, and what arrives all at once: answers that are easily
//! misread.

use super::raw_server;
use crate::rt::{self, Client, Status};

const HI: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
const FAREWELL: &str = "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 3\r\n\r\nbye";

#[test]
fn a_408_for_an_idle_connection_is_no_answer_to_the_next_request() {
    // The server gave the first connection up in the moment in which the second request was sent.
    let (addr, thread) = raw_server(3, |i, mut peer| {
        peer.until("\r\n\r\n");
        peer.send(if i == 2 { FAREWELL } else { HI });
        if i < 2 {
            peer.until("\r\n\r\n");
            peer.send(FAREWELL);
        }
    });
    rt::block_on(async {
        let client = Client::new();
        let url = format!("http://{addr}/");
        for _ in 0..2 {
            // The second one is sent again, on a new connection.
            let mut response = client.get(&url).send().await.expect("a response");
            assert!(!response.reused());
            assert_eq!(response.text(10).await.expect("text"), "hi");
        }
        // What may not be sent twice gets to see it.
        let mut response = client.post(&url).body("x").send().await.expect("a response");
        assert!(response.reused());
        assert_eq!(response.status(), Status::REQUEST_TIMEOUT);
        assert_eq!(response.text(10).await.expect("text"), "bye");
        // On a new connection it is an answer.
        let response = client.get(&url).send().await.expect("a response");
        assert!(!response.reused());
        assert_eq!(response.status(), Status::REQUEST_TIMEOUT);
        assert_eq!(client.pool_stats().counters.dials, 3);
    });
    thread.join().expect("the server");
}

#[test]
fn trailers_that_came_with_the_head_are_kept() {
    let (addr, thread) = raw_server(2, |i, mut peer| {
        peer.until("\r\n\r\n");
        let close = if i == 0 { "" } else { "Connection: close\r\n" };
        peer.send(format!(
            "HTTP/1.1 200 OK\r\n{close}Transfer-Encoding: chunked\r\n\r\n0\r\nX-Sum: abc\r\n\r\n"
        ));
    });
    rt::block_on(async {
        for _ in 0..2 {
            let client = Client::new();
            let request = client.get(format!("http://{addr}/"));
            let mut response = request.send().await.expect("a response");
            assert_eq!(response.text(10).await.expect("text"), "");
            let trailers = response.body().trailers().expect("trailers");
            assert_eq!(trailers.get("x-sum"), Some(&b"abc"[..]));
        }
    });
    thread.join().expect("the server");
}

#[test]
fn an_error_in_a_body_says_so() {
    let (addr, thread) = raw_server(1, |_, mut peer| {
        peer.until("\r\n\r\n");
        peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nZZ\r\n");
    });
    rt::block_on(async {
        let client = Client::new();
        let mut response = client
            .get(format!("http://{addr}/"))
            .send()
            .await
            .expect("a response");
        let error = response.text(100).await.expect_err("no chunk size");
        assert_eq!(
            error.to_string(),
            format!("Get \"http://{addr}/\": failed while reading the body")
        );
        assert!(
            matches!(error.kind(), rt::ErrorKind::Peer(_)) && error.is_body(),
            "{error:?}"
        );
    });
    thread.join().expect("the server");
}

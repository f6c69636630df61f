//! A server seen from the wire: framing, keep-alive, pipelining, expectations, failing handlers, the cap.

use super::{Chunks, Outcome, Raw, against_server, builder, ok};
use crate::rt::{self, Body, Request, Response, Status};
use antiphon_core::Headers;
use bytes::Bytes;
use std::io::{ErrorKind, Read, Write};
use std::time::{Duration, Instant};

async fn echo(mut request: Request) -> Outcome {
    let body = request.body_mut().bytes(1 << 20).await?;
    ok(format!(
        "{} {} {}",
        request.method(),
        request.target(),
        String::from_utf8_lossy(&body)
    ))
}

#[test]
fn get_is_answered_and_kept_alive() {
    against_server(builder(), echo, |addr| {
        let mut peer = Raw::connect(addr);
        for _ in 0..3 {
            peer.send("GET /a?b HTTP/1.1\r\nHost: h\r\n\r\n");
            let (head, body) = peer.response();
            assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
            assert!(head.to_lowercase().contains("\r\ndate: "), "{head}");
            assert_eq!(body, "GET /a?b ");
        }
        peer.send("GET / HTTP/1.0\r\n\r\n");
        assert!(peer.rest().starts_with("HTTP/1.1 200 OK\r\n"));
    });
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    against_server(builder(), echo, |addr| {
        let mut peer = Raw::connect(addr);
        let requests: String = (0..200)
            .map(|i| format!("GET /{i} HTTP/1.1\r\nHost: h\r\n\r\n"))
            .collect();
        peer.send(requests);
        for i in 0..200 {
            assert_eq!(peer.response().1, format!("GET /{i} "));
        }
    });
}

#[test]
fn bodies_are_read_however_they_come() {
    against_server(builder(), echo, |addr| {
        for pieces in [1, 7, 1000] {
            let mut peer = Raw::connect(addr);
            let wire = "POST /l HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello\
                        POST /c HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\n\r\n\
                        POST /z HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n";
            for piece in wire.as_bytes().chunks(pieces) {
                peer.send(piece);
            }
            assert_eq!(peer.response().1, "POST /l hello");
            assert_eq!(peer.response().1, "POST /c hello");
            assert_eq!(peer.response().1, "POST /z ");
        }
    });
}

#[test]
fn head_and_304_send_no_body() {
    let handler = |request: Request| async move {
        match request.path() {
            "/304" => Ok(Response::new(Status::NOT_MODIFIED).with_body("not sent")),
            "/stream" => ok(Body::sized(
                5,
                Chunks([Ok::<_, rt::Error>(Bytes::from_static(b"hello"))].into_iter()),
            )),
            _ => ok("hello"),
        }
    };
    against_server(builder(), handler, |addr| {
        let mut peer = Raw::connect(addr);
        for path in ["/", "/stream"] {
            peer.send(format!("HEAD {path} HTTP/1.1\r\nHost: h\r\n\r\n"));
            let head = peer.until("\r\n\r\n");
            assert!(head.to_lowercase().contains("content-length: 5\r\n"), "{head}");
        }
        peer.send("GET /304 HTTP/1.1\r\nHost: h\r\n\r\n");
        let head = peer.until("\r\n\r\n");
        assert!(head.starts_with("HTTP/1.1 304 "), "{head}");
        peer.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
        assert_eq!(peer.response().1, "hello");
    });
}

#[test]
fn streams_of_unknown_length_are_chunked_with_trailers() {
    let handler = |mut request: Request| async move {
        let body = request.body_mut().bytes(100).await?;
        let mut trailers = Headers::new();
        trailers.append("x-sum", body.len().to_string())?;
        if let Some(sent) = request.body().trailers() {
            trailers.append("x-got", sent.get("x-a").unwrap_or(b"nothing"))?;
        }
        let chunks = Chunks(
            [
                Ok::<_, rt::Error>(Bytes::from_static(b"one")),
                Ok(Bytes::from_static(b"two")),
            ]
            .into_iter(),
        );
        ok(Body::from_stream(chunks).with_trailers(trailers))
    };
    against_server(builder(), handler, |addr| {
        let mut peer = Raw::connect(addr);
        peer.send(
            "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-A: 1\r\n\r\n",
        );
        let head = peer.until("\r\n\r\n").to_lowercase();
        assert!(head.contains("transfer-encoding: chunked"), "{head}");
        assert_eq!(peer.until("0\r\n"), "3\r\none\r\n3\r\ntwo\r\n0\r\n");
        assert_eq!(peer.until("\r\n\r\n"), "x-sum: 3\r\nx-got: 1\r\n\r\n");
    });
}

#[test]
fn continue_is_sent_when_the_body_is_read_and_only_then() {
    let handler = |request: Request| async move {
        match request.path() {
            "/refuse" => Ok(Response::new(Status::CONTENT_TOO_LARGE).with_body("no")),
            _ => echo(request).await,
        }
    };
    against_server(builder(), handler, |addr| {
        let head = |path| {
            format!("POST {path} HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        };
        let mut peer = Raw::connect(addr);
        peer.send(head("/"));
        assert_eq!(peer.until("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
        peer.send("hi");
        assert_eq!(peer.response().1, "POST / hi");
        // Refused without it: whether the body comes is in doubt, so the connection ends.
        peer.send(head("/refuse"));
        let rest = peer.rest();
        assert!(
            rest.starts_with("HTTP/1.1 413 ") && rest.ends_with("no"),
            "{rest}"
        );
        assert!(rest.to_lowercase().contains("connection: close"), "{rest}");
    });
}

#[test]
fn an_unread_body_is_discarded_and_the_connection_kept() {
    against_server(
        builder(),
        |_| async { ok("done") },
        |addr| {
            let mut peer = Raw::connect(addr);
            for _ in 0..3 {
                peer.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n");
                peer.send(vec![b'x'; 100_000]);
                assert_eq!(peer.response().1, "done");
            }
        },
    );
}

#[test]
fn malformed_requests_get_one_reply_and_the_end() {
    against_server(builder(), echo, |addr| {
        for (wire, status) in [
            ("BAD\r\n\r\n", "400"),
            ("GET / HTTP/1.1\r\n\r\n", "400"),
            ("GET / HTTP/2.0\r\n\r\n", "505"),
            (
                "GET / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip\r\n\r\n",
                "501",
            ),
            (
                "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
                "400",
            ),
        ] {
            let mut peer = Raw::connect(addr);
            peer.send(wire);
            let rest = peer.rest();
            assert!(
                rest.starts_with(&format!("HTTP/1.1 {status} ")),
                "{wire:?}: {rest}"
            );
            assert_eq!(
                rest.lines().filter(|l| l.starts_with("HTTP/")).count(),
                1,
                "{rest}"
            );
        }
    });
}

#[test]
fn a_failing_handler_costs_no_more_than_its_connection() {
    let handler = |request: Request| async move {
        match request.path() {
            "/err" => Err("it went wrong".into()),
            "/panic" => panic!("a handler that panics, on purpose"),
            "/stream" => {
                let chunks = [Ok(Bytes::from_static(b"begun")), Err(rt::BoxError::from("broke"))];
                ok(Body::from_stream(Chunks(chunks.into_iter())))
            }
            "/first" => {
                let chunks: [Result<Bytes, rt::BoxError>; 1] = [Err("broke at once".into())];
                ok(Body::from_stream(Chunks(chunks.into_iter())))
            }
            "/short" => ok(Body::sized(
                10,
                Chunks([Ok::<_, rt::Error>(Bytes::from_static(b"short"))].into_iter()),
            )),
            "/bad" => Ok(Response::new(Status::CONTINUE)),
            _ => ok("fine"),
        }
    };
    against_server(builder(), handler, |addr| {
        let mut kept = Raw::connect(addr);
        let get = |path| format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n");
        for path in ["/err", "/first", "/bad"] {
            kept.send(get(path));
            assert!(kept.response().0.starts_with("HTTP/1.1 500 "), "{path}");
        }
        let mut peer = Raw::connect(addr);
        peer.send(get("/panic"));
        let rest = peer.rest();
        assert!(
            rest.starts_with("HTTP/1.1 500 ") && rest.to_lowercase().contains("connection: close"),
            "{rest}"
        );
        for (path, end) in [("/stream", "5\r\nbegun\r\n"), ("/short", "short")] {
            let mut peer = Raw::connect(addr);
            peer.send(get(path));
            let rest = peer.rest();
            assert!(rest.starts_with("HTTP/1.1 200 ") && rest.ends_with(end), "{rest}");
        }
        // Where only the end of the connection tells where the body ends, that of a part of it must be another one.
        let mut peer = std::net::TcpStream::connect(addr).expect("a connection");
        peer.write_all(b"GET /stream HTTP/1.0\r\n\r\n").expect("sent");
        let end = peer.read_to_end(&mut Vec::new()).map_err(|e| e.kind());
        assert_eq!(end, Err(ErrorKind::ConnectionReset));
        kept.send(get("/"));
        assert_eq!(kept.response().1, "fine");
    });
}

#[test]
fn a_body_may_be_read_on_another_task() {
    let handler = |request: Request| async move {
        let (head, mut body) = request.into_parts();
        let (tell, mut told) = channel();
        rt::spawn(async move {
            let _ = tell.send(body.bytes(1 << 24).await.map(|b| b.len()));
        });
        let len = told.recv().await?;
        ok(format!("{} {len}", head.method))
    };
    against_server(builder(), handler, |addr| {
        let mut peer = Raw::connect(addr);
        for len in [5, 100_000, 3_000_000] {
            peer.send(format!(
                "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: {len}\r\n\r\n"
            ));
            for piece in vec![b'x'; len].chunks(40_000) {
                peer.send(piece);
            }
            assert_eq!(peer.response().1, format!("PUT {len}"));
        }
    });
}

/// A one-shot channel of polling and patience, so that the test needs no crate for one.
fn channel<T>() -> (std::sync::mpsc::Sender<T>, Receiver<T>) {
    let (send, receive) = std::sync::mpsc::channel();
    (send, Receiver(std::sync::Mutex::new(receive)))
}

struct Receiver<T>(std::sync::Mutex<std::sync::mpsc::Receiver<T>>);

impl<T> Receiver<T> {
    async fn recv(&mut self) -> T {
        loop {
            let got = self.0.lock().expect("not poisoned").try_recv();
            match got {
                Ok(value) => return value,
                Err(_) => rt::sleep(Duration::from_millis(1)).await,
            }
        }
    }
}

#[test]
fn the_cap_keeps_connections_waiting() {
    against_server(
        builder().max_connections(2),
        |_| async { ok("in") },
        |addr| {
            let get = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
            let (mut a, mut b, mut c) = (Raw::connect(addr), Raw::connect(addr), Raw::connect(addr));
            a.send(get);
            b.send(get);
            assert_eq!((a.response().1, b.response().1), ("in".into(), "in".into()));
            c.send(get);
            c.0.set_read_timeout(Some(Duration::from_millis(200)))
                .expect("a timeout");
            assert!(
                std::io::Read::read(&mut c.0, &mut [0]).is_err(),
                "the third is not accepted"
            );
            c.0.set_read_timeout(Some(Duration::from_secs(5)))
                .expect("a timeout");
            drop(a);
            assert_eq!(c.response().1, "in");
        },
    );
}

#[test]
fn a_half_closed_client_is_answered() {
    let handler = |_| async {
        rt::sleep(Duration::from_millis(100)).await;
        ok("still here")
    };
    against_server(builder(), handler, |addr| {
        let mut peer = Raw::connect(addr);
        peer.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
        peer.0.shutdown(std::net::Shutdown::Write).expect("shut down");
        assert!(peer.rest().ends_with("still here"));
    });
}

#[test]
fn a_client_that_left_cancels_its_handler() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    struct OnDrop(Arc<AtomicBool>);
    impl Drop for OnDrop {
        fn drop(&mut self) {
            self.0.store(true, Ordering::SeqCst);
        }
    }
    let dropped = Arc::new(AtomicBool::new(false));
    let seen = dropped.clone();
    let handler = move |_| {
        let guard = OnDrop(dropped.clone());
        async move {
            rt::sleep(Duration::from_secs(60)).await;
            drop(guard);
            ok("never")
        }
    };
    against_server(builder(), handler, move |addr| {
        let mut peer = Raw::connect(addr);
        peer.send("GET / HTTP/1.1\r\nHost: h\r\n\r\nunread bytes make the close a reset");
        std::thread::sleep(Duration::from_millis(50));
        socket_reset(peer);
        let begun = Instant::now();
        while !seen.load(Ordering::SeqCst) {
            assert!(begun.elapsed() < Duration::from_secs(3), "the handler goes on");
            std::thread::sleep(Duration::from_millis(5));
        }
    });
}

/// Closes with RST: SO_LINGER of zero, for which std has no call.
fn socket_reset(peer: Raw) {
    rt::linger_zero(&peer.0);
}

/// The output is full of the answer before: the error reply waits for room, as any answer does.
#[test]
fn an_error_reply_behind_a_full_queue_is_whole() {
    let handler = |request: Request| async move {
        match request.path() {
            "/big" => ok(vec![b'x'; 300_000]),
            _ => Err("it went wrong".into()),
        }
    };
    against_server(builder(), handler, |addr| {
        let mut peer = Raw::connect(addr);
        peer.send("GET /big HTTP/1.1\r\nHost: h\r\n\r\nGET /err HTTP/1.1\r\nHost: h\r\n\r\n");
        assert_eq!(peer.response().1.len(), 300_000);
        let (head, body) = peer.response();
        assert!(head.starts_with("HTTP/1.1 500 "), "{head}");
        assert_eq!(body, "internal server error\n");
    });
}

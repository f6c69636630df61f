//! Both directions at once: echoes while sending, early answers during uploads, expectations.

use super::{Chunks, builder, ok, pattern, raw_server, start};
use crate::rt::{self, Body, BodyLen, Client, Request, Response, Status};
use bytes::Bytes;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

const MIB: usize = 1 << 20;

/// `len` bytes of the pattern, in chunks of `piece`, streamed.
fn stream(all: Bytes, piece: usize) -> impl Iterator<Item = Result<Bytes, rt::Error>> + Send + Unpin {
    let mut at = 0;
    std::iter::from_fn(move || {
        let end = (at + piece).min(all.len());
        let chunk = all.slice(at..end);
        at = end;
        (!chunk.is_empty()).then_some(Ok(chunk))
    })
}

#[test]
fn sixteen_mebibytes_are_echoed_while_being_sent() {
    rt::block_on(async {
        let handler = |request: Request| async move { ok(Body::from_stream(request.into_body())) };
        let server = start(builder(), handler);
        let client = Client::new();
        let sent = Bytes::from(pattern(16 * MIB));
        for body in [
            Body::from_stream(Chunks(stream(sent.clone(), 16 * 1024))),
            Body::sized(sent.len() as u64, Chunks(stream(sent.clone(), 100_000))),
            Body::from(sent.clone()),
        ] {
            let mut response = client
                .post(server.url("/"))
                .body(body)
                .send()
                .await
                .expect("a response");
            let mut got = 0;
            while let Some(chunk) = response.body_mut().chunk().await {
                let chunk = chunk.expect("a chunk");
                assert_eq!(chunk, sent[got..got + chunk.len()], "at {got}");
                got += chunk.len();
            }
            assert_eq!(got, sent.len());
        }
        assert_eq!(client.pool_stats().counters.dials, 1, "the connection is kept");
    });
}

#[test]
fn a_413_in_the_middle_of_a_large_upload_is_received() {
    rt::block_on(async {
        let handler = |mut request: Request| async move {
            let mut read = 0;
            while read < MIB {
                match request.body_mut().chunk().await {
                    Some(chunk) => read += chunk?.len(),
                    None => break,
                }
            }
            Ok(Response::new(Status::CONTENT_TOO_LARGE).with_body("enough"))
        };
        let server = start(builder(), handler);
        let client = Client::new();
        for _ in 0..5 {
            let sent = Arc::new(AtomicU64::new(0));
            let (count, block) = (sent.clone(), Bytes::from(vec![b'x'; 64 * 1024]));
            let chunks = (0..16 * 1024).map(move |_| {
                count.fetch_add(block.len() as u64, Ordering::Relaxed);
                Ok::<_, rt::Error>(block.clone())
            });
            let body = Body::sized(1 << 30, Chunks(chunks));
            let mut response = client
                .post(server.url("/"))
                .body(body)
                .send()
                .await
                .expect("the 413");
            assert_eq!(response.status(), Status::CONTENT_TOO_LARGE);
            assert_eq!(response.text(100).await.expect("text"), "enough");
            drop(response);
            assert!(sent.load(Ordering::Relaxed) < 1 << 29, "the upload was given up");
        }
        let stats = client.pool_stats();
        assert_eq!((stats.idle, stats.active), (0, 0), "{stats:?}");
    });
}

#[test]
fn an_early_success_lets_the_upload_finish_in_the_background() {
    let (addr, thread) = raw_server(1, |_, mut peer| {
        peer.until("\r\n\r\n");
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
        std::thread::sleep(std::time::Duration::from_millis(100));
        let mut body = vec![0; 8 * MIB];
        std::io::Read::read_exact(&mut peer.0, &mut body).expect("the whole upload");
        peer.until("\r\n\r\n");
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nagain");
    });
    rt::block_on(async {
        let client = Client::new();
        // In memory: what is left of it needs nobody's code.
        let mut response = client
            .post(format!("http://{addr}/"))
            .body(pattern(8 * MIB))
            .send()
            .await
            .expect("a response");
        assert_eq!(response.text(10).await.expect("text"), "hi");
        drop(response);
        while client.pool_stats().idle == 0 {
            rt::sleep(std::time::Duration::from_millis(5)).await;
        }
        let mut response = client
            .get(format!("http://{addr}/"))
            .send()
            .await
            .expect("a response");
        assert!(response.reused());
        assert_eq!(response.text(10).await.expect("text"), "again");
    });
    thread.join().expect("the server");
}

#[test]
fn expectations_hold_the_body_back() {
    rt::block_on(async {
        let handler = |mut request: Request| async move {
            match request.path() {
                "/no" => Ok(Response::new(Status::EXPECTATION_FAILED)),
                _ => ok(format!("{}", request.body_mut().bytes(1 << 20).await?.len())),
            }
        };
        let server = start(builder(), handler);
        let client = Client::new();
        let begun = std::time::Instant::now();
        let yes = client
            .post(server.url("/yes"))
            .body(vec![0; 100_000])
            .expect_continue();
        let mut response = yes.send().await.expect("a response");
        assert_eq!(response.text(10).await.expect("text"), "100000");
        assert!(
            begun.elapsed().as_millis() < 900,
            "nobody waited for the time-out"
        );
        let asked = Arc::new(AtomicU64::new(0));
        let count = asked.clone();
        let chunks = (0..4).map(move |_| {
            count.fetch_add(1, Ordering::Relaxed);
            Ok::<_, rt::Error>(Bytes::from_static(b"x"))
        });
        let no = client
            .post(server.url("/no"))
            .body(Body::from_stream(Chunks(chunks)))
            .expect_continue();
        let response = no.send().await.expect("a response");
        assert_eq!(response.status(), Status::EXPECTATION_FAILED);
        assert!(response.body().len() == BodyLen::None || response.body().len() == BodyLen::Known(0));
        drop(response);
        assert_eq!(asked.load(Ordering::Relaxed), 0, "the body was never asked for");
    });
    // A server that knows nothing of it: the body comes after the continue-wait.
    let (addr, thread) = raw_server(1, |_, mut peer| {
        peer.until("\r\n\r\n");
        let mut body = [0; 5];
        std::io::Read::read_exact(&mut peer.0, &mut body).expect("the body");
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    });
    rt::block_on(async {
        let mut config = rt::ClientConfig::DEFAULT;
        config.timeouts.continue_wait = Some(std::time::Duration::from_millis(200));
        let client = Client::builder().config(config).build();
        let request = client
            .post(format!("http://{addr}/"))
            .body("hello")
            .expect_continue();
        assert_eq!(request.send().await.expect("a response").status(), Status::OK);
    });
    thread.join().expect("the server");
}

/// Without a continue-wait the machine never tells that the wait is over, so the driver must not hold the body.
#[test]
fn without_a_continue_wait_the_body_follows_at_once() {
    let (addr, thread) = raw_server(1, |_, mut peer| {
        assert!(peer.until("\r\n\r\n").contains("expect: 100-continue"));
        let mut body = [0; 10];
        std::io::Read::read_exact(&mut peer.0, &mut body).expect("the body");
        assert!(body.starts_with(b"2\r\nhe\r\n"));
        peer.until("0\r\n\r\n");
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    });
    rt::block_on(async {
        let mut config = rt::ClientConfig::DEFAULT;
        config.timeouts.continue_wait = None;
        let client = Client::builder().config(config).build();
        let request = client
            .post(format!("http://{addr}/"))
            .body(Body::from_stream(Chunks(stream(Bytes::from_static(b"hello"), 2))))
            .expect_continue()
            .timeout(std::time::Duration::from_secs(5));
        assert_eq!(request.send().await.expect("a response").status(), Status::OK);
    });
    thread.join().expect("the server");
}

//! The deadlines of a call: over every hop, and while the body is read. Their exact moments are tested in the core.

use super::{builder, ok, raw_server, start};
use crate::rt::{self, Client, ErrorKind, Request, Response, Status};
use std::time::{Duration, Instant};

const WAIT: Duration = Duration::from_millis(250);

/// Not earlier than the deadline, and not much later either (machines under test are slow).
fn in_time(begun: Instant) {
    let took = begun.elapsed();
    assert!(took >= WAIT && took < WAIT * 8, "{took:?}");
}

#[test]
fn k1_the_total_deadline_covers_every_hop() {
    rt::block_on(async {
        let server = start(builder(), |request: Request| async move {
            let n: u64 = request.path()[1..].parse()?;
            rt::sleep(Duration::from_millis(100)).await;
            Ok(Response::new(Status::FOUND).with_header("location", format!("/{}", n + 1))?)
        });
        // Each hop is quick enough; all of them are not.
        let client = Client::builder().timeout(WAIT).build();
        let begun = Instant::now();
        let error = client.get(server.url("/0")).send().await.expect_err("too slow");
        in_time(begun);
        assert_eq!((error.kind(), error.deadline()), (ErrorKind::Timeout, None));
        assert!(error.is_timeout() && !error.is_redirect(), "{error:?}");
        let hop = error.url().expect("a URL");
        assert!(hop != server.url("/0"), "it names the hop: {hop}");
        // A request's own time wins.
        let begun = Instant::now();
        let request = client.get(server.url("/0")).timeout(WAIT * 2);
        request.send().await.expect_err("too slow");
        assert!(begun.elapsed() >= WAIT * 2);
    });
}

#[test]
fn k1_the_total_deadline_covers_the_body() {
    let (addr, thread) = raw_server(1, |_, mut peer| {
        peer.until("\r\n\r\n");
        peer.send("HTTP/1.1 302 Found\r\nLocation: /b\r\nContent-Length: 0\r\n\r\n");
        peer.until("\r\n\r\n");
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n");
        // Bytes keep coming; there is no stall.
        for _ in 0..40 {
            std::thread::sleep(Duration::from_millis(25));
            if std::io::Write::write(&mut peer.0, b"x").is_err() {
                break;
            }
        }
    });
    rt::block_on(async {
        let begun = Instant::now();
        let client = Client::new();
        let request = client.get(format!("http://{addr}/a")).timeout(WAIT);
        let mut response = request.send().await.expect("a head");
        let error = response.bytes(1000).await.expect_err("too slow");
        in_time(begun);
        assert!(error.is_timeout() && error.is_body(), "{error:?}");
        assert_eq!(
            error.to_string(),
            format!("Get \"http://{addr}/b\": the call's deadline passed while reading the body")
        );
        assert_eq!(error.status(), Some(Status::OK));
        let stats = client.pool_stats();
        assert_eq!((stats.idle, stats.active), (0, 0));
    });
    thread.join().expect("the server");
}

#[test]
fn k5_waiting_in_line_has_a_deadline_of_its_own() {
    rt::block_on(async {
        let server = start(builder(), |_| async { ok("hi") });
        let mut pool = rt::PoolConfig::default();
        pool.max_connections_per_host = std::num::NonZeroUsize::new(1);
        let client = Client::builder().pool(pool).acquire_timeout(WAIT).build();
        // It keeps its connection as long as its body is not read: there is more than is drained.
        let held = start(builder(), |_| async { ok(vec![b'x'; 50_000_000]) });
        let first = client.get(held.url("/")).send().await.expect("a response");
        let begun = Instant::now();
        let error = client
            .get(held.url("/"))
            .send()
            .await
            .expect_err("nothing is free");
        in_time(begun);
        assert!(error.is_timeout() && error.is_connect(), "{error:?}");
        assert_eq!(
            error.to_string(),
            format!(
                "Get \"{}\": the connection's deadline passed while waiting for a connection",
                held.url("/")
            )
        );
        // Each wait has its own, and others are not touched.
        assert_eq!(
            client
                .get(server.url("/"))
                .send()
                .await
                .expect("a response")
                .status(),
            Status::OK
        );
        drop(first);
        let next = client.get(held.url("/")).acquire_timeout(Duration::from_secs(20));
        assert_eq!(next.send().await.expect("a response").status(), Status::OK);
    });
}

#[test]
fn k6_no_time_at_all_fails_before_anything_is_dialled() {
    rt::block_on(async {
        let client = Client::new();
        let request = client.get("http://127.0.0.1:1/").timeout(Duration::ZERO);
        let error = request.send().await.expect_err("no time");
        assert!(error.is_timeout() && !error.is_connect(), "{error:?}");
        assert_eq!(client.pool_stats().counters.dials, 0);
    });
}

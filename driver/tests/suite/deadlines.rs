//! Each deadline once over real sockets, at 200 to 300 ms. Their exact moments are tested in the core.

use super::{Chunks, Raw, against_server, builder, ok, raw_server};
use crate::rt::{self, Body, Client, ClientConfig, Request, ServerConfig};
use antiphon_core::h1::DeadlineKind;
use bytes::Bytes;
use std::time::{Duration, Instant};

const WAIT: Duration = Duration::from_millis(250);

/// Not earlier than the deadline, and not much later either (machines under test are slow).
fn in_time(begun: Instant) {
    let took = begun.elapsed();
    assert!(took >= WAIT && took < WAIT * 8, "{took:?}");
}

fn server(change: impl FnOnce(&mut antiphon_core::h1::Timeouts)) -> rt::ServerBuilder {
    let mut config = ServerConfig::DEFAULT;
    change(&mut config.timeouts);
    builder().config(config)
}

#[test]
fn a_slow_head_gets_408() {
    against_server(
        server(|t| t.head = Some(WAIT)),
        |_| async { ok("hi") },
        |addr| {
            let mut peer = Raw::connect(addr);
            peer.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
            assert_eq!(peer.response().1, "hi");
            let begun = Instant::now();
            peer.send("GET / HT");
            let rest = peer.rest();
            assert!(rest.starts_with("HTTP/1.1 408 "), "{rest}");
            in_time(begun);
        },
    );
}

#[test]
fn an_idle_connection_is_closed_silently() {
    against_server(
        server(|t| t.idle = Some(WAIT)),
        |_| async { ok("hi") },
        |addr| {
            let begun = Instant::now();
            let mut new = Raw::connect(addr);
            assert_eq!(new.rest(), "");
            in_time(begun);
            let mut used = Raw::connect(addr);
            let begun = Instant::now();
            used.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
            assert_eq!(used.response().1, "hi");
            assert_eq!(used.rest(), "");
            in_time(begun);
        },
    );
}

#[test]
fn a_stalled_request_body_gets_408() {
    let handler = |mut request: Request| async move { ok(request.body_mut().bytes(1000).await?) };
    against_server(server(|t| t.body_stall = Some(WAIT)), handler, |addr| {
        let mut peer = Raw::connect(addr);
        peer.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nhello");
        let begun = Instant::now();
        let rest = peer.rest();
        assert!(rest.starts_with("HTTP/1.1 408 "), "{rest}");
        in_time(begun);
    });
}

#[test]
fn a_slow_handler_is_not_a_stalled_client() {
    let config = server(|t| {
        t.body_stall = Some(WAIT);
        t.head = Some(WAIT);
        t.write_stall = Some(WAIT);
        t.idle = Some(WAIT);
    });
    let handler = |mut request: Request| async move {
        rt::sleep(WAIT * 3).await;
        ok(request.body_mut().bytes(1000).await?)
    };
    against_server(config, handler, |addr| {
        let mut peer = Raw::connect(addr);
        peer.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello");
        assert_eq!(peer.response().1, "hello");
    });
}

#[test]
fn a_client_that_stops_reading_is_dropped() {
    let handler = |_| async {
        let block = Bytes::from(vec![b'x'; 64 * 1024]);
        ok(Body::from_stream(Chunks(
            (0..).map(move |_: u64| Ok::<_, rt::Error>(block.clone())),
        )))
    };
    rt::block_on(async {
        let running = super::start(server(|t| t.write_stall = Some(WAIT)), handler);
        let mut peer = Raw::connect(running.addr);
        peer.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
        let begun = Instant::now();
        while running.handle.connections() == 0 {
            rt::sleep(Duration::from_millis(1)).await;
        }
        while running.handle.connections() > 0 {
            assert!(begun.elapsed() < Duration::from_secs(10), "it is kept for ever");
            rt::sleep(Duration::from_millis(10)).await;
        }
        assert!(begun.elapsed() >= WAIT);
    });
}

#[test]
fn a_client_waits_so_long_and_no_longer() {
    let (addr, thread) = raw_server(3, |i, mut peer| {
        peer.until("\r\n\r\n");
        if i == 1 {
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
        }
        if i == 2 {
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n");
            for _ in 0..20 {
                std::thread::sleep(Duration::from_millis(50));
                if std::io::Write::write(&mut peer.0, b"x").is_err() {
                    return;
                }
            }
        }
        peer.rest();
    });
    let url = format!("http://{addr}/");
    rt::block_on(async {
        let mut config = ClientConfig::DEFAULT;
        config.timeouts.response_head = Some(WAIT);
        config.timeouts.body_stall = Some(WAIT);
        let client = Client::builder().config(config).build();
        let begun = Instant::now();
        let error = client.get(&url).send().await.expect_err("no head comes");
        assert_eq!(
            (error.is_timeout(), error.deadline()),
            (true, Some(DeadlineKind::ResponseHead)),
            "{error:?}"
        );
        in_time(begun);
        let begun = Instant::now();
        let mut response = client.get(&url).send().await.expect("a head");
        let error = response.bytes(100).await.expect_err("no more body comes");
        assert_eq!(error.deadline(), Some(DeadlineKind::BodyStall), "{error:?}");
        in_time(begun);
        // The request's own deadline covers the body.
        let begun = Instant::now();
        let mut response = client.get(&url).timeout(WAIT).send().await.expect("a head");
        let error = response.bytes(100).await.expect_err("it takes too long");
        assert_eq!((error.is_timeout(), error.deadline()), (true, None), "{error:?}");
        in_time(begun);
        let stats = client.pool_stats();
        assert_eq!((stats.idle, stats.active), (0, 0));
    });
    thread.join().expect("the server");
}

#[test]
fn a_connection_that_is_never_made_times_out() {
    // A full backlog takes no more connections, and says nothing.
    let listener = rt::full_listener();
    let addr = listener.local_addr().expect("bound");
    let mut held = Vec::new();
    for _ in 0..4 {
        let attempt = std::net::TcpStream::connect_timeout(&addr, Duration::from_millis(50));
        held.extend(attempt.ok());
    }
    rt::block_on(async {
        let client = Client::builder().connect_timeout(WAIT).build();
        let begun = Instant::now();
        let error = client
            .get(format!("http://{addr}/"))
            .send()
            .await
            .expect_err("it cannot connect");
        assert!(error.is_timeout(), "{error:?}");
        in_time(begun);
        // A request's own deadline may come first; the dial goes on without it.
        let client = Client::builder().connect_timeout(WAIT * 8).build();
        let begun = Instant::now();
        let error = client
            .get(format!("http://{addr}/"))
            .timeout(WAIT)
            .send()
            .await
            .expect_err("it cannot connect");
        assert!(error.is_timeout(), "{error:?}");
        in_time(begun);
        assert_eq!(client.pool_stats().waiting, 0);
    });
}

#[test]
fn idle_connections_of_a_client_are_closed_in_time() {
    rt::block_on(async {
        let running = super::start(builder(), |_| async { ok("hi") });
        let mut pool = rt::PoolConfig::default();
        pool.idle_timeout = Some(WAIT);
        let client = Client::builder().pool(pool).build();
        let begun = Instant::now();
        client.get(running.url("/")).send().await.expect("a response");
        assert_eq!(client.pool_stats().idle, 1);
        while client.pool_stats().idle > 0 {
            assert!(begun.elapsed() < Duration::from_secs(5), "it is kept for ever");
            rt::sleep(Duration::from_millis(5)).await;
        }
        in_time(begun);
    });
}

//! A client: requests and responses, reuse, retries, errors.

use super::{Chunks, Outcome, Raw, builder, ok, raw_server, start};
use crate::rt::{self, Body, BodyLen, Client, CloseReason, ErrorKind, Request, Response, Status};
use bytes::Bytes;
use std::net::TcpListener;
use std::time::Duration;

async fn describe(mut request: Request) -> Outcome {
    let body = request.body_mut().bytes(1 << 20).await?;
    let fields: String = request
        .headers()
        .iter()
        .map(|f| format!("{}={:?};", f.name.as_str(), f.value.to_str().expect("text")))
        .collect();
    ok(format!(
        "{} {} {} {}",
        request.method(),
        request.target(),
        String::from_utf8_lossy(&body),
        fields
    ))
}

#[test]
fn requests_are_sent_and_connections_reused() {
    rt::block_on(async {
        let server = start(builder(), describe);
        let client = Client::builder()
            .user_agent("test/1")
            .codings(rt::Codings::NONE)
            .build();
        for i in 0..5 {
            let mut response = client
                .get(server.url("/a?b"))
                .header("X-A", "1")
                .send()
                .await
                .expect("a response");
            assert_eq!((response.status(), response.reused()), (Status::OK, i > 0));
            assert_eq!(response.remote_addr(), Some(server.addr));
            let text = response.text(1000).await.expect("text");
            let expected = format!(
                "GET /a?b  host=\"{}\";user-agent=\"test/1\";X-A=\"1\";",
                server.addr
            );
            assert_eq!(text, expected);
            assert_eq!(response.close_reason(), None);
        }
        let stats = client.pool_stats();
        assert_eq!(
            (
                stats.idle,
                stats.active,
                stats.counters.dials,
                stats.counters.reused
            ),
            (1, 0, 1, 4)
        );

        let mut posted = client
            .post(server.url("/p"))
            .body("hello")
            .send()
            .await
            .expect("a response");
        let text = posted.text(1000).await.expect("text");
        assert!(
            text.starts_with("POST /p hello ") && text.contains("content-length=\"5\""),
            "{text}"
        );

        let chunks = Chunks(
            [
                Ok::<_, rt::Error>(Bytes::from_static(b"he")),
                Ok(Bytes::from_static(b"llo")),
            ]
            .into_iter(),
        );
        let mut streamed = client
            .put(server.url("/s"))
            .body(Body::from_stream(chunks))
            .send()
            .await
            .expect("a response");
        let text = streamed.text(1000).await.expect("text");
        assert!(
            text.starts_with("PUT /s hello ") && text.contains("transfer-encoding=\"chunked\""),
            "{text}"
        );

        let head = client.head(server.url("/")).send().await.expect("a response");
        assert!(matches!(head.body().len(), BodyLen::None | BodyLen::Known(_)));
        let mut empty = client.post(server.url("/e")).send().await.expect("a response");
        assert!(
            empty
                .text(1000)
                .await
                .expect("text")
                .contains("content-length=\"0\"")
        );
        assert_eq!(client.pool_stats().counters.dials, 1);
    });
}

#[test]
fn many_requests_at_once_share_the_pool() {
    rt::block_on(async {
        let server = start(builder(), describe);
        let client = Client::new();
        for _ in 0..3 {
            let mut tasks = Vec::new();
            for i in 0..32 {
                let (client, url) = (client.clone(), server.url(&format!("/{i}")));
                tasks.push(rt::spawn(async move {
                    let mut response = client.get(url).send().await.expect("a response");
                    response.text(1000).await.expect("text")
                }));
            }
            for (i, task) in tasks.into_iter().enumerate() {
                assert!(rt::join(task).await.starts_with(&format!("GET /{i} ")));
            }
        }
        let stats = client.pool_stats();
        assert_eq!(
            (stats.active, stats.waiting, stats.dialing),
            (0, 0, 0),
            "{stats:?}"
        );
        assert!(stats.counters.dials <= 64, "{stats:?}");
    });
}

#[test]
fn a_limit_per_host_makes_requests_wait_in_line() {
    rt::block_on(async {
        let handler = |_| async {
            rt::sleep(Duration::from_millis(5)).await;
            ok("done")
        };
        let server = start(builder(), handler);
        let mut pool = rt::PoolConfig::default();
        pool.max_connections_per_host = std::num::NonZeroUsize::new(2);
        let client = Client::builder().pool(pool).build();
        let tasks: Vec<_> = (0..16)
            .map(|_| {
                let (client, url) = (client.clone(), server.url("/"));
                rt::spawn(async move {
                    client
                        .get(url)
                        .send()
                        .await
                        .expect("a response")
                        .text(10)
                        .await
                        .expect("text")
                })
            })
            .collect();
        for task in tasks {
            assert_eq!(rt::join(task).await, "done");
        }
        let stats = client.pool_stats();
        assert_eq!(stats.counters.dials, 2, "{stats:?}");
        // A failed dial gives its place on.
        drop(server);
        let closed = TcpListener::bind("127.0.0.1:0")
            .expect("a port")
            .local_addr()
            .expect("bound");
        for _ in 0..5 {
            let error = client
                .get(format!("http://{closed}/"))
                .send()
                .await
                .expect_err("nobody listens");
            assert_eq!(error.kind(), ErrorKind::Connect);
            assert!(
                error.io_error().is_some() && error.to_string().contains(&closed.to_string()),
                "{error}"
            );
        }
        assert_eq!(client.pool_stats().dialing, 0);
    });
}

#[test]
fn interim_responses_and_trailers_are_told() {
    let (addr, thread) = raw_server(1, |_, mut peer| {
        peer.until("\r\n\r\n");
        peer.send("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 Fine\r\nTransfer-Encoding: chunked\r\n\r\n");
        peer.send("3\r\nabc\r\n0\r\nX-T: 1\r\n\r\n");
        peer.until("\r\n\r\n");
        peer.send("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi");
    });
    rt::block_on(async {
        let client = Client::new();
        let mut response = client
            .get(format!("http://{addr}/"))
            .send()
            .await
            .expect("a response");
        assert_eq!(response.reason(), b"Fine");
        assert_eq!(response.informational().len(), 1);
        assert_eq!(response.informational()[0].status, 103);
        assert_eq!(
            response.informational()[0].headers.get("link"),
            Some(&b"</a>"[..])
        );
        assert_eq!(response.text(10).await.expect("text"), "abc");
        assert_eq!(
            response.body().trailers().and_then(|t| t.get("x-t")),
            Some(&b"1"[..])
        );
        let mut response = client
            .get(format!("http://{addr}/"))
            .send()
            .await
            .expect("a response");
        assert!(response.reused());
        assert_eq!(response.text(10).await.expect("text"), "hi");
        assert_eq!(response.close_reason(), Some(CloseReason::PeerAsked));
        assert_eq!(client.pool_stats().idle, 0);
    });
    thread.join().expect("the server");
}

#[test]
fn a_stale_connection_is_replaced() {
    // The first connection dies under the second request, at the moment that it arrives.
    let (addr, thread) = raw_server(3, |i, mut peer| {
        peer.until("\r\n\r\n");
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
        match i {
            0 | 1 => drop(peer.until("\r\n\r\n")),
            _ => {}
        }
    });
    rt::block_on(async {
        let client = Client::new();
        let url = format!("http://{addr}/");
        for reused in [false, false] {
            // The second GET is sent again, on a new connection.
            let mut response = client.get(&url).send().await.expect("a response");
            assert_eq!(response.reused(), reused);
            assert_eq!(response.text(10).await.expect("text"), "hi");
        }
        // A POST may have been carried out: it is not.
        let error = client
            .post(&url)
            .body("x")
            .send()
            .await
            .expect_err("the connection ended");
        assert!(
            matches!(error.kind(), ErrorKind::Closed(_) | ErrorKind::Peer(_)),
            "{error:?}"
        );
        // A connection that was seen to close while idle is not used at all.
        client.get(&url).send().await.expect("a response");
    });
    thread.join().expect("the server");
}

#[test]
fn a_connection_closed_while_idle_is_not_used() {
    let (addr, thread) = raw_server(2, |_, mut peer| {
        peer.until("\r\n\r\n");
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
    });
    rt::block_on(async {
        let client = Client::new();
        for _ in 0..2 {
            // A POST would not be sent twice, so the end must have been seen before.
            let mut response = client
                .post(format!("http://{addr}/"))
                .body("x")
                .send()
                .await
                .expect("a response");
            assert_eq!(response.text(10).await.expect("text"), "hi");
            rt::sleep(Duration::from_millis(100)).await;
        }
    });
    thread.join().expect("the server");
}

#[test]
fn an_abandoned_body_is_drained_or_its_connection_closed() {
    rt::block_on(async {
        let handler = |request: Request| async move {
            let len = request.path()[1..].parse()?;
            ok(vec![b'x'; len])
        };
        let server = start(builder(), handler);
        let client = Client::new();
        // It may take the task that drains it a moment.
        drop(
            client
                .get(server.url("/100000"))
                .send()
                .await
                .expect("a response"),
        );
        rt::sleep(Duration::from_millis(200)).await;
        assert_eq!(client.pool_stats().idle, 1, "a small rest is drained");
        drop(
            client
                .get(server.url("/50000000"))
                .send()
                .await
                .expect("a response"),
        );
        rt::sleep(Duration::from_millis(200)).await;
        let stats = client.pool_stats();
        assert_eq!((stats.idle, stats.active), (0, 0), "a large one is not");
    });
}

#[test]
fn errors_say_what_went_wrong() {
    rt::block_on(async {
        let server = start(builder(), |_| async {
            Ok(Response::new(Status::NOT_FOUND).with_body("no such thing"))
        });
        let client = Client::new();
        let kind = async |request: rt::RequestBuilder| request.send().await.expect_err("an error").kind();
        assert_eq!(kind(client.get("nonsense")).await, ErrorKind::InvalidUrl);
        assert_eq!(
            kind(client.request("BAD METHOD", server.url("/"))).await,
            ErrorKind::InvalidRequest
        );
        let split = client.get(server.url("/")).header("x", "a\r\nInjected: yes");
        assert_eq!(kind(split).await, ErrorKind::InvalidRequest);
        let broken: [Result<Bytes, rt::BoxError>; 1] = [Err("broke".into())];
        let failing = client
            .post(server.url("/"))
            .body(Body::from_stream(Chunks(broken.into_iter())));
        assert_eq!(kind(failing).await, ErrorKind::Body);
        let long = Body::sized(
            1,
            Chunks([Ok::<_, rt::Error>(Bytes::from_static(b"long"))].into_iter()),
        );
        assert_eq!(
            kind(client.post(server.url("/")).body(long)).await,
            ErrorKind::Body
        );

        let mut response = client
            .get(server.url("/"))
            .send()
            .await
            .expect("statuses are no errors");
        assert_eq!(response.status(), Status::NOT_FOUND);
        let error = response.bytes(3).await.expect_err("too large");
        assert_eq!(error.kind(), ErrorKind::BodyTooLarge);
    });
}

#[test]
fn malformed_and_broken_responses_are_errors() {
    const WIRES: [&str; 5] = [
        "",
        "HTTP/1.1 2",
        "nonsense\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab",
    ];
    let (addr, thread) = raw_server(WIRES.len(), |i, mut peer| {
        peer.until("\r\n\r\n");
        peer.send(WIRES[i]);
    });
    rt::block_on(async {
        let client = Client::new();
        for wire in WIRES {
            let outcome = async {
                let mut response = client.get(format!("http://{addr}/")).send().await?;
                response.bytes(100).await
            };
            let error = outcome.await.expect_err(wire);
            assert!(
                matches!(error.kind(), ErrorKind::Peer(_) | ErrorKind::Closed(_)),
                "{wire:?}: {error:?}"
            );
            assert!(std::error::Error::source(&error).is_some());
        }
        let stats = client.pool_stats();
        assert_eq!((stats.idle, stats.active), (0, 0));
    });
    thread.join().expect("the server");
}

#[test]
fn what_cannot_be_sent_is_refused_before_dialling() {
    rt::block_on(async {
        use rt::antiphon_core::h1::Misuse;
        let client = Client::new();
        for (url, expected, says) in [
            ("http://h/a b", ErrorKind::InvalidUrl, "percent-encoded"),
            ("http://h/\r\nX: y", ErrorKind::InvalidUrl, "percent-encoded"),
            ("http://h/\u{7f}", ErrorKind::InvalidUrl, "percent-encoded"),
            ("http://u:pw@h:99999/", ErrorKind::InvalidUrl, "from 1 to 65535"),
            ("http://:80/", ErrorKind::InvalidUrl, "the host is empty"),
            ("http://#h", ErrorKind::InvalidUrl, "the host is empty"),
            ("ftp://h/", ErrorKind::InvalidUrl, "only http and https"),
            ("h/p", ErrorKind::InvalidUrl, "it must begin with"),
        ] {
            let e = client.get(url).send().await.expect_err(url);
            assert_eq!(e.kind(), expected, "{url:?}: {e}");
            let why = std::error::Error::source(&e).expect("a reason").to_string();
            assert!(why.contains(says), "{url:?}: {why}");
            assert!(!format!("{e} {e:?}").contains("pw"), "{e:?}");
        }
        let get = || client.get("http://127.0.0.1:1/");
        let post = || client.post("http://127.0.0.1:1/");
        let invalid = ErrorKind::InvalidRequest;
        for (what, request, expected) in [
            (
                "two hosts",
                get().header("host", "a").header("Host", "b"),
                ErrorKind::Misuse(Misuse::HostField),
            ),
            ("a method", client.request("G T", "http://127.0.0.1:1/"), invalid),
            ("a name", get().header("a b", "c"), invalid),
            ("a value", get().header("a", "b\r\nc: d"), invalid),
            (
                "lengths",
                post().header("content-length", "1, 2"),
                ErrorKind::Misuse(Misuse::ForbiddenField),
            ),
            (
                "short",
                post().header("content-length", "9").body("abc"),
                ErrorKind::Misuse(Misuse::BodyTooShort),
            ),
            (
                "long",
                post().header("content-length", "1").body("abc"),
                ErrorKind::Misuse(Misuse::BodyTooLong),
            ),
            (
                "short, held back",
                post().expect_continue().header("content-length", "9").body("abc"),
                ErrorKind::Misuse(Misuse::BodyTooShort),
            ),
            (
                "a tunnel with a body",
                client.request("CONNECT", "http://127.0.0.1:1/").body("abc"),
                ErrorKind::Misuse(Misuse::Target),
            ),
        ] {
            let e = request.send().await.expect_err(what);
            assert_eq!(e.kind(), expected, "{what}: {e:?}");
        }
        assert_eq!(client.pool_stats().counters.dials, 0, "nothing was dialled");
    });
}

#[test]
fn an_empty_idempotency_key_counts_and_is_not_sent() {
    let (addr, thread) = raw_server(2, |i, mut peer| {
        peer.until("\r\n\r\n");
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
        if i == 0 {
            // Closed under the second request.
            let head = peer.until("\r\n\r\n").to_lowercase();
            assert!(
                head.starts_with("post ") && !head.contains("idempotency"),
                "{head}"
            );
        }
    });
    rt::block_on(async {
        let client = Client::new();
        let url = format!("http://{addr}/");
        client.get(&url).send().await.expect("a response");
        let post = client.post(&url).header("Idempotency-Key", "");
        let response = post.send().await.expect("it is sent again");
        assert!(!response.reused());
    });
    thread.join().expect("the server");
}

#[test]
fn a_request_is_repeated_on_a_fresh_connection_although_another_is_idle() {
    // Two connections are idle when one of them dies under a request. The other may be as dead: it is not used.
    const HI: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let addr = listener.local_addr().expect("bound");
    let thread = std::thread::spawn(move || {
        let accept = || Raw::new(listener.accept().expect("accepted").0);
        let mut both = [accept(), accept()];
        // Neither is answered before both have a request: else one of them could serve both.
        for peer in &mut both {
            peer.until("\r\n\r\n");
        }
        let idle = both.map(|mut peer| {
            std::thread::spawn(move || {
                peer.send(HI);
                // Whichever of the two it is: when a request comes, the connection ends.
                let _ = std::io::Read::read(&mut peer.0, &mut [0]);
            })
        });
        let mut fresh = accept();
        fresh.until("\r\n\r\n");
        fresh.send(HI);
        for peer in idle {
            peer.join().expect("a peer");
        }
    });
    rt::block_on(async {
        let client = Client::new();
        let url = format!("http://{addr}/");
        let get = async |client: Client| {
            let mut response = client.get(&url).send().await.expect("a response");
            response.text(9).await.expect("text");
            response.reused()
        };
        // The first is answered only once the second is there, so that there are two connections.
        let request = client.get(&url).timeout(Duration::from_secs(5));
        let other = rt::spawn(async move { request.send().await.expect("a response").text(9).await });
        get(client.clone()).await;
        rt::join(other).await.expect("text");
        assert_eq!(client.pool_stats().idle, 2);
        assert!(!get(client.clone()).await);
        let stats = client.pool_stats();
        assert_eq!(stats.counters.dials, 3);
        assert_eq!(
            stats.idle, 2,
            "the other one is left to those who find it: {stats:?}"
        );
    });
    thread.join().expect("the server");
}

/// Heads may be longer than what may be queued; that leaves no less room for the body.
#[test]
fn a_head_longer_than_the_send_buffer_goes_with_a_body() {
    let (addr, thread) = raw_server(1, |_, mut peer| {
        assert!(peer.until("\r\n\r\n").len() > 70_000);
        peer.until("hello");
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    });
    rt::block_on(async {
        let client = Client::new();
        let request = client
            .post(format!("http://{addr}/"))
            .header("x-long", "x".repeat(70_000))
            .body("hello");
        assert_eq!(request.send().await.expect("a response").status(), Status::OK);
    });
    thread.join().expect("the server");
}

//! TLS: with targets, with proxies, with targets through proxies; and all the ways in which it fails.

use super::secured::{Secured, Talk};
use crate::authority::Authority;
use crate::world::pipe::{End, Shape};
use crate::world::{World, ms};
use antiphon_core::client::connect::{ConnectCause, Phase};
use antiphon_driver::{Client, ClientBuilder, ConnectConfig, Error, ErrorKind, TlsError};
use antiphon_support::tls::rustls::ServerConfig;
use std::error::Error as _;
use std::sync::{Arc, Mutex};

const HI: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
const AT: &str = "192.0.2.1:443";

/// A client that takes the authority's word, and nobody else's.
fn trusting(authority: &Authority, world: &World) -> ClientBuilder<World> {
    ClientBuilder::with_runtime(world.clone())
        .no_proxy()
        .tls(authority.trusted())
}

fn get(world: &World, client: &Client<World>, url: &str) -> Result<String, Error> {
    world.run(async { client.get(url).send().await?.text(1 << 20).await })
}

/// The TLS library's error among the causes.
fn tls_error(error: &Error) -> &TlsError {
    let mut at = error.source();
    while let Some(e) = at {
        if let Some(found) = e.downcast_ref() {
            return found;
        }
        at = e.source();
    }
    panic!("no TLS error in {error:?}");
}

/// Echoes the bodies of requests with a length.
async fn echo<T: Talk>(mut end: Secured<T>) {
    loop {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            match end.get().await {
                Some(byte) => head.push(byte),
                None => return,
            }
        }
        let head = String::from_utf8(head).expect("text").to_ascii_lowercase();
        let length = head.lines().find_map(|l| l.strip_prefix("content-length: "));
        let length: usize = length.map_or(0, |n| n.parse().expect("a length"));
        let mut body = Vec::new();
        while body.len() < length {
            body.push(end.get().await.expect("the body"));
        }
        end.put(format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n").as_bytes())
            .await;
        end.put(&body).await;
    }
}

fn serve_echo(world: &World, shape: Shape, config: Arc<ServerConfig>) {
    world.serve_shaped(AT, ms(5), shape, move |_, end| {
        let config = config.clone();
        async move { echo(Secured::accept(end, &config).await.expect("a handshake")).await }
    });
}

#[test]
fn bodies_both_ways_over_any_kind_of_connection() {
    let authority = Authority::new("ours");
    let body: String = (0..20_000)
        .map(|i| char::from(b'a' + (i * 7 % 26) as u8))
        .collect();
    for (room, step) in [
        (64 * 1024, usize::MAX),
        (64 * 1024, 1),
        (1, 1),
        (100, 7),
        (5_000, 4_999),
    ] {
        let world = World::default();
        world.name("h.example", ms(0), &["192.0.2.1:0"]);
        serve_echo(&world, Shape { room, step }, authority.server("h.example", false));
        let client = trusting(&authority, &world).build();
        for _ in 0..3 {
            let post = async {
                let request = client.post("https://h.example/").body(body.clone());
                request.send().await?.text(1 << 20).await
            };
            assert!(
                world.run(post).expect("an answer") == body,
                "room {room}, steps of {step}"
            );
        }
        assert_eq!(
            client.pool_stats().counters.dials,
            1,
            "room {room}, steps of {step}"
        );
    }
}

#[test]
fn a_server_that_speaks_http_is_told_apart() {
    let authority = Authority::new("ours");
    let world = World::default();
    world.serve(AT, ms(0), |_, mut end| async move {
        end.send("HTTP/1.1 400 Bad Request\r\n\r\n").await;
    });
    let client = trusting(&authority, &world).build();
    let error = get(&world, &client, "https://192.0.2.1/").expect_err("no TLS");
    assert_eq!(error.kind(), ErrorKind::Tls);
    assert_eq!(tls_error(&error), &TlsError::HttpInsteadOfTls);
    let why = error.connect_error().expect("it was about connecting");
    assert_eq!((why.phase(), why.cause()), (Phase::TargetTls, ConnectCause::Tls));
    assert_eq!((why.host(), why.port()), ("192.0.2.1", 443));
}

#[test]
fn certificates_that_are_not_accepted() {
    let ours = Authority::new("ours");
    let theirs = Authority::new("theirs");
    for (server, words) in [
        (ours.server("other.example", false), "not valid for name"),
        (ours.server("h.example", true), "expired"),
        (theirs.server("h.example", false), "UnknownIssuer"),
    ] {
        let world = World::default();
        world.name("h.example", ms(0), &["192.0.2.1:0"]);
        let heard = Arc::new(Mutex::new(None));
        let h = heard.clone();
        world.serve(AT, ms(0), move |_, end| {
            let (server, heard) = (server.clone(), h.clone());
            async move {
                let result = Secured::accept(end, &server).await.map(|_| ());
                *heard.lock().expect("unharmed") = Some(result);
            }
        });
        let client = trusting(&ours, &world).build();
        let error = get(&world, &client, "https://h.example/").expect_err("not trusted");
        assert_eq!(error.kind(), ErrorKind::Tls);
        let TlsError::Certificate(why) = tls_error(&error) else {
            panic!("{error:?}");
        };
        assert!(why.to_string().contains(words), "{why}");
        // The server is told why.
        world.run(world.sleep(ms(1)));
        let heard = heard.lock().expect("unharmed").take();
        let text = format!("{heard:?}");
        assert!(text.contains("AlertReceived"), "{text}");
    }
}

#[test]
fn a_handshake_that_stalls_has_ten_seconds() {
    let authority = Authority::new("ours");
    let server = authority.server("h.example", false);
    // At each point: before the first byte, and within the server's flight.
    for say in [0, 1, 5, 100, 400] {
        let world = World::default();
        world.name("h.example", ms(0), &["192.0.2.1:0"]);
        let (w, server) = (world.clone(), server.clone());
        world.serve(AT, ms(5), move |_, end| {
            let (world, server) = (w.clone(), server.clone());
            async move {
                let mut stalls = Stalls { end, left: say };
                if say > 0 {
                    let accepted = Secured::accept(&mut stalls, &server).await;
                    assert!(accepted.is_err() || stalls.left == 0);
                }
                world.sleep(ms(1_000_000)).await;
                drop(stalls);
            }
        });
        let client = trusting(&authority, &world).build();
        let error = get(&world, &client, "https://h.example/").expect_err("a stall");
        assert_eq!(world.clock(), 10_005, "after {say} bytes");
        assert!(error.is_timeout());
        let why = error.connect_error().expect("it was about connecting");
        assert_eq!(
            (why.phase(), why.cause()),
            (Phase::TargetTls, ConnectCause::PhaseTimeout)
        );
    }
}

/// Says no more than so many bytes, and hears nothing then.
struct Stalls {
    end: End,
    left: usize,
}

impl Talk for &mut Stalls {
    async fn get(&mut self) -> Option<u8> {
        if self.left == 0 {
            return std::future::pending().await;
        }
        self.end.get().await
    }

    async fn put(&mut self, bytes: &[u8]) {
        let n = bytes.len().min(self.left);
        self.left -= n;
        self.end.put(&bytes[..n]).await;
        if n < bytes.len() {
            std::future::pending().await
        }
    }
}

#[test]
fn a_body_that_is_cut_off_is_an_error_unless_its_end_is_known() {
    let authority = Authority::new("ours");
    // The answer, whether the server says that this was all, and what the client makes of it.
    for (answer, farewell, whole) in [
        ("HTTP/1.1 200 OK\r\n\r\nhi", true, true),
        ("HTTP/1.1 200 OK\r\n\r\nhi", false, false),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", false, true),
        ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhi", true, false),
        ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhi", false, false),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
            false,
            true,
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n",
            false,
            false,
        ),
    ] {
        let world = World::default();
        world.name("h.example", ms(0), &["192.0.2.1:0"]);
        let server = authority.server("h.example", false);
        world.serve(AT, ms(0), move |_, end| {
            let server = server.clone();
            async move {
                let mut end = Secured::accept(end, &server).await.expect("a handshake");
                end.until("\r\n\r\n").await;
                end.put(answer.as_bytes()).await;
                if farewell {
                    end.close_notify().await;
                }
            }
        });
        let client = trusting(&authority, &world).build();
        match get(&world, &client, "https://h.example/") {
            Ok(text) => assert!(whole && text == "hi", "{answer:?} {farewell}: {text}"),
            Err(error) => {
                assert!(!whole, "{answer:?} {farewell}: {error:?}");
                if !farewell {
                    assert_eq!(tls_error(&error), &TlsError::Truncated);
                }
            }
        }
    }
}

#[test]
fn an_idle_connection_is_dead_after_close_notify_and_alive_after_a_key_update() {
    let authority = Authority::new("ours");
    for (dies, dials) in [(true, 2), (false, 1)] {
        let world = World::default();
        world.name("h.example", ms(0), &["192.0.2.1:0"]);
        let server = authority.server("h.example", false);
        let w = world.clone();
        world.serve(AT, ms(0), move |n, end| {
            let (world, server) = (w.clone(), server.clone());
            async move {
                let mut end = Secured::accept(end, &server).await.expect("a handshake");
                end.until("\r\n\r\n").await;
                end.put(HI.as_bytes()).await;
                world.sleep(ms(100)).await;
                if n == 0 && dies {
                    end.close_notify().await;
                    world.sleep(ms(1_000)).await;
                    return;
                }
                // Records without content, one of which wants an answer.
                end.tls.refresh_traffic_keys().expect("TLS 1.3");
                end.pass_on().await;
                end.until("\r\n\r\n").await;
                end.put(HI.as_bytes()).await;
                assert!(end.hears_farewell().await, "it said goodbye");
                world.note(format_args!("farewell"));
            }
        });
        let client = trusting(&authority, &world).build();
        let post = || async {
            client
                .post("https://h.example/")
                .body("")
                .send()
                .await?
                .text(10)
                .await
        };
        assert_eq!(world.run(post()).expect("an answer"), "hi");
        world.run(world.sleep(ms(500)));
        // A POST is not sent twice: it must find the right connection at once.
        assert_eq!(world.run(post()).expect("an answer"), "hi");
        assert_eq!(client.pool_stats().counters.dials, dials);
        if !dies {
            client.close_idle();
            world.run(world.sleep(ms(1)));
            assert!(world.notes().last().expect("notes").ends_with("farewell"));
        }
    }
}

#[test]
fn tls_with_the_proxy_and_within_its_tunnel_with_the_target() {
    let authority = Authority::new("ours");
    for (room, step) in [(64 * 1024, usize::MAX), (100, 7)] {
        let world = World::default();
        world.name("proxy.example", ms(0), &["192.0.2.9:0"]);
        let proxy = authority.server("proxy.example", false);
        let target = authority.server("h.example", false);
        world.serve_shaped("192.0.2.9:443", ms(0), Shape { room, step }, move |_, end| {
            let (proxy, target) = (proxy.clone(), target.clone());
            async move {
                let mut outer = Secured::accept(end, &proxy)
                    .await
                    .expect("a handshake with the proxy");
                let head = outer.until("\r\n\r\n").await;
                if head.starts_with("GET http://h.example/ HTTP/1.1\r\n") {
                    return outer.put(HI.as_bytes()).await;
                }
                assert!(head.starts_with("CONNECT h.example:443 HTTP/1.1\r\n"), "{head}");
                outer.put(b"HTTP/1.1 200 OK\r\n\r\n").await;
                echo(
                    Secured::accept(outer, &target)
                        .await
                        .expect("a handshake with the target"),
                )
                .await;
            }
        });
        let client = ClientBuilder::with_runtime(world.clone())
            .proxy("https://proxy.example".parse().expect("a proxy"))
            .tls(authority.trusted())
            .build();
        assert_eq!(
            get(&world, &client, "http://h.example/").expect("an answer"),
            "hi"
        );
        let body = "x".repeat(5_000);
        for _ in 0..2 {
            let post = async {
                let request = client.post("https://h.example/").body(body.clone());
                request.send().await?.text(1 << 20).await
            };
            assert!(world.run(post).expect("an answer") == body);
        }
        assert_eq!(client.pool_stats().counters.dials, 2);
    }
}

#[test]
fn which_handshake_failed() {
    let authority = Authority::new("ours");
    for (proxy_name, target_name, phase, host) in [
        ("other.example", "h.example", Phase::ProxyTls, "proxy.example"),
        ("proxy.example", "other.example", Phase::TargetTls, "h.example"),
    ] {
        let world = World::default();
        world.name("proxy.example", ms(0), &["192.0.2.9:0"]);
        let proxy = authority.server(proxy_name, false);
        let target = authority.server(target_name, false);
        world.serve("192.0.2.9:443", ms(0), move |_, end| {
            let (proxy, target) = (proxy.clone(), target.clone());
            async move {
                let Ok(mut outer) = Secured::accept(end, &proxy).await else {
                    return;
                };
                outer.until("\r\n\r\n").await;
                outer.put(b"HTTP/1.1 200 OK\r\n\r\n").await;
                let _ = Secured::accept(outer, &target).await;
            }
        });
        let client = ClientBuilder::with_runtime(world.clone())
            .proxy("https://proxy.example".parse().expect("a proxy"))
            .tls(authority.trusted())
            .build();
        let error = get(&world, &client, "https://h.example/").expect_err("a wrong name");
        assert_eq!(error.kind(), ErrorKind::Tls);
        let why = error.connect_error().expect("it was about connecting");
        assert_eq!((why.phase(), why.host()), (phase, host));
    }
}

#[test]
fn the_answer_of_a_proxy_may_carry_the_first_bytes_of_the_target() {
    let authority = Authority::new("ours");
    let world = World::default();
    world.name("proxy", ms(0), &["192.0.2.9:0"]);
    world.serve("192.0.2.9:80", ms(0), |_, mut end| async move {
        end.until("\r\n\r\n").await;
        // No server speaks first in TLS: these are read, and understood.
        end.send("HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 400 Bad Request\r\n\r\n")
            .await;
        end.rest().await;
    });
    let client = ClientBuilder::with_runtime(world.clone())
        .proxy("http://proxy".parse().expect("a proxy"))
        .tls(authority.trusted())
        .build();
    let error = get(&world, &client, "https://h.example/").expect_err("no TLS");
    assert_eq!(tls_error(&error), &TlsError::HttpInsteadOfTls);
}

#[test]
fn an_upload_goes_on_while_nobody_reads() {
    // The last of what was written lies in the TLS stream when the connection takes nothing for a while.
    let authority = Authority::new("ours");
    let world = World::default();
    world.name("h.example", ms(0), &["192.0.2.1:0"]);
    let server = authority.server("h.example", false);
    let w = world.clone();
    let shape = Shape {
        room: 3_000,
        step: usize::MAX,
    };
    world.serve_shaped(AT, ms(0), shape, move |_, end| {
        let (world, server) = (w.clone(), server.clone());
        async move {
            let mut end = Secured::accept(end, &server).await.expect("a handshake");
            end.until("\r\n\r\n").await;
            world.sleep(ms(1_000)).await;
            for _ in 0..10_000 {
                end.get().await.expect("the body");
            }
            world.note(format_args!("uploaded"));
            end.put(HI.as_bytes()).await;
        }
    });
    let client = trusting(&authority, &world).build();
    let post = async {
        let request = client.post("https://h.example/").body("x".repeat(10_000));
        request.send().await?.text(10).await
    };
    assert_eq!(world.run(post).expect("an answer"), "hi");
    assert!(
        world.notes().contains(&"1000 uploaded".to_string()),
        "{:?}",
        world.notes()
    );
}

#[test]
fn a_peer_that_says_goodbye_within_the_handshake() {
    const CLOSE_NOTIFY: &[u8] = b"\x15\x03\x03\x00\x02\x01\x00";
    let authority = Authority::new("ours");
    let world = World::default();
    world.name("proxy", ms(0), &["192.0.2.9:0"]);
    world.serve(AT, ms(0), |_, mut end| async move {
        end.send(CLOSE_NOTIFY).await;
        end.rest().await;
    });
    // ... and more behind it, which came with the proxy's answer.
    world.serve("192.0.2.9:80", ms(0), |_, mut end| async move {
        end.until("\r\n\r\n").await;
        let answer = [&b"HTTP/1.1 200 OK\r\n\r\n"[..], CLOSE_NOTIFY, &[0; 20_000]].concat();
        end.send(answer).await;
        end.rest().await;
    });
    let direct = trusting(&authority, &world).build();
    let proxy = "http://proxy".parse().expect("a proxy");
    let through = trusting(&authority, &world).proxy(proxy).build();
    for client in [direct, through] {
        let error = get(&world, &client, "https://192.0.2.1/").expect_err("no TLS");
        // The alert is no answer: at the latest the time of the handshake ends it.
        assert!(
            matches!(error.kind(), ErrorKind::Tls | ErrorKind::Timeout),
            "{error:?}"
        );
        let why = error.connect_error().expect("it was about connecting");
        assert_eq!(why.phase(), Phase::TargetTls);
    }
    assert!(world.clock() <= 20_000);
}

#[test]
fn the_time_for_a_handshake_can_be_set() {
    let authority = Authority::new("ours");
    let world = World::default();
    let w = world.clone();
    world.serve(AT, ms(0), move |_, end| {
        let world = w.clone();
        async move {
            world.sleep(ms(1_000_000)).await;
            drop(end);
        }
    });
    let mut config = ConnectConfig::DEFAULT;
    config.tls_timeout = Some(ms(300));
    let client = trusting(&authority, &world).connect(config).build();
    let error = get(&world, &client, "https://192.0.2.1/").expect_err("a stall");
    assert!(error.is_timeout());
    assert_eq!(world.clock(), 300);
}

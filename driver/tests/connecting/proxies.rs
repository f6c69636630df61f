//! What is said to proxies, and what becomes of their answers.

use crate::world::pipe::{End, Shape};
use crate::world::{World, ms};
use antiphon_core::client::connect::{ConnectCause, Phase};
use antiphon_core::client::socks::{Reply, SocksError};
use antiphon_core::client::tunnel::TunnelError;
use antiphon_core::{Headers, Status};
use antiphon_driver::{Client, ClientBuilder, ConnectConfig, Error, ErrorKind, ProxyRules};
use std::io;

const PROXY: &str = "192.0.2.9:3128";

/// A client that sends everything through this proxy, which is at [`PROXY`] (a name's address is 192.0.2.9).
fn through(world: &World, proxy: &str) -> ClientBuilder<World> {
    world.name("proxy", ms(0), &["192.0.2.9:0"]);
    ClientBuilder::with_runtime(world.clone()).proxy(proxy.parse().expect("a proxy"))
}

fn get(world: &World, client: &Client<World>, url: &str) -> Result<String, Error> {
    world.run(async { client.get(url).send().await?.text(100).await })
}

/// Answers every request with its own first line and the fields that matter to a proxy.
async fn mirror(_: usize, mut end: End) {
    while let Some(head) = end.head().await {
        let told: Vec<_> = head
            .lines()
            .filter(|l| l.starts_with("GET") || l.starts_with("host") || l.starts_with("proxy"))
            .collect();
        let body = told.join("|");
        end.send(format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ))
        .await;
    }
}

#[test]
fn plain_requests_are_passed_on_and_share_connections() {
    let world = World::default();
    world.serve(PROXY, ms(0), mirror);
    let client = through(&world, "http://ann:secret@proxy:3128").build();
    assert_eq!(
        get(&world, &client, "http://a.example/x?y").expect("an answer"),
        "GET http://a.example/x?y HTTP/1.1|host: a.example|proxy-authorization: Basic YW5uOnNlY3JldA=="
    );
    assert_eq!(
        get(&world, &client, "http://b.example:81/").expect("an answer"),
        "GET http://b.example:81/ HTTP/1.1|host: b.example:81|proxy-authorization: Basic YW5uOnNlY3JldA=="
    );
    // PL1: the second found the connection of the first. Neither name was looked up here.
    assert_eq!(client.pool_stats().counters.dials, 1);
    assert_eq!(world.notes(), ["0 resolve proxy", "0 dial 192.0.2.9:3128"]);
}

#[test]
fn which_requests_go_through_it() {
    let world = World::default();
    world.name("proxy", ms(0), &["192.0.2.9:0"]);
    world.name("direct.example", ms(0), &["192.0.2.1:0"]);
    world.serve(PROXY, ms(0), mirror);
    for direct in ["127.0.0.1:80", "192.0.2.1:80"] {
        world.serve(direct, ms(0), mirror);
    }
    let rules = ProxyRules::from_env(|name| match name {
        "HTTP_PROXY" => Some("proxy:3128".into()),
        "NO_PROXY" => Some("direct.example".into()),
        _ => None,
    });
    let client = ClientBuilder::with_runtime(world.clone()).proxies(rules).build();
    for (url, line) in [
        ("http://a.example/", "GET http://a.example/ HTTP/1.1"),
        ("http://direct.example/", "GET / HTTP/1.1"),
        ("http://127.0.0.1/", "GET / HTTP/1.1"),
    ] {
        let told = get(&world, &client, url).expect("an answer");
        assert_eq!(told.split('|').next(), Some(line));
    }
}

#[test]
fn a_rule_that_cannot_be_understood_fails_and_shows_no_secret() {
    let world = World::default();
    let rules = ProxyRules::from_env(|name| (name == "HTTP_PROXY").then(|| "ftp://u:secret@proxy".into()));
    let client = ClientBuilder::with_runtime(world.clone()).proxies(rules).build();
    let error = get(&world, &client, "http://a.example/").expect_err("no way");
    assert_eq!(error.kind(), ErrorKind::Proxy);
    let text = format!("{error} {error:?}");
    assert!(!text.contains("secret"), "{text}");
    assert!(text.contains("HTTP_PROXY") || text.contains("Scheme"), "{text}");
    assert!(world.notes().is_empty());
}

#[test]
fn a_proxy_that_cannot_be_reached_is_named() {
    let world = World::default();
    world.fail(PROXY, ms(0), io::ErrorKind::ConnectionRefused);
    let client = through(&world, "http://u:secret@proxy:3128").build();
    let error = get(&world, &client, "http://a.example/").expect_err("no way");
    assert_eq!(error.kind(), ErrorKind::Proxy);
    let why = error.connect_error().expect("it was about connecting");
    assert_eq!(
        (why.phase(), why.host(), why.port()),
        (Phase::Dial, "proxy", 3128)
    );
    assert!(why.through_proxy());
    assert!(!format!("{error:?}").contains("secret"));
}

/// What a proxy is told of a tunnel, and what the client makes of `answer`.
fn asked(proxy: &str, answer: &'static str, shape: Shape) -> (World, Result<String, Error>, String) {
    let world = World::default();
    let w = world.clone();
    let heard = std::sync::Arc::new(std::sync::Mutex::new(String::new()));
    let h = heard.clone();
    world.serve_shaped(PROXY, ms(0), shape, move |_, mut end| {
        let (world, heard) = (w.clone(), h.clone());
        async move {
            *heard.lock().expect("unharmed") = end.until("\r\n\r\n").await;
            match answer {
                "" => {}
                "..." => world.sleep(ms(1_000_000)).await,
                answer => {
                    end.send(answer).await;
                    end.rest().await;
                }
            }
        }
    });
    let mut fields = Headers::new();
    fields.append("x-token", "abc").expect("a field");
    let client = through(&world, proxy).proxy_headers(fields).build();
    let result = get(&world, &client, "https://target.example/");
    drop(client);
    let heard = heard.lock().expect("unharmed").clone();
    (world, result, heard)
}

#[cfg(feature = "tls")]
#[test]
fn a_refused_tunnel_tells_what_the_proxy_said() {
    let answer = "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\n\
                  Content-Length: 18\r\n\r\nwho are you?\n\x1b[31m";
    for step in [usize::MAX, 1] {
        let shape = Shape { room: 4096, step };
        let (_, result, heard) = asked("http://ann:secret@proxy:3128", answer, shape);
        assert_eq!(
            heard,
            concat!(
                "CONNECT target.example:443 HTTP/1.1\r\nhost: target.example:443\r\n",
                "proxy-authorization: Basic YW5uOnNlY3JldA==\r\nx-token: abc\r\n",
                "user-agent: antiphon/",
                env!("CARGO_PKG_VERSION"),
                "\r\n\r\n"
            )
        );
        let error = result.expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::Proxy);
        let status = Status::PROXY_AUTHENTICATION_REQUIRED;
        let why = error.connect_error().expect("it was about connecting");
        assert_eq!(why.cause(), ConnectCause::Tunnel(TunnelError::Refused(status)));
        let told = error.proxy_answer().expect("an answer");
        assert_eq!(told.status(), status);
        if step > 1 {
            assert_eq!(told.body(), b"who are you?\n\x1b[31m");
            // Nothing of it gets at a terminal.
            let told = crate::world::chain(&error);
            assert!(told.contains(": \"who are you?\\n\\x1b[31m\""), "{told}");
            assert!(!told.contains('\x1b'), "{told}");
        }
        assert!(!format!("{error:?}").contains("secret"));
    }
}

#[cfg(feature = "tls")]
#[test]
fn tunnels_that_come_to_nothing() {
    let shape = Shape::default();
    let (_, result, _) = asked("http://proxy:3128", "", shape);
    let error = result.expect_err("no answer");
    assert_eq!(error.kind(), ErrorKind::Proxy);
    let why = error.connect_error().expect("it was about connecting").cause();
    assert!(
        matches!(
            why,
            ConnectCause::Tunnel(TunnelError::Closed(_) | TunnelError::Proxy(_))
        ),
        "{why:?}"
    );

    let (_, result, _) = asked("http://proxy:3128", "SSH-2.0-OpenSSH\r\n\r\n", shape);
    let why = result.expect_err("no HTTP");
    let why = why.connect_error().expect("it was about connecting").cause();
    assert!(
        matches!(why, ConnectCause::Tunnel(TunnelError::Proxy(_))),
        "{why:?}"
    );

    // A minute, unless something else is said.
    let (world, result, _) = asked("http://proxy:3128", "...", shape);
    let error = result.expect_err("no answer in time");
    assert!(error.is_timeout());
    assert_eq!(world.clock(), 60_000);
    let why = error.connect_error().expect("it was about connecting");
    assert_eq!(
        (why.phase(), why.cause()),
        (Phase::Proxy, ConnectCause::PhaseTimeout)
    );
}

/// Plays a SOCKS proxy: each pair is what it hears and what it says. Then it is the target.
fn socks(world: &World, script: &'static [(&'static [u8], &'static [u8])], shape: Shape) {
    world.serve_shaped(PROXY, ms(0), shape, move |_, mut end| async move {
        for (hears, says) in script {
            let heard = end.exactly(hears.len()).await;
            assert_eq!(heard.escape_ascii().to_string(), hears.escape_ascii().to_string());
            end.send(says).await;
        }
        mirror(0, end).await;
    });
}

#[test]
fn socks_by_name_by_address_and_with_a_password() {
    const BOUND: &[u8] = b"\x05\x00\x00\x01\x0a\x00\x00\x01\x10\x00";
    let by_name: &[(&[u8], &[u8])] = &[
        (b"\x05\x01\x00", b"\x05\x00"),
        (b"\x05\x01\x00\x03\x0etarget.example\x00\x50", BOUND),
    ];
    let by_address: &[(&[u8], &[u8])] = &[
        (b"\x05\x01\x00", b"\x05\x00"),
        (b"\x05\x01\x00\x01\xc0\x00\x02\x01\x00\x50", BOUND),
    ];
    let with_password: &[(&[u8], &[u8])] = &[
        (b"\x05\x02\x00\x02", b"\x05\x02"),
        (b"\x01\x03ann\x06secret", b"\x01\x00"),
        (
            b"\x05\x01\x00\x03\x0etarget.example\x00\x50",
            b"\x05\x00\x00\x03\x02me\x10\x00",
        ),
    ];
    for (proxy, script, looked_up) in [
        ("socks5h://proxy:3128", by_name, false),
        ("socks5://proxy:3128", by_address, true),
        ("socks5h://ann:secret@proxy:3128", with_password, false),
    ] {
        for step in [usize::MAX, 1] {
            let world = World::default();
            world.name("target.example", ms(0), &["192.0.2.1:0"]);
            socks(&world, script, Shape { room: 4096, step });
            let client = through(&world, proxy).build();
            for _ in 0..2 {
                assert_eq!(
                    get(&world, &client, "http://target.example/x").expect("an answer"),
                    "GET /x HTTP/1.1|host: target.example"
                );
            }
            assert_eq!(client.pool_stats().counters.dials, 1);
            let asked = world.notes().contains(&"0 resolve target.example".to_string());
            assert_eq!(asked, looked_up, "{proxy}");
        }
    }
}

#[test]
fn socks_that_comes_to_nothing() {
    let no_way: &[(&[u8], &[u8])] = &[
        (b"\x05\x01\x00", b"\x05\x00"),
        (
            b"\x05\x01\x00\x03\x0etarget.example\x00\x50",
            b"\x05\x05\x00\x01\0\0\0\0\0\0",
        ),
    ];
    let no_method: &[(&[u8], &[u8])] = &[(b"\x05\x01\x00", b"\x05\xff")];
    let http: &[(&[u8], &[u8])] = &[(b"\x05\x01\x00", b"HTTP/1.1 400 Bad Request\r\n\r\n")];
    for (script, cause) in [
        (no_way, SocksError::Reply(Reply::ConnectionRefused)),
        (no_method, SocksError::NoMethod),
        (http, SocksError::Version(b'H')),
    ] {
        let world = World::default();
        socks(&world, script, Shape::default());
        let client = through(&world, "socks5h://proxy:3128").build();
        let error = get(&world, &client, "http://target.example/").expect_err("no way");
        assert_eq!(error.kind(), ErrorKind::Proxy);
        let why = error.connect_error().expect("it was about connecting");
        assert_eq!(
            (why.phase(), why.cause()),
            (Phase::Proxy, ConnectCause::Socks(cause))
        );
    }
    // One that says nothing, and one that hangs up.
    let world = World::default();
    let w = world.clone();
    world.serve(PROXY, ms(0), move |n, end| {
        let world = w.clone();
        async move {
            if n == 0 {
                world.sleep(ms(1_000_000)).await;
            }
            drop(end);
        }
    });
    let mut config = ConnectConfig::DEFAULT;
    config.proxy_timeout = Some(ms(1_500));
    let client = through(&world, "socks5h://proxy:3128").connect(config).build();
    let error = get(&world, &client, "http://target.example/").expect_err("silence");
    assert!(error.is_timeout());
    assert_eq!(world.clock(), 1_500);
    let error = get(&world, &client, "http://target.example/").expect_err("the end");
    let why = error.connect_error().expect("it was about connecting").cause();
    assert_eq!(why, ConnectCause::Socks(SocksError::Closed));
}

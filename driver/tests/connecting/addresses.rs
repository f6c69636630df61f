//! Which addresses are dialled when, what becomes of those that lose, and what is told when none is left.

use crate::world::{World, ms, pipe::End};
use antiphon_core::client::connect::{ConnectCause, DialFailure, Phase};
use antiphon_driver::{Client, ClientBuilder, ConnectConfig, Error, ErrorKind};
use std::io;
use std::net::SocketAddr;

fn builder(world: &World) -> ClientBuilder<World> {
    ClientBuilder::with_runtime(world.clone()).no_proxy()
}

/// Says on every connection what the address is called.
fn hello(name: &'static str) -> impl Fn(usize, End) -> crate::world::pipe::Serving + Send + Sync {
    move |_, mut end: End| {
        Box::pin(async move {
            while end.head().await.is_some() {
                end.send(format!(
                    "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{name}",
                    name.len()
                ))
                .await;
            }
        })
    }
}

async fn text(client: &Client<World>, url: &str) -> Result<String, Error> {
    client.get(url).send().await?.text(100).await
}

fn addr(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

#[test]
fn the_other_family_gets_its_chance_after_250_ms_and_the_loser_is_given_up() {
    let world = World::default();
    world.name("h", ms(20), &["[2001:db8::1]:0", "192.0.2.1:0"]);
    world.silence("[2001:db8::1]:80");
    world.serve("192.0.2.1:80", ms(30), hello("v4"));
    let client = builder(&world).build();
    let mut response = world
        .run(async { client.get("http://h/").send().await })
        .expect("a response");
    assert_eq!(response.remote_addr(), Some(addr("192.0.2.1:80")));
    assert_eq!(world.run(response.text(10)).expect("text"), "v4");
    assert_eq!(
        world.notes(),
        [
            "0 resolve h",
            "20 dial [2001:db8::1]:80",
            "270 dial 192.0.2.1:80",
            "300 give up [2001:db8::1]:80",
        ]
    );
    assert_eq!(client.pool_stats().counters.dials, 1);
}

#[test]
fn the_first_is_not_given_up_when_the_second_is_begun() {
    let world = World::default();
    world.name("h", ms(0), &["[2001:db8::1]:0", "192.0.2.1:0"]);
    world.serve("[2001:db8::1]:80", ms(300), hello("v6"));
    world.serve("192.0.2.1:80", ms(100), hello("v4"));
    let client = builder(&world).build();
    assert_eq!(world.run(text(&client, "http://h/")).expect("text"), "v6");
    assert_eq!(
        world.notes(),
        [
            "0 resolve h",
            "0 dial [2001:db8::1]:80",
            "250 dial 192.0.2.1:80",
            "300 give up 192.0.2.1:80",
        ]
    );
}

#[test]
fn a_failure_brings_the_next_at_once() {
    let world = World::default();
    world.name("h", ms(0), &["192.0.2.1:0", "192.0.2.2:0", "192.0.2.3:0"]);
    world.fail("192.0.2.1:80", ms(5), io::ErrorKind::ConnectionRefused);
    world.fail("192.0.2.2:80", ms(5), io::ErrorKind::HostUnreachable);
    world.serve("192.0.2.3:80", ms(5), hello("three"));
    let client = builder(&world).build();
    assert_eq!(world.run(text(&client, "http://h/")).expect("text"), "three");
    assert_eq!(world.clock(), 15);
}

#[test]
fn what_each_address_came_to_is_told() {
    let world = World::default();
    world.name("h", ms(0), &["[2001:db8::1]:0", "192.0.2.1:0"]);
    world.fail("[2001:db8::1]:80", ms(0), io::ErrorKind::NetworkUnreachable);
    world.fail("192.0.2.1:80", ms(1), io::ErrorKind::ConnectionRefused);
    let client = builder(&world).build();
    let error = world
        .run(text(&client, "http://u:secret@h/"))
        .expect_err("nobody");
    // Credentials in a URL are refused before anything is dialled, as long as they are.
    assert!(!format!("{error} {error:?}").contains("secret"));
    let error = world.run(text(&client, "http://h/")).expect_err("nobody");
    assert_eq!(error.kind(), ErrorKind::Connect);
    let why = error.connect_error().expect("it was about connecting");
    assert_eq!((why.phase(), why.cause()), (Phase::Dial, ConnectCause::AllFailed));
    assert_eq!((why.host(), why.port()), ("h", 80));
    assert_eq!(
        why.addresses(),
        [
            (addr("[2001:db8::1]:80"), DialFailure::Unreachable),
            (addr("192.0.2.1:80"), DialFailure::Refused),
        ]
    );
    let told = crate::world::chain(&error);
    assert!(
        told.contains(
            "dialling h:80: no address could be reached ([2001:db8::1]:80: unreachable, 192.0.2.1:80: connection refused)"
        ),
        "{told}"
    );
    let io = error.io_error().expect("the system said something");
    assert_eq!(io.kind(), io::ErrorKind::ConnectionRefused);
}

#[test]
fn an_address_that_takes_too_long_is_given_up_alone() {
    let world = World::default();
    world.name("h", ms(0), &["192.0.2.1:0", "192.0.2.2:0"]);
    world.silence("192.0.2.1:80");
    world.silence("192.0.2.2:80");
    let mut config = ConnectConfig::DEFAULT;
    config.attempt_timeout = Some(ms(1_000));
    let client = builder(&world).connect(config).build();
    let error = world.run(text(&client, "http://h/")).expect_err("nobody");
    assert_eq!(
        world.notes(),
        [
            "0 resolve h",
            "0 dial 192.0.2.1:80",
            "250 dial 192.0.2.2:80",
            "1000 give up 192.0.2.1:80",
            "1250 give up 192.0.2.2:80",
        ]
    );
    assert!(error.is_timeout());
    let why = error.connect_error().expect("it was about connecting");
    assert_eq!(why.count(DialFailure::TimedOut), 2);
}

#[test]
fn the_whole_has_its_time() {
    for (name, total, at) in [
        ("slow", None, 30_000),
        ("slow", Some(ms(12_000)), 12_000),
        ("many", None, 30_000),
    ] {
        let world = World::default();
        world.name("slow", ms(100_000), &["192.0.2.1:0"]);
        let many: Vec<_> = (1..=16).map(|i| format!("192.0.2.{i}:80")).collect();
        let refs: Vec<_> = many.iter().map(String::as_str).collect();
        world.name("many", ms(0), &refs);
        many.iter().for_each(|a| world.silence(a));
        let mut config = ConnectConfig::DEFAULT;
        config.total_timeout = total;
        let client = builder(&world).connect(config).build();
        let error = world
            .run(text(&client, &format!("http://{name}/")))
            .expect_err("nobody");
        assert_eq!(error.kind(), ErrorKind::Timeout);
        assert_eq!(world.clock(), at, "{name}");
        let dials = world.notes().iter().filter(|n| n.contains("dial")).count();
        let given_up = world.notes().iter().filter(|n| n.contains("give up")).count();
        assert_eq!(dials, given_up, "{:#?}", world.notes());
    }
}

#[test]
fn connect_timeout_is_for_names_and_addresses() {
    let world = World::default();
    world.name("h", ms(0), &["192.0.2.1:0"]);
    world.silence("192.0.2.1:80");
    let client = builder(&world).connect_timeout(ms(700)).build();
    let error = world.run(text(&client, "http://h/")).expect_err("nobody");
    assert!(error.is_timeout());
    assert_eq!(world.clock(), 700);
}

#[test]
fn the_dial_goes_on_when_its_request_is_gone() {
    let world = World::default();
    world.name("h", ms(0), &["192.0.2.1:0"]);
    world.serve("192.0.2.1:80", ms(500), hello("kept"));
    let client = builder(&world).build();
    let error = world
        .run(async { client.get("http://h/").timeout(ms(100)).send().await })
        .expect_err("too late");
    assert!(error.is_timeout());
    assert_eq!(world.clock(), 100);
    world.run(world.sleep(ms(1_000)));
    assert_eq!(client.pool_stats().idle, 1);
    let mut response = world
        .run(async { client.get("http://h/").send().await })
        .expect("a response");
    assert_eq!(world.run(response.text(10)).expect("text"), "kept");
    assert_eq!(world.notes(), ["0 resolve h", "0 dial 192.0.2.1:80"]);
}

#[test]
fn a_spare_connection_that_died_is_not_handed_out() {
    let world = World::default();
    world.name("h", ms(0), &["192.0.2.1:0"]);
    world.serve("192.0.2.1:80", ms(500), |n, mut end| async move {
        if n > 0 {
            end.until("\r\n\r\n").await;
            end.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi").await;
            end.rest().await;
        }
    });
    let client = builder(&world).build();
    let gone = async { client.post("http://h/").timeout(ms(100)).body("x").send().await };
    world.run(gone).expect_err("too late");
    world.run(world.sleep(ms(1_000)));
    // A POST is not sent twice, so that this one has to find the right connection at once.
    let second = async { client.post("http://h/").body("x").send().await };
    let mut response = world.run(second).expect("a response");
    assert_eq!(world.run(response.text(10)).expect("text"), "hi");
    assert_eq!(client.pool_stats().counters.dials, 2);
}

#[test]
fn names_that_are_not_found() {
    let world = World::default();
    world.no_name("nowhere", io::ErrorKind::NotFound);
    world.name("empty", ms(0), &[]);
    let client = builder(&world).build();
    let error = world
        .run(text(&client, "http://nowhere/"))
        .expect_err("no such name");
    assert_eq!(error.kind(), ErrorKind::Resolve);
    assert_eq!(
        error.io_error().map(io::Error::kind),
        Some(io::ErrorKind::NotFound)
    );
    let error = world.run(text(&client, "http://empty/")).expect_err("no address");
    assert_eq!(error.kind(), ErrorKind::Resolve);
    let why = error.connect_error().expect("it was about connecting");
    assert_eq!(why.cause(), ConnectCause::NoAddress);
}

#[test]
fn addresses_of_the_callers_own() {
    let world = World::default();
    world.serve("192.0.2.1:80", ms(0), hello("of the URL"));
    world.serve("192.0.2.2:8080", ms(0), hello("its own port"));
    let client = builder(&world)
        .resolve("Own.Example", [addr("192.0.2.1:0")])
        .resolve("other.example", [addr("192.0.2.2:8080")])
        .build();
    let first = world.run(text(&client, "http://own.example/"));
    assert_eq!(first.expect("text"), "of the URL");
    let second = world.run(text(&client, "http://other.example/"));
    assert_eq!(second.expect("text"), "its own port");
    assert!(world.notes().iter().all(|n| !n.contains("resolve")));
}

#[test]
fn a_resolver_and_a_dialer_of_the_callers_own() {
    let world = World::default();
    world.serve("192.0.2.9:99", ms(0), hello("dialled"));
    let (resolving, dialing) = (world.clone(), world.clone());
    let client = builder(&world)
        .resolver(move |host, port| {
            resolving.note(format_args!("asked for {host}:{port}"));
            async move { Ok(vec![SocketAddr::new([192, 0, 2, 7].into(), port)]) }
        })
        .dialer(move |to| {
            let world = dialing.clone();
            world.note(format_args!("sent to {}:{} at {}", to.host, to.port, to.address));
            async move { antiphon_driver::Runtime::connect(&world, addr("192.0.2.9:99")).await }
        })
        .build();
    assert_eq!(world.run(text(&client, "http://h:81/")).expect("text"), "dialled");
    assert_eq!(
        world.notes(),
        [
            "0 asked for h:81",
            "0 sent to h:81 at 192.0.2.7:81",
            "0 dial 192.0.2.9:99",
        ]
    );
    // An address needs no resolver.
    assert_eq!(
        world.run(text(&client, "http://[::1]:82/")).expect("text"),
        "dialled"
    );
    assert!(
        world
            .notes()
            .contains(&"0 sent to ::1:82 at [::1]:82".to_string())
    );
}

#[test]
fn a_dialer_that_does_not_answer_is_dropped_in_time() {
    struct Guard(World);
    impl Drop for Guard {
        fn drop(&mut self) {
            self.0.note(format_args!("dropped"));
        }
    }
    let world = World::default();
    let w = world.clone();
    let client = builder(&world)
        .connect_timeout(ms(50))
        .dialer(move |_| {
            let guard = Guard(w.clone());
            async move {
                let _guard = guard;
                std::future::pending::<io::Result<End>>().await
            }
        })
        .build();
    let error = world.run(text(&client, "http://192.0.2.1/")).expect_err("nobody");
    assert!(error.is_timeout());
    assert_eq!(world.notes(), ["50 dropped"]);
}

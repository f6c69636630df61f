//! What the observer of a client is told of connections. What it is told of calls is tested in the suite.

use crate::world::pipe::End;
use crate::world::{World, ms};
use antiphon_driver::{ClientBuilder, PoolConfig, TraceEvent};
use std::io;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};
use std::time::Duration;

async fn hello(_: usize, mut end: End) {
    while end.head().await.is_some() {
        end.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi").await;
    }
}

/// An event in a line; those of calls are left out.
fn line(event: &TraceEvent<'_>) -> Option<String> {
    Some(match *event {
        TraceEvent::GetConnection { key, .. } => format!("get {key}"),
        TraceEvent::GotConnection {
            conn,
            remote,
            reused,
            idle,
            ..
        } => format!("got {conn} {remote} {reused} {idle:?}"),
        TraceEvent::Stale { conn } => format!("stale {conn}"),
        TraceEvent::PutIdle { conn, handed_over } => format!("put {conn} {handed_over}"),
        TraceEvent::NotKept { conn, why } => format!("not kept {conn}: {why}"),
        TraceEvent::ClosedIdle { conn, why } => format!("closed {conn}: {why}"),
        TraceEvent::Discarded { conn } => format!("discarded {conn}"),
        TraceEvent::Begun { conn, key, .. } => format!("begun {conn} {key}"),
        TraceEvent::ResolveStart { conn, host } => format!("resolve {conn} {host}"),
        TraceEvent::ResolveDone { conn, result, .. } => {
            format!("resolved {conn} {}", result.expect("found").len())
        }
        TraceEvent::DialStart { conn, address } => format!("dial {conn} {address}"),
        TraceEvent::DialDone {
            conn,
            address,
            result,
        } => {
            format!("dialled {conn} {address} {:?}", result.map_err(io::Error::kind))
        }
        TraceEvent::DialCancelled { conn, address } => format!("cancelled {conn} {address}"),
        TraceEvent::ProxyStart { conn, host, port } => format!("ask the proxy {conn} {host}:{port}"),
        TraceEvent::ProxyDone { conn, result } => format!("asked {conn} {}", result.is_ok()),
        TraceEvent::Made { conn, remote } => format!("made {conn} {remote}"),
        TraceEvent::Failed { conn, error } => format!("failed {conn}: {error}"),
        _ => return None,
    })
}

fn traced(world: &World) -> (ClientBuilder<World>, Arc<Mutex<Vec<String>>>) {
    let told = Arc::new(Mutex::new(Vec::new()));
    let t = told.clone();
    let builder = ClientBuilder::with_runtime(world.clone())
        .no_proxy()
        .trace(Arc::new(move |event: &TraceEvent<'_>| {
            t.lock().expect("unharmed").extend(line(event));
        }));
    (builder, told)
}

fn take(told: &Mutex<Vec<String>>) -> Vec<String> {
    std::mem::take(&mut *told.lock().expect("unharmed"))
}

#[test]
fn the_life_of_a_connection() {
    let world = World::default();
    world.name("h", ms(0), &["[2001:db8::1]:0", "192.0.2.1:0", "192.0.2.2:0"]);
    world.fail("[2001:db8::1]:80", ms(1), io::ErrorKind::NetworkUnreachable);
    world.silence("192.0.2.1:80");
    world.serve("192.0.2.2:80", ms(1), hello);
    let (builder, told) = traced(&world);
    let client = builder.build();
    let get = async { client.get("http://h/").send().await?.text(10).await };
    world.run(get).expect("text");
    assert_eq!(
        take(&told),
        [
            "get http://h:80",
            "begun 1 http://h:80",
            "resolve 1 h",
            "resolved 1 3",
            "dial 1 [2001:db8::1]:80",
            "dialled 1 [2001:db8::1]:80 Err(NetworkUnreachable)",
            "dial 1 192.0.2.1:80",
            "dial 1 192.0.2.2:80",
            "dialled 1 192.0.2.2:80 Ok(())",
            "cancelled 1 192.0.2.1:80",
            "made 1 192.0.2.2:80",
            "got 1 192.0.2.2:80 false None",
            "put 1 false",
        ]
    );
    world.run(world.sleep(ms(700)));
    let get = async { client.get("http://h/").send().await?.text(10).await };
    world.run(get).expect("text");
    assert_eq!(
        take(&told),
        [
            "get http://h:80",
            "got 1 192.0.2.2:80 true Some(700ms)",
            "put 1 false"
        ]
    );
    // Its time is up.
    world.run(world.sleep(Duration::from_secs(100)));
    assert_eq!(take(&told), ["closed 1: it was idle for too long"]);
}

#[test]
fn connections_that_are_not_kept() {
    let world = World::default();
    world.serve("192.0.2.1:80", ms(0), |n, mut end| async move {
        end.until("\r\n\r\n").await;
        end.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi").await;
        if n > 0 {
            end.rest().await;
        }
    });
    let (builder, told) = traced(&world);
    let client = builder.build();
    let get = || async { client.get("http://192.0.2.1/").send().await?.text(10).await };
    for _ in 0..2 {
        world.run(get()).expect("text");
        world.run(world.sleep(ms(1)));
    }
    client.close_idle();
    assert_eq!(
        take(&told),
        [
            "get http://192.0.2.1:80",
            "begun 1 http://192.0.2.1:80",
            "dial 1 192.0.2.1:80",
            "dialled 1 192.0.2.1:80 Ok(())",
            "made 1 192.0.2.1:80",
            "got 1 192.0.2.1:80 false None",
            "put 1 false",
            // The server hung up.
            "get http://192.0.2.1:80",
            "stale 1",
            "discarded 1",
            "begun 2 http://192.0.2.1:80",
            "dial 2 192.0.2.1:80",
            "dialled 2 192.0.2.1:80 Ok(())",
            "made 2 192.0.2.1:80",
            "got 2 192.0.2.1:80 false None",
            "put 2 false",
            "closed 2: idle connections are being closed",
        ]
    );
    let last = |change: fn(&mut PoolConfig)| {
        let (builder, told) = traced(&world);
        let mut pool = PoolConfig::DEFAULT;
        change(&mut pool);
        let client = builder.pool(pool).build();
        let get = async { client.get("http://192.0.2.1/").send().await?.text(10).await };
        world.run(get).expect("text");
        take(&told).pop()
    };
    // The request told the server that it is the last.
    let told = last(|pool| pool.keep_alive = false);
    assert_eq!(told.as_deref(), Some("discarded 1"));
    let told = last(|pool| pool.max_requests = Some(NonZeroU32::MIN));
    assert_eq!(
        told.as_deref(),
        Some("not kept 1: it served as many requests as it may")
    );
}

#[test]
fn what_failed() {
    let world = World::default();
    world.fail("192.0.2.1:80", ms(0), io::ErrorKind::ConnectionRefused);
    let (builder, told) = traced(&world);
    let client = builder.build();
    let get = async { client.get("http://192.0.2.1/").send().await };
    world.run(get).expect_err("refused");
    assert_eq!(
        take(&told),
        [
            "get http://192.0.2.1:80",
            "begun 1 http://192.0.2.1:80",
            "dial 1 192.0.2.1:80",
            "dialled 1 192.0.2.1:80 Err(ConnectionRefused)",
            "failed 1: connecting: no connection could be made",
        ]
    );
}

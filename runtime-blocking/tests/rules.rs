//! Rules of the client that no other test holds over sockets; `docs/client.md` names them from here.

mod common;

use antiphon_blocking::{Body, Client, ClientConfig, ErrorKind, Headers, Misuse, PoolConfig, Status};
use common::*;
use std::time::Duration;

#[test]
fn a2_e4_what_a_client_does_without_settings() {
    let set = answer("302 Found", &[("Location", "/b"), ("Set-Cookie", "a=b")], "");
    let empty = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
    let server = Told::new([set, HELLO.into(), empty.into()]);
    let client = Client::new();
    let response = client.get(server.url("/a")).send().unwrap();
    assert_eq!((response.status(), response.history().len()), (Status::OK, 1));
    drop(response);
    // There is always a body: none is an empty one.
    let mut response = client.head(server.url("/a")).send().unwrap();
    assert_eq!(response.bytes(0).unwrap(), "");
    assert_eq!(
        server.lines(),
        ["GET /a HTTP/1.1", "GET /b HTTP/1.1", "HEAD /a HTTP/1.1"]
    );
    assert!(server.asked().iter().all(|a| a.field("cookie").is_none()));
}

#[test]
fn a5_every_way_to_ask_is_the_same_request() {
    let server = Told::new([HELLO; 4]);
    let client = Client::new();
    let url = server.url("/a?b");
    for request in [
        client.put(&url).body("tea"),
        client.request("PUT", &url).body("tea"),
        client
            .request(String::from("PUT"), &url)
            .body(bytes::Bytes::from("tea")),
        client.request("PUT", &url).body(b"tea".to_vec()),
    ] {
        request.send().unwrap();
    }
    let asked = server.asked();
    assert!(
        asked
            .iter()
            .all(|a| (&a.head, &*a.body) == (&asked[0].head, "tea")),
        "{asked:?}"
    );
}

#[test]
fn b4_a_custom_host_survives_relative_locations_only() {
    let other = Told::new([HELLO]);
    let server = Told::new([moved("302 Found", "/b"), moved("302 Found", &other.url("/c"))]);
    let request = Client::new().get(server.url("/a")).header("Host", "own");
    request.send().unwrap();
    assert!(server.asked().iter().all(|a| a.field("host") == Some("own")));
    assert_eq!(other.asked()[0].field("host"), Some(&*other.addr.to_string()));
}

#[test]
fn e9_trailers_of_a_request() {
    let (addr, server) = script(1, |_, mut s| {
        read_until(&mut s, "\r\n\r\n");
        assert_eq!(
            read_until(&mut s, "7\r\n\r\n"),
            "3\r\ntea\r\n0\r\nx-sum: 7\r\n\r\n"
        );
        send(&mut s, HELLO);
    });
    let client = Client::new();
    let put = |body: Body, name: &str| {
        let mut trailers = Headers::new();
        trailers.append(name, "7").unwrap();
        let request = client.put(format!("http://{addr}/"));
        request.body(body.with_trailers(trailers)).send()
    };
    let streamed = put(Body::from_reader(&b"tea"[..]), "x-sum");
    assert_eq!(streamed.unwrap().status(), 200);
    let error = put(Body::from("tea"), "content-length").unwrap_err();
    assert_eq!(
        error.kind(),
        ErrorKind::Misuse(Misuse::ForbiddenField),
        "{error:?}"
    );
    drop(client);
    server.join().unwrap();
}

#[test]
fn i6_i8_i9_m9_how_many_connections_stay() {
    type Set = fn(&mut PoolConfig);
    let settings: [(Set, usize); 4] = [
        (|_| {}, 2),
        (|pool| pool.max_idle = 1, 1),
        (|pool| pool.max_idle_per_host = Some(0), 0),
        (|pool| pool.keep_alive = false, 0),
    ];
    for (set, idle) in settings {
        let mut pool = PoolConfig::DEFAULT;
        set(&mut pool);
        let client = Client::builder().pool(pool).build();
        for server in [Told::new([HELLO]), Told::new([HELLO])] {
            let mut response = client.get(server.url("/")).send().unwrap();
            assert_eq!(response.text(9).unwrap(), "hello");
            let says = (!pool.keep_alive).then_some("close");
            assert_eq!(server.asked()[0].field("connection"), says);
        }
        let stats = client.pool_stats();
        assert_eq!((stats.idle, stats.active, stats.counters.dials), (idle, 0, 2));
    }
}

#[test]
fn i16_m10_heads_and_interim_responses_are_bounded_and_buffers_may_be_small() {
    let long = "x".repeat(3000);
    let hint = "HTTP/1.1 103 Early Hints\r\n\r\n";
    let server = Told::new([
        answer("200 OK", &[("X", &long)], ""),
        hint.repeat(4),
        hint.repeat(3) + HELLO,
        answer("200 OK", &[], &"x".repeat(20_000)),
    ]);
    let mut config = ClientConfig::DEFAULT;
    (config.limits.head, config.limits.interim) = (2000, 3);
    (config.limits.recv_buffer, config.limits.recv_buffer_max) = (512, 512);
    let client = Client::builder().config(config).build();
    for what in ["a long head", "too many interim responses"] {
        let error = client.get(server.url("/")).send().expect_err(what);
        assert!(matches!(error.kind(), ErrorKind::Peer(_)), "{what}: {error:?}");
    }
    let response = client.get(server.url("/")).send().unwrap();
    assert_eq!(response.informational().len(), 3);
    let mut response = client.get(server.url("/")).send().unwrap();
    assert_eq!(response.bytes(20_000).unwrap().len(), 20_000);
}

#[test]
fn k6_no_time_at_all_fails_before_anything_is_dialled() {
    let client = Client::new();
    let request = client.get("http://127.0.0.1:1/").timeout(Duration::ZERO);
    let error = request.send().unwrap_err();
    assert!(error.is_timeout() && !error.is_connect(), "{error:?}");
    assert_eq!(client.pool_stats().counters.dials, 0);
}

#[test]
fn l1_a_body_is_made_again_for_a_retry() {
    for body in [
        Body::from("tea"),
        Body::repeatable(|| Ok(Body::sized_reader(3, &b"tea"[..]))).unwrap(),
    ] {
        // The second connection answers what the first did not.
        let (addr, server) = script(2, |i, mut s| {
            read_until(&mut s, "\r\n\r\n");
            if i == 0 {
                send(&mut s, HELLO);
                read_until(&mut s, "tea");
            } else {
                assert_eq!(read_until(&mut s, "tea"), "tea");
                send(&mut s, HELLO);
            }
        });
        let client = Client::new();
        let url = format!("http://{addr}/");
        client.get(&url).send().unwrap();
        let put = client.put(&url).header("Idempotency-Key", "1").body(body);
        assert!(!put.send().unwrap().reused());
        server.join().unwrap();
    }
}

#[test]
fn m7_a_connection_is_free_before_a_response_without_a_body_is_handed_out() {
    let server = Told::new(["HTTP/1.1 204 No Content\r\n\r\n"; 3]);
    let client = Client::new();
    for i in 0..3 {
        let response = client.get(server.url("/")).send().unwrap();
        assert_eq!((response.reused(), client.pool_stats().idle), (i > 0, 1));
    }
}

/// An upload lasts as long as somebody reads the response: no thread goes on with it.
#[test]
fn n2_a_final_answer_instead_of_100_ends_the_upload_and_the_connection() {
    let (addr, server) = script(2, |i, mut s| {
        let head = read_until(&mut s, "\r\n\r\n");
        assert!(head.starts_with(["POST ", "GET "][i]), "{head}");
        send(&mut s, HELLO);
        if i == 0 {
            let rest = read_all(&mut s);
            assert!(["", "abc"].contains(&&*rest), "{rest}");
        }
    });
    let client = Client::new();
    let url = format!("http://{addr}/");
    let mut response = client.post(&url).body("abc").expect_continue().send().unwrap();
    assert_eq!(response.text(9).unwrap(), "hello");
    assert!(response.close_reason().is_some());
    assert!(!client.get(&url).send().unwrap().reused());
    server.join().unwrap();
}

//! Rules of the client that no other test holds over real connections; `docs/client.md` names them from here.

use super::{Chunks, lines, raw_server, script};
use crate::rt::{self, Body, Client, ClientConfig, ErrorKind, Headers, Misuse, PoolConfig, Status};
use bytes::Bytes;

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";

#[test]
fn a2_e4_what_a_client_does_without_settings() {
    let set = "HTTP/1.1 302 Found\r\nLocation: /b\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\n\r\n";
    let (addr, thread) = script([set, OK, OK]);
    rt::block_on(async {
        let client = Client::new();
        let url = format!("http://{addr}/a");
        let response = client.get(&url).send().await.expect("a response");
        assert_eq!((response.status(), response.history().len()), (Status::OK, 1));
        // There is always a body: none is an empty one.
        let mut response = client.head(&url).send().await.expect("a response");
        assert_eq!(response.bytes(0).await.expect("nothing"), "");
    });
    let asked = thread.join().expect("the server");
    assert_eq!(lines(&asked), [(0, "GET /a"), (0, "GET /b"), (0, "HEAD /a")]);
    assert!(asked.iter().all(|a| !a.1.to_lowercase().contains("cookie")));
}

#[test]
fn a5_every_way_to_ask_is_the_same_request() {
    let (addr, thread) = script([OK; 4]);
    rt::block_on(async {
        let client = Client::new();
        let url = format!("http://{addr}/a?b");
        for request in [
            client.put(&url).body("tea"),
            client.request("PUT", &url).body("tea"),
            client.request(String::from("PUT"), &url).body(Bytes::from("tea")),
            client.request("PUT", &url).body(b"tea".to_vec()),
        ] {
            request.send().await.expect("a response");
        }
    });
    let asked = thread.join().expect("the server");
    assert!(asked.iter().all(|a| a.1 == asked[0].1), "{asked:?}");
}

#[test]
fn b4_a_custom_host_survives_relative_locations_only() {
    let to =
        |location: &str| format!("HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n");
    let (other, there) = script([OK]);
    let (addr, here) = script([to("/b"), to(&format!("http://{other}/c"))]);
    rt::block_on(async {
        let request = Client::new().get(format!("http://{addr}/a"));
        request.header("Host", "own").send().await.expect("a response");
    });
    for (_, request) in here.join().expect("the first") {
        assert!(request.contains("\r\nHost: own\r\n"), "{request}");
    }
    let asked = there.join().expect("the other");
    assert!(
        asked[0].1.contains(&format!("\r\nhost: {other}\r\n")),
        "{asked:?}"
    );
}

#[test]
fn e9_trailers_of_a_request() {
    let (addr, thread) = raw_server(1, |_, mut peer| {
        peer.until("\r\n\r\n");
        assert_eq!(peer.until("7\r\n\r\n"), "3\r\ntea\r\n0\r\nx-sum: 7\r\n\r\n");
        peer.send(OK);
    });
    rt::block_on(async {
        let client = Client::new();
        let put = |body: Body, name: &str| {
            let mut trailers = Headers::new();
            trailers.append(name, "7").expect("a field");
            let request = client.put(format!("http://{addr}/"));
            request.body(body.with_trailers(trailers)).send()
        };
        let chunks = Chunks([Ok::<_, rt::Error>(Bytes::from("tea"))].into_iter());
        let streamed = put(Body::from_stream(chunks), "x-sum").await;
        assert_eq!(streamed.expect("a response").status(), Status::OK);
        let error = put(Body::from("tea"), "content-length")
            .await
            .expect_err("it frames");
        assert_eq!(
            error.kind(),
            ErrorKind::Misuse(Misuse::ForbiddenField),
            "{error:?}"
        );
    });
    thread.join().expect("the server");
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
        let mut pool = PoolConfig::default();
        set(&mut pool);
        let servers = [script([OK]), script([OK])];
        rt::block_on(async {
            let client = Client::builder().pool(pool).build();
            for (addr, _) in &servers {
                let mut response = client
                    .get(format!("http://{addr}/"))
                    .send()
                    .await
                    .expect("a response");
                assert_eq!(response.text(2).await.expect("text"), "hi");
            }
            let stats = client.pool_stats();
            assert_eq!((stats.idle, stats.active, stats.counters.dials), (idle, 0, 2));
        });
        for (_, thread) in servers {
            let asked = thread.join().expect("the server");
            assert_eq!(asked[0].1.contains("\r\nconnection: close\r\n"), !pool.keep_alive);
        }
    }
}

#[test]
fn i16_m10_heads_and_interim_responses_are_bounded_and_buffers_may_be_small() {
    let long = format!(
        "HTTP/1.1 200 OK\r\nX: {}\r\nContent-Length: 0\r\n\r\n",
        "x".repeat(3000)
    );
    let hints = "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(4);
    let body = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: 20000\r\n\r\n{}",
        "x".repeat(20_000)
    );
    let three = hints[..hints.len() / 4 * 3].to_string() + OK;
    let answers = [long, hints, three, body];
    let (addr, thread) = raw_server(4, move |i, mut peer| {
        peer.until("\r\n\r\n");
        peer.send(&answers[i]);
        peer.rest();
    });
    rt::block_on(async {
        let mut config = ClientConfig::DEFAULT;
        (config.limits.head, config.limits.interim) = (2000, 3);
        (config.limits.recv_buffer, config.limits.recv_buffer_max) = (512, 512);
        let get = || {
            // Each on a connection of its own.
            let client = Client::builder().config(config).build();
            client.get(format!("http://{addr}/")).send()
        };
        for what in ["a long head", "too many interim responses"] {
            let error = get().await.expect_err(what);
            assert!(matches!(error.kind(), ErrorKind::Peer(_)), "{what}: {error:?}");
        }
        assert_eq!(get().await.expect("a response").informational().len(), 3);
        let mut response = get().await.expect("a response");
        assert_eq!(response.bytes(20_000).await.expect("a body").len(), 20_000);
    });
    thread.join().expect("the server");
}

#[test]
fn m2_an_answer_that_has_arrived_is_used_although_writing_fails() {
    let (addr, thread) = raw_server(1, |_, mut peer| {
        peer.until("\r\n\r\n");
        peer.send("HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno");
        // Closes with unread bytes, which resets the connection.
    });
    rt::block_on(async {
        let block = Bytes::from(vec![0; 64 * 1024]);
        let chunks = (0..16 * 1024).map(move |_| Ok::<_, rt::Error>(block.clone()));
        let body = Body::sized(1 << 30, Chunks(chunks));
        let request = Client::new().post(format!("http://{addr}/")).body(body);
        let response = request.send().await.expect("the 413");
        assert_eq!(response.status(), Status::CONTENT_TOO_LARGE);
    });
    thread.join().expect("the server");
}

#[test]
fn m7_a_connection_is_free_before_a_response_without_a_body_is_handed_out() {
    let (addr, thread) = script(["HTTP/1.1 204 No Content\r\n\r\n"; 3]);
    rt::block_on(async {
        let client = Client::new();
        for i in 0..3 {
            let response = client
                .get(format!("http://{addr}/"))
                .send()
                .await
                .expect("a response");
            assert_eq!((response.reused(), client.pool_stats().idle), (i > 0, 1));
        }
    });
    thread.join().expect("the server");
}

#[test]
fn n2_a_final_answer_instead_of_100_lets_the_body_go_if_the_connection_stays() {
    let (addr, thread) = raw_server(1, |_, mut peer| {
        peer.until("\r\n\r\n");
        peer.send(OK);
        assert_eq!(peer.until("abc"), "abc");
        assert!(peer.until("\r\n\r\n").starts_with("GET "));
        peer.send(OK);
    });
    rt::block_on(async {
        let client = Client::new();
        let url = format!("http://{addr}/");
        let request = client.post(&url).body("abc").expect_continue();
        let mut response = request.send().await.expect("a response");
        assert_eq!(response.text(2).await.expect("text"), "hi");
        drop(response);
        let mut patience = 2000;
        while client.pool_stats().idle == 0 {
            patience -= 1;
            assert!(patience > 0, "{:?}", client.pool_stats());
            rt::sleep(std::time::Duration::from_millis(1)).await;
        }
        assert!(client.get(&url).send().await.expect("a response").reused());
    });
    thread.join().expect("the server");
}

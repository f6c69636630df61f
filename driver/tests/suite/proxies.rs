//! Requests through proxies, over real sockets. What is said to proxies in all cases is tested in virtual time
//! (`connecting.rs` beside this folder).

use super::{Raw, raw_server};
use crate::rt::{self, Client, ErrorKind};
use std::io::{Read, Write};
use std::net::TcpListener;

#[test]
fn a_plain_request_through_an_http_proxy() {
    let (addr, thread) = raw_server(1, |_, mut proxy| {
        for path in ["one", "two"] {
            let head = proxy.until("\r\n\r\n");
            assert!(
                head.starts_with(&format!("GET http://{path}.example/ HTTP/1.1\r\n")),
                "{head}"
            );
            assert!(
                head.contains("proxy-authorization: Basic YW5uOnNlY3JldA==\r\n"),
                "{head}"
            );
            proxy.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
        }
    });
    rt::block_on(async {
        let proxy = format!("http://ann:secret@{addr}").parse().expect("a proxy");
        let client = Client::builder().proxy(proxy).build();
        for path in ["one", "two"] {
            let request = client.get(format!("http://{path}.example/"));
            let mut response = request.send().await.expect("a response");
            assert_eq!(response.text(10).await.expect("text"), "hi");
            assert_eq!(response.remote_addr(), Some(addr));
        }
        assert_eq!(client.pool_stats().counters.dials, 1);
    });
    thread.join().expect("the proxy");
}

#[test]
fn a_request_through_a_socks_proxy() {
    let (addr, thread) = raw_server(1, |_, mut proxy: Raw| {
        let mut hello = [0; 3];
        proxy.0.read_exact(&mut hello).expect("read");
        assert_eq!(hello, [5, 1, 0]);
        proxy.0.write_all(&[5, 0]).expect("written");
        let mut asks = [0; 4 + 1 + 9 + 2];
        proxy.0.read_exact(&mut asks).expect("read");
        assert_eq!(&asks, b"\x05\x01\x00\x03\x09h.example\x00\x50");
        proxy
            .0
            .write_all(b"\x05\x00\x00\x01\0\0\0\0\0\0")
            .expect("written");
        let head = proxy.until("\r\n\r\n");
        assert!(
            head.starts_with("GET /x HTTP/1.1\r\nhost: h.example\r\n"),
            "{head}"
        );
        proxy.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
    });
    rt::block_on(async {
        let proxy = format!("socks5h://{addr}").parse().expect("a proxy");
        let client = Client::builder().proxy(proxy).build();
        let request = client.get("http://h.example/x");
        let mut response = request.send().await.expect("a response");
        assert_eq!(response.text(10).await.expect("text"), "hi");
    });
    thread.join().expect("the proxy");
}

#[test]
fn a_proxy_where_nobody_listens() {
    let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let addr = free.local_addr().expect("bound");
    drop(free);
    rt::block_on(async {
        let proxy = format!("http://u:secret@{addr}").parse().expect("a proxy");
        let client = Client::builder().proxy(proxy).build();
        let error = client.get("http://h.example/").send().await.expect_err("nobody");
        assert_eq!(error.kind(), ErrorKind::Proxy);
        assert!(!format!("{error} {error:?}").contains("secret"), "{error:?}");
    });
}

//! Proxies: what each kind is told, who shares connections, and what a caller hears when one refuses.

mod common;

use antiphon_blocking::{Client, ErrorKind, Proxy, ProxyRules};
use common::*;
use std::io::{Read, Write};
use std::net::TcpStream;

fn proxy(text: String) -> Proxy {
    text.parse().unwrap()
}

#[test]
fn pl1_plain_requests_share_the_proxys_connections() {
    let server = Told::new([HELLO, HELLO]);
    let client = Client::builder()
        .proxy(proxy(format!("http://ann:secret@{}", server.addr)))
        .build();
    for url in ["http://one.example/a?b", "http://two.example:8080/"] {
        assert_eq!(client.get(url).send().unwrap().text(9).unwrap(), "hello");
    }
    assert_eq!(
        server.lines(),
        [
            "GET http://one.example/a?b HTTP/1.1",
            "GET http://two.example:8080/ HTTP/1.1"
        ]
    );
    for asked in server.asked() {
        assert_eq!(asked.connection, 0);
        assert_eq!(asked.field("proxy-authorization"), Some("Basic YW5uOnNlY3JldA=="));
    }
    assert!(!format!("{client:?}").contains("secret"));
}

#[test]
fn the_rules_say_which() {
    let (through, direct) = (Told::new([HELLO]), Told::new([HELLO]));
    let rules = |loopback| {
        ProxyRules::from_env(|name| match name {
            "HTTP_PROXY" => Some(format!("http://{}", through.addr)),
            "NO_PROXY" => Some("direct.example".into()),
            _ => None,
        })
        .loopback_direct(loopback)
    };
    let client = Client::builder()
        .proxies(rules(true))
        .resolve("direct.example", [direct.addr])
        .build();
    client.get("http://direct.example/").send().unwrap();
    client.get("http://other.example/").send().unwrap();
    assert_eq!(direct.lines(), ["GET / HTTP/1.1"]);
    assert_eq!(through.lines(), ["GET http://other.example/ HTTP/1.1"]);
    // This machine is asked directly, unless it is said otherwise.
    let here = Told::new([HELLO]);
    client.get(here.url("/")).send().unwrap();
    assert_eq!(here.lines(), ["GET / HTTP/1.1"]);
    let broken = ProxyRules::from_env(|name| (name == "HTTP_PROXY").then(|| "ftp://u:secret@p".into()));
    let e = Client::builder()
        .proxies(broken)
        .build()
        .get("http://other.example/")
        .send()
        .unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Proxy);
    assert!(!format!("{e} {e:?}").contains("secret"));
}

#[test]
fn a_proxy_that_cannot_be_reached() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = free.local_addr().unwrap();
    drop(free);
    let client = Client::builder().proxy(proxy(format!("http://{addr}"))).build();
    let e = client.get("http://one.example/").send().unwrap_err();
    assert!(e.kind() == ErrorKind::Proxy && e.is_connect(), "{e:?}");
    assert!(e.connect_error().unwrap().through_proxy());
}

/// Does the proxy's side of a SOCKS5 handshake with a password; gives the request.
fn socks(s: &mut TcpStream, user: &str, password: &str) -> Vec<u8> {
    let mut hello = [0; 4];
    s.read_exact(&mut hello).unwrap();
    assert_eq!(hello, [5, 2, 0, 2]);
    s.write_all(&[5, 2]).unwrap();
    let mut login = vec![0; 3 + user.len() + password.len()];
    s.read_exact(&mut login).unwrap();
    let expected = [
        &[1, user.len() as u8],
        user.as_bytes(),
        &[password.len() as u8],
        password.as_bytes(),
    ];
    assert_eq!(login, expected.concat());
    // In pieces, as it may come.
    for byte in [1, 0] {
        s.write_all(&[byte]).unwrap();
    }
    let mut head = [0; 4];
    s.read_exact(&mut head).unwrap();
    let len = match head[3] {
        1 => 4,
        4 => 16,
        _ => {
            let mut len = [0];
            s.read_exact(&mut len).unwrap();
            usize::from(len[0])
        }
    };
    let mut target = vec![0; len + 2];
    s.read_exact(&mut target).unwrap();
    [vec![head[3]], target].concat()
}

#[test]
fn a_socks_proxy_is_asked_by_name_or_by_address() {
    for (scheme, expected) in [
        ("socks5h", [&[3][..], b"one.example", &[0, 80]].concat()),
        ("socks5", [&[1][..], &[192, 0, 2, 7], &[0, 80]].concat()),
    ] {
        let (addr, server) = script(1, move |_, mut s| {
            assert_eq!(socks(&mut s, "ann", "pw"), expected);
            s.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).unwrap();
            let head = read_until(&mut s, "\r\n\r\n");
            assert!(
                head.starts_with("GET /a HTTP/1.1\r\nhost: one.example\r\n"),
                "{head}"
            );
            assert!(!head.contains("proxy-authorization"), "{head}");
            send(&mut s, HELLO);
        });
        let client = Client::builder()
            .proxy(proxy(format!("{scheme}://ann:pw@{addr}")))
            .resolve(
                "one.example",
                ["192.0.2.7:0".parse::<std::net::SocketAddr>().unwrap()],
            )
            .build();
        let mut response = client.get("http://one.example/a").send().unwrap();
        assert_eq!(response.text(9).unwrap(), "hello");
        server.join().unwrap();
    }
}

#[test]
fn a_socks_proxy_that_refuses() {
    let (addr, server) = script(1, |_, mut s| {
        socks(&mut s, "ann", "pw");
        s.write_all(&[5, 5]).unwrap();
        let _ = s.read(&mut [0]);
    });
    let client = Client::builder()
        .proxy(proxy(format!("socks5h://ann:pw@{addr}")))
        .build();
    let e = client.get("http://one.example/").send().unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Proxy, "{e:?}");
    assert!(!format!("{e:?}").contains("pw"));
    server.join().unwrap();
}

#[cfg(feature = "tls")]
mod secured {
    use super::*;
    use antiphon_blocking::{ConnectConfig, Headers};
    use common::secure::{KNOWN, close, secure, trusting};
    use std::time::{Duration, Instant};

    fn client(proxy: Proxy) -> antiphon_blocking::ClientBuilder {
        Client::builder().tls(trusting()).proxy(proxy)
    }

    #[test]
    fn https_goes_through_a_tunnel() {
        let (addr, server) = script(1, |_, mut s| {
            let head = read_until(&mut s, "\r\n\r\n");
            let agent = concat!("antiphon/", env!("CARGO_PKG_VERSION"));
            assert_eq!(
                head,
                format!(
                    "CONNECT target.example:443 HTTP/1.1\r\nhost: target.example:443\r\n\
                     proxy-authorization: Basic YW5uOnB3\r\nx-token: t\r\nuser-agent: {agent}\r\n\r\n"
                )
            );
            send(&mut s, "HTTP/1.1 200 Connection established\r\n\r\n");
            let mut s = secure(&KNOWN, s);
            for _ in 0..2 {
                let head = read_until(&mut s, "\r\n\r\n");
                assert!(
                    head.starts_with("GET /a HTTP/1.1\r\nhost: target.example\r\n"),
                    "{head}"
                );
                assert!(!head.contains("proxy-auth"), "{head}");
                send(&mut s, HELLO);
            }
            assert_eq!(s.conn.server_name(), Some("target.example"));
            close(s);
        });
        let mut headers = Headers::new();
        headers.append("x-token", "t").unwrap();
        let client = client(proxy(format!("http://ann:pw@{addr}")))
            .proxy_headers(headers)
            .build();
        for reused in [false, true] {
            let mut response = client.get("https://target.example/a").send().unwrap();
            assert_eq!(response.reused(), reused);
            assert_eq!(response.text(9).unwrap(), "hello");
        }
        server.join().unwrap();
    }

    /// TLS with the proxy, and TLS with the target inside of it; more than any buffer holds.
    #[test]
    fn a_tunnel_through_a_proxy_that_speaks_tls() {
        const LEN: usize = 3 << 20;
        let (addr, server) = script(1, |_, s| {
            let mut s = secure(&KNOWN, s);
            let head = read_until(&mut s, "\r\n\r\n");
            assert!(
                head.starts_with("CONNECT target.example:443 HTTP/1.1\r\n"),
                "{head}"
            );
            assert_eq!(s.conn.server_name(), Some("proxy.example"));
            send(&mut s, "HTTP/1.1 200 OK\r\n\r\n");
            let inner = antiphon_support::tls::rustls::ServerConnection::new(KNOWN.clone()).unwrap();
            let mut s = antiphon_support::tls::rustls::StreamOwned::new(inner, s);
            read_until(&mut s, "\r\n\r\n");
            let mut body = vec![0; LEN];
            s.read_exact(&mut body).unwrap();
            assert!(body.iter().all(|&b| b == b'u'));
            send(
                &mut s,
                &format!("HTTP/1.1 200 OK\r\nContent-Length: {LEN}\r\n\r\n"),
            );
            s.write_all(&vec![b'd'; LEN]).unwrap();
            s.flush().unwrap();
            s.sock.flush().unwrap();
            let _ = s.read(&mut [0]);
        });
        let client = client(proxy(format!("https://proxy.example:{}", addr.port())))
            .resolve("proxy.example", [addr])
            .build();
        let request = client.post("https://target.example/").body(vec![b'u'; LEN]);
        let mut response = request.timeout(LIMIT).send().unwrap();
        let body = response.bytes(LEN).unwrap();
        assert!(body.len() == LEN && body.iter().all(|&b| b == b'd'));
        drop((response, client));
        server.join().unwrap();
    }

    #[test]
    fn a_tunnel_that_is_refused() {
        let (addr, server) = script(1, |_, mut s| {
            read_until(&mut s, "\r\n\r\n");
            send(
                &mut s,
                "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 14\r\n\r\nwho are\nyou \x07?",
            );
            let _ = s.read(&mut [0]);
        });
        let client = client(proxy(format!("http://{addr}"))).build();
        let e = client.get("https://target.example/").send().unwrap_err();
        assert!(e.kind() == ErrorKind::Proxy && e.is_connect(), "{e:?}");
        let answer = e.proxy_answer().unwrap();
        assert_eq!(
            (answer.status().code(), answer.body()),
            (407, &b"who are\nyou \x07?"[..])
        );
        let text = std::error::Error::source(&e)
            .and_then(std::error::Error::source)
            .unwrap()
            .to_string();
        assert!(text.ends_with("\"who are\\nyou \\x07?\""), "{text}");
        server.join().unwrap();
    }

    #[test]
    fn a_proxy_that_says_nothing() {
        let (addr, server) = script(1, |_, mut s| drop(s.read_to_end(&mut Vec::new())));
        let mut connect = ConnectConfig::DEFAULT;
        connect.proxy_timeout = Some(Duration::from_millis(200));
        let client = client(proxy(format!("http://{addr}"))).connect(connect).build();
        let begun = Instant::now();
        let e = client.get("https://target.example/").send().unwrap_err();
        assert!(e.is_timeout() && e.is_connect(), "{e:?}");
        assert_took(begun, 200);
        server.join().unwrap();
    }
}

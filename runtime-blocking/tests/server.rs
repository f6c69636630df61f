//! The server over raw sockets: exchanges, keep-alive, pipelining, 100-continue, early answers, upgrades,
//! panics. Its end is in `shutdown`.

mod common;

use antiphon_blocking::{Body, ErrorKind, Response, Server, ServerConfig, Status};
use common::*;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

#[test]
fn get_post_and_stream_on_one_connection() {
    let server = Running::new(routes);
    let mut s = server.connect();
    send(&mut s, "GET /target?a=b HTTP/1.1\r\nHost: h\r\n\r\n");
    let (head, body) = read_response(&mut s);
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert_eq!(
        head.to_ascii_lowercase().matches("\r\ndate: ").count(),
        1,
        "{head}"
    );
    assert_eq!(body, r#"GET /target Some("a=b")"#);
    send(
        &mut s,
        "POST /len HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n12345",
    );
    assert_eq!(read_response(&mut s).1, "5");
    send(
        &mut s,
        "POST /len HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\nX: y\r\n\r\n",
    );
    assert_eq!(read_response(&mut s).1, "7");
    send(
        &mut s,
        "GET /stream HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
    );
    let rest = read_all(&mut s);
    assert!(
        rest.to_ascii_lowercase().contains("transfer-encoding: chunked"),
        "{}",
        &rest[..200]
    );
    assert_eq!(
        rest.split_once("\r\n\r\n").unwrap().1.matches('s').count(),
        100_000
    );
    assert!(rest.ends_with("0\r\n\r\n"));
}

#[test]
fn an_application_sets_date_and_length_itself() {
    let server = Running::new(|_| {
        Ok(Response::new(Status::OK)
            .with_header("Date", "Thu, 01 Jan 1970 00:00:00 GMT")?
            .with_header("Content-Length", "3")?
            .with_body(Body::from_reader(&b"abc"[..])))
    });
    let mut s = server.connect();
    send(&mut s, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    let (head, body) = read_response(&mut s);
    assert_eq!(head.matches("GMT").count(), 1, "{head}");
    assert!(!head.contains("chunked"), "{head}");
    assert_eq!(body, "abc");
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let server = Running::new(routes);
    let mut s = server.connect();
    let mut all = String::new();
    for i in 0..20 {
        all.push_str(&format!("GET /target?{i} HTTP/1.1\r\nHost: h\r\n\r\n"));
        all.push_str(&format!(
            "POST /len HTTP/1.1\r\nHost: h\r\nContent-Length: {i}\r\n\r\n{}",
            "x".repeat(i)
        ));
    }
    send(&mut s, &all);
    for i in 0..20 {
        assert_eq!(read_response(&mut s).1, format!("GET /target Some(\"{i}\")"));
        assert_eq!(read_response(&mut s).1, i.to_string());
    }
}

#[test]
fn head_has_the_length_and_no_body_and_reads_no_reader() {
    let server = Running::new(|request| {
        // Would never end if it were read.
        let endless = Body::sized_reader(u64::MAX >> 2, std::io::repeat(0));
        if request.path() == "/endless" {
            ok(endless)
        } else {
            ok("hello")
        }
    });
    let mut s = server.connect();
    for (path, len) in [("/", "5"), ("/endless", "4611686018427387903"), ("/", "5")] {
        send(&mut s, &format!("HEAD {path} HTTP/1.1\r\nHost: h\r\n\r\n"));
        let head = read_until(&mut s, "\r\n\r\n");
        assert!(
            head.to_ascii_lowercase()
                .contains(&format!("content-length: {len}\r\n")),
            "{head}"
        );
    }
    send(&mut s, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(read_response(&mut s).1, "hello");
}

#[test]
fn continue_is_sent_when_the_handler_reads_and_not_before() {
    let (read_now, wait) = mpsc::channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    let server = Running::new(move |mut request| {
        wait.lock().unwrap().recv()?;
        ok(request.body_mut().bytes(100)?)
    });
    let mut s = server.connect();
    send(
        &mut s,
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n",
    );
    s.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    assert!(
        s.read(&mut [0]).is_err(),
        "nothing may come before the handler reads"
    );
    s.set_read_timeout(Some(LIMIT)).unwrap();
    read_now.send(()).unwrap();
    assert_eq!(read_until(&mut s, "\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
    send(&mut s, "abc");
    assert_eq!(read_response(&mut s).1, "abc");
}

#[test]
fn continue_is_sent_even_if_the_body_is_there_already() {
    let server = Running::new(|mut request| ok(request.body_mut().bytes(100)?));
    for body in [
        "Content-Length: 3\r\n\r\nabc",
        "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    ] {
        let mut s = server.connect();
        send(
            &mut s,
            &format!("POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n{body}"),
        );
        assert_eq!(read_until(&mut s, "\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
        assert_eq!(read_response(&mut s).1, "abc");
    }
}

#[test]
fn on_sent_runs_behind_the_response_and_its_panic_harms_nobody() {
    let (sent, when_sent) = mpsc::channel();
    let (go_on, wait) = mpsc::channel::<()>();
    let wait = std::sync::Mutex::new(Some(wait));
    let server = Running::new(move |request| {
        let (sent, wait) = (sent.clone(), wait.lock().unwrap().take());
        Ok(routes(request)?.on_sent(move |bytes| {
            if let Some(wait) = wait {
                let _ = wait.recv_timeout(LIMIT);
            }
            let _ = sent.send(bytes);
            panic!("as asked");
        }))
    });
    let mut s = server.connect();
    for first in [true, false] {
        send(&mut s, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
        // The whole response, while the callback of the first one still waits.
        assert_eq!(read_response(&mut s).1, "hello");
        if first {
            assert!(when_sent.try_recv().is_err());
            go_on.send(()).unwrap();
        }
        assert_eq!(when_sent.recv_timeout(LIMIT).unwrap(), 5);
    }
}

#[test]
fn a_refusal_instead_of_continue_closes() {
    let server = Running::new(routes);
    let mut s = server.connect();
    send(
        &mut s,
        "POST /413 HTTP/1.1\r\nHost: h\r\nContent-Length: 3000000\r\nExpect: 100-continue\r\n\r\n",
    );
    let all = read_all(&mut s);
    assert!(all.starts_with("HTTP/1.1 413 "), "{all}");
    assert!(all.to_ascii_lowercase().contains("connection: close"), "{all}");
}

#[test]
fn an_early_answer_reaches_a_client_that_keeps_uploading() {
    let server = Running::new(routes);
    let s = server.connect();
    let mut up = s.try_clone().unwrap();
    let upload = thread::spawn(move || {
        let _ = up.write_all(b"POST /413 HTTP/1.1\r\nHost: h\r\nContent-Length: 1073741824\r\n\r\n");
        // Until the server has closed.
        let piece = [0; 65536];
        let mut sent = 0u64;
        while sent < 1 << 30 {
            match up.write(&piece) {
                Ok(n) => sent += n as u64,
                Err(_) => break,
            }
        }
        sent
    });
    let mut down = s;
    let (head, body) = read_response(&mut down);
    assert!(head.starts_with("HTTP/1.1 413 "), "{head}");
    assert_eq!(body, "too large");
    assert!(upload.join().unwrap() < 1 << 30);
}

#[test]
fn a_small_unread_body_keeps_the_connection() {
    let server = Running::new(routes);
    let mut s = server.connect();
    for _ in 0..3 {
        send(
            &mut s,
            &format!(
                "POST /413 HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\n{}",
                "x".repeat(1000)
            ),
        );
        assert!(read_response(&mut s).0.starts_with("HTTP/1.1 413 "));
    }
}

#[test]
fn sixteen_mebibytes_are_echoed_while_being_sent() {
    const SIZE: usize = 16 << 20;
    let server = Running::new(routes);
    for framing in ["Content-Length: 16777216", "Transfer-Encoding: chunked"] {
        let s = server.connect();
        let mut up = s.try_clone().unwrap();
        let chunked = framing.starts_with('T');
        let upload = thread::spawn(move || {
            up.write_all(
                format!("POST /echo HTTP/1.1\r\nHost: h\r\nConnection: close\r\n{framing}\r\n\r\n")
                    .as_bytes(),
            )
            .unwrap();
            let piece: Vec<u8> = (0..65536u32).map(|i| (i % 251) as u8).collect();
            for _ in 0..SIZE / piece.len() {
                if chunked {
                    up.write_all(b"10000\r\n").unwrap();
                }
                up.write_all(&piece).unwrap();
                if chunked {
                    up.write_all(b"\r\n").unwrap();
                }
            }
            if chunked {
                up.write_all(b"0\r\n\r\n").unwrap();
            }
        });
        let mut down = s;
        let head = read_until(&mut down, "\r\n\r\n");
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        let mut rest = Vec::new();
        down.read_to_end(&mut rest).unwrap();
        upload.join().unwrap();
        let body = if chunked { dechunked(&rest) } else { rest };
        assert_eq!(body.len(), SIZE);
        assert!(
            body.chunks(65536)
                .all(|p| p.iter().enumerate().all(|(i, &b)| b == (i % 251) as u8))
        );
    }
}

fn dechunked(mut rest: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let end = rest.windows(2).position(|w| w == b"\r\n").unwrap();
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..end]).unwrap(), 16).unwrap();
        rest = &rest[end + 2..];
        if size == 0 {
            assert_eq!(rest, b"\r\n");
            return body;
        }
        body.extend_from_slice(&rest[..size]);
        assert_eq!(&rest[size..size + 2], b"\r\n");
        rest = &rest[size + 2..];
    }
}

#[test]
fn a_body_may_be_read_on_another_thread_while_the_answer_is_written() {
    let server = Running::new(|request| {
        let mut incoming = request.into_body();
        let (to, from) = mpsc::sync_channel::<Vec<u8>>(0);
        thread::spawn(move || {
            while let Some(Ok(chunk)) = incoming.chunk() {
                if to.send(chunk.to_vec()).is_err() {
                    return;
                }
            }
        });
        struct From(mpsc::Receiver<Vec<u8>>, Vec<u8>);
        impl Read for From {
            fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
                if self.1.is_empty() {
                    self.1 = self.0.recv().unwrap_or_default();
                }
                let n = buf.len().min(self.1.len());
                buf[..n].copy_from_slice(&self.1[..n]);
                self.1.drain(..n);
                Ok(n)
            }
        }
        ok(Body::from_reader(From(from, Vec::new())))
    });
    let mut s = server.connect();
    send(
        &mut s,
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n",
    );
    // The head must come although not a byte of the body was sent.
    read_until(&mut s, "\r\n\r\n");
    for _ in 0..5 {
        send(&mut s, "5\r\nhello\r\n");
        assert_eq!(read_until(&mut s, "\r\nhello\r\n"), "5\r\nhello\r\n");
    }
    send(&mut s, "0\r\n\r\n");
    assert_eq!(read_until(&mut s, "\r\n\r\n"), "0\r\n\r\n");
}

#[test]
fn a_body_that_outlives_its_exchange_reads_nothing_of_the_next() {
    let (bodies, kept) = mpsc::channel();
    let server = Running::new(move |request| {
        bodies.send(request.into_body())?;
        ok("early")
    });
    let mut s = server.connect();
    let post = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\n";
    send(&mut s, &format!("{post}abc"));
    assert_eq!(read_response(&mut s).1, "early");
    let mut first = kept.recv_timeout(LIMIT).unwrap();
    assert_eq!(
        first.chunk().unwrap().unwrap_err().kind(),
        ErrorKind::ExchangeOver
    );
    send(&mut s, &format!("{post}def"));
    assert_eq!(read_response(&mut s).1, "early");
    assert!(first.chunk().is_none());
}

#[test]
fn trailers_arrive_and_are_sent() {
    let server = Running::new(|mut request| {
        let body = request.body_mut().bytes(100)?;
        let mut trailers = antiphon_blocking::Headers::new();
        let sum = request
            .body()
            .trailers()
            .and_then(|t| t.get_str("x-sum").map(str::to_owned));
        trailers.append("x-sum", sum.unwrap_or_default())?;
        ok(Body::from(body).with_trailers(trailers))
    });
    let mut s = server.connect();
    send(
        &mut s,
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nX-Sum: 7\r\n\r\n",
    );
    read_until(&mut s, "\r\n\r\n");
    assert_eq!(read_until(&mut s, "\r\n\r\n"), "2\r\nab\r\n0\r\nx-sum: 7\r\n\r\n");
}

#[test]
fn an_upgrade_hands_over_early_bytes_and_the_stream() {
    let server = Running::new(|request| {
        assert_eq!(request.upgrade_requested(), Some("shout"));
        Ok(Response::upgrade("shout", |mut stream| {
            let mut line = [0; 5];
            while stream.read_exact(&mut line).is_ok() {
                stream.write_all(&line.to_ascii_uppercase()).unwrap();
            }
        })?)
    });
    let mut s = server.connect();
    send(
        &mut s,
        "GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: shout\r\n\r\nearly",
    );
    let head = read_until(&mut s, "\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 101 Switching Protocols\r\n"), "{head}");
    assert!(head.to_ascii_lowercase().contains("upgrade: shout"), "{head}");
    assert_eq!(read_until(&mut s, "EARLY"), "EARLY");
    send(&mut s, "later");
    assert_eq!(read_until(&mut s, "LATER"), "LATER");
    s.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_all(&mut s), "");
    eventually("the thread ends", || server.handle.connections() == 0);
}

#[test]
fn connect_becomes_a_tunnel() {
    let server = Running::new(|request| {
        assert_eq!(request.upgrade_requested(), Some("CONNECT"));
        assert_eq!(request.target(), "h:1");
        Ok(Response::new(Status::OK).on_upgrade(|mut stream| {
            let mut one = [0];
            stream.read_exact(&mut one).unwrap();
            stream.write_all(&one).unwrap();
        }))
    });
    let mut s = server.connect();
    send(&mut s, "CONNECT h:1 HTTP/1.1\r\nHost: h:1\r\n\r\n");
    assert!(read_until(&mut s, "\r\n\r\n").starts_with("HTTP/1.1 200 "));
    send(&mut s, "!");
    assert_eq!(read_all(&mut s), "!");
}

#[test]
fn an_upgrade_that_nobody_asked_for_is_a_500() {
    let server = Running::new(|_| Ok(Response::upgrade("x", |_| ())?));
    let mut s = server.connect();
    send(&mut s, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    assert!(read_response(&mut s).0.starts_with("HTTP/1.1 500 "));
}

#[test]
fn a_panic_costs_one_connection_and_an_error_none() {
    let server = Running::new(routes);
    let mut other = server.connect();
    send(&mut other, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    read_response(&mut other);
    let mut s = server.connect();
    send(
        &mut s,
        "GET /panic HTTP/1.1\r\nHost: h\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n",
    );
    let all = read_all(&mut s);
    assert!(all.starts_with("HTTP/1.1 500 "), "{all}");
    assert!(all.to_ascii_lowercase().contains("connection: close"), "{all}");
    assert_eq!(all.matches("HTTP/1.1").count(), 1, "{all}");
    let mut s = server.connect();
    for _ in 0..2 {
        send(&mut s, "GET /error HTTP/1.1\r\nHost: h\r\n\r\n");
        let (head, body) = read_response(&mut s);
        assert!(head.starts_with("HTTP/1.1 500 "), "{head}");
        assert_eq!(body, "internal server error\n");
    }
    send(&mut other, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(read_response(&mut other).1, "hello");
}

#[test]
fn a_body_that_fails_breaks_the_message_off() {
    struct Broken(u8);
    impl Read for Broken {
        fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
            self.0 += 1;
            match self.0 {
                1 => {
                    buf[0] = b'x';
                    Ok(1)
                }
                2 => Err(std::io::Error::other("as asked")),
                _ => panic!("as asked"),
            }
        }
    }
    let server = Running::new(|request| match request.path() {
        "/error" => ok(Body::from_reader(Broken(0))),
        "/panic" => ok(Body::from_reader(Broken(2))),
        _ => ok(Body::sized_reader(10, &b"short"[..])),
    });
    for path in ["/error", "/panic", "/short"] {
        let mut s = server.connect();
        send(&mut s, &format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n"));
        let mut all = Vec::new();
        // A reset is as good an end as any.
        let _ = s.read_to_end(&mut all);
        let all = String::from_utf8(all).unwrap();
        assert!(
            !all.ends_with("0\r\n\r\n") && !all.ends_with("short12345"),
            "{path}: {all}"
        );
    }
}

#[cfg(unix)]
#[test]
fn a_body_that_ends_with_the_connection_and_fails_ends_in_a_reset() {
    struct Broken(bool);
    impl Read for Broken {
        fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
            if std::mem::replace(&mut self.0, true) {
                return Err(std::io::Error::other("as asked"));
            }
            buf[0] = b'x';
            Ok(1)
        }
    }
    let server = Running::new(|request| match request.path() {
        "/broken" => ok(Body::from_reader(Broken(false))),
        _ => ok(Body::from_reader(&b"whole"[..])),
    });
    // Without a length and without chunks only the end of the connection tells where the body ends: that of a part of it
    // must be another one.
    for (path, whole) in [("/broken", false), ("/whole", true)] {
        let mut s = server.connect();
        send(&mut s, &format!("GET {path} HTTP/1.0\r\n\r\n"));
        let end = s.read_to_end(&mut Vec::new()).map_err(|e| e.kind());
        assert_eq!(end.is_ok(), whole, "{path}: {end:?}");
    }
}

#[test]
fn a_malformed_request_is_refused_and_the_connection_closed() {
    let server = Running::new(routes);
    for (bytes, status) in [
        ("GET / HTTP/1.1\r\n\r\n", "400"),
        ("G(T / HTTP/1.1\r\nHost: h\r\n\r\n", "400"),
        ("GET / HTTP/2.0\r\nHost: h\r\n\r\n", "505"),
        (
            "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip\r\n\r\n",
            "501",
        ),
    ] {
        let mut s = server.connect();
        send(&mut s, bytes);
        let all = read_all(&mut s);
        assert!(
            all.starts_with(&format!("HTTP/1.1 {status} ")),
            "{bytes:?}: {all}"
        );
        assert_eq!(all.matches("content-length: ").count(), 1, "{all}");
    }
}

#[test]
fn the_application_may_word_refusals() {
    let mut config = ServerConfig::DEFAULT;
    config.error_reply = antiphon_core::h1::ErrorReply::Application;
    let server = Running::with(Server::builder().config(config), routes);
    let mut s = server.connect();
    send(&mut s, "GET / HTTP/1.1\r\n\r\n");
    let all = read_all(&mut s);
    assert!(all.starts_with("HTTP/1.1 400 ") && all.contains("Host"), "{all}");
}

#[test]
fn a_body_error_reaches_the_handler() {
    let (told, kinds) = mpsc::channel();
    let server = Running::new(move |mut request| {
        let result = request.body_mut().bytes(1000);
        told.send(result.as_ref().map(|b| b.len()).map_err(|e| e.kind()).ok())?;
        result?;
        ok("")
    });
    let mut s = server.connect();
    send(
        &mut s,
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    );
    assert!(read_all(&mut s).starts_with("HTTP/1.1 400 "));
    assert_eq!(kinds.recv_timeout(LIMIT).unwrap(), None);
    // The client ends in the middle of a body.
    let mut s = server.connect();
    send(
        &mut s,
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc",
    );
    s.shutdown(Shutdown::Write).unwrap();
    assert_eq!(kinds.recv_timeout(LIMIT).unwrap(), None);
}

#[test]
fn a_client_that_sends_no_more_is_answered_and_one_that_reset_is_gone() {
    let (told, gone) = mpsc::channel();
    let server = Running::new(move |request| {
        let begun = Instant::now();
        let wait = Duration::from_millis(if request.path() == "/half" { 300 } else { 5000 });
        while !request.client_gone() && begun.elapsed() < wait {
            thread::sleep(Duration::from_millis(5));
        }
        told.send(request.client_gone())?;
        ok("late")
    });
    let mut s = server.connect();
    send(&mut s, "GET /half HTTP/1.1\r\nHost: h\r\n\r\n");
    s.shutdown(Shutdown::Write).unwrap();
    assert!(read_all(&mut s).ends_with("late"));
    assert!(!gone.recv_timeout(LIMIT).unwrap());

    let mut s = server.connect();
    send(&mut s, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    thread::sleep(Duration::from_millis(50));
    reset(s);
    assert!(gone.recv_timeout(LIMIT).unwrap());
}

/// Closes with RST: bytes are left unread.
fn reset(s: std::net::TcpStream) {
    rustix::net::sockopt::set_socket_linger(&s, Some(Duration::ZERO)).unwrap();
    drop(s);
}

#[test]
fn http_1_0_closes_unless_asked_to_keep() {
    let server = Running::new(routes);
    let mut s = server.connect();
    send(&mut s, "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    assert_eq!(read_response(&mut s).1, "hello");
    send(&mut s, "GET /stream HTTP/1.0\r\n\r\n");
    let all = read_all(&mut s);
    let (head, body) = all.split_once("\r\n\r\n").unwrap();
    assert!(!head.contains("chunked"), "{head}");
    assert_eq!(body.len(), 100_000);
}

//! Redirects over real connections: who is asked what, and which connections serve again. The rules themselves are tested
//! in the core.

use super::{Chunks, Raw, builder, lines, ok, raw_server, script, start};
use crate::rt::{self, Body, Client, ErrorKind, Past, RedirectPolicy, Request, Status, Verdict};
use bytes::Bytes;
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";

fn to(status: u16, location: &str) -> String {
    format!("HTTP/1.1 {status} Moved\r\nLocation: {location}\r\nContent-Length: 5\r\n\r\nmoved")
}

fn past(history: &[Past]) -> Vec<String> {
    let line = |p: &Past| format!("{} {} {}", p.method, p.url.target().as_str(), p.status.code());
    history.iter().map(line).collect()
}

/// A server that answers one request and then keeps the connection until the client closes it.
fn keeps_open(answer: String) -> (SocketAddr, thread::JoinHandle<()>) {
    raw_server(1, move |_, mut peer| {
        peer.request().expect("a request");
        peer.send(&answer);
        assert_eq!(peer.rest(), "");
    })
}

#[test]
fn a_chain_is_followed_over_one_connection() {
    let empty = "HTTP/1.1 302 Found\r\nLocation: c?d#e\r\nContent-Length: 0\r\n\r\n";
    let (addr, thread) = script([to(303, "/b/x"), empty.into(), to(307, "/"), OK.into()]);
    rt::block_on(async {
        let client = Client::new();
        let request = client
            .post(format!("http://{addr}/a"))
            .header("content-type", "text/plain")
            .body("tea");
        let mut response = request.send().await.expect("a response");
        assert_eq!((response.status(), response.reused()), (Status::OK, true));
        assert_eq!(
            past(response.history()),
            ["POST /a 303", "GET /b/x 302", "GET /b/c?d 307"]
        );
        let url = response.url().expect("a URL");
        assert_eq!(
            (url.to_string(), url.fragment()),
            (format!("http://{addr}/"), Some("e"))
        );
        assert_eq!(response.text(10).await.expect("text"), "hi");
        let stats = client.pool_stats();
        assert_eq!((stats.idle, stats.active, stats.counters.dials), (1, 0, 1));
    });
    let asked = thread.join().expect("the server");
    let expected = [(0, "POST /a"), (0, "GET /b/x"), (0, "GET /b/c?d"), (0, "GET /")];
    assert_eq!(lines(&asked), expected);
    assert!(asked[0].1.ends_with("\r\n\r\ntea"));
    for (_, later) in &asked[1..] {
        assert!(
            later.ends_with("\r\n\r\n") && !later.contains("content-"),
            "{later}"
        );
    }
    assert!(asked[1].1.contains(&format!("referer: http://{addr}/a\r\n")));
}

#[test]
fn a_body_that_can_be_had_again_goes_along() {
    let made = Arc::new(AtomicUsize::new(0));
    let again = |made: &Arc<AtomicUsize>| {
        let made = made.clone();
        let stream = || {
            Chunks(
                ["ab", "c"]
                    .map(|t| Ok::<_, rt::Error>(Bytes::from(t)))
                    .into_iter(),
            )
        };
        Body::repeatable(move || {
            made.fetch_add(1, Ordering::Relaxed);
            Ok(Body::sized(3, stream()))
        })
        .expect("a body")
    };
    let path = std::env::temp_dir().join(format!("antiphon-redirects-{}", std::process::id()));
    std::fs::write(&path, "xabcx").expect("a file");
    let file = || {
        let mut file = std::fs::File::open(&path).expect("the file");
        std::io::Seek::seek(&mut file, std::io::SeekFrom::Start(1)).expect("a place");
        rt::file_body(file, 3)
    };
    for body in [&|| Body::from("abc"), &|| again(&made), &file] as [&dyn Fn() -> Body; 3] {
        let (addr, thread) = script([to(308, "/b"), to(307, "/c"), OK.into()]);
        rt::block_on(async {
            let request = Client::new().put(format!("http://{addr}/a")).body(body());
            let response = request.send().await.expect("a response");
            assert_eq!(response.status(), Status::OK);
        });
        let asked = thread.join().expect("the server");
        assert_eq!(lines(&asked), [(0, "PUT /a"), (0, "PUT /b"), (0, "PUT /c")]);
        for (_, request) in &asked {
            let lower = request.to_lowercase();
            assert!(
                lower.contains("content-length: 3\r\n") && lower.ends_with("\r\n\r\nabc"),
                "{request}"
            );
        }
    }
    assert_eq!(made.load(Ordering::Relaxed), 3);
    std::fs::remove_file(&path).expect("removed");
}

#[test]
fn a_stream_is_not_sent_again() {
    let (addr, thread) = script([to(307, "/b"), to(303, "/c"), OK.into()]);
    rt::block_on(async {
        let client = Client::new();
        let stream = || Body::from_stream(Chunks([Ok::<_, rt::Error>(Bytes::from("x"))].into_iter()));
        let request = client.post(format!("http://{addr}/a")).body(stream());
        let mut response = request.send().await.expect("the redirect itself");
        assert_eq!((response.status().code(), response.history().len()), (307, 0));
        assert_eq!(response.text(10).await.expect("text"), "moved");
        // Where it is not wanted again, that is no reason.
        let request = client.post(format!("http://{addr}/b")).body(stream());
        assert_eq!(request.send().await.expect("a response").history().len(), 1);
    });
    thread.join().expect("the server");
}

#[test]
fn a_body_that_cannot_be_made_again_fails_the_call() {
    let (addr, thread) = keeps_open(to(307, "/b"));
    rt::block_on(async {
        let left = AtomicUsize::new(1);
        let body = Body::repeatable(move || match left.fetch_sub(1, Ordering::Relaxed) {
            1 => Ok(Body::sized(
                1,
                Chunks([Ok::<_, rt::Error>(Bytes::from("x"))].into_iter()),
            )),
            _ => Err("used up".into()),
        });
        let client = Client::new();
        let request = client.post(format!("http://{addr}/a")).body(body.expect("once"));
        let error = request.send().await.expect_err("no body");
        assert_eq!(error.kind(), ErrorKind::Body);
        assert_eq!(
            error.to_string(),
            format!("Post \"http://{addr}/b\": the request's body could not be had again")
        );
        let why = std::error::Error::source(&error).expect("ours");
        assert_eq!(why.source().expect("theirs").to_string(), "used up");
        // Nothing was sent on the connection, so it serves on.
        assert_eq!(client.pool_stats().idle, 1);
    });
    thread.join().expect("the server");
}

#[test]
fn policies_are_data_or_functions() {
    rt::block_on(async {
        let server = start(builder(), |request: Request| async move {
            let n: u32 = request.path()[1..].parse()?;
            let response = rt::Response::new(Status::FOUND).with_header("location", format!("/{}", n + 1))?;
            Ok(response.with_body("body"))
        });
        let get = |policy| {
            let client = Client::builder().redirects(policy).build();
            client.get(server.url("/0"))
        };
        let error = get(RedirectPolicy::Limit(3)).send().await.expect_err("a limit");
        assert!(error.is_redirect() && !error.is_timeout(), "{error:?}");
        assert_eq!(error.to_string(), "Get \"/3\": stopped after 3 redirects");
        assert_eq!(error.status(), Some(Status::FOUND));
        // Unless something else is said: ten requests.
        let error = get(RedirectPolicy::default()).send().await.expect_err("a limit");
        assert_eq!(error.url(), Some("/10"));

        let mut response = get(RedirectPolicy::None).send().await.expect("a redirect");
        assert_eq!((response.status(), response.history().len()), (Status::FOUND, 0));
        assert_eq!(response.text(10).await.expect("text"), "body");

        let two = RedirectPolicy::function(|next, past| match past.len() {
            n if n < 3 => Verdict::Follow,
            _ if next.to.target().as_str() == "/3" => Verdict::UseLastResponse,
            _ => Verdict::Refuse("lost".into()),
        });
        let mut response = get(two.clone()).send().await.expect("the last response");
        assert_eq!(past(response.history()), ["GET /0 302", "GET /1 302"]);
        assert_eq!(response.url().expect("a URL").target().as_str(), "/2");
        assert_eq!(response.text(10).await.expect("text"), "body");
        // A request's own policy wins.
        let own = get(two).redirects(RedirectPolicy::function(|_, _| Verdict::Refuse("no".into())));
        let error = own.send().await.expect_err("no");
        assert_eq!(error.to_string(), "Get \"/1\": no");
    });
}

#[test]
fn credentials_stay_with_their_origin() {
    let (other, there) = script([OK]);
    let away = to(302, &format!("http://{other}/c"));
    let (addr, here) = script([to(302, "/b"), away]);
    rt::block_on(async {
        let request = Client::new()
            .get(format!("http://ann:secret@{addr}/a"))
            .header("cookie", "a=secret");
        let response = request.send().await.expect("a response");
        assert_eq!(response.history().len(), 2);
        assert!(!format!("{:?}", response.history()).contains("secret"));
    });
    for (_, request) in here.join().expect("the first") {
        assert!(
            request.contains("authorization: Basic YW5uOnNlY3JldA==\r\n"),
            "{request}"
        );
        assert!(request.contains("cookie: a=secret\r\n"), "{request}");
    }
    let asked = there.join().expect("the other");
    let lower = asked[0].1.to_lowercase();
    assert!(
        !lower.contains("authorization") && !lower.contains("cookie"),
        "{lower}"
    );
    assert!(
        lower.contains(&format!("referer: http://{addr}/b\r\n")),
        "{lower}"
    );
}

#[test]
fn where_it_leads_is_checked() {
    for (location, kind, says) in [
        (
            "http://u:pw@h:99999/",
            ErrorKind::Redirect,
            "failed to parse Location",
        ),
        ("ftp://u:pw@h/", ErrorKind::Redirect, "only http and https"),
        // A scheme that is served, or is not for want of TLS; nobody listens there.
        if cfg!(feature = "tls") {
            (
                "https://u:pw@127.0.0.1:1/",
                ErrorKind::Connect,
                "https://***@127.0.0.1:1/",
            )
        } else {
            ("https://u:pw@127.0.0.1:1/", ErrorKind::Unsupported, "TLS")
        },
    ] {
        let (addr, thread) = keeps_open(to(301, location));
        rt::block_on(async {
            let client = Client::new();
            let error = client
                .get(format!("http://{addr}/"))
                .send()
                .await
                .expect_err(location);
            assert_eq!(error.kind(), kind, "{error}");
            assert!(error.to_string().contains(says), "{error}");
            assert!(!format!("{error} {error:?}").contains("pw"), "{error:?}");
            // The redirect's body was read, though nobody gets it.
            assert_eq!(client.pool_stats().idle, 1);
        });
        thread.join().expect("the server");
    }
}

#[test]
fn a_long_body_of_a_redirect_is_not_waited_for() {
    // Too long to be read; of unknown length, and without an end.
    let long = format!("Content-Length: {}\r\n\r\nsome", 10_000_000);
    for rest in [long.as_str(), "Transfer-Encoding: chunked\r\n\r\n4\r\nsome\r\n"] {
        let held = Mutex::new(Vec::new());
        let first = format!("HTTP/1.1 302 Found\r\nLocation: /b\r\n{rest}");
        let (addr, thread) = raw_server(2, move |i, mut peer| {
            let request = peer.until("\r\n\r\n");
            assert!(request.starts_with(["GET /a ", "GET /b "][i]), "{request}");
            peer.send(if i == 0 { &first } else { OK });
            held.lock().expect("no panic").push(peer);
        });
        rt::block_on(async {
            let begun = Instant::now();
            let request = Client::new().get(format!("http://{addr}/a"));
            let mut response = request.send().await.expect("a response");
            assert_eq!(response.text(10).await.expect("text"), "hi");
            assert!(!response.reused());
            assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
        });
        thread.join().expect("the server");
    }
}

#[test]
fn an_upload_that_is_redirected_early_is_sent_to_its_end() {
    // More than the system buffers: it cannot all be sent before the redirect is followed.
    const LEN: usize = 30_000_000;
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let addr = listener.local_addr().expect("bound");
    let thread = std::thread::spawn(move || {
        let accept = || Raw::new(listener.accept().expect("accepted").0);
        let mut first = accept();
        let head = first.until("\r\n\r\n");
        assert!(head.starts_with("POST /a "), "{head}");
        first.send("HTTP/1.1 303 See Other\r\nLocation: /b\r\nContent-Length: 0\r\n\r\n");
        let mut second = accept();
        assert!(second.until("\r\n\r\n").starts_with("GET /b "));
        second.send(OK);
        let mut body = vec![0; LEN];
        std::io::Read::read_exact(&mut first.0, &mut body).expect("all of the body");
        assert!(body.iter().all(|&b| b == b'x'));
        (first, second)
    });
    rt::block_on(async {
        let client = Client::new();
        let request = client.post(format!("http://{addr}/a")).body(vec![b'x'; LEN]);
        let mut response = request.send().await.expect("a response");
        assert_eq!(response.text(10).await.expect("text"), "hi");
        let mut patience = 2000;
        while client.pool_stats().active > 0 {
            patience -= 1;
            assert!(patience > 0, "{:?}", client.pool_stats());
            rt::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(client.pool_stats().idle, 2, "both connections serve on");
    });
    thread.join().expect("the server");
}

#[test]
fn a_call_may_be_dropped_in_any_hop() {
    rt::block_on(async {
        let server = start(builder(), |request: Request| async move {
            rt::sleep(Duration::from_millis(1)).await;
            match request.path() {
                "/4" => ok("end"),
                path => {
                    let next: u32 = path[1..].parse::<u32>()? + 1;
                    let response =
                        rt::Response::new(Status::FOUND).with_header("location", format!("/{next}"))?;
                    Ok(response.with_body(vec![b'x'; 1500]))
                }
            }
        });
        let mut pool = rt::PoolConfig::default();
        pool.max_connections_per_host = std::num::NonZeroUsize::new(1);
        let client = Client::builder().pool(pool).build();
        let url = server.url("/0");
        let mut ended = 0;
        for polls in 0..60 {
            let done = super::cancel::give_up_after(client.get(&url).send(), polls % 30).await;
            ended += usize::from(done.is_some());
            // With one place, one that is lost is missed at once.
            if polls % 10 == 0 {
                let mut response = client.get(&url).send().await.expect("a response");
                assert_eq!(response.text(10).await.expect("text"), "end");
            }
        }
        assert!(ended < 60, "nothing was dropped");
    });
}

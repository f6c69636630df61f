//! A connection outside the pool: whose turn it is, when it is used again, and what is told of it.

use super::{Chunks, Raw, builder, ok, raw_server, start};
use crate::rt::{
    self, Body, Client, ClientConnection, CloseReason, ConnectionState as State, DeadlineKind, ErrorKind,
    Misuse,
};
use antiphon_driver::antiphon_core::{Method, Request, Target};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const HI: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";

fn get(target: &str) -> Request {
    request(Method::GET, target)
}

fn request(method: Method, target: &str) -> Request {
    Request::new(method, Target::new(target).expect("a target"))
}

/// What the hook is told, in order.
fn listen(connection: &ClientConnection) -> Arc<Mutex<Vec<State>>> {
    let told = Arc::new(Mutex::new(Vec::new()));
    let listener = told.clone();
    connection.on_state(move |state| listener.lock().expect("no panic").push(state));
    told
}

fn take(told: &Mutex<Vec<State>>) -> Vec<State> {
    std::mem::take(&mut *told.lock().expect("no panic"))
}

/// A request on the connection whose answer is "hi".
async fn hi(connection: &ClientConnection) -> bool {
    let mut response = connection.send(get("/"), ()).await.expect("a response");
    assert_eq!(response.text(10).await.expect("text"), "hi");
    response.reused()
}

#[test]
fn requests_go_out_as_they_are_and_the_connection_is_kept() {
    let (addr, thread) = raw_server(1, |_, mut peer| {
        let mut heads = String::new();
        for _ in 0..2 {
            heads += &peer.until("\r\n\r\n");
            peer.send(HI);
        }
        let host = peer.0.local_addr().expect("bound");
        let first = format!("GET /a HTTP/1.1\r\nhost: {host}\r\nX-A: 1\r\n\r\n");
        let second = "POST /b HTTP/1.1\r\nHost: else.where\r\ntransfer-encoding: chunked\r\n\r\n";
        assert_eq!(heads, format!("{first}{second}"));
        assert_eq!(peer.until("0\r\n\r\n"), "2\r\nab\r\n1\r\nc\r\n0\r\n\r\n");
        peer.send(HI);
        assert_eq!(peer.rest(), "");
    });
    rt::block_on(async {
        let client = Client::new();
        let connection = client
            .connect(&format!("http://{addr}/ignored"))
            .await
            .expect("connected");
        let told = listen(&connection);
        let mut first = get("/a");
        first.headers.append("X-A", "1").expect("a field");
        let mut response = connection.send(first, ()).await.expect("a response");
        assert_eq!(response.text(10).await.expect("text"), "hi");
        assert_eq!((response.reused(), response.remote_addr()), (false, Some(addr)));
        assert_eq!((connection.available(), connection.in_flight()), (1, 0));

        let mut second = request(Method::POST, "/b");
        second.headers.append("Host", "else.where").expect("a field");
        let chunks = Chunks(
            ["ab", "c"]
                .into_iter()
                .map(|s| Ok::<_, rt::Error>(bytes::Bytes::from_static(s.as_bytes()))),
        );
        let mut response = connection
            .send(second, Body::from_stream(chunks))
            .await
            .expect("an early response");
        assert_eq!(response.text(10).await.expect("text"), "hi");
        assert!(response.reused());
        // What came behind the answer that was early belongs to no exchange.
        let reason = connection.closed().await;
        assert_eq!(reason, Some(CloseReason::UnsolicitedBytes));
        assert_eq!(
            take(&told).last(),
            Some(&State::Closed(CloseReason::UnsolicitedBytes))
        );
        // The pool has not heard of it.
        assert_eq!(client.pool_stats(), Default::default());
    });
    thread.join().expect("the server");
}

#[test]
fn it_takes_one_request_at_a_time() {
    rt::block_on(async {
        let server = start(builder(), |_| async { ok(vec![b'x'; 300_000]) });
        let client = Client::new();
        let connection = client.connect(&server.url("/")).await.expect("connected");
        let told = listen(&connection);
        let mut response = connection.send(get("/"), ()).await.expect("a response");
        assert_eq!((connection.available(), connection.in_flight()), (0, 1));
        let refused = connection.send(get("/"), ()).await.expect_err("busy");
        assert_eq!(refused.kind(), ErrorKind::Misuse(Misuse::NotReady));
        assert!(connection.reserve().is_none());
        assert_eq!(response.bytes(300_000).await.expect("bytes").len(), 300_000);
        // A body that is left unread is read in the background, within limits.
        let unread = connection.send(get("/"), ()).await.expect("a response");
        assert!(unread.reused());
        drop(unread);
        connection.ready().await.expect_err("more than is drained");
        assert_eq!(connection.state(), State::Closed(CloseReason::Aborted));
        let closed = State::Closed(CloseReason::Aborted);
        assert_eq!(take(&told), [State::Busy, State::Idle, State::Busy, closed]);
    });
}

#[test]
fn a_small_rest_is_drained_and_the_connection_is_ready_again() {
    rt::block_on(async {
        let server = start(builder(), |_| async {
            let pieces = std::iter::repeat_n(bytes::Bytes::from(vec![b'x'; 10_000]), 10);
            ok(Body::from_stream(Chunks(pieces.map(Ok::<_, rt::Error>))))
        });
        let connection = Client::new().connect(&server.url("/")).await.expect("connected");
        for i in 0..3 {
            let response = connection.send(get("/"), ()).await.expect("a response");
            assert_eq!(response.reused(), i > 0);
            drop(response);
            connection.ready().await.expect("drained");
        }
    });
}

#[test]
fn a_reservation_keeps_others_away() {
    let (addr, thread) = raw_server(1, |_, mut peer| {
        for _ in 0..2 {
            peer.until("\r\n\r\n");
            peer.send(HI);
        }
        assert_eq!(peer.rest(), "");
    });
    rt::block_on(async {
        let connection = Client::new()
            .connect(&format!("http://{addr}"))
            .await
            .expect("connected");
        let told = listen(&connection);
        let reservation = connection.reserve().expect("idle");
        assert_eq!((connection.available(), connection.in_flight()), (0, 1));
        assert!(connection.reserve().is_none());
        let refused = connection.send(get("/"), ()).await.expect_err("reserved");
        assert_eq!(refused.kind(), ErrorKind::Misuse(Misuse::NotReady));
        drop(reservation);
        assert!(!hi(&connection).await);

        let reservation = connection.reserve().expect("idle");
        let mut response = reservation.send(get("/"), ()).await.expect("a response");
        assert_eq!(response.text(10).await.expect("text"), "hi");
        // Used up: it does not give back what is somebody else's now.
        let next = connection.reserve().expect("idle again");
        assert_eq!(connection.state(), State::Reserved);
        // A request that may not be sent leaves the connection alone, and gives the right back.
        let mut forbidden = get("/");
        forbidden.headers.append("host", "a").expect("a field");
        forbidden.headers.append("host", "b").expect("a field");
        let refused = next.send(forbidden, ()).await.expect_err("two hosts");
        assert_eq!(refused.kind(), ErrorKind::Misuse(Misuse::HostField));
        assert_eq!((connection.state(), connection.available()), (State::Idle, 1));
        // Closing makes a promise void.
        let last = connection.reserve().expect("idle");
        connection.close();
        let refused = last.send(get("/"), ()).await.expect_err("closed");
        assert_eq!(refused.kind(), ErrorKind::Closed(CloseReason::LocalAsked));
        use State::{Busy, Idle, Reserved};
        let closed = State::Closed(CloseReason::LocalAsked);
        assert_eq!(
            take(&told),
            [
                Reserved, Idle, Busy, Idle, Reserved, Busy, Idle, Reserved, Idle, Reserved, closed
            ]
        );
    });
    thread.join().expect("the server");
}

/// A server that answers once, waits for a word, says this, and closes.
fn says_afterwards(last: &'static str) -> (std::net::SocketAddr, Sender<()>, std::thread::JoinHandle<()>) {
    let (go, word): (_, Receiver<()>) = channel();
    let word = Mutex::new(word);
    let (addr, thread) = raw_server(1, move |_, mut peer| {
        peer.until("\r\n\r\n");
        peer.send(HI);
        word.lock().expect("one server").recv().expect("a word");
        peer.send(last);
    });
    (addr, go, thread)
}

#[test]
fn one_that_becomes_readable_while_idle_is_never_used_again() {
    for (last, reason) in [
        ("", CloseReason::PeerClosed),
        (HI, CloseReason::UnsolicitedBytes),
        ("x", CloseReason::UnsolicitedBytes),
    ] {
        let (addr, go, thread) = says_afterwards(last);
        rt::block_on(async {
            let connection = Client::new()
                .connect(&format!("http://{addr}"))
                .await
                .expect("connected");
            hi(&connection).await;
            let told = listen(&connection);
            go.send(()).expect("a server");
            thread.join().expect("the server");
            // Nobody watches it: it is seen when somebody asks.
            let mut patience = 2000;
            while connection.available() == 1 {
                patience -= 1;
                assert!(patience > 0, "never seen");
                rt::sleep(Duration::from_millis(1)).await;
            }
            assert_eq!(connection.close_reason(), Some(reason));
            assert!(connection.reserve().is_none());
            let refused = connection.send(get("/"), ()).await.expect_err("over");
            assert_eq!(refused.kind(), ErrorKind::Closed(reason));
            assert_eq!(take(&told), [State::Closed(reason)]);
        });
    }
}

#[test]
fn its_end_can_be_waited_for() {
    let (addr, go, thread) = says_afterwards("");
    rt::block_on(async {
        let connection = Client::new()
            .connect(&format!("http://{addr}"))
            .await
            .expect("connected");
        // Two who wait, from before the first request on.
        let waiting = [(); 2].map(|()| {
            let connection = connection.clone();
            rt::spawn(async move { connection.closed().await })
        });
        hi(&connection).await;
        // Looking does not take the news away from those who wait.
        assert_eq!(connection.available(), 1);
        go.send(()).expect("a server");
        for task in waiting {
            assert_eq!(rt::join(task).await, Some(CloseReason::PeerClosed));
        }
        assert!(connection.ready().await.is_err());
    });
    thread.join().expect("the server");
}

#[test]
fn its_idle_deadline_ends_it() {
    let (addr, thread) = raw_server(1, |_, mut peer| {
        peer.until("\r\n\r\n");
        peer.send(HI);
        assert_eq!(peer.rest(), "");
    });
    rt::block_on(async {
        let mut config = rt::ClientConfig::DEFAULT;
        config.timeouts.idle = Some(Duration::from_millis(20));
        let client = Client::builder().config(config).build();
        let connection = client
            .connect(&format!("http://{addr}"))
            .await
            .expect("connected");
        hi(&connection).await;
        let idle = CloseReason::Timeout(DeadlineKind::Idle);
        assert_eq!(connection.closed().await, Some(idle));
        assert_eq!(connection.available(), 0);
    });
    thread.join().expect("the server");
}

#[test]
fn closing_waits_for_the_request_that_is_under_way() {
    let (addr, thread) = raw_server(1, |_, mut peer| {
        peer.until("\r\n\r\n");
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nhi");
        // The rest is sent when the other side has asked for the end.
        peer.until("!");
        peer.send("hi");
        assert_eq!(peer.rest(), "");
    });
    rt::block_on(async {
        let connection = Client::new()
            .connect(&format!("http://{addr}"))
            .await
            .expect("connected");
        let (more, stream) = Word::new();
        let body = Body::sized(1, stream);
        let mut response = connection
            .send(request(Method::POST, "/"), body)
            .await
            .expect("an early response");
        connection.close();
        assert_eq!((connection.state(), connection.in_flight()), (State::Busy, 1));
        more.say("!");
        assert_eq!(response.text(10).await.expect("text"), "hihi");
        assert_eq!(connection.closed().await, Some(CloseReason::LocalAsked));
        connection.send(get("/"), ()).await.expect_err("closed");
    });
    thread.join().expect("the server");
}

/// A stream whose one chunk comes when it is said.
struct Word(Arc<Mutex<(Option<&'static str>, Option<std::task::Waker>)>>);

impl Word {
    fn new() -> (
        Word,
        impl futures_core::Stream<Item = Result<bytes::Bytes, rt::Error>> + Send,
    ) {
        struct Heard(Word, bool);
        impl futures_core::Stream for Heard {
            type Item = Result<bytes::Bytes, rt::Error>;
            fn poll_next(
                mut self: std::pin::Pin<&mut Self>,
                cx: &mut std::task::Context<'_>,
            ) -> std::task::Poll<Option<Self::Item>> {
                use std::task::Poll;
                if self.1 {
                    return Poll::Ready(None);
                }
                let mut shared = self.0.0.lock().expect("no panic");
                match shared.0.take() {
                    None => {
                        shared.1 = Some(cx.waker().clone());
                        Poll::Pending
                    }
                    Some(word) => {
                        drop(shared);
                        self.1 = true;
                        Poll::Ready(Some(Ok(bytes::Bytes::from_static(word.as_bytes()))))
                    }
                }
            }
        }
        let shared = Arc::new(Mutex::new((None, None)));
        (Word(shared.clone()), Heard(Word(shared), false))
    }

    fn say(&self, word: &'static str) {
        let waker = {
            let mut shared = self.0.lock().expect("no panic");
            shared.0 = Some(word);
            shared.1.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

#[test]
fn what_the_server_says_of_the_connection_counts() {
    let close = "HTTP/1.1 302 Found\r\nLocation: /else\r\nSet-Cookie: a=b\r\nConnection: close\r\n\
                 Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\nhi";
    let (addr, thread) = raw_server(1, move |_, mut peer| {
        peer.until("\r\n\r\n");
        peer.send(close);
        assert_eq!(peer.rest(), "");
    });
    rt::block_on(async {
        let connection = Client::new()
            .connect(&format!("http://{addr}"))
            .await
            .expect("connected");
        // No redirect is followed, and nothing is decoded.
        let mut response = connection.send(get("/"), ()).await.expect("a response");
        assert_eq!((response.status().code(), response.decoded()), (302, None));
        assert_eq!(response.text(10).await.expect("text"), "hi");
        assert_eq!(response.close_reason(), Some(CloseReason::PeerAsked));
        assert_eq!(connection.closed().await, Some(CloseReason::PeerAsked));
    });
    thread.join().expect("the server");
}

#[test]
fn giving_up_and_running_out_of_time_close_it() {
    let (addr, thread) = raw_server(2, |_, mut peer| {
        peer.until("\r\n\r\n");
        assert_eq!(peer.rest(), "");
    });
    rt::block_on(async {
        let client = Client::new();
        let url = format!("http://{addr}");
        let connection = client.connect(&url).await.expect("connected");
        let sent = super::cancel::give_up_after(connection.send(get("/"), ()), 1).await;
        assert!(sent.is_none());
        assert_eq!(connection.closed().await, Some(CloseReason::Aborted));

        let connection = client.connect(&url).await.expect("connected");
        connection.set_timeout(Some(Duration::from_millis(20)));
        let error = connection.send(get("/"), ()).await.expect_err("no answer");
        assert!(error.is_timeout(), "{error:?}");
        assert_eq!(connection.state(), State::Closed(CloseReason::Aborted));
        // A future that was never polled has done nothing, and a reservation in it is given back.
        let server = start(builder(), |_| async { ok("hi") });
        let connection = client.connect(&server.url("/")).await.expect("connected");
        drop(connection.send(get("/"), ()));
        drop(connection.reserve().expect("idle").send(get("/"), ()));
        assert!(!hi(&connection).await);
    });
    thread.join().expect("the server");
}

#[test]
fn any_stream_will_do() {
    rt::block_on(async {
        let server = start(builder(), |request: rt::Request| async move {
            let host = request.host().unwrap_or("").to_string();
            ok(host)
        });
        let stream = std::net::TcpStream::connect(server.addr).expect("connected");
        let connection = ClientConnection::new(rt::tcp(stream));
        // It does not know whom it leads to.
        let refused = connection.send(get("/"), ()).await.expect_err("no host");
        assert_eq!(refused.kind(), ErrorKind::Misuse(Misuse::HostField));
        for i in 0..3 {
            let mut request = get("/");
            request.headers.append("host", "example.com").expect("a field");
            let mut response = connection.send(request, ()).await.expect("a response");
            assert_eq!(response.text(100).await.expect("text"), "example.com");
            assert_eq!((response.reused(), response.remote_addr()), (i > 0, None));
        }
    });
}

#[test]
fn a_proxy_is_told_the_whole_url() {
    let (proxy, thread) = raw_server(1, |_, mut peer: Raw| {
        let head = peer.until("\r\n\r\n");
        assert_eq!(
            head,
            "GET http://example.com/x?y HTTP/1.1\r\nhost: example.com\r\n\
             proxy-authorization: Basic YW5uOnNlY3JldA==\r\n\r\n"
        );
        peer.send(HI);
    });
    rt::block_on(async {
        let proxy = format!("http://ann:secret@{proxy}").parse().expect("a proxy");
        let client = Client::builder().proxy(proxy).build();
        let connection = client.connect("http://example.com/").await.expect("connected");
        let mut response = connection.send(get("/x?y"), ()).await.expect("a response");
        assert_eq!(response.text(10).await.expect("text"), "hi");
        assert!(!format!("{connection:?}").contains("secret"));
        let error = client
            .connect("http://u:secret@h/")
            .await
            .expect_err("credentials");
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(!format!("{error:?} {error}").contains("secret"));
    });
    thread.join().expect("the proxy");
}

#[test]
fn it_can_switch_protocols() {
    let (addr, thread) = raw_server(1, |_, mut peer| {
        peer.until("\r\n\r\n");
        peer.send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\n\r\nfirst");
        assert_eq!(peer.until("."), "over.");
    });
    rt::block_on(async {
        let connection = Client::new()
            .connect(&format!("http://{addr}"))
            .await
            .expect("connected");
        let mut upgrade = get("/");
        upgrade.headers.append("upgrade", "echo").expect("a field");
        upgrade.headers.append("connection", "upgrade").expect("a field");
        let response = connection.send(upgrade, ()).await.expect("a response");
        assert_eq!(connection.state(), State::Busy);
        let mut stream = response.into_upgraded().expect("switched");
        assert_eq!((connection.state(), connection.available()), (State::Switched, 0));
        assert_eq!(connection.closed().await, None);
        let mut got = [0; 5];
        let n = stream.read(&mut got).await.expect("read");
        assert_eq!(&got[..n], b"first");
        stream.write_all(b"over.").await.expect("written");
    });
    thread.join().expect("the server");
}

#[test]
fn a_hook_may_use_the_connection_and_may_panic() {
    rt::block_on(async {
        let server = start(builder(), |_| async { ok("hi") });
        let connection = Client::new().connect(&server.url("/")).await.expect("connected");
        let told = Arc::new(Mutex::new(Vec::new()));
        connection.on_state({
            let (connection, told) = (connection.clone(), told.clone());
            move |state| {
                told.lock().expect("no panic").push(state);
                // Asks from inside, and changes something.
                if state == State::Idle && told.lock().expect("no panic").len() < 4 {
                    assert_eq!(connection.available(), 1);
                    drop(connection.reserve());
                }
                if state == State::Busy {
                    panic!("as asked");
                }
            }
        });
        hi(&connection).await;
        hi(&connection).await;
        use State::{Busy, Idle};
        // A reservation that was there and gone in the middle of being told is not worth a word.
        assert_eq!(take(&told), [Busy, Idle, Busy, Idle]);
        // Or the hook would keep the connection, and the connection the hook.
        connection.on_state(|_| {});
    });
}

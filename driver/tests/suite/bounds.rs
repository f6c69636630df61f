//! Nothing waits or stays for ever: streams of nothing, uploads that nobody will end, time limits under a flood,
//! wakers that drop what they were to wake.

use super::{Chunks, builder, ok, raw_server, start};
use crate::rt::{self, Body, Client, PoolConfig, Request, Response};
use bytes::Bytes;
use std::future::poll_fn;
use std::num::NonZeroUsize;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(5);

/// A client that may have one connection per host: a place that is lost would be missed at once.
fn single() -> Client {
    let mut pool = PoolConfig::default();
    pool.max_connections_per_host = NonZeroUsize::new(1);
    Client::builder().pool(pool).build()
}

/// A thousand chunks of nothing before each of three that are something.
fn mostly_nothing() -> Body {
    let chunks = (1..=3003).map(|i| Ok::<_, rt::Error>(Bytes::from(if i % 1001 == 0 { "x" } else { "" })));
    Body::from_stream(Chunks(chunks))
}

/// One chunk, then nothing for ever.
struct Stuck(Option<Bytes>);

impl futures_core::Stream for Stuck {
    type Item = Result<Bytes, rt::Error>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match self.0.take() {
            Some(bytes) => Poll::Ready(Some(Ok(bytes))),
            None => Poll::Pending,
        }
    }
}

async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "never: {what}");
        rt::sleep(Duration::from_millis(10)).await;
    }
}

#[test]
fn empty_chunks_do_not_stop_a_body() {
    rt::block_on(async {
        let handler = |mut request: Request| async move {
            assert_eq!(request.body_mut().bytes(10).await?, "xxx");
            ok(mostly_nothing())
        };
        let server = start(builder(), handler);
        let client = Client::new();
        let request = client
            .post(server.url("/"))
            .body(mostly_nothing())
            .timeout(PATIENCE);
        let mut response = request.send().await.expect("a response");
        assert_eq!(response.text(10).await.expect("text"), "xxx");
    });
}

#[test]
fn an_upload_that_never_ends_does_not_outlive_its_response() {
    // Read to its end, then left before; the server sees the connection close (or its own wait ends the test).
    for read in [true, false] {
        let (addr, thread) = raw_server(2, |i, mut peer| {
            peer.until("\r\n\r\n");
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
            if i == 0 {
                peer.rest();
            }
        });
        rt::block_on(async {
            let client = single();
            let url = format!("http://{addr}/");
            let body = Body::from_stream(Stuck(Some(Bytes::from_static(b"x"))));
            let mut response = client.post(&url).body(body).send().await.expect("a response");
            if read {
                assert_eq!(response.text(10).await.expect("text"), "hi");
            }
            drop(response);
            eventually("the place is free", || client.pool_stats().active == 0).await;
            let next = client.get(&url).timeout(PATIENCE).send().await;
            assert!(!next.expect("a response").reused());
        });
        thread.join().expect("the server");
    }
}

#[test]
fn a_response_that_never_ends_does_not_outlive_its_reader() {
    // The rest of the request is in memory and is sent; then the server has a moment, and no more.
    let (addr, thread) = raw_server(1, |_, mut peer| {
        peer.until("\r\n\r\n");
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nhi");
        std::thread::sleep(Duration::from_millis(100));
        let mut body = vec![0; 8 << 20];
        std::io::Read::read_exact(&mut peer.0, &mut body).expect("the whole upload");
        assert_eq!(peer.rest(), "");
    });
    rt::block_on(async {
        let client = single();
        let request = client.post(format!("http://{addr}/")).body(vec![b'x'; 8 << 20]);
        drop(request.send().await.expect("a response"));
        eventually("the place is free", || client.pool_stats().active == 0).await;
        assert_eq!(client.pool_stats().idle, 0);
    });
    thread.join().expect("the server");
}

#[test]
fn a_flood_does_not_hold_a_requests_time_up() {
    // Bytes are always there to be read, so the connection never waits, and no timer is ever looked at.
    let (addr, thread) = raw_server(1, |_, mut peer| {
        peer.until("\r\n\r\n");
        peer.send("HTTP/1.1 200 OK\r\n\r\n");
        let block = vec![b'x'; 1 << 18];
        while std::io::Write::write_all(&mut peer.0, &block).is_ok() {}
    });
    rt::block_on(async {
        // A deadline that is over when it comes uses the timer up.
        let mut config = rt::ClientConfig::DEFAULT;
        config.timeouts.head = Some(Duration::from_millis(100));
        let client = Client::builder().config(config).build();
        let begun = Instant::now();
        let request = client
            .get(format!("http://{addr}/"))
            .timeout(Duration::from_millis(300));
        let mut response = request.send().await.expect("a response");
        let error = loop {
            // Soon: some runtimes let a task wait now and then although bytes are there.
            assert!(
                begun.elapsed() < Duration::from_millis(1500),
                "the limit was not kept"
            );
            match response.body_mut().chunk().await.expect("no end") {
                // Slower than the server, so that the socket is never empty.
                Ok(_) => std::thread::sleep(Duration::from_millis(20)),
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), rt::ErrorKind::Timeout, "{error:?}");
        assert!(begun.elapsed() >= Duration::from_millis(300));
    });
    thread.join().expect("the server");
}

/// A task of an executor that has stopped: waking it queues nothing, and the last waker drops it.
struct Abandoned(Mutex<Option<Pin<Box<dyn Future<Output = ()> + Send>>>>);

impl Wake for Abandoned {
    fn wake(self: Arc<Self>) {}
}

#[test]
fn a_waker_may_drop_the_request_that_it_was_to_wake() {
    let (done, finished) = mpsc::channel();
    // On a thread of its own: a deadlock must fail the test, not hang it.
    std::thread::spawn(move || {
        rt::block_on(async {
            let server = start(builder(), |_| async {
                rt::sleep(Duration::from_secs(20)).await;
                ok("late")
            });
            let client = single();
            let mut busy = Box::pin(client.get(server.url("/")).send());
            eventually("a connection is in use", || {
                assert!(
                    busy.as_mut()
                        .poll(&mut Context::from_waker(Waker::noop()))
                        .is_pending()
                );
                client.pool_stats().active == 1
            })
            .await;
            let (other, url) = (client.clone(), server.url("/"));
            let waiting = Box::pin(async move { drop(other.get(url).send().await) });
            let task = Arc::new(Abandoned(Mutex::new(Some(waiting))));
            let waker = Waker::from(task.clone());
            {
                let mut future = task.0.lock().expect("not poisoned");
                let future = future.as_mut().expect("there").as_mut();
                assert!(future.poll(&mut Context::from_waker(&waker)).is_pending());
            }
            drop((waker, task));
            assert_eq!(client.pool_stats().waiting, 1);
            // Its place goes to the one that waits, which is woken, dropped by that, and cancels its ticket.
            drop(busy);
            assert_eq!(client.pool_stats().waiting, 0);
            let _ = done.send(());
        });
    });
    finished.recv_timeout(PATIENCE).expect("no deadlock");
}

#[test]
fn a_panic_when_told_of_the_end_costs_nothing() {
    rt::block_on(async {
        let server = start(builder(), |_| async {
            let told = |_: u64| panic!("the log is full");
            Ok(Response::new(rt::Status::OK).with_body("hello").on_sent(told))
        });
        let client = Client::new();
        for reused in [false, true] {
            let mut response = client.get(server.url("/")).send().await.expect("a response");
            assert_eq!(response.text(10).await.expect("text"), "hello");
            assert_eq!(response.reused(), reused, "the connection goes on");
        }
    });
}

/// Closes what is idle after 200 ms.
fn impatient() -> Client {
    let mut pool = PoolConfig::default();
    pool.idle_timeout = Some(Duration::from_millis(200));
    Client::builder().pool(pool).build()
}

#[test]
fn idle_connections_close_in_time_although_a_runtime_went() {
    // The first runtime takes the task that watched the time with it.
    let client = impatient();
    for _ in 0..2 {
        rt::block_on(async {
            let server = start(builder(), |_| async { ok("hi") });
            let mut response = client.get(server.url("/")).send().await.expect("a response");
            assert_eq!(response.text(10).await.expect("text"), "hi");
            let again = client.clone();
            drop(server);
            assert!(again.pool_stats().idle > 0);
        });
    }
    rt::block_on(async {
        let server = start(builder(), |_| async { ok("hi") });
        client.get(server.url("/")).send().await.expect("a response");
        eventually("all are closed", || client.pool_stats().idle == 0).await;
    });
}

#[test]
fn a_connection_that_came_too_late_for_its_request_closes_in_time() {
    rt::block_on(async {
        let server = start(builder(), |_| async { ok("hi") });
        let client = impatient();
        {
            let mut request = pin!(client.get(server.url("/")).send());
            poll_fn(|cx| {
                assert!(request.as_mut().poll(cx).is_pending());
                Poll::Ready(())
            })
            .await;
            // Dialled by now; the request has not looked.
            rt::sleep(Duration::from_millis(100)).await;
        }
        eventually("it is idle", || client.pool_stats().counters.pooled == 1).await;
        eventually("it is closed", || client.pool_stats().idle == 0).await;
    });
}

//! Cancellation: a request's future, or its response's body, dropped at any poll. The pool must stay sane and
//! the next request must work.

use super::{builder, ok, start};
use crate::rt::{self, Body, Client, Request};
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

/// Polls `future` at most `polls` times (each poll is a wake-up), then drops it.
pub(super) async fn give_up_after<F: Future>(future: F, polls: usize) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut left = polls;
    poll_fn(|cx| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        match future.as_mut().poll(cx) {
            Poll::Ready(done) => Poll::Ready(Some(done)),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

async fn exchange(client: &Client, url: &str, round: usize) {
    let request = match round % 3 {
        0 => client.get(url),
        1 => client.post(url).body(vec![b'x'; 300_000]),
        _ => client.post(url).body("short").expect_continue(),
    };
    let mut response = request.send().await.expect("a response");
    while let Some(chunk) = response.body_mut().chunk().await {
        chunk.expect("a chunk");
    }
}

#[test]
fn a_request_may_be_dropped_at_any_time() {
    rt::block_on(async {
        let handler = |mut request: Request| async move {
            let len = request.body_mut().bytes(1 << 20).await?.len();
            rt::sleep(Duration::from_millis(1)).await;
            ok(vec![b'y'; 100_000 + len])
        };
        let server = start(builder(), handler);
        let mut pool = rt::PoolConfig::default();
        // With a limit, a place that is lost would be missed soon.
        pool.max_connections_per_host = std::num::NonZeroUsize::new(2);
        let client = Client::builder().pool(pool).build();
        let url = server.url("/");
        let mut finished = 0;
        for round in 0..150 {
            let done = give_up_after(exchange(&client, &url, round), round % 23).await;
            finished += usize::from(done.is_some());
            if round % 10 == 9 {
                exchange(&client, &url, round).await;
            }
        }
        assert!(finished < 150, "nothing was dropped");
        let mut patience = 200;
        while client.pool_stats().active + client.pool_stats().dialing > 0 {
            patience -= 1;
            assert!(patience > 0, "a place was lost: {:?}", client.pool_stats());
            rt::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(client.pool_stats().waiting, 0);
        exchange(&client, &url, 0).await;
    });
}

#[test]
fn a_chunk_that_was_waited_for_in_vain_is_not_lost() {
    rt::block_on(async {
        let handler = |request: Request| async move { ok(Body::from_stream(request.into_body())) };
        let server = start(builder(), handler);
        let client = Client::new();
        let sent = super::pattern(1 << 20);
        let mut response = client
            .post(server.url("/"))
            .body(sent.clone())
            .send()
            .await
            .expect("a response");
        let mut got = Vec::new();
        let mut polls = 0;
        loop {
            polls += 1;
            // Dropped after one poll or two, again and again.
            match give_up_after(response.body_mut().chunk(), 1 + polls % 2).await {
                None => rt::sleep(Duration::from_micros(100)).await,
                Some(None) => break,
                Some(Some(chunk)) => got.extend_from_slice(&chunk.expect("a chunk")),
            }
        }
        assert!(got == sent, "{} of {} bytes", got.len(), sent.len());
    });
}

#[test]
fn waiting_in_line_may_be_given_up() {
    rt::block_on(async {
        let handler = |_| async {
            rt::sleep(Duration::from_millis(100)).await;
            ok("done")
        };
        let server = start(builder(), handler);
        let mut pool = rt::PoolConfig::default();
        pool.max_connections_per_host = std::num::NonZeroUsize::new(1);
        let client = Client::builder().pool(pool).build();
        let first = rt::spawn({
            let (client, url) = (client.clone(), server.url("/"));
            async move {
                client
                    .get(url)
                    .send()
                    .await
                    .expect("a response")
                    .text(10)
                    .await
                    .expect("text")
            }
        });
        rt::sleep(Duration::from_millis(30)).await;
        for _ in 0..10 {
            assert!(
                give_up_after(client.get(server.url("/")).send(), 1)
                    .await
                    .is_none()
            );
        }
        assert_eq!(client.pool_stats().waiting, 0);
        assert_eq!(rt::join(first).await, "done");
        assert_eq!(
            client
                .get(server.url("/"))
                .send()
                .await
                .expect("a response")
                .text(10)
                .await
                .expect("text"),
            "done"
        );
        assert_eq!(client.pool_stats().counters.dials, 1);
    });
}

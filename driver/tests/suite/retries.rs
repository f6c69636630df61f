//! What is sent again behind the caller's back, and what is not: the rule is the core's, told with its reason.

use super::{Chunks, raw_server};
use crate::rt::{self, Body, Client, Error, RequestBuilder};
use antiphon_core::client::call::CallErrorKind;
use antiphon_core::client::retry::{Failure, WhyNot};
use bytes::Bytes;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

const HI: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";

fn stream() -> Body {
    Body::from_stream(Chunks([Ok::<_, Error>(Bytes::from("tea"))].into_iter()))
}

/// Sends `request` on a connection that has served before and ends when the request is there; the second one, if there
/// is one, answers.
async fn on_a_stale_connection(
    connections: usize,
    request: impl FnOnce(RequestBuilder) -> RequestBuilder,
) -> Result<rt::Response, Error> {
    let (addr, thread) = raw_server(connections, |i, mut peer| {
        peer.request().expect("a request");
        peer.send(HI);
        if i == 0 {
            peer.request().expect("another");
        }
    });
    let client = Client::new();
    let url = format!("http://{addr}/");
    client.get(&url).send().await.expect("a response");
    let done = request(client.put(&url)).send().await;
    drop(client);
    thread.join().expect("the server");
    done
}

fn why_not(error: &Error) -> (Failure, Option<WhyNot>) {
    match error.as_call().expect("a call").kind() {
        CallErrorKind::Exchange {
            failure, not_retried, ..
        } => (*failure, *not_retried),
        other => panic!("{other:?}"),
    }
}

#[test]
fn l1_a_body_is_made_again_for_a_retry() {
    rt::block_on(async {
        let made = Arc::new(AtomicUsize::new(0));
        let count = made.clone();
        let body = Body::repeatable(move || {
            count.fetch_add(1, Ordering::Relaxed);
            Ok(stream())
        });
        let body = body.expect("a body");
        let put = |r: RequestBuilder| r.header("Idempotency-Key", "1").body(body);
        let response = on_a_stale_connection(2, put).await.expect("it is sent again");
        assert!(!response.reused());
        assert_eq!(made.load(Ordering::Relaxed), 2);
        let put = |r: RequestBuilder| r.header("Idempotency-Key", "1").body("in memory");
        on_a_stale_connection(2, put).await.expect("it is sent again");
    });
}

#[test]
fn l3_an_error_says_why_it_was_not_tried_again() {
    rt::block_on(async {
        let error = on_a_stale_connection(1, |r| r.body("tea"))
            .await
            .expect_err("not safe");
        assert_eq!(
            why_not(&error),
            (Failure::BeforeResponse, Some(WhyNot::NotReplayable))
        );
        assert!(error.is_request() && !error.is_connect(), "{error:?}");
        let put = |r: RequestBuilder| r.header("Idempotency-Key", "").body(stream());
        let error = on_a_stale_connection(1, put).await.expect_err("it is gone");
        assert_eq!(
            why_not(&error),
            (Failure::BeforeResponse, Some(WhyNot::BodyConsumed))
        );
    });
    let (addr, thread) = raw_server(2, |i, mut peer| {
        peer.request().expect("a request");
        peer.send(["", "HTTP/1.1 20"][i]);
    });
    rt::block_on(async {
        for (failure, why) in [
            (Failure::BeforeResponse, WhyNot::FreshConnection),
            (Failure::InResponse, WhyNot::FreshConnection),
        ] {
            let client = Client::new();
            let error = client
                .get(format!("http://{addr}/"))
                .send()
                .await
                .expect_err("it ends");
            assert_eq!(why_not(&error), (failure, Some(why)));
        }
    });
    thread.join().expect("the server");
}

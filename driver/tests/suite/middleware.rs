//! What an application puts around the calls of a client: in which order it runs, what it sees, and what it may do.

use super::{lines, script};
use crate::rt::{
    self, Body, Client, Error, ErrorKind, Next, OutgoingRequest, Response, ResponseFuture, RoundTrip, Status,
};
use bytes::Bytes;
use std::sync::{Arc, Mutex};

const HI: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
const BUSY: &str = "HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy";

/// Writes down when it is entered and left, and adds a field.
struct Named(&'static str, Arc<Mutex<Vec<String>>>);

impl RoundTrip for Named {
    fn round_trip<'a>(&'a self, mut request: OutgoingRequest, next: Next<'a>) -> ResponseFuture<'a> {
        Box::pin(async move {
            let tell = |line: String| self.1.lock().expect("no panic").push(line);
            tell(format!(
                "{} asks {} {}",
                self.0,
                request.method(),
                request.headers().len()
            ));
            request.headers_mut().append("x-way", self.0)?;
            let response = next.run(request).await?;
            tell(format!("{} gets {}", self.0, response.status().code()));
            Ok(response)
        })
    }
}

#[test]
fn a14_the_first_stands_outermost_and_all_of_the_chain_is_inside() {
    let to = "HTTP/1.1 303 See Other\r\nLocation: /b\r\nContent-Length: 0\r\n\r\n";
    let (addr, thread) = script([to, HI]);
    let told = Arc::new(Mutex::new(Vec::new()));
    rt::block_on(async {
        let client = Client::builder()
            .with(Named("outer", told.clone()))
            .with(Named("inner", told.clone()))
            .build();
        let request = client.post(format!("http://{addr}/a")).header("x-own", "1");
        let mut response = request.body("tea").send().await.expect("a response");
        assert_eq!(response.history().len(), 1);
        assert_eq!(response.text(10).await.expect("text"), "hi");
        // They do not stand in the way of connections that are used again.
        let stats = client.pool_stats();
        assert_eq!((stats.idle, stats.counters.dials), (1, 1));
    });
    assert_eq!(
        *told.lock().expect("no panic"),
        [
            "outer asks POST 1",
            "inner asks POST 2",
            "inner gets 200",
            "outer gets 200"
        ]
    );
    let asked = thread.join().expect("the server");
    assert_eq!(lines(&asked), [(0, "POST /a"), (0, "GET /b")]);
    for (_, request) in &asked {
        let ways: Vec<&str> = request.lines().filter(|l| l.starts_with("x-way")).collect();
        assert_eq!(ways, ["x-way: outer", "x-way: inner"]);
    }
}

fn cache<'a>(request: OutgoingRequest, next: Next<'a>) -> ResponseFuture<'a> {
    Box::pin(async move {
        if request.url().ends_with("/tea") {
            return Ok(Response::new(Status::OK).with_body("Assam"));
        }
        next.run(request).await
    })
}

#[test]
fn an_answer_that_touches_no_network() {
    rt::block_on(async {
        let client = Client::builder().no_proxy().with(cache).build();
        let mut response = client
            .get("http://127.0.0.1:1/tea")
            .send()
            .await
            .expect("a response");
        assert_eq!(response.text(10).await.expect("text"), "Assam");
        let error = client.get("http://127.0.0.1:1/milk").send().await;
        assert_eq!(error.expect_err("nobody listens").kind(), ErrorKind::Connect);
        assert_eq!(client.pool_stats().counters.dials, 1);
    });
}

/// Sends a request again that was answered with 503, as often as three times, if that can be done.
fn patient<'a>(request: OutgoingRequest, next: Next<'a>) -> ResponseFuture<'a> {
    Box::pin(async move {
        let mut request = request;
        for _ in 0..2 {
            let Some(again) = request.try_clone() else { break };
            let response = next.run(request).await?;
            if response.status() != Status::SERVICE_UNAVAILABLE {
                return Ok(response);
            }
            request = again;
        }
        next.run(request).await
    })
}

#[test]
fn a14_what_is_next_may_be_run_again() {
    let (addr, thread) = script([BUSY, BUSY, HI, BUSY]);
    rt::block_on(async {
        let client = Client::builder().with(patient).build();
        let put = |body| client.put(format!("http://{addr}/")).body(body).send();
        let response = put(Body::from("tea")).await.expect("a response");
        assert_eq!(response.status(), Status::OK);
        // A stream cannot be had twice.
        let stream = super::Chunks([Ok::<_, Error>(Bytes::from("tea"))].into_iter());
        let mut response = put(Body::from_stream(stream)).await.expect("a response");
        assert_eq!(response.text(10).await.expect("text"), "busy");
    });
    let asked = thread.join().expect("the server");
    assert_eq!(asked.len(), 4);
    // The bodies that were dropped unread were short, and were read for the connection's sake.
    assert!(asked.iter().all(|a| a.1.contains("tea")));
}

fn hop_by_hop<'a>(request: OutgoingRequest, next: Next<'a>) -> ResponseFuture<'a> {
    Box::pin(async move {
        let mut request = request;
        request.without_redirects();
        next.run(request).await
    })
}

fn broken<'a>(_: OutgoingRequest, _: Next<'a>) -> ResponseFuture<'a> {
    Box::pin(async { Err(Error::round_trip("no token")) })
}

#[test]
fn redirects_left_to_it_and_errors_of_its_own() {
    let (addr, thread) = script(["HTTP/1.1 302 Found\r\nLocation: /b\r\nContent-Length: 0\r\n\r\n"]);
    rt::block_on(async {
        let client = Client::builder().with(hop_by_hop).build();
        let response = client
            .get(format!("http://{addr}/"))
            .send()
            .await
            .expect("a response");
        assert_eq!(response.status(), Status::FOUND);
        let client = Client::builder().with(broken).build();
        let error = client
            .get(format!("http://{addr}/"))
            .send()
            .await
            .expect_err("no token");
        assert_eq!(error.kind(), ErrorKind::RoundTrip);
        let cause = std::error::Error::source(&error).expect("a cause");
        assert_eq!(cause.to_string(), "no token");
        // What cannot be sent does not come so far.
        let error = client.get("http://h/").header("a b", "").send().await;
        assert_eq!(error.expect_err("no name").kind(), ErrorKind::InvalidRequest);
    });
    thread.join().expect("the server");
}

#[test]
fn a_request_on_its_way_shows_no_secret() {
    let seen = Arc::new(Mutex::new(String::new()));
    let shows = Shows(seen.clone());
    rt::block_on(async {
        let client = Client::builder().with(shows).build();
        let request = client.get("http://ann:xyzzy@h/").bearer_auth("xyzzy");
        request.send().await.expect("a response");
    });
    let seen = seen.lock().expect("no panic");
    assert!(
        seen.contains("http://***@h/") && !seen.contains("xyzzy"),
        "{seen}"
    );
}

struct Shows(Arc<Mutex<String>>);

impl RoundTrip for Shows {
    fn round_trip<'a>(&'a self, request: OutgoingRequest, next: Next<'a>) -> ResponseFuture<'a> {
        *self.0.lock().expect("no panic") = format!("{request:?} {next:?}");
        Box::pin(async { Ok(Response::new(Status::OK)) })
    }
}

//! How much is sent and received: told as it happens, and bounded.

use super::{Chunks, raw_server, script};
use crate::rt::{self, Body, Client, ErrorKind, Headers, Progress, Response};
use bytes::Bytes;
use std::sync::{Arc, Mutex};

const AGAIN: &str = "HTTP/1.1 307 T\r\nLocation: /b\r\nContent-Length: 9\r\n\r\nnot here!";
const TEA: &str = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\ngreen!";
/// Six bytes, as far as they came together.
const CHUNKED: &str =
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\ngre\r\n3\r\nen!\r\n0\r\n\r\n";

/// (sent, to_send, received, to_receive)
type Line = (u64, Option<u64>, u64, Option<u64>);

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<Line>>>);

impl Log {
    fn teller(&self) -> impl Fn(Progress) + Send + Sync + 'static {
        let log = self.clone();
        move |p: Progress| {
            let mut log = log.0.lock().expect("no panic");
            log.push((p.sent, p.to_send, p.received, p.to_receive));
        }
    }

    fn take(&self) -> Vec<Line> {
        std::mem::take(&mut *self.0.lock().expect("no panic"))
    }
}

fn stream(texts: &'static [&'static str]) -> Body {
    Body::from_stream(Chunks(
        texts
            .iter()
            .map(|t| Ok::<_, rt::Error>(Bytes::from_static(t.as_bytes()))),
    ))
}

#[test]
fn progress_is_told_and_counted_anew_for_each_request() {
    let (addr, thread) = script([AGAIN, TEA, TEA, TEA]);
    rt::block_on(async {
        let (client, log) = (Client::new(), Log::default());
        let post = || client.post(format!("http://{addr}/")).on_progress(log.teller());
        let mut response = post().body("0123456789").send().await.expect("a response");
        assert_eq!(response.text(9).await.expect("text"), "green!");
        assert_eq!(
            log.take(),
            [
                (10, Some(10), 0, None),
                // What was not here was not counted, and the body was sent again.
                (10, Some(10), 0, None),
                (10, Some(10), 0, Some(6)),
                (10, Some(10), 6, Some(6)),
            ]
        );
        // A length that nobody knows; and each chunk is told.
        post()
            .body(stream(&["ab", "cde"]))
            .send()
            .await
            .expect("a response");
        assert_eq!(
            log.take()[..3],
            [(2, None, 0, None), (5, None, 0, None), (5, None, 0, Some(6))]
        );
        // No body.
        let request = client.get(format!("http://{addr}/")).on_progress(log.teller());
        request.send().await.expect("a response");
        assert_eq!(log.take(), [(0, Some(0), 0, Some(6)), (0, Some(0), 6, Some(6))]);
    });
    thread.join().expect("the server");
}

#[test]
fn progress_goes_along_through_what_stands_around_calls() {
    let (addr, thread) = script([TEA]);
    rt::block_on(async {
        let log = Log::default();
        fn pass<'a>(request: rt::OutgoingRequest, next: rt::Next<'a>) -> rt::ResponseFuture<'a> {
            next.run(request)
        }
        let client = Client::builder().with(pass).build();
        let request = client.put(format!("http://{addr}/")).on_progress(log.teller());
        request.body("abc").send().await.expect("a response");
        assert_eq!(log.take().last(), Some(&(3, Some(3), 6, Some(6))));
    });
    thread.join().expect("the server");
}

async fn rest(mut response: Response) -> Result<usize, ErrorKind> {
    response
        .bytes(1 << 20)
        .await
        .map(|b| b.len())
        .map_err(|e| e.kind())
}

#[test]
fn a_body_may_be_as_long_as_the_limit_and_no_longer() {
    let endless = "HTTP/1.1 200 OK\r\nContent-Length: 4000000000\r\n\r\ngreen";
    let (addr, thread) = raw_server(8, move |n, mut peer| {
        assert!(peer.request().is_some());
        peer.send([TEA, TEA, CHUNKED, CHUNKED, TEA, TEA, endless, TEA][n]);
        // What is too long is not read on: the connection is closed.
        assert_eq!(peer.request(), None);
    });
    rt::block_on(async {
        let capped = |max| Client::builder().max_body(max).build();
        let url = format!("http://u:secret@{addr}/");
        let too_large = Err(ErrorKind::BodyTooLarge);
        for (max, expected) in [(6, Ok(6)), (5, too_large), (6, Ok(6)), (5, too_large)] {
            let response = capped(max).get(&*url).send().await.expect("a response");
            assert_eq!(rest(response).await, expected, "{max}");
        }
        // A request's own wins.
        let response = capped(5).get(&*url).max_body(6).send().await.expect("a response");
        assert_eq!(rest(response).await, Ok(6));
        let mut response = capped(6).get(&*url).max_body(0).send().await.expect("a response");
        let error = response.chunk().await.expect("no end").expect_err("too long");
        assert_eq!(error.kind(), ErrorKind::BodyTooLarge);
        assert!(error.is_body() && error.status() == Some(rt::Status::OK));
        assert_eq!(error.url(), Some(&*format!("http://***@{addr}/")));
        assert!(response.chunk().await.is_none());
        // What is declared is not waited for.
        let mut response = capped(3_000_000_000).get(&*url).send().await.expect("a response");
        let error = response.chunk().await.expect("no end").expect_err("too long");
        assert_eq!(error.kind(), ErrorKind::BodyTooLarge);
        let response = Client::new().get(&*url).send().await.expect("a response");
        assert_eq!(rest(response).await, Ok(6));
    });
    thread.join().expect("the server");
}

#[cfg(feature = "gzip")]
#[test]
fn the_limit_holds_for_what_is_decoded_too() {
    // A hundred thousand zeros.
    let begin = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\xed\xc1\x31\x01\x00\x00\x00\xc2\xa0\xf5\x4f\x6d\x0d\x0f\xa0";
    let end = b"\x80\x57\x03\x7d\x95\x11\xd4\xa0\x86\x01\x00";
    let bomb = [&begin[..], &[0; 96], end].concat();
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n",
        bomb.len()
    );
    let coded = bomb.len() as u64;
    let answer = [head.as_bytes(), &bomb].concat();
    let (addr, thread) = script([answer.clone(), answer.clone(), answer]);
    rt::block_on(async {
        let (client, log) = (Client::new(), Log::default());
        let get = |max| client.get(format!("http://{addr}/")).max_body(max);
        let request = get(100_000).on_progress(log.teller());
        assert_eq!(rest(request.send().await.expect("a response")).await, Ok(100_000));
        // Told is what came from the connection, of which the length is known.
        assert_eq!(log.take().last(), Some(&(0, Some(0), coded, Some(coded))));
        let mut response = get(99_999).send().await.expect("a response");
        let mut content = Vec::new();
        let error = response.copy_to(&mut content).await.expect_err("too long");
        assert_eq!(error.kind(), ErrorKind::BodyTooLarge);
        assert!(
            content.len() > 80_000 && content.len() < 100_000,
            "{}",
            content.len()
        );
        let response = get(coded - 1).send().await.expect("a response");
        assert_eq!(rest(response).await, Err(ErrorKind::BodyTooLarge));
    });
    thread.join().expect("the server");
}

#[test]
fn trailers_come_behind_any_body() {
    let (addr, thread) = raw_server(1, |_, mut peer| {
        for body in ["3\r\nabc\r\n", "2\r\nab\r\n3\r\ncde\r\n", "", "3\r\nabc\r\n"] {
            let head = peer.until("\r\n\r\n").to_ascii_lowercase();
            assert!(head.contains("transfer-encoding: chunked"), "{head}");
            assert_eq!(
                peer.until("X-Sum: 7\r\n\r\n"),
                format!("{body}0\r\nX-Sum: 7\r\n\r\n")
            );
            peer.send(TEA);
        }
    });
    rt::block_on(async {
        let trailers = |value: &str| {
            let mut trailers = Headers::new();
            trailers.append("X-Sum", value).expect("a field");
            trailers
        };
        let client = Client::new();
        let post = || client.post(format!("http://{addr}/")).trailers(trailers("7"));
        for request in [
            post().body("abc"),
            post().body(stream(&["ab", "cde"])),
            post(),
            post().body(Body::from("abc").with_trailers(trailers("8"))),
        ] {
            request.send().await.expect("a response");
        }
    });
    thread.join().expect("the server");
}

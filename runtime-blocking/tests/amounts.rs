//! How much is sent and received: told as it happens, and bounded.

mod common;

use antiphon_blocking::{
    Body, Client, ErrorKind, Headers, Next, OutgoingRequest, Progress, Response, Status,
};
use common::{Told, read_until, script, send, told::request};
use std::io::Read;
use std::sync::{Arc, Mutex};

const AGAIN: &str = "HTTP/1.1 307 T\r\nLocation: /b\r\nContent-Length: 9\r\n\r\nnot here!";
const TEA: &str = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\ngreen!";
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
            let line = (p.sent, p.to_send, p.received, p.to_receive);
            log.0.lock().unwrap().push(line);
        }
    }

    fn take(&self) -> Vec<Line> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

#[test]
fn progress_is_told_and_counted_anew_for_each_request() {
    let server = Told::new([AGAIN, TEA, TEA, TEA]);
    let (client, log) = (Client::new(), Log::default());
    let post = || client.post(server.url("/")).on_progress(log.teller());
    let mut response = post().body("0123456789").send().unwrap();
    assert_eq!(response.text(9).unwrap(), "green!");
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
    // A length that nobody knows; and each piece is told.
    let body = Body::from_reader((&b"ab"[..]).chain(&b"cde"[..]));
    let mut response = post().body(body).send().unwrap();
    let told = [(2, None, 0, None), (5, None, 0, None), (5, None, 0, Some(6))];
    assert_eq!(log.take(), told);
    assert_eq!(response.text(9).unwrap(), "green!");
    assert_eq!(log.take(), [(5, None, 6, Some(6))]);
    // No body.
    let request = client.get(server.url("/")).on_progress(log.teller());
    request.send().unwrap().bytes(9).unwrap();
    assert_eq!(log.take(), [(0, Some(0), 0, Some(6)), (0, Some(0), 6, Some(6))]);
}

#[test]
fn progress_goes_along_through_what_stands_around_calls() {
    let (server, log) = (Told::new([TEA]), Log::default());
    let pass = |request: OutgoingRequest, next: Next<'_>| next.run(request);
    let client = Client::builder().with(pass).build();
    let request = client.put(server.url("/")).on_progress(log.teller());
    request.body("abc").send().unwrap().bytes(9).unwrap();
    assert_eq!(log.take().last(), Some(&(3, Some(3), 6, Some(6))));
}

fn rest(mut response: Response) -> Result<usize, ErrorKind> {
    response.bytes(1 << 20).map(|b| b.len()).map_err(|e| e.kind())
}

#[test]
fn a_body_may_be_as_long_as_the_limit_and_no_longer() {
    let endless = "HTTP/1.1 200 OK\r\nContent-Length: 4000000000\r\n\r\ngreen";
    let (addr, thread) = script(9, move |n, mut peer| {
        assert!(request(&mut peer).is_some());
        let answer = [TEA, TEA, CHUNKED, CHUNKED, TEA, TEA, TEA, endless, TEA][n];
        send(&mut peer, answer);
        // What is too long is not read on: the connection is closed.
        assert_eq!(request(&mut peer), None);
    });
    let capped = |max| Client::builder().max_body(max).build();
    let url = format!("http://u:secret@{addr}/");
    let too_large = Err(ErrorKind::BodyTooLarge);
    for (max, expected) in [(6, Ok(6)), (5, too_large), (6, Ok(6)), (5, too_large)] {
        let response = capped(max).get(&*url).send().unwrap();
        assert_eq!(rest(response), expected, "{max}");
    }
    // A request's own wins.
    let response = capped(5).get(&*url).max_body(6).send().unwrap();
    assert_eq!(rest(response), Ok(6));
    let mut response = capped(6).get(&*url).max_body(0).send().unwrap();
    let error = response.chunk().unwrap().expect_err("too long");
    assert_eq!(error.kind(), ErrorKind::BodyTooLarge);
    assert!(error.is_body() && error.status() == Some(Status::OK));
    assert_eq!(error.url(), Some(&*format!("http://***@{addr}/")));
    assert!(response.chunk().is_none());
    // Read piece by piece.
    let mut body = capped(5).get(&*url).send().unwrap().into_body();
    let error = body.read_to_end(&mut Vec::new()).unwrap_err();
    assert!(format!("{error:?}").contains("BodyTooLarge"), "{error:?}");
    // What is declared is not waited for.
    let mut response = capped(3_000_000_000).get(&*url).send().unwrap();
    let error = response.chunk().unwrap().expect_err("too long");
    assert_eq!(error.kind(), ErrorKind::BodyTooLarge);
    let response = Client::new().get(&*url).send().unwrap();
    assert_eq!(rest(response), Ok(6));
    thread.join().unwrap();
}

#[cfg(feature = "gzip")]
#[test]
fn the_limit_holds_for_what_is_decoded_too() {
    use flate2::{Compression, read::GzEncoder};
    let mut bomb = Vec::new();
    let zeros = std::io::repeat(0).take(100_000);
    GzEncoder::new(zeros, Compression::best())
        .read_to_end(&mut bomb)
        .unwrap();
    let coded = bomb.len() as u64;
    let head = format!("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {coded}\r\n\r\n");
    let answer = [head.as_bytes(), &bomb].concat();
    let server = Told::new([answer.clone(), answer.clone(), answer]);
    let (client, log) = (Client::new(), Log::default());
    let get = |max| client.get(server.url("/")).max_body(max);
    let request = get(100_000).on_progress(log.teller());
    assert_eq!(rest(request.send().unwrap()), Ok(100_000));
    // Told is what came from the connection, of which the length is known.
    assert_eq!(log.take().last(), Some(&(0, Some(0), coded, Some(coded))));
    let mut content = Vec::new();
    let error = get(99_999).send().unwrap().copy_to(&mut content).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BodyTooLarge);
    assert!(error.url().is_some(), "{error:?}");
    assert!(
        content.len() > 80_000 && content.len() < 100_000,
        "{}",
        content.len()
    );
    let response = get(coded - 1).send().unwrap();
    assert_eq!(rest(response), Err(ErrorKind::BodyTooLarge));
}

#[test]
fn trailers_come_behind_any_body() {
    let (addr, thread) = script(1, |_, mut peer| {
        for body in ["3\r\nabc\r\n", "2\r\nab\r\n3\r\ncde\r\n", "", "3\r\nabc\r\n"] {
            let head = read_until(&mut peer, "\r\n\r\n").to_ascii_lowercase();
            assert!(head.contains("transfer-encoding: chunked"), "{head}");
            let told = read_until(&mut peer, "X-Sum: 7\r\n\r\n");
            assert_eq!(told, format!("{body}0\r\nX-Sum: 7\r\n\r\n"));
            send(&mut peer, TEA);
        }
    });
    let trailers = |value: &str| {
        let mut trailers = Headers::new();
        trailers.append("X-Sum", value).unwrap();
        trailers
    };
    let client = Client::new();
    let post = || client.post(format!("http://{addr}/")).trailers(trailers("7"));
    for request in [
        post().body("abc"),
        post().body(Body::from_reader((&b"ab"[..]).chain(&b"cde"[..]))),
        post(),
        post().body(Body::from("abc").with_trailers(trailers("8"))),
    ] {
        request.send().unwrap().bytes(9).unwrap();
    }
    thread.join().unwrap();
}

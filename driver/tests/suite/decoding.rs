//! Content codings: what is asked for behind the caller's back is decoded, and nothing else. The decoders are tested where
//! they live.

use super::script;
use crate::rt::{self, BodyLen, Client, CloseReason, Coding, Codings, ErrorKind, Response};

const TEXT: &str = "hello, hello, hello again\n";
/// `hello, hello, hello again`, and a line feed.
const HELLO: &[u8] = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\xcb\x48\xcd\xc9\xc9\xd7\x51\xc8\x40\xa2\x14\x12\xd3\x13\x33\xf3\xb8\x00\xd0\x25\x31\x70\x1a\x00\x00\x00";

/// A hundred thousand zeros in 132 bytes.
fn bomb() -> Vec<u8> {
    let begin = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\xed\xc1\x31\x01\x00\x00\x00\xc2\xa0\xf5\x4f\x6d\x0d\x0f\xa0";
    let end = b"\x80\x57\x03\x7d\x95\x11\xd4\xa0\x86\x01\x00";
    [&begin[..], &[0; 96], end].concat()
}

fn answer(fields: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 200 OK\r\n{fields}Content-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

fn gzip(body: &[u8]) -> Vec<u8> {
    answer("Content-Encoding: gzip\r\nX-A: 1\r\n", body)
}

/// In chunks of so many bytes, with a trailer.
fn chunked(fields: &str, body: &[u8], size: usize) -> Vec<u8> {
    let head =
        format!("HTTP/1.1 200 OK\r\n{fields}Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n");
    let mut wire = head.into_bytes();
    for chunk in body.chunks(size) {
        wire.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        wire.extend_from_slice(chunk);
        wire.extend_from_slice(b"\r\n");
    }
    wire.extend_from_slice(b"0\r\nX-T: 1\r\n\r\n");
    wire
}

fn check(response: &Response) {
    assert_eq!(response.decoded(), Some(Coding::Gzip));
    assert_eq!(response.body().len(), BodyLen::Unknown);
    assert!(response.header("content-encoding").is_none() && response.header("content-length").is_none());
}

#[test]
fn o2_what_was_asked_for_is_decoded_and_the_fields_mended() {
    let answers = [gzip(HELLO), gzip(b""), answer("", TEXT.as_bytes()), gzip(HELLO)];
    let (addr, thread) = script(answers);
    rt::block_on(async {
        let client = Client::builder()
            .codings(Codings::NONE.with(Coding::Gzip))
            .build();
        let get = || client.get(format!("http://{addr}/"));
        let mut response = get().send().await.expect("a response");
        check(&response);
        assert_eq!(response.header("x-a"), Some(&b"1"[..]));
        assert_eq!(response.text(100).await.expect("text"), TEXT);
        assert_eq!(response.close_reason(), None);
        // No content is none, whatever is said of it; and what is not coded is not.
        let mut response = get().send().await.expect("a response");
        assert_eq!(
            (
                response.decoded(),
                response.bytes(9).await.expect("nothing").len()
            ),
            (None, 0)
        );
        let mut response = get().send().await.expect("a response");
        assert_eq!(
            (response.decoded(), response.body().len()),
            (None, BodyLen::Known(26))
        );
        assert_eq!(response.text(100).await.expect("text"), TEXT);
        // The whole of it is there at the first look.
        let mut response = get().send().await.expect("a response");
        let chunk = response.body_mut().chunk().await.expect("some").expect("content");
        assert_eq!(chunk, TEXT);
        assert!(response.body_mut().chunk().await.is_none());
        let stats = client.pool_stats();
        assert_eq!((stats.idle, stats.counters.dials), (1, 1));
    });
    for (_, request) in thread.join().expect("the server") {
        assert!(
            request.ends_with("\r\naccept-encoding: gzip\r\n\r\n"),
            "{request}"
        );
    }
}

#[test]
fn trailers_and_the_end_of_the_connection_come_through() {
    let (addr, thread) = script([
        chunked("", HELLO, 1),
        chunked("", HELLO, 7),
        chunked("Connection: close\r\n", HELLO, 1000),
    ]);
    rt::block_on(async {
        let client = Client::new();
        for i in 0..3 {
            let mut response = client
                .get(format!("http://{addr}/"))
                .send()
                .await
                .expect("a response");
            check(&response);
            assert_eq!(response.reused(), i > 0);
            assert_eq!(response.text(100).await.expect("text"), TEXT);
            let trailers = response.body().trailers().expect("trailers");
            assert_eq!(trailers.get("x-t"), Some(&b"1"[..]));
            let reason = (i == 2).then_some(CloseReason::PeerAsked);
            assert_eq!(response.close_reason(), reason);
        }
    });
    thread.join().expect("the server");
}

#[test]
fn o1_who_asks_himself_gets_the_bytes() {
    let (addr, thread) = script([gzip(HELLO), gzip(HELLO), gzip(HELLO), gzip(&[])]);
    rt::block_on(async {
        let client = Client::new();
        let get = || client.get(format!("http://{addr}/"));
        for request in [
            get().header("Accept-Encoding", "gzip"),
            get().header("Range", "bytes=0-99"),
            get().codings(Codings::NONE),
        ] {
            let mut response = request.send().await.expect("a response");
            assert_eq!(response.decoded(), None);
            assert_eq!(response.header("content-encoding"), Some(&b"gzip"[..]));
            assert_eq!(response.bytes(100).await.expect("bytes"), HELLO);
        }
        let head = client
            .head(format!("http://{addr}/"))
            .send()
            .await
            .expect("a response");
        assert_eq!(head.decoded(), None);
    });
    let asked = thread.join().expect("the server");
    let lower: Vec<String> = asked.iter().map(|a| a.1.to_lowercase()).collect();
    assert_eq!(lower[0].matches("accept-encoding").count(), 1);
    assert!(
        lower[1..]
            .iter()
            .all(|request| !request.contains("accept-encoding")),
        "{lower:?}"
    );
}

#[test]
fn what_is_not_coded_as_it_says_is_an_error() {
    let (short, mut spoiled) = (&HELLO[..HELLO.len() - 3], HELLO.to_vec());
    spoiled[20] ^= 0x55;
    let behind = [HELLO, b"more"].concat();
    let (addr, thread) = script([gzip(short), gzip(&spoiled), gzip(&behind), gzip(b"plain text")]);
    rt::block_on(async {
        let client = Client::new();
        for what in ["short", "spoiled", "something behind", "not gzip"] {
            let mut response = client
                .get(format!("http://{addr}/"))
                .send()
                .await
                .expect("a response");
            check(&response);
            let error = response.bytes(1000).await.expect_err(what);
            assert!(error.is_decode() && error.is_body(), "{what}: {error:?}");
            assert_eq!(error.kind(), ErrorKind::Decode);
            assert_eq!(error.url(), Some(format!("http://{addr}/").as_str()));
            let cause = std::error::Error::source(&error).expect("a cause");
            assert!(cause.source().is_some(), "the decoder's reason: {error:?}");
            // After an error there is nothing.
            assert!(response.body_mut().chunk().await.is_none(), "{what}");
        }
        // All bytes had come: that they are no content is not the connection's fault.
        assert_eq!(client.pool_stats().counters.dials, 1);
    });
    thread.join().expect("the server");
}

#[test]
fn a_bomb_is_decoded_as_far_as_it_is_read() {
    let (addr, thread) = script([gzip(&bomb()), gzip(&bomb()), chunked("", &bomb(), 9)]);
    rt::block_on(async {
        let client = Client::new();
        let get = || client.get(format!("http://{addr}/"));
        let mut response = get().send().await.expect("a response");
        let error = response.bytes(99_999).await.expect_err("a limit");
        assert_eq!(error.kind(), ErrorKind::BodyTooLarge);
        let mut response = get().send().await.expect("a response");
        let mut sum = 0;
        while let Some(chunk) = response.body_mut().chunk().await {
            let chunk = chunk.expect("content");
            assert!(chunk.len() <= 8192, "piece by piece: {}", chunk.len());
            sum += chunk.len();
        }
        assert_eq!(sum, 100_000);
        // Given up: the coded rest is small, and is read in the background.
        drop(get().send().await.expect("a response"));
        let mut patience = 500;
        while client.pool_stats().idle == 0 {
            patience -= 1;
            assert!(patience > 0, "{:?}", client.pool_stats());
            rt::sleep(std::time::Duration::from_millis(10)).await;
        }
        assert_eq!(client.pool_stats().counters.dials, 1);
    });
    thread.join().expect("the server");
}

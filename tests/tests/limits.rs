//! Every limit at n, which is accepted, and at n + 1, which is not: whole, byte by byte and in pieces, with the same
//! verdict and the same offset.

use antiphon_core::h1::{ClientConfig, Limits, PeerErrorKind, ServerConfig};
use antiphon_tests::case::Cut;
use antiphon_tests::replay::Server;
use antiphon_tests::replay_client::Client;
use antiphon_tests::subject::item::Item;

/// The default limits with these changes.
macro_rules! limits {
    ($base:ident, $($field:ident = $value:expr),+) => {{
        let mut limits = Limits::$base;
        $(limits.$field = $value;)+
        limits
    }};
}

/// What a server with these limits makes of `input`: the transcript, the same for every cut.
fn server(limits: Limits, input: &[u8]) -> Vec<String> {
    let mut config = ServerConfig::DEFAULT;
    config.limits = limits;
    let verdicts = Cut::ALL.map(|cut| {
        let mut server = Server::new(config);
        server.settle();
        server.feed(input, cut);
        server.verdict().lines
    });
    assert_eq!(verdicts[0], verdicts[1], "whole and byte by byte");
    assert_eq!(verdicts[0], verdicts[2], "whole and in pieces");
    verdicts[0].clone()
}

fn accepted(lines: &[String]) {
    assert!(lines[0].contains("-> 200"), "{lines:?}");
    assert_eq!(lines.last().map(String::as_str), Some("open"), "{lines:?}");
}

/// Refused, with this error at this offset and this status.
fn refused(lines: &[String], kind: PeerErrorKind, offset: usize, status: u16) {
    let line = format!("! {kind:?} at {offset} -> {status} length");
    assert!(lines.contains(&line), "wanted {line:?} in {lines:?}");
    assert_eq!(lines.last().map(String::as_str), Some("closed"));
}

/// A request whose head is `size` bytes long.
fn head(size: usize) -> Vec<u8> {
    let mut head = b"GET / HTTP/1.1\r\nHost: a\r\nX: ".to_vec();
    head.resize(size - 4, b'x');
    head.extend_from_slice(b"\r\n\r\n");
    head
}

#[test]
fn the_size_of_a_head() {
    for n in [64, 100, 1000, 20_000] {
        let limits = limits!(SERVER, head = n);
        accepted(&server(limits, &head(n)));
        refused(&server(limits, &head(n + 1)), PeerErrorKind::HeadTooLarge, n, 431);
        // The byte that proves it is the first one too many, whatever would have followed.
        refused(
            &server(limits, &head(n + 500)),
            PeerErrorKind::HeadTooLarge,
            n,
            431,
        );
    }
}

#[test]
fn the_default_size_of_a_head() {
    accepted(&server(Limits::SERVER, &head(64 * 1024)));
    refused(
        &server(Limits::SERVER, &head(64 * 1024 + 1)),
        PeerErrorKind::HeadTooLarge,
        64 * 1024,
        431,
    );
}

#[test]
fn every_request_of_a_connection_has_the_whole_limit() {
    let limits = limits!(SERVER, head = 100);
    let two = [head(100), head(100)].concat();
    accepted(&server(limits, &two));
    refused(
        &server(limits, &[head(100), head(101)].concat()),
        PeerErrorKind::HeadTooLarge,
        200,
        431,
    );
}

#[test]
fn a_head_that_passes_its_limit_inside_the_request_line_is_414() {
    let limits = limits!(SERVER, head = 100);
    let line = |n: usize| format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(n)).into_bytes();
    accepted(&server(limits, &line(100 - line(0).len())));
    refused(
        &server(limits, &line(200)),
        PeerErrorKind::RequestLineTooLong,
        100,
        414,
    );
}

#[test]
fn the_size_of_a_target() {
    for n in [1, 10, 100] {
        let limits = limits!(SERVER, target = n);
        let request =
            |n: usize| format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(n - 1)).into_bytes();
        accepted(&server(limits, &request(n)));
        refused(
            &server(limits, &request(n + 1)),
            PeerErrorKind::TargetTooLong,
            4 + n,
            414,
        );
    }
}

#[test]
fn the_number_of_fields() {
    let request = |n: usize| {
        let more: String = (1..n).map(|i| format!("X{i}: 1\r\n")).collect();
        format!("GET / HTTP/1.1\r\nHost: a\r\n{more}\r\n").into_bytes()
    };
    for n in [1, 2, 50] {
        let limits = limits!(SERVER, fields = n);
        accepted(&server(limits, &request(n)));
        // The first byte of the line that is too many.
        let offset = request(n).len() - 2;
        refused(
            &server(limits, &request(n + 1)),
            PeerErrorKind::TooManyFields,
            offset,
            431,
        );
    }
    accepted(&server(Limits::SERVER, &request(100)));
    let offset = request(100).len() - 2;
    refused(
        &server(Limits::SERVER, &request(101)),
        PeerErrorKind::TooManyFields,
        offset,
        431,
    );
}

#[test]
fn the_number_of_empty_lines() {
    for n in [0, 1, 4] {
        let limits = limits!(SERVER, empty_lines = n);
        let request = |n: usize| ["\r\n".repeat(n).as_bytes(), &head(64)].concat();
        accepted(&server(limits, &request(n)));
        refused(
            &server(limits, &request(n + 1)),
            PeerErrorKind::EmptyLines,
            2 * n,
            400,
        );
    }
}

const CHUNKED: &str = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";

#[test]
fn the_size_of_a_chunk_line() {
    for n in [1, 8, 300] {
        let limits = limits!(SERVER, chunk_line = n);
        let body = |n: usize| {
            let extension = if n > 1 {
                format!(";{}", "e".repeat(n - 2))
            } else {
                String::new()
            };
            format!("{CHUNKED}1{extension}\r\na\r\n0\r\n\r\n").into_bytes()
        };
        accepted(&server(limits, &body(n)));
        let longer = body(n + 1);
        refused(
            &server(limits, &longer),
            PeerErrorKind::ChunkLineTooLong,
            CHUNKED.len() + n,
            400,
        );
    }
    // Zeros are part of it too, so that a size line cannot go on for ever.
    let limits = limits!(SERVER, chunk_line = 20);
    let zeros = |n: usize| format!("{CHUNKED}{}1\r\na\r\n0\r\n\r\n", "0".repeat(n)).into_bytes();
    accepted(&server(limits, &zeros(19)));
    refused(
        &server(limits, &zeros(20)),
        PeerErrorKind::ChunkLineTooLong,
        CHUNKED.len() + 20,
        400,
    );
}

/// `chunks` chunks of one byte whose size lines are `line` bytes long with their CRLF.
fn tiny_chunks(chunks: usize, line: usize) -> Vec<u8> {
    let chunk = format!("1;{}\r\na\r\n", "e".repeat(line - 4));
    format!("{CHUNKED}{}0\r\n\r\n", chunk.repeat(chunks)).into_bytes()
}

#[test]
fn chunk_framing_may_not_outgrow_the_data_by_far() {
    let limits = limits!(SERVER, chunk_overhead = 1000);
    // Frames of up to 16 bytes are free, however many there are.
    accepted(&server(limits, &tiny_chunks(500, 10)));
    // 100 bytes of framing for each byte of data are not.
    accepted(&server(limits, &tiny_chunks(5, 100)));
    let lines = server(limits, &tiny_chunks(50, 100));
    assert!(
        lines
            .iter()
            .any(|l| l.starts_with("! ChunkOverhead") && l.ends_with("400 length")),
        "{lines:?}"
    );
}

#[test]
fn the_size_of_a_trailer_section() {
    let body = |n: usize| {
        // "X: ...\r\n\r\n" is n bytes long.
        format!("{CHUNKED}1\r\na\r\n0\r\nX: {}\r\n\r\n", "x".repeat(n - 7)).into_bytes()
    };
    for n in [10, 100, 5000] {
        let limits = limits!(SERVER, trailers = n);
        accepted(&server(limits, &body(n)));
        let offset = CHUNKED.len() + 9 + n;
        refused(
            &server(limits, &body(n + 1)),
            PeerErrorKind::TrailersTooLarge,
            offset,
            431,
        );
    }
}

#[test]
fn the_number_of_trailer_fields() {
    let body = |n: usize| {
        let lines: String = (0..n).map(|i| format!("X{i}: 1\r\n")).collect();
        format!("{CHUNKED}1\r\na\r\n0\r\n{lines}\r\n").into_bytes()
    };
    for n in [1, 7] {
        let limits = limits!(SERVER, trailer_fields = n);
        accepted(&server(limits, &body(n)));
        let offset = body(n).len() - 2;
        refused(
            &server(limits, &body(n + 1)),
            PeerErrorKind::TrailersTooLarge,
            offset,
            431,
        );
    }
}

#[test]
fn the_size_of_a_body_that_is_discarded() {
    // At n the connection is kept, at n + 1 it is not: for a declared length before the body has come, for a
    // chunked one once it has.
    let limits = limits!(SERVER, discard = 50);
    let declared = |n: usize| {
        format!(
            "POST /no-read HTTP/1.1\r\nHost: a\r\nContent-Length: {n}\r\n\r\n{}",
            "x".repeat(n)
        )
    };
    let chunked = |n: usize| {
        format!(
            "{}{n:x}\r\n{}\r\n0\r\n\r\n",
            CHUNKED.replace("POST /", "POST /no-read"),
            "x".repeat(n)
        )
    };
    for request in [&declared as &dyn Fn(usize) -> String, &chunked] {
        let lines = server(limits, request(50).as_bytes());
        assert_eq!(lines, ["= POST /no-read 1.1 -> 200 length keep", "open"]);
        let lines = server(limits, request(51).as_bytes());
        assert_eq!(
            lines,
            ["= POST /no-read 1.1 -> 200 length close BodyUnread", "closed"]
        );
    }
}

// ---- the client

/// What a client with these limits makes of a response: the same for every cut.
fn client(limits: Limits, input: &[u8]) -> Result<u16, (PeerErrorKind, u64)> {
    let mut config = ClientConfig::DEFAULT;
    config.limits = limits;
    let verdicts = Cut::ALL.map(|cut| {
        let mut client = Client::new(config);
        client
            .request(&Item::get("/"), "/")
            .expect("a request that may be sent");
        client.feed(input, cut);
        match client.error {
            Some(e) => Err((e.kind(), e.offset())),
            None => Ok(client.outcome.status.expect("a response")),
        }
    });
    assert_eq!(verdicts[0], verdicts[1], "whole and byte by byte");
    assert_eq!(verdicts[0], verdicts[2], "whole and in pieces");
    verdicts[0]
}

fn response_head(size: usize) -> Vec<u8> {
    let mut head = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX: ".to_vec();
    head.resize(size - 4, b'x');
    head.extend_from_slice(b"\r\n\r\n");
    head
}

#[test]
fn the_size_of_a_response_head() {
    for n in [100, 1000, 30_000] {
        let limits = limits!(CLIENT, head = n);
        assert_eq!(client(limits, &response_head(n)), Ok(200));
        assert_eq!(
            client(limits, &response_head(n + 1)),
            Err((PeerErrorKind::HeadTooLarge, n as u64))
        );
    }
    assert_eq!(client(Limits::CLIENT, &response_head(256 * 1024)), Ok(200));
    let refused = Err((PeerErrorKind::HeadTooLarge, 256 * 1024));
    assert_eq!(client(Limits::CLIENT, &response_head(256 * 1024 + 1)), refused);
}

#[test]
fn the_number_of_response_fields() {
    let response = |n: usize| {
        let more: String = (1..n).map(|i| format!("X{i}: 1\r\n")).collect();
        format!("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n{more}\r\n").into_bytes()
    };
    for n in [1, 20, 256] {
        let limits = limits!(CLIENT, fields = n);
        assert_eq!(client(limits, &response(n)), Ok(200));
        let refused = client(limits, &response(n + 1)).map_err(|(kind, _)| kind);
        assert_eq!(refused, Err(PeerErrorKind::TooManyFields));
    }
}

#[test]
fn the_number_of_interim_responses() {
    let response = |n: usize| {
        let interim = "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(n);
        format!("{interim}HTTP/1.1 204 No Content\r\n\r\n").into_bytes()
    };
    for n in [0, 1, 100] {
        let limits = limits!(CLIENT, interim = n);
        assert_eq!(client(limits, &response(n)), Ok(204));
        let refused = client(limits, &response(n + 1)).map_err(|(kind, _)| kind);
        assert_eq!(refused, Err(PeerErrorKind::TooManyInterim));
    }
}

#[test]
fn the_limits_of_a_chunked_response() {
    let response = |line: usize, trailers: usize| {
        let (extension, value) = ("e".repeat(line - 2), "x".repeat(trailers - 7));
        format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;{extension}\r\na\r\n0\r\nX: {value}\r\n\r\n")
            .into_bytes()
    };
    let limits = limits!(CLIENT, chunk_line = 30, trailers = 40);
    let kind = |input: &[u8]| client(limits, input).map_err(|(kind, _)| kind);
    assert_eq!(kind(&response(30, 40)), Ok(200));
    assert_eq!(kind(&response(31, 40)), Err(PeerErrorKind::ChunkLineTooLong));
    assert_eq!(kind(&response(30, 41)), Err(PeerErrorKind::TrailersTooLarge));
}

#[test]
fn buffered_input_stays_within_its_limits() {
    // A handler that does not read: the machine takes what it may hold, then wants no more.
    let mut config = ServerConfig::DEFAULT;
    config.limits.recv_buffer_max = 4096;
    let mut server = Server::new(config);
    server.settle();
    server.feed(b"GET /delay?ms=1000 HTTP/1.1\r\nHost: a\r\n\r\n", Cut::Whole);
    let mut taken = 0;
    while server.http.wants().read {
        taken += server.http.received_copy(&[b'x'; 100], server.link.now);
        assert!(
            taken <= config.limits.head.max(4096),
            "{taken} bytes were taken while an answer was under way"
        );
    }
    assert!(taken > 0, "early bytes are kept");
}

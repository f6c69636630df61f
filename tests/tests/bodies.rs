//! Bodies that the machine does not carry: a driver that writes a body itself (`send_external`) or reads it itself
//! (`direct_body`) puts the same bytes on the wire, and sees the same events, as one that lets them be copied.

use antiphon_core::h1::{
    BodyLen, ClientConfig, ClientConn, ClientEvent, Misuse, ServerConfig, ServerConn, ServerEvent,
};
use antiphon_core::{Field, Fields, Instant, Status};
use bytes::Bytes;
use std::sync::Arc;

const NOW: Instant = Instant::ZERO;
const TYPE: [Field<'static>; 1] = [Field::from_static("content-type", "text/plain")];

#[derive(Clone, Copy, Debug, PartialEq)]
enum How {
    Copied,
    Shared,
    External,
}

/// Writes everything that is queued, `step` bytes at a time; `external` gives the bodies that the driver writes.
fn written(http: &mut ServerConn, external: &mut &[u8], step: usize) -> Vec<u8> {
    let mut wire = Vec::new();
    while http.wants().write {
        let outgoing = http.outgoing();
        let piece = match outgoing.external() {
            Some(left) => {
                assert!(outgoing.first().is_empty());
                let n = step.min(left as usize);
                let piece = external[..n].to_vec();
                *external = &external[n..];
                piece
            }
            None => outgoing.first()[..step.min(outgoing.first().len())].to_vec(),
        };
        assert!(
            !piece.is_empty(),
            "writing is wanted, but there is nothing to write"
        );
        http.sent(piece.len() as u64, NOW)
            .expect("not more than was offered");
        wire.extend(piece);
    }
    wire
}

/// The wire of one response whose body comes in `pieces`, each sent as `how` says.
fn response(request: &[u8], len: BodyLen, pieces: &[&[u8]], how: &[How], step: usize) -> Vec<u8> {
    let mut http = ServerConn::new(Arc::new(ServerConfig::DEFAULT), NOW);
    http.received_copy(request, NOW);
    let Ok(Some(ServerEvent::Request { id, .. })) = http.next_event() else {
        panic!("a request")
    };
    http.send_head(id, Status::OK, &TYPE, len).expect("a head");
    let mut wire = Vec::new();
    for (piece, how) in pieces.iter().zip(how.iter().cycle()) {
        let mut external = &[][..];
        match how {
            How::Copied => assert_eq!(http.send_body_copy(id, piece), Ok(piece.len())),
            How::Shared => http.send_body(id, Bytes::copy_from_slice(piece)).expect("room"),
            How::External => {
                http.send_external(id, piece.len() as u64).expect("room");
                external = piece;
            }
        }
        wire.extend(written(&mut http, &mut external, step));
    }
    http.finish(id, &Fields::EMPTY).expect("the body is complete");
    wire.extend(written(&mut http, &mut &[][..], step));
    wire
}

#[test]
fn external_and_shared_bodies_are_the_copied_ones_on_the_wire() {
    let large = vec![b'L'; 20_000];
    let pieces: [&[u8]; 4] = [b"a", &large, b"bc", &large[..3000]];
    let total: usize = pieces.iter().map(|p| p.len()).sum();
    let get = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let old = b"GET / HTTP/1.0\r\n\r\n";
    for (request, len) in [
        (&get[..], BodyLen::Known(total as u64)),
        (get, BodyLen::Unknown),
        (old, BodyLen::Unknown),
    ] {
        let copied = response(request, len, &pieces, &[How::Copied], usize::MAX);
        assert!(copied.len() > total);
        for how in [
            &[How::Shared][..],
            &[How::External],
            &[How::External, How::Copied],
            &[How::Copied, How::External, How::Shared],
        ] {
            for step in [1, 7, 4096, usize::MAX] {
                let other = response(request, len, &pieces, how, step);
                assert!(other == copied, "{how:?} in steps of {step} differs for {len:?}");
            }
        }
    }
}

#[test]
fn an_external_body_may_not_pass_its_declared_length() {
    let mut http = ServerConn::new(Arc::new(ServerConfig::DEFAULT), NOW);
    http.received_copy(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", NOW);
    let Ok(Some(ServerEvent::Request { id, .. })) = http.next_event() else {
        panic!("a request")
    };
    http.send_head(id, Status::OK, &TYPE, BodyLen::Known(10))
        .expect("a head");
    assert_eq!(http.send_external(id, 11), Err(Misuse::BodyTooLong));
    http.send_external(id, 4).expect("room");
    assert_eq!(http.finish(id, &Fields::EMPTY), Err(Misuse::BodyTooShort));
    http.send_external(id, 6).expect("room");
    http.finish(id, &Fields::EMPTY).expect("the body is complete");
    // No more may be reported than was offered.
    let head = http.outgoing().first().len() as u64;
    http.sent(head, NOW).expect("the head");
    assert_eq!(http.outgoing().external(), Some(4));
    assert_eq!(http.sent(11, NOW), Err(Misuse::TooMuch));
}

#[test]
fn a_clients_external_body_is_the_copied_one_on_the_wire() {
    let body = vec![b'u'; 10_000];
    let upload = |external: bool| {
        let mut http = ClientConn::new(Arc::new(ClientConfig::DEFAULT), NOW);
        let host = [Field::from_static("host", "a")];
        let id = http
            .send_request("PUT", "/", &host, BodyLen::Known(10_000))
            .expect("a request");
        if external {
            http.send_external(id, 10_000).expect("room");
        } else {
            assert_eq!(http.send_body_copy(id, &body), Ok(10_000));
        }
        http.finish(id, &Fields::EMPTY).expect("the body is complete");
        let mut wire = Vec::new();
        while http.wants().write {
            let piece = match http.outgoing().external() {
                Some(n) => body[..n as usize].to_vec(),
                None => http.outgoing().first().to_vec(),
            };
            http.sent(piece.len() as u64, NOW)
                .expect("not more than was offered");
            wire.extend(piece);
        }
        wire
    };
    assert!(upload(true) == upload(false));
}

/// What a server tells of a request's body, reading `direct` bytes past the machine whenever it may.
fn read(request: &[u8], body: &[u8], direct: Option<u64>) -> (Vec<u8>, Vec<String>) {
    let mut http = ServerConn::new(Arc::new(ServerConfig::DEFAULT), NOW);
    http.received_copy(request, NOW);
    let (mut seen, mut events, mut wire) = (Vec::new(), Vec::new(), body);
    loop {
        while let Ok(Some(event)) = http.next_event() {
            match event {
                ServerEvent::Request { id, .. } => http.want_body(id),
                ServerEvent::Body { .. } => {
                    seen.extend_from_slice(http.body());
                    http.consume(http.body().len()).expect("all of it");
                    continue;
                }
                _ => {}
            }
            events.push(format!("{event:?}"));
        }
        if wire.is_empty() {
            return (seen, events);
        }
        match http.direct_body().zip(direct) {
            Some((most, n)) => {
                let n = n.min(most.get()).min(wire.len() as u64);
                seen.extend_from_slice(&wire[..n as usize]);
                wire = &wire[n as usize..];
                http.direct_received(n, NOW).expect("not more than was offered");
            }
            None => {
                let n = http.received_copy(&wire[..1], NOW);
                wire = &wire[n..];
            }
        }
    }
}

#[test]
fn direct_bodies_are_the_copied_ones() {
    let length = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5000\r\n\r\nbegin";
    let plain = [
        vec![b'd'; 4995],
        b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(),
    ]
    .concat();
    let chunked = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    let chunks = [
        &b"5\r\nhello\r\n3e8\r\n"[..],
        &[b'c'; 1000],
        b"\r\n0\r\nX: 1\r\n\r\n",
    ]
    .concat();
    for (request, body, len) in [(&length[..], &plain[..], 5000), (chunked, &chunks, 1005)] {
        let copied = read(request, body, None);
        assert_eq!(copied.0.len(), len);
        assert!(
            copied.1.iter().any(|e| e.starts_with("BodyEnd")),
            "{:?}",
            copied.1
        );
        for direct in [1, 13, u64::MAX] {
            let other = read(request, body, Some(direct));
            assert!(
                other == copied,
                "{direct} bytes at a time: {:?}, not {:?}",
                other.1,
                copied.1
            );
        }
    }
}

#[test]
fn nothing_is_read_past_the_machine_while_it_holds_bytes_of_the_body() {
    let mut http = ServerConn::new(Arc::new(ServerConfig::DEFAULT), NOW);
    assert_eq!(http.direct_body(), None, "no request");
    http.received_copy(
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc",
        NOW,
    );
    let Ok(Some(ServerEvent::Request { id, .. })) = http.next_event() else {
        panic!("a request")
    };
    http.want_body(id);
    assert_eq!(http.next_event(), Ok(Some(ServerEvent::Body { id })));
    assert_eq!(http.direct_body(), None, "three bytes wait to be consumed first");
    http.consume(3).expect("they are there");
    assert_eq!(http.direct_body().map(|n| n.get()), Some(7));
    assert_eq!(http.direct_received(8, NOW), Err(Misuse::TooMuch));
    http.direct_received(7, NOW).expect("the rest");
    assert_eq!(http.next_event(), Ok(Some(ServerEvent::BodyEnd { id })));
}

#[test]
fn a_client_reads_past_the_machine_too() {
    for (head, len) in [
        ("Content-Length: 6\r\n", Some(6)),
        ("Transfer-Encoding: chunked\r\n", None),
    ] {
        let mut http = ClientConn::new(Arc::new(ClientConfig::DEFAULT), NOW);
        let host = [Field::from_static("host", "a")];
        let id = http
            .send_request("GET", "/", &host, BodyLen::None)
            .expect("a request");
        let n = http.outgoing().first().len() as u64;
        http.sent(n, NOW).expect("all of it");
        let chunk = if len.is_none() { "6\r\n" } else { "" };
        http.received_copy(format!("HTTP/1.1 200 OK\r\n{head}\r\n{chunk}").as_bytes(), NOW);
        assert!(matches!(
            http.next_event(),
            Ok(Some(ClientEvent::Response { .. }))
        ));
        assert_eq!(http.next_event(), Ok(None));
        assert_eq!(http.direct_body().map(|n| n.get()), Some(6));
        http.direct_received(6, NOW).expect("all of it");
        if len.is_none() {
            http.received_copy(b"\r\n0\r\n\r\n", NOW);
        }
        assert_eq!(http.next_event(), Ok(Some(ClientEvent::BodyEnd { id })));
        assert!(matches!(
            http.next_event(),
            Ok(Some(ClientEvent::ExchangeEnd { .. }))
        ));
    }
}

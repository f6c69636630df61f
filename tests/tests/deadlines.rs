//! Every deadline in virtual time: nothing happens a nanosecond early, and what must happen happens exactly then.
//! The machines are the core's, on in-memory links.

use antiphon_core::Instant;
use antiphon_core::h1::{
    ClientConfig, CloseReason, Deadline, DeadlineKind, Finish, MinRate, Reuse, ServerConfig, Timeouts,
};
use antiphon_tests::case::Cut;
use antiphon_tests::replay::Server;
use antiphon_tests::replay_client::Client;
use antiphon_tests::subject::item::Item;
use std::num::NonZeroU64;
use std::time::Duration;

fn seconds(n: u64) -> Instant {
    Instant::from_millis(n * 1000)
}

const NANOSECOND: Duration = Duration::from_nanos(1);

/// Lets a server's time run to just before the deadline, which changes nothing, and then to it.
fn server_expires(server: &mut Server, why: DeadlineKind, at: Instant) {
    let now = server.link.now;
    assert_eq!(server.http.deadline(now), Some(Deadline { at, why }));
    let (wire, wants, shut) = (server.link.wire.len(), server.http.wants(), server.link.shut);
    server.at(at - NANOSECOND);
    assert_eq!(
        (wire, wants, shut),
        (server.link.wire.len(), server.http.wants(), server.link.shut)
    );
    assert_eq!(server.link.ended, None, "{why:?} a nanosecond early");
    server.at(at);
    let left = server.http.deadline(at);
    assert!(
        left.is_none_or(|d| d.at > at),
        "a deadline is left that is not later: {left:?}"
    );
}

fn verdict(server: Server) -> Vec<String> {
    server.verdict().lines
}

#[test]
fn idle_closes_without_a_word() {
    let mut server = Server::new(ServerConfig::DEFAULT);
    server.settle();
    server_expires(&mut server, DeadlineKind::Idle, seconds(120));
    assert_eq!(verdict(server), ["* Timeout { id: None, why: Idle }", "closed"]);
}

#[test]
fn idle_starts_anew_after_an_exchange() {
    let mut server = Server::new(ServerConfig::DEFAULT);
    server.settle();
    server.at(seconds(7));
    server.feed(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", Cut::Whole);
    server_expires(&mut server, DeadlineKind::Idle, seconds(127));
    let lines = verdict(server);
    assert_eq!(
        lines,
        [
            "= GET / 1.1 -> 200 length keep",
            "* Timeout { id: None, why: Idle }",
            "closed"
        ]
    );
}

#[test]
fn a_head_that_is_not_complete_in_time_gets_408() {
    for cut in Cut::ALL {
        let mut server = Server::new(ServerConfig::DEFAULT);
        server.settle();
        server.at(seconds(5));
        server.feed(b"GET / HT", cut);
        assert_eq!(server.http.deadline(seconds(5)).map(|d| d.at), Some(seconds(35)));
        // More bytes of the head win no time.
        server.at(seconds(20));
        server.feed(b"TP/1.1\r\n", cut);
        server_expires(&mut server, DeadlineKind::Head, seconds(35));
        let lines = verdict(server);
        assert_eq!(
            lines,
            ["? 408 length", "* Timeout { id: None, why: Head }", "closed"],
            "{cut:?}"
        );
    }
}

#[test]
fn empty_lines_win_no_time() {
    let mut server = Server::new(ServerConfig::DEFAULT);
    server.settle();
    server.at(seconds(100));
    server.feed(b"\r\n", Cut::Whole);
    let at = server
        .http
        .deadline(seconds(100))
        .expect("there is always one")
        .at;
    assert!(at <= seconds(130), "{at:?}");
}

#[test]
fn a_body_that_stops_gets_408() {
    let mut server = Server::new(ServerConfig::DEFAULT);
    server.settle();
    server.feed(
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello",
        Cut::Whole,
    );
    server.at(seconds(29));
    // Progress starts it anew.
    server.feed(b"x", Cut::Whole);
    server_expires(&mut server, DeadlineKind::BodyStall, seconds(59));
    let lines = verdict(server);
    assert_eq!(lines[0], "~ POST / 1.1 body=\"hellox\" close Timeout(BodyStall)");
    assert!(lines.contains(&"? 408 length".to_string()), "{lines:?}");
    assert_eq!(lines.last().map(String::as_str), Some("closed"));
}

#[test]
fn a_slow_handler_costs_the_peer_nothing() {
    // The handler waits an hour before it answers; the body is complete. No deadline of the client's runs.
    let mut server = Server::new(ServerConfig::DEFAULT);
    server.settle();
    server.feed(
        b"POST /delay?ms=3600000 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi",
        Cut::Whole,
    );
    assert_eq!(server.http.deadline(seconds(0)), None);
    server.at(seconds(3600));
    assert_eq!(
        verdict(server),
        [
            "= POST /delay?ms=3600000 1.1 body=\"hi\" -> 200 length keep",
            "open"
        ]
    );
}

fn rate() -> Option<MinRate> {
    Some(MinRate {
        bytes: NonZeroU64::new(100).expect("not zero"),
        per: Duration::from_secs(10),
    })
}

#[test]
fn a_body_that_comes_too_slowly_gets_408() {
    let mut config = ServerConfig::DEFAULT;
    config.timeouts.body_rate = rate();
    let mut server = Server::new(config);
    server.settle();
    server.feed(
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n",
        Cut::Whole,
    );
    // 100 bytes in the first ten seconds are enough, 99 in the next are not.
    server.at(seconds(4));
    server.feed(&[b'x'; 100], Cut::Whole);
    server.at(seconds(10));
    assert_eq!(server.link.ended, None);
    server.at(seconds(12));
    server.feed(&[b'x'; 99], Cut::Pieces);
    server_expires(&mut server, DeadlineKind::BodyRate, seconds(20));
    let lines = verdict(server);
    assert_eq!(lines[0], "~ POST / 1.1 body=199 bytes close Timeout(BodyRate)");
    assert!(lines.contains(&"? 408 length".to_string()), "{lines:?}");
}

#[test]
fn a_peer_that_reads_nothing_is_dropped() {
    let mut server = Server::new(ServerConfig::DEFAULT);
    server.settle();
    server.link.blocked = true;
    server.at(seconds(3));
    server.feed(b"GET /big?n=1000000 HTTP/1.1\r\nHost: a\r\n\r\n", Cut::Whole);
    server.at(seconds(20));
    // A byte taken starts it anew.
    server.http.sent(1, seconds(20)).expect("it was offered");
    server_expires(&mut server, DeadlineKind::WriteStall, seconds(50));
    assert_eq!(
        server.link.ended,
        Some(Finish::Close),
        "nothing more can be said to it"
    );
}

#[test]
fn lingering_ends() {
    let mut server = Server::new(ServerConfig::DEFAULT);
    server.settle();
    server.at(seconds(1));
    server.feed(b"bad\r\n", Cut::Whole);
    assert!(server.link.shut, "half-closed first");
    assert_eq!(server.link.ended, None);
    // The peer's bytes are discarded meanwhile, and win no time.
    server.at(Instant::from_millis(1400));
    server.feed(&[b'x'; 1000], Cut::Whole);
    server_expires(&mut server, DeadlineKind::Linger, Instant::from_millis(1500));
    assert_eq!(server.link.ended, Some(Finish::Close));
}

#[test]
fn lingering_ends_at_once_with_the_peers_end() {
    let mut server = Server::new(ServerConfig::DEFAULT);
    server.settle();
    server.feed(b"bad\r\n", Cut::Whole);
    server.eof();
    assert_eq!(server.link.ended, Some(Finish::Close));
}

#[test]
fn deadlines_can_be_switched_off() {
    let mut config = ServerConfig::DEFAULT;
    let t: &mut Timeouts = &mut config.timeouts;
    (t.head, t.idle, t.body_stall, t.write_stall, t.linger) = (None, None, None, None, None);
    let mut server = Server::new(config);
    server.settle();
    assert_eq!(server.http.deadline(seconds(0)), None);
    server.feed(b"POST / HTTP/1.1\r\n", Cut::Whole);
    assert_eq!(server.http.deadline(seconds(0)), None);
    server.feed(b"Host: a\r\nContent-Length: 5\r\n\r\n", Cut::Whole);
    assert_eq!(server.http.deadline(seconds(0)), None);
    server.feed(b"hello", Cut::Whole);
    server.feed(b"bad\r\n", Cut::Whole);
    assert_eq!(
        server.link.ended,
        Some(Finish::Close),
        "without a linger it closes at once"
    );
}

// ---- the client

fn client_expires(client: &mut Client, why: DeadlineKind, at: Instant) {
    let now = client.link.now;
    assert_eq!(client.http.deadline(now), Some(Deadline { at, why }));
    let (wire, wants) = (client.link.wire.len(), client.http.wants());
    client.at(at - NANOSECOND);
    assert_eq!(
        (wire, wants, None),
        (client.link.wire.len(), client.http.wants(), client.link.ended)
    );
    client.at(at);
    let left = client.http.deadline(at);
    assert!(
        left.is_none_or(|d| d.at > at),
        "a deadline is left that is not later: {left:?}"
    );
}

fn asked(config: ClientConfig, item: Item) -> Client {
    let mut client = Client::new(config);
    client.at(seconds(1));
    client.request(&item, "/").expect("a request that may be sent");
    client
}

fn upload(fields: &[(&str, &str)]) -> Item {
    Item {
        body: Some(b"hello".to_vec()),
        headers: fields
            .iter()
            .map(|(n, v)| (n.as_bytes().to_vec(), v.as_bytes().to_vec()))
            .collect(),
        ..Item::get("/")
    }
}

#[test]
fn a_clients_idle_connection_closes() {
    let mut client = asked(ClientConfig::DEFAULT, Item::get("/"));
    client.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", Cut::Whole);
    assert_eq!(client.end, Some(Reuse::KeepAlive));
    client_expires(&mut client, DeadlineKind::Idle, seconds(91));
    assert_eq!(client.link.ended, Some(Finish::Close));
}

#[test]
fn a_server_that_announces_its_patience_is_left_a_second_earlier() {
    let mut client = asked(ClientConfig::DEFAULT, Item::get("/"));
    client.feed(
        b"HTTP/1.1 200 OK\r\nKeep-Alive: timeout=5\r\nContent-Length: 2\r\n\r\nok",
        Cut::Whole,
    );
    client_expires(&mut client, DeadlineKind::Idle, seconds(5));
    assert_eq!(client.link.ended, Some(Finish::Close));
}

#[test]
fn a_response_body_that_stops() {
    let mut client = asked(ClientConfig::DEFAULT, Item::get("/"));
    client.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello", Cut::Whole);
    client_expires(&mut client, DeadlineKind::BodyStall, seconds(61));
    assert_eq!(
        client.end,
        Some(Reuse::Close(CloseReason::Timeout(DeadlineKind::BodyStall)))
    );
    assert_eq!(
        (client.link.ended, client.outcome.body.as_slice()),
        (Some(Finish::Close), &b"hello"[..])
    );
}

#[test]
fn a_response_body_that_comes_too_slowly() {
    let mut config = ClientConfig::DEFAULT;
    config.timeouts.body_rate = rate();
    let mut client = asked(config, Item::get("/"));
    client.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", Cut::Whole);
    client.at(seconds(5));
    client.feed(&[b'x'; 99], Cut::Whole);
    client_expires(&mut client, DeadlineKind::BodyRate, seconds(11));
    assert_eq!(
        client.end,
        Some(Reuse::Close(CloseReason::Timeout(DeadlineKind::BodyRate)))
    );
}

#[test]
fn a_server_that_reads_nothing() {
    let mut client = Client::new(ClientConfig::DEFAULT);
    client.at(seconds(1));
    client.link.blocked = true;
    client
        .request(&upload(&[]), "/")
        .expect("a request that may be sent");
    client_expires(&mut client, DeadlineKind::WriteStall, seconds(61));
    assert_eq!(
        client.end,
        Some(Reuse::Close(CloseReason::Timeout(DeadlineKind::WriteStall)))
    );
    assert_eq!(client.link.ended, Some(Finish::Close));
}

#[test]
fn a_response_head_that_does_not_come() {
    let mut config = ClientConfig::DEFAULT;
    config.timeouts.response_head = Some(Duration::from_secs(10));
    let mut client = Client::new(config);
    client.link.blocked = true;
    client
        .request(&Item::get("/"), "/")
        .expect("a request that may be sent");
    client.at(seconds(4));
    // It runs from the moment when the request is fully written.
    client.link.blocked = false;
    client.settle();
    client.at(seconds(6));
    client.feed(b"HTTP/1.1 200 O", Cut::Whole);
    client_expires(&mut client, DeadlineKind::ResponseHead, seconds(14));
    assert_eq!(
        client.end,
        Some(Reuse::Close(CloseReason::Timeout(DeadlineKind::ResponseHead)))
    );
}

#[test]
fn by_default_a_client_waits_for_a_response_head_for_ever() {
    let mut client = asked(ClientConfig::DEFAULT, Item::get("/"));
    assert_eq!(client.http.deadline(seconds(1)), None);
}

#[test]
fn the_wait_for_100_continue_ends_with_the_body() {
    let mut client = asked(ClientConfig::DEFAULT, upload(&[("Expect", "100-continue")]));
    assert!(!client.link.wire.ends_with(b"hello"));
    client_expires(&mut client, DeadlineKind::ContinueWait, seconds(2));
    assert!(
        client.link.wire.ends_with(b"\r\n\r\nhello"),
        "the body is sent then"
    );
    assert_eq!(client.end, None, "and the exchange goes on");
    client.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", Cut::Whole);
    assert_eq!(client.end, Some(Reuse::KeepAlive));
}

#[test]
fn after_a_failed_write_an_answer_has_a_short_grace() {
    let failed = || {
        let mut client = asked(ClientConfig::DEFAULT, upload(&[("Expect", "100-continue")]));
        client.http.write_failed(client.link.now);
        client.settle();
        client
    };
    let mut client = failed();
    client_expires(
        &mut client,
        DeadlineKind::WriteFailedGrace,
        Instant::from_millis(1050),
    );
    assert_eq!(client.link.ended, Some(Finish::Close));
    assert!(matches!(
        client.end,
        Some(Reuse::Close(CloseReason::WriteFailed | CloseReason::Timeout(_)))
    ));

    // An answer that has arrived is used.
    let mut client = failed();
    client.at(Instant::from_millis(1049));
    client.feed(b"HTTP/1.1 413 No\r\nContent-Length: 2\r\n\r\nno", Cut::Whole);
    assert_eq!(
        (client.outcome.status, client.outcome.body.as_slice()),
        (Some(413), &b"no"[..])
    );
    assert_eq!(client.link.ended, Some(Finish::Close));
}

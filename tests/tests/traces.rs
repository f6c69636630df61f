//! Traces of the machines are reproduced by replaying their calls, line for line, and a line that was changed is
//! found.

use antiphon_core::h1::trace::{Redact, Traced, exchange_id, lent_buffer};
use antiphon_core::h1::{
    BodyLen, ClientConfig, ClientConn, ClientEvent, ErrorReply, ExchangeId, Profile, ServerConfig,
    ServerConn, ServerEvent,
};
use antiphon_core::{Field, FieldLines, Fields, Instant, Status};
use antiphon_tests::trace::{Difference, replay};
use bytes::Bytes;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

const T0: Instant = Instant::ZERO;

fn later(millis: u64) -> Instant {
    T0 + Duration::from_millis(millis)
}

fn observer() -> (impl FnMut(&str) + Send + 'static, Receiver<String>) {
    let (lines, trace) = channel();
    (
        move |line: &str| lines.send(line.to_owned()).expect("somebody reads"),
        trace,
    )
}

fn server(config: ServerConfig, redact: Redact) -> (Traced<ServerConn>, Receiver<String>) {
    let mut conn = Traced::<ServerConn>::new(Arc::new(config), T0);
    let (observer, trace) = observer();
    conn.set_observer(observer, redact);
    (conn, trace)
}

fn client(config: ClientConfig, redact: Redact) -> (Traced<ClientConn>, Receiver<String>) {
    let mut conn = Traced::<ClientConn>::new(Arc::new(config), T0);
    let (observer, trace) = observer();
    conn.set_observer(observer, redact);
    (conn, trace)
}

fn text(trace: &Receiver<String>) -> String {
    trace.try_iter().map(|line| line + "\n").collect()
}

/// Reads by space, as drivers do.
macro_rules! read {
    ($conn:expr, $bytes:expr, $now:expr) => {{
        let bytes: &[u8] = $bytes;
        $conn.recv_space()[..bytes.len()].copy_from_slice(bytes);
        $conn.received(bytes.len(), $now).expect("a read was wanted");
    }};
}

macro_rules! write_all {
    ($conn:expr, $now:expr) => {
        while $conn.wants().write {
            let n = match $conn.outgoing().external() {
                Some(n) => n,
                None => $conn.outgoing().first().len() as u64,
            };
            $conn.sent(n, $now).expect("what was offered");
        }
    };
}

fn has(trace: &str, line: &str) {
    assert!(trace.contains(&format!("{line}\n")), "no line {line} in\n{trace}");
}

fn reproduced(trace: &str) {
    let summary = replay(trace).unwrap_or_else(|difference| panic!("{difference}\nin\n{trace}"));
    assert_eq!(summary.lines, trace.lines().count());
}

/// Answers every request with its body, chunked.
fn echo(conn: &mut Traced<ServerConn>, now: Instant) {
    while let Ok(Some(event)) = conn.next_event() {
        match event {
            ServerEvent::Request { id, .. } => {
                conn.want_body(id);
                let fields = [Field::from_static("X", "y")];
                conn.send_head(id, Status::OK, &fields, BodyLen::Unknown)
                    .expect("unanswered");
                if conn.is_idle() || conn.body().is_empty() && conn.trailers(id).is_some() {
                    continue;
                }
            }
            ServerEvent::Body { id } => {
                let body = conn.take_body();
                conn.send_body(id, body).expect("there is room");
            }
            ServerEvent::BodyEnd { id } => conn.finish(id, &Fields::EMPTY).expect("the head was sent"),
            _ => {}
        }
    }
    write_all!(conn, now);
}

#[test]
fn a_server_with_pipelining_chunks_and_an_error() {
    let (mut conn, trace) = server(ServerConfig::DEFAULT, Redact::Nothing);
    conn.lend(lent_buffer(2048, false));
    read!(
        conn,
        b"POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nT: 1\r\n\r\n\
          POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhel",
        later(1)
    );
    echo(&mut conn, later(2));
    conn.deadline(later(3));
    // A mistake of the application is a line, too.
    assert!(conn.abort(exchange_id(77)).is_err());
    read!(conn, b"lo", later(4));
    echo(&mut conn, later(5));
    conn.deadline(later(6));
    assert!(conn.reclaim().is_some());
    read!(conn, b"GET / HTTP/1.1\r\nHost: x\r\nA : b\r\n\r\n", later(7));
    echo(&mut conn, later(8));
    conn.write_shut(later(9));
    conn.deadline(later(9));
    conn.handle_timeout(later(9 + 500));
    let trace = text(&trace);
    has(
        &trace,
        r#"{"told":"Request","id":1,"body":"Unknown","expects_continue":false,"proposes":"None"}"#,
    );
    has(&trace, r#"{"decision":"reuse","reuse":"KeepAlive"}"#);
    has(&trace, r#"{"misuse":"UnknownExchange"}"#);
    has(
        &trace,
        r#"{"decision":"refuse","error":{"kind":"FieldName","offset":155},"status":400}"#,
    );
    has(
        &trace,
        r#"{"decision":"close","reason":{"PeerError":{"kind":"FieldName","offset":155}}}"#,
    );
    has(&trace, r#"{"decision":"end","to":"Flush","linger":true}"#);
    has(&trace, r#"{"decision":"end","to":"Linger"}"#);
    has(
        &trace,
        r#"{"timer":"changed","slot":"read","why":"Linger","at":509000000}"#,
    );
    has(&trace, r#"{"timer":"fired","why":"Linger"}"#);
    reproduced(&trace);
}

#[test]
fn a_server_whose_deadlines_pass() {
    let (mut conn, trace) = server(ServerConfig::DEFAULT, Redact::Nothing);
    conn.received_copy(
        b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n",
        later(0),
    );
    let Ok(Some(ServerEvent::Request { id, .. })) = conn.next_event() else {
        panic!("no request")
    };
    conn.want_body(id);
    write_all!(conn, later(1));
    conn.deadline(later(2));
    conn.received_copy(b"a", later(10));
    conn.next_event().expect("a byte of the body");
    conn.consume(1).expect("it is there");
    conn.next_event().expect("nothing");
    conn.deadline(later(20));
    conn.handle_timeout(later(29_000));
    conn.handle_timeout(later(30_020));
    while let Ok(Some(_)) = conn.next_event() {}
    write_all!(conn, later(30_021));
    conn.read_failed(later(30_022));
    let trace = text(&trace);
    has(&trace, r#"{"decision":"continue","due":true}"#);
    has(&trace, r#"{"wire":"HTTP/1.1 100 Continue\r\n\r\n"}"#);
    has(
        &trace,
        r#"{"timer":"stopped","slot":"read","why":"BodyStall","at":30002000000}"#,
    );
    has(&trace, r#"{"timer":"fired","why":"BodyStall"}"#);
    has(&trace, r#"{"told":"Timeout","id":1,"why":"BodyStall"}"#);
    has(&trace, r#"{"decision":"close","reason":{"Timeout":"BodyStall"}}"#);
    reproduced(&trace);
}

/// Reads what there is to read, and how the exchange ended.
fn drain(conn: &mut Traced<ClientConn>) {
    while let Ok(Some(event)) = conn.next_event() {
        if matches!(event, ClientEvent::Body { .. }) {
            let n = conn.body().len();
            conn.consume(n).expect("what was shown");
        }
    }
}

#[test]
fn a_client_with_interim_responses_a_continue_and_a_close() {
    let (mut conn, trace) = client(ClientConfig::DEFAULT, Redact::Nothing);
    let fields = [
        Field::from_static("Host", "x"),
        Field::from_static("Expect", "100-continue"),
    ];
    let id = conn
        .send_request("PUT", "/a", &fields, BodyLen::Known(3))
        .expect("idle");
    assert!(conn.send_body_copy(id, b"abc").is_err(), "it has to wait");
    write_all!(conn, later(1));
    conn.deadline(later(1));
    read!(
        conn,
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n",
        later(2)
    );
    drain(&mut conn);
    conn.send_body_copy(id, b"abc").expect("it may be sent now");
    conn.finish(id, &Fields::EMPTY).expect("complete");
    write_all!(conn, later(3));
    read!(conn, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", later(4));
    drain(&mut conn);
    conn.deadline(later(5));
    let id = conn
        .send_request("GET", "/b", &fields[..1], BodyLen::None)
        .expect("kept");
    write_all!(conn, later(6));
    read!(
        conn,
        b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nuntil the end",
        later(7)
    );
    drain(&mut conn);
    conn.received_eof(later(8));
    drain(&mut conn);
    drop(conn.take_head(id));
    conn.into_parts();
    let trace = text(&trace);
    has(&trace, r#"{"misuse":"AwaitingContinue"}"#);
    has(&trace, r#"{"told":"Interim","id":1,"status":103}"#);
    has(&trace, r#"{"told":"SendBodyNow","id":1}"#);
    has(&trace, r#"{"told":"ExchangeEnd","id":1,"reuse":"KeepAlive"}"#);
    has(&trace, r#"{"decision":"close","reason":"PeerAsked"}"#);
    has(
        &trace,
        r#"{"told":"ExchangeEnd","id":2,"reuse":{"Close":"PeerAsked"}}"#,
    );
    has(&trace, r#"{"back":{"unread":"","unsent":"","peer_closed":true}}"#);
    reproduced(&trace);
}

/// A small generator: the same numbers every time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % sides as u64) as usize
    }

    fn one<'a, T: ?Sized>(&mut self, of: &[&'a T]) -> &'a T {
        of[self.roll(of.len())]
    }
}

const FIELDS: [&[Field<'static>]; 4] = [
    &[Field::from_static("Host", "x")],
    &[
        Field::from_static("Host", "x"),
        Field::from_static("Expect", "100-continue"),
    ],
    &[
        Field::from_static("Host", "x"),
        Field::from_static("Connection", "close"),
    ],
    &[
        Field::from_static("Set-Cookie", "a=b"),
        Field::from_static("Upgrade", "z"),
    ],
];
const BODIES: [BodyLen; 3] = [BodyLen::None, BodyLen::Known(3), BodyLen::Unknown];
const REQUESTS: [&[u8]; 4] = [
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: z\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n",
];
const RESPONSES: [&[u8]; 5] = [
    b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"HTTP/1.1 204 No Content\r\n\r\n",
    b"HTTP/1.0 200 OK\r\n\r\n",
];
const PARTS: [&[u8]; 6] = [
    b"abc",
    b"3\r\nabc\r\n",
    b"0\r\n\r\n",
    b"0\r\nT: 1\r\n\r\n",
    b"\r\n",
    b"\x00\xff",
];

/// Bytes for a server: a request when it waits for one.
fn for_a_server(dice: &mut Dice, conn: &ServerConn) -> &'static [u8] {
    match (conn.is_idle(), dice.roll(12)) {
        (_, 0) | (false, 1..6) => dice.one(&PARTS),
        (false, 6) => dice.one(&RESPONSES),
        _ => dice.one(&REQUESTS),
    }
}

/// Bytes for a client: a response when it waits for one.
fn for_a_client(dice: &mut Dice, conn: &ClientConn) -> &'static [u8] {
    match (conn.is_idle() || conn.request_bytes_sent() == 0, dice.roll(40)) {
        (_, 0) => dice.one(&PARTS),
        (true, _) => b"",
        (false, 1..12) => dice.one(&PARTS[..2]),
        (false, _) => dice.one(&RESPONSES),
    }
}

/// Any call that both machines have, with arguments that often make sense.
macro_rules! random_call {
    ($conn:expr, $bytes:ident, $dice:expr, $id:expr, $now:expr, $heads:expr) => {{
        let (conn, dice, id, now) = ($conn, $dice, $id, $now);
        match dice.roll(30) {
            0..8 => {
                let _ = conn.next_event();
            }
            8..12 => {
                let bytes = $bytes(dice, conn);
                let space = conn.recv_space();
                let n = bytes.len().min(space.len());
                space[..n].copy_from_slice(&bytes[..n]);
                let _ = conn.received(n + dice.roll(40) / 39, now);
            }
            12 => drop(conn.received_copy($bytes(dice, conn), now)),
            13..16 => {
                let offered = conn
                    .outgoing()
                    .external()
                    .unwrap_or(conn.outgoing().first().len() as u64);
                let _ = conn.sent(offered.min(1 + dice.roll(200) as u64), now);
            }
            16 => drop(conn.take_outgoing()),
            17 => drop(conn.deadline(now)),
            18 => conn.handle_timeout(now),
            19 => {
                let n = conn.body().len();
                let _ = conn.consume(n);
            }
            20 => drop(conn.take_body()),
            21 => conn.want_body(id),
            22 => drop(conn.send_body(id, Bytes::from_static(&[b'z'; 3]))),
            23 => drop(conn.send_body_copy(id, &[b'y'; 3])),
            24 => drop(conn.finish(id, &Fields::EMPTY)),
            25 => match dice.roll(6) {
                0 => drop(conn.send_external(id, 3)),
                1 => drop(conn.direct_received(dice.roll(4) as u64, now)),
                2 => drop(conn.send_body(id, vec![b'x'; 5000].into())),
                3 => drop(conn.io()),
                _ => {}
            },
            26 => match dice.roll(2) {
                0 => $heads.push(conn.take_head(id)),
                _ => conn.recycle($heads.pop().unwrap_or_default()),
            },
            27 => match dice.roll(2) {
                0 => conn.lend(lent_buffer(dice.roll(300), dice.roll(2) == 0)),
                _ => drop(conn.reclaim()),
            },
            28 => match dice.roll(30) {
                0 => conn.received_eof(now),
                1 => conn.read_failed(now),
                2 => conn.write_failed(now),
                3 => conn.close_when_idle(),
                4 => drop(conn.abort(id)),
                _ => {}
            },
            _ => conn.write_shut(now),
        }
    }};
}

#[test]
fn any_calls_in_any_order() {
    let mut events = 0;
    for seed in 1..600 {
        let mut dice = Dice(u64::wrapping_mul(seed, 0x9e37_79b9_7f4a_7c15));
        let mut clock = 0;
        let mut server_config = ServerConfig::DEFAULT;
        let mut client_config = ClientConfig::DEFAULT;
        if dice.roll(3) == 0 {
            server_config.profile = Profile::LENIENT;
            server_config.limits.send_buffer = 100;
            server_config.error_reply = ErrorReply::Application;
            client_config.limits.recv_buffer = 16;
            client_config.timeouts.response_head = Some(Duration::from_secs(3));
        }
        let redact = if dice.roll(4) == 0 {
            Redact::Credentials
        } else {
            Redact::Nothing
        };
        let (mut server, server_trace) = server(server_config, redact);
        let (mut client, client_trace) = client(client_config, redact);
        let mut heads = Vec::new();
        let (mut server_id, mut client_id) = (exchange_id(0), exchange_id(0));
        for _ in 0..120 {
            clock += if dice.roll(40) == 0 {
                20_000
            } else {
                [0, 0, 1, 40][dice.roll(4)]
            };
            let now = later(clock);

            random_call!(&mut server, for_a_server, &mut dice, server_id, now, heads);
            if dice.roll(6) == 0 {
                let status = Status::new([100, 101, 200, 204, 304, 404][dice.roll(6)]).expect("a status");
                let _ = server.send_head(server_id, status, dice.one(&FIELDS), BODIES[dice.roll(3)]);
                let _ = server.send_interim(server_id, status, dice.one(&FIELDS));
            }
            random_call!(&mut client, for_a_client, &mut dice, client_id, now, heads);
            if dice.roll(6) == 0 {
                let sent = client.send_request(
                    dice.one(&["GET", "POST", "HEAD", "CONNECT", "b d"]),
                    dice.one(&["/", "/", "*", "x:1"]),
                    dice.one(&FIELDS),
                    BODIES[dice.roll(3)],
                );
                client_id = sent.unwrap_or(client_id);
            }
            if let Ok(Some(ServerEvent::Request { id, .. } | ServerEvent::Rejected { id, .. })) =
                server.next_event()
            {
                server_id = id;
            }
        }
        server.into_parts();
        for trace in [text(&server_trace), text(&client_trace)] {
            reproduced(&trace);
            events += replay(&trace).expect("reproduced just now").events;
        }
    }
    assert!(
        events > 2_000,
        "only {events} events in all: the calls do not reach deep"
    );
}

fn recorded(fields: &(impl FieldLines + ?Sized), redact: Redact) -> String {
    let (mut conn, trace) = server(ServerConfig::DEFAULT, redact);
    let request = b"GET / HTTP/1.1\r\nHost: x\r\nCookie: monster\r\nauthorization:\tBasic hunter2\r\n\r\n";
    // Cut anywhere: inside the name, and inside the value.
    for part in [&request[..28], &request[28..36], &request[36..60], &request[60..]] {
        conn.received_copy(part, later(1));
        let _ = conn.next_event();
    }
    let id: ExchangeId = exchange_id(1);
    conn.send_head(id, Status::OK, fields, BodyLen::Unknown)
        .expect("unanswered");
    conn.finish(id, &Fields::EMPTY).expect("the head was sent");
    let mut n = 1;
    while conn.wants().write {
        n = (n * 2).min(conn.outgoing().first().len() as u64);
        conn.sent(n, later(2)).expect("what was offered");
    }
    text(&trace)
}

#[test]
fn credentials_are_there_or_masked() {
    let fields = [
        Field::from_static("Set-Cookie", "crumbs=1"),
        Field::from_static("A", "visible"),
    ];
    let secrets = ["monster", "hunter2", "crumbs"];
    let open = recorded(&fields, Redact::Nothing);
    assert!(open.contains("crumbs") && open.contains("hunter2"));
    reproduced(&open);
    let masked = recorded(&fields, Redact::Credentials);
    for secret in secrets {
        // Neither whole nor cut: no five letters of it stand anywhere.
        for part in secret.as_bytes().windows(5) {
            let part = std::str::from_utf8(part).expect("ASCII");
            assert!(!masked.contains(part), "{part} in\n{masked}");
        }
    }
    assert!(
        masked.contains("visible") && masked.contains(r#""masked":true"#),
        "{masked}"
    );
    assert_eq!(masked.lines().count(), open.lines().count());
    let summary = replay(&masked).expect("the same decisions");
    assert!(summary.masked && summary.to_string().ends_with("credentials masked"));
}

#[test]
fn a_line_that_was_changed_is_found() {
    let trace = recorded(&[Field::from_static("A", "b")], Redact::Nothing);
    let lines: Vec<&str> = trace.lines().collect();
    let told = lines
        .iter()
        .position(|l| l.contains("\"Request\""))
        .expect("a request was told");
    let tampered = |at: usize, line: &str| {
        let mut lines = lines.clone();
        lines[at] = line;
        replay(&lines.join("\n")).expect_err("the line was changed")
    };

    let other = lines[told].replace("\"id\":1", "\"id\":2");
    let difference = tampered(told, &other);
    assert_eq!(difference.line, told + 1);
    assert_eq!(difference.expected.as_deref(), Some(&other[..]));
    assert_eq!(difference.got.as_deref(), Some(lines[told]));
    assert!(
        difference
            .to_string()
            .starts_with(&format!("line {}\n  expected  {{", told + 1)),
        "{difference}"
    );

    // Each line, replaced by another one of the trace, is noticed: at its place or, for a call that does the
    // same, at its consequences.
    for at in 0..lines.len() {
        let difference = tampered(at, r#"{"do":"consume","n":9}"#);
        assert!(
            (at + 1..=at + 2).contains(&difference.line),
            "line {}: {difference}",
            at + 1
        );
        let difference: Difference = tampered(at, "not JSON");
        assert_eq!(difference.line, at + 1);
    }

    // A line left out, one twice, and a trace cut short before the consequences of its last call.
    let without: Vec<&str> = [&lines[..told], &lines[told + 1..]].concat();
    assert_eq!(
        replay(&without.join("\n")).expect_err("a line is missing").line,
        told + 1
    );
    let twice: Vec<&str> = [&lines[..=told], &lines[told..]].concat();
    assert_eq!(
        replay(&twice.join("\n")).expect_err("a line stands twice").line,
        told + 2
    );
    let short = replay(&lines[..told].join("\n")).expect_err("the consequence is missing");
    assert_eq!((short.line, short.expected), (told + 1, None));
}

#[test]
fn a_trace_that_begins_late_is_refused() {
    let mut conn = Traced::<ServerConn>::new(ServerConfig::DEFAULT.into(), T0);
    conn.received_copy(b"GET", T0);
    let (observer, trace) = observer();
    conn.set_observer(observer, Redact::Nothing);
    let difference = replay(&text(&trace)).expect_err("it cannot be replayed");
    assert_eq!(difference.line, 1);
    assert!(
        difference.to_string().contains("cannot be replayed"),
        "{difference}"
    );
}

#[test]
fn a_trace_of_other_settings_is_refused() {
    let (_, trace) = server(ServerConfig::DEFAULT, Redact::Nothing);
    let trace = text(&trace);
    for (from, to) in [
        ("\"trace\":1", "\"trace\":2"),
        ("\"keep_alive\"", "\"keep_awake\""),
        ("\"server\"", "\"waiter\""),
        ("\"head\":65536", "\"head\":\"much\""),
    ] {
        assert!(trace.contains(from));
        assert_eq!(replay(&trace.replacen(from, to, 1)).expect_err("refused").line, 1);
    }
}

#[test]
fn the_trace_in_the_documentation_replays() {
    let page = include_str!("../../docs/trace.md");
    let example = page
        .split("```json\n")
        .nth(1)
        .and_then(|rest| rest.split("```").next())
        .expect("docs/trace.md has an example");
    reproduced(example);
}

/// As `docs/trace.md` says.
#[test]
fn a_machine_that_can_be_watched_is_hardly_larger() {
    assert_eq!(size_of::<Traced<ServerConn>>(), size_of::<ServerConn>() + 24);
    assert_eq!(size_of::<Traced<ClientConn>>(), size_of::<ClientConn>() + 24);
}

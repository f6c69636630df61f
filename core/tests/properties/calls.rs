//! Invariant 12: no panic for any bytes in any call order. Invariant 7: a call that is answered with `Misuse`
//! leaves the machine as it was. Invariants 5 and 6: time.
//!
//! Calls come in any order, with any ids, lengths and clocks (backwards too); among them sensible ones, so that
//! deep states are reached.

use crate::check;
use crate::harness::{self, Seen};
use crate::settings;
use crate::wire::{Exchanges, Requests, below, pick};
use antiphon_core::h1::{
    BodyLen, Buffer, ClientConn, ClientEvent, Deadline, ExchangeId, Misuse, OwnedHead, ServerConn,
    ServerEvent,
};
use antiphon_core::{Field, Fields, Instant, Status};
use core::time::Duration;
use quickcheck::{Arbitrary, Gen, TestResult};
use std::sync::Arc;

/// A call. `which` picks an id out of those that were seen: 0 the last one, 1 the one before.
#[derive(Clone, Copy, Debug)]
enum Call {
    /// Reads so many of the bytes that are to come.
    Feed(usize),
    FeedCopy(usize),
    Received(usize),
    Eof,
    ReadFailed,
    WriteFailed,
    WriteShut,
    Event,
    Events,
    WantBody(usize),
    Consume(usize),
    ConsumeAll,
    TakeBody,
    Head(usize),
    TakeHead(usize),
    Recycle,
    Direct(u64),
    Interim(usize, u16),
    SendHead(usize, u16, BodyLen, Section),
    Body(usize, usize),
    BodyCopy(usize, usize),
    External(usize, u64),
    Finish(usize, Section),
    Abort(usize),
    /// Client: a request.
    Request(&'static str, &'static str, BodyLen, Section),
    CloseWhenIdle,
    Sent(u64),
    SentAll,
    TakeOutgoing,
    Deadline,
    Timeout,
    Advance(i64),
    AdvanceToDeadline,
    Lend,
    Reclaim,
}

/// Which fields go along.
#[derive(Clone, Copy, Debug)]
enum Section {
    Nothing,
    Host,
    Plain,
    Close,
    Upgrade,
    Expect,
    /// Not allowed: the machine writes it.
    Length,
    TwoHosts,
}

impl Section {
    fn fields(self) -> &'static [Field<'static>] {
        const HOST: Field<'static> = Field::from_static("host", "a");
        match self {
            Section::Nothing => &[],
            Section::Host => const { &[HOST] },
            Section::Plain => const { &[HOST, Field::from_static("x-a", "1")] },
            Section::Close => const { &[HOST, Field::from_static("connection", "close")] },
            Section::Upgrade => {
                const {
                    &[
                        HOST,
                        Field::from_static("upgrade", "echo"),
                        Field::from_static("connection", "upgrade"),
                    ]
                }
            }
            Section::Expect => const { &[HOST, Field::from_static("expect", "100-continue")] },
            Section::Length => const { &[HOST, Field::from_static("content-length", "3")] },
            Section::TwoHosts => const { &[HOST, HOST] },
        }
    }
}

impl Arbitrary for Section {
    fn arbitrary(g: &mut Gen) -> Section {
        use Section::*;
        pick(
            g,
            &[
                Nothing, Host, Host, Host, Plain, Plain, Close, Upgrade, Expect, Length, TwoHosts,
            ],
        )
    }
}

fn len(g: &mut Gen) -> BodyLen {
    pick(
        g,
        &[
            BodyLen::None,
            BodyLen::Known(0),
            BodyLen::Known(5),
            BodyLen::Known(u64::MAX),
            BodyLen::Unknown,
        ],
    )
}

impl Arbitrary for Call {
    fn arbitrary(g: &mut Gen) -> Call {
        let which = pick(g, &[0, 0, 0, 0, 1, 2]);
        let some = pick(g, &[0, 1, 2, 5, 60, 500, 9_000, 70_000]);
        let many = pick(g, &[0, 1, 5, 100, u64::MAX / 2, u64::MAX]);
        match below(g, 48) {
            0..=6 => Call::Feed(pick(g, &[1, 5, 50, 500, 5_000])),
            7 => Call::FeedCopy(some),
            8 => Call::Received(pick(g, &[0, 1, 1_000, usize::MAX])),
            9 => pick(
                g,
                &[Call::Eof, Call::ReadFailed, Call::WriteFailed, Call::WriteShut],
            ),
            10 => Call::Event,
            11..=15 => Call::Events,
            16 => Call::WantBody(which),
            17 => Call::Consume(pick(g, &[0, 1, 3, 100, usize::MAX])),
            18 => pick(g, &[Call::ConsumeAll, Call::TakeBody]),
            19 => Call::Head(which),
            20 => pick(g, &[Call::TakeHead(which), Call::Recycle]),
            21 => Call::Direct(pick(g, &[0, 1, 5, many])),
            22 => Call::Interim(which, pick(g, &[100, 102, 103, 101, 200])),
            23..=26 => {
                let status = pick(g, &[200, 200, 200, 204, 304, 404, 500, 101, 100, 999]);
                Call::SendHead(which, status, len(g), Section::arbitrary(g))
            }
            27 | 28 => Call::Body(which, some),
            29 | 30 => Call::BodyCopy(which, some),
            31 => Call::External(which, many),
            32..=34 => Call::Finish(
                which,
                pick(
                    g,
                    &[Section::Nothing, Section::Nothing, Section::Host, Section::Length],
                ),
            ),
            35 => pick(g, &[Call::Abort(which), Call::CloseWhenIdle]),
            36..=39 => {
                let method = pick(
                    g,
                    &[
                        "GET",
                        "HEAD",
                        "POST",
                        "PUT",
                        "CONNECT",
                        "OPTIONS",
                        "BAD METHOD",
                        "",
                    ],
                );
                let target = pick(g, &["/", "/", "/", "*", "a:80", "http://a/", "/ x", "", "/\r\n"]);
                Call::Request(method, target, len(g), Section::arbitrary(g))
            }
            40 => Call::Sent(many),
            41 | 42 => Call::SentAll,
            43 => Call::TakeOutgoing,
            44 => pick(g, &[Call::Deadline, Call::Timeout]),
            45 => Call::Advance(pick(
                g,
                &[1, 999, 1_000, 30_000, 1_000_000, 1_000_000_000, -1, -60_000],
            )),
            46 => Call::AdvanceToDeadline,
            _ => pick(g, &[Call::Lend, Call::Reclaim]),
        }
    }
}

/// The calls that both machines have under the same names; gives the outcome, or `None` if it was not made.
macro_rules! shared_call {
    ($player:ident, $call:expr) => {{
        let id = |which: usize| $player.ids.iter().rev().nth(which).copied();
        let conn = &mut $player.conn;
        let now = $player.now;
        match $call {
            Call::Feed(n) => {
                if !conn.wants().read || $player.rest.is_empty() {
                    return Ok(());
                }
                let space = conn.recv_space();
                let n = n.min(space.len()).min($player.rest.len());
                space[..n].copy_from_slice(&$player.rest[..n]);
                $player.rest = &$player.rest[n..];
                conn.received(n, now)
            }
            Call::FeedCopy(n) => {
                let n = conn.received_copy(&$player.rest[..n.min($player.rest.len())], now);
                $player.rest = &$player.rest[n..];
                Ok(())
            }
            Call::Received(n) => {
                if n == 1 && conn.wants().read {
                    conn.recv_space()[0] = b'x';
                }
                // What the room holds is not known, so that only a refusal is of interest.
                if (1..usize::MAX).contains(&n) && conn.wants().read {
                    Ok(())
                } else {
                    conn.received(n, now)
                }
            }
            Call::Eof => {
                conn.received_eof(now);
                Ok(())
            }
            Call::ReadFailed => {
                conn.read_failed(now);
                Ok(())
            }
            Call::WriteFailed => {
                conn.write_failed(now);
                Ok(())
            }
            Call::WriteShut => {
                conn.write_shut(now);
                Ok(())
            }
            Call::Event => {
                let _ = $player.event();
                Ok(())
            }
            Call::Events => {
                while $player.event() {}
                Ok(())
            }
            Call::WantBody(which) => {
                if let Some(id) = id(which) {
                    conn.want_body(id);
                }
                Ok(())
            }
            Call::Consume(n) => conn.consume(n),
            Call::ConsumeAll => conn.consume(conn.body().len()),
            Call::TakeBody => {
                let shown = conn.body().to_vec();
                assert_eq!(shown, conn.take_body(), "take_body hands out what body showed");
                Ok(())
            }
            Call::Head(which) => id(which).map_or(Ok(()), |id| conn.head(id).map(|h| drop(format!("{h:?}")))),
            Call::TakeHead(which) => {
                if let Some(id) = id(which) {
                    $player.heads.push(conn.take_head(id));
                }
                Ok(())
            }
            Call::Recycle => {
                if let Some(head) = $player.heads.pop() {
                    conn.recycle(head);
                }
                Ok(())
            }
            Call::Direct(n) => conn.direct_received(n, now),
            Call::Body(which, n) => id(which).map_or(Ok(()), |id| conn.send_body(id, vec![b'b'; n].into())),
            Call::BodyCopy(which, n) => id(which).map_or(Ok(()), |id| {
                conn.send_body_copy(id, &vec![b'c'; n])
                    .map(|sent| assert!(sent <= n))
            }),
            Call::External(which, n) => id(which).map_or(Ok(()), |id| conn.send_external(id, n)),
            Call::Finish(which, section) => id(which).map_or(Ok(()), |id| conn.finish(id, section.fields())),
            Call::Abort(which) => id(which).map_or(Ok(()), |id| conn.abort(id)),
            Call::CloseWhenIdle => {
                conn.close_when_idle();
                Ok(())
            }
            Call::Sent(n) => {
                // More than was offered must be refused.
                let outgoing = conn.outgoing();
                let slices: usize = harness::slices(&outgoing).iter().map(|s| s.len()).sum();
                let offered = outgoing.external().unwrap_or(slices as u64).max($player.taken);
                let result = conn.sent(n, now);
                if n > offered {
                    assert_eq!(result, Err(Misuse::TooMuch), "{n} sent of {offered}");
                }
                if result.is_ok() {
                    $player.taken = $player.taken.saturating_sub(n);
                }
                result
            }
            Call::SentAll => {
                let outgoing = conn.outgoing();
                let offered: usize = harness::slices(&outgoing).iter().map(|s| s.len()).sum();
                let n = outgoing.external().unwrap_or(offered as u64).max($player.taken);
                $player.taken = 0;
                if n == 0 { Ok(()) } else { conn.sent(n, now) }
            }
            Call::TakeOutgoing => {
                $player.taken += conn.take_outgoing().map_or(0, |taken| taken.len());
                Ok(())
            }
            Call::Deadline => {
                assert_eq!(conn.deadline(now), conn.deadline(now), "deadline is pure");
                Ok(())
            }
            Call::Timeout => {
                let _ = conn.deadline(now);
                conn.handle_timeout(now);
                let left = conn.deadline(now);
                assert!(
                    left.is_none_or(|d: Deadline| d.at > now),
                    "{left:?} is left at {now:?}"
                );
                Ok(())
            }
            Call::Advance(ms) => {
                let step = Duration::from_millis(ms.unsigned_abs());
                $player.now = if ms < 0 { now - step } else { now + step };
                Ok(())
            }
            Call::AdvanceToDeadline => {
                if let Some(deadline) = conn.deadline(now).filter(|d| d.at > now) {
                    let before = $player.seen();
                    $player.conn.handle_timeout(deadline.at - Duration::from_nanos(1));
                    assert_eq!(
                        before,
                        $player.seen(),
                        "a nanosecond before {deadline:?} nothing happens"
                    );
                    $player.now = deadline.at;
                    $player.conn.handle_timeout(deadline.at);
                    let left = $player.conn.deadline(deadline.at);
                    assert!(
                        left.is_none_or(|d| d.at > deadline.at),
                        "{left:?} is left after {deadline:?}"
                    );
                }
                Ok(())
            }
            Call::Lend => {
                if conn.needs_buffer() {
                    conn.lend(Buffer::new());
                }
                Ok(())
            }
            Call::Reclaim => {
                drop(conn.reclaim());
                Ok(())
            }
            Call::Interim(..) | Call::SendHead(..) | Call::Request(..) => Ok(()),
        }
    }};
}

struct Player<'a, C> {
    conn: C,
    rest: &'a [u8],
    ids: Vec<ExchangeId>,
    heads: Vec<OwnedHead>,
    now: Instant,
    /// Bytes that were taken out to be written and not reported yet.
    taken: u64,
}

impl<'a, C> Player<'a, C> {
    fn new(conn: C, rest: &'a [u8]) -> Player<'a, C> {
        // An hour in, so that the clock can go backwards.
        Player {
            conn,
            rest,
            ids: Vec::new(),
            heads: Vec::new(),
            now: start(),
            taken: 0,
        }
    }
}

fn start() -> Instant {
    Instant::ZERO + Duration::from_secs(3_600)
}

impl Player<'_, ServerConn> {
    fn seen(&self) -> Seen {
        harness::seen!(self.conn)
    }

    fn event(&mut self) -> bool {
        match self.conn.next_event() {
            Ok(Some(event)) => {
                if let ServerEvent::Request { id, .. } | ServerEvent::Rejected { id, .. } = event {
                    assert!(!self.ids.contains(&id), "ids are never reused");
                    self.ids.push(id);
                }
                true
            }
            _ => false,
        }
    }

    fn call(&mut self, call: Call) -> Result<(), Misuse> {
        let id = |which: usize| self.ids.iter().rev().nth(which).copied();
        match call {
            Call::Interim(which, status) => {
                let status = Status::new(status).expect("a status");
                id(which).map_or(Ok(()), |id| self.conn.send_interim(id, status, &Fields::EMPTY))
            }
            Call::SendHead(which, status, len, section) => {
                let status = Status::new(status).expect("a status");
                id(which).map_or(Ok(()), |id| {
                    self.conn.send_head(id, status, section.fields(), len)
                })
            }
            other => shared_call!(self, other),
        }
    }
}

impl Player<'_, ClientConn> {
    fn seen(&self) -> Seen {
        harness::seen!(self.conn)
    }

    fn event(&mut self) -> bool {
        match self.conn.next_event() {
            Ok(Some(ClientEvent::ExchangeEnd { id, .. })) => {
                assert!(self.ids.contains(&id), "the end of an exchange that began");
                true
            }
            Ok(event) => event.is_some(),
            Err(_) => false,
        }
    }

    fn call(&mut self, call: Call) -> Result<(), Misuse> {
        match call {
            Call::Request(method, target, len, section) => {
                let can = self.conn.can_send();
                let result = self.conn.send_request(method, target, section.fields(), len);
                assert!(can || result.is_err(), "can_send said no");
                self.ids.extend(result.ok());
                result.map(drop)
            }
            other => shared_call!(self, other),
        }
    }
}

#[test]
fn a_server_takes_any_calls_in_any_order() {
    fn property(config: settings::Server, wire: Requests, calls: Vec<Call>) -> TestResult {
        let mut player = Player::new(ServerConn::new(Arc::clone(&config.0), start()), &wire.0);
        for (at, &call) in calls.iter().enumerate() {
            let (seen, state) = (player.seen(), format!("{:?}", player.conn));
            assert!(
                seen.direct.is_none() || seen.body.is_empty(),
                "bytes that are there go before direct ones"
            );
            if let Err(misuse) = player.call(call)
                && (seen != player.seen() || state != format!("{:?}", player.conn))
            {
                return TestResult::error(format!(
                    "call {at}, {call:?}, gave {misuse:?} and changed\n{seen:?}\n{state}\nto\n{:?}\n{:?}",
                    player.seen(),
                    player.conn
                ));
            }
        }
        drop(player.conn.into_parts());
        TestResult::passed()
    }
    check(30_000, property as fn(_, _, _) -> _);
}

#[test]
fn a_client_takes_any_calls_in_any_order() {
    fn property(config: settings::Client, exchanges: Exchanges, calls: Vec<Call>) -> TestResult {
        let wire: Vec<u8> = exchanges
            .0
            .iter()
            .flat_map(|(_, bytes)| bytes.iter().copied())
            .collect();
        let mut player = Player::new(ClientConn::new(Arc::clone(&config.0), start()), &wire);
        // Most calls need an open exchange.
        let first = Call::Request("POST", "/", BodyLen::Unknown, Section::Host);
        for (at, &call) in [first].iter().chain(&calls).enumerate() {
            let (seen, state) = (player.seen(), format!("{:?}", player.conn));
            assert!(
                seen.direct.is_none() || seen.body.is_empty(),
                "bytes that are there go before direct ones"
            );
            if let Err(misuse) = player.call(call)
                && (seen != player.seen() || state != format!("{:?}", player.conn))
            {
                return TestResult::error(format!(
                    "call {at}, {call:?}, gave {misuse:?} and changed\n{seen:?}\n{state}\nto\n{:?}\n{:?}",
                    player.seen(),
                    player.conn
                ));
            }
        }
        drop(player.conn.into_parts());
        TestResult::passed()
    }
    check(30_000, property as fn(_, _, _) -> _);
}

//! What a driver and an application may call, and sequences of such calls: sensible ones, so that deep states are
//! reached, among them anything at all, with any ids, lengths and clocks.
//!
//! Not in here: who makes the calls and what is checked (`player.rs`).

use crate::wire::{below, once_in, pick};
use antiphon_core::Field;
use antiphon_core::h1::BodyLen;
use quickcheck::{Arbitrary, Gen};

/// A call. `which` picks an id out of those that were seen: 0 the last one, 1 the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
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
    /// Client: the request that the next answer is for.
    Ask,
    /// Client: any request.
    Request(&'static str, &'static str, BodyLen, Section),
    CloseWhenIdle,
    Sent(u64),
    SentAll,
    TakeOutgoing,
    Deadline,
    Timeout,
    Advance(i64),
    AdvanceToDeadline,
    /// The same, but only while a body is waited for: another deadline would end the connection too soon for what follows.
    AdvanceToBodyDeadline,
    Lend,
    Reclaim,
}

/// Which fields go along.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Section {
    Nothing,
    Host,
    Plain,
    Trailer,
    Close,
    Upgrade,
    Expect,
    /// Not allowed: the machine writes it.
    Length,
    TwoHosts,
}

impl Section {
    pub(crate) fn fields(self) -> &'static [Field<'static>] {
        const HOST: Field<'static> = Field::from_static("host", "a");
        match self {
            Section::Nothing => &[],
            Section::Host => const { &[HOST] },
            Section::Plain => const { &[HOST, Field::from_static("x-a", "1")] },
            Section::Trailer => const { &[Field::from_static("x-a", "1")] },
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
            BodyLen::Known(1_000),
            BodyLen::Known(u64::MAX),
            BodyLen::Unknown,
        ],
    )
}

impl Arbitrary for Call {
    fn arbitrary(g: &mut Gen) -> Call {
        let which = pick(g, &[0, 0, 0, 0, 1, 2]);
        let some = pick(g, &[0, 1, 2, 5, 5, 60, 60, 500, 500, 9_000, 70_000]);
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
                    &[Section::Nothing, Section::Trailer, Section::Host, Section::Length],
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

/// What a server's driver and application usually do, in turn.
const SERVE: &[Call] = &[
    Call::Feed(500),
    Call::Events,
    Call::WantBody(0),
    Call::ConsumeAll,
    Call::Feed(500),
    Call::Events,
    Call::ConsumeAll,
    Call::Feed(500),
    Call::Events,
    Call::ConsumeAll,
    Call::Events,
    Call::SendHead(0, 200, BodyLen::Unknown, Section::Plain),
    Call::BodyCopy(0, 5),
    Call::Finish(0, Section::Nothing),
    Call::SentAll,
    Call::Events,
];

/// The same for a client.
const ASK: &[Call] = &[
    Call::Ask,
    Call::SentAll,
    Call::Events,
    Call::BodyCopy(0, 5),
    Call::Finish(0, Section::Nothing),
    Call::SentAll,
    Call::Feed(5_000),
    Call::Events,
    Call::WantBody(0),
    Call::ConsumeAll,
    Call::Feed(5_000),
    Call::Events,
    Call::ConsumeAll,
    Call::Feed(5_000),
    Call::Events,
    Call::ConsumeAll,
    Call::Events,
    // The answer may have opened the gate for the request's body.
    Call::Finish(0, Section::Nothing),
    Call::SentAll,
    Call::ConsumeAll,
    Call::Events,
];

/// A sequence of calls.
#[derive(Clone, Debug)]
pub(crate) struct Calls<const SERVER: bool>(pub(crate) Vec<Call>);

impl<const SERVER: bool> Arbitrary for Calls<SERVER> {
    fn arbitrary(g: &mut Gen) -> Self {
        let usual = if SERVER { SERVE } else { ASK };
        // From any order at all to the usual one with little besides.
        let strays = pick(g, &[1, 6, 30, 100, 500, 500]);
        let waits = pick(g, &[100, 500, 5_000]);
        let in_parts = bool::arbitrary(g);
        let mut calls = Vec::new();
        for _ in 0..2 + below(g, 12) {
            for &call in usual {
                if once_in(g, strays) {
                    for _ in 0..1 + below(g, 3) {
                        calls.push(Call::arbitrary(g));
                    }
                }
                if strays > 1 && !once_in(g, 2 * strays) {
                    calls.push(match call {
                        // Bytes come in all at once, or in parts.
                        Call::Feed(most) if in_parts => Call::Feed(pick(g, &[1, 5, 50, most, most, most])),
                        Call::SendHead(which, status, BodyLen::Unknown, section) if once_in(g, 3) => {
                            Call::SendHead(which, status, BodyLen::Known(1_000), section)
                        }
                        call => call,
                    });
                }
                if matches!(call, Call::ConsumeAll) && once_in(g, 3) {
                    calls.push(Call::Advance(pick(g, &[1, 500, 1_000])));
                }
                if matches!(call, Call::BodyCopy(..)) && once_in(g, 6) {
                    // More than there is room for, then the rest of it.
                    for room in [Call::SentAll, Call::Event] {
                        let much = [Call::Body(0, 500), Call::BodyCopy(0, 500), Call::External(0, 500)];
                        let much = pick(g, &[much[0], much[0], much[1], much[2], Call::Body(0, 70_000)]);
                        calls.extend([much, much, room]);
                    }
                }
                if once_in(g, waits) {
                    calls.push(Call::AdvanceToDeadline);
                }
                if matches!(call, Call::WantBody(_)) && once_in(g, 15) {
                    calls.push(Call::AdvanceToBodyDeadline);
                }
            }
        }
        Calls(calls)
    }

    fn shrink(&self) -> Box<dyn Iterator<Item = Self>> {
        Box::new(self.0.shrink().map(Calls))
    }
}

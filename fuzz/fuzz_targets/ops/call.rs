//! What the fuzzer says: settings, and calls with their arguments. What a call does stands in `player.rs`.

use antiphon_core::Field;
use antiphon_core::h1::{BodyLen, Limits, Profile, Timeouts};
use arbitrary::Arbitrary;
use core::time::Duration;

/// What the fuzzer says: settings, calls, and the peer's bytes, which `Feed` hands over piece by piece.
#[derive(Arbitrary, Debug)]
pub(crate) struct Input<'a> {
    pub(crate) settings: Settings,
    pub(crate) calls: Vec<Call>,
    pub(crate) wire: &'a [u8],
}

#[derive(Arbitrary, Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub(crate) tiny: bool,
    pub(crate) profile: u8,
    /// Bits whose meaning is the role's.
    pub(crate) role: u8,
    /// How the connection is ended after the last call: with an abort, or with an answer.
    pub(crate) abort: bool,
}

impl Settings {
    pub(crate) fn profile(self) -> Profile {
        match self.profile % 4 {
            0 | 1 => Profile::STRICT,
            2 => Profile::BROWSER,
            _ => Profile::LENIENT,
        }
    }

    pub(crate) fn limits(self, limits: &mut Limits) {
        if self.tiny {
            limits.head = 300;
            limits.fields = 5;
            limits.target = 30;
            limits.trailers = 40;
            limits.trailer_fields = 1;
            limits.chunk_line = 8;
            limits.chunk_overhead = 8;
            limits.interim = 1;
            limits.empty_lines = 1;
            limits.discard = 40;
            limits.recv_buffer = 32;
            limits.recv_buffer_max = 64;
            limits.send_buffer = 256;
        }
    }

    pub(crate) fn timeouts(self, timeouts: &mut Timeouts) {
        if self.role & 16 != 0 {
            timeouts.body_rate = Some(antiphon_core::h1::MinRate {
                bytes: core::num::NonZeroU64::MIN,
                per: Duration::from_secs(1),
            });
        }
        if self.role & 32 != 0 {
            timeouts.linger = match timeouts.linger {
                Some(_) => None,
                None => Some(Duration::from_millis(500)),
            };
        }
    }
}

/// A call. `Which` picks an exchange out of those that were seen.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub(crate) enum Call {
    /// Reads so many of the bytes that are to come, into `recv_space`.
    Feed(Size),
    /// The same through `io`.
    FeedIo(Size),
    FeedCopy(Size),
    FeedAll,
    /// Claims so many bytes without having written them.
    Received(Size),
    Eof,
    ReadFailed,
    WriteFailed,
    WriteShut,
    Event,
    Events,
    WantBody(Which),
    Consume(Size),
    ConsumeAll,
    TakeBody,
    Direct(Size),
    TakeHead(Which),
    Recycle,
    /// Server.
    Interim(Which, Code, Section),
    /// Server.
    SendHead(Which, Code, Section, Len),
    /// Client.
    Request(Method, Target, Section, Len),
    Body(Which, Size),
    BodyCopy(Which, Size),
    External(Which, Size),
    Finish(Which, Section),
    Abort(Which),
    CloseWhenIdle,
    Sent(Size),
    SentAll,
    TakeOutgoing,
    Deadline,
    Timeout,
    Advance(i16),
    AdvanceToDeadline,
    Lend,
    Reclaim,
    Parts,
}

/// 0 is the last one, 1 the one before.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub(crate) struct Which(u8);

impl Which {
    pub(crate) fn back(self) -> usize {
        usize::from(self.0 % 3)
    }
}

/// A number of bytes: mostly small, sometimes absurd.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub(crate) struct Size(u8);

impl Size {
    pub(crate) fn n(self) -> u64 {
        const LARGE: [u64; 16] = [
            250,
            255,
            256,
            257,
            300,
            1_000,
            2_048,
            2_049,
            4_096,
            9_000,
            16_384,
            40_000,
            70_000,
            1 << 62,
            u64::MAX - 1,
            u64::MAX,
        ];
        match self.0 {
            n @ 0..240 => u64::from(n),
            n => LARGE[usize::from(n - 240)],
        }
    }

    pub(crate) fn len(self) -> usize {
        usize::try_from(self.n()).unwrap_or(usize::MAX)
    }

    /// As much as a test likes to hold in memory.
    pub(crate) fn some(self) -> usize {
        self.len().min(70_000)
    }
}

/// A status code out of those with rules of their own, or any.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub(crate) struct Code(u8);

impl Code {
    pub(crate) fn code(self) -> u16 {
        const KNOWN: [u16; 12] = [200, 204, 205, 304, 100, 101, 102, 103, 199, 404, 500, 999];
        match self.0 {
            n @ 0..12 => KNOWN[usize::from(n)],
            n => 100 + u16::from(n) * 3,
        }
    }
}

#[derive(Arbitrary, Clone, Copy, Debug)]
pub(crate) enum Len {
    None,
    Known(Size),
    Unknown,
}

impl Len {
    pub(crate) fn len(self) -> BodyLen {
        match self {
            Len::None => BodyLen::None,
            Len::Known(size) => BodyLen::Known(size.n()),
            Len::Unknown => BodyLen::Unknown,
        }
    }
}

#[derive(Arbitrary, Clone, Copy, Debug)]
pub(crate) struct Method(u8);

impl Method {
    pub(crate) fn text(self) -> &'static str {
        const ALL: [&str; 9] = [
            "GET",
            "POST",
            "HEAD",
            "CONNECT",
            "OPTIONS",
            "PUT",
            "M-SEARCH",
            "BAD METHOD",
            "",
        ];
        ALL[usize::from(self.0) % ALL.len()]
    }
}

#[derive(Arbitrary, Clone, Copy, Debug)]
pub(crate) struct Target(u8);

impl Target {
    pub(crate) fn text(self) -> &'static str {
        const ALL: [&str; 11] = [
            "/",
            "*",
            "a:80",
            "http://a/",
            "/a?b=%20",
            "/ x",
            "",
            "/\r\nx: y",
            "a",
            "http:///",
            "/#",
        ];
        ALL[usize::from(self.0) % ALL.len()]
    }
}

/// Which field lines go along: one bit each.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub(crate) struct Section(u16);

impl Section {
    pub(crate) fn fields(self, host: bool) -> Vec<Field<'static>> {
        const ALL: [Field<'static>; 16] = [
            Field::from_static("host", "a"),
            Field::from_static("connection", "close"),
            Field::from_static("x-a", "1"),
            Field::from_static("upgrade", "echo"),
            Field::from_static("connection", "upgrade"),
            Field::from_static("expect", "100-continue"),
            Field::from_static("content-length", "3"),
            Field::from_static("transfer-encoding", "chunked"),
            Field::from_static("x-empty", ""),
            Field::from_static("x-sum", "12345"),
            Field::from_static("set-cookie", "a=b"),
            Field::from_static("keep-alive", "timeout=5"),
            Field::from_static("Host", "b"),
            Field::from_static("if-match", "a"),
            Field::from_static("expect", "other"),
            Field::from_static("connection", "x, Close"),
        ];
        // A request needs a Host, so there the first bit leaves it out.
        let bits = self.0 ^ u16::from(host);
        let kept = ALL.iter().enumerate().filter(|(i, _)| bits & (1 << i) != 0);
        kept.map(|(_, f)| *f).collect()
    }
}

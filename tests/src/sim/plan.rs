//! What a seed decides beforehand: how rough the world is, and the [`Plan`] of each exchange, known to both of
//! its ends so that each can tell what it should get.

use super::link::Shape;
use super::rng::Rng;
use super::runtime::Net;
use super::world::Manners;
use antiphon_core::client::pool::PoolConfig;
use antiphon_core::h1::{ClientConfig, Limits, ServerConfig, Timeouts};
use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

/// How rough a world is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Latency and bandwidth, nothing else.
    Calm,
    /// Everything that a network, a runtime and an application may do without breaking anything.
    Rough,
    /// Things break.
    Broken,
}

impl Level {
    /// A third of the seeds is calm or rough each, the rest broken.
    pub fn of(rng: &mut Rng) -> Level {
        rng.pick(&[
            Level::Calm,
            Level::Rough,
            Level::Rough,
            Level::Broken,
            Level::Broken,
        ])
    }

    fn at(self, least: Level, n: u32) -> u32 {
        if self >= least { n } else { 0 }
    }
}

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// The network of a world.
pub fn net(level: Level, rng: &mut Rng) -> Net {
    let often = |rng: &mut Rng| rng.pick(&[0, 8, 64, 200]);
    let shape = Shape {
        latency: Duration::from_micros(rng.size(40_000)),
        jitter: Duration::from_micros(if level == Level::Calm { 0 } else { rng.size(5_000) }),
        rate: rng.pick(&[500, 2_000, 50_000, 10_000_000]),
        window: rng.pick(&[700, 4_096, 16_384, 65_536, 1 << 20]),
        short_reads: level.at(Level::Rough, often(rng)),
        partial_writes: level.at(Level::Rough, often(rng)),
        unready: level.at(Level::Rough, rng.pick(&[0, 4, 64])),
    };
    let seldom = |rng: &mut Rng| rng.pick(&[0, 0, 0, 16, 64]);
    Net {
        shape,
        breaks: level.at(Level::Broken, rng.pick(&[0, 40, 128, 220])),
        span: rng.pick(&[600, 4_000, 300_000]),
        refused: level.at(Level::Broken, seldom(rng)),
        unanswered: level.at(Level::Broken, seldom(rng)),
        unknown_name: level.at(Level::Broken, seldom(rng)),
        dead_address: level.at(Level::Rough, seldom(rng)),
        accept_error: level.at(Level::Broken, seldom(rng)),
    }
}

/// The manners of a world.
pub fn manners(level: Level, rng: &mut Rng) -> Manners {
    Manners {
        busy: level.at(Level::Rough, rng.pick(&[0, 4, 32])),
        new_wakers: level >= Level::Rough && rng.chance(96),
        late_timers: level.at(Level::Rough, rng.pick(&[0, 32, 128])),
        spurious: level.at(Level::Rough, rng.pick(&[0, 8, 48])),
        look_around: true,
        ..Manners::GOOD
    }
}

fn limits(rng: &mut Rng, limits: &mut Limits) {
    if rng.chance(128) {
        limits.send_buffer = rng.pick(&[64, 300, 4_096, 65_536]);
        limits.recv_buffer = rng.pick(&[64, 512, 8_192]);
        limits.recv_buffer_max = limits.recv_buffer.max(rng.pick(&[512, 8_192, 65_536]));
    }
}

/// The settings of a server. In a broken world its deadlines are short, so that they matter.
pub fn server_config(level: Level, rng: &mut Rng) -> ServerConfig {
    let mut config = ServerConfig::DEFAULT;
    limits(rng, &mut config.limits);
    if level == Level::Broken {
        config.limits.discard = rng.pick(&[0, 1_000, 256 * 1024]);
        let t = &mut config.timeouts;
        t.head = Some(ms(rng.pick(&[200, 5_000])));
        t.idle = Some(ms(rng.pick(&[50, 1_000, 20_000])));
        t.body_stall = Some(ms(rng.pick(&[300, 5_000])));
        t.write_stall = Some(ms(rng.pick(&[300, 5_000])));
        t.linger = rng.pick(&[None, Some(ms(500))]);
        config.cancel_on_half_close = rng.chance(64);
    }
    config.keep_alive = !rng.chance(16);
    config
}

/// The shortest of the deadlines by which a server gives a connection up.
pub fn shortest(t: &Timeouts) -> Duration {
    let all = [t.head, t.idle, t.body_stall, t.write_stall];
    all.into_iter().flatten().min().unwrap_or(Duration::MAX)
}

/// The settings of a client.
pub fn client_config(level: Level, rng: &mut Rng) -> ClientConfig {
    let mut config = ClientConfig::DEFAULT;
    limits(rng, &mut config.limits);
    if level == Level::Broken {
        let t = &mut config.timeouts;
        t.response_head = Some(ms(rng.pick(&[400, 10_000])));
        t.idle = Some(ms(rng.pick(&[50, 10_000])));
        t.body_stall = Some(ms(rng.pick(&[300, 6_000])));
        t.write_stall = Some(ms(rng.pick(&[300, 6_000])));
        t.continue_wait = rng.pick(&[None, Some(ms(20)), Some(ms(1_000))]);
    }
    config
}

/// The settings of a pool.
pub fn pool_config(rng: &mut Rng) -> PoolConfig {
    let mut config = PoolConfig::DEFAULT;
    config.keep_alive = !rng.chance(16);
    config.max_connections_per_host = rng.pick(&[None, NonZeroUsize::new(1), NonZeroUsize::new(2)]);
    config.max_requests = rng.pick(&[None, None, NonZeroU32::new(1), NonZeroU32::new(3)]);
    config.max_idle_per_host = rng.pick(&[None, None, Some(1)]);
    config.max_age = rng.pick(&[None, None, Some(ms(300))]);
    config
}

/// What a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// GET
    Get,
    /// HEAD
    Head,
    /// POST
    Post,
    /// PUT
    Put,
    /// GET with an upgrade, accepted
    Upgrade,
}

impl Verb {
    /// The method.
    pub const fn method(self) -> &'static str {
        match self {
            Verb::Get | Verb::Upgrade => "GET",
            Verb::Head => "HEAD",
            Verb::Post => "POST",
            Verb::Put => "PUT",
        }
    }
}

/// How a body is given to the driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// In memory.
    Full,
    /// A stream with a length.
    Sized,
    /// A stream without one.
    Chunked,
}

/// A body.
#[derive(Clone, Copy, Debug)]
pub struct BodyPlan {
    /// Its length.
    pub len: u64,
    /// How it is given.
    pub style: Style,
    /// The longest piece of a stream.
    pub piece: u64,
    /// How often, in 256 times, a stream yields before a piece, or sleeps.
    pub yields: u32,
    /// ... or sleeps.
    pub sleeps: u32,
    /// Whether trailers follow.
    pub trailers: bool,
    /// At which byte the stream fails.
    pub fails_at: Option<u64>,
}

/// How much of a body its reader reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// All of it.
    All,
    /// All, with pauses.
    Slowly,
    /// At least so many bytes, then it is dropped.
    Part(u64),
    /// It is dropped at once.
    Nothing,
}

/// What a handler does with the request's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handling {
    /// Reads it, then answers.
    ReadFirst,
    /// Has another task read it, waits for that, then answers.
    ReadElsewhere,
    /// Answers, while another task reads it.
    AnswerMeanwhile,
    /// Answers with it.
    Echo,
    /// Answers with it, as another task passes it on.
    EchoElsewhere,
}

/// How a handler ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// With its response.
    Answer,
    /// With an error.
    Error,
    /// In a panic.
    Panic,
}

/// An exchange, as it is meant to go.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Unique in the world.
    pub id: u64,
    /// Whom it goes to.
    pub server: usize,
    /// The kind of request.
    pub verb: Verb,
    /// With an idempotency key: `Some(true)` for one that is sent.
    pub key: Option<bool>,
    /// With `Expect: 100-continue`.
    pub expects: bool,
    /// The request's body.
    pub upload: Option<BodyPlan>,
    /// How long the handler takes before anything else.
    pub wait: Duration,
    /// What it does then.
    pub handling: Handling,
    /// How it reads.
    pub reading: Reading,
    /// How it ends.
    pub ending: Ending,
    /// The response's body.
    pub answer: BodyPlan,
    /// Its status.
    pub status: u16,
    /// Whether the server asks to be told when the body was sent.
    pub counted: bool,
    /// How the client reads.
    pub client: Reading,
    /// After how many polls the client gives it up.
    pub cancel: Option<u64>,
    /// The request's own time limit.
    pub timeout: Option<Duration>,
    /// What the client does before it.
    pub pause: Duration,
}

fn body(rng: &mut Rng, level: Level, large: u64) -> BodyPlan {
    let most = if rng.chance(24) { large } else { 3_000 };
    let len = rng.size(most);
    let style = rng.pick(&[Style::Full, Style::Sized, Style::Chunked]);
    let least = len / 40 + 1;
    BodyPlan {
        len,
        style,
        piece: least + rng.size(20_000),
        yields: rng.pick(&[0, 0, 60]),
        sleeps: rng.pick(&[0, 0, 30]),
        trailers: style != Style::Sized && rng.chance(64),
        // A stream with a length fails before it has given all of that: after it, nobody asks.
        fails_at: match style {
            Style::Sized if len > 0 => Some(rng.below(len)),
            Style::Chunked => Some(rng.below(len + 1)),
            _ => None,
        }
        .filter(|_| level >= Level::Rough && rng.chance(10)),
    }
}

fn reading(rng: &mut Rng, len: u64) -> Reading {
    match rng.below(12) {
        0 => Reading::Nothing,
        1 => Reading::Part(rng.below(len + 1)),
        2 => Reading::Slowly,
        _ => Reading::All,
    }
}

impl Plan {
    /// An exchange for a world of this level.
    pub fn new(id: u64, level: Level, servers: usize, rng: &mut Rng) -> Plan {
        let verb = rng.pick(&[
            Verb::Get,
            Verb::Get,
            Verb::Head,
            Verb::Post,
            Verb::Post,
            Verb::Post,
            Verb::Put,
            Verb::Upgrade,
        ]);
        let large = 200_000;
        let upload = match verb {
            Verb::Get if rng.chance(16) => Some(body(rng, level, 2_000)),
            Verb::Post | Verb::Put => Some(body(rng, level, large)),
            _ => None,
        };
        // After an upgrade there is one round trip for every few bytes.
        let answer = body(rng, level, if verb == Verb::Upgrade { 3_000 } else { large });
        let handling = match upload {
            Some(_) => rng.pick(&[
                Handling::ReadFirst,
                Handling::ReadFirst,
                Handling::ReadElsewhere,
                Handling::AnswerMeanwhile,
                Handling::Echo,
                Handling::EchoElsewhere,
            ]),
            None => Handling::ReadFirst,
        };
        let ending = match rng.below(40) {
            0 if level >= Level::Rough => Ending::Error,
            1 if level >= Level::Rough => Ending::Panic,
            _ => Ending::Answer,
        };
        let cancels = rng.chance(level.at(Level::Rough, 28));
        let wait = match rng.below(4) {
            0 => Duration::from_micros(rng.size(300_000)),
            1 if level == Level::Broken => Duration::from_micros(rng.size(3_000_000)),
            _ => Duration::ZERO,
        };
        let timeout = match level {
            Level::Broken if rng.chance(64) => Some(Duration::from_micros(rng.size(2_000_000) + 1)),
            Level::Broken if rng.chance(128) => Some(Duration::from_secs(15)),
            _ => None,
        };
        Plan {
            id,
            server: rng.below(servers as u64) as usize,
            verb,
            key: rng.pick(&[None, None, None, Some(true), Some(false)]),
            // Whoever answers before anybody asks for the body has told the client not to send it: the echo of
            // another task would wait for it until the deadline.
            expects: upload.is_some()
                && rng.chance(64)
                && (handling != Handling::EchoElsewhere || level == Level::Broken),
            upload,
            wait,
            handling,
            reading: upload.map_or(Reading::All, |u| reading(rng, u.len)),
            ending,
            answer,
            status: rng.pick(&[200, 200, 200, 201, 404, 204, 304]),
            counted: rng.chance(128),
            client: reading(rng, answer.len),
            cancel: cancels.then(|| rng.size(40)),
            timeout,
            pause: Duration::from_micros(if rng.chance(64) { rng.size(500_000) } else { 0 }),
        }
    }

    /// Whether it may be executed twice (`retry::is_replayable`, said once more).
    pub fn may_repeat(&self) -> bool {
        matches!(self.verb, Verb::Get | Verb::Head | Verb::Upgrade) || self.key.is_some()
    }

    /// Whether the response carries the request's body.
    pub fn echoes(&self) -> bool {
        self.upload.is_some() && matches!(self.handling, Handling::Echo | Handling::EchoElsewhere)
    }

    /// Whether the response has no body whatever was given for one.
    pub fn bodiless(&self) -> bool {
        self.verb == Verb::Head || matches!(self.status, 204 | 304)
    }

    /// Whether its server may answer without having read all of the request's body.
    pub fn leaves_unread(&self) -> bool {
        let read = matches!(self.reading, Reading::All | Reading::Slowly)
            && matches!(self.handling, Handling::ReadFirst | Handling::ReadElsewhere)
            && self.ending == Ending::Answer;
        self.upload.is_some() && !read
    }

    /// Whether something in the plan itself makes it fail.
    pub fn is_doomed(&self) -> bool {
        self.upload.is_some_and(|u| u.fails_at.is_some())
            || (!self.echoes() && self.answer.fails_at.is_some())
    }
}

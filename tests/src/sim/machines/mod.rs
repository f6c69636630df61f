//! Scenarios of bare machines over a [`Link`], driven by hand as an embedder with a loop of its own would: a
//! `ServerConn` against a `ClientConn`, or either of them against a peer that writes plain text, which pipelines and
//! speaks HTTP/1.0.
//!
//! Here: a seed, its connections, and the loop. Who is connected with whom stands in `pairs.rs`. The driver's part is in
//! `end.rs`, bytes that it moves past a machine in `bypass.rs`; what the applications do in `client.rs`, `server.rs`,
//! `body.rs` and `scripts.rs`; the plain text in `text`; `record.rs` has the machines write traces.
//!
//! Exchanges follow each other on one connection; when it ends, the next ones get another.

mod body;
mod bypass;
mod client;
mod end;
mod pairs;
mod record;
mod scripts;
mod server;
mod text;

use self::bypass::Bypass;
use self::pairs::{Both, Configs, OnlyClient, OnlyServer, Pair};
use self::record::Recorder;
use super::checks::{Check, Violation};
use super::faults::{Fault, Faults, Plant};
use super::link::{Break, Harm, Link, LinkPlan, Side};
use super::plan::{self, Level, Plan};
use super::rng::{Rng, mix};
use super::runtime::Net;
use super::seed::{Kind, Report};
use super::trace::Trace;
use super::uses::Uses;
use super::world::Outcome;
use antiphon_core::Instant;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Rounds of a connection in which something happened.
const ROUNDS: u64 = 300_000;
/// Virtual time of a connection.
const HORIZON: Duration = Duration::from_secs(1_000);

/// What is the same for both ends of a connection.
struct Common {
    now: Instant,
    seed: u64,
    level: Level,
    rng: Rng,
    faults: Faults,
    /// When the connection was made, and what has broken it.
    begin: Instant,
    harm: Harm,
    /// The shortest deadlines by which a server, and either end, gives a connection up.
    shortest: [Duration; 2],
    uses: Uses,
    trace: Trace,
    recorder: Recorder,
    /// By side.
    bypass: [Bypass; 2],
    plant: Option<Plant>,
    violation: Option<Violation>,
    /// When the next thing happens, if nothing does now.
    next: Option<Instant>,
}

impl Common {
    fn note(&mut self, what: fmt::Arguments<'_>) {
        self.trace.note(self.now, what);
    }

    fn violate(&mut self, check: Check, what: String) {
        let violation = Violation::new(check, what);
        self.note(format_args!("VIOLATION {violation}"));
        self.violation.get_or_insert(violation);
    }

    fn hold(&mut self, held: Result<(), Violation>) {
        if let Err(v) = held {
            self.violate(v.check, v.what);
        }
    }

    /// Whether what this side sends was cut off by the network.
    fn cut_off(&self, side: Side) -> bool {
        self.harm.cut_off[side as usize]
    }

    /// Whether the connection is at least as old as this deadline.
    fn waited(&self, deadline: Duration) -> bool {
        self.level == Level::Broken && self.now.saturating_since(self.begin) >= deadline
    }

    /// Whether an exchange on it may fail that nothing in its own plan makes fail.
    fn may_break(&self) -> bool {
        self.level == Level::Broken && (self.harm.any || self.waited(self.shortest[1]))
    }

    /// Whether a server may answer with this status, which is not the planned one.
    fn may_refuse(&self, status: u16) -> bool {
        match status {
            408 => self.waited(self.shortest[0]),
            // To a request that was cut off.
            400 => self.cut_off(Side::Client),
            _ => false,
        }
    }

    /// Whether something moved, or when it is worth another look.
    fn later(&mut self, moved: Result<bool, Instant>) -> bool {
        moved.unwrap_or_else(|at| {
            self.wake_at(at);
            false
        })
    }

    /// Something is worth a look at `at`.
    fn wake_at(&mut self, at: Instant) {
        self.next = Some(self.next.map_or(at, |next| next.min(at)));
    }
}

/// Runs the machines of this seed.
pub fn run(seed: u64, trace: bool, plant: Option<Plant>) -> Report {
    world(seed, trace, plant, false).0
}

/// Runs them, and gives the traces of all machines, one after another (`docs/trace.md`).
pub fn record(seed: u64, trace: bool) -> (Report, String) {
    world(seed, trace, None, true)
}

fn world(seed: u64, trace: bool, plant: Option<Plant>, record: bool) -> (Report, String) {
    let mut rng = Rng::new(mix(seed));
    let level = Level::of(&mut rng);
    let net = plan::net(level, &mut rng);
    let configs = Configs {
        server: Arc::new(plan::server_config(level, &mut rng)),
        client: Arc::new(plan::client_config(level, &mut rng)),
    };
    let t = &configs.client.timeouts;
    let client = [t.write_stall, t.response_head, t.body_stall, t.idle];
    let server = plan::shortest(&configs.server.timeouts);
    let shortest = [server, client.into_iter().flatten().fold(server, Duration::min)];
    let exchanges = rng.between(1, 8);
    let mut plans: Vec<Plan> = (0..exchanges)
        .map(|id| Plan::new(id, level, 1, &mut rng))
        .collect();
    let mut w = Common {
        now: Instant::ZERO,
        seed,
        level,
        rng,
        faults: Faults::NONE,
        begin: Instant::ZERO,
        harm: Harm::default(),
        shortest,
        uses: Uses::NONE,
        trace: Trace::new(trace),
        recorder: Recorder::new(record),
        bypass: Default::default(),
        plant,
        violation: None,
        next: None,
    };
    let kind = Kind::of(seed);
    w.note(format_args!("seed {seed}: {kind:?}, a {level:?} world: {net:?}"));
    let w = &mut w;
    let ran = match kind {
        Kind::BareServer => connections(&mut OnlyServer::new(&mut plans, configs, w), &net, w),
        Kind::BareClient => connections(&mut OnlyClient::new(&mut plans, configs, w), &net, w),
        _ => connections(&mut Both::new(&plans, configs), &net, w),
    };
    let digest = [
        w.rng.state(),
        ran.rounds,
        w.faults.digest(),
        w.uses.digest(),
        w.now.since_origin().as_nanos() as u64,
    ];
    let outcome = Outcome {
        violation: w.violation.take(),
        faults: w.faults.clone(),
        time: w.now.since_origin(),
        polls: ran.rounds,
        connections: ran.connections,
        digest: digest.into_iter().fold(0, |h, n| mix(h ^ n)),
        trace: std::mem::take(&mut w.trace),
    };
    let report = Report {
        exchanges,
        complete: ran.complete,
        failed: ran.failed,
        uses: w.uses.clone(),
        ..Report::new(seed, kind, level, outcome)
    };
    (report, std::mem::take(&mut w.recorder).into_text())
}

/// What came of all connections.
struct Ran {
    connections: u64,
    rounds: u64,
    complete: u64,
    failed: u64,
}

/// Makes connections until all exchanges have ended.
fn connections(pair: &mut impl Pair, net: &Net, w: &mut Common) -> Ran {
    let (mut connections, mut rounds) = (0, 0);
    while w.violation.is_none() && pair.has_more() {
        connections += 1;
        let mut link = Link::new(link_plan(net, w), w.rng.fork());
        (w.begin, w.harm) = (w.now, Harm::default());
        w.bypass = Default::default();
        pair.connect(w);
        rounds += connection(pair, &mut link, w);
        pair.disconnect(w);
    }
    if w.violation.is_none() {
        let done = pair.close();
        w.hold(done);
    }
    let (complete, failed) = pair.counts();
    Ran {
        connections,
        rounds,
        complete,
        failed,
    }
}

fn link_plan(net: &Net, w: &mut Common) -> LinkPlan {
    let mut breaks = [None; 2];
    for brk in &mut breaks {
        if w.rng.chance(net.breaks) {
            *brk = Some((w.rng.size(net.span), Break::any(&mut w.rng)));
        }
    }
    w.note(format_args!("connected; to be broken: {breaks:?}"));
    LinkPlan {
        shape: net.shape,
        breaks,
        plant: Plant::of_bytes(w.plant).map(|plant| {
            let side = w.rng.pick(&[Side::Client, Side::Server]);
            (side, w.rng.size(2_000), plant)
        }),
    }
}

/// Runs one connection to its end; says how many rounds it took.
fn connection<P: Pair>(pair: &mut P, link: &mut Link, w: &mut Common) -> u64 {
    let begin = w.now;
    let mut quiet = 0;
    for round in 0..ROUNDS {
        if w.violation.is_some() || pair.is_over() {
            return round;
        }
        w.next = None;
        let mut moved = false;
        let first = w.rng.below(P::STEPS);
        for i in 0..P::STEPS {
            moved |= pair.step((first + i) % P::STEPS, link, w);
            w.harm.any |= link.harm().any;
            w.harm.cut_off = link.harm().cut_off;
        }
        // Asking for events may change what is wanted: only a second look is sure.
        quiet = if moved { 0 } else { quiet + 1 };
        if quiet < 2 {
            continue;
        }
        let Some(next) = w.next.filter(|at| *at > w.now) else {
            let what = format!("nothing will happen any more: {}", pair.tell());
            w.violate(Check::Ends, what);
            return round;
        };
        w.now = next;
        if w.level >= Level::Rough && w.rng.chance(16) {
            w.faults.add(Fault::LateTimer);
            w.now = next + Duration::from_micros(w.rng.size(500));
        }
        if w.now.saturating_since(begin) > HORIZON {
            w.violate(
                Check::Deadline,
                format!("a connection lives for more than {HORIZON:?}"),
            );
            return round;
        }
    }
    w.violate(Check::Spins, format!("{ROUNDS} rounds of one connection"));
    ROUNDS
}

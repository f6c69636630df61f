//! A scenario: a bare `ServerConn` against a bare `ClientConn` over a [`Link`], driven by hand as an embedder
//! with a loop of its own would. The driver's part is in `end.rs`, what their
//! applications do in `client.rs` and `server.rs`.
//!
//! Exchanges follow each other on one connection; when it ends, the next ones get another.

mod body;
mod client;
mod end;
mod scripts;
mod server;

use self::client::ClientScript;
use self::end::End;
use self::scripts::Doing;
use self::server::ServerScript;
use super::checks::{Check, Violation};
use super::faults::{Fault, Faults, Plant};
use super::link::{Break, Link, LinkPlan, Side};
use super::plan::{self, Level, Plan};
use super::rng::{Rng, mix};
use super::runtime::Net;
use super::seed::{Kind, Report};
use super::trace::Trace;
use super::world::Outcome;
use antiphon_core::Instant;
use antiphon_core::h1::{ClientConfig, ClientConn, ServerConfig, ServerConn};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Rounds of a connection in which something happened.
const ROUNDS: u64 = 300_000;
/// Virtual time of a connection.
const HORIZON: Duration = Duration::from_secs(1_000);

/// What is the same for both ends of a connection.
pub(super) struct Common {
    pub(super) now: Instant,
    pub(super) seed: u64,
    pub(super) level: Level,
    pub(super) rng: Rng,
    pub(super) faults: Faults,
    pub(super) trace: Trace,
    pub(super) plant: Option<Plant>,
    violation: Option<Violation>,
    /// When the next thing happens, if nothing does now.
    next: Option<Instant>,
}

impl Common {
    pub(super) fn note(&mut self, what: fmt::Arguments<'_>) {
        self.trace.note(self.now, what);
    }

    pub(super) fn violate(&mut self, check: Check, what: String) {
        let violation = Violation::new(check, what);
        self.note(format_args!("VIOLATION {violation}"));
        self.violation.get_or_insert(violation);
    }

    pub(super) fn hold(&mut self, held: Result<(), Violation>) {
        if let Err(v) = held {
            self.violate(v.check, v.what);
        }
    }

    /// Something is worth a look at `at`.
    pub(super) fn wake_at(&mut self, at: Instant) {
        self.next = Some(self.next.map_or(at, |next| next.min(at)));
    }
}

/// Runs the machines of this seed.
pub fn run(seed: u64, trace: bool, plant: Option<Plant>) -> Report {
    let mut rng = Rng::new(mix(seed));
    let level = Level::of(&mut rng);
    let net = plan::net(level, &mut rng);
    let server_config = Arc::new(plan::server_config(level, &mut rng));
    let client_config = Arc::new(plan::client_config(level, &mut rng));
    let exchanges = rng.between(1, 8);
    let plans: Vec<Plan> = (0..exchanges)
        .map(|id| Plan::new(id, level, 1, &mut rng))
        .collect();
    let mut w = Common {
        now: Instant::ZERO,
        seed,
        level,
        rng,
        faults: Faults::NONE,
        trace: Trace::new(trace),
        plant,
        violation: None,
        next: None,
    };
    w.note(format_args!("seed {seed}: machines, a {level:?} world: {net:?}"));
    let (mut connections, mut rounds) = (0, 0);
    let mut client = ClientScript::new(&plans);
    let mut server = ServerScript::new(&plans);
    while w.violation.is_none() && client.has_more() {
        connections += 1;
        let mut link = Link::new(link_plan(&net, &mut w), w.rng.fork());
        rounds += connection(
            &mut w,
            &mut link,
            (&server_config, &client_config),
            &mut client,
            &mut server,
        );
        client.connection_ended(&mut w);
        server.connection_ended(&mut w);
    }
    if w.violation.is_none() {
        let done = client.close(&server, level);
        w.hold(done);
    }
    let digest = [
        w.rng.state(),
        rounds,
        w.faults.digest(),
        w.now.since_origin().as_nanos() as u64,
    ];
    let (complete, failed) = client.counts();
    let outcome = Outcome {
        violation: w.violation,
        faults: w.faults,
        time: w.now.since_origin(),
        polls: rounds,
        connections,
        digest: digest.into_iter().fold(0, |h, n| mix(h ^ n)),
        trace: w.trace,
    };
    Report {
        exchanges,
        complete,
        failed,
        ..Report::new(seed, Kind::Machines, level, outcome)
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
fn connection(
    w: &mut Common,
    link: &mut Link,
    configs: (&Arc<ServerConfig>, &Arc<ClientConfig>),
    client_app: &mut ClientScript,
    server_app: &mut ServerScript,
) -> u64 {
    let mut server = ServerConn::new(configs.0.clone(), w.now);
    let mut client = ClientConn::new(configs.1.clone(), w.now);
    let mut ends = [
        End::new(Side::Client, &mut w.rng),
        End::new(Side::Server, &mut w.rng),
    ];
    let begin = w.now;
    let mut quiet = 0;
    for round in 0..ROUNDS {
        if w.violation.is_some() || ends[0].over && ends[1].over {
            return round;
        }
        w.next = None;
        let mut moved = false;
        let first = w.rng.below(4);
        for i in 0..4 {
            moved |= match (first + i) % 4 {
                0 => ends[0].turn(&mut client, link, w),
                1 => ends[1].turn(&mut server, link, w),
                2 => client_app.turn(&mut client, w, ends[0].over) == Doing::Something,
                _ => server_app.turn(&mut server, w, ends[1].over) == Doing::Something,
            };
        }
        // Asking for events may change what is wanted: only a second look is sure.
        quiet = if moved { 0 } else { quiet + 1 };
        if quiet < 2 {
            continue;
        }
        let Some(next) = w.next.filter(|at| *at > w.now) else {
            let what = format!(
                "nothing will happen any more: client {:?} {client:?}, server {:?} {server:?}",
                client.wants(),
                server.wants()
            );
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

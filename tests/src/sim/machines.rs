//! A scenario: a bare `ServerConn` against a bare `ClientConn` over a [`Link`], driven by hand as an embedder
//! with a loop of its own would. What their applications do stands in `scripts.rs`.
//!
//! Exchanges follow each other on one connection; when it ends, the next ones get another.

use super::checks::{Check, Violation};
use super::faults::{Fault, Faults, Plant};
use super::link::{Break, Link, LinkPlan, Read, Side, Write};
use super::plan::{self, Level, Plan};
use super::rng::{Rng, mix};
use super::scripts::{ClientScript, Doing, ServerScript};
use super::seed::{Kind, Report};
use super::trace::Trace;
use super::world::Outcome;
use antiphon_core::Instant;
use antiphon_core::h1::{
    Buffer, ClientConfig, ClientConn, Deadline, Finish, Misuse, Outgoing, Segments, ServerConfig, ServerConn,
    Wants,
};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Rounds of a connection in which something happened.
const ROUNDS: u64 = 300_000;
/// Virtual time of a connection.
const HORIZON: Duration = Duration::from_secs(1_000);

macro_rules! machine {
    ($(fn $name:ident(&mut self $(, $arg:ident: $t:ty)*) $(-> $r:ty)?;)+) => {
        /// The calls that a driver makes, of either machine.
        trait Machine {
            fn wants(&self) -> Wants;
            fn outgoing(&self) -> Outgoing<'_>;
            fn recv_space(&mut self) -> &mut [u8];
            $(fn $name(&mut self $(, $arg: $t)*) $(-> $r)?;)+
        }
        machine!(@ ServerConn, $(fn $name(&mut self $(, $arg: $t)*) $(-> $r)?;)+);
        machine!(@ ClientConn, $(fn $name(&mut self $(, $arg: $t)*) $(-> $r)?;)+);
    };
    (@ $conn:ident, $(fn $name:ident(&mut self $(, $arg:ident: $t:ty)*) $(-> $r:ty)?;)+) => {
        impl Machine for $conn {
            fn wants(&self) -> Wants { $conn::wants(self) }
            fn outgoing(&self) -> Outgoing<'_> { $conn::outgoing(self) }
            fn recv_space(&mut self) -> &mut [u8] { $conn::recv_space(self) }
            $(fn $name(&mut self $(, $arg: $t)*) $(-> $r)? { $conn::$name(self $(, $arg)*) })+
        }
    };
}

machine! {
    fn received(&mut self, n: usize, now: Instant) -> Result<(), Misuse>;
    fn received_copy(&mut self, bytes: &[u8], now: Instant) -> usize;
    fn received_eof(&mut self, now: Instant);
    fn read_failed(&mut self, now: Instant);
    fn write_failed(&mut self, now: Instant);
    fn write_shut(&mut self, now: Instant);
    fn sent(&mut self, n: u64, now: Instant) -> Result<(), Misuse>;
    fn take_outgoing(&mut self) -> Option<Segments>;
    fn deadline(&mut self, now: Instant) -> Option<Deadline>;
    fn handle_timeout(&mut self, now: Instant);
    fn needs_buffer(&mut self) -> bool;
    fn lend(&mut self, buffer: Buffer);
    fn reclaim(&mut self) -> Option<Buffer>;
}

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

/// A driver's end of the connection.
struct End {
    side: Side,
    over: bool,
    /// Output that was taken for completion I/O, and how much of it is written.
    taken: Option<(Vec<u8>, usize)>,
    /// How this end does its I/O: reading by copy, writing what was taken.
    copies: bool,
    takes: bool,
    /// It is told late.
    held_until: Instant,
}

impl End {
    fn new(side: Side, rng: &mut Rng) -> End {
        End {
            side,
            over: false,
            taken: None,
            copies: rng.chance(64),
            takes: rng.chance(64),
            held_until: Instant::ZERO,
        }
    }

    /// Does what the machine wants, once in each direction. Says whether anything moved.
    fn turn(&mut self, m: &mut impl Machine, link: &mut Link, w: &mut Common) -> bool {
        if self.over {
            return false;
        }
        let now = w.now;
        let mut moved = self.clock(m, w);
        let wants = m.wants();
        if wants != m.wants() {
            w.violate(Check::Contract, "asked twice, wants differ".to_string());
        }
        if wants.finish == Finish::Close {
            // What was taken and is not written yet goes nowhere.
            self.taken = None;
        }
        if self.taken.is_some() || wants.write {
            moved |= self.write(m, link, w);
        } else {
            match wants.finish {
                Finish::No => {}
                Finish::ShutdownWrite => {
                    w.note(format_args!("{} shuts down writing", self.side.name()));
                    link.shutdown(self.side, now);
                    m.write_shut(now);
                    moved = true;
                }
                Finish::Close | Finish::Detach => {
                    w.note(format_args!("{} ends: {:?}", self.side.name(), wants.finish));
                    link.close(self.side, now, &mut w.faults);
                    self.over = true;
                    return true;
                }
            }
        }
        if m.wants().read {
            moved |= self.read(m, link, w);
        }
        if !moved {
            // Idle ends hold no buffers.
            drop(m.reclaim());
            if let Some(d) = m.deadline(now) {
                w.wake_at(d.at);
            }
        }
        moved
    }

    fn clock(&mut self, m: &mut impl Machine, w: &mut Common) -> bool {
        let now = w.now;
        let due = m.deadline(now).is_some_and(|d| d.at <= now);
        let dead = w.plant == Some(Plant::DeadTimers);
        if due && !dead {
            m.handle_timeout(now);
            if let Some(d) = m.deadline(now).filter(|d| d.at <= now) {
                let what = format!("{}: {d:?} is still due at {now:?}", self.side.name());
                w.violate(Check::Contract, what);
            }
            return true;
        }
        if !due && w.level >= Level::Rough && w.rng.chance(8) {
            w.faults.add(Fault::NeedlessTimeout);
            let before = (m.wants(), m.deadline(now));
            m.handle_timeout(now);
            if before != (m.wants(), m.deadline(now)) {
                let what = format!("{}: a needless timeout changed something", self.side.name());
                w.violate(Check::Contract, what);
            }
        }
        false
    }

    fn write(&mut self, m: &mut impl Machine, link: &mut Link, w: &mut Common) -> bool {
        if self.takes
            && self.taken.is_none()
            && let Some(segments) = m.take_outgoing()
        {
            self.taken = Some((segments.collect::<Vec<_>>().concat(), 0));
        }
        let wrote = match &self.taken {
            Some((bytes, at)) => link.write(self.side, w.now, &[&bytes[*at..]], &mut w.faults),
            None => {
                let mut slices = [&[][..]; 4];
                let n = m.outgoing().slices(&mut slices);
                if slices[..n].iter().all(|s| s.is_empty()) {
                    w.violate(
                        Check::Contract,
                        "writing is wanted, but nothing is there".to_string(),
                    );
                    return false;
                }
                link.write(self.side, w.now, &slices[..n], &mut w.faults)
            }
        };
        match wrote {
            Write::Took(n) => {
                w.note(format_args!("{} writes {n}", self.side.name()));
                if let Err(misuse) = m.sent(n as u64, w.now) {
                    w.violate(Check::Contract, format!("sent({n}): {misuse:?}"));
                }
                if let Some((bytes, at)) = &mut self.taken {
                    *at += n;
                    if *at == bytes.len() {
                        self.taken = None;
                    }
                }
                true
            }
            Write::Full => false,
            Write::Later(at) => {
                w.wake_at(at);
                false
            }
            Write::Broken | Write::Reset => {
                w.note(format_args!("{} cannot write", self.side.name()));
                self.taken = None;
                m.write_failed(w.now);
                true
            }
        }
    }

    fn read(&mut self, m: &mut impl Machine, link: &mut Link, w: &mut Common) -> bool {
        if self.held_until > w.now {
            w.wake_at(self.held_until);
            return false;
        }
        if m.needs_buffer() && w.rng.chance(128) {
            m.lend(Buffer::default());
        }
        let mut copy = [0; 512];
        let room = m.recv_space().len();
        if room == 0 {
            w.violate(
                Check::Contract,
                "reading is wanted, but there is no room".to_string(),
            );
            return false;
        }
        let read = if self.copies {
            let n = room.min(copy.len());
            link.read(self.side, w.now, &mut copy[..n], &mut w.faults)
        } else {
            link.read(self.side, w.now, m.recv_space(), &mut w.faults)
        };
        match read {
            Read::Got(n) => {
                w.note(format_args!("{} reads {n}", self.side.name()));
                if self.copies {
                    let used = m.received_copy(&copy[..n], w.now);
                    if used != n {
                        w.violate(Check::Contract, format!("{used} of {n} bytes were taken"));
                    }
                } else if let Err(misuse) = m.received(n, w.now) {
                    w.violate(Check::Contract, format!("received({n}): {misuse:?}"));
                }
                true
            }
            Read::End => {
                w.note(format_args!("{} reads the end", self.side.name()));
                m.received_eof(w.now);
                true
            }
            Read::Reset => {
                w.note(format_args!("{} reads a reset", self.side.name()));
                m.read_failed(w.now);
                true
            }
            Read::Later(at) => {
                if w.plant != Some(Plant::LoseReadWake) || w.rng.chance(250) {
                    w.wake_at(at);
                }
                false
            }
            Read::Nothing => false,
        }
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

fn link_plan(net: &super::runtime::Net, w: &mut Common) -> LinkPlan {
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

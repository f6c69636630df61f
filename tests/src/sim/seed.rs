//! One seed from end to end: [`run`] gives a [`Report`]; [`Sum`] adds reports up.

use super::checks::Violation;
use super::faults::{Faults, Plant};
use super::plan::Level;
use super::rng::mix;
use super::uses::Uses;
use super::world::Outcome;
use super::{drivers, machines};
use std::fmt;
use std::time::Duration;

/// What a seed runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The drivers, `Server` and `Client`.
    Drivers,
    /// The bare machines, against each other.
    Machines,
    /// A bare server, against a client that writes plain text: pipelining, HTTP/1.0.
    BareServer,
    /// A bare client, against a server that writes plain text: HTTP/1.0, bodies that end with the connection.
    BareClient,
}

impl Kind {
    /// Two seeds in three are for the drivers, one in six for the machines, one in twelve for each of them alone.
    pub const fn of(seed: u64) -> Kind {
        let n = mix(seed);
        match (n % 3, n / 3 % 4) {
            (1.., _) => Kind::Drivers,
            (_, 2) => Kind::BareServer,
            (_, 3) => Kind::BareClient,
            _ => Kind::Machines,
        }
    }
}

/// How a seed went.
#[derive(Debug)]
pub struct Report {
    /// The seed.
    pub seed: u64,
    /// What it ran.
    pub kind: Kind,
    /// In which world.
    pub level: Level,
    /// The first promise that was broken.
    pub violation: Option<Violation>,
    /// The trouble that was made.
    pub faults: Faults,
    /// What the machines were used for.
    pub uses: Uses,
    /// Exchanges begun.
    pub exchanges: u64,
    /// Exchanges whose client got the whole answer.
    pub complete: u64,
    /// Exchanges whose client was told of a failure.
    pub failed: u64,
    /// Connections made.
    pub connections: u64,
    /// Virtual time.
    pub time: Duration,
    /// Polls of tasks, or steps of machines.
    pub steps: u64,
    /// The same for two runs of a seed.
    pub digest: u64,
    /// The hash of the trace.
    pub trace_hash: u64,
    /// The trace, if it was wanted.
    pub trace: Vec<String>,
}

impl Report {
    /// A report without exchanges.
    pub fn new(seed: u64, kind: Kind, level: Level, outcome: Outcome) -> Report {
        Report {
            seed,
            kind,
            level,
            violation: outcome.violation,
            faults: outcome.faults,
            uses: Uses::NONE,
            exchanges: 0,
            complete: 0,
            failed: 0,
            connections: outcome.connections,
            time: outcome.time,
            steps: outcome.polls,
            digest: outcome.digest,
            trace_hash: outcome.trace.hash(),
            trace: outcome.trace.into_lines(),
        }
    }
}

/// Runs a seed.
pub fn run(seed: u64, trace: bool) -> Report {
    run_with(seed, trace, None)
}

/// Runs a seed with a defect planted.
pub fn run_with(seed: u64, trace: bool, plant: Option<Plant>) -> Report {
    match Kind::of(seed) {
        Kind::Drivers => drivers::run(seed, trace, plant),
        _ => machines::run(seed, trace, plant),
    }
}

/// Runs a seed, and has its machines write down what they do: their traces, one after another (`docs/trace.md`). A seed
/// that runs the drivers has none.
pub fn record(seed: u64, trace: bool) -> (Report, String) {
    match Kind::of(seed) {
        Kind::Drivers => (drivers::run(seed, trace, None), String::new()),
        _ => machines::record(seed, trace),
    }
}

/// Many reports.
#[derive(Clone, Debug)]
pub struct Sum {
    /// Seeds run.
    pub seeds: u64,
    /// ... by kind: drivers, machines, bare servers, bare clients.
    pub kinds: [u64; 4],
    /// ... by level: calm, rough, broken.
    pub levels: [u64; 3],
    /// Exchanges: all, complete, failed.
    pub exchanges: [u64; 3],
    /// Connections made.
    pub connections: u64,
    /// Polls and steps.
    pub steps: u64,
    /// Virtual time.
    pub time: Duration,
    /// Trouble made.
    pub faults: Faults,
    /// What the machines were used for.
    pub uses: Uses,
    /// All digests together, whatever their order.
    pub digest: u64,
}

impl Sum {
    /// Nothing yet.
    pub const EMPTY: Sum = Sum {
        seeds: 0,
        kinds: [0; 4],
        levels: [0; 3],
        exchanges: [0; 3],
        connections: 0,
        steps: 0,
        time: Duration::ZERO,
        faults: Faults::NONE,
        uses: Uses::NONE,
        digest: 0,
    };

    /// Adds a report.
    pub fn add(&mut self, report: &Report) {
        self.seeds += 1;
        self.kinds[report.kind as usize] += 1;
        self.levels[report.level as usize] += 1;
        for (sum, n) in self
            .exchanges
            .iter_mut()
            .zip([report.exchanges, report.complete, report.failed])
        {
            *sum += n;
        }
        self.connections += report.connections;
        self.steps += report.steps;
        self.time += report.time;
        self.faults.merge(&report.faults);
        self.uses.merge(&report.uses);
        self.digest = self.digest.wrapping_add(mix(report.digest ^ mix(report.seed)));
    }

    /// Adds another sum.
    pub fn merge(&mut self, other: &Sum) {
        self.seeds += other.seeds;
        self.connections += other.connections;
        self.steps += other.steps;
        self.time += other.time;
        self.faults.merge(&other.faults);
        self.uses.merge(&other.uses);
        self.digest = self.digest.wrapping_add(other.digest);
        let all = self
            .kinds
            .iter_mut()
            .chain(&mut self.levels)
            .chain(&mut self.exchanges);
        let theirs = other.kinds.iter().chain(&other.levels).chain(&other.exchanges);
        for (sum, n) in all.zip(theirs) {
            *sum += n;
        }
    }
}

impl fmt::Display for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [drivers, machines, servers, clients] = self.kinds;
        let [calm, rough, broken] = self.levels;
        let [all, complete, failed] = self.exchanges;
        writeln!(
            f,
            "seeds         {} ({drivers} drivers, {machines} machines, {servers} bare servers, {clients} bare clients)",
            self.seeds
        )?;
        writeln!(f, "worlds        {calm} calm, {rough} rough, {broken} broken")?;
        writeln!(f, "exchanges     {all}: {complete} complete, {failed} failed")?;
        writeln!(f, "connections   {}", self.connections)?;
        writeln!(f, "steps         {}", self.steps)?;
        writeln!(f, "virtual time  {:.1} days", self.time.as_secs_f64() / 86_400.0)?;
        writeln!(f, "digest        {:016x}", self.digest)?;
        write!(
            f,
            "faults made\n{}the machines' worlds made\n{}",
            self.faults, self.uses
        )
    }
}

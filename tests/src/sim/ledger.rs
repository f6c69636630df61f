//! [`Ledger`]: what happened to each exchange, as both of its ends tell it, and what must hold of that.

use super::checks::{Check, Violation};
use super::faults::{Fault, Faults};
use super::link::Side;
use super::plan::{Ending, Handling, Level, Plan, Reading};
use super::runtime::Trouble;
use antiphon_core::h1::{DeadlineKind, PeerErrorKind, Timeouts};
use antiphon_driver::{Error, ErrorKind};
use std::sync::Arc;
use std::time::Duration;

/// How an exchange ended for its client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// With all of the response.
    Complete,
    /// As the client stopped reading.
    Stopped,
    /// With an error.
    Failed,
    /// As the client dropped it.
    Cancelled,
}

/// One exchange.
#[derive(Debug)]
pub struct Entry {
    /// How it was meant.
    pub plan: Arc<Plan>,
    /// How often a handler was started for it.
    pub started: u32,
    /// Handlers that run.
    pub running: u32,
    /// Responses that want to be told when their body is done, and how many were.
    pub counted: (u32, u32),
    /// How it ended.
    pub ended: Option<Ended>,
}

/// All exchanges of a world.
#[derive(Debug, Default)]
pub struct Ledger(Vec<Entry>);

impl Ledger {
    /// A ledger of these.
    pub fn new(plans: impl Iterator<Item = Plan>) -> Ledger {
        let entry = |plan| Entry {
            plan: Arc::new(plan),
            started: 0,
            running: 0,
            counted: (0, 0),
            ended: None,
        };
        Ledger(plans.map(entry).collect())
    }

    /// An exchange.
    pub fn get(&mut self, id: u64) -> Option<&mut Entry> {
        self.0.get_mut(usize::try_from(id).ok()?)
    }

    /// Whether a server has begun an exchange whose body it may leave unread.
    pub fn leaves_unread(&self, server: usize) -> bool {
        let of = |e: &&Entry| e.plan.server == server && e.started > 0;
        self.0.iter().filter(of).any(|e| e.plan.leaves_unread())
    }

    /// How many ended in each way.
    pub fn count(&self, ended: Ended) -> u64 {
        self.0.iter().filter(|e| e.ended == Some(ended)).count() as u64
    }

    /// How many there are.
    pub fn len(&self) -> u64 {
        self.0.len() as u64
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What must hold once everything has ended.
    ///
    /// # Errors
    /// What does not.
    pub fn close(&self) -> Result<(), Violation> {
        let broken = |e: &Entry, what: String| {
            Err(Violation::new(
                Check::Answered,
                format!("exchange {}: {what}", e.plan.id),
            ))
        };
        for e in &self.0 {
            if e.ended.is_none() {
                return broken(e, "its client never heard how it ended".to_string());
            }
            if e.running != 0 {
                return broken(
                    e,
                    format!("{} handlers neither ended nor were dropped", e.running),
                );
            }
            if e.counted.0 != e.counted.1 {
                let (asked, told) = e.counted;
                return broken(
                    e,
                    format!("{asked} responses asked for their end, {told} were told"),
                );
            }
            if e.started == 0 && e.ended == Some(Ended::Complete) {
                return broken(e, "was answered, but no handler ran".to_string());
            }
        }
        Ok(())
    }
}

impl Plan {
    /// Whether its handler may find that the request's body does not come to its end.
    pub fn upload_may_fail(&self, level: Level) -> bool {
        let whole = matches!(self.client, Reading::All | Reading::Slowly);
        level == Level::Broken
            || self.cancel.is_some()
            || self.is_doomed()
            || !whole
            || self.ending != Ending::Answer
            || self.handling == Handling::AnswerMeanwhile
    }

    /// What is wrong with this error, told to the client.
    ///
    /// # Errors
    /// That.
    pub fn judge_client(&self, error: &Error, level: Level, causes: &Causes) -> Result<(), Violation> {
        judge_kind(self.id, error)?;
        let may = self.is_doomed() || level == Level::Broken && causes.explain(error, self.timeout);
        if may {
            return Ok(());
        }
        Err(Violation::new(
            Check::Succeeds,
            format!("exchange {}: {error:?}, of which nothing is the cause", self.id),
        ))
    }

    /// What is wrong with this error, told to the handler that reads the request's body.
    ///
    /// # Errors
    /// That.
    pub fn judge_handler(&self, error: &Error, level: Level) -> Result<(), Violation> {
        judge_kind(self.id, error)?;
        if self.upload_may_fail(level) {
            return Ok(());
        }
        Err(Violation::new(
            Check::Succeeds,
            format!("exchange {}: its handler: {error:?}", self.id),
        ))
    }

    /// Whether a response of this status, which is not the planned one, may come.
    ///
    /// # Errors
    /// Why not.
    pub fn judge_status(&self, status: u16, level: Level, causes: &Causes) -> Result<(), Violation> {
        let may = match status {
            500 => {
                self.ending != Ending::Answer
                    || self.is_doomed()
                    || level == Level::Broken && self.upload.is_some() && causes.broken()
            }
            408 => level == Level::Broken && causes.server_waited(),
            // To a request that was cut off.
            400 => causes.trouble.harm.cut_off[Side::Client as usize],
            _ => false,
        };
        if may {
            return Ok(());
        }
        Err(Violation::new(
            Check::Belongs,
            format!("exchange {}: an answer with status {status}", self.id),
        ))
    }
}

/// What has happened since an exchange began that may explain its failure.
#[derive(Debug)]
pub struct Causes {
    /// What befell the connections of its server.
    pub trouble: Trouble,
    /// The shortest deadline of that server.
    pub server_waits: Duration,
    /// It may have closed a connection, since it reads on only for a short while what its handler has left unread.
    pub left_unread: bool,
    /// The deadlines of its client.
    pub client: Timeouts,
    /// How long the client has waited.
    pub took: Duration,
    /// The trouble that was made in the whole world: when it began, and now.
    pub faults: [Faults; 2],
}

impl Causes {
    fn made(&self, fault: Fault) -> bool {
        let [before, now] = &self.faults;
        now.of(fault) > before.of(fault)
    }

    /// A deadline of the server's may have passed.
    fn server_waited(&self) -> bool {
        self.trouble.quiet >= self.server_waits
    }

    /// A connection may have ended early.
    pub fn broken(&self) -> bool {
        self.trouble.harm.any || self.trouble.gone || self.left_unread || self.server_waited()
    }

    fn explain(&self, error: &Error, limit: Option<Duration>) -> bool {
        let dialled = self.made(Fault::ConnectRefused)
            || self.trouble.gone
            || self.faults[1].of(Fault::ConnectSilent) > 0;
        match (error.kind(), error.deadline()) {
            (ErrorKind::Resolve, _) => self.made(Fault::ResolveFailed),
            (ErrorKind::Connect, _) => dialled,
            // Its own body fails by its own plan only.
            (ErrorKind::Body, _) => false,
            (ErrorKind::Timeout, None) => dialled || limit.is_some_and(|limit| self.took >= limit),
            (ErrorKind::Timeout, Some(which)) => {
                let t = &self.client;
                let due = match which {
                    DeadlineKind::ResponseHead => t.response_head,
                    DeadlineKind::BodyStall => t.body_stall,
                    DeadlineKind::WriteStall => t.write_stall,
                    _ => None,
                };
                due.is_some_and(|due| self.took >= due)
            }
            _ => self.broken(),
        }
    }
}

/// Nothing in a world breaks the protocol, so nobody may be told that.
fn judge_kind(id: u64, error: &Error) -> Result<(), Violation> {
    let fine = match error.kind() {
        ErrorKind::Peer(e) => e.kind() == PeerErrorKind::UnexpectedEof,
        ErrorKind::Resolve
        | ErrorKind::Connect
        | ErrorKind::Timeout
        | ErrorKind::Closed(_)
        | ErrorKind::Io
        | ErrorKind::Body
        | ErrorKind::ExchangeOver => true,
        _ => false,
    };
    if fine {
        return Ok(());
    }
    Err(Violation::new(Check::Reason, format!("exchange {id}: {error:?}")))
}

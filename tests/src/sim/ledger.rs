//! [`Ledger`]: what happened to each exchange, as both of its ends tell it, and what must hold of that.

use super::checks::{Check, Violation};
use super::faults::{Fault, Faults};
use super::plan::{Ending, Handling, Level, Plan, Reading};
use antiphon_core::h1::PeerErrorKind;
use antiphon_driver::{Error, ErrorKind};
use std::sync::Arc;

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
    pub fn judge_client(&self, error: &Error, level: Level) -> Result<(), Violation> {
        judge_kind(self.id, error)?;
        if level < Level::Broken && !self.is_doomed() {
            return Err(Violation::new(
                Check::Succeeds,
                format!("exchange {}: {error:?}", self.id),
            ));
        }
        Ok(())
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
    pub fn judge_status(&self, status: u16, level: Level, faults: &Faults) -> Result<(), Violation> {
        let may = match status {
            500 => {
                self.ending != Ending::Answer
                    || self.is_doomed()
                    || level == Level::Broken && self.upload.is_some()
            }
            408 => level == Level::Broken,
            // To a request that was cut off.
            400 => faults.of(Fault::Eof) > 0,
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

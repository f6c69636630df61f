//! A body on its way out of an application, into either machine.

use super::Common;
use super::scripts::headers;
use crate::sim::checks::{Check, Pattern};
use crate::sim::faults::Fault;
use crate::sim::plan::BodyPlan;
use antiphon_core::Headers;
use antiphon_core::h1::{ClientConn, ExchangeId, Misuse, ServerConn};

/// A body on its way out of an application.
pub(super) struct Out {
    pub(super) plan: BodyPlan,
    pub(super) pattern: Pattern,
    pub(super) at: u64,
    pub(super) open: bool,
}

/// A machine that takes a body.
pub(super) trait Takes {
    fn room(&self, id: ExchangeId) -> usize;
    fn give(&mut self, id: ExchangeId, bytes: Vec<u8>) -> Result<usize, Misuse>;
    fn copy(&mut self, id: ExchangeId, bytes: &[u8]) -> Result<usize, Misuse>;
    fn end(&mut self, id: ExchangeId, trailers: &Headers) -> Result<(), Misuse>;
    fn give_up(&mut self, id: ExchangeId) -> Result<(), Misuse>;
}

macro_rules! takes {
    ($conn:ident) => {
        impl Takes for $conn {
            fn room(&self, id: ExchangeId) -> usize {
                self.send_capacity(id)
            }
            fn give(&mut self, id: ExchangeId, bytes: Vec<u8>) -> Result<usize, Misuse> {
                let n = bytes.len();
                self.send_body(id, bytes.into()).map(|()| n)
            }
            fn copy(&mut self, id: ExchangeId, bytes: &[u8]) -> Result<usize, Misuse> {
                self.send_body_copy(id, bytes)
            }
            fn end(&mut self, id: ExchangeId, trailers: &Headers) -> Result<(), Misuse> {
                self.finish(id, trailers)
            }
            fn give_up(&mut self, id: ExchangeId) -> Result<(), Misuse> {
                self.abort(id)
            }
        }
    };
}

takes!(ServerConn);
takes!(ClientConn);

impl Out {
    pub(super) fn new(plan: BodyPlan, pattern: Pattern) -> Out {
        Out {
            plan,
            pattern,
            at: 0,
            open: true,
        }
    }

    /// Hands some of the body over. Says whether it did something.
    pub(super) fn push(
        &mut self,
        conn: &mut impl Takes,
        id: ExchangeId,
        number: u64,
        w: &mut Common,
    ) -> bool {
        let mut did = false;
        for _ in 0..4 {
            if !self.open || conn.room(id) == 0 {
                break;
            }
            did = true;
            if w.rng.chance(self.plan.yields) {
                break;
            }
            let end = self.plan.fails_at.unwrap_or(self.plan.len);
            if self.at < end {
                let n = (1 + w.rng.below(self.plan.piece)).min(end - self.at);
                let bytes = self.pattern.bytes(self.at, n as usize);
                let given = match w.rng.chance(128) {
                    true => conn.give(id, bytes),
                    false => conn.copy(id, &bytes),
                };
                match given {
                    Ok(n) => self.at += n as u64,
                    Err(misuse) => {
                        let what = format!("exchange {number}: room, but {misuse:?}");
                        w.violate(Check::Contract, what);
                        self.open = false;
                    }
                }
                continue;
            }
            self.open = false;
            let done = if self.plan.fails_at.is_some() {
                w.faults.add(Fault::BodyFailed);
                w.faults.add(Fault::Abort);
                conn.give_up(id)
            } else if self.plan.trailers {
                conn.end(id, &headers(&[("x-trailer", number.to_string())]))
            } else {
                conn.end(id, &Headers::new())
            };
            if let Err(misuse) = done {
                w.violate(Check::Contract, format!("exchange {number}: ending: {misuse:?}"));
            }
        }
        did
    }
}

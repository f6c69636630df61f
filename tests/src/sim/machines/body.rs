//! A body on its way out of an application, into either machine.

use super::Common;
use super::bypass::Piece;
use super::scripts::headers;
use crate::sim::checks::{Check, Pattern};
use crate::sim::faults::Fault;
use crate::sim::link::Side;
use crate::sim::plan::BodyPlan;
use crate::sim::uses::Use;
use antiphon_core::Headers;
use antiphon_core::h1::trace::Traced;
use antiphon_core::h1::{ClientConn, ExchangeId, Misuse, ServerConn};

/// A body on its way out of an application.
pub(super) struct Out {
    pub(super) plan: BodyPlan,
    pub(super) pattern: Pattern,
    pub(super) at: u64,
    pub(super) open: bool,
    /// Some of its pieces are written by the driver.
    pub(super) external: bool,
}

/// A machine that takes a body.
pub(super) trait Takes {
    const SIDE: Side;
    const EXTERNAL: Use;
    fn room(&self, id: ExchangeId) -> usize;
    fn give(&mut self, id: ExchangeId, bytes: Vec<u8>) -> Result<usize, Misuse>;
    fn copy(&mut self, id: ExchangeId, bytes: &[u8]) -> Result<usize, Misuse>;
    fn announce(&mut self, id: ExchangeId, n: u64) -> Result<(), Misuse>;
    fn end(&mut self, id: ExchangeId, trailers: &Headers) -> Result<(), Misuse>;
    fn give_up(&mut self, id: ExchangeId) -> Result<(), Misuse>;
}

macro_rules! takes {
    ($conn:ident, $side:expr, $external:expr) => {
        impl Takes for Traced<$conn> {
            const SIDE: Side = $side;
            const EXTERNAL: Use = $external;
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
            fn announce(&mut self, id: ExchangeId, n: u64) -> Result<(), Misuse> {
                self.send_external(id, n)
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

takes!(ServerConn, Side::Server, Use::ServerExternal);
takes!(ClientConn, Side::Client, Use::ClientExternal);

impl Out {
    pub(super) fn new(plan: BodyPlan, pattern: Pattern, w: &mut Common) -> Out {
        Out {
            plan,
            pattern,
            at: 0,
            open: true,
            external: w.rng.chance(64),
        }
    }

    /// Has the driver write the next `n` bytes.
    fn announce<C: Takes>(
        &self,
        conn: &mut C,
        id: ExchangeId,
        n: u64,
        w: &mut Common,
    ) -> Result<usize, Misuse> {
        conn.announce(id, n)?;
        w.uses.add(C::EXTERNAL);
        w.bypass[C::SIDE as usize].pieces.push_back(Piece {
            pattern: self.pattern,
            at: self.at,
            left: n,
        });
        Ok(n as usize)
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
                let given = if self.external && w.rng.chance(128) {
                    self.announce(conn, id, n, w)
                } else {
                    let bytes = self.pattern.bytes(self.at, n as usize);
                    match w.rng.chance(128) {
                        true => conn.give(id, bytes),
                        false => conn.copy(id, &bytes),
                    }
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

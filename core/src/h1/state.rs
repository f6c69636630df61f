//! The state machine of one connection: everything that affects state is here, and nothing here knows which
//! role we play. Request and response are the two directions; which of them is ours is the caller's affair.
//!
//! Five small machines are coupled, as in h11: the request direction, the response direction, whether the
//! connection persists, a pending CONNECT and a pending Upgrade.
//!
//! ```text
//!   request:   Idle -> Sending -> Done ---------------------> (both Done) -> Idle      keep alive
//!                                  |  \- switch proposed -> MightSwitch -> Switched    accepted
//!                                  |                             \------> Done         refused
//!   response:  Idle -> Awaiting -> Sending -> Done ---------> (both Done) -> Closed    a reason to close
//! ```
//!
//! Events move one direction; the joint rules in [`State::settle`] then run to a fixed point. A call that the
//! table does not name is refused with `false` and changes nothing.

use super::event::{CloseReason, Reuse, Switch};

/// One direction of an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    /// No message has begun.
    Idle,
    /// Response only: a request has begun, its answer has not.
    Awaiting,
    /// The head is through, the body is under way.
    Sending,
    Done,
    /// The request is complete and proposes a switch: bytes after it may belong to either protocol.
    MightSwitch,
    Switched,
    /// Nothing more comes in this direction.
    Closed,
}

/// See the module's description.
#[derive(Clone, Copy, Debug)]
pub(crate) struct State {
    request: Direction,
    response: Direction,
    /// The first reason found not to use the connection again.
    close: Option<CloseReason>,
    proposes: Switch,
}

impl State {
    pub(crate) const NEW: State = State {
        request: Direction::Idle,
        response: Direction::Idle,
        close: None,
        proposes: Switch::None,
    };

    pub(crate) fn request(&self) -> Direction {
        self.request
    }

    pub(crate) fn response(&self) -> Direction {
        self.response
    }

    pub(crate) fn proposes(&self) -> Switch {
        self.proposes
    }

    pub(crate) fn close_reason(&self) -> Option<CloseReason> {
        self.close
    }

    /// Whether an exchange is under way.
    #[inline]
    pub(crate) fn is_open(&self) -> bool {
        !matches!(
            self.response,
            Direction::Idle | Direction::Closed | Direction::Switched
        )
    }

    /// Neither direction has begun, and a request may. Both leave `Idle` together, and come back together.
    #[inline]
    pub(crate) fn is_idle(&self) -> bool {
        self.request == Direction::Idle
    }

    /// A reason to close after this exchange. The first one is kept.
    pub(crate) fn will_close(&mut self, reason: CloseReason) {
        if self.close.is_none() {
            self.close = Some(reason);
        }
    }

    /// A request head has gone by.
    #[inline]
    pub(crate) fn request_head(&mut self, proposes: Switch) -> bool {
        if !self.is_idle() {
            return false;
        }
        self.request = Direction::Sending;
        self.response = Direction::Awaiting;
        self.proposes = proposes;
        true
    }

    /// The request's last byte has gone by.
    #[inline]
    pub(crate) fn request_end(&mut self) -> bool {
        if self.request != Direction::Sending {
            return false;
        }
        self.request = Direction::Done;
        self.settle();
        true
    }

    /// A final response head has gone by; `switches`: it accepts the proposed switch.
    #[inline]
    pub(crate) fn response_head(&mut self, switches: bool) -> bool {
        if self.response != Direction::Awaiting || (switches && self.proposes == Switch::None) {
            return false;
        }
        self.response = Direction::Sending;
        if !switches {
            if self.proposes == Switch::Connect {
                // Bytes that the client sent into the tunnel it hoped for cannot be told from a request.
                self.will_close(CloseReason::ConnectRefused);
            }
            self.proposes = Switch::None;
        }
        self.settle();
        true
    }

    /// The response's last byte has gone by.
    #[inline]
    pub(crate) fn response_end(&mut self) -> bool {
        if self.response != Direction::Sending {
            return false;
        }
        self.response = Direction::Done;
        self.settle();
        true
    }

    /// The rules that couple the two directions, until nothing moves. They are all about switches.
    #[inline]
    fn settle(&mut self) {
        if self.proposes != Switch::None || self.request == Direction::MightSwitch {
            self.settle_switch();
        }
    }

    #[inline(never)]
    fn settle_switch(&mut self) {
        loop {
            let before = (self.request, self.response);
            match before {
                (Direction::Done, _) if self.proposes != Switch::None => {
                    self.request = Direction::MightSwitch
                }
                (Direction::MightSwitch, _) if self.proposes == Switch::None => {
                    self.request = Direction::Done
                }
                // A refusal has withdrawn the proposal: an answer that is complete has accepted it.
                (Direction::MightSwitch, Direction::Done) => {
                    self.request = Direction::Switched;
                    self.response = Direction::Switched;
                }
                _ => {}
            }
            if (self.request, self.response) == before {
                return;
            }
        }
    }

    /// Whether both directions have come to an end, and what follows.
    #[inline]
    pub(crate) fn outcome(&self) -> Option<Reuse> {
        match (self.request, self.response) {
            (Direction::Done, Direction::Done) => Some(match self.close {
                None => Reuse::KeepAlive,
                Some(reason) => Reuse::Close(reason),
            }),
            (Direction::Switched, Direction::Switched) => Some(Reuse::Switched),
            _ => None,
        }
    }

    /// The exchange has been told as ended: the next may begin, or nothing may.
    #[inline]
    pub(crate) fn ended(&mut self, reuse: Reuse) {
        let next = match reuse {
            Reuse::KeepAlive => Direction::Idle,
            Reuse::Close(_) => Direction::Closed,
            Reuse::Switched => Direction::Switched,
        };
        self.request = next;
        self.response = next;
        self.proposes = Switch::None;
    }

    /// Nothing more comes in either direction.
    pub(crate) fn closed(&mut self, reason: CloseReason) {
        self.will_close(reason);
        self.request = Direction::Closed;
        self.response = Direction::Closed;
    }
}

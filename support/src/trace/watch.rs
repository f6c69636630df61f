//! [`Watch`]: looks at a connection after each of its turns, and tells what can be seen no other way.

use super::{TraceEvent, Tracer};
use antiphon_core::h1::ClientConn;
use antiphon_core::{Response, Status};

/// Tells how far an exchange has come on its connection.
#[derive(Debug)]
pub struct Watch {
    tracer: Tracer,
    /// How long the request's head is; `None` once all of it was written.
    head: Option<u64>,
    /// The body waits for `100 Continue`.
    held: bool,
    wrote_request: bool,
    first_byte: bool,
}

impl Watch {
    /// Of a connection to which the head of a request has just been handed. `held`: the body is not sent before
    /// `100 Continue`, or before the wait for that is over. `None` if nobody wants to know.
    pub fn new(tracer: &Tracer, machine: &ClientConn, held: bool) -> Option<Box<Watch>> {
        tracer.is_on().then(|| {
            Box::new(Watch {
                tracer: tracer.clone(),
                // Nothing stands behind it yet, and it is one piece.
                head: Some(machine.outgoing().first().len() as u64),
                held,
                wrote_request: false,
                first_byte: false,
            })
        })
    }

    /// Whom it tells.
    pub fn tracer(&self) -> &Tracer {
        &self.tracer
    }

    /// An interim response came.
    pub fn interim(&self, head: &Response) {
        let call = self.tracer.call();
        self.tracer.tell(match head.status {
            Status::CONTINUE => TraceEvent::Continue { call },
            status => TraceEvent::Interim {
                call,
                status,
                fields: head.headers.as_fields(),
            },
        });
    }

    /// Looks. `handed_over`: the machine has all of the request's body.
    pub fn look(&mut self, machine: &ClientConn, handed_over: bool) {
        let call = self.tracer.call();
        if self.head.is_some_and(|len| machine.request_bytes_sent() >= len) {
            self.head = None;
            self.tracer.tell(TraceEvent::WroteHead { call });
            if self.held {
                self.tracer.tell(TraceEvent::WaitContinue { call });
            }
        }
        if !self.wrote_request && self.head.is_none() && handed_over && machine.outgoing().is_empty() {
            self.wrote_request = true;
            self.tracer.tell(TraceEvent::WroteRequest { call });
        }
        if !self.first_byte && machine.response_begun() {
            self.first_byte = true;
            self.tracer.tell(TraceEvent::FirstByte { call });
        }
    }
}

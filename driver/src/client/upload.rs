//! [`Upload`]: a request body on its way to the machine.

use crate::{Body, Error, ErrorKind};
use antiphon_core::Fields;
use antiphon_core::h1::{BodyLen, ClientConn, ExchangeId, Misuse};
use antiphon_support::Meter;
use bytes::Bytes;
use std::sync::Arc;
use std::task::{Context, Poll};

const PHASE: &str = "sending the request body";
/// How many chunks one poll takes from the application.
const CHUNKS: usize = 16;

/// What is still to be sent.
pub(crate) struct Upload(Option<Open>);

struct Open {
    body: Body,
    /// Taken from `body`, not yet accepted by the machine.
    chunk: Bytes,
    /// Waits for `SendBodyNow`.
    held: bool,
    /// The stream has been asked for bytes, so it cannot begin again.
    touched: bool,
    /// Bytes of the declared length that the stream still owes; `None` if no length was declared.
    owed: Option<u64>,
    meter: Option<Arc<Meter>>,
}

/// What a poll of an upload did.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Polled {
    /// The application's stream did something.
    pub(crate) ran: bool,
    /// It may do more at once: its turn is over, but neither was it pending nor is the machine full.
    pub(crate) more: bool,
}

impl Polled {
    fn waiting(ran: bool) -> Polled {
        Polled { ran, more: false }
    }
}

impl Upload {
    /// Nothing to send.
    pub(crate) const NONE: Upload = Upload(None);

    pub(crate) fn new(body: Body, len: BodyLen, held: bool, meter: Option<Arc<Meter>>) -> Upload {
        Upload(Some(Open {
            body,
            chunk: Bytes::new(),
            held,
            touched: false,
            owed: match len {
                BodyLen::Known(n) => Some(n),
                _ => None,
            },
            meter,
        }))
    }

    pub(crate) fn is_open(&self) -> bool {
        self.0.is_some()
    }

    /// Nobody is told any more how it goes on: the call is done with this exchange.
    pub(crate) fn unmetered(mut self) -> Upload {
        if let Some(open) = &mut self.0 {
            open.meter = None;
        }
        self
    }

    /// The wait for `100 Continue` is over.
    pub(crate) fn release(&mut self) {
        if let Some(open) = &mut self.0 {
            open.held = false;
        }
    }

    pub(crate) fn is_held(&self) -> bool {
        self.0.as_ref().is_some_and(|open| open.held)
    }

    /// Whether nothing more is wanted of the application's code: what is left to send is in memory.
    pub(crate) fn is_in_memory(&self) -> bool {
        self.0
            .as_ref()
            .is_none_or(|open| open.owed == Some(0) || open.body.is_in_memory())
    }

    /// Whether the machine has all bytes; it may not have been told of the end.
    pub(crate) fn is_handed_over(&self) -> bool {
        self.0
            .as_ref()
            .is_none_or(|open| open.owed == Some(0) && open.chunk.is_empty())
    }

    /// Whether [`untouched`](Upload::untouched) has a body to give.
    pub(crate) fn is_untouched(&self) -> bool {
        self.0.as_ref().is_some_and(|open| !open.touched)
    }

    /// The body, if none of it was taken.
    pub(crate) fn untouched(&mut self) -> Option<Body> {
        if self.0.as_ref()?.touched {
            None
        } else {
            self.0.take().map(|open| open.body)
        }
    }

    /// Moves chunks from the body to the machine while there is room and chunks come, empty ones included, for
    /// one turn.
    ///
    /// # Errors
    /// What the stream gave, or that it does not keep to the length it declared. The exchange is broken off.
    pub(crate) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        machine: &mut ClientConn,
        id: ExchangeId,
    ) -> Result<Polled, Error> {
        let Some(open) = &mut self.0 else {
            return Ok(Polled::waiting(false));
        };
        if open.held {
            return Ok(Polled::waiting(false));
        }
        let mut ran = false;
        for _ in 0..CHUNKS {
            if machine.send_capacity(id) == 0 {
                return Ok(Polled::waiting(ran));
            }
            if !open.chunk.is_empty() {
                match machine.send_body(id, open.chunk.clone()) {
                    Ok(()) => {
                        let sent = std::mem::take(&mut open.chunk);
                        if let Some(meter) = &open.meter {
                            meter.sent(sent.len());
                        }
                    }
                    Err(Misuse::Full | Misuse::AwaitingContinue) => return Ok(Polled::waiting(ran)),
                    Err(misuse) => {
                        return self.refused(machine, id, misuse).map(|()| Polled::waiting(ran));
                    }
                }
                continue;
            }
            open.touched = true;
            match open.body.poll_chunk(cx) {
                Poll::Pending => return Ok(Polled::waiting(ran)),
                Poll::Ready(Some(Ok(bytes))) => {
                    open.owed = open.owed.map(|n| n.saturating_sub(bytes.len() as u64));
                    open.chunk = bytes;
                }
                Poll::Ready(Some(Err(error))) => {
                    self.0 = None;
                    let _ = machine.abort(id);
                    let error = if error.kind() == ErrorKind::Body {
                        error
                    } else {
                        // A body that came from another connection: its error is the cause of ours.
                        Error::new(ErrorKind::Body, PHASE).with_source(error)
                    };
                    return Err(error);
                }
                Poll::Ready(None) => {
                    let trailers = open.body.take_trailers();
                    let done = match &trailers {
                        Some(trailers) => machine.finish(id, trailers),
                        None => machine.finish(id, &Fields::EMPTY),
                    };
                    return match done {
                        Ok(()) => {
                            self.0 = None;
                            Ok(Polled::waiting(true))
                        }
                        Err(misuse) => self.refused(machine, id, misuse).map(|()| Polled::waiting(true)),
                    };
                }
            }
            ran = true;
        }
        Ok(Polled { ran, more: true })
    }

    fn refused(&mut self, machine: &mut ClientConn, id: ExchangeId, misuse: Misuse) -> Result<(), Error> {
        self.0 = None;
        match misuse {
            // The exchange is over without it; the machine tells why.
            Misuse::UnknownExchange | Misuse::Closed => Ok(()),
            _ => {
                let _ = machine.abort(id);
                // A length that it does not keep to, trailers that may not be sent.
                Err(Error::new(ErrorKind::Body, PHASE).with_source(misuse))
            }
        }
    }
}

//! [`Upload`]: a request body on its way to the machine.

use crate::{Body, Error, ErrorKind};
use antiphon_core::Fields;
use antiphon_core::h1::{ClientConn, ExchangeId, Misuse};
use bytes::Bytes;
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
}

impl Upload {
    /// Nothing to send.
    pub(crate) const NONE: Upload = Upload(None);

    pub(crate) fn new(body: Body, held: bool) -> Upload {
        Upload(Some(Open {
            body,
            chunk: Bytes::new(),
            held,
            touched: false,
        }))
    }

    pub(crate) fn is_open(&self) -> bool {
        self.0.is_some()
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

    /// The body, if none of it was taken.
    pub(crate) fn untouched(&mut self) -> Option<Body> {
        if self.0.as_ref()?.touched {
            None
        } else {
            self.0.take().map(|open| open.body)
        }
    }

    /// Moves chunks from the body to the machine while there is room and chunks come. Says whether the
    /// application's stream did anything.
    ///
    /// # Errors
    /// What the stream gave, or that it does not keep to the length it declared. The exchange is broken off.
    pub(crate) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        machine: &mut ClientConn,
        id: ExchangeId,
    ) -> Result<bool, Error> {
        let Some(open) = &mut self.0 else { return Ok(false) };
        if open.held {
            return Ok(false);
        }
        let mut ran = false;
        for _ in 0..CHUNKS {
            if machine.send_capacity(id) == 0 {
                return Ok(ran);
            }
            if !open.chunk.is_empty() {
                match machine.send_body(id, open.chunk.clone()) {
                    Ok(()) => open.chunk = Bytes::new(),
                    Err(Misuse::Full | Misuse::AwaitingContinue) => return Ok(ran),
                    Err(misuse) => return self.refused(machine, id, misuse).map(|()| ran),
                }
                continue;
            }
            open.touched = true;
            match open.body.poll_chunk(cx) {
                Poll::Pending => return Ok(ran),
                Poll::Ready(Some(Ok(bytes))) => open.chunk = bytes,
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
                            Ok(true)
                        }
                        Err(misuse) => self.refused(machine, id, misuse).map(|()| true),
                    };
                }
            }
            ran = true;
        }
        Ok(ran)
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

//! [`ResponseBody`]: the response's body on its way in, with the call that it belongs to: a failure is told as the
//! call's.

use super::call::{failed, failure_of};
use super::exchange::{DRAIN_BYTES, Exchange};
use crate::clock;
use crate::error::{Error, ErrorKind};
use crate::upgraded::Upgraded;
use antiphon_core::Headers;
use antiphon_core::client::Call;
use antiphon_core::h1::{BodyLen, ClientConn, CloseReason};
use antiphon_support::Meter;
use bytes::Bytes;
use std::sync::Arc;

/// The body of a response on its way in. It drives the connection on the thread that reads it.
#[derive(Debug)]
pub(crate) struct ResponseBody {
    /// Until the body's end, or an error.
    exchange: Option<Exchange>,
    /// Until a failure, which ends it.
    call: Option<Call>,
    close: Option<CloseReason>,
    /// What came from the connection.
    received: u64,
    meter: Option<Arc<Meter>>,
}

impl ResponseBody {
    /// Without a call outside the pool: an error is told as it is.
    pub(super) fn new(exchange: Exchange, call: Option<Call>, meter: Option<Arc<Meter>>) -> ResponseBody {
        ResponseBody {
            exchange: Some(exchange),
            call,
            close: None,
            received: 0,
            meter,
        }
    }

    /// Reads some bytes; 0 at the end.
    pub(crate) fn read(&mut self, buf: &mut [u8]) -> Result<usize, Error> {
        let read = self.take(|machine| {
            let body = machine.body();
            let n = body.len().min(buf.len());
            buf[..n].copy_from_slice(&body[..n]);
            // At most what `body` shows.
            let _ = machine.consume(n);
            (n, n)
        })?;
        Ok(read.unwrap_or(0))
    }

    /// All bytes that are there; `None` at the end.
    pub(crate) fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        self.take(|machine| {
            let bytes = machine.take_body();
            (bytes.len(), bytes)
        })
    }

    /// `take` says how much it took, too.
    fn take<T>(&mut self, take: impl FnMut(&mut ClientConn) -> (usize, T)) -> Result<Option<T>, Error> {
        let most = self.max();
        let Some(exchange) = &mut self.exchange else {
            return Ok(None);
        };
        // What is declared too long is not waited for.
        if matches!(exchange.response_len(), BodyLen::Known(n) if n > most) {
            return Err(self.too_large());
        }
        let taken = exchange.read(take).map_err(|e| {
            self.close = self.exchange.take().map(|mut exchange| exchange.ends(&e));
            self.fail(e)
        })?;
        let Some((n, taken)) = taken else {
            return Ok(None);
        };
        self.received = self.received.saturating_add(n as u64);
        if self.received > most {
            return Err(self.too_large());
        }
        if let Some(meter) = &self.meter {
            meter.received(n);
        }
        Ok(Some(taken))
    }

    /// How much of it the caller gets at most.
    pub(crate) fn max(&self) -> u64 {
        let max = self.call.as_ref().and_then(Call::max_body);
        max.unwrap_or(u64::MAX)
    }

    /// There is more of it.
    pub(crate) fn too_large(&mut self) -> Error {
        self.abort();
        self.fail(Error::new(ErrorKind::BodyTooLarge, "reading the response body"))
    }

    /// The error as the call's.
    pub(crate) fn fail(&mut self, e: Error) -> Error {
        match self.call.take() {
            Some(call) => failed_body(call, e),
            None => e,
        }
    }

    /// Closes the connection: what comes is of no use.
    pub(crate) fn abort(&mut self) {
        if let Some(exchange) = self.exchange.take() {
            self.close = Some(CloseReason::Aborted);
            exchange.let_go(0);
        }
    }

    /// The trailers, once, after the end. Lets go of the connection.
    pub(crate) fn take_trailers(&mut self) -> Option<Headers> {
        let mut exchange = self.exchange.take_if(|exchange| exchange.body_has_ended())?;
        let trailers = exchange.take_trailers();
        self.close = exchange.end();
        trailers
    }

    pub(crate) fn close_reason(&self) -> Option<CloseReason> {
        self.close
    }

    pub(crate) fn is_switched(&self) -> bool {
        self.exchange.as_ref().is_some_and(Exchange::is_switched)
    }

    /// The connection, to speak another protocol.
    pub(crate) fn into_upgraded(mut self) -> Result<Upgraded, Error> {
        const SWITCHING: &str = "taking the connection over";
        let Some(exchange) = self.exchange.take() else {
            return Err(Error::new(ErrorKind::NotUpgraded, SWITCHING));
        };
        exchange.into_upgraded().map_err(|e| Error::io(SWITCHING, e))
    }
}

fn failed_body(mut call: Call, e: Error) -> Error {
    let failure = failure_of(&e, true);
    call.failed(failure, true, e, clock::mono())
        .expect("the response was delivered, and its body has not ended");
    failed(call)
}

impl Drop for ResponseBody {
    fn drop(&mut self) {
        if let Some(exchange) = self.exchange.take() {
            exchange.let_go(DRAIN_BYTES);
        }
    }
}

//! One exchange of a client: sending a request while looking for its response, and reading that. Both directions go on
//! until both are done; the connection returns to the pool at the earliest moment. What the caller reads is in
//! `response_body`, what happens between two exchanges in `call`.

use super::call::known;
use super::hub::Held;
use super::response_body::ResponseBody;
use crate::body::{Body, PIECE};
use crate::clock;
use crate::decoded::Decoded;
use crate::error::{Error, ErrorKind};
use crate::link::Step;
use crate::upgraded::Upgraded;
use antiphon_core::client::{Call, Prepared, Unsendable};
use antiphon_core::h1::{
    BodyLen, ClientConn, ClientEvent, CloseReason, DeadlineKind, ExchangeId, Finish, Misuse, OwnedHead,
    PeerError, Reuse,
};
use antiphon_core::{Fields, Headers, Instant};
use antiphon_support::Meter;
use antiphon_support::content::Decoder;
use antiphon_support::trace::{TraceEvent, Watch};
use bytes::Bytes;
use std::io::{self, Read};
use std::mem;
use std::sync::Arc;
use std::time::Duration;

const SENDING: &str = "sending the request";
const WAITING: &str = "waiting for the response";
const READING: &str = "reading the response body";

/// How much of an upload is read at a time.
const UPLOAD_PIECE: usize = 4 * PIECE;
/// What a response body that is dropped may still cost so that its connection can be kept. The time is also that for
/// the body of a redirect, of which the core says how much is read.
pub(super) const DRAIN_BYTES: u64 = 256 * 1024;
const DRAIN_TIME: Duration = Duration::from_millis(50);

/// The exchange on its connection.
#[derive(Debug)]
pub(super) struct Exchange {
    held: Held,
    /// Tells what becomes of it, if somebody wants to know.
    watch: Option<Box<Watch>>,
    id: ExchangeId,
    upload: Upload,
    meter: Option<Arc<Meter>>,
    /// When the time that the caller gave is up.
    until: Option<Instant>,
    /// The response head has come: its body's length.
    response: Option<BodyLen>,
    head: OwnedHead,
    pub(super) interim: Vec<antiphon_core::Response>,
    body_ended: bool,
    trailers: Option<Headers>,
    ended: Option<Reuse>,
    timeout: Option<DeadlineKind>,
    error: Option<PeerError>,
    over: Option<Finish>,
}

/// The request's body.
#[derive(Debug)]
enum Upload {
    /// On its way. The machine says when there is room, and holds it back while it waits for `100 Continue`.
    Running { body: Body, piece: Vec<u8>, begun: bool },
    /// Finished, or given up.
    Done,
}

impl Exchange {
    /// Queues the request's head.
    pub(super) fn begin(
        mut held: Held,
        len: BodyLen,
        body: Body,
        meter: Option<Arc<Meter>>,
        until: Option<Instant>,
        send_head: impl FnOnce(&mut ClientConn) -> Result<ExchangeId, Unsendable>,
    ) -> Result<Exchange, Error> {
        held.link().equip();
        let id = send_head(&mut held.link().machine).map_err(|e| Error::unsendable(SENDING, e))?;
        if let Some(meter) = &meter {
            meter.begin(known(len));
        }
        let upload = match len {
            BodyLen::None => Upload::Done,
            _ => Upload::Running {
                body,
                piece: Vec::new(),
                begun: false,
            },
        };
        // An early answer must be seen even while the server takes everything.
        held.link().watchful = len != BodyLen::None;
        Ok(Exchange {
            held,
            watch: None,
            id,
            upload,
            meter,
            until,
            response: None,
            head: OwnedHead::default(),
            interim: Vec::new(),
            body_ended: false,
            trailers: None,
            ended: None,
            timeout: None,
            error: None,
            over: None,
        })
    }

    /// Tells on behalf of a call that its request is sent, and what becomes of it.
    pub(super) fn watch(&mut self, request: &Prepared<'_>) {
        let waits = request.is_held() && self.held.waits_for_continue();
        let tracer = self.held.tracer().clone();
        tracer.tell(TraceEvent::Sending {
            call: tracer.call(),
            conn: self.held.id(),
            method: request.method(),
            url: request.url(),
        });
        self.watch = Watch::new(&tracer, self.machine(), waits);
    }

    /// Sends until there is a response head; gives it and its reason phrase.
    pub(super) fn response(&mut self) -> Result<(antiphon_core::Response, Bytes), Error> {
        self.drive(WAITING, |exchange| exchange.response.map(drop))?;
        let taken = mem::take(&mut self.head);
        // The machine has just told that it is there.
        let Some(head) = taken.as_response() else {
            return Err(Error::misuse(WAITING, Misuse::NoHead));
        };
        let (status, version) = (head.status(), head.version());
        let reason = match head.reason() {
            r if r == status.reason().as_bytes() => Bytes::from_static(status.reason().as_bytes()),
            r => Bytes::copy_from_slice(r),
        };
        Ok((
            antiphon_core::Response {
                status,
                version,
                headers: taken.into_headers(),
            },
            reason,
        ))
    }

    pub(super) fn bytes_sent(&mut self) -> u64 {
        self.machine().request_bytes_sent()
    }

    pub(super) fn response_begun(&mut self) -> bool {
        self.machine().response_begun()
    }

    /// It failed before there was a response: gives the request's body back, if nothing of it was read.
    pub(super) fn failed(mut self) -> Option<Body> {
        match mem::replace(&mut self.upload, Upload::Done) {
            Upload::Running {
                body, begun: false, ..
            } => Some(body),
            _ => None,
        }
    }

    /// Whether something was taken from the request's body.
    pub(super) fn body_taken(&self) -> bool {
        !matches!(self.upload, Upload::Running { begun: false, .. })
    }

    /// The length of the response's body as it comes.
    pub(super) fn response_len(&self) -> BodyLen {
        self.response.unwrap_or(BodyLen::None)
    }

    pub(super) fn held(&self) -> &Held {
        &self.held
    }

    /// Whether there is something of the response left to be read, or another protocol to be spoken.
    pub(super) fn has_content(&mut self) -> bool {
        self.pull();
        !self.response_len().is_empty() || self.is_switched()
    }

    /// The response's body, where it has one; decoded, if there is a decoder.
    pub(super) fn into_body(self, call: Option<Call>, decoder: Option<Decoder>) -> Body {
        let len = self.response_len();
        let meter = self.meter.clone();
        let body = Box::new(ResponseBody::new(self, call, meter));
        match decoder {
            None => Body::client(body, len),
            Some(decoder) => Body::decoded(Box::new(Decoded::new(body, decoder))),
        }
    }

    /// That of a response without content. The connection is back in the pool then, or closed.
    pub(super) fn into_empty_body(mut self) -> Body {
        let len = self.response_len();
        // Its end has been told with its head, unless the request still goes on.
        let trailers = self.trailers.take();
        let close = self.end();
        Body::arrived(Bytes::new(), len, trailers, close)
    }

    fn machine(&mut self) -> &mut ClientConn {
        &mut self.held.link().machine
    }

    pub(super) fn is_switched(&self) -> bool {
        self.ended == Some(Reuse::Switched)
    }

    /// Takes note of what the machine has to tell.
    fn pull(&mut self) {
        loop {
            match self.machine().next_event() {
                Ok(None) => return,
                Ok(Some(event)) => self.note(event),
                Err(e) => {
                    self.error = Some(e);
                    return;
                }
            }
        }
    }

    fn note(&mut self, event: ClientEvent) {
        match event {
            ClientEvent::Interim { id, .. } => {
                if let Ok(head) = self.machine().head(id) {
                    let head = head.to_response();
                    if let Some(watch) = &self.watch {
                        watch.interim(&head);
                    }
                    self.interim.push(head);
                }
            }
            ClientEvent::Response { id, body } => {
                self.response = Some(body);
                // At once: the head is there as long as the exchange, which may end with the next event.
                self.head = self.machine().take_head(id);
            }
            ClientEvent::BodyEnd { id } => {
                self.body_ended = true;
                let trailers = self
                    .machine()
                    .trailers(id)
                    .filter(|t| !t.is_empty())
                    .map(|t| t.to_headers());
                self.trailers = trailers;
            }
            ClientEvent::ExchangeEnd { reuse, .. } => self.ended = Some(reuse),
            ClientEvent::Timeout { why, .. } => self.timeout = Some(why),
            // Bytes are looked at directly; the end of the connection shows as the end of the exchange.
            _ => {}
        }
    }

    /// Drives both directions until `done` gives something.
    fn drive<T>(
        &mut self,
        phase: &'static str,
        mut done: impl FnMut(&mut Exchange) -> Option<T>,
    ) -> Result<T, Error> {
        loop {
            self.pull();
            if let Some(found) = done(self) {
                return Ok(found);
            }
            if let Some(error) = self.failure(phase) {
                return Err(match self.held.link().take_broken() {
                    // What the system or TLS said is more than that the connection broke.
                    Some(e) if matches!(error.kind(), ErrorKind::Closed(_)) => error.with_source(e),
                    _ => error,
                });
            }
            // Looked at each time, since a peer that always has something ready never makes this thread wait.
            if self.until.is_some_and(|until| until <= clock::mono()) {
                return Err(Error::new(ErrorKind::Timeout, phase).with_source("the request's own timeout"));
            }
            let pumped = self.pump()?;
            match self.held.link().step() {
                Step::Moved => self.look(),
                Step::Over(finish) => self.over = Some(finish),
                Step::Wait(_) | Step::Owed if pumped => {}
                Step::Owed => self.over = Some(Finish::No),
                Step::Wait(plan) => {
                    let link = self.held.link();
                    let ready = plan.wait(link.socket(), self.until, None);
                    self.held.link().woke(ready);
                }
            }
        }
    }

    /// Tells how far it has come.
    fn look(&mut self) {
        if let Some(watch) = &mut self.watch {
            watch.look(&self.held.link().machine, matches!(self.upload, Upload::Done));
        }
    }

    /// Why nothing more comes, if so.
    fn failure(&self, phase: &'static str) -> Option<Error> {
        if let Some(e) = self.error {
            return Some(Error::peer(phase, e));
        }
        if let Some(why) = self.timeout {
            return Some(Error::timeout(phase, why));
        }
        match self.ended {
            Some(Reuse::Close(why)) => Some(Error::closed(phase, why)),
            Some(_) => Some(Error::new(ErrorKind::ExchangeOver, phase)),
            None => self.over.map(|_| Error::closed(phase, CloseReason::PeerClosed)),
        }
    }

    /// Moves a piece of the upload into the machine, if there is room; says whether it did.
    fn pump(&mut self) -> Result<bool, Error> {
        let Upload::Running { body, piece, begun } = &mut self.upload else {
            return Ok(false);
        };
        let machine = &mut self.held.link().machine;
        let room = machine.send_capacity(self.id);
        if room == 0 || (room < PIECE && machine.wants().write) {
            return Ok(false);
        }
        *begun = true;
        let misuse = |m: Misuse| Error::new(ErrorKind::Body, SENDING).with_source(m);
        let sent = |n| {
            if let Some(meter) = &self.meter {
                meter.sent(n);
            }
        };
        if let Some(bytes) = body.take_full() {
            let n = bytes.len();
            if n > 0 {
                machine.send_body(self.id, bytes).map_err(misuse)?;
                sent(n);
            }
        } else if body.is_received() {
            if let Some(bytes) = body.chunk().transpose()? {
                let n = bytes.len();
                machine.send_body(self.id, bytes).map_err(misuse)?;
                sent(n);
                return Ok(true);
            }
        } else {
            piece.resize(UPLOAD_PIECE, 0);
            let most = room.min(UPLOAD_PIECE);
            let n = body.read(&mut piece[..most]).map_err(Error::from_body)?;
            if n > 0 {
                // There is room for it, and only this thread fills it.
                machine.send_body_copy(self.id, &piece[..n]).map_err(misuse)?;
                sent(n);
                return Ok(true);
            }
        }
        let trailers = body.take_trailers();
        match &trailers {
            Some(trailers) => machine.finish(self.id, trailers),
            None => machine.finish(self.id, &Fields::EMPTY),
        }
        .map_err(misuse)?;
        self.upload = Upload::Done;
        Ok(true)
    }

    /// Waits for body bytes and runs `take` on the machine; `None` at the end of the body.
    pub(super) fn read<T>(&mut self, mut take: impl FnMut(&mut ClientConn) -> T) -> Result<Option<T>, Error> {
        self.drive(READING, |exchange| {
            let id = exchange.id;
            let machine = exchange.machine();
            if !machine.body().is_empty() {
                return Some(Some(take(machine)));
            }
            if exchange.body_ended {
                return Some(None);
            }
            exchange.machine().want_body(id);
            None
        })
    }

    /// The response is read: gives the connection back, or closes it and says why.
    pub(super) fn end(mut self) -> Option<CloseReason> {
        self.pull();
        if self.ended.is_none() && matches!(self.upload, Upload::Done) && self.error.is_none() {
            // The rest of the request is on its way out.
            self.until = Some(clock::mono() + DRAIN_TIME);
            let _ = self.drive(READING, |exchange| exchange.ended);
        }
        self.leave()
    }

    /// Gives the connection back if it can be used again.
    fn leave(mut self) -> Option<CloseReason> {
        let reason = match self.ended {
            Some(Reuse::KeepAlive) => return self.held.put(),
            Some(Reuse::Close(why)) => Some(why),
            Some(Reuse::Switched) => None,
            None => {
                let reason = match (self.error, self.timeout) {
                    (Some(e), _) => CloseReason::PeerError(e),
                    (_, Some(why)) => CloseReason::Timeout(why),
                    _ if matches!(self.upload, Upload::Done) => CloseReason::Aborted,
                    _ => CloseReason::RequestUnfinished,
                };
                // It may have ended meanwhile.
                let id = self.id;
                let _ = self.machine().abort(id);
                Some(reason)
            }
        };
        if let Some(reason) = reason {
            self.held.ends(reason);
        }
        reason
    }

    /// It has failed: why the connection is not used again.
    pub(super) fn ends(&mut self, error: &Error) -> CloseReason {
        let reason = match error.kind() {
            ErrorKind::Peer(e) => CloseReason::PeerError(e),
            ErrorKind::Closed(why) => why,
            _ => error
                .deadline()
                .map_or(CloseReason::Aborted, CloseReason::Timeout),
        };
        self.held.ends(reason);
        reason
    }

    /// Nobody wants the rest of the response: reads on, at most `most` bytes and [`DRAIN_TIME`], so that the connection
    /// can be kept; else closes it.
    pub(super) fn let_go(mut self, most: u64) {
        self.pull();
        let far = |left: BodyLen| matches!(left, BodyLen::Known(n) if n > most);
        if self.is_switched() || !matches!(self.upload, Upload::Done) || self.response.is_none_or(far) {
            self.leave();
            return;
        }
        let until = clock::mono() + DRAIN_TIME;
        self.until = Some(self.until.map_or(until, |u| u.min(until)));
        let mut budget = most;
        while let Ok(Some(n)) = self.read(|machine| {
            let n = machine.body().len();
            let _ = machine.consume(n);
            n as u64
        }) {
            let Some(left) = budget.checked_sub(n) else { break };
            budget = left;
        }
        if self.body_ended {
            self.end();
        } else {
            self.leave();
        }
    }

    /// Takes the trailers; the body has ended.
    pub(super) fn take_trailers(&mut self) -> Option<Headers> {
        self.trailers.take()
    }

    /// Whether the end of the body was told.
    pub(super) fn body_has_ended(&self) -> bool {
        self.body_ended
    }

    /// The connection, which speaks another protocol now.
    pub(super) fn into_upgraded(self) -> io::Result<Upgraded> {
        let (socket, parts) = self.held.take_apart();
        Upgraded::new(socket, parts)
    }
}

//! Plays the client's cases against the core, without a socket: a [`ClientConn`] on an in-memory link, and a new
//! one whenever the one before is not used again.

use crate::case::{Case, Cut, Step, shown};
use crate::echo::lines;
use crate::machine::Link;
use crate::subject::item::{Item, Outcome};
use antiphon_core::h1::{
    BodyLen, ClientConfig, ClientConn, ClientEvent, CloseReason, ExchangeId, Misuse, PeerError, Reuse,
};
use antiphon_core::{Fields, Headers, Instant, Version};
use std::sync::Arc;

/// A client's connection, its link and what has happened on it.
#[derive(Debug)]
pub struct Client {
    /// The machine.
    pub http: ClientConn,
    /// The network.
    pub link: Link,
    /// What the open exchange has come to.
    pub outcome: Outcome,
    /// How the last exchange ended.
    pub end: Option<Reuse>,
    /// Events that are no part of an exchange.
    pub remarks: Vec<String>,
    /// What the server did wrong.
    pub error: Option<PeerError>,
    upload: Option<(ExchangeId, Vec<u8>)>,
    complete: bool,
}

impl Client {
    /// A connection that has just been made.
    pub fn new(config: ClientConfig) -> Client {
        Client {
            http: ClientConn::new(Arc::new(config), Instant::ZERO),
            link: Link::default(),
            outcome: Outcome::default(),
            end: None,
            remarks: vec![],
            error: None,
            upload: None,
            complete: false,
        }
    }

    /// Makes a request.
    ///
    /// # Errors
    /// If the machine refuses it.
    ///
    /// # Panics
    /// If the item holds invalid fields.
    pub fn request(&mut self, item: &Item, target: &str) -> Result<(), Misuse> {
        let mut fields = Headers::new();
        fields.append("host", "a").expect("valid");
        for field in &item.headers().expect("a case's own fields are valid") {
            fields.push(field).expect("small");
        }
        let len = match &item.body {
            None => BodyLen::None,
            Some(_) if item.chunked => BodyLen::Unknown,
            Some(body) => BodyLen::Known(body.len() as u64),
        };
        let id = self.http.send_request(item.method(), target, &fields, len)?;
        (self.outcome, self.end, self.complete) = (Outcome::default(), None, false);
        self.upload = item.body.clone().map(|body| (id, body));
        self.settle();
        Ok(())
    }

    /// The server sends `bytes` in pieces. What the machine does not take, because it closes, is lost.
    pub fn feed(&mut self, bytes: &[u8], cut: Cut) {
        for piece in cut.of(bytes) {
            let mut rest = piece;
            while !rest.is_empty() && self.http.wants().read {
                let n = self.http.received_copy(rest, self.link.now);
                assert!(n > 0, "reading is wanted, but no byte is taken");
                rest = &rest[n..];
                self.settle();
            }
        }
    }

    /// Time passes.
    pub fn at(&mut self, now: Instant) {
        self.link.now = now;
        self.http.handle_timeout(now);
        self.settle();
    }

    /// Runs machine, application and link until nothing moves.
    pub fn settle(&mut self) {
        loop {
            while self.error.is_none() {
                match self.http.next_event() {
                    Ok(Some(event)) => self.event(event),
                    Ok(None) => break,
                    Err(error) => self.error = Some(error),
                }
            }
            if let Some(error) = self.error {
                assert_eq!(self.http.next_event(), Err(error), "errors are sticky");
            }
            if !self.send() && !self.link.step(&mut self.http) {
                // Every driver asks for the deadline before it waits, and the machine arms it then.
                let _ = self.http.deadline(self.link.now);
                return;
            }
        }
    }

    fn event(&mut self, event: ClientEvent) {
        let out = &mut self.outcome;
        match event {
            ClientEvent::Interim { status, .. } => out.informational.push(status.code()),
            ClientEvent::Response { id, body } => {
                let head = self.http.head(id).expect("it was just read");
                out.status = Some(head.status().code());
                out.http10 = head.version() == Version::Http10;
                out.reason = head.reason().to_vec();
                out.headers = lines(head.fields());
                self.complete = body == BodyLen::None;
                self.http.want_body(id);
            }
            ClientEvent::Body { .. } => {
                out.body.extend_from_slice(self.http.body());
                self.http.consume(self.http.body().len()).expect("all of it");
            }
            ClientEvent::BodyEnd { id } => {
                out.trailers = self.http.trailers(id).map(lines).unwrap_or_default();
                self.complete = true;
            }
            ClientEvent::ExchangeEnd { reuse, .. } => {
                self.end = Some(reuse);
                if let Reuse::Close(reason) = reuse
                    && !self.complete
                {
                    out.error = Some(reason.to_string());
                }
                self.upload = None;
            }
            ClientEvent::SendBodyNow { .. } => {}
            other => self.remarks.push(format!("{other:?}")),
        }
    }

    fn send(&mut self) -> bool {
        let Some((id, body)) = &mut self.upload else {
            return false;
        };
        let sent = match body.is_empty() {
            true => self.http.finish(*id, &Fields::EMPTY).map(|()| 0),
            false => self.http.send_body_copy(*id, body),
        };
        match sent {
            Ok(0) => self.upload = None,
            Ok(n) => drop(body.drain(..n)),
            Err(Misuse::AwaitingContinue | Misuse::Full) => return false,
            Err(_) => self.upload = None,
        }
        true
    }

    fn line(&self) -> String {
        let o = &self.outcome;
        let mut line = match o.status {
            Some(status) => format!("{status} {}", if o.http10 { "1.0" } else { "1.1" }),
            None => "no response".into(),
        };
        for status in &o.informational {
            line += &format!(" after {status}");
        }
        if o.status.is_some() && o.reason != b"OK" {
            line += &format!(" reason={}", shown(&o.reason));
        }
        for (name, value) in o
            .headers
            .iter()
            .filter(|(n, _)| matches!(n[0] | 0x20, b'x' | b'y'))
        {
            line += &format!(" {}:{}", name.escape_ascii(), shown(value));
        }
        if !o.body.is_empty() {
            line += &format!(" body={}", shown(&o.body));
        }
        for (name, value) in &o.trailers {
            line += &format!(" trailer={}:{}", name.escape_ascii(), shown(value));
        }
        match (self.end, self.complete) {
            (Some(Reuse::KeepAlive), _) => format!("= {line} keep"),
            (Some(Reuse::Switched), _) => format!("= {line} switched"),
            (Some(Reuse::Close(reason)), true) => format!("= {line} close {reason:?}"),
            (Some(Reuse::Close(CloseReason::PeerError(_))), false) => format!("~ {line}"),
            (Some(Reuse::Close(reason)), false) => format!("~ {line} lost {reason:?}"),
            (None, _) => format!("~ {line}"),
        }
    }
}

/// What came of a case.
#[derive(Debug, Default)]
pub struct Verdict {
    /// The transcript.
    pub lines: Vec<String>,
    /// What a client must tell about each request.
    pub outcomes: Vec<Outcome>,
    /// For each request, whether it came over a new connection.
    pub fresh: Vec<bool>,
}

/// Plays a case, the server's bytes cut as `cut` says.
///
/// # Panics
/// If the case is malformed.
pub fn client(case: &Case, cut: Cut) -> Verdict {
    let mut verdict = Verdict::default();
    let mut client: Option<Client> = None;
    let mut asked = false;
    let tell = |client: &Client, asked: bool, verdict: &mut Verdict| {
        if asked {
            verdict.lines.push(client.line());
            let mut outcome = client.outcome.clone();
            if let Some(e) = client.error.filter(|_| !client.complete) {
                outcome.error = Some(e.to_string());
            }
            verdict.outcomes.push(outcome);
        }
    };
    for step in &case.steps {
        match step {
            Step::Request(args) => {
                if let Some(before) = &client {
                    tell(before, asked, &mut verdict);
                }
                let item = Item::parse(args.clone()).expect("a request line").remove(0);
                let kept = client.take().filter(|c| c.http.can_send() && c.error.is_none());
                verdict.fresh.push(kept.is_none());
                if kept.is_none() && asked {
                    verdict.lines.push("another connection".into());
                }
                let mut c = kept.unwrap_or_else(|| Client::new(case.client_config()));
                c.outcome.reused = false;
                c.request(&item, &item.url)
                    .unwrap_or_else(|e| panic!("{}: {e}", case.name));
                c.outcome.reused = !verdict.fresh.last().expect("pushed above");
                (client, asked) = (Some(c), true);
            }
            Step::Bytes(bytes) => client.as_mut().expect("a request comes first").feed(bytes, cut),
            Step::Eof | Step::Reset => {
                let c = client.as_mut().expect("a request comes first");
                match step {
                    Step::Eof => c.http.received_eof(c.link.now),
                    _ => c.http.read_failed(c.link.now),
                }
                c.settle();
            }
        }
    }
    let last = client.expect("a request");
    tell(&last, asked, &mut verdict);
    if let Some(e) = last.error {
        verdict.lines.push(format!("! {:?} at {}", e.kind(), e.offset()));
    }
    verdict
        .lines
        .extend(last.remarks.iter().map(|r| format!("* {r}")));
    verdict.lines.push(match last.link.ended {
        Some(antiphon_core::h1::Finish::Detach) => {
            format!("switched {}", shown(&last.http.into_parts().unread))
        }
        Some(_) => "closed".into(),
        None => "open".into(),
    });
    verdict
}

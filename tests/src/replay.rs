//! Plays the server's cases against the core, without a socket: the subject's application on a [`ServerConn`] on
//! an in-memory link. What comes out is a transcript to compare, and what must be seen on a wire.

use crate::case::{Case, Cut, Step, shown};
use crate::echo::Seen;
use crate::machine::Link;
use crate::subject::Echo;
use crate::wire::{self, Response};
use antiphon_core::Instant;
use antiphon_core::h1::{Finish, PeerError, Reuse, ServerConfig, ServerConn, ServerEvent};
use std::sync::Arc;

/// A server's connection with its application, its link and what has happened on it.
#[derive(Debug)]
pub struct Server {
    /// The machine.
    pub http: ServerConn,
    /// The application.
    pub app: Echo,
    /// The network.
    pub link: Link,
    exchanges: Vec<Exchange>,
    remarks: Vec<String>,
    error: Option<PeerError>,
    late: Vec<u8>,
}

#[derive(Debug, Default)]
struct Exchange {
    seen: Seen,
    answered: bool,
    end: Option<Reuse>,
}

impl Server {
    /// A connection that has just been accepted.
    pub fn new(config: ServerConfig) -> Server {
        Server {
            http: ServerConn::new(Arc::new(config), Instant::ZERO),
            app: Echo::default(),
            link: Link::default(),
            exchanges: vec![],
            remarks: vec![],
            error: None,
            late: vec![],
        }
    }

    /// The peer sends `bytes` in pieces. What the machine does not take, because it closes, is lost.
    pub fn feed(&mut self, bytes: &[u8], cut: Cut) {
        for piece in cut.of(bytes) {
            let mut rest = piece;
            if self.link.ended == Some(Finish::Detach) {
                // The loop has given the socket away by now.
                self.late.extend_from_slice(rest);
                continue;
            }
            while !rest.is_empty() && self.http.wants().read {
                let n = self.http.received_copy(rest, self.link.now);
                assert!(n > 0, "reading is wanted, but no byte is taken");
                rest = &rest[n..];
                self.settle();
            }
        }
    }

    /// The peer closes its sending side.
    pub fn eof(&mut self) {
        if self.http.wants().read {
            self.http.received_eof(self.link.now);
            self.settle();
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
            let now = self.link.now;
            self.resume();
            while self.error.is_none() {
                match self.http.next_event() {
                    Ok(Some(event)) => {
                        self.note(event);
                        self.app.event(&mut self.http, event, now);
                        self.resume();
                    }
                    Ok(None) => break,
                    Err(error) => self.error = Some(error),
                }
            }
            if let Some(error) = self.error {
                assert_eq!(self.http.next_event(), Err(error), "errors are sticky");
            }
            if !self.link.step(&mut self.http) {
                // Every driver asks for the deadline before it waits, and the machine arms it then.
                let _ = self.http.deadline(self.link.now);
                return;
            }
        }
    }

    fn resume(&mut self) {
        self.app.resume(&mut self.http, self.link.now);
        self.remember();
    }

    fn remember(&mut self) {
        if let (Some((seen, answered)), Some(last)) = (self.app.seen(), self.exchanges.last_mut()) {
            last.seen = seen.clone();
            last.answered |= answered;
        }
    }

    fn note(&mut self, event: ServerEvent) {
        match event {
            ServerEvent::Request { .. } => self.exchanges.push(Exchange::default()),
            ServerEvent::ExchangeEnd { reuse, .. } => {
                // The application forgets the request with this event.
                self.remember();
                self.exchanges.last_mut().expect("a request came before").end = Some(reuse);
            }
            ServerEvent::Body { .. } | ServerEvent::BodyEnd { .. } => {}
            other => self.remarks.push(format!("{other:?}")),
        }
    }

    /// What has come of it, line by line, and what a peer has seen.
    pub fn verdict(self) -> Verdict {
        let unread = match self.link.ended {
            Some(Finish::Detach) => [&self.http.into_parts().unread[..], &self.late].concat(),
            _ => Vec::new(),
        };
        let closed = self.link.shut || self.link.ended.is_some_and(Finish::closes);
        let methods: Vec<&str> = self.exchanges.iter().map(|e| e.seen.method.as_str()).collect();
        let (responses, raw) = responses(&self.link.wire, &methods, closed);
        let mut rest = responses.iter();
        let mut lines = Vec::new();
        for e in &self.exchanges {
            let mut line = format!("{} {}", e.seen.method, e.seen.target.escape_ascii());
            line += if e.seen.http10 { " 1.0" } else { " 1.1" };
            // Of the fields, those that the cases made up are shown: X and Y.
            for (name, value) in e
                .seen
                .headers
                .iter()
                .filter(|(n, _)| matches!(n[0] | 0x20, b'x' | b'y'))
            {
                line += &format!(" {}:{}", name.escape_ascii(), shown(value));
            }
            if !e.seen.body.is_empty() {
                line += &format!(" body={}", shown(&e.seen.body));
            }
            for (name, value) in &e.seen.trailers {
                line += &format!(" trailer={}:{}", name.escape_ascii(), shown(value));
            }
            let answer = if e.answered { rest.next() } else { None };
            let end = e.end.map_or_else(|| "unfinished".into(), ending);
            lines.push(match answer {
                Some(r) => format!("= {line} -> {} {end}", answered(r)),
                None => format!("~ {line} {end}"),
            });
        }
        if let Some(e) = self.error {
            let status = rest.next().map_or_else(|| "no reply".into(), answered);
            lines.push(format!("! {:?} at {} -> {status}", e.kind(), e.offset()));
        }
        lines.extend(rest.map(|r| format!("? {}", answered(r))));
        lines.extend(self.remarks.iter().map(|r| format!("* {r}")));
        lines.push(match self.link.ended {
            Some(Finish::Detach) => format!("switched {}", shown(&unread)),
            _ if closed => "closed".into(),
            _ => "open".into(),
        });
        let switched = self.link.ended == Some(Finish::Detach);
        let raw = if switched { [raw, unread].concat() } else { raw };
        let mut methods: Vec<String> = methods.into_iter().map(String::from).collect();
        methods.resize(responses.len().max(methods.len()), "GET".into());
        Verdict {
            lines,
            responses,
            methods,
            raw,
            closed,
            switched,
        }
    }
}

/// What came of a case.
#[derive(Debug)]
pub struct Verdict {
    /// The transcript.
    pub lines: Vec<String>,
    /// The responses on the wire.
    pub responses: Vec<Response>,
    /// The methods that they answer.
    pub methods: Vec<String>,
    /// Bytes after the last response: of another protocol.
    pub raw: Vec<u8>,
    /// The server closed its sending side.
    pub closed: bool,
    /// The connection speaks another protocol.
    pub switched: bool,
}

/// All responses on a wire, and what follows the last one. `methods` are those of the requests.
///
/// # Panics
/// If the wire holds something malformed.
pub fn responses(wire: &[u8], methods: &[&str], closed: bool) -> (Vec<Response>, Vec<u8>) {
    let (mut out, mut rest) = (Vec::new(), wire);
    while !rest.is_empty() {
        let method = methods.get(out.len()).copied().unwrap_or("GET");
        match wire::response(rest, method, closed) {
            Ok(Some((r, used))) => {
                rest = &rest[used..];
                let switched = r.status == 101;
                out.push(r);
                if switched {
                    break;
                }
            }
            Ok(None) => panic!("an incomplete response: {}", rest.escape_ascii()),
            Err(e) => panic!("not a response: {e} in {}", rest.escape_ascii()),
        }
    }
    (out, rest.to_vec())
}

fn answered(r: &Response) -> String {
    let interim: String = r.interim.iter().map(|s| format!("{s} ")).collect();
    let version = if r.http10 { "1.0 " } else { "" };
    format!("{version}{interim}{} {}", r.status, r.framing.name())
}

fn ending(end: Reuse) -> String {
    match end {
        Reuse::KeepAlive => "keep".into(),
        Reuse::Close(antiphon_core::h1::CloseReason::PeerError(_)) => "close PeerError".into(),
        Reuse::Close(reason) => format!("close {reason:?}"),
        Reuse::Switched => "switched".into(),
    }
}

/// Plays a case, its bytes cut as `cut` says.
pub fn server(case: &Case, cut: Cut) -> Verdict {
    let mut server = Server::new(case.server_config());
    server.settle();
    for step in &case.steps {
        match step {
            Step::Bytes(bytes) => server.feed(bytes, cut),
            Step::Eof => server.eof(),
            Step::Reset => {
                server.http.read_failed(server.link.now);
                server.settle();
            }
            Step::Request(_) => panic!("{}: a request in a server case", case.name),
        }
    }
    server.verdict()
}

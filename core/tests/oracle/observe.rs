//! What the machines make of some bytes, in the reference's words, and the comparison of both.
//!
//! Here the application is as simple as can be: it reads every body, then answers without one. Used by the oracle tests and
//! by the fuzz targets. Not in here: where bytes and cuts come from.

#![allow(dead_code)] // Each user takes its part.

use crate::reference::{self, Asked, Framing, Line, Outcome, Proposal};
use antiphon_core::h1::{
    BodyLen, ClientConfig, ClientConn, ClientEvent, CloseReason, ExchangeId, Finish, PeerError, Reuse,
    ServerConfig, ServerConn, ServerEvent, Switch,
};
use antiphon_core::{Field, Fields, Instant, Status, Version};
use std::fmt::{Debug, Write};
use std::sync::Arc;

const NOW: Instant = Instant::ZERO;

/// What became of the bytes behind the messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    Complete,
    More,
    /// Kind, offset, status.
    Wrong(String, u64, Option<u16>),
    Closes,
    Switches,
    NoAnswer,
}

impl Ended {
    fn of(outcome: Outcome) -> Ended {
        match outcome {
            Outcome::Complete(_) => Ended::Complete,
            Outcome::More => Ended::More,
            Outcome::Wrong(wrong, at) => Ended::Wrong(format!("{wrong:?}"), at as u64, wrong.status()),
            Outcome::Closes(_) => Ended::Closes,
            Outcome::Switches(_) => Ended::Switches,
            Outcome::NoAnswer => Ended::NoAnswer,
        }
    }

    fn error(e: PeerError) -> Ended {
        let status = e.status_hint().map(Status::code);
        Ended::Wrong(format!("{:?}", e.kind()), e.offset(), status)
    }
}

/// The reference's limits that a machine with these works by.
pub(crate) fn limits(of: &antiphon_core::h1::Limits) -> reference::Limits {
    reference::Limits {
        head: of.head,
        fields: of.fields,
        target: of.target,
        trailers: of.trailers,
        trailer_fields: of.trailer_fields,
        chunk_line: of.chunk_line,
        chunk_overhead: of.chunk_overhead as u64,
        interim: of.interim,
        empty_lines: of.empty_lines,
    }
}

fn lines(fields: Fields<'_>) -> Vec<Line> {
    fields
        .iter()
        .map(|f| (f.name.as_bytes().to_vec(), f.value.as_bytes().to_vec()))
        .collect()
}

fn minor(version: Version) -> u8 {
    u8::from(version == Version::Http11)
}

/// `bytes` in pieces of these sizes, used round and round; whole if there are none.
fn pieces<'a>(mut bytes: &'a [u8], cuts: &'a [u16]) -> impl Iterator<Item = &'a [u8]> {
    let mut sizes = cuts.iter().cycle();
    std::iter::from_fn(move || {
        if bytes.is_empty() {
            return None;
        }
        let size = sizes.next().map_or(bytes.len(), |&n| usize::from(n).max(1));
        let (piece, rest) = bytes.split_at(size.min(bytes.len()));
        bytes = rest;
        Some(piece)
    })
}

/// All body bytes that are there, by one way or the other.
macro_rules! body {
    ($conn:expr) => {{
        let shown = $conn.body().to_vec();
        if shown.len() % 2 == 0 {
            assert_eq!(shown, $conn.take_body(), "take_body hands out what body showed");
        } else {
            $conn.consume(shown.len()).expect("no more than was shown");
        }
        shown
    }};
}

/// What a server understands of some bytes.
pub(crate) struct ServerView {
    conn: ServerConn,
    requests: Vec<reference::Request>,
    open: Option<ExchangeId>,
    ended: Option<Ended>,
    wire: Vec<u8>,
    /// Whether a tunnel is accepted.
    accepts: bool,
    /// How many bytes it has read.
    fed: usize,
}

impl ServerView {
    fn of(config: &Arc<ServerConfig>, bytes: &[u8], eof: bool, cuts: &[u16], accepts: bool) -> ServerView {
        let mut view = ServerView {
            conn: ServerConn::new(Arc::clone(config), NOW),
            requests: Vec::new(),
            open: None,
            ended: None,
            wire: Vec::new(),
            accepts,
            fed: 0,
        };
        for mut piece in pieces(bytes, cuts) {
            while !piece.is_empty() && view.ended.is_none() {
                let n = view.conn.received_copy(piece, NOW);
                piece = &piece[n..];
                view.fed += n;
                assert!(view.events() || n > 0, "{} bytes are not read", piece.len());
            }
        }
        if eof && view.ended.is_none() {
            view.conn.received_eof(NOW);
            view.events();
        }
        view
    }

    fn events(&mut self) -> bool {
        let mut moved = false;
        while self.ended.is_none() {
            match self.conn.next_event() {
                Ok(Some(event)) => self.on_event(event),
                Ok(None) => break,
                Err(e) => self.ended = Some(Ended::error(e)),
            }
            moved = true;
        }
        while self.conn.wants().write {
            let out = self.conn.outgoing().first().to_vec();
            self.conn
                .sent(out.len() as u64, NOW)
                .expect("no more than was offered");
            self.wire.extend(out);
        }
        moved
    }

    fn on_event(&mut self, event: ServerEvent) {
        match event {
            ServerEvent::Request {
                id,
                body,
                expects_continue,
                proposes,
            } => {
                let head = self.conn.head(id).expect("a head comes with the event");
                let seen = reference::Request {
                    method: head.method().to_string().into_bytes(),
                    target: head.target_bytes().to_vec(),
                    minor: minor(head.version()),
                    fields: lines(head.fields()),
                    framing: match body {
                        BodyLen::None => Framing::Nothing,
                        BodyLen::Known(n) => Framing::Length(n),
                        BodyLen::Unknown => Framing::Chunked,
                    },
                    expects_continue,
                    proposes: match proposes {
                        Switch::None => Proposal::Nothing,
                        Switch::Connect => Proposal::Connect,
                        Switch::Upgrade => Proposal::Upgrade,
                    },
                    // Shown by how the exchange ends, if it does.
                    persists: true,
                    body: Vec::new(),
                    trailers: Vec::new(),
                    complete: body == BodyLen::None,
                    head_at: 0,
                    body_at: 0,
                };
                self.requests.push(seen);
                self.open = Some(id);
                if body == BodyLen::None {
                    self.answer(id, proposes == Switch::Connect && !self.accepts);
                } else {
                    self.conn.want_body(id);
                }
            }
            ServerEvent::Body { .. } => {
                let body = body!(self.conn);
                self.last().body.extend_from_slice(&body);
            }
            ServerEvent::BodyEnd { id } => {
                let trailers = self.conn.trailers(id).map(lines).unwrap_or_default();
                self.last().trailers = trailers;
                self.last().complete = true;
                self.answer(id, false);
            }
            ServerEvent::ExchangeEnd { reuse, .. } => {
                self.open = None;
                if reuse != Reuse::KeepAlive {
                    self.last().persists = false;
                    self.ended = Some(match reuse {
                        Reuse::Switched | Reuse::Close(CloseReason::ConnectRefused) => Ended::Switches,
                        _ if self.last().proposes == Proposal::Connect => Ended::Switches,
                        _ => Ended::Closes,
                    });
                }
            }
            ServerEvent::PeerHalfClosed => {}
            other => panic!("nothing here leads to {other:?}"),
        }
    }

    fn last(&mut self) -> &mut reference::Request {
        self.requests.last_mut().expect("there is a request")
    }

    fn answer(&mut self, id: ExchangeId, refuse: bool) {
        let status = if refuse { Status::FORBIDDEN } else { Status::OK };
        self.conn
            .send_head(id, status, &Fields::EMPTY, BodyLen::None)
            .expect("an answer may be sent");
    }

    fn outcome(&self) -> Ended {
        match &self.ended {
            Some(ended) => ended.clone(),
            // After an orderly end nothing is idle any more, and nothing was wrong.
            None if self.conn.is_idle() || self.conn.wants().finish != Finish::No => Ended::Complete,
            None => Ended::More,
        }
    }

    /// After a switch: all that belongs to the next protocol.
    fn left_over(self, bytes: &[u8]) -> Vec<u8> {
        assert_eq!(self.conn.wants().finish, Finish::Detach, "it has switched");
        [&self.conn.into_parts().unread, &bytes[self.fed..]].concat()
    }

    /// The status of the last response on the wire.
    fn last_status(&self) -> Option<u16> {
        // The text of an error reply may name the version, but no status behind it.
        let status = |w: &[u8]| {
            std::str::from_utf8(w.strip_prefix(b"HTTP/1.1 ")?)
                .ok()?
                .parse()
                .ok()
        };
        self.wire.windows(12).rev().find_map(status)
    }
}

/// Does a server understand these bytes as the reference does?
///
/// # Errors
/// Both views.
pub(crate) fn server_agrees(
    config: &Arc<ServerConfig>,
    bytes: &[u8],
    eof: bool,
    cuts: &[u16],
) -> Result<(), String> {
    let (mut requests, outcome) = reference::requests(bytes, eof, &limits(&config.limits));
    let last = requests.len().wrapping_sub(1);
    for (i, r) in requests.iter_mut().enumerate() {
        (r.head_at, r.body_at) = (0, 0);
        // Only an exchange that ends shows whether another may follow; a tunnel is refused here.
        let ended = matches!(outcome, Outcome::Closes(_) | Outcome::Switches(_));
        r.persists = !(i == last && ended);
    }
    let view = ServerView::of(config, bytes, eof, cuts, false);
    agree("requests", &requests, &view.requests)?;
    agree("outcome", &Ended::of(outcome), &view.outcome())?;
    if let Outcome::Wrong(wrong, _) = outcome
        && let Some(status) = wrong.status()
    {
        agree("status of the reply", &Some(status), &view.last_status())?;
    }
    if let Outcome::Switches(end) = outcome {
        let view = ServerView::of(config, bytes, eof, cuts, true);
        agree("requests before a switch", &requests, &view.requests)?;
        agree(
            "what is left over",
            &bytes[end..].to_vec(),
            &view.left_over(bytes),
        )?;
    }
    Ok(())
}

fn agree<T: Debug + PartialEq>(what: &str, reference: &T, core: &T) -> Result<(), String> {
    if reference == core {
        return Ok(());
    }
    let mut report = String::new();
    let _ = write!(
        report,
        "{what} differ; the reference:\n{reference:#?}\nthe machine:\n{core:#?}"
    );
    Err(report)
}

/// A request to be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Query {
    pub(crate) method: &'static str,
    pub(crate) upgrade: bool,
}

impl Query {
    pub(crate) fn asked(self) -> Asked {
        Asked {
            head: self.method == "HEAD",
            connect: self.method == "CONNECT",
            upgrade: self.upgrade,
        }
    }
}

/// What a client understands of the answers to its requests.
pub(crate) struct ClientView {
    conn: ClientConn,
    responses: Vec<reference::Response>,
    ended: Option<Ended>,
    /// The machine's counter for offsets at which the current answer began.
    fed: usize,
}

impl ClientView {
    pub(crate) fn new(config: &Arc<ClientConfig>) -> ClientView {
        ClientView {
            conn: ClientConn::new(Arc::clone(config), NOW),
            responses: Vec::new(),
            ended: None,
            fed: 0,
        }
    }

    fn ask(&mut self, query: Query) {
        const HOST: Field<'static> = Field::from_static("host", "example.com");
        const UPGRADE: Field<'static> = Field::from_static("upgrade", "echo");
        const OPTION: Field<'static> = Field::from_static("connection", "upgrade");
        let target = if query.method == "CONNECT" {
            "example.com:443"
        } else {
            "/"
        };
        let fields = if query.upgrade {
            &[HOST, UPGRADE, OPTION][..]
        } else {
            &[HOST][..]
        };
        self.conn
            .send_request(query.method, target, fields, BodyLen::None)
            .expect("a request may be sent");
        while self.conn.wants().write {
            let n = self.conn.outgoing().first().len();
            self.conn.sent(n as u64, NOW).expect("no more than was offered");
        }
        self.responses.clear();
        self.ended = None;
    }

    fn feed(&mut self, bytes: &[u8], eof: bool, cuts: &[u16]) {
        for mut piece in pieces(bytes, cuts) {
            while !piece.is_empty() && self.ended.is_none() {
                let n = self.conn.received_copy(piece, NOW);
                piece = &piece[n..];
                self.fed += n;
                assert!(self.events() || n > 0, "{} bytes are not read", piece.len());
            }
        }
        if eof && self.ended.is_none() {
            self.conn.received_eof(NOW);
            self.events();
        }
    }

    fn events(&mut self) -> bool {
        let mut moved = false;
        while self.ended.is_none() {
            match self.conn.next_event() {
                Ok(Some(event)) => self.on_event(event),
                Ok(None) => break,
                Err(e) => self.ended = Some(Ended::error(e)),
            }
            moved = true;
        }
        moved
    }

    fn on_event(&mut self, event: ClientEvent) {
        match event {
            ClientEvent::Interim { id, .. } => self.head(id, Framing::Nothing, true),
            ClientEvent::Response { id, body } => {
                let framing = match body {
                    BodyLen::None => Framing::Nothing,
                    BodyLen::Known(n) => Framing::Length(n),
                    // Chunked or until close: not told apart by the machine.
                    BodyLen::Unknown => Framing::Chunked,
                };
                self.head(id, framing, false);
            }
            ClientEvent::Body { .. } => {
                let body = body!(self.conn);
                self.last().body.extend_from_slice(&body);
            }
            ClientEvent::BodyEnd { id } => {
                let trailers = self.conn.trailers(id).map(lines).unwrap_or_default();
                self.last().trailers = trailers;
                self.last().complete = true;
            }
            ClientEvent::ExchangeEnd { reuse, .. } => {
                let answered = self
                    .responses
                    .last()
                    .is_some_and(|r| r.complete && r.status >= 200);
                self.ended = Some(match reuse {
                    Reuse::KeepAlive | Reuse::Close(CloseReason::UnsolicitedBytes) => Ended::Complete,
                    Reuse::Switched => Ended::Switches,
                    Reuse::Close(_) if answered => Ended::Closes,
                    Reuse::Close(_) => Ended::NoAnswer,
                });
            }
            other => panic!("nothing here leads to {other:?}"),
        }
    }

    fn head(&mut self, id: ExchangeId, framing: Framing, complete: bool) {
        let head = self.conn.head(id).expect("a head comes with the event");
        let seen = reference::Response {
            status: head.status().code(),
            reason: head.reason().to_vec(),
            minor: minor(head.version()),
            fields: lines(head.fields()),
            framing,
            body: Vec::new(),
            trailers: Vec::new(),
            complete,
        };
        self.responses.push(seen);
    }

    fn last(&mut self) -> &mut reference::Response {
        self.responses.last_mut().expect("there is a response")
    }
}

/// Does a client understand the answers to its requests as the reference does? Stops at the first exchange after which
/// the connection cannot be used, or at bytes that are left over.
///
/// # Errors
/// Both views.
pub(crate) fn client_agrees(
    config: &Arc<ClientConfig>,
    exchanges: &[(Query, &[u8])],
    eof: bool,
    cuts: &[u16],
) -> Result<(), String> {
    let mut view = ClientView::new(config);
    for (i, &(query, bytes)) in exchanges.iter().enumerate() {
        let eof = eof && i + 1 == exchanges.len();
        let (mut responses, outcome) =
            reference::response(bytes, eof, query.asked(), &limits(&config.limits));
        for r in &mut responses {
            if r.framing == Framing::UntilClose {
                r.framing = Framing::Chunked;
            }
        }
        let before = view.fed as u64;
        view.ask(query);
        view.feed(bytes, eof, cuts);
        agree("responses", &responses, &view.responses)?;
        let mut ended = Ended::of(outcome);
        if let Ended::Wrong(_, at, _) = &mut ended {
            *at += before;
        }
        agree("outcome", &ended, &view.ended.clone().unwrap_or(Ended::More))?;
        if let Outcome::Switches(end) = outcome {
            assert_eq!(view.conn.wants().finish, Finish::Detach, "it has switched");
            let read = view.fed - before as usize;
            let left = [&view.conn.into_parts().unread, &bytes[read..]].concat();
            return agree("what is left over", &bytes[end..].to_vec(), &left);
        }
        if outcome != Outcome::Complete(bytes.len()) || !view.conn.can_send() {
            break;
        }
    }
    Ok(())
}

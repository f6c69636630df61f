//! A client and a server, connected: what both applications do, and what each must see of the other.

use super::pipe::{In, Out, Pipe, eat, read_in, send, write_out};
use super::script::{Exchange, Line, Piece, Step, fields, lines};
use antiphon_core::h1::{
    BodyLen, ClientConfig, ClientConn, ClientEvent, DeadlineKind, ExchangeId, Finish, Misuse, PeerErrorKind,
    Reuse, ServerConfig, ServerConn, ServerEvent, Switch,
};
use antiphon_core::{Field, Fields, Instant, Status};
use std::sync::Arc;

const NOW: Instant = Instant::ZERO;

/// Both machines with their applications and drivers.
pub(crate) struct World<'a> {
    exchanges: &'a [Exchange<'a>],
    client: ClientConn,
    server: ServerConn,
    to_server: Pipe,
    to_client: Pipe,
    /// How many were begun, and how many ended, on either side.
    asked: usize,
    answered: usize,
    client_id: Option<ExchangeId>,
    server_id: Option<ExchangeId>,
    /// Bodies of the exchange that is open on either side.
    request_out: Out,
    request_in: In,
    response_out: Out,
    response_in: In,
    /// The trailers of each request, once it was finished.
    request_trailers: Vec<Vec<Line>>,
    interims: (u8, u8),
    head_sent: bool,
    proposes: Switch,
    status_read: u16,
    /// Responses read to their end.
    complete: usize,
    detached: (bool, bool),
}

const METHODS: [&str; 6] = ["GET", "POST", "PUT", "HEAD", "CONNECT", "M-SEARCH"];

impl<'a> World<'a> {
    pub(crate) fn new(
        exchanges: &'a [Exchange<'a>],
        client: ClientConfig,
        server: ServerConfig,
    ) -> World<'a> {
        World {
            exchanges,
            client: ClientConn::new(Arc::new(client), NOW),
            server: ServerConn::new(Arc::new(server), NOW),
            to_server: Pipe::default(),
            to_client: Pipe::default(),
            asked: 0,
            answered: 0,
            client_id: None,
            server_id: None,
            request_out: Out::default(),
            request_in: In::default(),
            response_out: Out::default(),
            response_in: In::default(),
            request_trailers: Vec::new(),
            interims: (0, 0),
            head_sent: false,
            proposes: Switch::None,
            status_read: 0,
            complete: 0,
            detached: (false, false),
        }
    }

    fn method(&self, exchange: usize) -> &'static str {
        METHODS[usize::from(self.exchanges[exchange].ask.method) % METHODS.len()]
    }

    fn request_fields(&self, exchange: usize) -> Vec<Field<'a>> {
        let ask = &self.exchanges[exchange].ask;
        let mut all = fields(&ask.message.fields);
        all.push(Field::from_static("host", "a"));
        if ask.expect && ask.message.len() != BodyLen::None && self.method(exchange) != "CONNECT" {
            all.push(Field::from_static("expect", "100-continue"));
        }
        if ask.upgrade {
            all.push(Field::from_static("upgrade", "echo"));
            all.push(Field::from_static("connection", "upgrade"));
        }
        if ask.close {
            all.push(Field::from_static("connection", "close"));
        }
        all
    }

    fn request_len(&self, exchange: usize) -> BodyLen {
        if self.method(exchange) == "CONNECT" {
            return BodyLen::None;
        }
        self.exchanges[exchange].ask.message.len()
    }

    /// The response to be sent: its status and whether it accepts the switch that was proposed.
    fn status(&self, exchange: usize, proposes: Switch) -> (u16, bool) {
        let reply = &self.exchanges[exchange].reply;
        match proposes {
            Switch::Upgrade if reply.accept => (101, true),
            Switch::Connect if reply.accept => (200, true),
            Switch::Connect => (403, false),
            _ => {
                let all = [200, 200, 201, 204, 205, 304, 404, 500, 999];
                (all[usize::from(reply.status) % all.len()], false)
            }
        }
    }

    fn response_fields(&self, exchange: usize, switches: bool) -> Vec<Field<'a>> {
        let reply = &self.exchanges[exchange].reply;
        let mut all = fields(&reply.message.fields);
        if switches {
            all.push(Field::from_static("upgrade", "echo"));
        } else if reply.close {
            all.push(Field::from_static("connection", "close"));
        }
        all
    }

    pub(crate) fn step(&mut self, step: Step) -> bool {
        let most = |n: u8| {
            if n > 200 {
                usize::MAX
            } else {
                usize::from(n).max(1)
            }
        };
        match step {
            Step::ClientSends => self.client_sends(),
            Step::ClientWrites(n) => write_out!(self.client, self.to_server, most(n)) | self.client_ends(),
            Step::ServerReads(n) => read_in!(self.server, self.to_server, most(n)),
            Step::ServerEvents => self.server_events(),
            Step::ServerEats(n) => self.server_id.is_some() && eat!(self.server, self.request_in, most(n)),
            Step::ServerSends => self.server_sends(),
            Step::ServerWrites(n) => write_out!(self.server, self.to_client, most(n)) | self.server_ends(),
            Step::ClientReads(n) => read_in!(self.client, self.to_client, most(n)),
            Step::ClientEvents => self.client_events(),
            Step::ClientEats(n) => self.client_id.is_some() && eat!(self.client, self.response_in, most(n)),
        }
    }

    fn client_sends(&mut self) -> bool {
        let Some(id) = self.client_id else {
            if !self.client.can_send() || self.asked == self.exchanges.len() {
                return false;
            }
            let method = self.method(self.asked);
            let target = if method == "CONNECT" { "a:80" } else { "/a?b" };
            let fields = self.request_fields(self.asked);
            let len = self.request_len(self.asked);
            let sent = self.client.send_request(method, target, &fields[..], len);
            self.client_id = Some(sent.expect("can_send said yes"));
            self.request_out = Out {
                finished: len == BodyLen::None,
                ..Out::default()
            };
            self.response_in = In::default();
            self.interims.1 = 0;
            self.asked += 1;
            self.request_trailers.push(Vec::new());
            return true;
        };
        if self.request_out.finished {
            return false;
        }
        let exchange = self.asked - 1;
        let moved = send!(
            self.client,
            id,
            self.request_out,
            &self.exchanges[exchange].ask.message,
            exchange
        );
        self.request_trailers[exchange] = self.request_out.trailers.clone();
        moved
    }

    fn server_sends(&mut self) -> bool {
        let Some(id) = self.server_id else { return false };
        let exchange = self.answered;
        let reply = &self.exchanges[exchange].reply;
        if self.response_out.finished || !(self.request_in.ended || reply.early) {
            return false;
        }
        if self.interims.0 > 0 && !self.head_sent {
            let fields = fields(&reply.message.fields);
            match self.server.send_interim(id, Status::EARLY_HINTS, &fields[..]) {
                Ok(()) => self.interims.0 -= 1,
                Err(Misuse::Full) => return false,
                Err(Misuse::Closed | Misuse::UnknownExchange) => self.response_out.finished = true,
                Err(e) => panic!("{e:?}"),
            }
            return true;
        }
        if self.head_sent {
            return send!(self.server, id, self.response_out, &reply.message, exchange);
        }
        let (status, switches) = self.status(exchange, self.proposes);
        let status = Status::new(status).expect("a status");
        let len = if switches {
            BodyLen::None
        } else {
            reply.message.len()
        };
        let fields = self.response_fields(exchange, switches);
        match self.server.send_head(id, status, &fields[..], len) {
            Ok(()) => {
                self.head_sent = true;
                self.response_out.finished = len == BodyLen::None;
            }
            Err(Misuse::Closed | Misuse::UnknownExchange) => self.response_out.finished = true,
            Err(e) => panic!("{e:?}"),
        }
        true
    }

    fn server_events(&mut self) -> bool {
        let event = match self.server.next_event() {
            Ok(event) => event,
            Err(e) => {
                // An early answer was read whole before its sender said that it is, and it closes the connection: the
                // client is right to give the rest of its request up.
                let early = self.exchanges[self.answered].reply.early && self.to_server.shut;
                let gave_up =
                    early && e.kind() == PeerErrorKind::UnexpectedEof && self.complete == self.asked;
                assert!(gave_up, "the server finds fault with the client: {e:?}");
                self.server_id = None;
                return false;
            }
        };
        match event {
            None => return false,
            Some(ServerEvent::Request {
                id, body, proposes, ..
            }) => {
                let exchange = self.answered;
                assert!(
                    self.server_id.is_none() && exchange < self.asked,
                    "a request that nobody sent"
                );
                let head = self.server.head(id).expect("a head comes with the event");
                let sent = lines(self.request_fields(exchange));
                let read = lines(head.fields().iter());
                assert_eq!(
                    (head.method(), &read[..sent.len()]),
                    (self.method(exchange), &sent[..])
                );
                let len = self.request_len(exchange);
                assert!(
                    body == len || (body.is_empty() && len.is_empty()),
                    "{body:?} of {len:?}"
                );
                self.server_id = Some(id);
                self.proposes = proposes;
                self.request_in = In {
                    ended: body == BodyLen::None,
                    ..In::default()
                };
                self.response_out = Out::default();
                self.head_sent = false;
                self.interims.0 = self.exchanges[exchange].reply.interims % 4;
                if !self.exchanges[exchange].reply.early {
                    self.server.want_body(id);
                }
            }
            Some(ServerEvent::Body { .. }) => {}
            Some(ServerEvent::BodyEnd { id }) => {
                let exchange = self.answered;
                self.request_in.ended = true;
                let sent = self.exchanges[exchange].ask.message.whole(exchange);
                assert_eq!(self.request_in.body, sent, "the request's body");
                let read = self
                    .server
                    .trailers(id)
                    .map(|f| lines(f.iter()))
                    .unwrap_or_default();
                assert_eq!(read, self.request_trailers[exchange], "the request's trailers");
            }
            Some(ServerEvent::ExchangeEnd { reuse, .. }) => {
                self.check_reuse(self.answered, reuse);
                self.answered += 1;
                self.server_id = None;
                assert!(reuse == Reuse::Switched || self.server.wants().finish != Finish::Detach);
            }
            Some(ServerEvent::PeerHalfClosed | ServerEvent::PeerGone) => {}
            Some(other) => panic!("nothing here leads to {other:?}"),
        }
        true
    }

    fn client_events(&mut self) -> bool {
        let event = match self.client.next_event() {
            Ok(event) => event,
            Err(e) => panic!("the client finds fault with the server: {e:?}"),
        };
        let exchange = self.asked.wrapping_sub(1);
        match event {
            None => return false,
            Some(ClientEvent::Interim { id, status }) => {
                let head = self.client.head(id).expect("a head comes with the event");
                if status == Status::EARLY_HINTS {
                    let sent = lines(fields(&self.exchanges[exchange].reply.message.fields));
                    assert_eq!(lines(head.fields().iter()), sent, "an interim response");
                    self.interims.1 += 1;
                    assert!(self.interims.1 <= self.exchanges[exchange].reply.interims % 4);
                }
            }
            Some(ClientEvent::Response { id, .. }) => {
                let head = self.client.head(id).expect("a head comes with the event");
                let ask = &self.exchanges[exchange].ask;
                let proposes = match self.method(exchange) {
                    "CONNECT" => Switch::Connect,
                    _ if ask.upgrade && self.request_len(exchange) == BodyLen::None => Switch::Upgrade,
                    _ => Switch::None,
                };
                let (status, switches) = self.status(exchange, proposes);
                self.status_read = head.status().code();
                assert_eq!(self.status_read, status);
                let sent = lines(self.response_fields(exchange, switches));
                assert_eq!(
                    lines(head.fields().iter())[..sent.len()],
                    sent,
                    "the response's fields"
                );
                assert_eq!(self.interims.1, self.exchanges[exchange].reply.interims % 4);
                self.client.want_body(id);
            }
            Some(ClientEvent::Body { .. }) => {}
            Some(ClientEvent::BodyEnd { id }) => {
                self.response_in.ended = true;
                let none =
                    self.method(exchange) == "HEAD" || [101, 204, 205, 304].contains(&self.status_read);
                let tunnel = self.method(exchange) == "CONNECT" && self.status_read == 200;
                let reply = &self.exchanges[exchange].reply.message;
                let sent = if none || tunnel {
                    Vec::new()
                } else {
                    reply.whole(exchange)
                };
                assert_eq!(self.response_in.body, sent, "the response's body");
                let read = self
                    .client
                    .trailers(id)
                    .map(|f| lines(f.iter()))
                    .unwrap_or_default();
                let chunked = reply.chunked && !none && !tunnel;
                let sent = if chunked {
                    lines(fields(&reply.trailers))
                } else {
                    Vec::new()
                };
                assert_eq!(read, sent, "the response's trailers");
                self.complete = self.asked;
            }
            Some(ClientEvent::SendBodyNow { .. } | ClientEvent::PeerClosed { .. }) => {}
            Some(ClientEvent::ExchangeEnd { reuse, .. }) => {
                self.check_reuse(exchange, reuse);
                self.client_id = None;
            }
            Some(other) => panic!("nothing here leads to {other:?}"),
        }
        true
    }

    /// Both must come to the same about the connection, and say so.
    fn check_reuse(&self, exchange: usize, reuse: Reuse) {
        let Exchange { ask, reply } = &self.exchanges[exchange];
        let connect = self.method(exchange) == "CONNECT";
        let upgrades = ask.upgrade && self.request_len(exchange) == BodyLen::None;
        if (connect || upgrades) && reply.accept {
            assert_eq!(reuse, Reuse::Switched);
        } else if connect || ask.close || reply.close {
            assert!(
                matches!(reuse, Reuse::Close(_)),
                "{reuse:?}, and close was asked for"
            );
        } else if !reply.early {
            assert_eq!(reuse, Reuse::KeepAlive, "nobody asked for it");
        }
    }

    fn server_ends(&mut self) -> bool {
        let wants = self.server.wants();
        if wants.write || self.to_client.shut {
            let closes = self.to_client.shut && wants.finish.closes() && !self.to_server.deaf;
            if closes {
                self.to_server.deaf = true;
                self.to_server.bytes.clear();
            }
            return closes;
        }
        match wants.finish {
            Finish::No => return false,
            Finish::ShutdownWrite => self.server.write_shut(NOW),
            Finish::Detach => self.detached.1 = true,
            Finish::Close | Finish::Reset => {
                self.to_server.deaf = true;
                self.to_server.bytes.clear();
            }
        }
        self.to_client.shut = true;
        true
    }

    fn client_ends(&mut self) -> bool {
        let wants = self.client.wants();
        if wants.write || self.to_server.shut {
            return false;
        }
        match wants.finish {
            Finish::No => return false,
            Finish::ShutdownWrite => self.client.write_shut(NOW),
            Finish::Detach => self.detached.0 = true,
            Finish::Close | Finish::Reset => {
                self.to_client.deaf = true;
                self.to_client.bytes.clear();
            }
        }
        self.to_server.shut = true;
        true
    }

    /// Nothing moves any more. Time stands still here, but a client that waits for 100 Continue in vain sends its body at
    /// last; false if that is not what is waited for.
    pub(crate) fn wait(&mut self) -> bool {
        match self.client.deadline(NOW) {
            Some(d) if d.why == DeadlineKind::ContinueWait => {
                self.client.handle_timeout(d.at);
                true
            }
            _ => false,
        }
    }

    /// Nothing moves any more: is that the end?
    pub(crate) fn check_end(&self) {
        let last = self.asked.saturating_sub(1);
        let early = self.exchanges.iter().take(self.asked).any(|e| e.reply.early);
        if self.client_id.is_some() {
            panic!(
                "stuck, {} and {} bytes on their way: {:?} {:?} and {:?} {:?}, answered {} of {}",
                self.to_server.bytes.len(),
                self.to_client.bytes.len(),
                self.client.wants(),
                self.client,
                self.server.wants(),
                self.server,
                self.answered,
                self.asked
            );
        }
        if early {
            return;
        }
        assert_eq!(self.complete, self.asked, "responses");
        assert_eq!(self.answered, self.asked, "requests");
        if self.asked < self.exchanges.len() {
            let ended = &self.exchanges[last];
            let switched = self.detached == (true, true);
            assert!(
                ended.ask.close || ended.reply.close || switched || self.method(last) == "CONNECT",
                "closed without a reason: {:?} and {:?}",
                self.client,
                self.server
            );
        }
    }
}

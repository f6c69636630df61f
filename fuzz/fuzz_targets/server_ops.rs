//! All calls of a server's connection machine in any order with any arguments; see `ops/mod.rs` for what holds at
//! every step. At the end whatever was written must be read back as one response to each request.

#![no_main]

#[path = "../../core/tests/harness/mod.rs"]
mod harness;
mod ops;
mod wire;

use antiphon_core::h1::{
    BodyLen, Buffer, Deadline, ErrorReply, ExchangeId, Finish, Misuse, OwnedHead, PeerError, Reuse,
    ServerConfig, ServerConn, ServerEvent,
};
use antiphon_core::{Fields, Instant, Status, Version};
use core::time::Duration;
use harness::Seen;
use libfuzzer_sys::fuzz_target;
use ops::{Call, Input, Shown, Size, Which};
use std::collections::VecDeque;
use std::sync::Arc;

/// What was told about the open exchange.
#[derive(Default)]
struct Track {
    open: Option<ExchangeId>,
    /// The body's declared length, and the bytes of it that were used.
    len: Option<BodyLen>,
    body: u64,
    body_ended: bool,
    /// The methods asked, and whether HTTP/1.0 was spoken.
    methods: Vec<String>,
    old: Vec<bool>,
}

fn role_state(conn: &ServerConn) -> impl core::fmt::Debug + use<> {
    conn.is_idle()
}

ops::player!(ServerConn, ServerConfig, ServerEvent);

impl Player<'_> {
    fn role_call(&mut self, call: Call) -> Result<(), Misuse> {
        match call {
            Call::Interim(which, code, section) => {
                let Some(id) = self.id(which) else { return Ok(()) };
                let status = Status::new(code.code()).expect("a status");
                self.conn.send_interim(id, status, &section.fields(false)[..])
            }
            Call::SendHead(which, code, section, len) => {
                let Some(id) = self.id(which) else { return Ok(()) };
                let status = Status::new(code.code()).expect("a status");
                self.conn
                    .send_head(id, status, &section.fields(false)[..], len.len())
            }
            _ => Ok(()),
        }
    }

    fn begin(&mut self, id: ExchangeId) {
        assert!(
            self.track.open.is_none(),
            "{id:?} while {:?} is open",
            self.track.open
        );
        assert!(self.ids.last().is_none_or(|last| *last < id), "ids grow");
        self.ids.push(id);
        self.track.open = Some(id);
        self.track.body = 0;
        self.track.body_ended = false;
    }

    fn on_event(&mut self, event: ServerEvent) {
        match event {
            ServerEvent::Request { id, body, .. } => {
                self.begin(id);
                self.track.len = Some(body);
                let head = self.conn.head(id).expect("a head comes with the event");
                self.track.methods.push(head.method().into());
                self.track.old.push(head.version() == Version::Http10);
                assert!(head.fields().iter().count() <= self.config.limits.fields);
            }
            ServerEvent::Rejected { id, error } => {
                assert_eq!(self.config.error_reply, ErrorReply::Application);
                self.begin(id);
                self.track.len = None;
                // It may be a HEAD: nobody can tell any more.
                assert!(error.status_hint().is_some() || error.offset() == self.fed.len() as u64);
            }
            ServerEvent::Body { id } => {
                assert_eq!(self.track.open, Some(id));
                assert!(!self.track.body_ended, "a body after its end");
                assert!(!self.conn.body().is_empty(), "a body without bytes");
            }
            ServerEvent::BodyEnd { id } => {
                assert!(!self.track.body_ended, "a body's end, twice");
                self.track.body_ended = true;
                assert!(
                    self.track.open == Some(id),
                    "an end of {id:?}, open is {:?}",
                    self.track.open
                );
                if let Some(BodyLen::Known(n)) = self.track.len {
                    assert_eq!(self.track.body, n, "the body had another length");
                }
            }
            ServerEvent::ExchangeEnd { id, reuse } => {
                assert_eq!(self.track.open.take(), Some(id));
                assert!(
                    self.conn.head(id).is_err(),
                    "the head's view ends with the exchange"
                );
                if reuse == Reuse::Switched {
                    assert!(matches!(self.conn.wants().finish, Finish::Detach | Finish::No));
                }
            }
            ServerEvent::Timeout { id, .. } => assert!(id.is_none_or(|id| self.ids.contains(&id))),
            ServerEvent::PeerHalfClosed => assert!(self.track.open.is_some()),
            ServerEvent::PeerGone => {}
            other => panic!("an event that this target does not know: {other:?}"),
        }
    }

    /// Answers properly, if that is still possible.
    fn conclude(&mut self, id: ExchangeId) -> bool {
        let head = self.conn.send_head(id, Status::OK, &Fields::EMPTY, BodyLen::None);
        let finished = match head {
            Ok(()) => true,
            Err(Misuse::HeadAlreadySent) => self.conn.finish(id, &Fields::EMPTY).is_ok(),
            Err(_) => false,
        };
        // What is left is the request's body.
        finished && self.conn.wants().write
    }

    fn check_wire(&self) {
        if self.endless {
            return;
        }
        let told = wire::responses(&self.wire, &self.track.methods);
        let asked = self.track.methods.len();
        let finals = told.iter().filter(|m| m.is_final()).count();
        assert!(
            finals <= asked + 1,
            "{finals} responses to {asked} requests: {told:?}"
        );
        let mut exchange = 0;
        for message in &told {
            if self.track.old.get(exchange) == Some(&true) {
                assert!(message.is_final(), "an interim response to HTTP/1.0");
                assert_ne!(message.framing, wire::Framing::Chunked, "chunks to HTTP/1.0");
            }
            exchange += usize::from(message.is_final());
        }
    }
}

fuzz_target!(|input: Input<'_>| {
    let mut config = ServerConfig::default();
    let settings = input.settings;
    config.profile = settings.profile();
    settings.limits(&mut config.limits);
    settings.timeouts(&mut config.timeouts);
    config.cancel_on_half_close = settings.role & 1 != 0;
    config.keep_alive = settings.role & 2 == 0;
    config.error_reply = match settings.role >> 2 & 3 {
        0 | 1 => ErrorReply::Automatic,
        2 => ErrorReply::Application,
        _ => ErrorReply::Silent,
    };
    let mut player = Player::new(config, input.wire);
    player.watch = settings.role & 64 != 0;
    for call in input.calls.into_iter().take(300) {
        player.step(call);
    }
    player.wind_up(settings.abort);
    player.check_wire();
});

//! All calls of a client's connection machine in any order with any arguments; see `ops/mod.rs` for what holds at
//! every step. At the end whatever was written must be read back as the requests that were sent.

#![no_main]

#[path = "../../core/tests/harness/mod.rs"]
mod harness;
mod ops;
mod wire;

use antiphon_core::h1::{
    BodyLen, Buffer, ClientConfig, ClientConn, ClientEvent, Deadline, ExchangeId, Finish, Misuse, OwnedHead,
    PeerError,
};
use antiphon_core::{Fields, Instant};
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
    /// The response body's length, once its head was told, and the bytes of it that were used.
    len: Option<BodyLen>,
    body: u64,
    body_ended: bool,
    interims: usize,
    send_body_now: bool,
    /// Method and target of each request.
    asked: Vec<(String, String)>,
}

fn role_state(conn: &ClientConn) -> impl core::fmt::Debug + use<> {
    (
        conn.is_idle(),
        conn.can_send(),
        conn.request_bytes_sent(),
        conn.response_begun(),
    )
}

ops::player!(ClientConn, ClientConfig, ClientEvent);

impl Player<'_> {
    fn role_call(&mut self, call: Call) -> Result<(), Misuse> {
        let Call::Request(method, target, section, len) = call else {
            return Ok(());
        };
        let can = self.conn.can_send();
        let (method, target) = (method.text(), target.text());
        let id = self
            .conn
            .send_request(method, target, &section.fields(true)[..], len.len())?;
        assert!(can, "can_send said no");
        assert!(
            self.track.open.is_none(),
            "{id:?} while {:?} is open",
            self.track.open
        );
        assert!(self.ids.last().is_none_or(|last| *last < id), "ids grow");
        self.ids.push(id);
        self.track = Track {
            open: Some(id),
            asked: std::mem::take(&mut self.track.asked),
            ..Track::default()
        };
        self.track.asked.push((method.into(), target.into()));
        Ok(())
    }

    fn on_event(&mut self, event: ClientEvent) {
        match event {
            ClientEvent::Interim { id, status } => {
                assert_eq!(self.track.open, Some(id));
                assert!(
                    self.track.len.is_none(),
                    "an interim response after the final one"
                );
                assert!(status.is_informational() && status.code() != 101);
                self.track.interims += 1;
                assert!(self.track.interims <= self.config.limits.interim);
            }
            ClientEvent::Response { id, body } => {
                assert_eq!(self.track.open, Some(id));
                assert!(self.track.len.replace(body).is_none(), "a second response");
                let head = self.conn.head(id).expect("a head comes with the event");
                let code = head.status().code();
                assert!(code == 101 || code >= 200);
                self.track.body = 0;
            }
            ClientEvent::Body { id } => {
                assert_eq!(self.track.open, Some(id));
                assert!(self.track.len.is_some() && !self.track.body_ended);
                assert!(!self.conn.body().is_empty(), "a body without bytes");
            }
            ClientEvent::BodyEnd { id } => {
                assert!(
                    self.track.open == Some(id) && !self.track.body_ended,
                    "a body's end, twice"
                );
                self.track.body_ended = true;
                match self.track.len {
                    Some(BodyLen::Known(n)) => assert_eq!(self.track.body, n, "the body had another length"),
                    Some(BodyLen::None) => assert_eq!(self.track.body, 0),
                    Some(BodyLen::Unknown) => {}
                    None => panic!("a body's end before its head"),
                }
            }
            ClientEvent::SendBodyNow { id } => {
                assert!(self.track.open == Some(id) && !self.track.send_body_now);
                self.track.send_body_now = true;
            }
            ClientEvent::ExchangeEnd { id, .. } => {
                assert_eq!(self.track.open.take(), Some(id));
                assert!(
                    self.conn.head(id).is_err(),
                    "the head's view ends with the exchange"
                );
            }
            ClientEvent::Timeout { id, .. } => assert!(id.is_none_or(|id| self.ids.contains(&id))),
            ClientEvent::PeerClosed { .. } => assert!(self.track.open.is_none()),
            other => panic!("an event that this target does not know: {other:?}"),
        }
    }

    /// Ends the request properly, if that is still possible.
    fn conclude(&mut self, id: ExchangeId) -> bool {
        match self.conn.finish(id, &Fields::EMPTY) {
            Ok(()) => self.conn.wants().write,
            Err(_) => false,
        }
    }

    fn check_wire(&self) {
        if self.endless {
            return;
        }
        let told = wire::requests(&self.wire);
        let asked = told.iter().map(|m| m.asks.clone());
        assert!(
            told.len() <= self.track.asked.len() && asked.eq(self.track.asked[..told.len()].iter().cloned()),
            "{told:?} was written, asked was {:?}",
            self.track.asked
        );
        for message in &told {
            assert_eq!(message.values("host").len(), 1);
        }
    }
}

fuzz_target!(|input: Input<'_>| {
    let mut config = ClientConfig::default();
    let settings = input.settings;
    config.profile = settings.profile();
    settings.limits(&mut config.limits);
    settings.timeouts(&mut config.timeouts);
    if settings.role & 1 != 0 {
        config.timeouts.continue_wait = None;
    }
    if settings.role & 2 != 0 {
        config.timeouts.response_head = Some(Duration::from_secs(5));
    }
    let mut player = Player::new(config, input.wire);
    player.watch = settings.role & 64 != 0;
    for call in input.calls.into_iter().take(300) {
        player.step(call);
    }
    player.wind_up(settings.abort);
    player.check_wire();
});

//! Both machines behind one trait, for tests that make any calls in any order: the same names, plus what differs by role.

use crate::calls::Call;
use crate::harness::order::Order;
use antiphon_core::h1::{
    BodyLen, Buffer, ClientConfig, ClientConn, ClientEvent, Deadline, ExchangeId, Limits, Misuse, Outgoing,
    OwnedHead, Parts, PeerError, Segments, ServerConfig, ServerConn, ServerEvent, Timeouts, Wants,
};
use antiphon_core::{Field, Fields, Instant, Status};
use bytes::Bytes;
use std::fmt::Debug;
use std::num::NonZeroU64;
use std::sync::Arc;

/// What an event means to the one who makes the calls.
pub(crate) enum Told {
    /// An exchange began; whether the peer's message is complete with its head.
    Begun(ExchangeId, bool),
    BodyEnd,
    Ended,
    /// The request's body may be sent, a head was read, and the like.
    Other,
}

macro_rules! shared {
    (($($name:ident($($arg:ident: $type:ty),*) $(-> $result:ty)?;)*), ($($view:ident($($varg:ident: $vtype:ty),*) $(-> $vresult:ty)?;)*)) => {
        pub(crate) trait Machine: Debug + Sized {
            type Config: Clone + Debug;
            fn open(config: &Arc<Self::Config>, now: Instant) -> Self;
            fn limits(config: &Self::Config) -> &Limits;
            fn timeouts(config: &Self::Config) -> &Timeouts;
            /// The next event, in words; `order` judges its place.
            fn told(&mut self, order: &mut Order) -> Result<Option<(String, Told)>, PeerError>;
            /// A call that only this role has: which exchange it was about.
            fn own(&mut self, call: Call, id: Option<ExchangeId>) -> Result<Option<ExchangeId>, Misuse>;
            fn head_text(&self, id: ExchangeId) -> Result<String, Misuse>;
            fn finish_with(&mut self, id: ExchangeId, fields: &[Field<'_>]) -> Result<(), Misuse>;
            /// What a caller can ask beside the getters that both have.
            fn more(&self) -> String;
            fn parts(self) -> Parts;
            $(fn $name(&mut self, $($arg: $type),*) $(-> $result)?;)*
            $(fn $view(&self, $($varg: $vtype),*) $(-> $vresult)?;)*
        }

        impl Machine for ServerConn {
            type Config = ServerConfig;
            fn open(config: &Arc<ServerConfig>, now: Instant) -> ServerConn {
                ServerConn::new(Arc::clone(config), now)
            }
            fn limits(config: &ServerConfig) -> &Limits {
                &config.limits
            }
            fn timeouts(config: &ServerConfig) -> &Timeouts {
                &config.timeouts
            }
            fn told(&mut self, order: &mut Order) -> Result<Option<(String, Told)>, PeerError> {
                let Some(event) = self.next_event()? else { return Ok(None) };
                order.server(event);
                let told = match event {
                    ServerEvent::Request { id, body, .. } => Told::Begun(id, body == BodyLen::None),
                    ServerEvent::Rejected { id, .. } => Told::Begun(id, true),
                    ServerEvent::BodyEnd { .. } => Told::BodyEnd,
                    ServerEvent::ExchangeEnd { .. } => Told::Ended,
                    _ => Told::Other,
                };
                Ok(Some((format!("{event:?}"), told)))
            }
            fn own(&mut self, call: Call, id: Option<ExchangeId>) -> Result<Option<ExchangeId>, Misuse> {
                let Some(id) = id else { return Ok(None) };
                match call {
                    Call::Interim(_, status) => {
                        let status = Status::new(status).expect("a status");
                        self.send_interim(id, status, &Fields::EMPTY)?;
                    }
                    Call::SendHead(_, status, len, section) => {
                        let status = Status::new(status).expect("a status");
                        self.send_head(id, status, section.fields(), len)?;
                    }
                    _ => return Ok(None),
                }
                Ok(Some(id))
            }
            fn more(&self) -> String {
                String::new()
            }
            shared!(@both ServerConn, ($($name($($arg: $type),*) $(-> $result)?;)*), ($($view($($varg: $vtype),*) $(-> $vresult)?;)*));
        }

        impl Machine for ClientConn {
            type Config = ClientConfig;
            fn open(config: &Arc<ClientConfig>, now: Instant) -> ClientConn {
                ClientConn::new(Arc::clone(config), now)
            }
            fn limits(config: &ClientConfig) -> &Limits {
                &config.limits
            }
            fn timeouts(config: &ClientConfig) -> &Timeouts {
                &config.timeouts
            }
            fn told(&mut self, order: &mut Order) -> Result<Option<(String, Told)>, PeerError> {
                let Some(event) = self.next_event()? else { return Ok(None) };
                order.client(event);
                let told = match event {
                    ClientEvent::BodyEnd { .. } => Told::BodyEnd,
                    ClientEvent::ExchangeEnd { .. } => Told::Ended,
                    _ => Told::Other,
                };
                Ok(Some((format!("{event:?}"), told)))
            }
            fn own(&mut self, call: Call, _: Option<ExchangeId>) -> Result<Option<ExchangeId>, Misuse> {
                let Call::Request(method, target, len, section) = call else {
                    return Ok(None);
                };
                let can = self.can_send();
                let sent = self.send_request(method, target, section.fields(), len);
                assert!(can || sent.is_err(), "can_send said no");
                assert!(!can || sent != Err(Misuse::NotReady), "can_send said yes");
                sent.map(Some)
            }
            fn more(&self) -> String {
                format!("{} {} {}", self.can_send(), self.request_bytes_sent(), self.response_begun())
            }
            shared!(@both ClientConn, ($($name($($arg: $type),*) $(-> $result)?;)*), ($($view($($varg: $vtype),*) $(-> $vresult)?;)*));
        }
    };
    (@both $of:ident, ($($name:ident($($arg:ident: $type:ty),*) $(-> $result:ty)?;)*), ($($view:ident($($varg:ident: $vtype:ty),*) $(-> $vresult:ty)?;)*)) => {
        fn head_text(&self, id: ExchangeId) -> Result<String, Misuse> {
            self.head(id).map(|head| format!("{head:?}"))
        }
        fn finish_with(&mut self, id: ExchangeId, fields: &[Field<'_>]) -> Result<(), Misuse> {
            self.finish(id, fields)
        }
        fn parts(self) -> Parts {
            self.into_parts()
        }
        $(fn $name(&mut self, $($arg: $type),*) $(-> $result)? { $of::$name(self, $($arg),*) })*
        $(fn $view(&self, $($varg: $vtype),*) $(-> $vresult)? { $of::$view(self, $($varg),*) })*
    };
}

shared! {
    (
        recv_space() -> &mut [u8];
        received(n: usize, now: Instant) -> Result<(), Misuse>;
        received_copy(bytes: &[u8], now: Instant) -> usize;
        received_eof(now: Instant);
        read_failed(now: Instant);
        write_failed(now: Instant);
        write_shut(now: Instant);
        sent(n: u64, now: Instant) -> Result<(), Misuse>;
        take_outgoing() -> Option<Segments>;
        want_body(id: ExchangeId);
        consume(n: usize) -> Result<(), Misuse>;
        take_body() -> Bytes;
        direct_received(n: u64, now: Instant) -> Result<(), Misuse>;
        take_head(id: ExchangeId) -> OwnedHead;
        recycle(head: OwnedHead);
        send_body(id: ExchangeId, bytes: Bytes) -> Result<(), Misuse>;
        send_body_copy(id: ExchangeId, bytes: &[u8]) -> Result<usize, Misuse>;
        send_external(id: ExchangeId, len: u64) -> Result<(), Misuse>;
        abort(id: ExchangeId) -> Result<(), Misuse>;
        close_when_idle();
        deadline(now: Instant) -> Option<Deadline>;
        handle_timeout(now: Instant);
        lend(buffer: Buffer);
        reclaim() -> Option<Buffer>;
    ),
    (
        wants() -> Wants;
        outgoing() -> Outgoing<'_>;
        body() -> &[u8];
        direct_body() -> Option<NonZeroU64>;
        send_capacity(id: ExchangeId) -> usize;
        trailers(id: ExchangeId) -> Option<Fields<'_>>;
        is_idle() -> bool;
        needs_buffer() -> bool;
    )
}

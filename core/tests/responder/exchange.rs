//! One exchange: a request that a connection has read, and the handler's side of the response to it.

use antiphon_core::h1::{ExchangeId, Reuse, ServerConfig, ServerConn, ServerEvent};
use antiphon_core::server::DateCache;
use antiphon_core::server::responder::{Notice, Progress, RequestFacts, Responder, ResponderConfig};
use antiphon_core::{Instant, UnixTime};
use std::sync::Arc;

const T0: Instant = Instant::ZERO;
pub(crate) const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
pub(crate) const HEAD: &str = "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n";
pub(crate) const GET_10: &str = "GET / HTTP/1.0\r\n\r\n";
pub(crate) const CONNECT: &str = "CONNECT b:80 HTTP/1.1\r\nHost: b:80\r\n\r\n";
pub(crate) const UPGRADE: &str = "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n";
pub(crate) const EXPECTS: &str =
    "PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n";

/// A handler's side of one exchange.
pub(crate) struct Exchange {
    pub(crate) conn: ServerConn,
    pub(crate) id: ExchangeId,
    pub(crate) response: Responder,
    pub(crate) date: Option<UnixTime>,
    wire: String,
}

impl Exchange {
    pub(crate) fn new(request: &str) -> Exchange {
        let mut conn = ServerConn::new(Arc::new(ServerConfig::DEFAULT), T0);
        conn.received_copy(request.as_bytes(), T0);
        let Ok(Some(ServerEvent::Request { id, proposes, .. })) = conn.next_event() else {
            panic!("no request: {request:?}");
        };
        let head = conn.head(id).unwrap();
        let facts = RequestFacts::new(head.method(), head.version(), proposes);
        Exchange {
            conn,
            id,
            response: Responder::new(facts, ResponderConfig::DEFAULT),
            date: None,
            wire: String::new(),
        }
    }

    pub(crate) fn set(&mut self, name: &str, value: &str) -> &mut Exchange {
        let fields = self.response.fields_mut().expect("before the head");
        fields.append(name, value).unwrap();
        self
    }

    /// What goes to the client now.
    pub(crate) fn sent(&mut self) -> &str {
        self.wire.clear();
        loop {
            let mut dates = DateCache::new();
            let date = self.date.map(|now| dates.field(now));
            let progress = self.response.drive(&mut self.conn, self.id, date).unwrap();
            let full = progress == Progress::Full;
            while self.conn.wants().write {
                let bytes = self.conn.outgoing().first();
                self.wire.push_str(&String::from_utf8_lossy(bytes));
                let n = bytes.len() as u64;
                self.conn.sent(n, T0).unwrap();
            }
            if !full {
                return &self.wire;
            }
        }
    }

    pub(crate) fn finish(&mut self) -> &str {
        self.response.finish().unwrap();
        self.sent()
    }

    /// What becomes of the connection.
    pub(crate) fn reuse(&mut self) -> Reuse {
        loop {
            match self.conn.next_event() {
                Ok(Some(ServerEvent::ExchangeEnd { reuse, .. })) => return reuse,
                Ok(Some(_)) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    pub(crate) fn notices(&mut self) -> Vec<Notice> {
        std::iter::from_fn(|| self.response.take_notice()).collect()
    }
}

pub(crate) fn length_of(head: &str) -> Option<&str> {
    head.split("\r\n")
        .find_map(|l| l.strip_prefix("content-length: "))
}

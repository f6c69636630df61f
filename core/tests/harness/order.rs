//! The order in which a machine may tell things, whatever its peer and its caller do: each exchange begins once and ends
//! once, its body ends once and nothing of it comes afterwards, and a connection that has ended tells no new exchange.

use antiphon_core::h1::{BodyLen, ClientEvent, ExchangeId, Reuse, ServerEvent};

/// What was told of the open exchange.
#[derive(Clone, Copy, Debug)]
struct Open {
    id: ExchangeId,
    /// Client: the final response's head was told.
    head: bool,
    /// Body bytes may be told.
    reading: bool,
    ended: bool,
    half_closed: bool,
    invited: bool,
}

/// What was told on one connection.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Order {
    last: Option<ExchangeId>,
    open: Option<Open>,
    /// No exchange may begin any more.
    over: bool,
    gone: bool,
}

impl Order {
    fn begin(&mut self, id: ExchangeId, what: &str) -> &mut Open {
        assert!(!self.over, "{what} after the connection's end");
        assert!(self.open.is_none(), "{what} inside {:?}", self.open);
        assert!(
            self.last.is_none_or(|last| last < id),
            "{what}: ids are never used again"
        );
        self.last = Some(id);
        self.open.insert(Open {
            id,
            head: false,
            reading: false,
            ended: false,
            half_closed: false,
            invited: false,
        })
    }

    fn open(&mut self, id: ExchangeId, what: &str) -> &mut Open {
        let now = self.open;
        self.open
            .as_mut()
            .filter(|open| open.id == id)
            .unwrap_or_else(|| panic!("{what} of {id:?} while {now:?} is open"))
    }

    fn body(&mut self, id: ExchangeId) {
        let open = self.open(id, "a body");
        assert!(open.reading && !open.ended, "a body outside its place: {open:?}");
    }

    fn body_end(&mut self, id: ExchangeId) {
        let open = self.open(id, "a body's end");
        assert!(
            open.reading && !open.ended,
            "a body's end outside its place: {open:?}"
        );
        open.ended = true;
    }

    fn end(&mut self, id: ExchangeId, reuse: Reuse) -> Open {
        let open = *self.open(id, "the end");
        self.open = None;
        self.over = reuse != Reuse::KeepAlive;
        open
    }

    fn timeout(&mut self, id: Option<ExchangeId>) {
        match id {
            Some(id) => drop(self.open(id, "a timeout")),
            None => assert!(
                self.open.is_none(),
                "a timeout of nothing while {:?} is open",
                self.open
            ),
        }
    }

    /// An error was told: whatever was open has ended with it.
    pub(crate) fn failed(&mut self) {
        self.open = None;
        self.over = true;
    }

    pub(crate) fn server(&mut self, event: ServerEvent) {
        match event {
            ServerEvent::Request { id, body, .. } => {
                self.begin(id, "a request").reading = body != BodyLen::None;
            }
            ServerEvent::Rejected { id, .. } => {
                self.begin(id, "a refused request");
                self.over = true;
            }
            ServerEvent::Body { id } => self.body(id),
            ServerEvent::BodyEnd { id } => self.body_end(id),
            ServerEvent::ExchangeEnd { id, reuse } => drop(self.end(id, reuse)),
            ServerEvent::Timeout { id, .. } => self.timeout(id),
            ServerEvent::PeerHalfClosed => {
                let open = self.open.as_mut().expect("it matters to an open exchange only");
                assert!(!open.half_closed, "told once");
                open.half_closed = true;
            }
            ServerEvent::PeerGone => {
                assert!(!self.gone, "told once");
                self.gone = true;
            }
            other => panic!("an event that this harness does not know: {other:?}"),
        }
    }

    /// The client's application has sent a request.
    pub(crate) fn asked(&mut self, id: ExchangeId) {
        self.begin(id, "a request");
    }

    pub(crate) fn client(&mut self, event: ClientEvent) {
        match event {
            ClientEvent::Interim { id, .. } => {
                let open = self.open(id, "an interim response");
                assert!(!open.head, "an interim response behind the final one");
            }
            ClientEvent::Response { id, .. } => {
                let open = self.open(id, "a response");
                assert!(!open.head, "a second final response");
                (open.head, open.reading) = (true, true);
            }
            ClientEvent::Body { id } => self.body(id),
            ClientEvent::BodyEnd { id } => self.body_end(id),
            ClientEvent::SendBodyNow { id } => {
                let open = self.open(id, "an invitation");
                assert!(!open.invited, "invited once");
                open.invited = true;
            }
            ClientEvent::ExchangeEnd { id, reuse } => {
                let open = self.end(id, reuse);
                let whole = open.head && open.ended;
                assert!(
                    whole || matches!(reuse, Reuse::Close(_)),
                    "{reuse:?} before the response's end: {open:?}"
                );
            }
            ClientEvent::Timeout { id, .. } => self.timeout(id),
            ClientEvent::PeerClosed { .. } => {
                assert!(self.open.is_none() && !self.over, "told between exchanges, once");
                self.over = true;
            }
            other => panic!("an event that this harness does not know: {other:?}"),
        }
    }
}

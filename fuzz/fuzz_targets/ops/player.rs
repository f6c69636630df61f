//! `player!`, which makes calls and checks what must hold whatever they are.

/// Writes a player for one machine. The target adds what its role does: `Track` (what was told), `role_state` (getters),
/// `role_call`, `on_event`, `conclude` and `check_wire`.
macro_rules! player {
    ($conn:ident, $config:ident, $event:ident) => {
        pub(crate) struct Player<'a> {
            pub(crate) conn: $conn,
            config: Arc<$config>,
            rest: &'a [u8],
            /// Every byte that was handed in.
            fed: Vec<u8>,
            /// Every byte that left, those of external bodies as `E`.
            wire: Vec<u8>,
            /// A body was too large to be written out here.
            endless: bool,
            ids: Vec<ExchangeId>,
            heads: Vec<OwnedHead>,
            spare: Option<Buffer>,
            now: Instant,
            /// What was taken out to be written and not reported yet.
            flying: VecDeque<u8>,
            error: Option<PeerError>,
            /// Whether deadlines are looked at before and after every call.
            watch: bool,
            track: Track,
        }

        impl<'a> Player<'a> {
            fn new(config: $config, wire: &'a [u8]) -> Player<'a> {
                // An hour in, so that the clock can go backwards.
                let now = Instant::ZERO + Duration::from_secs(3_600);
                let config = Arc::new(config);
                Player {
                    conn: $conn::new(Arc::clone(&config), now),
                    config,
                    rest: wire,
                    fed: Vec::new(),
                    wire: Vec::new(),
                    endless: false,
                    ids: Vec::new(),
                    heads: Vec::new(),
                    spare: None,
                    now,
                    flying: VecDeque::new(),
                    error: None,
                    watch: false,
                    track: Track::default(),
                }
            }

            fn id(&self, which: Which) -> Option<ExchangeId> {
                self.ids.iter().rev().nth(which.back()).copied()
            }

            fn shown(&self) -> Shown {
                let last = self.ids.iter().rev().take(3);
                Shown {
                    seen: harness::seen!(self.conn),
                    role: format!("{:?}", role_state(&self.conn)),
                    room: last
                        .clone()
                        .map(|id| self.conn.send_capacity(*id))
                        .collect(),
                    heads: last
                        .map(|id| format!("{:?} {:?}", self.conn.head(*id), self.conn.trailers(*id)))
                        .collect(),
                }
            }

            /// Makes a call and checks what must hold whatever it was.
            fn step(&mut self, call: Call) {
                if matches!(call, Call::Received(_)) && self.conn.wants().read {
                    // Asking for room may make some: not part of the claim that is refused.
                    let _ = self.conn.recv_space();
                }
                let before = self.shown();
                let deadline = self.watched_deadline();
                let wire = self.wire.len();
                let flying = self.flying.len();
                match self.call(call) {
                    Err(misuse) => {
                        let now = self.watched_deadline();
                        assert_eq!(
                            deadline, now,
                            "{call:?} gave {misuse:?} and moved a deadline"
                        );
                        assert_eq!(
                            before,
                            self.shown(),
                            "{call:?} gave {misuse:?} and changed something"
                        );
                        assert_eq!(wire, self.wire.len());
                    }
                    // Another connection begins.
                    Ok(()) if matches!(call, Call::Parts) => {}
                    Ok(()) => self.check_output(&before.seen, wire, flying, call),
                }
                let after = self.shown();
                assert_eq!(after, self.shown(), "getters are pure");
                self.check_bounds(&after.seen);
            }

            /// A look at the clock starts timers, so that only some runs have one at every step.
            fn watched_deadline(&mut self) -> Option<Deadline> {
                if self.watch {
                    self.conn.deadline(self.now)
                } else {
                    None
                }
            }

            /// Output is a queue: what was shown and not sent is still shown, unless the connection was given up.
            fn check_output(&self, before: &Seen, wire: usize, flying: usize, call: Call) {
                let outgoing = self.conn.outgoing();
                let now = harness::slices(&outgoing).concat();
                // Nothing can reach the peer any more.
                let lost = matches!(call, Call::WriteFailed) && now.is_empty();
                if lost || self.conn.wants().finish.closes() {
                    assert!(now.is_empty() && outgoing.external().is_none() && !self.conn.wants().write);
                    return;
                }
                if !self.flying.is_empty() {
                    assert!(
                        now.is_empty() && outgoing.external().is_none(),
                        "it is being written"
                    );
                    return;
                }
                if flying > 0 {
                    return;
                }
                let sent = self.wire.len() - wire;
                if let Some(len) = before.external {
                    if self.endless {
                        return;
                    }
                    let left = len - sent as u64;
                    assert!(
                        left == 0 || outgoing.external() == Some(left),
                        "after {call:?}"
                    );
                } else {
                    assert!(
                        now.starts_with(&before.outgoing[sent..]),
                        "{call:?} lost output: \"{}\" was shown, {sent} of it sent, \"{}\" is left",
                        before.outgoing.escape_ascii(),
                        now.escape_ascii()
                    );
                }
            }

            fn check_bounds(&mut self, seen: &Seen) {
                let limits = &self.config.limits;
                let most = limits
                    .head
                    .max(limits.recv_buffer)
                    .max(limits.recv_buffer_max)
                    .max(limits.trailers);
                assert!(
                    seen.body.len() <= most,
                    "{} body bytes are buffered",
                    seen.body.len()
                );
                assert!(
                    seen.direct.is_none() || seen.body.is_empty(),
                    "bytes that are there go before direct ones"
                );
                assert_eq!(
                    self.conn.wants().write,
                    !seen.outgoing.is_empty() || seen.external.is_some()
                );
                if self.conn.wants().read && !self.conn.needs_buffer() {
                    let space = self.conn.recv_space().len();
                    assert!(space > 0, "a read is wanted, but there is no room");
                    assert!(space <= most, "{space} bytes of room, {most} allowed");
                }
            }

            fn events(&mut self) {
                for _ in 0..100_000 {
                    if self.event() {
                        continue;
                    }
                    let wants = self.conn.wants();
                    let waits = !wants.read && !wants.write && wants.finish == Finish::No;
                    if self.watch && waits && self.watched_deadline().is_none() {
                        assert!(
                            self.track.open.is_some(),
                            "nobody owes anything: {:?}",
                            self.conn
                        );
                    }
                    return;
                }
                panic!("events without end");
            }

            /// Takes the next event; false if there is none.
            fn event(&mut self) -> bool {
                let open = self.track.open;
                match self.conn.next_event() {
                    Ok(Some(event)) => {
                        assert!(self.error.is_none(), "{event:?} after {:?}", self.error);
                        self.on_event(event);
                        true
                    }
                    Ok(None) => {
                        let before = self.shown();
                        assert_eq!(self.conn.next_event(), Ok(None), "None twice without input");
                        assert_eq!(before, self.shown(), "None changes nothing");
                        false
                    }
                    Err(error) => {
                        let before = self.shown();
                        assert_eq!(self.conn.next_event(), Err(error), "an error is sticky");
                        assert_eq!(before, self.shown(), "a told error changes nothing");
                        assert!(self.error.is_none_or(|e| e == error));
                        assert!(
                            error.offset() <= self.fed.len() as u64,
                            "{error:?} lies ahead"
                        );
                        self.error = Some(error);
                        self.track.open = None;
                        if let Some(id) = open {
                            assert!(
                                self.conn.head(id).is_err(),
                                "the exchange has ended with the error"
                            );
                        }
                        false
                    }
                }
            }

            fn feed(&mut self, size: Size, io: bool) {
                if !self.conn.wants().read || self.rest.is_empty() {
                    return;
                }
                let space = if io {
                    self.conn.io().recv_space
                } else {
                    self.conn.recv_space()
                };
                assert!(!space.is_empty(), "a read is wanted, but there is no room");
                let n = size.len().min(space.len()).min(self.rest.len());
                space[..n].copy_from_slice(&self.rest[..n]);
                self.take_rest(n);
                self.conn.received(n, self.now).expect("a read was wanted");
            }

            fn take_rest(&mut self, n: usize) {
                self.fed.extend_from_slice(&self.rest[..n]);
                self.rest = &self.rest[n..];
            }

            /// Reports `n` bytes as sent and writes them down.
            fn sent(&mut self, n: u64) -> Result<(), Misuse> {
                let outgoing = self.conn.outgoing();
                let external = outgoing.external();
                let shown = harness::slices(&outgoing).concat();
                let flying = self.flying.len();
                let offered = external.unwrap_or((shown.len() + flying) as u64);
                let result = self.conn.sent(n, self.now);
                assert!(
                    n <= offered || result == Err(Misuse::TooMuch),
                    "{n} sent of {offered}"
                );
                assert!(
                    n > offered || result.is_ok(),
                    "{n} not sent of {offered}: {result:?}"
                );
                result?;
                match external {
                    Some(_) if n > 100_000 => self.endless = true,
                    Some(_) => self.wire.extend(std::iter::repeat_n(b'E', n as usize)),
                    None if flying > 0 => self.wire.extend(self.flying.drain(..n as usize)),
                    None => self.wire.extend_from_slice(&shown[..n as usize]),
                }
                result
            }

            fn sent_all(&mut self) {
                let outgoing = self.conn.outgoing();
                let shown: usize = harness::slices(&outgoing).iter().map(|s| s.len()).sum();
                let n = match self.flying.len() {
                    0 => outgoing.external().unwrap_or(shown as u64),
                    flying => flying as u64,
                };
                self.sent(n).expect("no more than was offered");
            }

            fn used(&mut self, n: u64) {
                self.track.body += n;
            }

            fn call(&mut self, call: Call) -> Result<(), Misuse> {
                match call {
                    Call::Feed(size) => self.feed(size, false),
                    Call::FeedIo(size) => self.feed(size, true),
                    Call::FeedCopy(size) => {
                        let n = size.len().min(self.rest.len());
                        let n = self.conn.received_copy(&self.rest[..n], self.now);
                        self.take_rest(n);
                    }
                    Call::FeedAll => {
                        let n = self.conn.received_copy(self.rest, self.now);
                        self.take_rest(n);
                    }
                    Call::Received(size) => {
                        let n = size.len();
                        if self.conn.wants().read {
                            let space = self.conn.recv_space();
                            let room = space.len();
                            let all = n.min(room);
                            space[..all].fill(b'x');
                            let result = self.conn.received(n, self.now);
                            assert_eq!(result.is_err(), n > room, "{n} of {room}: {result:?}");
                            if result.is_ok() {
                                self.fed.extend(std::iter::repeat_n(b'x', n));
                            }
                            return result;
                        }
                        let result = self.conn.received(n, self.now);
                        if result.is_ok() {
                            assert_eq!(n, 0, "no read was wanted");
                        }
                        return result;
                    }
                    Call::Eof => self.conn.received_eof(self.now),
                    Call::ReadFailed => self.conn.read_failed(self.now),
                    Call::WriteFailed => self.conn.write_failed(self.now),
                    Call::WriteShut => self.conn.write_shut(self.now),
                    Call::Event => drop(self.event()),
                    Call::Events => self.events(),
                    Call::WantBody(which) => {
                        if let Some(id) = self.id(which) {
                            self.conn.want_body(id);
                        }
                    }
                    Call::Consume(size) => {
                        let there = self.conn.body().len();
                        let result = self.conn.consume(size.len());
                        assert_eq!(result.is_ok(), size.len() <= there);
                        if result.is_ok() {
                            self.used(size.n());
                        }
                        return result;
                    }
                    Call::ConsumeAll => {
                        let n = self.conn.body().len();
                        self.conn.consume(n)?;
                        self.used(n as u64);
                    }
                    Call::TakeBody => {
                        let shown = self.conn.body().to_vec();
                        assert_eq!(
                            shown,
                            self.conn.take_body(),
                            "take_body hands out what body showed"
                        );
                        self.used(shown.len() as u64);
                    }
                    Call::Direct(size) => {
                        // Only bytes that there are.
                        let n = size.n();
                        if n <= self.rest.len() as u64 || self.conn.direct_body().is_none() {
                            self.conn.direct_received(n, self.now)?;
                            if n > 0 {
                                self.take_rest(n as usize);
                                self.used(n);
                            }
                        }
                    }
                    Call::TakeHead(which) => {
                        if let Some(id) = self.id(which) {
                            let shown = self.conn.head(id).map(|h| format!("{h:?}"));
                            let taken = self.conn.take_head(id);
                            if let Ok(shown) = shown {
                                assert_eq!(
                                    format!("{taken:?}"),
                                    shown,
                                    "take_head gives what head showed"
                                );
                            }
                            assert!(self.conn.head(id).is_err(), "the head was taken");
                            self.heads.push(taken);
                        }
                    }
                    Call::Recycle => {
                        if let Some(head) = self.heads.pop() {
                            self.conn.recycle(head);
                        }
                    }
                    Call::Body(which, size) => {
                        let Some(id) = self.id(which) else {
                            return Ok(());
                        };
                        self.conn.send_body(id, vec![b'b'; size.some()].into())?;
                    }
                    Call::BodyCopy(which, size) => {
                        let Some(id) = self.id(which) else {
                            return Ok(());
                        };
                        let room = self.conn.send_capacity(id);
                        let before = harness::slices(&self.conn.outgoing()).concat();
                        let n = self.conn.send_body_copy(id, &vec![b'c'; size.some()])?;
                        assert!(n <= size.some());
                        // A body that goes nowhere is taken whatever its length.
                        let swallowed = before == harness::slices(&self.conn.outgoing()).concat();
                        assert!(
                            n <= room || swallowed,
                            "{n} bytes were taken, {room} promised"
                        );
                    }
                    Call::External(which, size) => {
                        let Some(id) = self.id(which) else {
                            return Ok(());
                        };
                        self.conn.send_external(id, size.n())?;
                        self.endless |= size.n() > 100_000;
                    }
                    Call::Finish(which, section) => {
                        let Some(id) = self.id(which) else {
                            return Ok(());
                        };
                        self.conn.finish(id, &section.fields(false)[..])?;
                    }
                    Call::Abort(which) => {
                        let Some(id) = self.id(which) else {
                            return Ok(());
                        };
                        self.conn.abort(id)?;
                    }
                    Call::CloseWhenIdle => self.conn.close_when_idle(),
                    Call::Sent(size) => return self.sent(size.n()),
                    Call::SentAll => self.sent_all(),
                    Call::TakeOutgoing => {
                        let before = harness::slices(&self.conn.outgoing()).concat();
                        if let Some(taken) = self.conn.take_outgoing() {
                            let len = taken.len();
                            let all = taken.collect::<Vec<_>>().concat();
                            assert_eq!(len, all.len() as u64);
                            assert_eq!(all, before, "take_outgoing gives what outgoing showed");
                            self.flying.extend(all);
                        }
                    }
                    Call::Deadline => {
                        let shown = self.shown();
                        let first = self.conn.deadline(self.now);
                        assert_eq!(first, self.conn.deadline(self.now), "deadline is pure");
                        assert_eq!(shown, self.shown(), "deadline changes nothing else");
                    }
                    Call::Timeout => {
                        let _ = self.conn.deadline(self.now);
                        self.conn.handle_timeout(self.now);
                        self.no_deadline_is_left();
                    }
                    Call::Advance(ms) => {
                        let step = Duration::from_millis(u64::from(ms.unsigned_abs()) * 4);
                        self.now = if ms < 0 {
                            self.now - step
                        } else {
                            self.now + step
                        };
                    }
                    Call::AdvanceToDeadline => drop(self.until_deadline()),
                    Call::Lend => {
                        if self.conn.needs_buffer() {
                            self.conn.lend(self.spare.take().unwrap_or_default());
                        } else {
                            self.conn.lend(Buffer::new());
                        }
                    }
                    Call::Reclaim => {
                        let mut shown = harness::seen!(self.conn);
                        if let Some(buffer) = self.conn.reclaim() {
                            assert!(self.conn.needs_buffer());
                            self.spare = Some(buffer);
                            // What was taken and is lost anyway goes with it.
                            self.flying.clear();
                            shown.needs_buffer = true;
                        }
                        assert_eq!(shown, harness::seen!(self.conn), "nothing was in it");
                    }
                    Call::Parts => {
                        let shown = harness::slices(&self.conn.outgoing()).concat();
                        let flying = !self.flying.is_empty();
                        let closed = self.conn.wants().finish.closes();
                        let fresh = $conn::new(Arc::clone(&self.config), self.now);
                        let parts = std::mem::replace(&mut self.conn, fresh).into_parts();
                        assert!(
                            self.fed.ends_with(&parts.unread),
                            "unread bytes are the last that came"
                        );
                        if !flying && !closed {
                            assert_eq!(parts.unsent, shown, "what was not sent");
                        }
                        self.check_wire();
                        *self = Player {
                            conn: std::mem::replace(
                                &mut self.conn,
                                $conn::new(Arc::clone(&self.config), self.now),
                            ),
                            now: self.now,
                            watch: self.watch,
                            ..Player::new(*self.config, self.rest)
                        };
                    }
                    Call::Interim(..) | Call::SendHead(..) | Call::Request(..) => {
                        return self.role_call(call);
                    }
                }
                Ok(())
            }

            fn no_deadline_is_left(&mut self) {
                let left = self.conn.deadline(self.now);
                assert!(
                    left.is_none_or(|d| d.at > self.now),
                    "{left:?} is left at {:?}",
                    self.now
                );
            }

            /// Lets time pass until the next deadline, which must do something; false if there is none.
            fn until_deadline(&mut self) -> bool {
                let Some(deadline) = self.conn.deadline(self.now) else {
                    return false;
                };
                if deadline.at > self.now {
                    let before = self.shown();
                    self.conn
                        .handle_timeout(deadline.at - Duration::from_nanos(1));
                    assert_eq!(
                        before,
                        self.shown(),
                        "a nanosecond before {deadline:?} nothing happens"
                    );
                    self.now = deadline.at;
                }
                let before = self.shown();
                self.conn.handle_timeout(self.now);
                let left = self.conn.deadline(self.now);
                self.no_deadline_is_left();
                assert!(
                    left != Some(deadline) || before != self.shown(),
                    "{deadline:?} passed and nothing came of it"
                );
                true
            }

            /// A driver that does its part, with a peer that has left: everything comes to an end.
            fn wind_up(&mut self, abort: bool) {
                self.conn.received_eof(self.now);
                for _ in 0..1_000 {
                    self.events();
                    if let Some(id) = self.track.open {
                        let n = self.conn.body().len();
                        self.conn.consume(n).expect("what was shown");
                        self.used(n as u64);
                        if abort || !self.conclude(id) {
                            let _ = self.conn.abort(id);
                        }
                    }
                    self.events();
                    let wants = self.conn.wants();
                    match wants.finish {
                        Finish::Close | Finish::Reset | Finish::Detach if !wants.write => {
                            self.events();
                            assert!(
                                self.track.open.is_none(),
                                "over, but {:?} is open",
                                self.track.open
                            );
                            return;
                        }
                        Finish::ShutdownWrite => self.conn.write_shut(self.now),
                        _ if wants.write || !self.flying.is_empty() => self.sent_all(),
                        _ => {
                            self.until_deadline();
                        }
                    }
                }
                panic!("no end in sight: {:?} {:?}", self.conn.wants(), self.conn);
            }
        }
    };
}
pub(crate) use player;

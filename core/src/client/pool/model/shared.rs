//! The naive model of shared connections.

use super::*;

/// What is known of a connection because it is shared.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Share {
    pub(in super::super) capacity: u32,
    /// Requests in progress and tickets it is there for.
    pub(in super::super) leases: u32,
    pub(in super::super) ending: Option<CloseReason>,
    /// The last request ended then.
    since: Now,
    limit: Option<Duration>,
    /// The how-manieth that came into use.
    in_use: u64,
}

impl Model {
    pub(in super::super) fn is_shared(&self, conn: Conn) -> bool {
        self.conns.iter().any(|c| c.conn == conn && c.share.is_some())
    }

    fn known(&mut self, conn: Conn) -> &mut Known {
        self.conns.iter_mut().find(|c| c.conn == conn).unwrap()
    }

    fn unfit(&self, c: &Known, now: Now) -> Option<CloseReason> {
        let share = c.share.unwrap();
        let resting = Known {
            place: Place::Idle {
                seq: 0,
                since: share.since,
                limit: share.limit,
            },
            ..*c
        };
        let busy = Known {
            place: Place::Idle {
                seq: 0,
                since: now,
                limit: None,
            },
            ..*c
        };
        if share.ending.is_some() {
            return share.ending;
        }
        if !self.config.keep_alive {
            return Some(CloseReason::KeepAliveDisabled);
        }
        if self.config.max_requests.is_some_and(|m| c.requests >= m.get()) {
            return Some(CloseReason::MaxRequests);
        }
        if self.expired(&busy, now) == Some(CloseReason::MaxAge) {
            return Some(CloseReason::MaxAge);
        }
        (share.leases == 0).then(|| self.expired(&resting, now)).flatten()
    }

    fn has_room(&self, c: &Known, now: Now) -> bool {
        c.share.is_some_and(|s| s.leases < s.capacity) && self.unfit(c, now).is_none()
    }

    /// One more request on it. Gives how many it had.
    pub(super) fn get_on(&mut self, conn: Conn) -> u32 {
        let seq = self.seq + 1;
        let c = self.known(conn);
        let share = c.share.as_mut().unwrap();
        if c.place != Place::InUse {
            c.place = Place::InUse;
            share.in_use = seq;
        }
        share.leases += 1;
        c.requests += 1;
        let before = c.requests - 1;
        self.seq = seq;
        before
    }

    pub(super) fn join(&mut self, key: usize, now: Now) -> Option<Said> {
        let conn = self
            .conns
            .iter()
            .filter(|c| c.key == key && c.place == Place::InUse && self.has_room(c, now))
            .min_by_key(|c| c.share.unwrap().in_use)?
            .conn;
        let before = self.get_on(conn);
        Some(Said::Reuse(conn, before))
    }

    fn serve_line(&mut self, conn: Conn, now: Now) -> Option<T> {
        let mut first = None;
        loop {
            let c = *self.known(conn);
            let waiting = self.tickets.iter().position(|x| x.0 == c.key && Self::waits(x.1));
            let Some(t) = waiting.filter(|_| self.has_room(&c, now)) else {
                return first;
            };
            let permitted = self.tickets[t].1 == State::Permitted;
            let before = self.get_on(conn);
            self.on.push((t, conn, Some(before)));
            self.tell(t, State::Served);
            if permitted {
                self.place_freed(c.key);
            }
            first = first.or(Some(t));
        }
    }

    pub(in super::super) fn dialed_shared(
        &mut self,
        at: usize,
        conn: Conn,
        capacity: u32,
        now: Now,
    ) -> (Said, Closes) {
        let t = self.dials.remove(at);
        let (key, state) = self.tickets[t];
        if key == self.only_http1 {
            if state == State::Dialing {
                self.tell(t, State::Failed);
            }
            self.place_freed(key);
            return (Said::Refused, vec![(conn, CloseReason::OnlyHttp1)]);
        }
        self.seq += 1;
        self.conns.push(Known {
            conn,
            key,
            created: now,
            requests: 0,
            place: Place::InUse,
            share: Some(Share {
                capacity,
                leases: 0,
                ending: None,
                since: now,
                limit: None,
                in_use: self.seq,
            }),
        });
        let own = state == State::Dialing;
        if own {
            self.get_on(conn);
            self.on.push((t, conn, None));
            self.tell(t, State::Served);
        }
        match (own, self.serve_line(conn, now)) {
            (true, _) => (Said::Delivered(t), vec![]),
            (false, Some(first)) => (Said::HandedTo(first), vec![]),
            (false, None) => self.rest(conn, now),
        }
    }

    pub(super) fn put_shared(
        &mut self,
        conn: Conn,
        used: Option<(Now, Option<Duration>)>,
        now: Now,
    ) -> (Said, Closes) {
        let c = self.known(conn);
        let share = c.share.as_mut().unwrap();
        share.leases -= 1;
        match used {
            Some(used) => (share.since, share.limit) = used,
            None => c.requests -= 1,
        }
        let c = *c;
        if let Some(first) = self.serve_line(conn, now) {
            return (Said::HandedTo(first), vec![]);
        }
        if c.share.unwrap().leases == 0 {
            return self.rest(conn, now);
        }
        match self.unfit(&c, now) {
            Some(reason) => (Said::Refused, vec![(conn, reason)]),
            None => (Said::Pooled, vec![]),
        }
    }

    /// Nobody uses it and nobody gets it: idle, or closed.
    fn rest(&mut self, conn: Conn, now: Now) -> (Said, Closes) {
        let c = self.take_out(conn);
        let share = c.share.unwrap();
        if let Some(reason) = self.unfit(&c, now) {
            self.place_freed(c.key);
            return (Said::Refused, vec![(conn, reason)]);
        }
        self.put_by(c, share.since, share.limit)
    }

    pub(in super::super) fn discard_shared(&mut self, conn: Conn) -> Closes {
        let share = self.known(conn).share.as_mut().unwrap();
        share.leases -= 1;
        let reason = *share.ending.get_or_insert(CloseReason::Broken);
        if share.leases > 0 {
            return vec![];
        }
        self.let_go(conn, reason)
    }

    pub(in super::super) fn set_capacity(&mut self, conn: Conn, capacity: u32, now: Now) {
        if self.is_shared(conn) {
            self.known(conn).share.as_mut().unwrap().capacity = capacity;
            self.serve_line(conn, now);
        }
    }

    pub(in super::super) fn retire(&mut self, conn: Conn, reason: CloseReason) -> Closes {
        if !self.is_shared(conn) {
            return vec![];
        }
        let c = self.known(conn);
        if c.place == Place::InUse {
            c.share.as_mut().unwrap().ending.get_or_insert(reason);
            return vec![];
        }
        self.let_go(conn, reason)
    }

    pub(in super::super) fn acquire_fresh(&mut self, key: usize, now: Now) -> (Said, Closes) {
        self.closing = false;
        let mut closed = vec![];
        if self.at_limit(key) {
            if let Some(c) = self.idle(Some(key)).first() {
                let reason = self.expired(c, now).unwrap_or(CloseReason::Removed);
                closed = self.let_go(c.conn, reason);
            } else if let Some(said) = self.join(key, now) {
                return (said, closed);
            }
        }
        (self.line_up(key), closed)
    }
}

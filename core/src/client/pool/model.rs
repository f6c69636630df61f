//! A naive model of the pool: plain lists, scanned anew for every question. `random.rs` compares the two.

mod shared;

use self::shared::Share;
use super::*;
use alloc::vec;
use alloc::vec::Vec;

/// Connections are numbered as they are dialled, tickets as they are given; keys are 0, 1, 2.
pub(super) type Conn = u32;
pub(super) type T = usize;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Place {
    Idle {
        seq: u64,
        since: Now,
        limit: Option<Duration>,
    },
    InUse,
    For {
        ticket: T,
        since: Now,
        limit: Option<Duration>,
    },
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    pub(super) conn: Conn,
    pub(super) key: usize,
    pub(super) created: Now,
    pub(super) requests: u32,
    pub(super) place: Place,
    pub(super) share: Option<Share>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum State {
    InLine,
    Permitted,
    Dialing,
    Served,
    Failed,
    Over,
}

/// What an operation answered, in words that both sides can say.
#[derive(Debug, PartialEq)]
pub(super) enum Said {
    Reuse(Conn, u32),
    Dial,
    Wait,
    Pending,
    Ready(Conn, Option<u32>),
    DialFailed,
    Gone,
    Delivered(T),
    Pooled,
    HandedTo(T),
    Refused,
    Unwanted,
    Done,
}

pub(super) type Closes = Vec<(Conn, CloseReason)>;

pub(super) struct Model {
    pub(super) config: PoolConfig,
    pub(super) conns: Vec<Known>,
    pub(super) tickets: Vec<(usize, State)>,
    /// Tickets whose dial is under way.
    pub(super) dials: Vec<T>,
    pub(super) news: Vec<T>,
    pub(super) seq: u64,
    pub(super) closing: bool,
    /// Tickets that a shared connection is there for, and how many requests that had; `None` where it was dialled for
    /// the ticket.
    pub(super) on: Vec<(T, Conn, Option<u32>)>,
    /// The key that gets no shared connection.
    pub(super) only_http1: usize,
}

impl Model {
    pub(super) fn count(&self, key: usize) -> usize {
        let conns = self.conns.iter().filter(|c| c.key == key).count();
        let dials = self.dials.iter().filter(|&&t| self.tickets[t].0 == key).count();
        let permits = self
            .tickets
            .iter()
            .filter(|t| **t == (key, State::Permitted))
            .count();
        conns + dials + permits
    }

    pub(super) fn waits(state: State) -> bool {
        matches!(state, State::InLine | State::Permitted | State::Dialing)
    }

    /// The limits as written in the documentation of the settings.
    pub(super) fn expired(&self, c: &Known, now: Now) -> Option<CloseReason> {
        let Place::Idle { since, limit, .. } = c.place else {
            return None;
        };
        let limit = [limit, self.config.idle_timeout].into_iter().flatten().min();
        let passed = |from: Now, time: Duration| {
            from.mono + time <= now.mono || (now.unix.0 - from.unix.0) as f64 - 1.0 >= time.as_secs_f64()
        };
        if limit.is_some_and(|l| passed(since, l)) {
            Some(CloseReason::IdleTimeout)
        } else {
            self.config
                .max_age
                .is_some_and(|a| passed(c.created, a))
                .then_some(CloseReason::MaxAge)
        }
    }

    pub(super) fn idle(&self, key: Option<usize>) -> Vec<Known> {
        let mut idle: Vec<Known> = self
            .conns
            .iter()
            .copied()
            .filter(|c| matches!(c.place, Place::Idle { .. }) && key.is_none_or(|k| c.key == k))
            .collect();
        idle.sort_by_key(|c| match c.place {
            Place::Idle { seq, .. } => seq,
            _ => 0,
        });
        idle
    }

    pub(super) fn take_out(&mut self, conn: Conn) -> Known {
        let at = self.conns.iter().position(|c| c.conn == conn).unwrap();
        self.conns.remove(at)
    }

    pub(super) fn tell(&mut self, t: T, state: State) {
        self.tickets[t].1 = state;
        if !self.news.contains(&t) {
            self.news.push(t);
        }
    }

    pub(super) fn place_freed(&mut self, key: usize) {
        if let Some(t) = self.tickets.iter().position(|x| *x == (key, State::InLine)) {
            self.tell(t, State::Permitted);
        }
    }

    pub(super) fn let_go(&mut self, conn: Conn, reason: CloseReason) -> Closes {
        let c = self.take_out(conn);
        self.place_freed(c.key);
        vec![(conn, reason)]
    }

    pub(super) fn at_limit(&self, key: usize) -> bool {
        let max = self.config.max_connections_per_host;
        max.is_some_and(|m| self.count(key) >= m.get())
    }

    pub(super) fn acquire(&mut self, key: usize, now: Now) -> (Said, Closes) {
        self.closing = false;
        let mut closed = vec![];
        if let Some(said) = self.join(key, now) {
            return (said, closed);
        }
        for c in self.idle(Some(key)).into_iter().rev() {
            if c.share.is_some_and(|s| s.capacity == 0) {
                continue;
            }
            if let Some(reason) = self.expired(&c, now) {
                closed.extend(self.let_go(c.conn, reason));
            } else if c.share.is_some() {
                return (Said::Reuse(c.conn, self.get_on(c.conn)), closed);
            } else {
                let c = self.conns.iter_mut().find(|x| x.conn == c.conn).unwrap();
                c.place = Place::InUse;
                c.requests += 1;
                return (Said::Reuse(c.conn, c.requests - 1), closed);
            }
        }
        (self.line_up(key), closed)
    }

    pub(super) fn line_up(&mut self, key: usize) -> Said {
        let t = self.tickets.len();
        if self.at_limit(key) {
            self.tickets.push((key, State::InLine));
            return Said::Wait;
        }
        self.tickets.push((key, State::Dialing));
        self.dials.push(t);
        Said::Dial
    }

    pub(super) fn poll(&mut self, t: T) -> Said {
        match self.tickets[t].1 {
            State::InLine | State::Dialing => return Said::Pending,
            State::Over => return Said::Gone,
            _ => {}
        }
        self.news.retain(|x| *x != t);
        match core::mem::replace(&mut self.tickets[t].1, State::Over) {
            State::Permitted => {
                self.tickets[t].1 = State::Dialing;
                self.dials.push(t);
                Said::Dial
            }
            State::Failed => Said::DialFailed,
            _ => {
                if let Some(at) = self.on.iter().position(|x| x.0 == t) {
                    let (_, conn, before) = self.on.remove(at);
                    return Said::Ready(conn, before.filter(|n| *n > 0));
                }
                let c = self
                    .conns
                    .iter_mut()
                    .find(|c| matches!(c.place, Place::For { ticket, .. } if ticket == t))
                    .unwrap();
                c.place = Place::InUse;
                Said::Ready(c.conn, (c.requests > 1).then(|| c.requests - 1))
            }
        }
    }

    pub(super) fn served(&self, t: T) -> Option<Known> {
        let on = self.on.iter().find(|x| x.0 == t).map(|x| x.1);
        self.conns
            .iter()
            .copied()
            .find(|c| on == Some(c.conn) || matches!(c.place, Place::For { ticket, .. } if ticket == t))
    }

    pub(super) fn cancel(&mut self, t: T, now: Now) -> (Said, Closes) {
        self.news.retain(|x| *x != t);
        match core::mem::replace(&mut self.tickets[t].1, State::Over) {
            State::Permitted => self.place_freed(self.tickets[t].0),
            State::Served => {
                let c = self.served(t).unwrap();
                if c.share.is_some() {
                    self.on.retain(|x| x.0 != t);
                    return self.put_shared(c.conn, None, now);
                }
                let Place::For { since, limit, .. } = c.place else {
                    unreachable!()
                };
                return self.put(c.conn, c.requests - 1, since, limit, now);
            }
            _ => {}
        }
        (Said::Done, vec![])
    }

    pub(super) fn put(
        &mut self,
        conn: Conn,
        requests: u32,
        since: Now,
        limit: Option<Duration>,
        now: Now,
    ) -> (Said, Closes) {
        if self.is_shared(conn) {
            return self.put_shared(conn, Some((since, limit)), now);
        }
        let mut c = self.take_out(conn);
        c.requests = requests;
        let limit = [limit, self.config.idle_timeout].into_iter().flatten().min();
        c.place = Place::Idle { seq: 0, since, limit };
        let age = Known {
            place: Place::Idle {
                seq: 0,
                since: now,
                limit: None,
            },
            ..c
        };
        let reason = if !self.config.keep_alive {
            Some(CloseReason::KeepAliveDisabled)
        } else if self.config.max_requests.is_some_and(|m| requests >= m.get()) {
            Some(CloseReason::MaxRequests)
        } else if self.config.max_age.is_some() && self.expired(&age, now) == Some(CloseReason::MaxAge) {
            Some(CloseReason::MaxAge)
        } else if since != now && self.config.idle_timeout.or(limit).is_some() {
            // Only a connection whose ticket was cancelled late comes here; its age was looked at above.
            self.expired(&c, now).map(|_| CloseReason::IdleTimeout)
        } else {
            None
        };
        if let Some(reason) = reason {
            self.place_freed(c.key);
            return (Said::Refused, vec![(conn, reason)]);
        }
        if let Some(t) = self.tickets.iter().position(|x| x.0 == c.key && Self::waits(x.1)) {
            let permitted = self.tickets[t].1 == State::Permitted;
            c.place = Place::For {
                ticket: t,
                since,
                limit,
            };
            c.requests += 1;
            let key = c.key;
            self.conns.push(c);
            self.tell(t, State::Served);
            if permitted {
                self.place_freed(key);
            }
            return (Said::HandedTo(t), vec![]);
        }
        self.put_by(c, since, limit)
    }

    /// Nobody waits for it, or gets it.
    pub(super) fn put_by(&mut self, mut c: Known, since: Now, limit: Option<Duration>) -> (Said, Closes) {
        let reason = if self.closing {
            Some(CloseReason::CloseIdle)
        } else if self
            .config
            .max_idle_per_host
            .is_some_and(|m| self.idle(Some(c.key)).len() >= m)
        {
            Some(CloseReason::TooManyIdleForHost)
        } else if self.config.max_idle == 0 {
            Some(CloseReason::TooManyIdle)
        } else {
            None
        };
        if let Some(reason) = reason {
            self.place_freed(c.key);
            return (Said::Refused, vec![(c.conn, reason)]);
        }
        self.seq += 1;
        c.place = Place::Idle {
            seq: self.seq,
            since,
            limit,
        };
        self.conns.push(c);
        let idle = self.idle(None);
        let mut closed = vec![];
        if idle.len() > self.config.max_idle {
            closed = self.let_go(idle[0].conn, CloseReason::TooManyIdle);
        }
        (Said::Pooled, closed)
    }

    pub(super) fn dialed(&mut self, at: usize, conn: Conn, now: Now) -> (Said, Closes) {
        let t = self.dials.remove(at);
        let key = self.tickets[t].0;
        let mut c = Known {
            conn,
            key,
            created: now,
            requests: 0,
            place: Place::InUse,
            share: None,
        };
        if self.tickets[t].1 == State::Dialing {
            c.place = Place::For {
                ticket: t,
                since: now,
                limit: None,
            };
            c.requests = 1;
            self.conns.push(c);
            self.tell(t, State::Served);
            return (Said::Delivered(t), vec![]);
        }
        self.conns.push(c);
        self.put(conn, 0, now, None, now)
    }

    pub(super) fn dial_failed(&mut self, at: usize) -> Said {
        let t = self.dials.remove(at);
        let said = if self.tickets[t].1 == State::Dialing {
            self.tell(t, State::Failed);
            Said::Delivered(t)
        } else {
            Said::Unwanted
        };
        self.place_freed(self.tickets[t].0);
        said
    }

    pub(super) fn expire(&mut self, now: Now) -> Closes {
        let mut closed = vec![];
        for c in self.idle(None) {
            if let Some(reason) = self.expired(&c, now)
                && (self.expires_at(&c).is_some_and(|at| at <= now.mono))
            {
                closed.extend(self.let_go(c.conn, reason));
            }
        }
        // The wall clock is looked at from the least recently used one on.
        for c in self.idle(None) {
            let Some(reason) = self.expired(&c, now) else {
                break;
            };
            closed.extend(self.let_go(c.conn, reason));
        }
        closed
    }

    pub(super) fn expires_at(&self, c: &Known) -> Option<Instant> {
        let Place::Idle { since, limit, .. } = c.place else {
            return None;
        };
        let limit = [limit, self.config.idle_timeout].into_iter().flatten().min();
        let idle = limit.map(|l| since.mono + l);
        let age = self.config.max_age.map(|a| c.created.mono + a);
        [idle, age].into_iter().flatten().min()
    }

    pub(super) fn deadline(&self, now: Now) -> Option<Instant> {
        let idle = self.idle(None);
        let at = idle.iter().filter_map(|c| self.expires_at(c)).min()?;
        Some(if self.expired(&idle[0], now).is_some() {
            at.min(now.mono)
        } else {
            at
        })
    }

    /// Idle, active, dialling, waiting, shared, their leases: of each key that is known.
    pub(super) fn stats(&self) -> Vec<(usize, [usize; 6])> {
        let mut all = vec![];
        for key in 0..3 {
            let idle = self.idle(Some(key)).len();
            let conns = self.conns.iter().filter(|c| c.key == key).count();
            let waiting = self
                .tickets
                .iter()
                .filter(|t| t.0 == key && Self::waits(t.1))
                .count();
            if self.count(key) + waiting > 0 {
                let shares = self.conns.iter().filter(|c| c.key == key).filter_map(|c| c.share);
                let leases = shares.clone().map(|s| s.leases as usize).sum();
                let dialing = self.count(key) - conns;
                all.push((
                    key,
                    [idle, conns - idle, dialing, waiting, shares.count(), leases],
                ));
            }
        }
        all
    }
}

//! Random operations on the pool and on its naive model must give the same decisions, reasons, news, deadlines
//! and statistics; and nothing may be left behind at the end.

use super::model::{Closes, Conn, Model, Said, T};
use super::*;
use crate::UnixTime;
use alloc::string::String;
use alloc::vec;
use alloc::{format, vec::Vec};
use core::num::{NonZeroU32, NonZeroUsize};
use quickcheck::{Arbitrary, Gen};

#[derive(Clone, Copy, Debug)]
enum Op {
    Acquire(usize),
    Poll(usize),
    Cancel(usize),
    /// A connection that carries so many requests at once, if the case has shared ones; else one that carries one.
    Dialed(usize, Option<NonZeroU32>),
    DialFailed(usize),
    Put(usize, Option<u8>),
    Discard(usize),
    Remove(usize),
    Expire,
    CloseIdle,
    Drain,
    // Only where the case has shared connections:
    Fresh(usize),
    Capacity(usize, u32),
    GoingAway(usize),
    Broken(usize),
    Advance {
        millis: i16,
        wall: i8,
    },
}

impl Arbitrary for Op {
    fn arbitrary(g: &mut Gen) -> Op {
        let at = usize::arbitrary(g);
        match u8::arbitrary(g) % 48 {
            0..=8 => Op::Acquire(at % 3),
            9..=14 => Op::Poll(at),
            15..=17 => Op::Cancel(at),
            18..=22 => Op::Dialed(at, NonZeroU32::new(u32::arbitrary(g) % 5)),
            23..=24 => Op::DialFailed(at),
            25..=30 => Op::Put(at, Option::<u8>::arbitrary(g).map(|l| l % 12)),
            31..=32 => Op::Discard(at),
            33 => Op::Remove(at),
            34 => Op::Expire,
            35 if at.is_multiple_of(4) => Op::CloseIdle,
            36 => Op::Drain,
            40..=41 => Op::Fresh(at % 3),
            42..=44 => Op::Capacity(at, u32::arbitrary(g) % 5),
            45..=46 => Op::GoingAway(at),
            47 => Op::Broken(at),
            _ => Op::Advance {
                // Callers read the clock before they take a lock: it may step back a little.
                millis: (at % 6000) as i16 - 300,
                wall: (i8::arbitrary(g) % 12),
            },
        }
    }
}

#[derive(Clone, Debug)]
struct Case {
    config: PoolConfig,
    /// With shared connections; then the last of the keys is for HTTP/1 only.
    sharing: bool,
    ops: Vec<Op>,
}

impl Arbitrary for Case {
    fn arbitrary(g: &mut Gen) -> Case {
        let mut some = |n: usize| {
            if bool::arbitrary(g) {
                Some(usize::arbitrary(g) % n)
            } else {
                None
            }
        };
        let config = PoolConfig {
            keep_alive: some(20) != Some(0),
            max_idle: some(4).unwrap_or(100),
            max_idle_per_host: some(3),
            max_connections_per_host: some(4).and_then(NonZeroUsize::new),
            idle_timeout: some(3).map_or(Some(Duration::from_secs(10)), |n| {
                (n > 0).then(|| Duration::from_millis(1500 * n as u64 + 1500))
            }),
            max_age: some(2).map(|n| Duration::from_secs(n as u64 * 8 + 7)),
            max_requests: some(4).and_then(|n| NonZeroU32::new(n as u32)),
        };
        // Many short histories and some long ones.
        let len = usize::arbitrary(g) % 200;
        Case {
            config,
            sharing: bool::arbitrary(g),
            ops: (0..len).map(|_| Op::arbitrary(g)).collect(),
        }
    }

    fn shrink(&self) -> alloc::boxed::Box<dyn Iterator<Item = Case>> {
        let case = self.clone();
        alloc::boxed::Box::new((0..self.ops.len()).map(move |i| {
            let mut ops = case.ops.clone();
            ops.remove(i);
            Case { ops, ..case }
        }))
    }
}

/// The pool with everything that its user holds.
struct Real {
    pool: Pool<Conn>,
    tickets: Vec<Ticket>,
    dials: Vec<Dial>,
    leases: Vec<(Conn, Lease)>,
    idle: Vec<(Conn, IdleId)>,
    shared: Vec<(Conn, SharedId)>,
}

impl Real {
    fn t(&self, ticket: Ticket) -> T {
        self.tickets.iter().position(|t| *t == ticket).unwrap()
    }

    fn acquire_said(&mut self, acquired: Acquired<Conn>) -> (Said, Closes) {
        let said = match acquired.step {
            Acquire::Reuse { conn, lease, reused } => {
                self.leases.push((conn, lease));
                Said::Reuse(conn, reused.requests)
            }
            Acquire::Dial { ticket, dial } => {
                self.tickets.push(ticket);
                self.dials.push(dial);
                Said::Dial
            }
            Acquire::Wait { ticket } => {
                self.tickets.push(ticket);
                Said::Wait
            }
        };
        (said, closes(acquired.closed))
    }

    fn put_said(&mut self, conn: Conn, put: Put<Conn>) -> (Said, Closes) {
        match put {
            Put::Pooled { id, evicted } => {
                self.idle.push((conn, id));
                (Said::Pooled, closes(evicted))
            }
            Put::HandedTo(t) => (Said::HandedTo(self.t(t)), vec![]),
            Put::Refused(closed) => (Said::Refused, closes([closed])),
        }
    }
}

fn closes(closed: impl IntoIterator<Item = Closed<Conn>>) -> Closes {
    closed.into_iter().map(|c| (c.conn, c.reason)).collect()
}

fn run(case: &Case) -> Result<(), String> {
    let mut keys: Vec<Key> = ["a", "b", "c"]
        .iter()
        .map(|h| Key::new(Scheme::Http, h, 80))
        .collect();
    if case.sharing {
        keys[2] = keys[2].clone().only_http1();
    }
    let mut real = Real {
        pool: Pool::new(case.config),
        tickets: vec![],
        dials: vec![],
        leases: vec![],
        idle: vec![],
        shared: vec![],
    };
    let mut model = Model {
        config: case.config,
        conns: vec![],
        tickets: vec![],
        dials: vec![],
        news: vec![],
        seq: 0,
        closing: false,
        on: vec![],
        only_http1: if case.sharing { 2 } else { usize::MAX },
    };
    let mut now = Now {
        mono: Instant::ZERO,
        unix: UnixTime(1_000_000),
    };
    let mut conns = 0;
    for (step, op) in case.ops.iter().enumerate() {
        let pick = |at: usize, n: usize| (n > 0).then(|| at % n.max(1));
        let (got, want) = match *op {
            Op::Fresh(_) | Op::Capacity(..) | Op::GoingAway(_) | Op::Broken(_) if !case.sharing => continue,
            Op::Acquire(key) => {
                let acquired = real.pool.acquire(&keys[key], now);
                (real.acquire_said(acquired), model.acquire(key, now))
            }
            Op::Fresh(key) => {
                let acquired = real.pool.acquire_fresh(&keys[key], now);
                (real.acquire_said(acquired), model.acquire_fresh(key, now))
            }
            Op::Capacity(at, capacity) => {
                let Some(at) = pick(at, real.shared.len()) else {
                    continue;
                };
                let (conn, id) = real.shared[at];
                real.pool.set_capacity(id, capacity, now);
                model.set_capacity(conn, capacity, now);
                ((Said::Done, vec![]), (Said::Done, vec![]))
            }
            Op::GoingAway(at) | Op::Broken(at) => {
                let Some(at) = pick(at, real.shared.len()) else {
                    continue;
                };
                let (conn, id) = real.shared[at];
                let (got, reason) = match op {
                    Op::Broken(_) => (real.pool.broken(id), CloseReason::Broken),
                    _ => (real.pool.going_away(id), CloseReason::GoingAway),
                };
                (
                    (Said::Done, closes(got)),
                    (Said::Done, model.retire(conn, reason)),
                )
            }
            Op::Poll(at) => {
                let Some(t) = pick(at, real.tickets.len()) else {
                    continue;
                };
                let said = match real.pool.poll(real.tickets[t]) {
                    Poll::Pending => Said::Pending,
                    Poll::Dial(dial) => {
                        real.dials.push(dial);
                        Said::Dial
                    }
                    Poll::Ready { conn, lease, reused } => {
                        real.leases.push((conn, lease));
                        // A spare dial that was handed over served nobody, as did a fresh one.
                        Said::Ready(conn, reused.map(|r| r.requests).filter(|r| *r > 0))
                    }
                    Poll::DialFailed => Said::DialFailed,
                    Poll::Gone => Said::Gone,
                };
                ((said, vec![]), (model.poll(t), vec![]))
            }
            Op::Cancel(at) => {
                let Some(t) = pick(at, real.tickets.len()) else {
                    continue;
                };
                let got = match real.pool.cancel(real.tickets[t], now) {
                    Some(put) => {
                        let conn = model.served(t).map_or(0, |c| c.conn);
                        real.put_said(conn, put)
                    }
                    None => (Said::Done, vec![]),
                };
                (got, model.cancel(t, now))
            }
            Op::Dialed(at, capacity) => {
                let Some(at) = pick(at, real.dials.len()) else {
                    continue;
                };
                conns += 1;
                let dial = real.dials.remove(at);
                let capacity = capacity.filter(|_| case.sharing);
                let dialed = match capacity {
                    None => real.pool.dialed(dial, conns, now),
                    Some(capacity) => {
                        let shared = real.pool.dialed_shared(dial, conns, |c| *c, capacity, now);
                        real.shared.push((conns, shared.id));
                        shared.dialed
                    }
                };
                let got = match dialed {
                    Dialed::Delivered(t) => (Said::Delivered(real.t(t)), vec![]),
                    Dialed::Spare(put) => real.put_said(conns, put),
                };
                let want = match capacity {
                    None => model.dialed(at, conns, now),
                    Some(capacity) => model.dialed_shared(at, conns, capacity.get(), now),
                };
                (got, want)
            }
            Op::DialFailed(at) => {
                let Some(at) = pick(at, real.dials.len()) else {
                    continue;
                };
                let dial = real.dials.remove(at);
                let said = match real.pool.dial_failed(dial) {
                    DialFailed::Delivered(t) => Said::Delivered(real.t(t)),
                    DialFailed::Unwanted => Said::Unwanted,
                };
                ((said, vec![]), (model.dial_failed(at), vec![]))
            }
            Op::Put(at, limit) => {
                let Some(at) = pick(at, real.leases.len()) else {
                    continue;
                };
                let limit = limit.map(|l| Duration::from_secs(u64::from(l) + 1));
                let (conn, lease) = real.leases.remove(at);
                let requests = lease.requests();
                let put = real.pool.put(lease, conn, limit, now);
                let got = real.put_said(conn, put);
                (got, model.put(conn, requests, now, limit, now))
            }
            Op::Discard(at) => {
                let Some(at) = pick(at, real.leases.len()) else {
                    continue;
                };
                let (conn, lease) = real.leases.remove(at);
                let got = closes(real.pool.discard(lease));
                let want = if model.is_shared(conn) {
                    model.discard_shared(conn)
                } else {
                    let c = model.take_out(conn);
                    model.place_freed(c.key);
                    vec![]
                };
                ((Said::Done, got), (Said::Done, want))
            }
            Op::Remove(at) => {
                let Some(at) = pick(at, real.idle.len()) else {
                    continue;
                };
                let (conn, id) = real.idle[at];
                let got = closes(real.pool.remove(id));
                // Ids are of one idle period: later ones of the same connection have another.
                let latest = real.idle.iter().rposition(|x| x.0 == conn) == Some(at);
                let mut want = vec![];
                if latest && model.idle(None).iter().any(|c| c.conn == conn) {
                    want = model.let_go(conn, CloseReason::Removed);
                }
                ((Said::Done, got), (Said::Done, want))
            }
            Op::Expire => {
                let mut got = closes(real.pool.expire(now));
                let mut want = model.expire(now);
                got.sort();
                want.sort();
                if real.pool.deadline(now).is_some_and(|at| at <= now.mono) {
                    return Err(format!("step {step}: a deadline is left after expire"));
                }
                ((Said::Done, got), (Said::Done, want))
            }
            Op::CloseIdle => {
                let got = closes(real.pool.close_idle());
                let want = model
                    .idle(None)
                    .iter()
                    .map(|c| (c.conn, CloseReason::CloseIdle))
                    .collect::<Vec<_>>();
                for (conn, reason) in &want {
                    model.let_go(*conn, *reason);
                }
                model.closing = true;
                ((Said::Done, got), (Said::Done, want))
            }
            Op::Drain => {
                let mut got = vec![];
                while let Some(t) = real.pool.next_ready() {
                    got.push(real.t(t));
                }
                model.news.sort_unstable();
                if got != model.news {
                    return Err(format!("step {step}: news {got:?}, expected {:?}", model.news));
                }
                model.news.clear();
                continue;
            }
            Op::Advance { millis, wall } => {
                let step = Duration::from_millis(millis.unsigned_abs().into());
                now.mono = if millis < 0 {
                    now.mono - step
                } else {
                    now.mono + step
                };
                now.unix.0 += i64::from(wall);
                ((Said::Done, vec![]), (Said::Done, vec![]))
            }
        };
        if got != want {
            return Err(format!("step {step}, {op:?}: {got:?}, expected {want:?}"));
        }
        if real.pool.deadline(now) != model.deadline(now) {
            let (a, b) = (real.pool.deadline(now), model.deadline(now));
            return Err(format!("step {step}, {op:?}: deadline {a:?}, expected {b:?}"));
        }
        let stats: Vec<_> = real
            .pool
            .stats_by_key()
            .map(|(k, s)| {
                let key = keys.iter().position(|x| x == k).unwrap();
                (
                    key,
                    [s.idle, s.active, s.dialing, s.waiting, s.shared, s.shared_leases],
                )
            })
            .collect();
        if stats != model.stats() {
            return Err(format!(
                "step {step}, {op:?}: {stats:?}, expected {:?}",
                model.stats()
            ));
        }
        for (key, [idle, active, dialing, waiting, ..]) in &stats {
            let limit = case
                .config
                .max_connections_per_host
                .map_or(usize::MAX, NonZeroUsize::get);
            // Beside an idle connection nobody waits but for a fresh one, or because it has no room at all.
            let in_vain = *idle > 0 && *waiting > 0 && !case.sharing;
            if idle + active + dialing > limit || in_vain {
                return Err(format!("step {step}, {op:?}: key {key}: {stats:?}"));
            }
        }
    }
    // Everybody goes home: nothing may be left behind.
    for t in 0..real.tickets.len() {
        real.pool.cancel(real.tickets[t], now);
    }
    for dial in real.dials.drain(..) {
        real.pool.dial_failed(dial);
    }
    for (_, lease) in real.leases.drain(..) {
        real.pool.discard(lease);
    }
    real.pool.close_idle();
    let p = &real.pool;
    let empty = p.keys.is_empty()
        && p.idle.oldest().is_none()
        && p.idle.first_expiry(None).is_none()
        && p.shared.all().next().is_none()
        && p.waiters.is_empty();
    if !empty || !p.ready.is_empty() || p.hosts.iter().any(Option::is_some) {
        return Err(format!("left behind: {p:?}"));
    }
    Ok(())
}

#[test]
fn the_pool_does_what_the_model_does() {
    fn agrees(case: Case) -> Result<(), String> {
        run(&case)
    }
    crate::cases::check(3_000, agrees as fn(Case) -> Result<(), String>);
}

//! Shared connections, one story each, with a fake one: a name, of which every handle is counted.

use super::*;
use alloc::rc::Rc;

/// A handle to the fake multiplexed connection of this name.
type Fake = Rc<&'static str>;
type Shares = Pool<Fake>;

fn shares(change: impl Fn(&mut PoolConfig)) -> Shares {
    let mut config = PoolConfig::DEFAULT;
    change(&mut config);
    Pool::new(config)
}

fn streams(n: u32) -> NonZeroU32 {
    NonZeroU32::new(n).unwrap()
}

/// The dial gives a connection of this name.
fn share(p: &mut Shares, dial: Dial, name: &'static str, capacity: u32, now: Now) -> DialedShared<Fake> {
    p.dialed_shared(dial, Rc::new(name), Rc::clone, streams(capacity), now)
}

fn ask(p: &mut Shares, key: &Key, now: Now) -> (Ticket, Option<Dial>) {
    match p.acquire(key, now).step {
        Acquire::Dial { ticket, dial } => (ticket, Some(dial)),
        Acquire::Wait { ticket } => (ticket, None),
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn joins(p: &mut Shares, host: &str, expected: &str, now: Now) -> (Fake, Lease) {
    match p.acquire(&key(host), now).step {
        Acquire::Reuse { conn, lease, .. } if **conn == *expected => (conn, lease),
        other => panic!("expected {expected}: {other:?}"),
    }
}

#[track_caller]
fn gets(p: &mut Shares, ticket: Ticket, expected: &str) -> (Fake, Lease, Option<Reused>) {
    match p.poll(ticket) {
        Poll::Ready { conn, lease, reused } if **conn == *expected => (conn, lease, reused),
        other => panic!("expected {expected}: {other:?}"),
    }
}

/// A shared connection with one request in progress.
fn one(p: &mut Shares, name: &'static str, capacity: u32, now: Now) -> (SharedId, Fake, Lease) {
    let (ticket, dial) = ask(p, &key("h"), now);
    let id = share(p, dial.unwrap(), name, capacity, now).id;
    let (conn, lease, _) = gets(p, ticket, name);
    assert_eq!(p.next_ready(), None);
    (id, conn, lease)
}

fn news(p: &mut Shares) -> Vec<Ticket> {
    core::iter::from_fn(|| p.next_ready()).collect()
}

fn put(p: &mut Shares, (conn, lease): (Fake, Lease), now: Now) -> Put<Fake> {
    p.put(lease, conn, None, now)
}

/// 1. Five requests, one connection per host: one dials, four wait in line.
/// 2. The connection carries three at once: three are served, two go on waiting, nobody dials.
/// 3. A request ends: the fourth gets on.
/// 4. A request that needs HTTP/1 gets none of it and dials, though the host's line is full: its key is another. What
///    it dialled is refused if it turns out to be shared.
/// 5. The peer goes away: the fifth does not get on when the next request ends, but those in progress go on. The
///    connection is closed with the last, and the fifth inherits the place.
#[test]
fn five_requests_one_dial() {
    let mut p = shares(|c| c.max_connections_per_host = NonZeroUsize::new(1));
    let (t1, dial) = ask(&mut p, &key("h"), at(0));
    let waiting: Vec<Ticket> = (0..4)
        .map(|_| {
            let (ticket, dial) = ask(&mut p, &key("h"), at(0));
            assert!(dial.is_none());
            ticket
        })
        .collect();

    let DialedShared { id, dialed } = share(&mut p, dial.unwrap(), "m", 3, at(10));
    assert!(matches!(dialed, Dialed::Delivered(t) if t == t1));
    assert_eq!(news(&mut p), [t1, waiting[0], waiting[1]]);
    let (first, lease, reused) = gets(&mut p, t1, "m");
    assert_eq!((lease.shared(), lease.requests(), reused), (Some(id), 1, None));
    let (second, second_lease, reused) = gets(&mut p, waiting[0], "m");
    assert_eq!((second_lease.shared(), second_lease.requests()), (Some(id), 2));
    assert_eq!(
        reused.map(|r| (r.idle, r.age, r.requests)),
        Some((Duration::ZERO, Duration::ZERO, 1))
    );
    let third = gets(&mut p, waiting[1], "m");
    for t in &waiting[2..] {
        assert!(matches!(p.poll(*t), Poll::Pending));
    }
    let s = p.stats();
    assert_eq!((s.idle, s.active, s.dialing, s.waiting), (0, 1, 0, 2));
    assert_eq!((s.shared, s.shared_leases), (1, 3));
    // Three handles, and the pool's own.
    assert_eq!(Rc::strong_count(&first), 4);

    assert!(matches!(put(&mut p, (first, lease), at(20)), Put::HandedTo(t) if t == waiting[2]));
    assert_eq!(news(&mut p), [waiting[2]]);
    let fourth = gets(&mut p, waiting[2], "m");

    let http1 = key("h").only_http1();
    let (upgrade, dial) = ask(&mut p, &http1, at(21));
    let DialedShared { dialed, .. } = share(&mut p, dial.unwrap(), "not wanted", 3, at(22));
    let Dialed::Spare(Put::Refused(closed)) = dialed else {
        panic!("{dialed:?}")
    };
    assert_eq!(
        (*closed.conn, closed.reason),
        ("not wanted", CloseReason::OnlyHttp1)
    );
    assert_eq!(news(&mut p), [upgrade]);
    assert!(matches!(p.poll(upgrade), Poll::DialFailed));
    let (upgrade, dial) = ask(&mut p, &http1, at(23));
    assert!(
        matches!(p.dialed(dial.unwrap(), Rc::new("http/1.1"), at(24)), Dialed::Delivered(t) if t == upgrade)
    );
    let (conn, lease, _) = gets(&mut p, upgrade, "http/1.1");
    assert!(p.discard(lease).is_none(), "the caller has it");
    drop(conn);

    assert_eq!(p.going_away(id), None);
    let Put::Refused(Closed { conn, reason }) = put(&mut p, (second, second_lease), at(30)) else {
        panic!()
    };
    assert_eq!((*conn, reason), ("m", CloseReason::GoingAway));
    drop(conn);
    assert!(matches!(put(&mut p, (third.0, third.1), at(31)), Put::Refused(_)));
    assert!(matches!(p.poll(waiting[3]), Poll::Pending));
    assert_eq!(
        (
            p.stats().active,
            p.stats().counters.closed_for(CloseReason::GoingAway)
        ),
        (1, 0)
    );
    let Put::Refused(Closed { conn, reason }) = put(&mut p, (fourth.0, fourth.1), at(32)) else {
        panic!()
    };
    assert_eq!((Rc::try_unwrap(conn), reason), (Ok("m"), CloseReason::GoingAway));
    assert_eq!(p.stats().counters.closed_for(CloseReason::GoingAway), 1);
    assert_eq!(news(&mut p), [waiting[3]]);
    assert!(matches!(p.poll(waiting[3]), Poll::Dial(_)));
}

#[test]
fn it_stays_in_the_pool_while_it_is_used() {
    let mut p = shares(|_| {});
    let (_, a, a_lease) = one(&mut p, "m", 2, at(0));
    let b = joins(&mut p, "h", "m", at(5));
    // Full: the next dials.
    let (t, dial) = ask(&mut p, &key("h"), at(6));
    assert!(p.cancel(t, at(6)).is_none());
    assert_eq!(p.dial_failed(dial.unwrap()), DialFailed::Unwanted);
    // Nothing is idle, so nothing expires, is closed or removed.
    assert_eq!((p.deadline(secs(500)), p.close_idle()), (None, vec![]));
    assert_eq!(p.expire(secs(500)), vec![]);
    let Put::Pooled { id, evicted: None } = put(&mut p, b, secs(500)) else {
        panic!()
    };
    assert_eq!((p.remove(id), p.stats().idle), (None, 0));
    // With the last request it is idle, for as long as any other connection.
    let c = joins(&mut p, "h", "m", secs(501));
    pooled_shared(put(&mut p, c, secs(501)));
    let id = pooled_shared(put(&mut p, (a, a_lease), secs(502)));
    assert_eq!((p.stats().idle, p.deadline(secs(502))), (1, Some(secs(592).mono)));
    let Acquire::Reuse { conn, lease, reused } = p.acquire(&key("h"), secs(510)).step else {
        panic!()
    };
    assert_eq!((reused.idle, reused.requests), (Duration::from_secs(8), 3));
    assert_eq!((p.remove(id), p.deadline(secs(510))), (None, None));
    pooled_shared(put(&mut p, (conn, lease), secs(510)));
    let closed = p.expire(secs(600));
    assert_eq!(closed[0].reason, CloseReason::IdleTimeout);
    assert_eq!(Rc::strong_count(&closed[0].conn), 1, "the last handle");
    assert_eq!((p.stats().shared, p.stats_by_key().count()), (0, 0));
}

#[track_caller]
fn pooled_shared(put: Put<Fake>) -> IdleId {
    match put {
        Put::Pooled { id, evicted: None } => id,
        other => panic!("{other:?}"),
    }
}

#[test]
fn capacity_follows_the_peer() {
    let mut p = shares(|c| c.max_connections_per_host = NonZeroUsize::new(1));
    let (id, conn, lease) = one(&mut p, "m", 1, at(0));
    let (t2, _) = ask(&mut p, &key("h"), at(0));
    let (t3, _) = ask(&mut p, &key("h"), at(0));
    p.set_capacity(id, 2, at(1));
    assert_eq!(news(&mut p), [t2]);
    let b = gets(&mut p, t2, "m");
    // Less than are in progress: they go on, and the next gets on when enough have ended.
    p.set_capacity(id, 1, at(2));
    pooled_shared(put(&mut p, (b.0, b.1), at(3)));
    assert!(matches!(put(&mut p, (conn, lease), at(4)), Put::HandedTo(t) if t == t3));
    let c = gets(&mut p, t3, "m");
    // No room at all: it may be idle while others wait, and serves them when there is room.
    p.set_capacity(id, 0, at(5));
    pooled_shared(put(&mut p, (c.0, c.1), at(6)));
    let (t4, dial) = ask(&mut p, &key("h"), at(7));
    assert!(dial.is_none());
    assert_eq!((p.stats().idle, p.stats().waiting), (1, 1));
    p.set_capacity(id, 3, at(1006));
    let _news = news(&mut p);
    let (_conn, _lease, reused) = gets(&mut p, t4, "m");
    assert_eq!(reused.map(|r| r.idle), Some(Duration::from_secs(1)));
    assert_eq!((p.stats().idle, p.stats().active), (0, 1));
}

#[test]
fn without_room_it_makes_room_in_the_end() {
    let mut p = shares(|c| c.max_connections_per_host = NonZeroUsize::new(1));
    let (id, conn, lease) = one(&mut p, "m", 1, secs(0));
    p.set_capacity(id, 0, secs(0));
    pooled_shared(put(&mut p, (conn, lease), secs(0)));
    let (t, _) = ask(&mut p, &key("h"), secs(1));
    assert_eq!(p.expire(secs(90)).len(), 1);
    assert!(matches!(p.poll(t), Poll::Dial(_)));
}

#[test]
fn a_late_dial_serves_all_that_wait() {
    let mut p = shares(|_| {});
    let (t1, d1) = ask(&mut p, &key("h"), at(0));
    let (t2, d2) = ask(&mut p, &key("h"), at(0));
    let (t3, _d3) = ask(&mut p, &key("h"), at(0));
    assert!(p.cancel(t1, at(0)).is_none());
    let DialedShared { dialed, .. } = share(&mut p, d1.unwrap(), "m", 100, at(1));
    assert!(matches!(dialed, Dialed::Spare(Put::HandedTo(t)) if t == t2));
    assert_eq!(news(&mut p), [t2, t3]);
    // The other dial was for nothing this time; its connection is idle.
    let DialedShared { id, dialed } = share(&mut p, d2.unwrap(), "n", 100, at(2));
    assert!(matches!(dialed, Dialed::Spare(Put::Pooled { .. })));
    let _a = gets(&mut p, t2, "m");
    // A cancelled ticket gives its stream back, and is not counted as a request.
    assert!(matches!(p.cancel(t3, at(3)), Some(Put::Pooled { .. })));
    assert_eq!(p.stats().shared_leases, 1);
    let b = joins(&mut p, "h", "m", at(4));
    assert_eq!(b.1.requests(), 2);
    let closed = p.going_away(id).unwrap();
    assert_eq!((*closed.conn, closed.reason), ("n", CloseReason::GoingAway));
    assert_eq!(p.going_away(id), None, "known no more");
}

#[test]
fn one_that_breaks_is_broken_for_all() {
    let mut p = shares(|_| {});
    let (_, a, a_lease) = one(&mut p, "m", 3, at(0));
    let (b, b_lease) = joins(&mut p, "h", "m", at(0));
    let c = joins(&mut p, "h", "m", at(0));
    drop(a);
    assert_eq!(p.discard(a_lease), None);
    // Nobody gets it, though it has room.
    let (t, _dial) = ask(&mut p, &key("h"), at(1));
    assert!(matches!(
        put(&mut p, c, at(2)),
        Put::Refused(Closed {
            reason: CloseReason::Broken,
            ..
        })
    ));
    drop(b);
    let closed = p.discard(b_lease).unwrap();
    assert_eq!(
        (Rc::strong_count(&closed.conn), closed.reason),
        (1, CloseReason::Broken)
    );
    assert!(p.cancel(t, at(3)).is_none());
    let s = p.stats();
    assert_eq!(
        (s.shared, s.active, s.counters.closed_for(CloseReason::Broken)),
        (0, 0, 1)
    );
}

#[test]
fn limits_hold_for_new_requests_only() {
    let mut p = shares(|c| {
        c.max_requests = NonZeroU32::new(2);
        c.max_age = Some(Duration::from_secs(60));
    });
    let (_, a, a_lease) = one(&mut p, "m", 9, at(0));
    let b = joins(&mut p, "h", "m", at(0));
    let (_, n, n_lease) = one(&mut p, "n", 9, at(1));
    assert!(matches!(
        put(&mut p, b, at(2)),
        Put::Refused(Closed {
            reason: CloseReason::MaxRequests,
            ..
        })
    ));
    assert!(matches!(put(&mut p, (a, a_lease), at(3)), Put::Refused(_)));
    let (t, _dial) = ask(&mut p, &key("h"), secs(61));
    assert!(matches!(p.poll(t), Poll::Pending));
    assert!(matches!(
        put(&mut p, (n, n_lease), secs(62)),
        Put::Refused(Closed {
            reason: CloseReason::MaxAge,
            ..
        })
    ));

    // Without keep-alive a connection serves the request that dialled it.
    let mut p = shares(|c| c.keep_alive = false);
    let (t1, dial) = ask(&mut p, &key("h"), at(0));
    let (t2, _dial) = ask(&mut p, &key("h"), at(0));
    let _shared = share(&mut p, dial.unwrap(), "m", 9, at(1));
    assert_eq!(news(&mut p), [t1]);
    let (conn, lease, _) = gets(&mut p, t1, "m");
    assert!(matches!(p.poll(t2), Poll::Pending));
    let Put::Refused(Closed { reason, .. }) = put(&mut p, (conn, lease), at(2)) else {
        panic!()
    };
    assert_eq!(reason, CloseReason::KeepAliveDisabled);
}

/// The first in use with room is taken, so that the others fall idle.
#[test]
fn requests_gather_on_few_connections() {
    let mut p = shares(|_| {});
    let (_, _m, _m_lease) = one(&mut p, "m", 2, at(0));
    let m = joins(&mut p, "h", "m", at(0));
    let (_, n, n_lease) = one(&mut p, "n", 2, at(0));
    pooled_shared(put(&mut p, m, at(1)));
    let _m = joins(&mut p, "h", "m", at(2));
    let n2 = joins(&mut p, "h", "n", at(2));
    pooled_shared(put(&mut p, n2, at(3)));
    pooled_shared(put(&mut p, (n, n_lease), at(4)));
    assert_eq!((p.stats().idle, p.stats().active), (1, 1));
}

#[test]
fn a_fresh_connection_is_not_one_that_was_idle() {
    let mut p = shares(|c| c.max_connections_per_host = NonZeroUsize::new(2));
    let (_, a, a_lease) = one(&mut p, "m", 2, at(0));
    // There is a place, so it dials beside the one in use.
    let Acquired { step, closed } = p.acquire_fresh(&key("h"), at(1));
    let Acquire::Dial { ticket, dial } = step else {
        panic!("{step:?}")
    };
    assert!(closed.is_empty() && matches!(p.poll(ticket), Poll::Pending));
    // There is none: one in use is as good as any.
    let Acquire::Reuse { conn, lease, .. } = p.acquire_fresh(&key("h"), at(2)).step else {
        panic!()
    };
    assert_eq!(*conn, "m");
    assert!(matches!(put(&mut p, (conn, lease), at(3)), Put::HandedTo(t) if t == ticket));
    let b = gets(&mut p, ticket, "m");
    pooled_shared(put(&mut p, (b.0, b.1), at(4)));
    pooled_shared(put(&mut p, (a, a_lease), at(5)));
    assert_eq!(p.dial_failed(dial), DialFailed::Unwanted);
    // An idle one makes room where there is none.
    let (_t, _d) = {
        let Acquire::Dial { ticket, dial } = p.acquire_fresh(&key("h"), at(6)).step else {
            panic!()
        };
        (ticket, dial)
    };
    let Acquired { step, closed } = p.acquire_fresh(&key("h"), at(7));
    assert!(matches!(step, Acquire::Dial { .. }));
    assert_eq!((closed.len(), Rc::strong_count(&closed[0].conn)), (1, 1));
    assert_eq!((p.stats().shared, p.stats().idle), (0, 0));
}

#[test]
fn foreign_tokens_of_shared_connections_do_no_harm() {
    let (mut p, mut q) = (shares(|_| {}), shares(|_| {}));
    let (id, a, a_lease) = one(&mut p, "m", 9, at(0));
    let b = joins(&mut p, "h", "m", at(0));
    q.set_capacity(id, 9, at(0));
    assert_eq!(
        (q.going_away(id), q.broken(id), q.discard(a_lease)),
        (None, None, None)
    );
    assert!(matches!(
        put(&mut q, b, at(0)),
        Put::Refused(Closed {
            reason: CloseReason::Removed,
            ..
        })
    ));
    let (_, dial) = ask(&mut p, &key("i"), at(0));
    let refused = share(&mut q, dial.unwrap(), "n", 1, at(0));
    assert!(matches!(refused.dialed, Dialed::Spare(Put::Refused(_))));
    q.set_capacity(refused.id, 9, at(0));
    // Nor where the other pool has one of the same name, idle or in use: only its count of requests suffers.
    let (second, conn, lease) = one(&mut q, "o", 2, at(0));
    assert_eq!((second, q.stats().shared_leases), (id, 1));
    pooled_shared(put(&mut q, (conn, lease), at(1)));
    let foreign = joins(&mut p, "h", "m", at(1));
    assert!(matches!(put(&mut q, foreign, at(1)), Put::Refused(_)));
    let foreign = joins(&mut p, "h", "m", at(1));
    assert_eq!(q.discard(foreign.1), None);
    assert_eq!(q.going_away(refused.id), None);
    assert_eq!((q.stats().shared, q.stats().idle), (1, 1));
    let _o = joins(&mut q, "h", "o", at(2));
    drop(a);
}

//! The pool's rules, one story each; times at t-1 and at t. Random operations are in `random.rs`.

mod limits;
mod shared;

use super::*;
use crate::UnixTime;
use alloc::string::ToString;
use alloc::vec;
use core::num::{NonZeroU32, NonZeroUsize};

type P = Pool<&'static str>;

/// Both clocks agree.
fn at(millis: u64) -> Now {
    Now {
        mono: Instant::from_millis(millis),
        unix: UnixTime(1_000_000 + (millis / 1000) as i64),
    }
}

fn secs(s: u64) -> Now {
    at(s * 1000)
}

fn key(host: &str) -> Key {
    Key::new(Scheme::Http, host, 80)
}

fn pool(change: impl Fn(&mut PoolConfig)) -> P {
    let mut config = PoolConfig::DEFAULT;
    change(&mut config);
    Pool::new(config)
}

/// A request that must dial, and does.
fn connect(p: &mut P, host: &str, conn: &'static str, now: Now) -> Lease {
    let Acquire::Dial { ticket, dial } = p.acquire(&key(host), now).step else {
        panic!("expected to dial")
    };
    let Dialed::Delivered(t) = p.dialed(dial, conn, now) else {
        panic!()
    };
    assert_eq!(t, ticket);
    assert_eq!(p.next_ready(), Some(ticket));
    ready(p, ticket, conn).0
}

fn ready(p: &mut P, ticket: Ticket, expected: &str) -> (Lease, Option<Reused>) {
    match p.poll(ticket) {
        Poll::Ready { conn, lease, reused } if conn == expected => (lease, reused),
        other => panic!("expected {expected}: {other:?}"),
    }
}

fn reuse(p: &mut P, host: &str, expected: &str, now: Now) -> Lease {
    match p.acquire(&key(host), now).step {
        Acquire::Reuse { conn, lease, .. } if conn == expected => lease,
        other => panic!("expected {expected}: {other:?}"),
    }
}

fn dial(p: &mut P, host: &str, now: Now) -> (Ticket, Dial) {
    match p.acquire(&key(host), now).step {
        Acquire::Dial { ticket, dial } => (ticket, dial),
        other => panic!("{other:?}"),
    }
}

fn wait(p: &mut P, host: &str, now: Now) -> Ticket {
    match p.acquire(&key(host), now).step {
        Acquire::Wait { ticket } => ticket,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn pooled(put: Put<&'static str>) -> IdleId {
    match put {
        Put::Pooled { id, evicted: None } => id,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn refused(put: Put<&'static str>) -> (&'static str, CloseReason) {
    match put {
        Put::Refused(Closed { conn, reason }) => (conn, reason),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_most_recently_used_serves_first() {
    let mut p = pool(|_| {});
    let (a, b) = (connect(&mut p, "h", "a", at(0)), connect(&mut p, "h", "b", at(0)));
    pooled(p.put(a, "a", None, at(1)));
    pooled(p.put(b, "b", None, at(2)));
    let b = reuse(&mut p, "h", "b", at(3));
    assert!(b.is_reused() && b.requests() == 2 && b.created() == at(0));
    let _a = reuse(&mut p, "h", "a", at(3));
    let _dial = dial(&mut p, "h", at(3));
}

#[test]
fn keys_do_not_share() {
    let mut p = pool(|_| {});
    let a = connect(&mut p, "h", "a", at(0));
    pooled(p.put(a, "a", None, at(0)));
    for other in [
        Key::new(Scheme::Https, "h", 80),
        Key::new(Scheme::Http, "h", 81),
        Key::new(Scheme::Http, "i", 80),
        key("h").through("http://proxy:3128"),
    ] {
        assert!(
            matches!(p.acquire(&other, at(0)).step, Acquire::Dial { .. }),
            "{other}"
        );
    }
    let _a = reuse(&mut p, "H", "a", at(0));
}

#[test]
fn a_proxy_is_shown_without_its_credentials() {
    for proxy in [
        "http://me:secret@proxy:3128/",
        "me:secret@proxy:3128",
        "socks5://me:s@ec@ret@proxy:1",
    ] {
        let key = key("h").through(proxy);
        let shown = alloc::format!("{key} {key:?}");
        assert!(
            !shown.contains("me") && !shown.contains("ret") && !shown.contains('@'),
            "{shown}"
        );
        assert_eq!(key.proxy(), Some(proxy));
    }
    assert_eq!(
        key("h").through("http://u:p@q:1/").to_string(),
        "http://h:80 through http://q:1"
    );
}

/// 1. A request dials.
/// 2. Before the dial is done, another connection of the host becomes free: the request takes it.
/// 3. The dial's connection is not wasted but becomes idle.
#[test]
fn an_idle_connection_races_the_dial() {
    let mut p = pool(|_| {});
    let a = connect(&mut p, "h", "a", at(0));
    let (t, d) = dial(&mut p, "h", at(1));
    assert!(matches!(p.poll(t), Poll::Pending));
    assert!(matches!(p.put(a, "a", None, at(2)), Put::HandedTo(x) if x == t));
    assert_eq!((p.next_ready(), p.next_ready()), (Some(t), None));
    let Dialed::Spare(put) = p.dialed(d, "late", at(3)) else {
        panic!()
    };
    pooled(put);
    // One result only: the one that came first.
    let (_lease, reused) = ready(&mut p, t, "a");
    assert_eq!(
        reused.map(|r| (r.idle, r.age.as_millis(), r.requests)),
        Some((Duration::ZERO, 2, 1))
    );
    assert!(matches!(p.poll(t), Poll::Gone));
    // The late one was never used.
    let Acquire::Reuse {
        conn: "late", reused, ..
    } = p.acquire(&key("h"), at(10)).step
    else {
        panic!()
    };
    assert_eq!((reused.requests, reused.idle.as_millis()), (0, 7));
}

#[test]
fn a_dial_serves_its_own_ticket_before_older_ones() {
    let mut p = pool(|_| {});
    let (t1, d1) = dial(&mut p, "h", at(0));
    let (t2, d2) = dial(&mut p, "h", at(0));
    assert!(matches!(p.dialed(d2, "b", at(1)), Dialed::Delivered(t) if t == t2));
    assert!(matches!(p.dialed(d1, "a", at(1)), Dialed::Delivered(t) if t == t1));
    let _ = (ready(&mut p, t1, "a"), ready(&mut p, t2, "b"));
}

#[test]
fn a_late_dial_serves_the_first_in_line() {
    let mut p = pool(|_| {});
    let (t1, d1) = dial(&mut p, "h", at(0));
    let (t2, _d2) = dial(&mut p, "h", at(0));
    let (t3, _d3) = dial(&mut p, "h", at(0));
    assert!(p.cancel(t1, at(0)).is_none());
    // The dial outlives the request; its connection goes to the one that has waited longest.
    assert!(matches!(p.dialed(d1, "a", at(1)), Dialed::Spare(Put::HandedTo(t)) if t == t2));
    let (lease, _) = ready(&mut p, t2, "a");
    assert!(matches!(p.put(lease, "a", None, at(1)), Put::HandedTo(t) if t == t3));
}

#[test]
fn a_failed_dial_tells_its_ticket_unless_that_was_served() {
    let mut p = pool(|_| {});
    let (t, d) = dial(&mut p, "h", at(0));
    assert_eq!(p.dial_failed(d), DialFailed::Delivered(t));
    assert_eq!(p.next_ready(), Some(t));
    assert!(matches!(p.poll(t), Poll::DialFailed));
    assert!(matches!(p.poll(t), Poll::Gone));
    assert_eq!(p.stats_by_key().count(), 0);

    let a = connect(&mut p, "h", "a", at(0));
    let (t, d) = dial(&mut p, "h", at(0));
    assert!(matches!(p.put(a, "a", None, at(0)), Put::HandedTo(_)));
    assert_eq!(p.dial_failed(d), DialFailed::Unwanted);
    let _ = ready(&mut p, t, "a");
}

/// 1. One connection per host: the second and third request wait in line without dialling.
/// 2. The connection breaks: the second inherits the place and is told to dial.
/// 3. Its dial fails: the third inherits.
/// 4. It cancels before it dials: the place goes on, and is free in the end.
#[test]
fn places_are_handed_on_in_order() {
    let mut p = pool(|c| c.max_connections_per_host = NonZeroUsize::new(1));
    let a = connect(&mut p, "h", "a", at(0));
    let (t2, t3) = (wait(&mut p, "h", at(0)), wait(&mut p, "h", at(0)));
    let _elsewhere = dial(&mut p, "other", at(0));
    p.discard(a);
    assert_eq!((p.next_ready(), p.next_ready()), (Some(t2), None));
    let Poll::Dial(d2) = p.poll(t2) else { panic!() };
    assert!(matches!(p.poll(t2), Poll::Pending));
    assert_eq!(p.dial_failed(d2), DialFailed::Delivered(t2));
    assert_eq!((p.next_ready(), p.next_ready()), (Some(t2), Some(t3)));
    let t4 = wait(&mut p, "h", at(0));
    assert!(p.cancel(t3, at(0)).is_none());
    assert_eq!(p.next_ready(), Some(t4));
    assert!(p.cancel(t4, at(0)).is_none());
    let _ = dial(&mut p, "h", at(0));
}

#[test]
fn the_line_is_first_come_first_served() {
    let mut p = pool(|c| c.max_connections_per_host = NonZeroUsize::new(1));
    let mut lease = connect(&mut p, "h", "a", at(0));
    let tickets: Vec<Ticket> = (0..5).map(|_| wait(&mut p, "h", at(0))).collect();
    assert!(p.cancel(tickets[2], at(0)).is_none());
    for t in [0, 1, 3, 4] {
        let Put::HandedTo(served) = p.put(lease, "a", None, at(0)) else {
            panic!()
        };
        assert_eq!(served, tickets[t]);
        lease = ready(&mut p, served, "a").0;
    }
    pooled(p.put(lease, "a", None, at(0)));
}

/// 1. A ticket may dial but has not been polled.
/// 2. A connection comes first: the place that was reserved goes to the next in line.
#[test]
fn an_unused_place_goes_on() {
    let mut p = pool(|c| c.max_connections_per_host = NonZeroUsize::new(2));
    let (a, b) = (connect(&mut p, "h", "a", at(0)), connect(&mut p, "h", "b", at(0)));
    let (t1, t2) = (wait(&mut p, "h", at(0)), wait(&mut p, "h", at(0)));
    p.discard(a);
    assert!(matches!(p.put(b, "b", None, at(0)), Put::HandedTo(t) if t == t1));
    assert_eq!(
        (p.next_ready(), p.next_ready(), p.next_ready()),
        (Some(t1), Some(t2), None)
    );
    let Poll::Dial(_dial) = p.poll(t2) else { panic!() };
    let _ = ready(&mut p, t1, "b");
}

#[test]
fn cancelling_a_served_ticket_passes_the_connection_on() {
    let mut p = pool(|c| c.max_connections_per_host = NonZeroUsize::new(1));
    let a = connect(&mut p, "h", "a", at(0));
    let (t1, t2) = (wait(&mut p, "h", at(0)), wait(&mut p, "h", at(0)));
    assert!(matches!(p.put(a, "a", None, at(0)), Put::HandedTo(t) if t == t1));
    assert!(matches!(p.cancel(t1, at(1)), Some(Put::HandedTo(t)) if t == t2));
    assert!(p.cancel(t1, at(1)).is_none()); // twice does nothing
    assert_eq!((p.next_ready(), p.next_ready()), (Some(t2), None));
    let (lease, reused) = ready(&mut p, t2, "a");
    // The cancelled request is not counted.
    assert_eq!((lease.requests(), reused.map(|r| r.requests)), (2, Some(1)));
}

#[test]
fn a_connection_kept_too_long_for_a_cancelled_ticket_is_returned() {
    let mut p = pool(|_| {});
    let a = connect(&mut p, "h", "a", secs(0));
    let (t, _dial) = dial(&mut p, "h", secs(0));
    let _ = p.put(a, "a", Some(Duration::from_secs(4)), secs(0));
    assert_eq!(
        refused(p.cancel(t, secs(4)).unwrap()),
        ("a", CloseReason::IdleTimeout)
    );

    // In time it becomes idle, since when it was put back, not since now.
    let b = connect(&mut p, "h", "b", secs(0));
    let (t, _dial) = dial(&mut p, "h", secs(0));
    let _ = p.put(b, "b", Some(Duration::from_secs(4)), secs(0));
    let id = pooled(p.cancel(t, at(3_999)).unwrap());
    assert_eq!(p.deadline(at(3_999)), Some(secs(4).mono));
    assert!(p.remove(id).is_some());
}

#[test]
fn close_idle_lasts_until_the_next_request() {
    let mut p = pool(|_| {});
    let (a, b) = (connect(&mut p, "h", "a", at(0)), connect(&mut p, "h", "b", at(0)));
    let (t, _dial) = dial(&mut p, "h", at(0));
    assert!(p.cancel(t, at(0)).is_none());
    pooled(p.put(a, "a", None, at(0)));
    assert_eq!(
        p.close_idle(),
        [Closed {
            conn: "a",
            reason: CloseReason::CloseIdle
        }]
    );
    assert_eq!(refused(p.put(b, "b", None, at(0))), ("b", CloseReason::CloseIdle));
    assert_eq!(p.close_idle(), vec![]);
    let c = connect(&mut p, "h", "c", at(0));
    pooled(p.put(c, "c", None, at(0)));
}

#[test]
fn a_broken_idle_connection_is_taken_out_once() {
    let mut p = pool(|_| {});
    let a = connect(&mut p, "h", "a", at(0));
    let id = pooled(p.put(a, "a", None, at(0)));
    let a = reuse(&mut p, "h", "a", at(0));
    assert_eq!(p.remove(id), None); // somebody uses it
    let again = pooled(p.put(a, "a", None, at(0)));
    assert_eq!(p.remove(id), None); // another idle period
    assert_eq!(
        p.remove(again),
        Some(Closed {
            conn: "a",
            reason: CloseReason::Removed
        })
    );
    assert_eq!((p.remove(again), p.deadline(at(0))), (None, None));
}

#[test]
fn statistics() {
    let mut p = pool(|c| c.max_connections_per_host = NonZeroUsize::new(2));
    let (a, b) = (connect(&mut p, "h", "a", at(0)), connect(&mut p, "h", "b", at(0)));
    let t = wait(&mut p, "h", at(0));
    let _elsewhere = dial(&mut p, "i", at(0));
    let s = p.stats();
    assert_eq!((s.idle, s.active, s.dialing, s.waiting), (0, 2, 1, 2));
    let _ = p.put(a, "a", None, at(0));
    let (a, _) = ready(&mut p, t, "a");
    pooled(p.put(a, "a", None, at(0)));
    p.discard(b);
    let _a = reuse(&mut p, "h", "a", at(1));
    let c = p.stats().counters;
    assert_eq!(
        (c.dials, c.reused, c.waited, c.handed_over, c.pooled, c.discarded),
        (3, 1, 1, 1, 1, 1)
    );
    let by_key: Vec<_> = p
        .stats_by_key()
        .map(|(k, s)| (k.to_string(), s.active, s.dialing))
        .collect();
    assert_eq!(
        by_key,
        [("http://h:80".into(), 1, 0), ("http://i:80".into(), 0, 1)]
    );
    assert_eq!(c.closed_for(CloseReason::IdleTimeout), 0);
    for reason in CloseReason::ALL {
        assert_eq!(CloseReason::ALL[reason as usize], reason);
    }
}

/// Tokens of another pool are a caller's mistake: they never panic and never get a connection into circulation.
#[test]
fn foreign_tokens_do_no_harm() {
    let (mut p, mut q) = (pool(|_| {}), pool(|_| {}));
    let lease = connect(&mut p, "h", "a", at(0));
    assert_eq!(
        refused(q.put(lease, "a", None, at(0))),
        ("a", CloseReason::Removed)
    );
    q.discard(connect(&mut p, "h", "b", at(0)));
    let (t, d) = dial(&mut p, "h", at(0));
    assert!(matches!(q.dialed(d, "c", at(0)), Dialed::Spare(Put::Refused(_))));
    assert!(matches!(q.poll(t), Poll::Gone));
    assert_eq!(q.dial_failed(dial(&mut p, "h", at(0)).1), DialFailed::Unwanted);
    assert!(q.cancel(t, at(0)).is_none());
}

#[test]
fn a_fresh_connection_is_dialled_although_others_are_idle() {
    let mut p = pool(|_| {});
    let (a, b) = (connect(&mut p, "h", "a", at(0)), connect(&mut p, "h", "b", at(0)));
    pooled(p.put(a, "a", None, at(1)));
    pooled(p.put(b, "b", None, at(2)));
    let Acquired { step, closed } = p.acquire_fresh(&key("h"), at(3));
    let Acquire::Dial { ticket, dial } = step else {
        panic!("{step:?}")
    };
    assert_eq!((closed, p.stats().idle), (vec![], 2), "the others stay");
    // Another request gets one of them meanwhile; put back, it serves the one that waits.
    let b = reuse(&mut p, "h", "b", at(4));
    assert!(matches!(p.put(b, "b", None, at(5)), Put::HandedTo(t) if t == ticket));
    let (b, reused) = ready(&mut p, ticket, "b");
    assert!(reused.is_some());
    pooled(p.put(b, "b", None, at(6)));
    let Dialed::Spare(put) = p.dialed(dial, "c", at(7)) else {
        panic!()
    };
    pooled(put);
    assert_eq!(p.stats().idle, 3);
}

#[test]
fn a_fresh_connection_displaces_an_idle_one_only_at_the_limit() {
    let mut p = pool(|c| c.max_connections_per_host = NonZeroUsize::new(2));
    let (a, b) = (connect(&mut p, "h", "a", at(0)), connect(&mut p, "h", "b", at(0)));
    pooled(p.put(a, "a", None, at(1)));
    pooled(p.put(b, "b", None, at(2)));
    let Acquired { step, closed } = p.acquire_fresh(&key("h"), at(3));
    let Acquire::Dial { dial, .. } = step else {
        panic!("{step:?}")
    };
    let gone = Closed {
        conn: "a",
        reason: CloseReason::Removed,
    };
    assert_eq!(
        (closed, p.stats().idle),
        (vec![gone], 1),
        "the least recently used"
    );
    assert!(matches!(p.dialed(dial, "c", at(4)), Dialed::Delivered(_)));
    // Nothing is idle and there is no place: it waits like everybody.
    let b = reuse(&mut p, "h", "b", at(5));
    let Acquired { step, closed } = p.acquire_fresh(&key("h"), at(6));
    let Acquire::Wait { ticket } = step else {
        panic!("{step:?}")
    };
    assert!(closed.is_empty());
    p.discard(b);
    assert!(matches!(p.poll(ticket), Poll::Dial(_)));
}

//! How long connections stay, how many of them, and for how many requests.

use super::*;

#[test]
fn the_idle_timeout_is_exact() {
    let mut p = pool(|_| {});
    let a = connect(&mut p, "h", "a", at(0));
    pooled(p.put(a, "a", None, at(5)));
    let due = Instant::from_millis(90_005);
    assert_eq!(p.deadline(at(5)), Some(due));
    assert_eq!(p.expire(at(90_004)), vec![]);
    let a = reuse(&mut p, "h", "a", at(90_004));
    assert_eq!(p.deadline(at(90_004)), None);
    // From the start again.
    pooled(p.put(a, "a", None, at(90_004)));
    assert_eq!(p.deadline(at(90_004)), Some(Instant::from_millis(180_004)));
    assert_eq!(p.expire(at(180_003)), vec![]);
    assert_eq!(
        p.expire(at(180_004)),
        [Closed {
            conn: "a",
            reason: CloseReason::IdleTimeout
        }]
    );
    assert_eq!((p.expire(at(180_004)), p.deadline(at(180_004))), (vec![], None));
    assert_eq!(p.stats_by_key().count(), 0);
}

#[test]
fn a_request_never_gets_an_expired_connection() {
    let mut p = pool(|_| {});
    let (a, b) = (connect(&mut p, "h", "a", at(0)), connect(&mut p, "h", "b", at(0)));
    pooled(p.put(a, "a", None, at(0)));
    pooled(p.put(b, "b", None, at(1)));
    // Nobody called `expire`.
    let Acquired { step, closed } = p.acquire(&key("h"), at(90_001));
    assert!(matches!(step, Acquire::Dial { .. }));
    let reason = CloseReason::IdleTimeout;
    assert_eq!(
        closed,
        [Closed { conn: "b", reason }, Closed { conn: "a", reason }]
    );
}

/// The machine slept: the monotonic clock stood still, the wall clock did not. Its seconds are whole, so the
/// connection is closed when certainly 90 of them have passed.
#[test]
fn the_wall_clock_counts_too() {
    let mut p = pool(|_| {});
    let a = connect(&mut p, "h", "a", at(0));
    pooled(p.put(a, "a", None, at(0)));
    let wall = |s| Now {
        mono: Instant::from_millis(10),
        unix: UnixTime(1_000_000 + s),
    };
    assert_eq!(
        (p.deadline(wall(90)), p.expire(wall(90))),
        (Some(Instant::from_millis(90_000)), vec![])
    );
    assert_eq!(p.deadline(wall(91)), Some(Instant::from_millis(10)));
    assert_eq!(
        p.expire(wall(91)),
        [Closed {
            conn: "a",
            reason: CloseReason::IdleTimeout
        }]
    );
    // A wall clock that was set back does nothing.
    let b = connect(&mut p, "h", "b", at(10));
    pooled(p.put(b, "b", None, at(10)));
    assert_eq!(p.expire(wall(-1_000_000)), vec![]);
    let _b = reuse(&mut p, "h", "b", wall(i64::MIN / 2));
}

#[test]
fn the_servers_announcement_shortens_the_wait() {
    let mut p = pool(|_| {});
    let a = connect(&mut p, "h", "a", secs(0));
    pooled(p.put(a, "a", Some(Duration::from_secs(4)), secs(0)));
    assert_eq!(p.deadline(secs(0)), Some(secs(4).mono));
    let a = reuse(&mut p, "h", "a", at(3_999));
    // It is as exact for one that is not the least recently used.
    let (b, c) = (
        connect(&mut p, "h", "b", secs(0)),
        connect(&mut p, "h", "c", secs(0)),
    );
    pooled(p.put(b, "b", None, secs(0)));
    pooled(p.put(c, "c", Some(Duration::from_secs(4)), secs(0)));
    assert_eq!(p.expire(at(3_999)), vec![]);
    assert_eq!(
        p.expire(secs(4)),
        [Closed {
            conn: "c",
            reason: CloseReason::IdleTimeout
        }]
    );
    assert_eq!(p.close_idle().len(), 1);
    let (undone, _dial) = dial(&mut p, "h", secs(4));
    // It cannot lengthen it.
    assert!(p.cancel(undone, secs(4)).is_none());
    pooled(p.put(a, "a", Some(Duration::from_secs(600)), secs(4)));
    assert_eq!(p.deadline(secs(4)), Some(secs(94).mono));
    let a = reuse(&mut p, "h", "a", secs(4));
    assert_eq!(
        refused(p.put(a, "a", Some(Duration::ZERO), secs(4))),
        ("a", CloseReason::IdleTimeout)
    );
}

#[test]
fn the_age_is_exact() {
    let mut p = pool(|c| c.max_age = Some(Duration::from_secs(60)));
    let a = connect(&mut p, "h", "a", secs(0));
    pooled(p.put(a, "a", None, secs(50)));
    assert_eq!(p.deadline(secs(50)), Some(secs(60).mono)); // before the idle timeout
    let a = reuse(&mut p, "h", "a", at(59_999));
    assert_eq!(refused(p.put(a, "a", None, secs(60))), ("a", CloseReason::MaxAge));
    let b = connect(&mut p, "h", "b", secs(0));
    pooled(p.put(b, "b", None, at(59_999)));
    assert_eq!(
        p.expire(secs(60)),
        [Closed {
            conn: "b",
            reason: CloseReason::MaxAge
        }]
    );
}

#[test]
fn a_connection_serves_so_many_requests() {
    let mut p = pool(|c| c.max_requests = NonZeroU32::new(2));
    let a = connect(&mut p, "h", "a", at(0));
    pooled(p.put(a, "a", None, at(0)));
    let a = reuse(&mut p, "h", "a", at(0));
    // Not even a waiting request gets it.
    let (t, _dial) = dial(&mut p, "h", at(0));
    assert_eq!(
        refused(p.put(a, "a", None, at(0))),
        ("a", CloseReason::MaxRequests)
    );
    assert!(matches!(p.poll(t), Poll::Pending));
}

#[test]
fn without_keep_alive_nothing_stays() {
    let mut p = pool(|c| c.keep_alive = false);
    let a = connect(&mut p, "h", "a", at(0));
    let (t, _dial) = dial(&mut p, "h", at(0));
    assert_eq!(
        refused(p.put(a, "a", None, at(0))),
        ("a", CloseReason::KeepAliveDisabled)
    );
    assert!(matches!(p.poll(t), Poll::Pending));
}

#[test]
fn a_full_host_refuses_and_a_full_pool_closes_the_oldest() {
    let mut p = pool(|c| (c.max_idle, c.max_idle_per_host) = (2, Some(1)));
    let (a, b) = (connect(&mut p, "h", "a", at(0)), connect(&mut p, "h", "b", at(0)));
    pooled(p.put(a, "a", None, at(1)));
    assert_eq!(
        refused(p.put(b, "b", None, at(2))),
        ("b", CloseReason::TooManyIdleForHost)
    );
    let (c, d) = (connect(&mut p, "i", "c", at(0)), connect(&mut p, "j", "d", at(0)));
    pooled(p.put(c, "c", None, at(3)));
    let Put::Pooled { evicted, .. } = p.put(d, "d", None, at(4)) else {
        panic!()
    };
    assert_eq!(
        evicted,
        Some(Closed {
            conn: "a",
            reason: CloseReason::TooManyIdle
        })
    );

    let mut p = pool(|c| c.max_idle = 0);
    let a = connect(&mut p, "h", "a", at(0));
    assert_eq!(
        refused(p.put(a, "a", None, at(0))),
        ("a", CloseReason::TooManyIdle)
    );
}

#[test]
fn the_default_holds_a_hundred_idle_connections_of_one_host() {
    let mut p = pool(|_| {});
    let leases: Vec<Lease> = (0..101).map(|_| connect(&mut p, "h", "x", at(0))).collect();
    let mut evicted = 0;
    for (i, lease) in leases.into_iter().enumerate() {
        let Put::Pooled { evicted: e, .. } = p.put(lease, "x", None, at(0)) else {
            panic!()
        };
        assert_eq!(e.is_some(), i == 100);
        evicted += usize::from(e.is_some());
    }
    assert_eq!((p.stats().idle, evicted), (100, 1));
}

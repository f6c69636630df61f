//! Many requests of few callers: a connection for each caller is all it takes.

mod common;

use antiphon_blocking::{Client, PoolConfig};
use common::*;
use std::num::NonZeroUsize;
use std::thread;

#[test]
fn ten_thousand_requests_of_64_callers_open_at_most_64_connections() {
    const CALLERS: u64 = 64;
    const EACH: u64 = 157;
    let server = Running::new(|_| ok("hi"));
    // Room for 100 idle connections (`max_idle`) is the default; with less than callers, those that do not fit are closed
    // and dialled anew. The limit is needed, too: a caller that dials may be served by a connection that came free
    // meanwhile, and keeps what it dialled as an idle one, so that without a limit there may be a few connections more
    // than callers.
    let mut pool = PoolConfig::default();
    pool.max_connections_per_host = NonZeroUsize::new(CALLERS as usize);
    let client = Client::builder().pool(pool).build();
    thread::scope(|scope| {
        for _ in 0..CALLERS {
            scope.spawn(|| {
                for _ in 0..EACH {
                    let mut response = client.get(server.url("/")).send().unwrap();
                    assert_eq!(response.text(10).unwrap(), "hi");
                }
            });
        }
    });
    let stats = client.pool_stats();
    let counters = stats.counters;
    assert!((1..=CALLERS).contains(&counters.dials), "{stats:?}");
    assert_eq!(stats.idle as u64, counters.dials, "{stats:?}");
    assert_eq!((stats.active, stats.waiting, stats.dialing), (0, 0, 0));
    assert_eq!((counters.dials_failed, counters.discarded), (0, 0), "{stats:?}");
    // Every use of a connection ended in the pool or with the next request; a dial that nobody needed any more went
    // there unused.
    let put_back = counters.pooled + counters.handed_over;
    let requests = CALLERS * EACH;
    assert!(
        (requests..=requests + counters.dials).contains(&put_back),
        "{stats:?}"
    );
    // Who did not find an idle one asked for a dial or waited in line.
    assert!(counters.reused <= requests, "{stats:?}");
    assert!(
        counters.reused + counters.dials + counters.waited >= requests,
        "{stats:?}"
    );
}

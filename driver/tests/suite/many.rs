//! Many requests of few callers: a connection for each caller is all it takes.

use super::{builder, ok, start};
use crate::rt::{self, Client};

#[test]
fn ten_thousand_requests_of_64_callers_open_at_most_64_connections() {
    const CALLERS: u64 = 64;
    const EACH: u64 = 157;
    rt::block_on(async {
        let server = start(builder(), |_| async { ok("hi") });
        // Room for 100 idle connections (`max_idle`) is the default; with less than callers, those that do not fit are
        // closed and dialled anew. The limit is needed, too: a dial goes on when its request was served by a connection
        // that became idle meanwhile, so that without one there may be a few connections more than callers.
        let mut pool = rt::PoolConfig::default();
        pool.max_connections_per_host = std::num::NonZeroUsize::new(CALLERS as usize);
        let client = Client::builder().pool(pool).build();
        let mut callers = Vec::new();
        for _ in 0..CALLERS {
            let (client, url) = (client.clone(), server.url("/"));
            callers.push(rt::spawn(async move {
                for _ in 0..EACH {
                    let mut response = client.get(&url).send().await.expect("a response");
                    assert_eq!(response.text(10).await.expect("text"), "hi");
                }
            }));
        }
        for caller in callers {
            rt::join(caller).await;
        }
        // A dial that came second to an idle connection may still be under way.
        let mut patience = 2000;
        while client.pool_stats().dialing > 0 {
            patience -= 1;
            assert!(patience > 0, "{:?}", client.pool_stats());
            rt::sleep(std::time::Duration::from_millis(1)).await;
        }
        let stats = client.pool_stats();
        let counters = stats.counters;
        assert!((1..=CALLERS).contains(&counters.dials), "{stats:?}");
        assert_eq!(stats.idle as u64, counters.dials, "{stats:?}");
        assert_eq!((stats.active, stats.waiting), (0, 0));
        assert_eq!((counters.dials_failed, counters.discarded), (0, 0), "{stats:?}");
        // Every use of a connection ended in the pool or with the next request; a dial that nobody needed any more
        // went there unused.
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
    });
}

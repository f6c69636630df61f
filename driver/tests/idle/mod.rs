//! What an idle connection costs. Alone in its process, because it looks at the memory of the whole.

use crate::support::{Raw, against_server, builder, ok};

/// Idle connections lend their buffers back: with them each would cost more than 8 KiB. Both ends live in this
/// process; the peer's is a socket and little else.
#[test]
#[cfg(target_os = "linux")]
fn idle_connections_hold_no_buffers() {
    fn resident() -> usize {
        let statm = std::fs::read_to_string("/proc/self/statm").expect("Linux");
        let pages: usize = statm
            .split(' ')
            .nth(1)
            .and_then(|n| n.parse().ok())
            .expect("a second number");
        pages * 4096
    }
    const MANY: usize = 400;
    against_server(
        builder(),
        |_| async { ok("hi") },
        |addr| {
            let mut peers = Vec::with_capacity(2 * MANY);
            let more = |peers: &mut Vec<Raw>| {
                for _ in 0..MANY {
                    let mut peer = Raw::connect(addr);
                    peer.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
                    assert_eq!(peer.response().1, "hi");
                    peers.push(peer);
                }
            };
            more(&mut peers);
            let before = resident();
            more(&mut peers);
            let each = resident().saturating_sub(before) / MANY;
            println!("{each} bytes for an idle connection");
            assert!(each < 3 * 1024, "{each} bytes for an idle connection");
        },
    );
}

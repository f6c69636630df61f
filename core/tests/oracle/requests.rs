//! `ServerConn` and the reference on sequences of requests, well-formed and damaged.

use crate::cases::check;
use crate::observe::server_agrees;
use crate::odd::OddRequests;
use crate::reference::{self, Outcome};
use crate::settings::Near;
use crate::wire::Requests;
use crate::{Cuts, settings};
use antiphon_core::h1::{ErrorReply, Profile, ServerConfig};
use quickcheck::TestResult;
use std::sync::Arc;

/// The settings in the part that the reference knows.
fn plain(config: &mut settings::Server, near: Near, wire: &[u8]) {
    let config = Arc::make_mut(&mut config.0);
    near.apply(&mut config.limits, wire);
    config.profile = Profile::STRICT;
    config.error_reply = ErrorReply::Automatic;
    config.cancel_on_half_close = false;
    config.keep_alive = true;
}

/// Whole (with what follows) and as a prefix, for which more is to come.
fn compared(config: &settings::Server, wire: &[u8], (eof, prefix): (bool, u16), cuts: &Cuts) -> TestResult {
    let prefix = &wire[..usize::from(prefix) % (wire.len() + 1)];
    server_agrees(&config.0, wire, eof, &cuts.0)
        .and_then(|()| server_agrees(&config.0, prefix, false, &cuts.0))
        .map_or_else(TestResult::error, |()| TestResult::passed())
}

#[test]
fn a_server_understands_requests_as_the_reference_does() {
    fn property(
        mut config: settings::Server,
        near: Near,
        wire: Requests,
        how: (bool, u16),
        cuts: Cuts,
    ) -> TestResult {
        plain(&mut config, near, &wire.0);
        compared(&config, &wire.0, how, &cuts)
    }
    check(20_000, property as fn(_, _, _, _, _) -> _);
}

#[test]
fn a_server_understands_odd_requests_as_the_reference_does() {
    fn property(
        mut config: settings::Server,
        near: Near,
        wire: OddRequests,
        how: (bool, u16),
        cuts: Cuts,
    ) -> TestResult {
        plain(&mut config, near, &wire.0);
        compared(&config, &wire.0, how, &cuts)
    }
    check(40_000, property as fn(_, _, _, _, _) -> _);
}

/// The defaults are large: heads and trailer sections that just fit, and those that are one byte or field too much.
#[test]
fn the_default_limits_are_met_exactly() {
    let config = Arc::new(ServerConfig::DEFAULT);
    let line = "GET / HTTP/1.1\r\nHost: a\r\n";
    let filled = |size: usize| {
        let left = size - line.len() - "X: \r\n\r\n".len();
        format!("{line}X: {}\r\n\r\n", "v".repeat(left))
    };
    let fields = |n: usize| format!("{line}{}\r\n", "X: 1\r\n".repeat(n - 1));
    let target = |n: usize| format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "t".repeat(n - 1));
    let chunked = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    let trailers = |size: usize| format!("{chunked}0\r\nX: {}\r\n\r\n", "v".repeat(size - 7));
    let extension = |n: usize| format!("{chunked}1;{}\r\nx\r\n0\r\n\r\n", "e".repeat(n - 2));
    // Each of these chunks is 18 bytes of framing beyond what is free for it, the last chunk none.
    let overhead = |n: usize| {
        let chunk = format!("1;{}\r\nx\r\n", "e".repeat(32));
        format!("{chunked}{}0\r\n\r\n", chunk.repeat(n))
    };
    for d in [0, 1] {
        for wire in [
            filled(65_536 + d),
            fields(100 + d),
            target(16_384 + d),
            trailers(16_384 + d),
            extension(4_096 + d),
            overhead(910 + d),
            "\r\n".repeat(4 + d) + &filled(100),
        ] {
            let (requests, outcome) = reference::requests(wire.as_bytes(), false, &reference::Limits::SERVER);
            let fits = requests.len() == 1 && outcome == Outcome::Complete(wire.len());
            assert_eq!(fits, d == 0, "{} bytes: {outcome:?}", wire.len());
            for cuts in [&[][..], &[1000], &[4096]] {
                server_agrees(&config, wire.as_bytes(), true, cuts)
                    .unwrap_or_else(|report| panic!("{report}"));
            }
        }
    }
}

//! `ServerConn` and the reference on sequences of requests, well-formed and damaged.

use crate::cases::check;
use crate::observe::server_agrees;
use crate::settings::Near;
use crate::wire::Requests;
use crate::{Cuts, settings};
use antiphon_core::h1::{ErrorReply, Profile};
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

#[test]
fn a_server_understands_requests_as_the_reference_does() {
    fn property(
        mut config: settings::Server,
        near: Near,
        wire: Requests,
        (eof, prefix): (bool, u16),
        cuts: Cuts,
    ) -> TestResult {
        plain(&mut config, near, &wire.0);
        let prefix = &wire.0[..usize::from(prefix) % (wire.0.len() + 1)];
        let compared = server_agrees(&config.0, &wire.0, eof, &cuts.0)
            .and_then(|()| server_agrees(&config.0, prefix, false, &cuts.0));
        match compared {
            Ok(()) => TestResult::passed(),
            Err(report) => TestResult::error(report),
        }
    }
    check(20_000, property as fn(_, _, _, _, _) -> _);
}

//! `ClientConn` and the reference on the answers to sequences of requests, well-formed and damaged.

use crate::cases::check;
use crate::observe::{Query, client_agrees};
use crate::odd::OddResponse;
use crate::settings::Near;
use crate::wire::Exchanges;
use crate::{Cuts, settings};
use antiphon_core::h1::Profile;
use quickcheck::TestResult;
use std::sync::Arc;

#[test]
fn a_client_understands_responses_as_the_reference_does() {
    fn property(
        mut config: settings::Client,
        near: Near,
        exchanges: Exchanges,
        (eof, prefix): (bool, u16),
        cuts: Cuts,
    ) -> TestResult {
        let settings = Arc::make_mut(&mut config.0);
        near.apply(&mut settings.limits, &exchanges.0[0].1);
        settings.profile = Profile::STRICT;
        let all: Vec<(Query, &[u8])> = exchanges
            .0
            .iter()
            .map(|(ask, bytes)| {
                let query = Query {
                    method: ask.method,
                    upgrade: ask.upgrade,
                };
                (query, &bytes[..])
            })
            .collect();
        let (first, bytes) = all[0];
        let prefix = [(first, &bytes[..usize::from(prefix) % (bytes.len() + 1)])];
        let compared = client_agrees(&config.0, &all, eof, &cuts.0)
            .and_then(|()| client_agrees(&config.0, &prefix, false, &cuts.0));
        match compared {
            Ok(()) => TestResult::passed(),
            Err(report) => TestResult::error(report),
        }
    }
    check(20_000, property as fn(_, _, _, _, _) -> _);
}

#[test]
fn a_client_understands_odd_responses_as_the_reference_does() {
    fn property(
        mut config: settings::Client,
        near: Near,
        OddResponse(query, wire): OddResponse,
        (eof, prefix): (bool, u16),
        cuts: Cuts,
    ) -> TestResult {
        let settings = Arc::make_mut(&mut config.0);
        near.apply(&mut settings.limits, &wire);
        settings.profile = Profile::STRICT;
        let prefix = &wire[..usize::from(prefix) % (wire.len() + 1)];
        client_agrees(&config.0, &[(query, &wire)], eof, &cuts.0)
            .and_then(|()| client_agrees(&config.0, &[(query, prefix)], false, &cuts.0))
            .map_or_else(TestResult::error, |()| TestResult::passed())
    }
    check(40_000, property as fn(_, _, _, _, _) -> _);
}

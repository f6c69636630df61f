//! Invariant 1: any split of the input gives the same events (body runs merged) and the same error at the same
//! offset, limits included. Invariant 10, at a switch: what comes after it is handed out whole.

use crate::harness::server::Reply;
use crate::harness::{End, Pace, Story, client, server};
use crate::script::shorten_early_answers;
use crate::wire::{Exchanges, Requests};
use crate::{check, same, settings};
use quickcheck::TestResult;
use std::sync::Arc;

/// Input as a whole, one byte at a time, and as `pace` says; output always whole.
fn paces(pace: Pace) -> [(&'static str, Pace); 2] {
    let bytewise = Pace {
        reads: vec![1],
        ..Pace::whole()
    };
    [
        ("whole and bytewise input", bytewise),
        (
            "whole and cut input",
            Pace {
                writes: Vec::new(),
                ..pace
            },
        ),
    ]
}

#[test]
fn requests_tell_the_same_however_they_are_cut() {
    fn property(
        (mut config, near): (settings::Server, settings::Near),
        wire: Requests,
        mut replies: Vec<Reply>,
        end: End,
        pace: Pace,
    ) -> TestResult {
        near.apply(&mut Arc::make_mut(&mut config.0).limits, &wire.0);
        shorten_early_answers(&mut replies);
        let run = server::Run {
            config: &config.0,
            wire: &wire.0,
            end,
            replies: &replies,
        };
        let whole = server::play(&run, &Pace::whole());
        for (what, pace) in paces(pace) {
            if let Err(failed) = same(what, &whole, &server::play(&run, &pace)) {
                return failed;
            }
        }
        TestResult::passed()
    }
    check(6_000, property as fn(_, _, _, _, _) -> _);
}

/// Without the wire: how much of a request body is written before an early answer is noticed depends on when that
/// comes.
fn told(story: Story) -> Story {
    Story {
        wire: Vec::new(),
        ..story
    }
}

#[test]
fn responses_tell_the_same_however_they_are_cut() {
    fn property(
        (mut config, near): (settings::Client, settings::Near),
        exchanges: Exchanges,
        end: End,
        pace: Pace,
    ) -> TestResult {
        near.apply(&mut Arc::make_mut(&mut config.0).limits, &exchanges.0[0].1);
        let run = client::Run {
            config: &config.0,
            exchanges: &exchanges.0,
            end,
        };
        let whole = told(client::play(&run, &Pace::whole()));
        for (what, pace) in paces(pace) {
            if let Err(failed) = same(what, &whole, &told(client::play(&run, &pace))) {
                return failed;
            }
        }
        TestResult::passed()
    }
    check(6_000, property as fn(_, _, _, _) -> _);
}

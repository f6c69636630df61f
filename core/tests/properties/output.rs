//! Invariant 2: any sequence of `sent(n)` gives the same bytes on the wire.

use crate::harness::server::Reply;
use crate::harness::{End, Pace, Story, client, server};
use crate::script::shorten_early_answers;
use crate::wire::{Exchanges, Requests};
use crate::{check, same, settings};
use quickcheck::TestResult;

/// All read at the same pace: output as a whole, one byte at a time, and as `pace` says.
fn paces(pace: Pace) -> (Pace, [(&'static str, Pace); 2]) {
    let mut whole = Pace {
        writes: Vec::new(),
        ..pace.clone()
    };
    whole.ways.take_out = false;
    let bytewise = Pace {
        writes: vec![1],
        ..whole.clone()
    };
    (
        whole,
        [
            ("whole and bytewise output", bytewise),
            ("whole and cut output", pace),
        ],
    )
}

/// The wire alone: the order of events beside it may depend on when the peer takes its bytes.
fn wire(story: Story) -> Story {
    Story {
        told: Vec::new(),
        read: 0,
        ..story
    }
}

#[test]
fn a_server_writes_the_same_however_it_is_taken() {
    fn property(
        config: settings::Server,
        bytes: Requests,
        mut replies: Vec<Reply>,
        end: End,
        pace: Pace,
    ) -> TestResult {
        shorten_early_answers(&mut replies);
        let run = server::Run {
            config: &config.0,
            wire: &bytes.0,
            end,
            replies: &replies,
        };
        let (whole, others) = paces(pace);
        let whole = wire(server::play(&run, &whole));
        for (what, pace) in others {
            if let Err(failed) = same(what, &whole, &wire(server::play(&run, &pace))) {
                return failed;
            }
        }
        TestResult::passed()
    }
    check(3_000, property as fn(_, _, _, _, _) -> _);
}

#[test]
fn a_client_writes_the_same_however_it_is_taken() {
    fn property(config: settings::Client, exchanges: Exchanges, end: End, pace: Pace) -> TestResult {
        let run = client::Run {
            config: &config.0,
            exchanges: &exchanges.0,
            end,
        };
        let (whole, others) = paces(pace);
        let whole = wire(client::play(&run, &whole));
        for (what, pace) in others {
            if let Err(failed) = same(what, &whole, &wire(client::play(&run, &pace))) {
                return failed;
            }
        }
        TestResult::passed()
    }
    check(3_000, property as fn(_, _, _, _) -> _);
}

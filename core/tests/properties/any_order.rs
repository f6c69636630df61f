//! Any calls in any order. Invariant 12: no panic. Invariant 7: a call that is answered with `Misuse` changes nothing, neither
//! at once nor later: what follows is the same as if it had not been made. At each step: see `player.rs`.

use crate::calls::{Call, Calls};
use crate::check;
use crate::harness::client::Ask;
use crate::machine::Machine;
use crate::player::{Player, View};
use crate::settings;
use crate::wire::{Exchanges, Requests};
use antiphon_core::h1::{ClientConn, Deadline, Misuse, ServerConn};
use quickcheck::TestResult;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

/// What a call led to: its result, all that can be seen afterwards, and what is remembered of it.
struct Step {
    call: Call,
    result: Result<(), Misuse>,
    hash: u64,
}

/// Makes the calls but those at `without`. `looks`: the clock is looked at after each, as a driver does.
fn play<C: Machine>(
    config: &Arc<C::Config>,
    wire: (&[u8], &[(Ask, usize)]),
    calls: &[Call],
    without: &[usize],
    looks: bool,
) -> Result<Vec<Step>, String> {
    let mut player = Player::<C>::new(config, wire);
    let mut steps = Vec::new();
    let look = |player: &mut Player<'_, C>| {
        let deadline = if looks {
            player.conn.deadline(player.now)
        } else {
            None
        };
        (player.view(), deadline)
    };
    let mut before: (View, Option<Deadline>) = look(&mut player);
    for (at, &call) in calls.iter().enumerate() {
        if without.contains(&at) {
            continue;
        }
        let told = player.told.len();
        let result = player.call(call);
        player.check_bounds();
        let after = look(&mut player);
        if let Err(misuse) = result
            && before != after
        {
            return Err(format!(
                "call {at}, {call:?}, gave {misuse:?} and changed\n{before:#?}\nto\n{after:#?}"
            ));
        }
        let mut hash = DefaultHasher::new();
        (&after.0, format!("{:?}", after.1), &player.told[told..]).hash(&mut hash);
        steps.push(Step {
            call,
            result,
            hash: hash.finish(),
        });
        before = after;
    }
    player.end();
    Ok(steps)
}

fn property<C: Machine>(
    config: &Arc<C::Config>,
    wire: (&[u8], &[(Ask, usize)]),
    calls: &[Call],
    looks: bool,
) -> TestResult {
    let steps = match play::<C>(config, wire, calls, &[], looks) {
        Ok(steps) => steps,
        Err(report) => return TestResult::error(report),
    };
    let misuses: Vec<usize> = (0..steps.len()).filter(|&i| steps[i].result.is_err()).collect();
    if misuses.is_empty() {
        return TestResult::passed();
    }
    let without = match play::<C>(config, wire, calls, &misuses, looks) {
        Ok(steps) => steps,
        Err(report) => return TestResult::error(report),
    };
    let good = steps.iter().filter(|s| s.result.is_ok());
    for (with, without) in good.zip(&without) {
        if (with.result, with.hash) != (without.result, without.hash) {
            return TestResult::error(format!(
                "{:?} comes to something else when the misused calls at {misuses:?} are left out",
                with.call
            ));
        }
    }
    TestResult::passed()
}

#[test]
fn a_server_takes_any_calls_in_any_order() {
    fn server(config: settings::Server, wire: Requests, calls: Calls<true>, looks: bool) -> TestResult {
        property::<ServerConn>(&config.0, (&wire.0, &[]), &calls.0, looks)
    }
    check(8_000, server as fn(_, _, _, _) -> _);
}

#[test]
fn a_client_takes_any_calls_in_any_order() {
    fn client(config: settings::Client, wire: Exchanges, calls: Calls<false>, looks: bool) -> TestResult {
        let (bytes, asks) = wire.flat();
        property::<ClientConn>(&config.0, (&bytes, &asks), &calls.0, looks)
    }
    check(8_000, client as fn(_, _, _, _) -> _);
}

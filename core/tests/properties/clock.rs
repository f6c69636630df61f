//! Invariants 5 and 6, in any state: a deadline is never later than what it stands for allows, moves when what it waits for
//! moves and at no other time, is there whenever the machine waits for its peer, and belongs to something that is waited for.
//!
//! Here time only goes forward, the clock is looked at after each turn of a few calls, and a deadline that has passed is handled
//! then, as drivers do.

use crate::calls::{Call, Calls};
use crate::check;
use crate::harness::client::Ask;
use crate::machine::Machine;
use crate::player::{Facts, Player};
use crate::settings;
use crate::wire::{Exchanges, Requests};
use antiphon_core::h1::{ClientConn, Deadline, DeadlineKind as Kind, Finish, ServerConn, Timeouts};
use quickcheck::TestResult;
use std::sync::Arc;
use std::time::Duration;

/// How long a deadline of this kind may be away.
fn most(timeouts: &Timeouts, kind: Kind) -> Option<Duration> {
    match kind {
        Kind::Head => timeouts.head,
        Kind::Idle => timeouts.idle,
        Kind::BodyStall => timeouts.body_stall,
        Kind::BodyRate => timeouts.body_rate.map(|r| r.per),
        Kind::WriteStall => timeouts.write_stall,
        Kind::ContinueWait => timeouts.continue_wait,
        Kind::ResponseHead => timeouts.response_head,
        Kind::Linger => timeouts.linger,
        Kind::WriteFailedGrace => Some(timeouts.write_failed_grace),
        _ => None,
    }
}

/// A look at the clock, and what was known then.
#[derive(Clone, Copy, Debug)]
struct Look {
    deadline: Option<Deadline>,
    facts: Facts,
    told: usize,
    queued: bool,
}

fn look<C: Machine>(player: &mut Player<'_, C>) -> Look {
    Look {
        deadline: player.conn.deadline(player.now),
        facts: player.facts,
        told: player.told.len(),
        // Of what was taken nothing more is written then, and nothing is waited for.
        queued: !player.facts.write_failed && (player.taken > 0 || !player.conn.outgoing().is_empty()),
    }
}

/// Does what a deadline does in this step fit what the step did?
fn moves_rightly<C: Machine>(
    player: &Player<'_, C>,
    server: bool,
    timeouts: &Timeouts,
    before: Look,
    after: Look,
) -> Result<(), String> {
    let Some(new) = after.deadline else { return Ok(()) };
    let now = player.now;
    if new.at <= now {
        return Err(format!("it is not in the future at {now:?}"));
    }
    let Some(most) = most(timeouts, new.why) else {
        // A server may tell a client how long a connection is kept.
        let told = new.why == Kind::Idle && !server;
        return if told {
            Ok(())
        } else {
            Err("it was switched off".into())
        };
    };
    if new.at > now + most {
        return Err(format!("it is more than {most:?} after {now:?}"));
    }
    // Once the answer is complete the rest of the request is discarded, in a time that bytes do not prolong.
    let moved = match new.why {
        Kind::BodyStall if !after.facts.finished => after.facts.received_at,
        Kind::WriteStall => after.facts.sent_at,
        // The wait for the next request begins at an exchange's end. (A server may have told a client to wait less.)
        Kind::Head | Kind::Idle if server && after.facts.open.is_none() => after.facts.finished_at,
        _ => None,
    };
    if let Some(at) = moved.filter(|at| new.at < *at + most) {
        return Err(format!(
            "it stands for {most:?}, and something has moved at {at:?}"
        ));
    }
    let Some(old) = before.deadline.filter(|old| old.why == new.why) else {
        return Ok(());
    };
    let (was, is) = (before.facts, after.facts);
    // With the answer's end, what is left of the request begins to be discarded.
    let same_exchange = (was.open, was.ends, was.finished) == (is.open, is.ends, is.finished);
    let received = is.received > was.received;
    let may_move = match new.why {
        // After a failed write a body is read on for as long as it keeps coming.
        Kind::BodyStall | Kind::WriteFailedGrace => {
            !same_exchange || received || is.used > was.used || after.told > before.told
        }
        Kind::WriteStall => is.sent > was.sent,
        // It also counts how long was waited; what that comes to shows when it has passed.
        Kind::BodyRate => true,
        _ => !same_exchange,
    };
    if new.at != old.at && !may_move {
        return Err(format!("it has moved from {old:?}"));
    }
    Ok(())
}

/// Is a deadline there where the machine waits, and does it fit the state?
fn is_due<C: Machine>(
    player: &Player<'_, C>,
    server: bool,
    timeouts: &Timeouts,
    after: Look,
) -> Result<(), String> {
    let f = after.facts;
    let wants = player.conn.wants();
    let why = after.deadline.map(|d| d.why);
    if f.failed || wants.finish != Finish::No {
        return Ok(());
    }
    match why {
        Some(Kind::Idle | Kind::Head) if f.open.is_some() && !player.exchange_is_over() => {
            Err(format!("{:?} is open", f.open))
        }
        Some(Kind::ContinueWait | Kind::ResponseHead | Kind::BodyRate) if f.open.is_none() => {
            Err("no exchange is open".into())
        }
        Some(Kind::Head | Kind::Linger) if !server => Err("a client has none".into()),
        None if after.queued && timeouts.write_stall.is_some() => Err("output is queued".into()),
        // Which of the two it is depends on whether the request has begun.
        None if f.open.is_none()
            && wants.read
            && !after.queued
            && (server || player.conn.is_idle())
            && timeouts.idle.is_some()
            && (timeouts.head.is_some() || !server) =>
        {
            Err("it waits for a request or for nothing".into())
        }
        None if f.wants_body
            && !f.body_ended
            && f.open.is_some()
            && player.conn.body().is_empty()
            && wants.read =>
        {
            // Bytes may lie there unlooked at: events were not taken. And a client's response may not have begun.
            if server && player.drained && timeouts.body_stall.is_some() {
                Err("body bytes are waited for".into())
            } else {
                Ok(())
            }
        }
        _ => Ok(()),
    }
}

fn property<C: Machine>(
    config: &Arc<C::Config>,
    wire: (&[u8], &[(Ask, usize)]),
    calls: &[Call],
    turn: u8,
    server: bool,
) -> Result<(), String> {
    let timeouts = *C::timeouts(config);
    let mut player = Player::<C>::new(config, wire);
    let mut before = look(&mut player);
    for (at, &call) in calls.iter().enumerate() {
        if matches!(call, Call::Advance(ms) if ms < 0) {
            continue;
        }
        let _ = player.call(call);
        if at % [1, 2, 4, 14][usize::from(turn % 4)] != 0 {
            continue;
        }
        while player
            .conn
            .deadline(player.now)
            .is_some_and(|d| d.at <= player.now)
        {
            player.conn.handle_timeout(player.now);
            while player.event() {}
        }
        let after = look(&mut player);
        moves_rightly(&player, server, &timeouts, before, after)
            .and_then(|()| is_due(&player, server, &timeouts, after))
            .map_err(|what| {
                format!(
                    "call {at}, {call:?}: {:?}: {what}\n{before:?}\n{after:?}\n{:?}",
                    after.deadline, player.conn
                )
            })?;
        before = after;
    }
    Ok(())
}

#[test]
fn a_servers_deadlines_fit_what_it_waits_for() {
    fn server(
        mut config: settings::Server,
        times: settings::Times,
        wire: Requests,
        calls: Calls<true>,
        turn: u8,
    ) -> TestResult {
        times.apply(&mut Arc::make_mut(&mut config.0).timeouts);
        property::<ServerConn>(&config.0, (&wire.0, &[]), &calls.0, turn, true)
            .map_or_else(TestResult::error, |()| TestResult::passed())
    }
    check(10_000, server as fn(_, _, _, _, _) -> _);
}

#[test]
fn a_clients_deadlines_fit_what_it_waits_for() {
    fn client(
        mut config: settings::Client,
        times: settings::Times,
        wire: Exchanges,
        calls: Calls<false>,
        turn: u8,
    ) -> TestResult {
        times.apply(&mut Arc::make_mut(&mut config.0).timeouts);
        let (bytes, asks) = wire.flat();
        property::<ClientConn>(&config.0, (&bytes, &asks), &calls.0, turn, false)
            .map_or_else(TestResult::error, |()| TestResult::passed())
    }
    check(10_000, client as fn(_, _, _, _, _) -> _);
}

//! The cases reach deep: every event, every deadline that can pass, every reason to refuse a call, and connections on which
//! exchange follows exchange. Without that the properties would hold for want of trying.

use crate::calls::{Call, Calls};
use crate::cases::cases_of;
use crate::harness::client::Ask;
use crate::machine::Machine;
use crate::player::Player;
use crate::settings::{self, Times};
use crate::wire::{Exchanges, Requests};
use antiphon_core::h1::{ClientConn, ServerConn};
use quickcheck::Arbitrary;
use std::collections::BTreeMap;
use std::sync::Arc;

type Counts = BTreeMap<String, u32>;

/// `Timeout { id: .., why: Head }` becomes `Timeout Head`, `ExchangeEnd { id: .., reuse: Close(Http10) }` becomes
/// `ExchangeEnd Close`.
fn name(event: &str) -> String {
    let words: Vec<&str> = event
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|w| !w.is_empty())
        .collect();
    let after = |key: &str| words.iter().skip_while(|w| **w != key).nth(1).copied();
    match after("why").or_else(|| after("reuse")) {
        Some(detail) => format!("{}_{detail}", words[0]),
        None => words.first().unwrap_or(&"").to_string(),
    }
}

fn play<C: Machine>(
    counts: &mut Counts,
    config: &Arc<C::Config>,
    wire: (&[u8], &[(Ask, usize)]),
    calls: &[Call],
) {
    let mut player = Player::<C>::new(config, wire);
    for &call in calls {
        if let Err(misuse) = player.call(call) {
            *counts.entry(format!("{misuse:?}")).or_default() += 1;
        }
    }
    for event in &player.told {
        *counts.entry(name(event)).or_default() += 1;
    }
    if player.facts.ends >= 3 {
        *counts.entry("three_exchanges".into()).or_default() += 1;
    }
}

fn all_reached(counts: &Counts, names: &str) {
    for name in names.split_whitespace() {
        let n = counts.get(name).copied().unwrap_or(0);
        assert!(n >= 3, "{name}: {n} times\n{counts:#?}");
    }
}

#[test]
fn a_servers_cases_reach_everything() {
    let g = &mut cases_of(100);
    let mut counts = Counts::new();
    for _ in 0..6_000 {
        let mut config = settings::Server::arbitrary(g);
        Times::arbitrary(g).apply(&mut Arc::make_mut(&mut config.0).timeouts);
        let (wire, calls) = (Requests::arbitrary(g).0, Calls::<true>::arbitrary(g).0);
        play::<ServerConn>(&mut counts, &config.0, (&wire, &[]), &calls);
    }
    all_reached(
        &counts,
        "Request Body BodyEnd ExchangeEnd_KeepAlive ExchangeEnd_Close ExchangeEnd_Switched PeerHalfClosed PeerGone Rejected \
         Timeout_Head Timeout_Idle Timeout_BodyStall Timeout_BodyRate Timeout_WriteStall three_exchanges \
         UnknownExchange NoHead HeadAlreadySent HeadNotSent BodyFinished BodyTooLong BodyTooShort Full Closed TooMuch NotReading \
         NotInterim NotFinal NoSwitchProposed ForbiddenField TrailersNeedChunked",
    );
}

#[test]
fn a_clients_cases_reach_everything() {
    let g = &mut cases_of(100);
    let mut counts = Counts::new();
    for _ in 0..6_000 {
        let mut config = settings::Client::arbitrary(g);
        Times::arbitrary(g).apply(&mut Arc::make_mut(&mut config.0).timeouts);
        let (bytes, asks) = Exchanges::arbitrary(g).flat();
        let calls = Calls::<false>::arbitrary(g);
        play::<ClientConn>(&mut counts, &config.0, (&bytes, &asks), &calls.0);
    }
    all_reached(
        &counts,
        "Interim Response Body BodyEnd SendBodyNow PeerClosed ExchangeEnd_KeepAlive ExchangeEnd_Close ExchangeEnd_Switched \
         Timeout_Idle Timeout_BodyStall Timeout_WriteStall Timeout_ResponseHead three_exchanges \
         UnknownExchange NoHead BodyFinished BodyTooLong BodyTooShort Full AwaitingContinue NotReady Closed TooMuch NotReading \
         ForbiddenField TrailersNeedChunked HostField Target",
    );
}

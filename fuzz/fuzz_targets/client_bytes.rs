//! Any bytes to a client's connection machine, cut as the fuzzer likes: the same story at every cut, the same
//! bytes out at every partial write, no panic, bounded buffers, always progress. See `input.rs` for the form of
//! an input and `core/tests/harness` for the checks at every step.
//!
//! A line that holds `=` alone divides the responses to up to three requests of one connection.

#![no_main]

#[path = "../../core/tests/harness/mod.rs"]
mod harness;
mod input;

use antiphon_core::h1::ClientConfig;
use harness::Pace;
use harness::client::{Ask, Run, play};
use libfuzzer_sys::fuzz_target;
use std::sync::Arc;

fn ask(script: u8) -> Ask {
    let body = |script| Ask {
        method: "POST",
        body: input::body(script),
        ..Ask::plain()
    };
    match script % 8 {
        0 => Ask::plain(),
        1 => Ask {
            method: "HEAD",
            ..Ask::plain()
        },
        2 => Ask {
            upgrade: true,
            ..Ask::plain()
        },
        3 => Ask {
            method: "CONNECT",
            ..Ask::plain()
        },
        4 => Ask {
            expect: true,
            ..body(1)
        },
        5 => Ask {
            hold: true,
            ..body(1 + (script & 4))
        },
        6 => Ask {
            close: true,
            ..Ask::plain()
        },
        _ => body(2 + (script & 4)),
    }
}

fn responses(wire: &[u8]) -> Vec<&[u8]> {
    const DIVIDER: &[u8] = b"\n=\n";
    let (mut parts, mut rest) = (Vec::new(), wire);
    while parts.len() < 2 {
        let Some(at) = rest.windows(DIVIDER.len()).position(|w| w == DIVIDER) else {
            break;
        };
        parts.push(&rest[..at + 1]);
        rest = &rest[at + DIVIDER.len()..];
    }
    parts.push(rest);
    parts
}

fuzz_target!(|data: &[u8]| {
    let Some(input) = input::read(data) else { return };
    let mut config = ClientConfig::default();
    config.profile = input::profile(input.settings);
    if matches!(input.settings, 1 | 3) {
        input::tiny(&mut config.limits);
    }
    if input.settings == 4 {
        config.timeouts.continue_wait = None;
        config.timeouts.response_head = Some(core::time::Duration::from_secs(5));
    }
    let config = Arc::new(config);
    let exchanges: Vec<(Ask, Vec<u8>)> = responses(input.wire)
        .into_iter()
        .enumerate()
        .map(|(i, wire)| (ask(input.script.wrapping_add(i as u8)), wire.to_vec()))
        .collect();
    let run = Run {
        config: &config,
        exchanges: &exchanges,
        end: input.end,
    };

    // How much of a request's body is written before an early answer is noticed depends on when that comes, so
    // that the wire is compared at equal reads only.
    let whole = play(&run, &Pace::whole());
    let bytewise = play(
        &run,
        &Pace {
            reads: vec![1],
            ..Pace::whole()
        },
    );
    let cut = play(
        &run,
        &Pace {
            writes: Vec::new(),
            ..input.pace.clone()
        },
    );
    assert_eq!(whole.told, bytewise.told, "whole and bytewise input");
    assert_eq!(whole.told, cut.told, "whole and cut input");
    assert_eq!(cut.wire, play(&run, &input.pace).wire, "whole and cut output");
});

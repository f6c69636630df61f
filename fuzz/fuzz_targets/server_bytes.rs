//! Any bytes to a server's connection machine, cut as the fuzzer likes: the same story at every cut, the same
//! bytes out at every partial write, no panic, bounded buffers, always progress. See `input.rs` for the form of
//! an input and `core/tests/harness` for the checks at every step.

#![no_main]

#[path = "../../core/tests/harness/mod.rs"]
mod harness;
mod input;

use antiphon_core::h1::{ErrorReply, ServerConfig};
use harness::Pace;
use harness::server::{Reply, Run, When, play};
use libfuzzer_sys::fuzz_target;
use std::sync::Arc;

fuzz_target!(|data: &[u8]| {
    let Some(input) = input::read(data) else { return };
    let mut config = ServerConfig::default();
    config.profile = input::profile(input.settings);
    if matches!(input.settings, 1 | 3) {
        input::tiny(&mut config.limits);
    }
    if input.settings == 4 {
        config.error_reply = ErrorReply::Application;
        config.cancel_on_half_close = true;
    }
    if input.settings == 5 {
        config.error_reply = ErrorReply::Silent;
        config.timeouts.linger = None;
        config.keep_alive = false;
    }
    let config = Arc::new(config);
    let first = if input.script & 8 == 0 {
        Reply {
            accept: input.script & 16 != 0,
            interim: usize::from(input.script & 1),
            body: input::body(input.script),
            ..Reply::plain()
        }
    } else {
        // Queued at once: how much of a longer early answer is written before a fault in the request's body is
        // noticed depends on when that comes.
        Reply {
            when: When::Head,
            ..Reply::plain()
        }
    };
    let second = Reply {
        status: 404,
        body: input::body(input.script.wrapping_add(1)),
        ..Reply::plain()
    };
    let replies = [first, second];
    let run = Run {
        config: &config,
        wire: input.wire,
        end: input.end,
        replies: &replies,
    };

    let whole = play(&run, &Pace::whole());
    let bytewise = Pace {
        reads: vec![1],
        ..Pace::whole()
    };
    let cut = Pace {
        writes: Vec::new(),
        ..input.pace.clone()
    };
    assert_eq!(whole, play(&run, &bytewise), "whole and bytewise input");
    assert_eq!(whole, play(&run, &cut), "whole and cut input");
    assert_eq!(whole.wire, play(&run, &input.pace).wire, "whole and cut output");
});

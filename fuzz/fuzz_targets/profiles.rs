//! Strictness profiles. Any combination of switches tells the same at any cut; and what the strict profile accepts
//! means the same under every other one, up to the first thing that is refused.
//!
//! An input is the switches, what is asked, how the bytes end, cuts, and the peer's bytes.

#![no_main]

mod cuts;
#[path = "../../core/tests/harness/mod.rs"]
mod harness;

use antiphon_core::h1::{ClientConfig, Profile, ServerConfig};
use arbitrary::Arbitrary;
use cuts::Cuts;
use harness::client::Ask;
use harness::server::Reply;
use harness::{End, Pace, Story, Told, client, server};
use libfuzzer_sys::fuzz_target;
use std::sync::Arc;

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    /// One bit for each switch.
    switches: u16,
    /// 0 to 3: a server's input; else a client's, by what it has asked.
    role: u8,
    end: u8,
    cuts: Cuts,
    wire: &'a [u8],
}

fn profile(switches: u16) -> Profile {
    let on = |n: u16| switches & (1 << n) != 0;
    let mut p = Profile::STRICT;
    p.bare_lf = on(0);
    p.fold_in_requests = on(1);
    p.length_and_coding = on(2);
    p.coding_in_http10 = on(3);
    p.space_before_colon = on(4);
    p.status_line_spaces = on(5);
    p.ignore_bad_fields = on(6);
    p.target_high_bytes = on(7);
    p.any_host = on(8);
    p.space_in_chunk_size = on(9);
    p
}

fn serve(profile: Profile, input: &Input<'_>, pace: &Pace) -> Story {
    let mut config = ServerConfig::default();
    config.profile = profile;
    let config = Arc::new(config);
    let run = server::Run {
        config: &config,
        wire: input.wire,
        end: end(input),
        replies: &[Reply::plain()],
    };
    server::play(&run, pace)
}

fn ask(profile: Profile, input: &Input<'_>, pace: &Pace) -> Story {
    let mut config = ClientConfig::default();
    config.profile = profile;
    let config = Arc::new(config);
    let method = ["GET", "HEAD", "CONNECT", "POST"][usize::from(input.role % 4)];
    let upgrade = input.role & 8 != 0 && method == "GET";
    let asked = Ask {
        method,
        upgrade,
        ..Ask::plain()
    };
    let run = client::Run {
        config: &config,
        exchanges: &[(asked, input.wire.to_vec())],
        end: end(input),
    };
    client::play(&run, pace)
}

fn end(input: &Input<'_>) -> End {
    [End::Eof, End::Reset, End::Silence][usize::from(input.end % 3)]
}

/// What is told before the first thing that is refused; the end of the connection, which depends on what follows, is
/// left out.
fn accepted(story: &Story) -> (&[Told], bool) {
    let refused = |told: &Told| matches!(told, Told::Line(text) if text.starts_with("error "));
    let at = story.told.iter().position(refused);
    (&story.told[..at.unwrap_or(story.told.len())], at.is_some())
}

/// Whether `all` begins with `part`, whose last run of body bytes may go on.
fn begins_with(all: &[Told], part: &[Told]) -> bool {
    let Some((last, before)) = part.split_last() else {
        return true;
    };
    all.starts_with(before)
        && match (last, all.get(before.len())) {
            (Told::Body(short), Some(Told::Body(long))) => long.starts_with(short),
            (last, there) => there == Some(last),
        }
}

fuzz_target!(|input: Input<'_>| {
    if input.wire.len() > 4096 {
        return;
    }
    let play = |profile, pace: &Pace| {
        if input.role % 16 < 4 {
            serve(profile, &input, pace)
        } else {
            ask(profile, &input, pace)
        }
    };
    let chosen = profile(input.switches);
    let whole = play(chosen, &Pace::whole());
    for reads in [vec![1], input.cuts.sizes()] {
        let pace = Pace {
            reads,
            ..Pace::whole()
        };
        assert_eq!(whole.told, play(chosen, &pace).told, "whole and cut, {chosen:?}");
    }
    let strict = play(Profile::STRICT, &Pace::whole());
    let (meaning, refused) = accepted(&strict);
    if refused {
        assert!(
            begins_with(&whole.told, meaning),
            "strict:\n{strict:?}\nand with {chosen:?}:\n{whole:?}"
        );
    } else {
        assert_eq!(
            strict, whole,
            "all of it is accepted; strict, and with {chosen:?}"
        );
    }
});

//! The cases reach everything that the reference can say: each kind of error, each framing, complete and incomplete. Without
//! that, agreement would mean little.

use crate::cases::cases_of;
use crate::observe::limits;
use crate::odd::{OddRequests, OddResponse};
use crate::reference::{self, Framing, Outcome};
use crate::settings::{self, Near};
use crate::wire::Requests;
use quickcheck::Arbitrary;
use std::collections::BTreeMap;

type Counts = BTreeMap<String, u32>;

fn count(counts: &mut Counts, what: String) {
    *counts.entry(what).or_default() += 1;
}

fn outcome(counts: &mut Counts, outcome: Outcome) {
    let name = match outcome {
        Outcome::Wrong(wrong, _) => format!("{wrong:?}"),
        other => format!("{other:?}")
            .split('(')
            .next()
            .unwrap_or_default()
            .to_owned(),
    };
    count(counts, name);
}

fn framing(counts: &mut Counts, framing: Framing, complete: bool, trailers: bool) {
    let kind = match framing {
        Framing::Length(_) => "Length".to_owned(),
        other => format!("{other:?}"),
    };
    count(
        counts,
        format!("{kind}, {}", if complete { "whole" } else { "cut" }),
    );
    if trailers {
        count(counts, "trailers".into());
    }
}

/// At least `least` cases of each, or the generators have become blind.
fn all_reached(counts: &Counts, names: &str, least: u32) {
    for name in names.split_whitespace() {
        let n = counts.get(&name.replace('_', " ")).copied().unwrap_or(0);
        assert!(n >= least, "{name}: {n} cases\n{counts:#?}");
    }
}

#[test]
fn requests_break_every_rule() {
    let g = &mut cases_of(100);
    let mut counts = Counts::new();
    for i in 0..60_000 {
        let mut config = settings::Server::arbitrary(g);
        let wire = if i % 3 == 0 {
            Requests::arbitrary(g).0
        } else {
            OddRequests::arbitrary(g).0
        };
        Near::arbitrary(g).apply(&mut std::sync::Arc::make_mut(&mut config.0).limits, &wire);
        let (requests, end) = reference::requests(&wire, i % 2 == 0, &limits(&config.0.limits));
        outcome(&mut counts, end);
        for r in requests {
            framing(&mut counts, r.framing, r.complete, !r.trailers.is_empty());
        }
    }
    all_reached(
        &counts,
        "Method RequestLine TargetByte TargetForm Version UnsupportedVersion LineEnd EmptyLines FieldName FieldValue \
         LineFolding TargetTooLong RequestLineTooLong HeadTooLarge TooManyFields HostMissing HostRepeated Host \
         ContentLength ContentLengthConflict TransferCoding TransferEncodingInHttp10 LengthAndCoding Expectation \
         ConnectContent ChunkSize ChunkExtension ChunkEnd ChunkLineTooLong ChunkOverhead TrailersTooLarge UnexpectedEof \
         Complete More Closes Switches trailers Nothing,_whole Length,_whole Length,_cut Chunked,_whole Chunked,_cut",
        5,
    );
}

#[test]
fn responses_break_every_rule() {
    let g = &mut cases_of(100);
    let mut counts = Counts::new();
    for i in 0..60_000 {
        let mut config = settings::Client::arbitrary(g);
        let OddResponse(query, wire) = OddResponse::arbitrary(g);
        Near::arbitrary(g).apply(&mut std::sync::Arc::make_mut(&mut config.0).limits, &wire);
        let (responses, end) =
            reference::response(&wire, i % 2 == 0, query.asked(), &limits(&config.0.limits));
        outcome(&mut counts, end);
        for r in responses {
            framing(&mut counts, r.framing, r.complete, !r.trailers.is_empty());
        }
    }
    all_reached(
        &counts,
        "StatusLine LineEnd FieldName FieldValue LineFolding HeadTooLarge TooManyFields ContentLength \
         ContentLengthConflict TransferCoding ChunkSize ChunkExtension ChunkEnd ChunkLineTooLong ChunkOverhead \
         TrailersTooLarge UnexpectedEof TooManyInterim UnexpectedSwitch Complete More Closes Switches NoAnswer trailers \
         Nothing,_whole Length,_whole Length,_cut Chunked,_whole Chunked,_cut UntilClose,_whole UntilClose,_cut",
        5,
    );
}

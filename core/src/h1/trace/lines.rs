//! The lines that the methods of `calls.rs` have in common: one for the call, one for its result.

use super::Tap;
use super::json::Line;
use super::words::{self, Told};
use crate::Instant;
use crate::h1::error::{Misuse, PeerError};
use crate::h1::event::ExchangeId;
use crate::h1::output::Outgoing;
use alloc::vec::Vec;

/// `{"KIND":"NAME", ...}`
pub(super) fn line(tap: &mut Tap, kind: &str, name: &str, members: impl FnOnce(&mut Line)) {
    tap.line(|l| {
        l.key(kind).bytes(name.as_bytes());
        members(l);
    });
}

/// A line about an exchange.
pub(super) fn about(tap: &mut Tap, name: &str, id: ExchangeId, members: impl FnOnce(&mut Line)) {
    line(tap, "do", name, |l| {
        l.key("id");
        words::id(l, id);
        members(l);
    });
}

pub(super) fn at(l: &mut Line, now: Instant) {
    l.key("now");
    words::instant(l, now);
}

pub(super) fn back(tap: &mut Tap, value: impl FnOnce(&mut Line)) {
    tap.line(|l| value(l.key("back")));
}

pub(super) fn misuse(tap: &mut Tap, misuse: Misuse) {
    tap.line(|l| l.key("misuse").name(misuse));
}

/// Only a refusal is worth a line.
pub(super) fn refused<M>(_: &M, result: &Result<(), Misuse>, tap: &mut Tap) {
    if let Err(e) = result {
        misuse(tap, *e);
    }
}

pub(super) fn copied<M>(_: &M, result: &Result<usize, Misuse>, tap: &mut Tap) {
    match result {
        Ok(n) => back(tap, |l| l.number(*n as u64)),
        Err(e) => misuse(tap, *e),
    }
}

pub(super) fn nothing<M, R>(_: &M, _: &R, _: &mut Tap) {}

pub(super) fn told<E: Told>(result: &Result<Option<E>, PeerError>, tap: &mut Tap) {
    tap.line(|l| match result {
        Ok(Some(event)) => event.tell(l),
        Ok(None) => l.key("told").null(),
        Err(e) => {
            l.key("refused");
            words::error(l, *e);
        }
    });
}

/// The first `n` bytes of what is to be written, those of an external body left out.
pub(super) fn first(outgoing: Outgoing<'_>, n: u64) -> Vec<u8> {
    let mut room = 8;
    loop {
        let mut slices: Vec<&[u8]> = alloc::vec![&[]; room];
        let count = outgoing.slices(&mut slices);
        if count < room {
            let most = usize::try_from(n).unwrap_or(usize::MAX);
            return slices.concat().into_iter().take(most).collect();
        }
        room *= 2;
    }
}

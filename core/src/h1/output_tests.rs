//! The output queue by itself: every way of taking it puts the same bytes on the wire.

use super::error::Misuse;
use super::output::Output;
use alloc::vec;
use alloc::vec::Vec;
use bytes::Bytes;

/// Above the size that is copied.
const LARGE: usize = 3000;

/// `head`, a large shared part, `mid`, an external part of 5 bytes, `tail`.
fn queue() -> (Output, Vec<u8>) {
    let mut out = Output::default();
    out.copy(b"head");
    out.share(vec![b'x'; LARGE].into());
    out.copy(b"mid");
    out.external(0);
    out.external(5);
    out.copy(b"tail");
    let before = [&b"head"[..], &[b'x'; LARGE], b"mid"].concat();
    (out, before)
}

/// Writes up to `step` bytes at a time; an external part is `e`s.
fn written(out: &mut Output, step: usize) -> Vec<u8> {
    let mut all = Vec::new();
    while out.is_ready() {
        let o = out.outgoing();
        assert!(!o.is_empty());
        let n = match o.external() {
            Some(left) => {
                assert!(o.first().is_empty());
                let n = (left as usize).min(step);
                all.extend(vec![b'e'; n]);
                n
            }
            None => {
                let mut slices = [&[][..]; 8];
                let count = o.slices(&mut slices);
                assert_eq!(slices[0], o.first());
                assert_eq!(o.slices(&mut [&[][..]; 1]), 1);
                let together = slices[..count].concat();
                let n = together.len().min(step);
                all.extend_from_slice(&together[..n]);
                n
            }
        };
        out.sent(n as u64).unwrap();
    }
    assert!(out.is_empty() && out.outgoing().is_empty());
    assert_eq!(out.sent(1), Err(Misuse::TooMuch));
    all
}

#[test]
fn any_step_writes_the_same() {
    for step in [1, 2, 3, 4, 5, 7, 100, LARGE, 10_000] {
        let (mut out, before) = queue();
        let all = [&before[..], b"eeeee", b"tail"].concat();
        assert_eq!(out.queued(), all.len() as u64);
        assert_eq!(out.sent(before.len() as u64 + 1), Err(Misuse::TooMuch));
        assert_eq!(written(&mut out, step), all);
    }
}

#[test]
fn small_parts_leave_in_one_piece_and_large_ones_are_not_copied() {
    let mut out = Output::default();
    out.copy(b"a");
    out.share(vec![b'b'; 2048].into());
    assert_eq!(out.outgoing().first().len(), 2049);
    let mut out = Output::default();
    let large = Bytes::from(vec![b'b'; 2049]);
    out.share(large.clone());
    assert_eq!(out.outgoing().first().as_ptr(), large.as_ptr());
}

#[test]
fn what_is_taken_is_reported_in_parts_and_never_twice() {
    for step in [1, 1000, 10_000] {
        let (mut out, before) = queue();
        out.sent(2).unwrap();
        let taken = out.take().unwrap();
        assert_eq!(taken.len(), before.len() as u64 - 2);
        assert_eq!(taken.collect::<Vec<_>>().concat(), before[2..]);
        // Nothing else may be written until that was.
        assert!(out.take().is_none() && !out.is_ready() && out.outgoing().is_empty());
        let mut left = before.len() as u64 - 2;
        assert_eq!(out.sent(left + 1), Err(Misuse::TooMuch));
        while left > 0 {
            assert!(!out.is_ready());
            let n = left.min(step);
            out.sent(n).unwrap();
            left -= n;
        }
        assert!(out.is_ready() && out.take().is_none());
        assert_eq!(out.outgoing().external(), Some(5));
        assert_eq!(written(&mut out, 2), b"eeeeetail");
    }
    // Without an external part, and again.
    let mut out = Output::default();
    assert!(out.take().is_none());
    for _ in 0..2 {
        out.copy(b"abc");
        let taken = out.take().unwrap();
        out.copy(b"def");
        assert_eq!(taken.collect::<Vec<_>>().concat(), b"abc");
        out.sent(3).unwrap();
        assert_eq!(written(&mut out, 2), b"def");
    }
}

/// The driver may still be writing what it took: it can report that, and no more.
#[test]
fn what_was_taken_before_everything_was_dropped_may_still_be_reported() {
    let mut out = Output::default();
    out.copy(b"abc");
    out.take().unwrap();
    out.clear();
    assert!(out.is_empty());
    assert_eq!(out.sent(4), Err(Misuse::TooMuch));
    assert_eq!(out.sent(1), Ok(()));
    assert_eq!(out.sent(3), Err(Misuse::TooMuch));
    assert_eq!(out.sent(2), Ok(()));
    assert_eq!(out.sent(1), Err(Misuse::TooMuch));
    out.copy(b"d");
    assert_eq!(written(&mut out, 1), b"d");
    // Nothing was taken: nothing may be reported.
    out.copy(b"abc");
    out.clear();
    assert_eq!(out.sent(1), Err(Misuse::TooMuch));
    out.copy(b"abc");
    out.sent(1).unwrap();
    assert_eq!(written(&mut out, 9), b"bc");
}

#[test]
fn what_was_not_sent_is_given_back_up_to_an_external_part() {
    let (mut out, before) = queue();
    out.sent(1).unwrap();
    assert_eq!(out.into_unsent(), before[1..]);
    let mut out = Output::default();
    out.copy(b"abc");
    out.sent(1).unwrap();
    out.copy(b"de");
    assert_eq!(out.into_unsent(), b"bcde"[..]);
}

/// The front of the arena is given up once it is large and written, without losing a byte behind it.
#[test]
fn the_arena_does_not_grow_for_ever() {
    let mut out = Output::default();
    let mut next = 0u8;
    let mut expected = 0u8;
    for _ in 0..2000 {
        let bytes: Vec<u8> = (0..50)
            .map(|_| {
                next = next.wrapping_add(1);
                next
            })
            .collect();
        out.copy(&bytes);
        let n = 49.min(out.outgoing().first().len());
        for &b in &out.outgoing().first()[..n] {
            expected = expected.wrapping_add(1);
            assert_eq!(b, expected);
        }
        out.sent(n as u64).unwrap();
    }
    assert!(out.capacity() < 32 * 1024, "{}", out.capacity());
    assert!(out.capacity() >= 4096);
}

#[test]
fn capacity_counts_the_arena_and_the_segments() {
    let mut out = Output::default();
    assert_eq!(out.capacity(), 0);
    let arena = out.arena(1000).capacity();
    assert_eq!(out.capacity(), arena);
    for _ in 0..100 {
        out.external(1);
    }
    let segments = out.capacity() - arena;
    assert!((100 * 16..200 * 64).contains(&segments), "{segments}");
}

/// The tail behind a large part: shown only where there is room for it, written across the border, counted.
#[test]
fn a_tail_behind_a_large_part() {
    let mut out = Output::default();
    out.share(vec![b'x'; LARGE].into());
    assert_eq!(out.outgoing().slices(&mut [&[][..]; 3]), 1);
    out.copy(b"tail");
    let mut slices = [&[][..]; 3];
    assert_eq!(out.outgoing().slices(&mut slices[..1]), 1);
    assert_eq!(out.outgoing().slices(&mut []), 0);
    assert_eq!(out.outgoing().slices(&mut slices), 2);
    assert_eq!(slices[1], b"tail");
    assert_eq!(out.sent(LARGE as u64 + 5), Err(Misuse::TooMuch));
    out.sent(1).unwrap();
    assert_eq!(out.sent(LARGE as u64 + 4), Err(Misuse::TooMuch));
    out.sent(LARGE as u64).unwrap();
    assert_eq!(out.outgoing().first(), b"ail");
    assert_eq!(out.sent(4), Err(Misuse::TooMuch));
    out.sent(1).unwrap();
    assert_eq!(out.sent(3), Err(Misuse::TooMuch));
    out.sent(2).unwrap();
    assert!(out.is_empty());
    // And in front of it a head that is half written.
    out.copy(b"head");
    out.share(vec![b'x'; LARGE].into());
    out.copy(b"tail");
    out.sent(2).unwrap();
    assert_eq!(out.sent(LARGE as u64 + 7), Err(Misuse::TooMuch));
    out.sent(LARGE as u64 + 6).unwrap();
    assert!(out.is_empty());
}

/// The arena moves its bytes to the front while a large part stands in the queue, and another one follows at once: where
/// the tail begins has moved too.
#[test]
fn the_tail_moves_with_the_arena() {
    let mut out = Output::default();
    out.copy(&[b'h'; 5000]);
    out.share(vec![b'x'; LARGE].into());
    out.sent(5000).unwrap();
    out.copy(b"mid");
    out.share(vec![b'y'; LARGE].into());
    out.copy(b"tail");
    let all = [&[b'x'; LARGE][..], b"mid", &[b'y'; LARGE], b"tail"].concat();
    assert_eq!(written(&mut out, 100), all);
}

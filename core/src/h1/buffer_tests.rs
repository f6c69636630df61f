//! The receive buffer by itself, against a plain queue: no byte is lost, room is there when it says so, nothing grows
//! past its limit.

use super::buffer::RecvBuf;
use alloc::collections::VecDeque;
use alloc::vec::Vec;

/// Writes up to `n` bytes, continuing `next`; returns how many.
fn fill(
    buf: &mut RecvBuf,
    model: &mut VecDeque<u8>,
    next: &mut u8,
    n: usize,
    limits: (usize, usize, bool),
) -> usize {
    let space = buf.space(limits.0, limits.1, limits.2);
    let n = n.min(space.len());
    for b in &mut space[..n] {
        *next = next.wrapping_add(1);
        *b = *next;
        model.push_back(*next);
    }
    assert!(buf.received(n));
    n
}

#[test]
fn it_is_a_queue_however_it_is_filled_and_drained() {
    let mut random = 1u32;
    let mut roll = |n: usize| {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (random >> 8) as usize % n
    };
    for round in 0..400 {
        let first = 1 + roll(20);
        let most = first + roll(60);
        let whole = round % 2 == 0;
        let (mut buf, mut model, mut next) = (RecvBuf::default(), VecDeque::new(), 0u8);
        for _ in 0..200 {
            if roll(2) == 0 {
                let room = buf.has_room(most, whole);
                let n = fill(&mut buf, &mut model, &mut next, roll(30), (first, most, whole));
                // Room that was promised is there, and none was there that was not.
                assert_eq!(room, n > 0 || !buf.space(first, most, whole).is_empty());
            } else {
                let n = roll(buf.len() + 1);
                buf.consume(n);
                model.drain(..n);
            }
            if roll(20) == 0 && !buf.is_empty() {
                let n = 1 + roll(buf.len());
                let (data, start) = buf.take_storage(n, first);
                let taken: Vec<u8> = model.drain(..n).collect();
                assert_eq!(data[start..start + n], taken);
            }
            assert_eq!(buf.unread(), model.make_contiguous());
            assert_eq!((buf.len(), buf.is_empty()), (model.len(), model.is_empty()));
            assert!(buf.size() <= most.max(first), "{} {most}", buf.size());
            assert_eq!(buf.has_end(), !buf.tail().is_empty());
            let room = buf.tail().len();
            assert!(!buf.received(room + 1));
        }
    }
}

#[test]
fn it_grows_when_what_it_gives_is_filled_and_only_then() {
    let (mut buf, mut model, mut next) = (RecvBuf::default(), VecDeque::new(), 0);
    let limits = (16, 100, false);
    assert!(!buf.has_tail() && buf.has_room(100, false));
    fill(&mut buf, &mut model, &mut next, 15, limits);
    assert_eq!(buf.size(), 16);
    assert!(buf.has_tail());
    fill(&mut buf, &mut model, &mut next, 1, limits);
    assert!(!buf.has_tail() && !buf.has_end());
    // Filled: a larger space pays, also once it was used up.
    buf.consume(16);
    assert!(!buf.has_tail() && buf.has_end());
    assert_eq!(buf.space(16, 100, false).len(), 32);
    fill(&mut buf, &mut model, &mut next, 32, limits);
    assert_eq!(buf.space(16, 100, false).len(), 32);
    fill(&mut buf, &mut model, &mut next, 32, limits);
    fill(&mut buf, &mut model, &mut next, 100, limits);
    assert_eq!((buf.size(), buf.len()), (100, 100 - 16 + 16 - 32 + 32));
    assert!(!buf.has_room(100, false) && !buf.has_room(100, true));
    // Half of it free in front: the rest is moved there. A head is moved for any byte.
    buf.consume(49);
    assert!(!buf.has_room(100, false) && buf.has_room(100, true));
    buf.consume(1);
    assert!(buf.has_room(100, false));
    assert_eq!(buf.space(16, 100, false).len(), 50);
    assert_eq!(buf.len(), 50);
}

/// Takes space and reads up to `n` bytes into it; returns how many were read, and how many that were there already had to
/// be copied to make the space: those that are found elsewhere in memory afterwards.
fn read(buf: &mut RecvBuf, n: usize, (first, most, whole): (usize, usize, bool)) -> (usize, usize) {
    let at = buf.unread().as_ptr();
    let n = n.min(buf.space(first, most, whole).len());
    let copied = if buf.unread().as_ptr() == at { 0 } else { buf.len() };
    assert!(buf.received(n));
    (n, copied)
}

/// A body's bytes, used as they come or when there is no room left, in any portions: a move never costs more than what was
/// used up since the one before, and all growths together less than twice the largest size.
#[test]
fn what_is_copied_for_a_body_is_linear_in_what_was_received() {
    for most in [64, 1_000, 4_096] {
        for portion in [1, 2, most / 3, most / 2, most] {
            for use_up in [1, 2, most / 3, most / 2 - 1, most / 2, most] {
                let limits = (64, most, false);
                let (mut buf, mut received, mut copied) = (RecvBuf::default(), 0, 0);
                while received < 20 * most {
                    let (n, again) = read(&mut buf, portion, limits);
                    received += n;
                    copied += again;
                    if n == 0 || use_up <= buf.len() {
                        buf.consume(use_up.min(buf.len()));
                    }
                }
                assert!(
                    copied <= received + 2 * most,
                    "{copied} of {received}: {most} {portion} {use_up}"
                );
            }
        }
    }
}

/// Heads, one after the other, whole and in one piece: each is moved once at most, whatever was in front of it.
#[test]
fn what_is_copied_for_heads_is_linear_in_what_was_received() {
    let most = 1_000;
    for portion in [1, 7, 500, 1_000] {
        for head in [1, 2, 63, 333, 501, 999, 1_000] {
            let limits = (64, most, true);
            let (mut buf, mut received, mut copied) = (RecvBuf::default(), 0, 0);
            while received < 20 * most {
                // Room is only asked for while the head is not complete.
                while buf.len() < head {
                    let (n, again) = read(&mut buf, portion, limits);
                    assert!(n > 0, "no room for a head of {head}");
                    received += n;
                    copied += again;
                }
                buf.consume(head);
            }
            assert!(
                copied <= received + 2 * most,
                "{copied} of {received}: {portion} {head}"
            );
        }
    }
}

#[test]
fn a_buffer_that_was_filled_grows_rather_than_moves() {
    let limits = (16, 64, true);
    let mut buf = RecvBuf::default();
    assert_eq!(read(&mut buf, 15, limits), (15, 0));
    buf.consume(3);
    // The last byte of 16 fills it: a peer that sends more than fits is given more.
    assert_eq!(read(&mut buf, 100, limits), (1, 0));
    assert_eq!((read(&mut buf, 5, limits), buf.size()), ((5, 13), 32));
    // Used up byte by byte, and not filled by the read before: moved.
    assert_eq!(read(&mut buf, 13, limits), (13, 0));
    assert_eq!(buf.size(), 32);
    buf.consume(1);
    assert_eq!(read(&mut buf, 1, limits), (1, 0));
    assert_eq!((read(&mut buf, 33, limits), buf.size()), ((33, 31), 64));
    // As large as it may be: filled or not, it can only be moved.
    assert!(!buf.has_tail() && !buf.has_room(64, true));
    buf.consume(1);
    assert!(buf.has_room(64, true));
    assert_eq!((read(&mut buf, 9, limits), buf.size()), ((1, 63), 64));
    // Space that is there is given as it is.
    buf.consume(60);
    assert_eq!(read(&mut buf, 20, limits), (20, 4));
    assert!(buf.has_tail());
    assert_eq!(read(&mut buf, 20, limits), (20, 0));
}

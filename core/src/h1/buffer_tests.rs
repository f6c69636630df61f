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
                // Room that was promised is there.
                assert!(!room || n > 0 || !buf.space(first, most, whole).is_empty());
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

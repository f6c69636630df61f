//! Searching bytes by class, several at a time and without unsafe code: where a value, a name, a target or a line
//! ends.

use crate::message::token::{TOKEN, is_value};

const BLOCK: usize = 16;

/// The first byte at or after `pos` and before `end` that may not stand in a field value; `end` if none.
/// Whole blocks are judged at a time, also across `end`: what lies behind it is only initialised memory.
#[inline]
pub(crate) fn value_end(data: &[u8], mut pos: usize, end: usize) -> usize {
    while let Some(block) = data.get(pos..).and_then(|d| d.first_chunk::<BLOCK>()) {
        // Compiles to a handful of vector instructions.
        if block
            .iter()
            .fold(false, |bad, &b| bad | ((b < 0x20) & (b != b'\t')) | (b == 0x7f))
        {
            break;
        }
        pos += BLOCK;
        if pos >= end {
            return end;
        }
    }
    // Which byte it was: word by word, then one by one.
    while pos < end {
        let Some(word) = word_at(data, pos) else {
            while pos < end && is_value(data[pos]) {
                pos += 1;
            }
            return pos;
        };
        let hit = below(word, 0x20) | equal(word, 0x7f);
        if hit == 0 {
            pos += 8;
            continue;
        }
        pos += lowest(hit);
        if pos >= end || data[pos] != b'\t' {
            break;
        }
        pos += 1;
    }
    pos.min(end)
}

/// The first byte at or after `pos` of `data` that is no token character; its length if none. Names are short:
/// judging eight bytes at once was measured to cost the same.
#[inline]
pub(crate) fn name_end(data: &[u8], mut pos: usize) -> usize {
    while let Some(&b) = data.get(pos) {
        if !TOKEN[b as usize] {
            break;
        }
        pos += 1;
    }
    pos
}

/// The same for a request target: visible US-ASCII but `#`.
#[inline]
pub(crate) fn target_end(data: &[u8], mut pos: usize, end: usize, high: bool) -> usize {
    if !high {
        while let Some(word) = word_at(data, pos) {
            let hit = below(word, 0x21) | equal(word, 0x7f) | equal(word, b'#') | word & EACH_TOP;
            if hit != 0 {
                return (pos + lowest(hit)).min(end);
            }
            pos += 8;
            if pos >= end {
                return end;
            }
        }
    }
    while pos < end && (crate::message::token::is_target(data[pos]) || (high && data[pos] >= 0x80)) {
        pos += 1;
    }
    pos
}

/// The first `byte` in `data[pos..end]`, as an index into `data`.
#[inline]
pub(crate) fn find_byte(data: &[u8], mut pos: usize, end: usize, byte: u8) -> Option<usize> {
    let data = &data[..end];
    while let Some(word) = word_at(data, pos) {
        let hit = equal(word, byte);
        if hit != 0 {
            return Some(pos + lowest(hit));
        }
        pos += 8;
    }
    while pos < end {
        if data[pos] == byte {
            return Some(pos);
        }
        pos += 1;
    }
    None
}

// Eight bytes at once. In each of these masks the lowest byte that is marked is right; marks above it may not be.

const EACH: u64 = 0x0101_0101_0101_0101;
const EACH_TOP: u64 = EACH << 7;

#[inline]
fn word_at(data: &[u8], pos: usize) -> Option<u64> {
    data.get(pos..)?.first_chunk().map(|w| u64::from_le_bytes(*w))
}

/// Marks bytes below `n` (at most 0x80).
#[inline]
const fn below(word: u64, n: u8) -> u64 {
    word.wrapping_sub(EACH * n as u64) & !word & EACH_TOP
}

/// Marks bytes equal to `n`.
#[inline]
const fn equal(word: u64, n: u8) -> u64 {
    below(word ^ (EACH * n as u64), 1)
}

/// The index of the lowest marked byte.
#[inline]
const fn lowest(mask: u64) -> usize {
    (mask.trailing_zeros() / 8) as usize
}

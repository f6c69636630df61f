//! How a fuzzer's bytes are read: a control line, then the peer's bytes. Text, so that seeds can be written and
//! findings read by hand.
//!
//! ```text
//! SER123<LF>GET / HTTP/1.1<CR><LF>...
//! ||||||
//! |||+++--- read sizes, round and round: a digit is itself, any other byte its value modulo 48, never 0
//! ||+------ which script the application plays
//! |+------- how the bytes end: 0 FIN, 1 reset, 2 silence
//! +-------- which settings: 0 default, 1 tiny limits, 2 lenient, 3 both, 4 and 5 see `server_bytes`
//! ```

use crate::harness::{End, Pace, Piece, Sending, Ways};
use antiphon_core::h1::{Limits, Profile};

/// A read input.
pub(crate) struct Input<'a> {
    pub(crate) settings: u8,
    pub(crate) end: End,
    pub(crate) script: u8,
    pub(crate) pace: Pace,
    pub(crate) wire: &'a [u8],
}

/// Beyond this an input teaches nothing new and only takes time.
const LONGEST: usize = 16 * 1024;

/// `None` for what is not of the form above.
pub(crate) fn read(data: &[u8]) -> Option<Input<'_>> {
    let line = data.iter().position(|&b| b == b'\n')?;
    let (control, wire) = (&data[..line], &data[line + 1..]);
    let [settings, end, script, sizes @ ..] = control else {
        return None;
    };
    if wire.len() > LONGEST || sizes.len() > 32 {
        return None;
    }
    let reads: Vec<u16> = sizes.iter().map(|b| u16::from(b % 48).max(1)).collect();
    Some(Input {
        settings: settings % 48,
        end: [End::Eof, End::Reset, End::Silence][usize::from(end % 48) % 3],
        script: script % 48,
        pace: Pace {
            writes: reads.iter().rev().copied().collect(),
            bites: reads.clone(),
            ways: ways(control),
            reads,
        },
        wire,
    })
}

/// By which calls: a sum of the control line's bytes, so that every line plays by one way or another.
fn ways(control: &[u8]) -> Ways {
    let sum = control.iter().fold(0u8, |sum, b| sum.wrapping_add(*b));
    let bit = |n: u8| sum & (1 << n) != 0;
    Ways {
        lend: bit(0),
        copy_in: bit(1),
        take_out: bit(2),
        take_body: bit(3),
        direct: bit(4),
        take_head: bit(5),
    }
}

/// Limits so small that a fuzzer meets every one.
pub(crate) fn tiny(limits: &mut Limits) {
    limits.head = 200;
    limits.fields = 4;
    limits.target = 20;
    limits.trailers = 40;
    limits.trailer_fields = 1;
    limits.chunk_line = 8;
    limits.chunk_overhead = 8;
    limits.interim = 1;
    limits.empty_lines = 1;
    limits.discard = 40;
    limits.recv_buffer = 32;
    limits.recv_buffer_max = 64;
    limits.send_buffer = 256;
}

pub(crate) fn profile(settings: u8) -> Profile {
    match settings {
        2 | 3 => Profile::LENIENT,
        _ => Profile::STRICT,
    }
}

/// An outgoing body of a script.
pub(crate) fn body(script: u8) -> Sending {
    let pieces = match script % 4 {
        0 => Vec::new(),
        1 => vec![Piece::Copied(10), Piece::Copied(0), Piece::Copied(60)],
        2 => vec![Piece::Copied(3), Piece::Shared(5_000), Piece::External(9)],
        _ => vec![Piece::External(40), Piece::Shared(1)],
    };
    Sending {
        sized: script & 4 == 0,
        trailers: script & 4 != 0,
        pieces,
    }
}

//! Bytes on their way: bodies in and out, the wire between both machines, and the moves that both make alike.

use super::script::Line;
use std::collections::VecDeque;

/// A body on its way out.
#[derive(Default)]
pub(crate) struct Out {
    pub(crate) piece: usize,
    pub(crate) finished: bool,
    /// The trailers that went along.
    pub(crate) trailers: Vec<Line>,
}

/// A body on its way in.
#[derive(Default)]
pub(crate) struct In {
    pub(crate) body: Vec<u8>,
    pub(crate) ended: bool,
}

/// One direction of the wire.
#[derive(Default)]
pub(crate) struct Pipe {
    pub(crate) bytes: VecDeque<u8>,
    /// Nothing more is written, and whether the reader knows.
    pub(crate) shut: bool,
    pub(crate) told: bool,
    /// The reader has closed: what is written is lost.
    pub(crate) deaf: bool,
}

/// Sends the next piece, or the end; false if that has to wait or there is nothing to do.
macro_rules! send {
    ($conn:expr, $id:expr, $out:expr, $sending:expr, $exchange:expr) => {{
        let (out, sending) = (&mut $out, $sending);
        let result = match sending.pieces.get(out.piece) {
            Some(piece) => {
                let bytes = sending.bytes($exchange, out.piece);
                match piece {
                    Piece::External(n) => $conn.send_external($id, u64::from(*n)),
                    Piece::Copied(n) if $conn.send_capacity($id) < usize::from(*n) => Err(Misuse::Full),
                    Piece::Copied(_) => $conn.send_body_copy($id, &bytes).map(drop),
                    Piece::Shared(_) => $conn.send_body($id, bytes.into()),
                }
            }
            None => {
                let trailers = fields(&sending.trailers);
                match $conn.finish($id, &trailers[..]) {
                    Ok(()) => {
                        out.trailers = lines(trailers);
                        Ok(())
                    }
                    Err(Misuse::TrailersNeedChunked) => $conn.finish($id, &Fields::EMPTY),
                    Err(e) => Err(e),
                }
            }
        };
        match result {
            Ok(()) => {
                out.finished = out.piece == sending.pieces.len();
                out.piece += 1;
                true
            }
            Err(Misuse::Full | Misuse::AwaitingContinue) => false,
            // The other side needs no more of it.
            Err(Misuse::BodyFinished | Misuse::Closed | Misuse::UnknownExchange) => {
                out.finished = true;
                true
            }
            Err(e) => panic!("{e:?} for piece {} of {sending:?}", out.piece),
        }
    }};
}

macro_rules! write_out {
    ($conn:expr, $pipe:expr, $most:expr) => {{
        let outgoing = $conn.outgoing();
        let bytes = match outgoing.external() {
            Some(n) => vec![b'E'; n as usize],
            None => {
                let mut slices = [&[][..]; 64];
                let n = outgoing.slices(&mut slices);
                slices[..n].concat()
            }
        };
        let n = bytes.len().min($most);
        assert!(
            n > 0 || !$conn.wants().write,
            "a write is wanted, but there is nothing to write"
        );
        $conn.sent(n as u64, NOW).expect("what was offered");
        if !$pipe.deaf {
            $pipe.bytes.extend(&bytes[..n]);
        }
        n > 0
    }};
}

macro_rules! read_in {
    ($conn:expr, $pipe:expr, $most:expr) => {{
        if !$conn.wants().read {
            false
        } else if $pipe.bytes.is_empty() {
            let tells = $pipe.shut && !$pipe.told;
            if tells {
                $pipe.told = true;
                $conn.received_eof(NOW);
            }
            tells
        } else {
            let space = $conn.recv_space();
            let n = $most.min(space.len()).min($pipe.bytes.len());
            assert!(n > 0, "a read is wanted, but there is no room");
            for (to, from) in space.iter_mut().zip($pipe.bytes.drain(..n)) {
                *to = from;
            }
            $conn.received(n, NOW).expect("a read was wanted");
            true
        }
    }};
}

macro_rules! eat {
    ($conn:expr, $in:expr, $most:expr) => {{
        let n = $conn.body().len().min($most);
        $in.body.extend_from_slice(&$conn.body()[..n]);
        $conn.consume(n).expect("what was shown");
        n > 0
    }};
}
pub(crate) use {eat, read_in, send, write_out};

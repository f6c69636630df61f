//! What the fuzzer says: what is asked, what is answered, and who moves when.

use antiphon_core::h1::BodyLen;
use antiphon_core::{Field, FieldName, FieldValue};
use arbitrary::{Arbitrary, Unstructured};

#[derive(Arbitrary, Debug)]
pub(crate) struct Input<'a> {
    pub(crate) small: bool,
    pub(crate) exchanges: Vec<Exchange<'a>>,
    pub(crate) steps: Vec<Step>,
}

#[derive(Arbitrary, Debug)]
pub(crate) struct Exchange<'a> {
    pub(crate) ask: Ask<'a>,
    pub(crate) reply: Reply<'a>,
}

#[derive(Arbitrary, Debug)]
pub(crate) struct Ask<'a> {
    pub(crate) method: u8,
    pub(crate) close: bool,
    pub(crate) expect: bool,
    pub(crate) upgrade: bool,
    pub(crate) message: Sending<'a>,
}

#[derive(Arbitrary, Debug)]
pub(crate) struct Reply<'a> {
    pub(crate) status: u8,
    pub(crate) close: bool,
    /// The request's body is not waited for.
    pub(crate) early: bool,
    pub(crate) accept: bool,
    pub(crate) interims: u8,
    pub(crate) message: Sending<'a>,
}

#[derive(Arbitrary, Debug)]
pub(crate) struct Sending<'a> {
    pub(crate) chunked: bool,
    pub(crate) fields: Vec<(u8, Blob<'a>)>,
    pub(crate) pieces: Vec<Piece>,
    pub(crate) trailers: Vec<(u8, Blob<'a>)>,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
pub(crate) enum Piece {
    Shared(u16),
    Copied(u8),
    External(u8),
}

/// Bytes behind their number, so that inputs can be written by hand.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Blob<'a>(&'a [u8]);

impl<'a> Arbitrary<'a> for Blob<'a> {
    fn arbitrary(u: &mut Unstructured<'a>) -> arbitrary::Result<Blob<'a>> {
        let n = usize::from(u8::arbitrary(u)?).min(u.len());
        u.bytes(n).map(Blob)
    }
}

/// Who moves, and by how many bytes at most.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub(crate) enum Step {
    ClientSends,
    ClientWrites(u8),
    ServerReads(u8),
    ServerEvents,
    ServerEats(u8),
    ServerSends,
    ServerWrites(u8),
    ClientReads(u8),
    ClientEvents,
    ClientEats(u8),
}

pub(crate) const ROUND: [Step; 10] = [
    Step::ClientSends,
    Step::ClientWrites(255),
    Step::ServerReads(255),
    Step::ServerEvents,
    Step::ServerEats(255),
    Step::ServerSends,
    Step::ServerWrites(255),
    Step::ClientReads(255),
    Step::ClientEvents,
    Step::ClientEats(255),
];

pub(crate) type Line = (Vec<u8>, Vec<u8>);

impl Piece {
    pub(crate) fn len(self) -> usize {
        match self {
            // Large enough to be shared, small enough to get many of them through.
            Piece::Shared(n) => usize::from(n) / 8,
            Piece::Copied(n) | Piece::External(n) => usize::from(n),
        }
    }
}

impl Sending<'_> {
    pub(crate) fn len(&self) -> BodyLen {
        match (self.chunked, self.pieces.iter().map(|p| p.len() as u64).sum()) {
            (true, _) => BodyLen::Unknown,
            (false, 0) => BodyLen::None,
            (false, n) => BodyLen::Known(n),
        }
    }

    /// Body bytes that tell to which exchange they belong.
    pub(crate) fn bytes(&self, exchange: usize, piece: usize) -> Vec<u8> {
        let before: usize = self.pieces[..piece].iter().map(|p| p.len()).sum();
        let byte = |i: usize| b'a' + ((before + i + 5 * exchange) % 23) as u8;
        match self.pieces[piece] {
            Piece::External(n) => vec![b'E'; usize::from(n)],
            p => (0..p.len()).map(byte).collect(),
        }
    }

    pub(crate) fn whole(&self, exchange: usize) -> Vec<u8> {
        (0..self.pieces.len())
            .flat_map(|piece| self.bytes(exchange, piece))
            .collect()
    }
}

pub(crate) fn fields<'a>(of: &[(u8, Blob<'a>)]) -> Vec<Field<'a>> {
    const NAMES: [&str; 5] = ["x-a", "X-Request-Id", "accept", "x-sum", "date"];
    let field = |(name, value): &(u8, Blob<'a>)| {
        let name = FieldName::from_static(NAMES[usize::from(*name) % NAMES.len()]);
        Some(Field::new(name, FieldValue::new(value.0).ok()?))
    };
    of.iter().take(20).filter_map(field).collect()
}

pub(crate) fn lines<'a>(fields: impl IntoIterator<Item = Field<'a>>) -> Vec<Line> {
    let line = |f: Field<'_>| (f.name.as_bytes().to_vec(), f.value.as_bytes().to_vec());
    fields.into_iter().map(line).collect()
}

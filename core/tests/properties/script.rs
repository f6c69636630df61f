//! How bytes are met: at which pace and by which calls they are read and written, how they end, and what the
//! application asks and answers.

use crate::harness::client::Ask;
use crate::harness::server::{Reply, When};
use crate::harness::{End, Pace, Piece, Sending, Ways};
use crate::wire::{below, once_in, pick};
use quickcheck::{Arbitrary, Gen};

impl Arbitrary for Pace {
    fn arbitrary(g: &mut Gen) -> Pace {
        Pace {
            reads: sizes(g),
            writes: sizes(g),
            bites: sizes(g),
            ways: Ways::arbitrary(g),
        }
    }

    fn shrink(&self) -> Box<dyn Iterator<Item = Pace>> {
        let parts = (
            self.reads.clone(),
            self.writes.clone(),
            self.bites.clone(),
            self.ways,
        );
        Box::new(parts.shrink().map(|(reads, writes, bites, ways)| Pace {
            reads,
            writes,
            bites,
            ways,
        }))
    }
}

impl Arbitrary for Ways {
    fn arbitrary(g: &mut Gen) -> Ways {
        Ways {
            lend: bool::arbitrary(g),
            copy_in: once_in(g, 3),
            take_out: once_in(g, 3),
            take_body: once_in(g, 3),
            direct: once_in(g, 3),
            take_head: once_in(g, 3),
        }
    }

    fn shrink(&self) -> Box<dyn Iterator<Item = Ways>> {
        let Ways {
            lend,
            copy_in,
            take_out,
            take_body,
            direct,
            take_head,
        } = *self;
        let parts = (lend, copy_in, take_out, take_body, direct, take_head);
        Box::new(
            parts
                .shrink()
                .map(|(lend, copy_in, take_out, take_body, direct, take_head)| Ways {
                    lend,
                    copy_in,
                    take_out,
                    take_body,
                    direct,
                    take_head,
                }),
        )
    }
}

fn sizes(g: &mut Gen) -> Vec<u16> {
    match below(g, 4) {
        0 => Vec::new(),
        1 => vec![1],
        _ => (0..1 + below(g, 6))
            .map(|_| pick(g, &[1, 1, 2, 3, 5, 17, 63, 64, 100, 1000]))
            .collect(),
    }
}

impl Arbitrary for End {
    fn arbitrary(g: &mut Gen) -> End {
        pick(g, &[End::Eof, End::Eof, End::Eof, End::Reset, End::Silence])
    }
}

impl Arbitrary for Sending {
    fn arbitrary(g: &mut Gen) -> Sending {
        let piece = |g: &mut Gen| match below(g, 4) {
            0 | 1 => Piece::Copied(pick(g, &[0, 1, 5, 60])),
            2 => Piece::Shared(pick(g, &[0, 1, 100, 5000])),
            _ => Piece::External(pick(g, &[0, 1, 70])),
        };
        let pieces = (0..pick(g, &[0, 1, 1, 2, 4])).map(|_| piece(g)).collect();
        Sending {
            sized: bool::arbitrary(g),
            pieces,
            trailers: once_in(g, 3),
        }
    }

    fn shrink(&self) -> Box<dyn Iterator<Item = Sending>> {
        let all = self.clone();
        Box::new((0..all.pieces.len()).map(move |i| {
            let mut fewer = all.clone();
            fewer.pieces.remove(i);
            fewer
        }))
    }
}

impl Arbitrary for Reply {
    fn arbitrary(g: &mut Gen) -> Reply {
        Reply {
            when: if once_in(g, 3) { When::Head } else { When::BodyEnd },
            status: pick(g, &[200, 200, 200, 204, 304, 404, 413, 503, 999]),
            accept: bool::arbitrary(g),
            interim: pick(g, &[0, 0, 0, 1, 2]),
            close: once_in(g, 8),
            body: Sending::arbitrary(g),
        }
    }

    fn shrink(&self) -> Box<dyn Iterator<Item = Reply>> {
        let me = self.clone();
        let simpler = Reply {
            body: self.body.clone(),
            ..Reply::plain()
        };
        let first = (*self != simpler).then_some(simpler);
        Box::new(
            first
                .into_iter()
                .chain(self.body.shrink().map(move |body| Reply { body, ..me.clone() })),
        )
    }
}

/// Makes early answers so short that they are queued at once. Of a longer one, how much is queued before a fault in the
/// request's body is noticed depends on how fast bytes come in and go out.
pub(crate) fn shorten_early_answers(replies: &mut [Reply]) {
    for early in replies.iter_mut().filter(|r| r.when == When::Head) {
        early.interim = 0;
        early.body = Sending::nothing();
    }
}

impl Arbitrary for Ask {
    fn arbitrary(g: &mut Gen) -> Ask {
        let method = pick(g, &["GET", "GET", "HEAD", "POST", "PUT", "PUT", "CONNECT"]);
        let body = if matches!(method, "POST" | "PUT") {
            Sending::arbitrary(g)
        } else {
            Sending::nothing()
        };
        let expect = once_in(g, 4) && body.len() != antiphon_core::h1::BodyLen::None;
        Ask {
            method,
            expect,
            upgrade: method == "GET" && once_in(g, 4),
            close: once_in(g, 8),
            hold: !expect && once_in(g, 6),
            body,
        }
    }
}

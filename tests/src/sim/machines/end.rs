//! A driver's end of a connection, by hand: [`End`] does what its machine wants, and checks the contract of its calls.

use super::Common;
use crate::sim::checks::Check;
use crate::sim::faults::{Fault, Plant};
use crate::sim::link::{Link, Read, Side, Write};
use crate::sim::plan::Level;
use crate::sim::rng::Rng;
use crate::sim::uses::Use;
use antiphon_core::Instant;
use antiphon_core::h1::trace::Traced;
use antiphon_core::h1::{
    Buffer, ClientConn, Deadline, Finish, Misuse, Outgoing, Segments, ServerConn, Wants,
};
use std::num::NonZeroU64;
use std::time::Duration;

macro_rules! machine {
    ($(fn $name:ident(&mut self $(, $arg:ident: $t:ty)*) $(-> $r:ty)?;)+) => {
        /// The calls that a driver makes, of either machine.
        pub(super) trait Machine {
            fn wants(&self) -> Wants;
            fn outgoing(&self) -> Outgoing<'_>;
            fn needs_buffer(&self) -> bool;
            fn direct_body(&self) -> Option<NonZeroU64>;
            fn recv_space(&mut self) -> &mut [u8];
            $(fn $name(&mut self $(, $arg: $t)*) $(-> $r)?;)+
        }
        machine!(@ ServerConn, $(fn $name(&mut self $(, $arg: $t)*) $(-> $r)?;)+);
        machine!(@ ClientConn, $(fn $name(&mut self $(, $arg: $t)*) $(-> $r)?;)+);
    };
    (@ $conn:ident, $(fn $name:ident(&mut self $(, $arg:ident: $t:ty)*) $(-> $r:ty)?;)+) => {
        impl Machine for Traced<$conn> {
            fn wants(&self) -> Wants { (**self).wants() }
            fn outgoing(&self) -> Outgoing<'_> { (**self).outgoing() }
            fn needs_buffer(&self) -> bool { (**self).needs_buffer() }
            fn direct_body(&self) -> Option<NonZeroU64> { (**self).direct_body() }
            fn recv_space(&mut self) -> &mut [u8] { self.recv_space() }
            $(fn $name(&mut self $(, $arg: $t)*) $(-> $r)? { self.$name($($arg),*) })+
        }
    };
}

machine! {
    fn received(&mut self, n: usize, now: Instant) -> Result<(), Misuse>;
    fn received_copy(&mut self, bytes: &[u8], now: Instant) -> usize;
    fn received_eof(&mut self, now: Instant);
    fn read_failed(&mut self, now: Instant);
    fn write_failed(&mut self, now: Instant);
    fn write_shut(&mut self, now: Instant);
    fn direct_received(&mut self, n: u64, now: Instant) -> Result<(), Misuse>;
    fn sent(&mut self, n: u64, now: Instant) -> Result<(), Misuse>;
    fn take_outgoing(&mut self) -> Option<Segments>;
    fn deadline(&mut self, now: Instant) -> Option<Deadline>;
    fn handle_timeout(&mut self, now: Instant);
    fn lend(&mut self, buffer: Buffer);
    fn reclaim(&mut self) -> Option<Buffer>;
}

/// The most that a driver moves past its machine at once.
const PIECE: u64 = 4096;

/// For how long a connection that speaks another protocol waits for its end, where things break.
const PATIENCE: Duration = Duration::from_secs(30);

/// How bytes are read.
#[derive(Clone, Copy, Debug)]
enum Way {
    /// By the driver itself, past the machine: so many at most.
    Direct(NonZeroU64),
    /// Elsewhere, and copied in.
    Copy,
    /// Straight into the machine's space.
    Space,
}

/// A driver's end of the connection.
pub(super) struct End {
    side: Side,
    pub(super) over: bool,
    /// The connection was taken out, since it speaks another protocol: what has come of that, and when this end loses
    /// its patience.
    pub(super) detached: Option<(Vec<u8>, Instant)>,
    /// What this end says in another protocol before it ends its direction, and how much of that is written; `None` if it
    /// leaves the ending to the other one.
    pub(super) speech: Option<(Vec<u8>, usize)>,
    /// Output that was taken for completion I/O, and how much of it is written.
    taken: Option<(Vec<u8>, usize)>,
    /// How this end does its I/O: reading by copy, writing what was taken.
    copies: bool,
    takes: bool,
    /// It is told late.
    held_until: Instant,
}

impl End {
    pub(super) fn new(side: Side, rng: &mut Rng) -> End {
        End {
            side,
            over: false,
            detached: None,
            speech: None,
            taken: None,
            copies: rng.chance(64),
            takes: rng.chance(64),
            held_until: Instant::ZERO,
        }
    }

    /// Does what the machine wants, once in each direction. Says whether anything moved.
    pub(super) fn turn(&mut self, m: &mut impl Machine, link: &mut Link, w: &mut Common) -> bool {
        if self.over {
            return false;
        }
        if self.detached.is_some() {
            return self.another_protocol(link, w);
        }
        let now = w.now;
        let mut moved = self.clock(m, w);
        let wants = m.wants();
        if wants != m.wants() {
            w.violate(Check::Contract, "asked twice, wants differ".to_string());
        }
        if wants.finish.closes() {
            // What was taken and is not written yet goes nowhere.
            self.taken = None;
        }
        if self.taken.is_some() || wants.write {
            moved |= self.write(m, link, w);
        } else {
            match wants.finish {
                Finish::No => {}
                Finish::ShutdownWrite => {
                    w.note(format_args!("{} shuts down writing", self.side.name()));
                    link.shutdown(self.side, now);
                    m.write_shut(now);
                    moved = true;
                }
                Finish::Detach if self.side == Side::Server || self.speech.is_some() => {
                    w.note(format_args!("{} speaks another protocol", self.side.name()));
                    self.detached = Some((Vec::new(), now + PATIENCE));
                    return true;
                }
                Finish::Close | Finish::Detach => {
                    w.note(format_args!("{} ends: {:?}", self.side.name(), wants.finish));
                    link.close(self.side, now, &mut w.faults);
                    self.over = true;
                    return true;
                }
                Finish::Reset => {
                    w.note(format_args!("{} resets", self.side.name()));
                    link.abort(self.side, now, &mut w.faults);
                    self.over = true;
                    return true;
                }
            }
        }
        if m.wants().read {
            moved |= self.read(m, link, w);
        }
        if !moved {
            // Idle ends hold no buffers.
            drop(m.reclaim());
            if let Some(d) = m.deadline(now) {
                w.wake_at(d.at);
            }
        }
        moved
    }

    /// Says what is to be said, and reads until the other side ends it.
    fn another_protocol(&mut self, link: &mut Link, w: &mut Common) -> bool {
        let Some((bytes, patience)) = &mut self.detached else {
            return false;
        };
        if let Some((speech, at)) = &mut self.speech {
            if *at == speech.len() {
                link.shutdown(self.side, w.now);
            } else {
                match link.write(self.side, w.now, &[&speech[*at..]], &mut w.faults) {
                    Write::Took(n) => {
                        *at += n;
                        return true;
                    }
                    Write::Full => {}
                    Write::Later(at) => w.wake_at(at),
                    Write::Broken | Write::Reset => *patience = w.now,
                }
            }
        }
        let mut space = [0; PIECE as usize];
        match link.read(self.side, w.now, &mut space, &mut w.faults) {
            Read::Got(n) => {
                bytes.extend_from_slice(&space[..n]);
                return true;
            }
            Read::Later(at) => w.wake_at(at),
            Read::Nothing => {}
            Read::End | Read::Reset => *patience = w.now,
        }
        if w.now >= *patience {
            link.close(self.side, w.now, &mut w.faults);
            self.over = true;
        } else if w.level == Level::Broken {
            w.wake_at(*patience);
        }
        self.over
    }

    fn clock(&mut self, m: &mut impl Machine, w: &mut Common) -> bool {
        let now = w.now;
        let due = m.deadline(now).is_some_and(|d| d.at <= now);
        let dead = w.plant == Some(Plant::DeadTimers);
        if due && !dead {
            m.handle_timeout(now);
            if let Some(d) = m.deadline(now).filter(|d| d.at <= now) {
                let what = format!("{}: {d:?} is still due at {now:?}", self.side.name());
                w.violate(Check::Contract, what);
            }
            return true;
        }
        if !due && w.level >= Level::Rough && w.rng.chance(8) {
            w.faults.add(Fault::NeedlessTimeout);
            let before = (m.wants(), m.deadline(now));
            m.handle_timeout(now);
            if before != (m.wants(), m.deadline(now)) {
                let what = format!("{}: a needless timeout changed something", self.side.name());
                w.violate(Check::Contract, what);
            }
        }
        false
    }

    fn write(&mut self, m: &mut impl Machine, link: &mut Link, w: &mut Common) -> bool {
        let external = m.outgoing().external().filter(|_| self.taken.is_none());
        if self.takes
            && external.is_none()
            && self.taken.is_none()
            && let Some(segments) = m.take_outgoing()
        {
            self.taken = Some((segments.collect::<Vec<_>>().concat(), 0));
        }
        let wrote = match &self.taken {
            Some((bytes, at)) => link.write(self.side, w.now, &[&bytes[*at..]], &mut w.faults),
            None if external.is_some() => match w.bypass[self.side as usize].pieces.front() {
                Some(piece) if Some(piece.left) == external => {
                    let bytes = piece.pattern.bytes(piece.at, piece.left.min(PIECE) as usize);
                    link.write(self.side, w.now, &[&bytes[..]], &mut w.faults)
                }
                other => {
                    let what = format!("an external body of {external:?}, but announced was {other:?}");
                    w.violate(Check::Contract, what);
                    return false;
                }
            },
            None => {
                let mut slices = [&[][..]; 4];
                let n = m.outgoing().slices(&mut slices);
                if slices[..n].iter().all(|s| s.is_empty()) {
                    w.violate(
                        Check::Contract,
                        "writing is wanted, but nothing is there".to_string(),
                    );
                    return false;
                }
                link.write(self.side, w.now, &slices[..n], &mut w.faults)
            }
        };
        match wrote {
            Write::Took(n) => {
                w.note(format_args!("{} writes {n}", self.side.name()));
                if let Err(misuse) = m.sent(n as u64, w.now) {
                    w.violate(Check::Contract, format!("sent({n}): {misuse:?}"));
                }
                if external.is_some() {
                    w.bypass[self.side as usize].wrote(n as u64);
                }
                if let Some((bytes, at)) = &mut self.taken {
                    *at += n;
                    if *at == bytes.len() {
                        self.taken = None;
                    }
                }
                true
            }
            Write::Full => false,
            Write::Later(at) => {
                w.wake_at(at);
                false
            }
            Write::Broken | Write::Reset => {
                w.note(format_args!("{} cannot write", self.side.name()));
                self.taken = None;
                m.write_failed(w.now);
                true
            }
        }
    }

    /// How the next bytes are read.
    fn way(&self, m: &impl Machine, w: &mut Common) -> Way {
        if w.bypass[self.side as usize].reads
            && let Some(most) = m.direct_body()
            && w.rng.chance(96)
        {
            return Way::Direct(most);
        }
        if self.copies { Way::Copy } else { Way::Space }
    }

    fn read(&mut self, m: &mut impl Machine, link: &mut Link, w: &mut Common) -> bool {
        if self.held_until > w.now {
            w.wake_at(self.held_until);
            return false;
        }
        if m.needs_buffer() && w.rng.chance(128) {
            m.lend(Buffer::default());
        }
        let mut space = [0; PIECE as usize];
        let room = m.recv_space().len();
        if room == 0 {
            w.violate(
                Check::Contract,
                "reading is wanted, but there is no room".to_string(),
            );
            return false;
        }
        let way = self.way(m, w);
        let read = match way {
            Way::Direct(most) => {
                let n = most.get().min(PIECE) as usize;
                link.read(self.side, w.now, &mut space[..n], &mut w.faults)
            }
            Way::Copy => link.read(self.side, w.now, &mut space[..room.min(512)], &mut w.faults),
            Way::Space => link.read(self.side, w.now, m.recv_space(), &mut w.faults),
        };
        match read {
            Read::Got(n) => {
                w.note(format_args!("{} reads {n}", self.side.name()));
                let misuse = match way {
                    Way::Direct(_) => {
                        w.uses.add(match self.side {
                            Side::Client => Use::ClientDirect,
                            Side::Server => Use::ServerDirect,
                        });
                        w.bypass[self.side as usize].read.extend_from_slice(&space[..n]);
                        m.direct_received(n as u64, w.now).err()
                    }
                    Way::Copy => {
                        let used = m.received_copy(&space[..n], w.now);
                        if used != n {
                            w.violate(Check::Contract, format!("{used} of {n} bytes were taken"));
                        }
                        None
                    }
                    Way::Space => m.received(n, w.now).err(),
                };
                if let Some(misuse) = misuse {
                    w.violate(Check::Contract, format!("{n} bytes were read: {misuse:?}"));
                }
                true
            }
            Read::End => {
                w.note(format_args!("{} reads the end", self.side.name()));
                m.received_eof(w.now);
                true
            }
            Read::Reset => {
                w.note(format_args!("{} reads a reset", self.side.name()));
                m.read_failed(w.now);
                true
            }
            Read::Later(at) => {
                if w.plant != Some(Plant::LoseReadWake) || w.rng.chance(250) {
                    w.wake_at(at);
                }
                false
            }
            Read::Nothing => false,
        }
    }
}

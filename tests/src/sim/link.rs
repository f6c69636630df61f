//! [`Link`]: a connection in virtual time, both directions, with everything that a network may do to it. Pure:
//! it is told the time and says when it is worth asking again. Who waits for it, and waking, live in `runtime.rs`.

use super::faults::{Fault, Faults, Plant};
use super::rng::Rng;
use antiphon_core::Instant;
use std::collections::VecDeque;
use std::ops::Deref;
use std::time::Duration;

/// An end of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The one that connected.
    Client,
    /// The one that accepted.
    Server,
}

impl Side {
    /// The other end.
    pub const fn other(self) -> Side {
        match self {
            Side::Client => Side::Server,
            Side::Server => Side::Client,
        }
    }

    /// What it is called in a trace.
    pub const fn name(self) -> &'static str {
        match self {
            Side::Client => "client",
            Side::Server => "server",
        }
    }
}

/// What kind of network it is.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// How long a byte travels.
    pub latency: Duration,
    /// How much longer it may take, by chance.
    pub jitter: Duration,
    /// Bytes per millisecond.
    pub rate: u64,
    /// Bytes under way and not read yet, at most.
    pub window: usize,
    /// How often, in 256 times, a read gives less than it could.
    pub short_reads: u32,
    /// How often a write takes less than it could.
    pub partial_writes: u32,
    /// How often a call says "not now" although it could do something.
    pub unready: u32,
}

/// What happens to a direction once so many bytes have been accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Break {
    /// What follows is late by this much.
    Stall(Duration),
    /// Nothing that follows arrives, not even an end.
    Silence,
    /// The reader sees the end, the writer an error.
    Eof,
    /// Both ends see a reset; `true`: what has arrived is thrown away.
    Reset(bool),
}

impl Break {
    /// One of them, by chance.
    pub fn any(rng: &mut Rng) -> Break {
        match rng.below(8) {
            0 | 1 => Break::Stall(Duration::from_micros(rng.size(20_000_000))),
            2 => Break::Silence,
            3 | 4 => Break::Eof,
            n => Break::Reset(n == 5),
        }
    }
}

/// All that is decided about a link when it is made.
#[derive(Clone, Copy, Debug)]
pub struct LinkPlan {
    /// The network.
    pub shape: Shape,
    /// By the sending side: after how many bytes, and what.
    pub breaks: [Option<(u64, Break)>; 2],
    /// A defect at this byte of what a side sends.
    pub plant: Option<(Side, u64, Plant)>,
}

/// What a write did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Write {
    /// So many bytes were taken.
    Took(usize),
    /// There is no room until the other end has read.
    Full,
    /// Not now; ask again then.
    Later(Instant),
    /// The direction was shut down, or ended early.
    Broken,
    /// The connection was reset.
    Reset,
}

/// What a read did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Read {
    /// So many bytes.
    Got(usize),
    /// The clean end.
    End,
    /// The connection was reset.
    Reset,
    /// Nothing yet; ask again then.
    Later(Instant),
    /// Nothing, and nothing is under way.
    Nothing,
}

/// What has broken a connection so far, be it the network or the server that closed it. Stalls and silences are none: where
/// they break something, a deadline does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Harm {
    /// By the sending side: what it sends has ended early.
    pub cut_off: [bool; 2],
    /// It was broken in any way, that one included.
    pub any: bool,
}

#[derive(Debug)]
struct Pipe {
    bytes: VecDeque<u8>,
    /// When how many of `bytes` arrive.
    marks: VecDeque<(Instant, usize)>,
    accepted: u64,
    /// When the wire can take the next byte.
    wire_free: Instant,
    /// When the last byte arrives.
    last: Instant,
    fin: Option<Instant>,
    shut: bool,
    silent: bool,
    /// Accepted, and gone into the silence.
    lost: usize,
    brk: Option<(u64, Break)>,
}

impl Pipe {
    fn new(brk: Option<(u64, Break)>) -> Pipe {
        Pipe {
            bytes: VecDeque::new(),
            marks: VecDeque::new(),
            accepted: 0,
            wire_free: Instant::ZERO,
            last: Instant::ZERO,
            fin: None,
            shut: false,
            silent: false,
            lost: 0,
            brk,
        }
    }

    /// How many bytes can be taken. A window opens only by a quarter, so that nobody sends it byte by byte.
    fn room(&self, window: usize) -> usize {
        let room = window.saturating_sub(self.bytes.len() + self.lost);
        if room * 4 >= window { room } else { 0 }
    }

    fn arrived(&self, now: Instant) -> usize {
        let here = self.marks.iter().take_while(|(at, _)| *at <= now);
        here.map(|(_, n)| n).sum()
    }
}

/// A connection.
#[derive(Debug)]
pub struct Link {
    plan: LinkPlan,
    rng: Rng,
    /// By the sending side.
    pipes: [Pipe; 2],
    /// When a side learns of a reset, and whether it loses what has arrived.
    resets: [Option<(Instant, bool)>; 2],
    closed: [bool; 2],
    harm: Harm,
}

impl Link {
    /// A connection that was just made.
    pub fn new(plan: LinkPlan, rng: Rng) -> Link {
        Link {
            plan,
            rng,
            pipes: plan.breaks.map(Pipe::new),
            resets: [None; 2],
            closed: [false; 2],
            harm: Harm::default(),
        }
    }

    /// What has broken it so far.
    pub fn harm(&self) -> Harm {
        self.harm
    }

    /// The settings that it was made with.
    pub fn plan(&self) -> &LinkPlan {
        &self.plan
    }

    /// How many bytes of a side's were accepted so far.
    pub fn accepted(&self, side: Side) -> u64 {
        self.pipes[side as usize].accepted
    }

    fn soon(&mut self, now: Instant) -> Instant {
        now + Duration::from_micros(self.rng.between(1, 100))
    }

    fn was_reset(&self, side: Side, now: Instant) -> bool {
        self.resets[side as usize].is_some_and(|(at, _)| at <= now)
    }

    fn reset(&mut self, side: Side, at: Instant, discard: bool) {
        let reset = &mut self.resets[side as usize];
        if reset.is_none_or(|(before, _)| at < before) {
            *reset = Some((at, discard));
        }
    }

    /// Writes from `bufs` in order.
    pub fn write<B: Deref<Target = [u8]>>(
        &mut self,
        side: Side,
        now: Instant,
        bufs: &[B],
        faults: &mut Faults,
    ) -> Write {
        if self.was_reset(side, now) {
            return Write::Reset;
        }
        if self.pipes[side as usize].shut {
            return Write::Broken;
        }
        if self.rng.chance(self.plan.shape.unready) {
            faults.add(Fault::Unready);
            return Write::Later(self.soon(now));
        }
        let pipe = &mut self.pipes[side as usize];
        let mut take: usize = bufs.iter().map(|b| b.len()).sum();
        let room = pipe.room(self.plan.shape.window);
        if room == 0 {
            faults.add(Fault::FullWindow);
            return Write::Full;
        }
        take = take.min(room);
        if take > 1 && self.rng.chance(self.plan.shape.partial_writes) {
            faults.add(Fault::PartialWrite);
            take = self.rng.between(1, take as u64 - 1) as usize;
        }
        if let Some((at, _)) = pipe.brk {
            let left = at.saturating_sub(pipe.accepted);
            if left > 0 && left < take as u64 {
                take = left as usize;
            }
        }
        self.transmit(side, now, bufs, take);
        if let Some((at, brk)) = self.pipes[side as usize].brk
            && at <= self.pipes[side as usize].accepted
        {
            self.pipes[side as usize].brk = None;
            self.break_off(side, now, brk, faults);
        }
        Write::Took(take)
    }

    fn transmit<B: Deref<Target = [u8]>>(&mut self, side: Side, now: Instant, bufs: &[B], take: usize) {
        let shape = &self.plan.shape;
        let jitter = self.rng.below(shape.jitter.as_nanos() as u64 + 1);
        let pipe = &mut self.pipes[side as usize];
        let on_wire = Duration::from_nanos(take as u64 * 1_000_000 / shape.rate.max(1));
        pipe.wire_free = pipe.wire_free.max(now) + on_wire;
        let arrival = pipe.wire_free + shape.latency + Duration::from_nanos(jitter);
        let arrival = arrival.max(pipe.last);
        let begin = pipe.accepted;
        pipe.accepted += take as u64;
        if pipe.silent {
            pipe.lost += take;
            return;
        }
        pipe.last = arrival;
        if self.closed[side.other() as usize] {
            // Nobody is there any more: what comes back is a reset.
            let back = arrival + shape.latency;
            self.harm.any |= side == Side::Client;
            self.reset(side, back, false);
            return;
        }
        let before = pipe.bytes.len();
        let mut left = take;
        for buf in bufs {
            let n = left.min(buf.len());
            pipe.bytes.extend(&buf[..n]);
            left -= n;
        }
        if let Some((whose, at, plant)) = self.plan.plant
            && whose == side
            && (begin..begin + take as u64).contains(&at)
        {
            let i = before + (at - begin) as usize;
            match plant {
                Plant::LoseByte => drop(pipe.bytes.remove(i)),
                Plant::DoubleByte => pipe.bytes.insert(i, pipe.bytes[i]),
                Plant::ChangeByte => pipe.bytes[i] ^= 1,
                _ => {}
            }
        }
        let stored = pipe.bytes.len() - before;
        if stored > 0 {
            pipe.marks.push_back((arrival, stored));
        }
    }

    fn break_off(&mut self, side: Side, now: Instant, brk: Break, faults: &mut Faults) {
        let latency = self.plan.shape.latency;
        let pipe = &mut self.pipes[side as usize];
        let then = pipe.last.max(now + latency);
        match brk {
            Break::Stall(d) => {
                faults.add(Fault::Stall);
                pipe.wire_free = pipe.wire_free.max(now) + d;
            }
            Break::Silence => {
                faults.add(Fault::Silence);
                pipe.silent = true;
            }
            Break::Eof => {
                faults.add(Fault::Eof);
                pipe.shut = true;
                pipe.fin = Some(then);
                self.harm.any = true;
                self.harm.cut_off[side as usize] = true;
            }
            Break::Reset(discard) => {
                faults.add(Fault::Reset);
                self.harm.any = true;
                self.reset(side, now + latency, discard);
                self.reset(side.other(), then, discard);
            }
        }
    }

    /// Reads into `buf`.
    pub fn read(&mut self, side: Side, now: Instant, buf: &mut [u8], faults: &mut Faults) -> Read {
        let unready = self.rng.chance(self.plan.shape.unready);
        let from = side.other() as usize;
        let here = self.pipes[from].arrived(now);
        if let Some((at, discard)) = self.resets[side as usize]
            && at <= now
            && (discard || here == 0)
        {
            if here > 0 {
                faults.add_many(Fault::Discarded, here as u64);
                self.pipes[from].bytes.clear();
                self.pipes[from].marks.clear();
            }
            return Read::Reset;
        }
        match self.readable_at(side) {
            None => return Read::Nothing,
            Some(at) if at > now => return Read::Later(at),
            Some(_) if unready => {
                faults.add(Fault::Unready);
                return Read::Later(self.soon(now));
            }
            Some(_) if here == 0 => return Read::End,
            Some(_) => {}
        }
        let mut n = here.min(buf.len());
        if n > 1 && self.rng.chance(self.plan.shape.short_reads) {
            faults.add(Fault::ShortRead);
            n = self.rng.between(1, n as u64 - 1) as usize;
        }
        let pipe = &mut self.pipes[from];
        let (a, b) = pipe.bytes.as_slices();
        let first = n.min(a.len());
        buf[..first].copy_from_slice(&a[..first]);
        buf[first..n].copy_from_slice(&b[..n - first]);
        pipe.bytes.drain(..n);
        let mut left = n;
        while left > 0
            && let Some((_, len)) = pipe.marks.front_mut()
        {
            let used = left.min(*len);
            *len -= used;
            left -= used;
            if *len == 0 {
                pipe.marks.pop_front();
            }
        }
        Read::Got(n)
    }

    /// When a side can read something, be it an end or a reset; `None` if nothing is under way.
    pub fn readable_at(&self, side: Side) -> Option<Instant> {
        let pipe = &self.pipes[side.other() as usize];
        let reset = self.resets[side as usize].map(|(at, _)| at);
        let bytes = pipe.marks.front().map(|(at, _)| *at);
        let fin = pipe.fin.filter(|_| pipe.marks.is_empty());
        [reset, bytes, fin].into_iter().flatten().min()
    }

    /// When a side can write something, or learns that it cannot.
    pub fn writable_at(&self, side: Side) -> Option<Instant> {
        let pipe = &self.pipes[side as usize];
        if pipe.shut || pipe.room(self.plan.shape.window) > 0 {
            return Some(Instant::ZERO);
        }
        self.resets[side as usize].map(|(at, _)| at)
    }

    /// Ends a side's own direction.
    pub fn shutdown(&mut self, side: Side, now: Instant) {
        let latency = self.plan.shape.latency;
        let pipe = &mut self.pipes[side as usize];
        if !std::mem::replace(&mut pipe.shut, true) && !pipe.silent {
            pipe.fin = Some(pipe.last.max(pipe.wire_free.max(now) + latency));
        }
    }

    /// A side resets the connection; what it has sent before still arrives, or not.
    pub fn abort(&mut self, side: Side, now: Instant, faults: &mut Faults) {
        if std::mem::replace(&mut self.closed[side as usize], true) || self.was_reset(side, now) {
            return;
        }
        let out = &mut self.pipes[side as usize];
        out.shut = true;
        if !out.silent {
            faults.add(Fault::ResetByClose);
            self.harm.any |= side == Side::Server;
            let then = out.last.max(now + self.plan.shape.latency);
            let discard = self.rng.chance(64);
            self.reset(side.other(), then, discard);
        }
    }

    /// A side has closed its socket. With bytes unread, or still to come, that is a reset for the other one.
    pub fn close(&mut self, side: Side, now: Instant, faults: &mut Faults) {
        if std::mem::replace(&mut self.closed[side as usize], true) || self.was_reset(side, now) {
            return;
        }
        let latency = self.plan.shape.latency;
        let incoming = &mut self.pipes[side.other() as usize];
        let (unread, coming) = (incoming.arrived(now), incoming.marks.back().map(|(at, _)| *at));
        incoming.bytes.clear();
        incoming.marks.clear();
        let silent = self.pipes[side as usize].silent;
        if unread > 0 && !silent {
            faults.add(Fault::ResetByClose);
            self.harm.any |= side == Side::Server;
            let out = &mut self.pipes[side as usize];
            out.shut = true;
            let then = out.last.max(now + latency);
            let discard = self.rng.chance(64);
            self.reset(side.other(), then, discard);
            return;
        }
        self.shutdown(side, now);
        if let Some(at) = coming
            && !silent
        {
            self.harm.any |= side == Side::Server;
            self.reset(side.other(), at + latency, false);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Shape = Shape {
        latency: Duration::from_millis(10),
        jitter: Duration::ZERO,
        rate: 1000,
        window: 100,
        short_reads: 0,
        partial_writes: 0,
        unready: 0,
    };

    fn link(breaks: [Option<(u64, Break)>; 2]) -> Link {
        let plan = LinkPlan {
            shape: SHAPE,
            breaks,
            plant: None,
        };
        Link::new(plan, Rng::new(7))
    }

    fn ms(n: u64) -> Instant {
        Instant::from_millis(n)
    }

    #[test]
    fn bytes_take_their_time_and_fill_the_window() {
        let (mut l, mut f, mut buf) = (link([None; 2]), Faults::NONE, [0; 200]);
        assert_eq!(
            l.write(Side::Client, ms(0), &[&[1; 150][..]], &mut f),
            Write::Took(100)
        );
        assert_eq!(l.write(Side::Client, ms(0), &[&[1; 50][..]], &mut f), Write::Full);
        let at = l.readable_at(Side::Server).unwrap();
        assert_eq!(at, ms(10) + Duration::from_micros(100));
        assert_eq!(l.read(Side::Server, ms(0), &mut buf, &mut f), Read::Later(at));
        assert_eq!(l.read(Side::Server, ms(11), &mut buf, &mut f), Read::Got(100));
        assert_eq!(l.read(Side::Server, ms(11), &mut buf, &mut f), Read::Nothing);
        l.shutdown(Side::Client, ms(11));
        assert_eq!(l.read(Side::Server, ms(21), &mut buf, &mut f), Read::End);
        assert_eq!(l.write(Side::Client, ms(21), &[&[1][..]], &mut f), Write::Broken);
    }

    #[test]
    fn breaks_come_at_their_byte() {
        let mut buf = [0; 200];
        let mut f = Faults::NONE;
        let mut l = link([Some((3, Break::Eof)), None]);
        assert_eq!(
            l.write(Side::Client, ms(0), &[&[1; 9][..]], &mut f),
            Write::Took(3)
        );
        assert_eq!(
            l.write(Side::Client, ms(0), &[&[1; 6][..]], &mut f),
            Write::Broken
        );
        assert_eq!(l.read(Side::Server, ms(99), &mut buf, &mut f), Read::Got(3));
        assert_eq!(l.read(Side::Server, ms(99), &mut buf, &mut f), Read::End);

        let mut l = link([Some((3, Break::Reset(true))), None]);
        assert_eq!(
            l.write(Side::Client, ms(0), &[&[1; 9][..]], &mut f),
            Write::Took(3)
        );
        assert_eq!(l.read(Side::Server, ms(99), &mut buf, &mut f), Read::Reset);
        assert_eq!(l.read(Side::Client, ms(99), &mut buf, &mut f), Read::Reset);

        let mut l = link([Some((3, Break::Silence)), None]);
        assert_eq!(
            l.write(Side::Client, ms(0), &[&[1; 9][..]], &mut f),
            Write::Took(3)
        );
        assert_eq!(
            l.write(Side::Client, ms(0), &[&[1; 6][..]], &mut f),
            Write::Took(6)
        );
        l.close(Side::Client, ms(1), &mut f);
        assert_eq!(l.read(Side::Server, ms(99), &mut buf, &mut f), Read::Got(3));
        assert_eq!(l.read(Side::Server, ms(9999), &mut buf, &mut f), Read::Nothing);
    }

    #[test]
    fn closing_with_bytes_unread_resets() {
        let (mut l, mut f, mut buf) = (link([None; 2]), Faults::NONE, [0; 200]);
        assert_eq!(
            l.write(Side::Client, ms(0), &[&[1; 9][..]], &mut f),
            Write::Took(9)
        );
        l.close(Side::Server, ms(50), &mut f);
        assert_eq!(l.read(Side::Client, ms(99), &mut buf, &mut f), Read::Reset);
        assert_eq!(f.of(Fault::ResetByClose), 1);
    }
}

//! The world as a runtime: [`Sim`] fulfils the traits of `antiphon-driver`, with [`SimStream`] over a [`Link`],
//! [`SimListener`] and [`SimTimer`]. What is decided about a connection when it is made is [`Net`].

use super::faults::{Fault, Plant};
use super::link::{Break, Harm, Link, LinkPlan, Read, Shape, Side, Write};
use super::world::{Event, Sim, State, TimerSlot};
use antiphon_core::Instant;
use antiphon_driver::{Listener, Resolve, Runtime, Spawn, Stream, Timer};
use std::collections::VecDeque;
use std::future::{Future, pending, poll_fn};
use std::io::{self, IoSlice};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// The network of a world: what connections are like, and how often which trouble befalls them (in 256 times).
#[derive(Clone, Copy, Debug)]
pub struct Net {
    /// What connections are like.
    pub shape: Shape,
    /// A direction breaks in some way, at some byte.
    pub breaks: u32,
    /// ... the byte being below this.
    pub span: u64,
    /// A connection is refused.
    pub refused: u32,
    /// An attempt to connect gets no answer.
    pub unanswered: u32,
    /// A name is not found.
    pub unknown_name: u32,
    /// A name has a dead address too.
    pub dead_address: u32,
    /// Accepting fails for once.
    pub accept_error: u32,
}

/// A connection and who waits for it.
pub(super) struct Conn {
    link: Link,
    /// Whom it goes to.
    server: SocketAddr,
    /// When the client closed it.
    left: Option<Instant>,
    /// When the server read and wrote something last.
    heard: Instant,
    said: Instant,
    /// The longest time that the server did without either.
    quiet: Duration,
    /// The server never took it.
    dropped: bool,
    readers: [Option<Waker>; 2],
    writers: [Option<Waker>; 2],
    /// Events that are in the queue.
    read_due: [Option<Instant>; 2],
    write_due: [Option<Instant>; 2],
}

impl Conn {
    /// An end reads or writes, or closes (both).
    fn stir(&mut self, side: Side, reads: bool, writes: bool, now: Instant) {
        if side == Side::Client {
            return;
        }
        if reads {
            self.quiet = self.quiet.max(now.saturating_since(self.heard));
            self.heard = now;
        }
        if writes {
            self.quiet = self.quiet.max(now.saturating_since(self.said));
            self.said = now;
        }
    }

    /// Whom an event at `at` concerns; nobody, if another was queued for an earlier time.
    pub(super) fn take_reader(&mut self, side: usize, at: Instant) -> Option<Waker> {
        self.read_due[side].take_if(|due| *due == at)?;
        self.readers[side].take()
    }

    pub(super) fn take_writer(&mut self, side: usize, at: Instant) -> Option<Waker> {
        self.write_due[side].take_if(|due| *due == at)?;
        self.writers[side].take()
    }
}

/// A listening socket.
pub(super) struct Listening {
    addr: SocketAddr,
    open: bool,
    backlog: VecDeque<usize>,
    pub(super) waker: Option<Waker>,
}

impl State {
    /// Queues what those who wait on a connection must hear.
    fn attend(&mut self, conn: usize) {
        for side in [Side::Client, Side::Server] {
            let s = side as usize;
            let c = &self.conns[conn];
            if c.readers[s].is_some()
                && let Some(at) = c.link.readable_at(side)
            {
                self.read_at(conn, side, at);
            }
            let c = &self.conns[conn];
            if c.writers[s].is_some()
                && let Some(at) = c.link.writable_at(side)
            {
                self.write_at(conn, side, at);
            }
        }
    }

    fn read_at(&mut self, conn: usize, side: Side, at: Instant) {
        let (s, at) = (side as usize, at.max(self.now));
        if self.conns[conn].read_due[s].is_none_or(|due| at < due) {
            self.conns[conn].read_due[s] = Some(at);
            self.at(at, Event::Readable { conn, side: s });
        }
    }

    fn write_at(&mut self, conn: usize, side: Side, at: Instant) {
        let (s, at) = (side as usize, at.max(self.now));
        if self.conns[conn].write_due[s].is_none_or(|due| at < due) {
            self.conns[conn].write_due[s] = Some(at);
            self.at(at, Event::Writable { conn, side: s });
        }
    }

    /// Decides what becomes of a new connection.
    fn plan(&mut self) -> LinkPlan {
        let net = self.net;
        let mut breaks = [None; 2];
        for brk in &mut breaks {
            if self.rng.chance(net.breaks) {
                *brk = Some((self.rng.size(net.span), Break::any(&mut self.rng)));
            }
        }
        let plant = Plant::of_bytes(self.manners.plant).map(|plant| {
            let side = self.rng.pick(&[Side::Client, Side::Server]);
            (side, self.rng.size(2_000), plant)
        });
        LinkPlan {
            shape: net.shape,
            breaks,
            plant,
        }
    }
}

/// One end of a simulated connection.
#[derive(Debug)]
pub struct SimStream {
    sim: Sim,
    conn: usize,
    side: Side,
    addr: SocketAddr,
}

impl SimStream {
    fn write<B: std::ops::Deref<Target = [u8]>>(
        &self,
        cx: &mut Context<'_>,
        bufs: &[B],
    ) -> Poll<io::Result<usize>> {
        let (id, side) = (self.conn, self.side);
        let mut state = self.sim.lock();
        let state = &mut *state;
        state.call();
        let wrote = state.conns[id]
            .link
            .write(side, state.now, bufs, &mut state.faults);
        match wrote {
            Write::Took(n) => {
                state.progress += 1;
                state.note(format_args!("conn {id}: {} writes {n}", side.name()));
                state.conns[id].stir(side, false, true, state.now);
                state.attend(id);
                Poll::Ready(Ok(n))
            }
            Write::Broken => {
                state.progress += 1;
                state.note(format_args!("conn {id}: {} cannot write: ended", side.name()));
                Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()))
            }
            Write::Reset => {
                state.progress += 1;
                state.note(format_args!("conn {id}: {} cannot write: reset", side.name()));
                Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()))
            }
            Write::Full => {
                state.conns[id].writers[side as usize] = Some(cx.waker().clone());
                state.attend(id);
                Poll::Pending
            }
            Write::Later(at) => {
                state.conns[id].writers[side as usize] = Some(cx.waker().clone());
                state.write_at(id, side, at);
                Poll::Pending
            }
        }
    }
}

impl Stream for SimStream {
    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        assert!(!buf.is_empty(), "a read of nothing");
        let (id, side) = (self.conn, self.side);
        let mut state = self.sim.lock();
        let state = &mut *state;
        state.call();
        let read = state.conns[id].link.read(side, state.now, buf, &mut state.faults);
        match read {
            Read::Got(n) => {
                state.progress += 1;
                state.note(format_args!("conn {id}: {} reads {n}", side.name()));
                state.conns[id].stir(side, true, false, state.now);
                state.attend(id);
                Poll::Ready(Ok(n))
            }
            Read::End => {
                state.progress += 1;
                state.note(format_args!("conn {id}: {} reads the end", side.name()));
                state.conns[id].stir(side, true, false, state.now);
                Poll::Ready(Ok(0))
            }
            Read::Reset => {
                state.progress += 1;
                state.note(format_args!("conn {id}: {} reads a reset", side.name()));
                Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()))
            }
            Read::Later(at) => {
                state.conns[id].readers[side as usize] = Some(cx.waker().clone());
                state.read_at(id, side, at);
                Poll::Pending
            }
            Read::Nothing => {
                state.conns[id].readers[side as usize] = Some(cx.waker().clone());
                if state.manners.plant == Some(Plant::Spin) {
                    cx.waker().wake_by_ref();
                }
                Poll::Pending
            }
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        assert!(!buf.is_empty(), "a write of nothing");
        self.write(cx, &[buf])
    }

    fn poll_write_vectored(&mut self, cx: &mut Context<'_>, bufs: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        self.write(cx, bufs)
    }

    fn poll_shutdown(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let (id, side) = (self.conn, self.side);
        let mut state = self.sim.lock();
        let state = &mut *state;
        state.call();
        state.progress += 1;
        state.note(format_args!("conn {id}: {} shuts down writing", side.name()));
        state.conns[id].stir(side, true, true, state.now);
        state.conns[id].link.shutdown(side, state.now);
        state.attend(id);
        Poll::Ready(Ok(()))
    }

    fn reset(&mut self) {
        let (id, side) = (self.conn, self.side);
        let mut state = self.sim.lock();
        let state = &mut *state;
        state.progress += 1;
        state.note(format_args!("conn {id}: {} resets", side.name()));
        state.conns[id].stir(side, true, true, state.now);
        state.conns[id].link.abort(side, state.now, &mut state.faults);
        state.attend(id);
    }

    fn local_addr(&self) -> Option<SocketAddr> {
        Some(self.addr)
    }
}

impl Drop for SimStream {
    fn drop(&mut self) {
        let (id, side) = (self.conn, self.side);
        let mut state = self.sim.lock();
        let state = &mut *state;
        state.progress += 1;
        state.note(format_args!("conn {id}: {} closes", side.name()));
        state.conns[id].stir(side, true, true, state.now);
        if side == Side::Client {
            state.conns[id].left = Some(state.now);
        }
        state.conns[id].link.close(side, state.now, &mut state.faults);
        state.conns[id].readers[side as usize] = None;
        state.conns[id].writers[side as usize] = None;
        state.attend(id);
    }
}

/// A simulated listening socket.
#[derive(Debug)]
pub struct SimListener {
    sim: Sim,
    listener: usize,
}

impl Listener for SimListener {
    type Stream = SimStream;

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(SimStream, SocketAddr)>> {
        let mut state = self.sim.lock();
        let state = &mut *state;
        state.call();
        let listening = &mut state.listeners[self.listener];
        let Some(&conn) = listening.backlog.front() else {
            listening.waker = Some(cx.waker().clone());
            return Poll::Pending;
        };
        state.progress += 1;
        if state.rng.chance(state.net.accept_error) {
            state.faults.add(Fault::AcceptError);
            state.note(format_args!("accepting fails"));
            // ECONNABORTED is the peer's doing, EMFILE asks for a pause.
            let error = state.rng.pick(&[103, 24]);
            if error == 103 {
                state.listeners[self.listener].backlog.pop_front();
                state.conns[conn].dropped = true;
                state.conns[conn]
                    .link
                    .close(Side::Server, state.now, &mut state.faults);
                state.attend(conn);
            }
            return Poll::Ready(Err(io::Error::from_raw_os_error(error)));
        }
        let listening = &mut state.listeners[self.listener];
        listening.backlog.pop_front();
        let addr = listening.addr;
        state.note(format_args!("conn {conn}: accepted"));
        let stream = SimStream {
            sim: self.sim.clone(),
            conn,
            side: Side::Server,
            addr,
        };
        Poll::Ready(Ok((stream, client_addr(conn))))
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.sim.lock().listeners[self.listener].addr)
    }
}

impl Drop for SimListener {
    fn drop(&mut self) {
        let mut state = self.sim.lock();
        let state = &mut *state;
        let listening = &mut state.listeners[self.listener];
        listening.open = false;
        listening.waker = None;
        for conn in std::mem::take(&mut listening.backlog) {
            state.conns[conn].dropped = true;
            state.conns[conn]
                .link
                .close(Side::Server, state.now, &mut state.faults);
            state.attend(conn);
        }
    }
}

fn client_addr(conn: usize) -> SocketAddr {
    SocketAddr::new(
        IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)),
        40_000 + (conn % 20_000) as u16,
    )
}

/// The address of the `n`-th simulated server, whose name is `server-n.sim`.
pub fn server_addr(n: usize) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 1, n as u8)), 80)
}

/// A timer on the virtual clock.
#[derive(Debug)]
pub struct SimTimer {
    sim: Sim,
    slot: usize,
    /// When it fires: at its time, or a little later.
    due: Instant,
    queued: bool,
}

impl SimTimer {
    fn set(state: &mut State, slot: usize, at: Instant) -> Instant {
        state.generation += 1;
        let generation = state.generation;
        state.timers[slot] = TimerSlot {
            generation,
            waker: None,
        };
        if at > state.now && state.rng.chance(state.manners.late_timers) {
            state.faults.add(Fault::LateTimer);
            at + Duration::from_micros(state.rng.between(1, 1_000))
        } else {
            at
        }
    }
}

impl Timer for SimTimer {
    fn reset(&mut self, at: Instant) {
        let mut state = self.sim.lock();
        self.due = SimTimer::set(&mut state, self.slot, at);
        self.queued = false;
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.sim.lock();
        state.call();
        let dead = state.manners.plant == Some(Plant::DeadTimers);
        if self.due <= state.now && !dead {
            state.timers[self.slot].waker = None;
            return Poll::Ready(());
        }
        if dead {
            return Poll::Pending;
        }
        state.timers[self.slot].waker = Some(cx.waker().clone());
        if !std::mem::replace(&mut self.queued, true) {
            let event = Event::Timer {
                slot: self.slot,
                generation: state.timers[self.slot].generation,
            };
            state.at(self.due, event);
        }
        Poll::Pending
    }
}

impl Drop for SimTimer {
    fn drop(&mut self) {
        let mut state = self.sim.lock();
        // The event that may be in the queue finds another generation.
        state.timers[self.slot] = TimerSlot::default();
        state.free_timers.push(self.slot);
    }
}

impl Resolve for Sim {
    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        let (wait, known, dead) = {
            let mut state = self.lock();
            let state = &mut *state;
            let wait = Duration::from_micros(state.rng.size(2_000));
            let known = !state.rng.chance(state.net.unknown_name);
            let dead = state.rng.chance(state.net.dead_address);
            (wait, known, dead)
        };
        self.sleep(wait).await;
        if !known {
            self.count(Fault::ResolveFailed);
        }
        let server: Option<u8> = host
            .strip_prefix("server-")
            .and_then(|h| h.strip_suffix(".sim"))
            .and_then(|n| n.parse().ok());
        let Some(n) = server.filter(|_| known) else {
            return Err(io::ErrorKind::NotFound.into());
        };
        let mut addr = server_addr(n.into());
        addr.set_port(port);
        if dead {
            self.count(Fault::DeadAddress);
            let nobody = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 9, 9, 9)), port);
            return Ok(vec![nobody, addr]);
        }
        Ok(vec![addr])
    }
}

impl<F: Future<Output = ()> + 'static> Spawn<F> for Sim {
    fn spawn(&self, future: F) {
        self.spawn_named("a task of the driver's", future);
    }
}

/// What befell the connections of a server.
#[derive(Clone, Copy, Debug)]
pub struct Trouble {
    /// What has broken one of them.
    pub harm: Harm,
    /// The longest time that the server did without reading or without writing on one.
    pub quiet: Duration,
    /// Nobody listens there any more.
    pub gone: bool,
}

impl Sim {
    /// What befell those connections to the server that a client held at `begin` or after it.
    pub fn trouble(&self, server: SocketAddr, begin: Instant) -> Trouble {
        let state = self.lock();
        let mut trouble = Trouble {
            harm: Harm::default(),
            quiet: Duration::ZERO,
            gone: !state.listeners.iter().any(|l| l.open && l.addr == server),
        };
        let held = |c: &&Conn| c.server == server && c.left.is_none_or(|at| at >= begin);
        for conn in state.conns.iter().filter(held) {
            let harm = conn.link.harm();
            trouble.harm.any |= harm.any || conn.dropped;
            for side in [0, 1] {
                trouble.harm.cut_off[side] |= harm.cut_off[side];
            }
            trouble.quiet = trouble.quiet.max(conn.quiet);
        }
        trouble
    }

    /// A timer.
    pub fn timer_at(&self, at: Instant) -> SimTimer {
        let mut state = self.lock();
        let slot = state.free_timers.pop().unwrap_or_else(|| {
            state.timers.push(TimerSlot::default());
            state.timers.len() - 1
        });
        let due = SimTimer::set(&mut state, slot, at);
        drop(state);
        SimTimer {
            sim: self.clone(),
            slot,
            due,
            queued: false,
        }
    }

    /// Waits.
    pub async fn sleep(&self, d: Duration) {
        if !d.is_zero() {
            let mut timer = self.timer_at(self.clock() + d);
            poll_fn(|cx| timer.poll(cx)).await;
        }
    }

    /// The future's output, unless `d` passes first.
    pub async fn within<F: Future>(&self, d: Duration, future: F) -> Option<F::Output> {
        let mut future = pin!(future);
        let mut timer = self.timer_at(self.clock() + d);
        poll_fn(|cx| match future.as_mut().poll(cx) {
            Poll::Ready(out) => Poll::Ready(Some(out)),
            Poll::Pending => timer.poll(cx).map(|()| None),
        })
        .await
    }
}

impl Runtime for Sim {
    type Stream = SimStream;
    type Listener = SimListener;
    type Timer = SimTimer;

    fn now(&self) -> Instant {
        self.clock()
    }

    fn unix_time(&self) -> Duration {
        Duration::from_secs(1_800_000_000) + self.clock().since_origin()
    }

    fn timer(&self, at: Instant) -> SimTimer {
        self.timer_at(at)
    }

    fn bind(&self, addr: SocketAddr) -> io::Result<SimListener> {
        let mut state = self.lock();
        if state.listeners.iter().any(|l| l.open && l.addr == addr) {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        state.listeners.push(Listening {
            addr,
            open: true,
            backlog: VecDeque::new(),
            waker: None,
        });
        let listener = state.listeners.len() - 1;
        drop(state);
        Ok(SimListener {
            sim: self.clone(),
            listener,
        })
    }

    async fn connect(&self, addr: SocketAddr) -> io::Result<SimStream> {
        let (wait, refused, unanswered) = {
            let mut state = self.lock();
            let state = &mut *state;
            let wait = state.net.shape.latency * 2;
            let refused = state.rng.chance(state.net.refused);
            let unanswered = state.rng.chance(state.net.unanswered);
            (wait, refused, unanswered)
        };
        if unanswered {
            self.count(Fault::ConnectSilent);
            return pending().await;
        }
        self.sleep(wait).await;
        let mut state = self.lock();
        let state = &mut *state;
        if refused {
            state.faults.add(Fault::ConnectRefused);
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        let Some(listener) = state.listeners.iter().position(|l| l.open && l.addr == addr) else {
            return Err(io::ErrorKind::ConnectionRefused.into());
        };
        let (plan, rng) = (state.plan(), state.rng.fork());
        let conn = state.conns.len();
        state.note(format_args!("conn {conn}: connected to {addr}"));
        if state.trace.is_on() && (plan.breaks != [None; 2] || plan.plant.is_some()) {
            let (breaks, plant) = (plan.breaks, plan.plant);
            state.note(format_args!("conn {conn}: to be broken: {breaks:?} {plant:?}"));
        }
        state.conns.push(Conn {
            link: Link::new(plan, rng),
            server: addr,
            left: None,
            heard: state.now,
            said: state.now,
            quiet: Duration::ZERO,
            dropped: false,
            readers: [None, None],
            writers: [None, None],
            read_due: [None; 2],
            write_due: [None; 2],
        });
        state.progress += 1;
        state.listeners[listener].backlog.push_back(conn);
        let now = state.now;
        state.at(now, Event::Acceptable { listener });
        Ok(SimStream {
            sim: self.clone(),
            conn,
            side: Side::Client,
            addr: client_addr(conn),
        })
    }

    fn unblock<T, W>(&self, work: W) -> impl Future<Output = io::Result<T>> + Send + 'static
    where
        T: Send + 'static,
        W: FnOnce() -> T + Send + 'static,
    {
        let sim = self.clone();
        async move {
            sim.sleep(Duration::from_micros(100)).await;
            Ok(work())
        }
    }
}

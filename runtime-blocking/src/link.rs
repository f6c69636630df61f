//! [`Link`]: a machine and its socket, which never blocks. One [`step`](Link::step) does what can be done at
//! once; when nothing can, it says what to wait for, so that the caller can wait without holding a lock.
//!
//! Both directions are always pursued: whoever waits to read flushes, and whoever waits to write reads.

use crate::buffers::FreeList;
use crate::clock;
use crate::stream::Stream;
use crate::wait::{self, Bell, Interest, Ready};
use antiphon_core::Instant;
use antiphon_core::h1::{Buffer, ClientConn, Deadline, Finish, Outgoing, Parts, ServerConn, Wants};
use std::io::{self, ErrorKind, IoSlice};
use std::mem;
use std::net::TcpStream;
use std::sync::Arc;

/// The calls that both machines have in common and that moving bytes needs.
pub(crate) trait Machine {
    fn wants(&self) -> Wants;
    fn needs_buffer(&self) -> bool;
    fn lend(&mut self, buffer: Buffer);
    fn reclaim(&mut self) -> Option<Buffer>;
    fn recv_space(&mut self) -> &mut [u8];
    fn received(&mut self, n: usize, now: Instant);
    fn received_eof(&mut self, now: Instant);
    fn read_failed(&mut self, now: Instant);
    fn outgoing(&self) -> Outgoing<'_>;
    fn sent(&mut self, n: u64, now: Instant);
    fn write_failed(&mut self, now: Instant);
    fn write_shut(&mut self, now: Instant);
    fn deadline(&mut self, now: Instant) -> Option<Deadline>;
    fn handle_timeout(&mut self, now: Instant);
    fn into_parts(self) -> Parts;
}

macro_rules! machine {
    ($type:ident) => {
        impl Machine for $type {
            fn wants(&self) -> Wants {
                $type::wants(self)
            }
            fn needs_buffer(&self) -> bool {
                $type::needs_buffer(self)
            }
            fn lend(&mut self, buffer: Buffer) {
                $type::lend(self, buffer);
            }
            fn reclaim(&mut self) -> Option<Buffer> {
                $type::reclaim(self)
            }
            fn recv_space(&mut self) -> &mut [u8] {
                $type::recv_space(self)
            }
            fn received(&mut self, n: usize, now: Instant) {
                // Never more than `recv_space` gave, and only while reading is wanted.
                let ok = $type::received(self, n, now);
                debug_assert!(ok.is_ok(), "received: {ok:?}");
            }
            fn received_eof(&mut self, now: Instant) {
                $type::received_eof(self, now);
            }
            fn read_failed(&mut self, now: Instant) {
                $type::read_failed(self, now);
            }
            fn outgoing(&self) -> Outgoing<'_> {
                $type::outgoing(self)
            }
            fn sent(&mut self, n: u64, now: Instant) {
                // Never more than `outgoing` gave.
                let ok = $type::sent(self, n, now);
                debug_assert!(ok.is_ok(), "sent: {ok:?}");
            }
            fn write_failed(&mut self, now: Instant) {
                $type::write_failed(self, now);
            }
            fn write_shut(&mut self, now: Instant) {
                $type::write_shut(self, now);
            }
            fn deadline(&mut self, now: Instant) -> Option<Deadline> {
                $type::deadline(self, now)
            }
            fn handle_timeout(&mut self, now: Instant) {
                $type::handle_timeout(self, now);
            }
            fn into_parts(self) -> Parts {
                $type::into_parts(self)
            }
        }
    };
}

machine!(ServerConn);
machine!(ClientConn);

/// What one step came to.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    /// Something moved: look at the events, then step again.
    Moved,
    /// Nothing can be done now.
    Wait(Plan),
    /// Nothing is left to do on this connection: drop it, or take the socket out (`Finish::Detach`).
    Over(Finish),
    /// Nothing is wanted and no deadline runs: the machine waits for a call of its owner, who must not wait.
    Owed,
}

/// What to wait for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    interest: Interest,
    until: Option<Instant>,
}

impl Plan {
    /// Waits, at most until the machine's deadline or `until`.
    pub(crate) fn wait(self, socket: &TcpStream, until: Option<Instant>, bell: Option<&Bell>) -> Ready {
        let until = match (self.until, until) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        // A poll that fails (no memory) says nothing about the socket: let the next call on it decide.
        wait::for_socket(socket, self.interest, until, bell).unwrap_or(Ready {
            read: self.interest.read,
            write: self.interest.write,
            rung: false,
        })
    }
}

/// How many slices one write takes.
const SLICES: usize = 16;

#[derive(Debug)]
pub(crate) struct Link<M> {
    pub(crate) machine: M,
    stream: Stream,
    free: Arc<FreeList>,
    /// What the stream has taken of the machine's output and not yet sent: under TLS more is encrypted at once than a
    /// socket may take. The machine hears of it when it is out, so that its deadlines and its count of bytes are true.
    untold: usize,
    /// Writing has failed: nobody listens.
    deaf: bool,
    /// Why reading or writing failed.
    broken: Option<io::Error>,
    /// Whether a read may find something; after a short read only poll(2) knows.
    readable: bool,
    /// Whether a write may be taken.
    writable: bool,
    /// Look for input after each write, even though nobody waits for it: an early answer to an upload.
    pub(crate) watchful: bool,
}

impl<M: Machine> Link<M> {
    pub(crate) fn new(machine: M, stream: Stream, free: Arc<FreeList>) -> Link<M> {
        Link {
            machine,
            stream,
            free,
            untold: 0,
            deaf: false,
            broken: None,
            readable: false,
            writable: true,
            watchful: false,
        }
    }

    pub(crate) fn socket(&self) -> &Arc<TcpStream> {
        self.stream.socket()
    }

    /// Why the machine was told that reading or writing failed, once.
    pub(crate) fn take_broken(&mut self) -> Option<io::Error> {
        self.broken.take()
    }

    /// Whether the peer has neither closed the connection nor sent anything, as far as can be told.
    pub(crate) fn is_quiet(&mut self) -> bool {
        self.stream.is_quiet()
    }

    /// Does what can be done without waiting.
    pub(crate) fn step(&mut self) -> Step {
        let wrote = self.has_output() && self.writable && self.write();
        let may_find = self.readable || (self.watchful && wrote) || self.stream.holds_input();
        let read = self.machine.wants().read && may_find && self.read();
        if wrote || read {
            return Step::Moved;
        }
        let wants = self.machine.wants();
        if !wants.write {
            match wants.finish {
                Finish::No => {}
                Finish::ShutdownWrite => match self.stream.shut_write() {
                    // It fails only when the peer is gone already, which reading will tell.
                    Ok(true) | Err(_) => {
                        self.machine.write_shut(clock::mono());
                        return Step::Moved;
                    }
                    Ok(false) => self.writable = false,
                },
                finish @ (Finish::Close | Finish::Reset | Finish::Detach) => {
                    if finish == Finish::Reset {
                        self.stream.reset();
                    }
                    return Step::Over(finish);
                }
            }
        }
        let until = self.machine.deadline(clock::mono()).map(|d| d.at);
        let write = self.has_output();
        if until.is_none() && !wants.read && !write {
            return Step::Owed;
        }
        Step::Wait(Plan {
            interest: Interest {
                read: wants.read,
                write,
            },
            until,
        })
    }

    /// Takes note of how a wait ended. A deadline counts only when nothing is ready: bytes that arrived in
    /// time must not be lost because this thread was busy elsewhere.
    pub(crate) fn woke(&mut self, ready: Ready) {
        self.readable |= ready.read;
        self.writable |= ready.write;
        if !ready.any() {
            let now = clock::mono();
            if self.machine.deadline(now).is_some_and(|d| d.at <= now) {
                self.machine.handle_timeout(now);
            }
        }
    }

    /// Looks at the socket once, without waiting, whoever else may be waiting for it.
    pub(crate) fn glance(&mut self) {
        let now = clock::mono();
        let interest = Interest {
            read: self.machine.wants().read,
            write: false,
        };
        if interest.read
            && let Ok(ready) = wait::for_socket(self.stream.socket(), interest, Some(now), None)
            && ready.read
        {
            self.read();
        }
    }

    /// Borrows a buffer if the machine has none: before something is queued or read.
    pub(crate) fn equip(&mut self) {
        if self.machine.needs_buffer()
            && let Some(buffer) = self.free.take()
        {
            self.machine.lend(buffer);
        }
    }

    /// Puts the buffer back if the machine can do without: before waiting on an idle connection.
    pub(crate) fn rest(&mut self) {
        if let Some(buffer) = self.machine.reclaim() {
            self.free.put(buffer);
        }
        self.stream.rest();
    }

    pub(crate) fn into_parts(self) -> (Stream, Parts) {
        (self.stream, self.machine.into_parts())
    }

    /// Whether there is something to be written, which may be TLS's own.
    fn has_output(&mut self) -> bool {
        self.machine.wants().write || (!self.deaf && self.stream.has_unsent())
    }

    fn write(&mut self) -> bool {
        if self.untold == 0 && self.machine.wants().write {
            let mut slices: [&[u8]; SLICES] = [&[]; SLICES];
            let n = self.machine.outgoing().slices(&mut slices);
            if n == 0 {
                return false;
            }
            let vectored = slices.map(IoSlice::new);
            match self.stream.write_vectored(&vectored[..n]) {
                Ok(0) => return self.write_failed(ErrorKind::WriteZero.into()),
                Ok(n) => self.untold = n,
                Err(e) if e.kind() == ErrorKind::Interrupted => return true,
                Err(e) if e.kind() == ErrorKind::WouldBlock => {
                    self.writable = false;
                    return false;
                }
                Err(e) => return self.write_failed(e),
            }
        }
        match self.stream.flush() {
            Ok(true) => {
                if self.untold > 0 {
                    self.machine
                        .sent(mem::take(&mut self.untold) as u64, clock::mono());
                }
                true
            }
            Ok(false) => {
                self.writable = false;
                false
            }
            Err(e) => self.write_failed(e),
        }
    }

    fn write_failed(&mut self, e: io::Error) -> bool {
        self.untold = 0;
        self.deaf = true;
        self.broken.get_or_insert(e);
        self.machine.write_failed(clock::mono());
        true
    }

    fn read(&mut self) -> bool {
        self.equip();
        let space = self.machine.recv_space();
        match self.stream.read(space) {
            Ok(0) => {
                self.readable = false;
                self.machine.received_eof(clock::mono());
            }
            Ok(n) => {
                self.readable = !self.stream.read_short();
                self.machine.received(n, clock::mono());
            }
            // To be tried again, after a look at the clock.
            Err(e) if e.kind() == ErrorKind::Interrupted => return false,
            Err(e) if e.kind() == ErrorKind::WouldBlock => {
                self.readable = false;
                return false;
            }
            Err(e) => {
                self.readable = false;
                self.broken = Some(e);
                self.machine.read_failed(clock::mono());
            }
        }
        true
    }
}

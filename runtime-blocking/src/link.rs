//! [`Link`]: a machine and its socket, which never blocks. One [`step`](Link::step) does what can be done at
//! once; when nothing can, it says what to wait for, so that the caller can wait without holding a lock.
//!
//! Both directions are always pursued: whoever waits to read flushes, and whoever waits to write reads.

use crate::buffers::FreeList;
use crate::clock;
use crate::wait::{self, Bell, Interest, Ready};
use antiphon_core::Instant;
use antiphon_core::h1::{Buffer, ClientConn, Deadline, Finish, Outgoing, Parts, ServerConn, Wants};
use std::io::{ErrorKind, IoSlice, Read, Write};
use std::net::{Shutdown, TcpStream};
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
    socket: Arc<TcpStream>,
    free: Arc<FreeList>,
    /// Whether a read may find something; after a short read only poll(2) knows.
    readable: bool,
    /// Whether a write may be taken.
    writable: bool,
    /// Look for input after each write, even though nobody waits for it: an early answer to an upload.
    pub(crate) watchful: bool,
}

impl<M: Machine> Link<M> {
    /// `socket` must not block.
    pub(crate) fn new(machine: M, socket: Arc<TcpStream>, free: Arc<FreeList>) -> Link<M> {
        Link {
            machine,
            socket,
            free,
            readable: false,
            writable: true,
            watchful: false,
        }
    }

    pub(crate) fn socket(&self) -> &Arc<TcpStream> {
        &self.socket
    }

    /// Does what can be done without waiting.
    pub(crate) fn step(&mut self) -> Step {
        let wrote = self.machine.wants().write && self.writable && self.write();
        let read = self.machine.wants().read && (self.readable || (self.watchful && wrote)) && self.read();
        if wrote || read {
            return Step::Moved;
        }
        let wants = self.machine.wants();
        if !wants.write {
            match wants.finish {
                Finish::No => {}
                Finish::ShutdownWrite => {
                    // It fails only when the peer is gone already, which reading will tell.
                    let _ = self.socket.shutdown(Shutdown::Write);
                    self.machine.write_shut(clock::mono());
                    return Step::Moved;
                }
                finish @ (Finish::Close | Finish::Detach) => return Step::Over(finish),
            }
        }
        let until = self.machine.deadline(clock::mono()).map(|d| d.at);
        if until.is_none() && !wants.read && !wants.write {
            return Step::Owed;
        }
        Step::Wait(Plan {
            interest: Interest {
                read: wants.read,
                write: wants.write,
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
            && let Ok(ready) = wait::for_socket(&self.socket, interest, Some(now), None)
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
    }

    pub(crate) fn into_parts(self) -> (Arc<TcpStream>, Parts) {
        (self.socket, self.machine.into_parts())
    }

    fn write(&mut self) -> bool {
        let mut slices: [&[u8]; SLICES] = [&[]; SLICES];
        let outgoing = self.machine.outgoing();
        let n = outgoing.slices(&mut slices);
        let result = match n {
            0 => return false,
            1 => (&*self.socket).write(slices[0]),
            _ => {
                let vectored = slices.map(IoSlice::new);
                (&*self.socket).write_vectored(&vectored[..n])
            }
        };
        match result {
            Ok(0) => self.machine.write_failed(clock::mono()),
            Ok(n) => self.machine.sent(n as u64, clock::mono()),
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) if e.kind() == ErrorKind::WouldBlock => {
                self.writable = false;
                return false;
            }
            Err(_) => self.machine.write_failed(clock::mono()),
        }
        true
    }

    fn read(&mut self) -> bool {
        self.equip();
        let space = self.machine.recv_space();
        let room = space.len();
        match (&*self.socket).read(space) {
            Ok(0) => {
                self.readable = false;
                self.machine.received_eof(clock::mono());
            }
            Ok(n) => {
                self.readable = n == room;
                self.machine.received(n, clock::mono());
            }
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) if e.kind() == ErrorKind::WouldBlock => {
                self.readable = false;
                return false;
            }
            Err(_) => {
                self.readable = false;
                self.machine.read_failed(clock::mono());
            }
        }
        true
    }
}

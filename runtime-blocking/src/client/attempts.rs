//! [`Attempts`]: addresses that are being dialled, several at once where the system lets one thread wait for several
//! sockets. When the next one begins is decided by the core.
//!
//! Unix: connects that do not block, and poll(2) over all of them. Elsewhere each attempt blocks, so that one address is
//! tried after the other, each as long as an address may take: happy eyeballs do not help there.

#[cfg(not(unix))]
use crate::clock;
use antiphon_core::Instant;
use antiphon_core::client::connect::AttemptId;
use std::io;
use std::net::{SocketAddr, TcpStream};

/// What is under way. The core bounds how much.
#[derive(Debug, Default)]
pub(super) struct Attempts {
    under_way: Vec<Attempt>,
}

#[derive(Debug)]
struct Attempt {
    id: AttemptId,
    socket: TcpStream,
}

/// How an attempt ended.
pub(super) type Ended = (AttemptId, io::Result<TcpStream>);

impl Attempts {
    /// Begins to dial; `Some` if that is decided at once. `limit`: how long it may take, where it cannot be given up.
    pub(super) fn begin(
        &mut self,
        id: AttemptId,
        address: SocketAddr,
        limit: Option<Instant>,
    ) -> Option<Ended> {
        match imp::begin(address, limit) {
            Ok((socket, false)) => {
                self.under_way.push(Attempt { id, socket });
                None
            }
            Ok((socket, true)) => Some((id, Ok(socket))),
            Err(e) => Some((id, Err(e))),
        }
    }

    /// Gives one up.
    pub(super) fn cancel(&mut self, id: AttemptId) -> bool {
        let before = self.under_way.len();
        self.under_way.retain(|a| a.id != id);
        self.under_way.len() < before
    }

    /// Waits until some have ended, or until `until`.
    pub(super) fn wait(&mut self, until: Option<Instant>) -> Vec<Ended> {
        let sockets: Vec<&TcpStream> = self.under_way.iter().map(|a| &a.socket).collect();
        let ready = match imp::wait(&sockets, until) {
            Ok(ready) => ready,
            // A poll that fails (no memory) says nothing about the sockets: they are asked themselves.
            Err(_) => vec![true; sockets.len()],
        };
        let mut ended = Vec::new();
        let mut ready = ready.into_iter();
        let mut i = 0;
        while i < self.under_way.len() {
            if ready.next().unwrap_or(false)
                && let Some(result) = outcome(&self.under_way[i].socket)
            {
                let Attempt { id, socket } = self.under_way.remove(i);
                ended.push((id, result.map(|()| socket)));
            } else {
                i += 1;
            }
        }
        ended
    }
}

/// What became of a connect; `None` if it still goes on.
fn outcome(socket: &TcpStream) -> Option<io::Result<()>> {
    match socket.take_error() {
        Ok(None) => match socket.peer_addr() {
            Ok(_) => Some(Ok(())),
            Err(e) if e.kind() == io::ErrorKind::NotConnected => None,
            Err(e) => Some(Err(e)),
        },
        Ok(Some(e)) | Err(e) => Some(Err(e)),
    }
}

/// How long is left, for calls that take a duration above zero.
#[cfg(not(unix))]
fn left(until: Option<Instant>) -> Option<std::time::Duration> {
    let left = until?.saturating_since(clock::mono());
    Some(left.max(std::time::Duration::from_millis(1)))
}

#[cfg(unix)]
mod imp {
    use super::{Instant, SocketAddr, TcpStream, io};
    use rustix::event::{PollFd, PollFlags};
    use rustix::io::Errno;
    use rustix::net::{AddressFamily, SocketType};

    pub(super) fn begin(address: SocketAddr, _: Option<Instant>) -> io::Result<(TcpStream, bool)> {
        let family = match address {
            SocketAddr::V4(_) => AddressFamily::INET,
            SocketAddr::V6(_) => AddressFamily::INET6,
        };
        let socket = TcpStream::from(open(family)?);
        socket.set_nonblocking(true)?;
        match rustix::net::connect(&socket, &address) {
            Ok(()) => Ok((socket, true)),
            Err(Errno::INPROGRESS | Errno::INTR) => Ok((socket, false)),
            Err(e) => Err(e.into()),
        }
    }

    #[cfg(not(target_vendor = "apple"))]
    fn open(family: AddressFamily) -> io::Result<rustix::fd::OwnedFd> {
        use rustix::net::SocketFlags;
        Ok(rustix::net::socket_with(
            family,
            SocketType::STREAM,
            SocketFlags::CLOEXEC,
            None,
        )?)
    }

    /// There the flags are set one by one; a child that is forked in between inherits the socket.
    #[cfg(target_vendor = "apple")]
    fn open(family: AddressFamily) -> io::Result<rustix::fd::OwnedFd> {
        let socket = rustix::net::socket(family, SocketType::STREAM, None)?;
        rustix::io::fcntl_setfd(&socket, rustix::io::FdFlags::CLOEXEC)?;
        // As std does: a write to a closed connection is an error, not a signal.
        rustix::net::sockopt::set_socket_nosigpipe(&socket, true)?;
        Ok(socket)
    }

    pub(super) fn wait(sockets: &[&TcpStream], until: Option<Instant>) -> io::Result<Vec<bool>> {
        let mut fds: Vec<PollFd<'_>> = sockets.iter().map(|s| PollFd::new(s, PollFlags::OUT)).collect();
        let timeout = crate::wait::timespec(until);
        match rustix::event::poll(&mut fds, timeout.as_ref()) {
            Ok(_) => Ok(fds.iter().map(|fd| !fd.revents().is_empty()).collect()),
            Err(Errno::INTR) => Ok(vec![false; fds.len()]),
            Err(e) => Err(e.into()),
        }
    }
}

#[cfg(not(unix))]
mod imp {
    use super::{Instant, SocketAddr, TcpStream, clock, io, left};

    pub(super) fn begin(address: SocketAddr, limit: Option<Instant>) -> io::Result<(TcpStream, bool)> {
        let socket = match left(limit) {
            Some(left) => TcpStream::connect_timeout(&address, left)?,
            None => TcpStream::connect(address)?,
        };
        socket.set_nonblocking(true)?;
        Ok((socket, true))
    }

    /// Nothing is ever under way: only the time has to come.
    pub(super) fn wait(_: &[&TcpStream], until: Option<Instant>) -> io::Result<Vec<bool>> {
        if let Some(until) = until {
            std::thread::sleep(until.saturating_since(clock::mono()));
        }
        Ok(Vec::new())
    }
}

//! Waiting until a socket is ready, a deadline passes or somebody rings: the only place where a thread blocks
//! on the network. Unix uses poll(2); elsewhere the wait is a short nap, after which the caller just tries.

use antiphon_core::Instant;
use std::io;
use std::net::{TcpListener, TcpStream};

/// What a wait is for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Interest {
    pub(crate) read: bool,
    pub(crate) write: bool,
}

impl Interest {
    pub(crate) const READ: Interest = Interest {
        read: true,
        write: false,
    };
    pub(crate) const WRITE: Interest = Interest {
        read: false,
        write: true,
    };
}

/// How a wait ended. All false: the time is up, or a signal cut the wait short.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ready {
    pub(crate) read: bool,
    pub(crate) write: bool,
    /// The bell was rung.
    pub(crate) rung: bool,
}

impl Ready {
    pub(crate) fn any(self) -> bool {
        self.read || self.write || self.rung
    }
}

/// Waits for `socket`, at most until `until`; a rung `bell` ends the wait too.
pub(crate) fn for_socket(
    socket: &TcpStream,
    interest: Interest,
    until: Option<Instant>,
    bell: Option<&Bell>,
) -> io::Result<Ready> {
    imp::wait(socket, interest, until, bell)
}

/// Waits for a connection to accept or for the bell.
pub(crate) fn for_listener(listener: &TcpListener, bell: &Bell) -> io::Result<Ready> {
    imp::wait(
        listener,
        Interest {
            read: true,
            write: false,
        },
        None,
        Some(bell),
    )
}

/// Rung once, it ends every wait that watches it, now and later.
#[derive(Debug)]
pub(crate) struct Bell(imp::Bell);

impl Bell {
    pub(crate) fn new() -> io::Result<Bell> {
        imp::Bell::new().map(Bell)
    }

    pub(crate) fn ring(&self) {
        self.0.ring();
    }
}

/// How long poll(2) may take.
#[cfg(unix)]
pub(crate) fn timespec(until: Option<Instant>) -> Option<rustix::event::Timespec> {
    let left = until?.saturating_since(crate::clock::mono());
    // An hour is as good as for ever: the caller looks at its deadline again.
    Some(rustix::event::Timespec {
        tv_sec: left.as_secs().min(3600) as i64,
        tv_nsec: left.subsec_nanos().into(),
    })
}

#[cfg(unix)]
mod imp {
    use super::{Interest, Ready, timespec};
    use antiphon_core::Instant;
    use rustix::event::{PollFd, PollFlags};
    use rustix::io::Errno;
    use std::io;
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;
    use std::sync::Mutex;

    /// The reading end hangs up when the writing end is dropped, and stays so: every poll sees it.
    #[derive(Debug)]
    pub(super) struct Bell {
        watched: UnixStream,
        held: Mutex<Option<UnixStream>>,
    }

    impl Bell {
        pub(super) fn new() -> io::Result<Bell> {
            let (watched, held) = UnixStream::pair()?;
            Ok(Bell {
                watched,
                held: Mutex::new(Some(held)),
            })
        }

        pub(super) fn ring(&self) {
            drop(crate::lock(&self.held).take());
        }
    }

    pub(super) fn wait(
        fd: impl AsFd,
        interest: Interest,
        until: Option<Instant>,
        bell: Option<&super::Bell>,
    ) -> io::Result<Ready> {
        let mut flags = PollFlags::empty();
        flags.set(PollFlags::IN, interest.read);
        flags.set(PollFlags::OUT, interest.write);
        let timeout = timespec(until);
        // With nobody to ring, the socket stands twice; the second time it asks for nothing.
        let mut fds = [
            PollFd::from_borrowed_fd(fd.as_fd(), flags),
            match bell {
                Some(bell) => PollFd::new(&bell.0.watched, PollFlags::IN),
                None => PollFd::from_borrowed_fd(fd.as_fd(), PollFlags::empty()),
            },
        ];
        // Without interest the socket is left out: a hang-up, which poll tells unasked, would end each wait.
        let first = usize::from(flags.is_empty());
        let last = if bell.is_some() { 2 } else { 1 };
        match rustix::event::poll(&mut fds[first..last], timeout.as_ref()) {
            Ok(0) | Err(Errno::INTR) => Ok(Ready::default()),
            Ok(_) => {
                let seen = fds[0].revents();
                // An error or a hang-up makes whatever was wanted ready: the call that follows reports it.
                let broken = seen.intersects(PollFlags::ERR | PollFlags::HUP | PollFlags::NVAL);
                Ok(Ready {
                    read: interest.read && (broken || seen.contains(PollFlags::IN)),
                    write: interest.write && (broken || seen.contains(PollFlags::OUT)),
                    rung: last == 2 && !fds[1].revents().is_empty(),
                })
            }
            Err(e) => Err(e.into()),
        }
    }
}

#[cfg(not(unix))]
mod imp {
    use super::{Interest, Ready};
    use crate::clock;
    use antiphon_core::Instant;
    use std::io;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;

    #[derive(Debug)]
    pub(super) struct Bell(AtomicBool);

    impl Bell {
        pub(super) fn new() -> io::Result<Bell> {
            Ok(Bell(AtomicBool::new(false)))
        }

        pub(super) fn ring(&self) {
            self.0.store(true, Ordering::Release);
        }
    }

    /// Without a portable poll in std: sleep a little, then say that what is wanted may be ready. A wrong
    /// guess costs one call that would block.
    pub(super) fn wait<S>(
        _socket: &S,
        interest: Interest,
        until: Option<Instant>,
        bell: Option<&super::Bell>,
    ) -> io::Result<Ready> {
        let nap = Duration::from_millis(2);
        let left = until.map_or(nap, |at| at.saturating_since(clock::mono()));
        if left.is_zero() {
            return Ok(Ready::default());
        }
        std::thread::sleep(nap.min(left));
        let rung = bell.is_some_and(|b| b.0.0.load(Ordering::Acquire));
        Ok(Ready {
            read: interest.read,
            write: interest.write,
            rung,
        })
    }
}

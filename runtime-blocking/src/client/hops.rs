//! The steps over a connection that is dialled: CONNECT, the SOCKS handshake, the TLS handshake. What is said is decided
//! in the core and in the TLS library; here the bytes are moved, until a deadline.

use super::failure::ProxyAnswer;
use crate::clock;
use crate::stream::Stream;
use crate::wait::{self, Interest};
use antiphon_core::Instant;
use antiphon_core::client::connect::SocksTarget;
use antiphon_core::client::proxy::Credentials;
use antiphon_core::client::socks::{Socks5, SocksError};
use antiphon_core::client::tunnel::{Tunnel, TunnelError, TunnelRequest};
use bytes::Bytes;
use std::io::{self, IoSlice};

/// The longest answer of a SOCKS proxy: version, reply, a name of 255 bytes with its length, a port.
const SOCKS_ANSWER: usize = 4 + 1 + 255 + 2;

/// How a step ended.
pub(super) enum Hop<T, E> {
    Done(T),
    Failed(E),
    /// The deadline passed.
    Late,
}

/// Asks an HTTP proxy for a tunnel; gives the bytes of the target that were read with the answer.
pub(super) fn tunnel(
    stream: &mut Stream,
    request: &TunnelRequest<'_>,
    until: Option<Instant>,
) -> Hop<Bytes, (TunnelError, Option<ProxyAnswer>)> {
    let mut tunnel = match Tunnel::new(request, clock::mono()) {
        Ok(tunnel) => tunnel,
        Err(e) => return Hop::Failed((e, None)),
    };
    // Writing has failed: what was not sent stays so.
    let mut deaf = false;
    loop {
        let now = clock::mono();
        tunnel.handle_timeout(now);
        match tunnel.result() {
            None => {}
            Some(Ok(())) => return Hop::Done(tunnel.into_parts().unread),
            Some(Err(e)) => {
                let answer = match e {
                    TunnelError::Refused(status) => {
                        Some(ProxyAnswer::new(status, &tunnel.into_parts().unread))
                    }
                    _ => None,
                };
                return Hop::Failed((e, answer));
            }
        }
        let mut moved = false;
        if tunnel.wants().write {
            match stream.write_vectored(&[IoSlice::new(tunnel.outgoing().first())]) {
                Ok(n) if n > 0 => {
                    let committed = tunnel.sent(n as u64, now);
                    debug_assert!(committed.is_ok(), "no more is written than was offered");
                    moved = true;
                }
                Err(e) if would_block(&e) => {}
                _ => {
                    tunnel.write_failed(now);
                    moved = true;
                }
            }
        }
        if !deaf && stream.flush().is_err() {
            deaf = true;
            tunnel.write_failed(now);
        }
        if tunnel.wants().read {
            match stream.read(tunnel.recv_space()) {
                Ok(0) => {
                    tunnel.received_eof(now);
                    moved = true;
                }
                Ok(n) => {
                    let committed = tunnel.received(n, now);
                    debug_assert!(committed.is_ok(), "no more is read than there is space");
                    moved = true;
                }
                Err(e) if would_block(&e) => {}
                Err(_) => {
                    tunnel.read_failed(now);
                    moved = true;
                }
            }
        }
        if !moved {
            let wants = tunnel.wants();
            let interest = Interest {
                read: wants.read,
                write: wants.write,
            };
            let own = tunnel.deadline(now);
            let first = [until, own].into_iter().flatten().min();
            if wait(stream, interest, first) && until.is_some_and(|at| at <= clock::mono()) {
                return Hop::Late;
            }
        }
    }
}

/// Does a SOCKS handshake. Not a byte of the target's is read.
pub(super) fn socks(
    stream: &mut Stream,
    target: &SocksTarget,
    credentials: Option<&Credentials>,
    until: Option<Instant>,
) -> Hop<(), SocksError> {
    let begun = match target {
        SocksTarget::Address(address) => Socks5::by_address(*address, credentials),
        SocksTarget::Name(host, port) => Socks5::by_name(host, *port, credentials),
    };
    let mut socks = match begun {
        Ok(socks) => socks,
        Err(e) => return Hop::Failed(e),
    };
    loop {
        match socks.result() {
            None => {}
            Some(Ok(_)) => return Hop::Done(()),
            Some(Err(e)) => return Hop::Failed(e),
        }
        let writing = !socks.outgoing().is_empty();
        let moved = if writing {
            let written = stream.write_vectored(&[IoSlice::new(socks.outgoing())]);
            written.inspect(|&n| {
                let committed = socks.sent(n);
                debug_assert!(committed.is_ok(), "no more is written than was offered");
            })
        } else {
            let mut space = [0; SOCKS_ANSWER];
            let needs = socks.needs().clamp(1, SOCKS_ANSWER);
            stream.read(&mut space[..needs]).inspect(|&n| {
                socks.received(&space[..n]);
            })
        };
        match moved {
            Ok(n) if n > 0 => {}
            Err(e) if would_block(&e) => {
                let interest = if writing { Interest::WRITE } else { Interest::READ };
                if wait(stream, interest, until) {
                    return Hop::Late;
                }
            }
            // Closed or broken, or it takes nothing and never will.
            _ => socks.received_eof(),
        }
    }
}

/// Does the handshake of the TLS session on top of the stream.
#[cfg(feature = "tls")]
pub(super) fn shake_hands(stream: &mut Stream, until: Option<Instant>) -> Hop<(), io::Error> {
    loop {
        match stream.shake_hands() {
            Ok(true) => return Hop::Done(()),
            Ok(false) => {}
            Err(e) => return Hop::Failed(e),
        }
        if wait(stream, Interest::READ, until) {
            return Hop::Late;
        }
    }
}

fn would_block(e: &io::Error) -> bool {
    matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

/// Waits; says whether the time is up.
fn wait(stream: &mut Stream, interest: Interest, until: Option<Instant>) -> bool {
    if until.is_some_and(|at| at <= clock::mono()) {
        return true;
    }
    let interest = Interest {
        write: interest.write || stream.has_unsent(),
        ..interest
    };
    // A poll that fails says nothing: the next call on the socket decides.
    let _ = wait::for_socket(stream.socket(), interest, until, None);
    false
}

//! The steps over a connection that is dialled: CONNECT, the SOCKS handshake, the TLS handshake. What is said is
//! decided in the core and in the TLS library; here the bytes are moved.
//!
//! Each is a future that owns the stream: dropping it gives the step up and closes the connection. None keeps a
//! clock of its own, since [`Connect`](antiphon_core::client::connect::Connect) bounds every phase.

use super::failure::ProxyAnswer;
use super::transport::Transport;
use crate::io::write_some;
use crate::runtime::{Runtime, Stream, Timer};
use antiphon_core::client::connect::SocksTarget;
use antiphon_core::client::proxy::Credentials;
use antiphon_core::client::socks::{Socks5, SocksError};
use antiphon_core::client::tunnel::{Tunnel, TunnelError, TunnelRequest};
use bytes::Bytes;
use std::future::poll_fn;
use std::task::{Context, Poll};

/// How many turns one poll takes before it lets other tasks run.
const TURNS: usize = 32;
/// The longest answer of a SOCKS proxy: version, reply, a name of 255 bytes with its length, a port.
const SOCKS_ANSWER: usize = 4 + 1 + 255 + 2;

/// A tunnel, or why there is none.
pub(super) type Tunnelled<S> = Result<(Transport<S>, Bytes), (TunnelError, Option<ProxyAnswer>)>;

/// Asks an HTTP proxy for a tunnel; gives the stream and the target's bytes that were read with the answer.
pub(super) async fn tunnel<R: Runtime>(
    runtime: &R,
    mut stream: Transport<R::Stream>,
    request: TunnelRequest<'_>,
) -> Tunnelled<R::Stream> {
    let mut tunnel = Tunnel::new(&request, runtime.now()).map_err(|e| (e, None))?;
    let mut timer: Option<R::Timer> = None;
    let result = poll_fn(|cx| poll_tunnel(runtime, cx, &mut tunnel, &mut stream, &mut timer)).await;
    match result {
        Ok(()) => Ok((stream, tunnel.into_parts().unread)),
        Err(error) => {
            let answer = match error {
                TunnelError::Refused(status) => Some(ProxyAnswer::new(status, &tunnel.into_parts().unread)),
                _ => None,
            };
            Err((error, answer))
        }
    }
}

fn poll_tunnel<R: Runtime>(
    runtime: &R,
    cx: &mut Context<'_>,
    tunnel: &mut Tunnel,
    stream: &mut Transport<R::Stream>,
    timer: &mut Option<R::Timer>,
) -> Poll<Result<(), TunnelError>> {
    for _ in 0..TURNS {
        let now = runtime.now();
        tunnel.handle_timeout(now);
        if let Some(result) = tunnel.result() {
            return Poll::Ready(result);
        }
        let mut moved = false;
        if tunnel.wants().write {
            match write_some(stream, cx, tunnel.outgoing()) {
                Poll::Pending => {}
                Poll::Ready(Ok(n)) => {
                    let committed = tunnel.sent(n as u64, now);
                    debug_assert!(committed.is_ok(), "no more is written than was offered");
                    moved = true;
                }
                Poll::Ready(Err(_)) => {
                    tunnel.write_failed(now);
                    moved = true;
                }
            }
        } else if let Poll::Ready(Err(_)) = stream.poll_flush(cx) {
            tunnel.write_failed(now);
        }
        if tunnel.wants().read {
            match stream.poll_read(cx, tunnel.recv_space()) {
                Poll::Pending => {}
                Poll::Ready(Ok(0)) => {
                    tunnel.received_eof(now);
                    moved = true;
                }
                Poll::Ready(Ok(n)) => {
                    let committed = tunnel.received(n, now);
                    debug_assert!(committed.is_ok(), "no more is read than there is space");
                    moved = true;
                }
                Poll::Ready(Err(_)) => {
                    tunnel.read_failed(now);
                    moved = true;
                }
            }
        }
        if !moved {
            // Only after a failed write, for which an answer may still be on its way, is there a time.
            let Some(at) = tunnel.deadline(now) else {
                return Poll::Pending;
            };
            let timer = timer.get_or_insert_with(|| runtime.timer(at));
            timer.reset(at);
            if timer.poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
    }
    cx.waker().wake_by_ref();
    Poll::Pending
}

/// Does a SOCKS handshake. Not a byte of the target's is read.
pub(super) async fn socks<S: Stream>(
    mut stream: Transport<S>,
    target: SocksTarget,
    credentials: Option<&Credentials>,
) -> Result<Transport<S>, SocksError> {
    let mut socks = match target {
        SocksTarget::Address(address) => Socks5::by_address(address, credentials)?,
        SocksTarget::Name(host, port) => Socks5::by_name(&host, port, credentials)?,
    };
    poll_fn(|cx| poll_socks(cx, &mut socks, &mut stream)).await?;
    Ok(stream)
}

/// Takes a turn at a time; the handshake has three at most each way, so that nobody is held up.
fn poll_socks<S: Stream>(
    cx: &mut Context<'_>,
    socks: &mut Socks5,
    stream: &mut Transport<S>,
) -> Poll<Result<(), SocksError>> {
    loop {
        if let Some(result) = socks.result() {
            return Poll::Ready(result.map(|_| ()));
        }
        if !socks.outgoing().is_empty() {
            match stream.poll_write(cx, socks.outgoing()) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(n)) if n > 0 => {
                    let committed = socks.sent(n);
                    debug_assert!(committed.is_ok(), "no more is written than was offered");
                }
                // Broken, or it takes nothing and never will.
                Poll::Ready(_) => socks.received_eof(),
            }
            continue;
        }
        let mut space = [0; SOCKS_ANSWER];
        let needs = socks.needs().clamp(1, SOCKS_ANSWER);
        match stream.poll_read(cx, &mut space[..needs]) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Ok(n)) if n > 0 => {
                socks.received(&space[..n]);
            }
            Poll::Ready(_) => socks.received_eof(),
        }
    }
}

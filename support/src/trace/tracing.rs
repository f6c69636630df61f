//! [`Tracing`]: what an observer is told, as events of the `tracing` crate.

use super::{Trace, TraceEvent};
use std::error::Error as StdError;
use std::fmt;
use tracing::{debug, trace};

/// An observer that passes on what it is told as events of the crate `tracing`, target `antiphon::client`: give it to
/// `ClientBuilder::trace`, or to `RequestBuilder::trace`.
///
/// Calls, their decisions with the reasons, and connections that begin and end are at level `DEBUG`, the steps between
/// at `TRACE`. The fields `call` and `conn` tell which: calls and connections have no spans of their own. The event of a
/// call stands in the span that is current where the call is awaited; on the async clients, connections are made in
/// tasks of their own, outside it.
///
/// Credentials are masked in URLs; field values of requests and responses are never told.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tracing;

const TARGET: &str = "antiphon::client";

/// An error and its causes, in one line.
struct Whole<'a>(&'a (dyn StdError + 'static));

impl fmt::Display for Whole<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

impl Trace for Tracing {
    fn event(&self, event: &TraceEvent<'_>) {
        call(event);
    }
}

/// What is told of calls.
fn call(event: &TraceEvent<'_>) {
    match *event {
        TraceEvent::CallStart { call, method, url } => {
            debug!(target: TARGET, call = call.0, %method, %url, "call begins");
        }
        TraceEvent::CookiesSent { call, url, cookies } => {
            debug!(target: TARGET, call = call.0, %url, cookies, "cookies of the jar go along");
        }
        TraceEvent::CookiesSet { call, url, cookies } => {
            debug!(target: TARGET, call = call.0, %url, cookies, "cookies are set");
        }
        TraceEvent::GetConnection { call, key } => {
            trace!(target: TARGET, call = call.0, %key, "wants a connection");
        }
        TraceEvent::GotConnection {
            call,
            conn,
            key,
            remote,
            reused,
            idle,
        } => {
            debug!(target: TARGET, call = call.0, conn = conn.0, %key, %remote, reused, ?idle, "has a connection");
        }
        TraceEvent::Sending {
            call,
            conn,
            method,
            url,
        } => {
            debug!(target: TARGET, call = call.0, conn = conn.0, %method, %url, "sends a request");
        }
        TraceEvent::WroteHead { call } => trace!(target: TARGET, call = call.0, "head is written"),
        TraceEvent::WaitContinue { call } => trace!(target: TARGET, call = call.0, "body waits for 100"),
        TraceEvent::Continue { call } => trace!(target: TARGET, call = call.0, "100 came"),
        TraceEvent::Interim { call, status, .. } => {
            trace!(target: TARGET, call = call.0, status = status.code(), "interim response");
        }
        TraceEvent::WroteRequest { call } => trace!(target: TARGET, call = call.0, "request is written"),
        TraceEvent::FirstByte { call } => trace!(target: TARGET, call = call.0, "first byte of a response"),
        TraceEvent::Response { call, status, .. } => {
            debug!(target: TARGET, call = call.0, status = status.code(), "response");
        }
        TraceEvent::Redirect { call, from, next } => {
            debug!(target: TARGET, call = call.0, status = next.status.code(), %from, to = %next.to,
                method = %next.method, keeps_body = next.keeps_body, left_origin = next.left_origin,
                "follows a redirect");
        }
        TraceEvent::AttemptFailed {
            call,
            failure,
            written,
            error,
        } => {
            debug!(target: TARGET, call = call.0, ?failure, written, error = %Whole(error), "request failed");
        }
        TraceEvent::Retry { call, why } => debug!(target: TARGET, call = call.0, ?why, "sends it again"),
        TraceEvent::Deliver {
            call,
            status,
            why,
            decode,
        } => {
            debug!(target: TARGET, call = call.0, status = status.code(), not_followed = ?why, ?decode,
                "response is handed out");
        }
        TraceEvent::CallFailed { call, error } => {
            debug!(target: TARGET, call = call.0, error = %Whole(error), "call failed");
        }
        TraceEvent::CallDropped { call } => debug!(target: TARGET, call = call.0, "call was given up"),
        _ => connection(event),
    }
}

/// What is told of connections.
fn connection(event: &TraceEvent<'_>) {
    match *event {
        TraceEvent::Stale { conn } => debug!(target: TARGET, conn = conn.0, "idle connection was dead"),
        TraceEvent::PutIdle { conn, handed_over } => {
            trace!(target: TARGET, conn = conn.0, handed_over, "connection is free");
        }
        TraceEvent::NotKept { conn, why } => {
            debug!(target: TARGET, conn = conn.0, %why, "connection is not kept");
        }
        TraceEvent::ClosedIdle { conn, why } => {
            debug!(target: TARGET, conn = conn.0, %why, "idle connection is closed");
        }
        TraceEvent::Discarded { conn } => debug!(target: TARGET, conn = conn.0, "connection is closed"),
        TraceEvent::Switched { conn } => debug!(target: TARGET, conn = conn.0, "connection leaves HTTP"),
        TraceEvent::Begun { call, conn, key } => {
            debug!(target: TARGET, call = call.0, conn = conn.0, %key, "connection is begun");
        }
        TraceEvent::ResolveStart { conn, host } => {
            trace!(target: TARGET, conn = conn.0, host, "looks a name up");
        }
        TraceEvent::ResolveDone { conn, host, result } => match result {
            Ok(addresses) => trace!(target: TARGET, conn = conn.0, host, ?addresses, "name is found"),
            Err(error) => debug!(target: TARGET, conn = conn.0, host, %error, "name is not found"),
        },
        TraceEvent::DialStart { conn, address } => {
            trace!(target: TARGET, conn = conn.0, %address, "dials");
        }
        TraceEvent::DialDone {
            conn,
            address,
            result,
        } => match result {
            Ok(()) => trace!(target: TARGET, conn = conn.0, %address, "is connected"),
            Err(error) => debug!(target: TARGET, conn = conn.0, %address, %error, "is not connected"),
        },
        TraceEvent::DialCancelled { conn, address } => {
            trace!(target: TARGET, conn = conn.0, %address, "dialling is given up");
        }
        TraceEvent::TlsStart {
            conn,
            peer,
            server_name,
        } => trace!(target: TARGET, conn = conn.0, ?peer, server_name, "TLS handshake begins"),
        TraceEvent::TlsDone { conn, peer, result } => match result {
            Ok(alpn) => {
                let alpn = <[u8]>::escape_ascii(alpn.unwrap_or_default());
                trace!(target: TARGET, conn = conn.0, ?peer, %alpn, "TLS is set up");
            }
            Err(error) => debug!(target: TARGET, conn = conn.0, ?peer, error = %Whole(error), "TLS failed"),
        },
        TraceEvent::ProxyStart { conn, host, port } => {
            trace!(target: TARGET, conn = conn.0, host, port, "asks the proxy");
        }
        TraceEvent::ProxyDone { conn, result } => match result {
            Ok(()) => trace!(target: TARGET, conn = conn.0, "proxy leads there"),
            Err(error) => {
                debug!(target: TARGET, conn = conn.0, error = %Whole(error), "proxy does not lead there")
            }
        },
        TraceEvent::Made { conn, remote } => {
            debug!(target: TARGET, conn = conn.0, %remote, "connection is made");
        }
        TraceEvent::Failed { conn, error } => {
            debug!(target: TARGET, conn = conn.0, error = %Whole(error), "no connection is made");
        }
        _ => {}
    }
}

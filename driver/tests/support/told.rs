//! An observer that writes down what it is told, a line for each event. The tests of all clients use it.
#![allow(dead_code)]

use super::observed::{Trace, TraceEvent};
use std::io;
use std::sync::{Arc, Mutex};

/// What was told: each event in a line, and what `Debug` makes of it.
#[derive(Clone, Default)]
pub(crate) struct Told(Arc<Mutex<Vec<(String, String)>>>);

impl Trace for Told {
    fn event(&self, event: &TraceEvent<'_>) {
        let told = (line(event), format!("{event:?}"));
        self.0.lock().expect("no panic").push(told);
    }
}

impl Told {
    pub(crate) fn observer(&self) -> Arc<dyn Trace> {
        Arc::new(self.clone())
    }

    /// What was told since it was asked last. What there is of `port` is the server's, and shown as `HOST`.
    pub(crate) fn take(&self, addr: std::net::SocketAddr) -> Vec<String> {
        let told = std::mem::take(&mut *self.0.lock().expect("no panic"));
        let host = addr.to_string();
        told.into_iter()
            .map(|(line, _)| line.replace(&host, "HOST"))
            .collect()
    }

    /// All texts, for the search for secrets.
    pub(crate) fn texts(&self) -> Vec<String> {
        let told = self.0.lock().expect("no panic");
        told.iter()
            .map(|(line, debug)| format!("{line} {debug}"))
            .collect()
    }
}

pub(crate) fn line(event: &TraceEvent<'_>) -> String {
    match *event {
        TraceEvent::CallStart { call, method, url } => format!("call {call}: {method} {url}"),
        TraceEvent::CookiesSent { call, cookies, .. } => format!("call {call}: {cookies} cookies sent"),
        TraceEvent::CookiesSet { call, cookies, .. } => format!("call {call}: {cookies} cookies set"),
        TraceEvent::GetConnection { call, key } => format!("call {call}: get {key}"),
        TraceEvent::GotConnection {
            call,
            conn,
            reused,
            idle,
            ..
        } => format!(
            "call {call}: got {conn}, reused {reused}, was idle {}",
            idle.is_some()
        ),
        TraceEvent::Sending {
            call,
            conn,
            method,
            url,
        } => format!("call {call}: sending {method} {} on {conn}", url.target()),
        TraceEvent::WroteHead { call } => format!("call {call}: wrote head"),
        TraceEvent::WaitContinue { call } => format!("call {call}: wait for 100"),
        TraceEvent::Continue { call } => format!("call {call}: 100"),
        TraceEvent::Interim { call, status, fields } => format!(
            "call {call}: {} with {} fields",
            status.code(),
            fields.iter().count()
        ),
        TraceEvent::WroteRequest { call } => format!("call {call}: wrote request"),
        TraceEvent::FirstByte { call } => format!("call {call}: first byte"),
        TraceEvent::Response { call, status, .. } => format!("call {call}: response {}", status.code()),
        TraceEvent::Redirect { call, from, next } => {
            format!(
                "call {call}: redirect {} to {} {}",
                from.target(),
                next.method,
                next.to.target()
            )
        }
        TraceEvent::AttemptFailed {
            call,
            failure,
            written,
            ..
        } => format!("call {call}: failed, {failure:?}, written {written}"),
        TraceEvent::Retry { call, why } => format!("call {call}: retry, {why:?}"),
        TraceEvent::Deliver {
            call,
            status,
            why,
            decode,
        } => format!("call {call}: deliver {}, {why:?}, {decode:?}", status.code()),
        TraceEvent::CallFailed { call, error } => format!("call {call}: {error}"),
        TraceEvent::CallDropped { call } => format!("call {call}: dropped"),
        TraceEvent::Stale { conn } => format!("conn {conn}: stale"),
        TraceEvent::PutIdle { conn, .. } => format!("conn {conn}: idle"),
        TraceEvent::NotKept { conn, why } => format!("conn {conn}: not kept, {why}"),
        TraceEvent::ClosedIdle { conn, why } => format!("conn {conn}: closed, {why}"),
        TraceEvent::Discarded { conn } => format!("conn {conn}: discarded"),
        TraceEvent::Switched { conn } => format!("conn {conn}: switched"),
        TraceEvent::Begun { call, conn, key } => format!("conn {conn}: begun for {call}, {key}"),
        TraceEvent::ResolveStart { conn, host } => format!("conn {conn}: resolve {host}"),
        TraceEvent::ResolveDone { conn, result, .. } => {
            format!(
                "conn {conn}: resolved {:?}",
                result.map(<[_]>::len).map_err(io::Error::kind)
            )
        }
        TraceEvent::DialStart { conn, address } => format!("conn {conn}: dial {address}"),
        TraceEvent::DialDone { conn, result, .. } => {
            format!("conn {conn}: dialled {:?}", result.map_err(io::Error::kind))
        }
        TraceEvent::DialCancelled { conn, .. } => format!("conn {conn}: dial cancelled"),
        TraceEvent::TlsStart {
            conn, server_name, ..
        } => format!("conn {conn}: TLS with {server_name}"),
        TraceEvent::TlsDone { conn, result, .. } => {
            let alpn = result.map(|alpn| alpn.map(<[u8]>::escape_ascii).map(|a| a.to_string()));
            format!("conn {conn}: TLS done {:?}", alpn.ok())
        }
        TraceEvent::ProxyStart { conn, host, port } => {
            format!("conn {conn}: ask the proxy for {host}:{port}")
        }
        TraceEvent::ProxyDone { conn, result } => format!("conn {conn}: asked {}", result.is_ok()),
        TraceEvent::Made { conn, .. } => format!("conn {conn}: made"),
        TraceEvent::Failed { conn, error } => format!("conn {conn}: {error}"),
        _ => "something new".into(),
    }
}

/// What the tests expect where a client's connection is made, for its first call, and the request goes out.
pub(crate) fn connected(call: u32, conn: u32) -> Vec<String> {
    vec![
        format!("call {call}: get http://HOST"),
        format!("conn {conn}: begun for {call}, http://HOST"),
        format!("conn {conn}: dial HOST"),
        format!("conn {conn}: dialled Ok(())"),
        format!("conn {conn}: made"),
        format!("call {call}: got {conn}, reused false, was idle false"),
    ]
}

/// ... an exchange without a body, up to the response.
pub(crate) fn exchanged(call: u32, conn: u32, asked: &str, status: u16) -> Vec<String> {
    vec![
        format!("call {call}: sending {asked} on {conn}"),
        format!("call {call}: wrote head"),
        format!("call {call}: wrote request"),
        format!("call {call}: first byte"),
        format!("call {call}: response {status}"),
    ]
}

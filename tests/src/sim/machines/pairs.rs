//! Who is connected with whom: [`Both`] machines, [`OnlyServer`] against a client that writes plain text, [`OnlyClient`]
//! against such a server.

use super::Common;
use super::client::ClientScript;
use super::end::End;
use super::scripts::Doing;
use super::server::ServerScript;
use super::text::{TextClient, TextServer};
use crate::sim::checks::{Check, Pattern, Violation};
use crate::sim::link::{Link, Side};
use crate::sim::plan::Plan;
use crate::sim::uses::Use;
use antiphon_core::Instant;
use antiphon_core::h1::trace::{Redact, Traced};
use antiphon_core::h1::{ClientConfig, ClientConn, ServerConfig, ServerConn};
use bytes::Bytes;
use std::fmt::Debug;
use std::sync::Arc;

/// Two ends of a connection with their applications, for one connection after another.
pub(super) trait Pair {
    /// How many parts go on by themselves.
    const STEPS: u64;

    /// Whether an exchange is still to begin.
    fn has_more(&self) -> bool;
    /// A new connection.
    fn connect(&mut self, w: &mut Common);
    /// Has one of the parts go on. Says whether it did something.
    fn step(&mut self, part: u64, link: &mut Link, w: &mut Common) -> bool;
    fn is_over(&self) -> bool;
    /// How it stands, in words.
    fn tell(&self) -> String;
    /// The connection is over.
    fn disconnect(&mut self, w: &mut Common);
    /// What must hold in the end.
    fn close(&self) -> Result<(), Violation>;
    /// Exchanges that are complete, and that have failed.
    fn counts(&self) -> (u64, u64);
}

/// The settings of the machines.
pub(super) struct Configs {
    pub(super) server: Arc<ServerConfig>,
    pub(super) client: Arc<ClientConfig>,
}

/// A machine and its driver.
struct Driven<M> {
    conn: Traced<M>,
    end: End,
}

impl Driven<ServerConn> {
    fn new(config: &Arc<ServerConfig>, w: &mut Common) -> Self {
        let mut conn = Traced::<ServerConn>::new(config.clone(), w.now);
        if let Some(observer) = w.recorder.observer() {
            conn.set_observer(observer, Redact::Nothing);
        }
        let end = End::new(Side::Server, &mut w.rng);
        Driven { conn, end }
    }
}

impl Driven<ClientConn> {
    fn new(config: &Arc<ClientConfig>, w: &mut Common) -> Self {
        let mut conn = Traced::<ClientConn>::new(config.clone(), w.now);
        if let Some(observer) = w.recorder.observer() {
            conn.set_observer(observer, Redact::Nothing);
        }
        let end = End::new(Side::Client, &mut w.rng);
        Driven { conn, end }
    }
}

fn is_over<M>(driven: &Option<Driven<M>>) -> bool {
    driven.as_ref().is_none_or(|d| d.end.over)
}

fn tell<M: Debug>(driven: &Option<Driven<M>>) -> String {
    driven
        .as_ref()
        .map_or_else(String::new, |d| format!("{:?}", d.conn))
}

/// Compares what stands behind a switch, first what the machine gives back, then what its driver has read since, with
/// what the other side has written there.
fn behind(
    since: Option<(Vec<u8>, Instant)>,
    unread: Bytes,
    written: &[u8],
    w: &mut Common,
) -> Result<(), Violation> {
    let Some((since, _)) = since else { return Ok(()) };
    if !unread.is_empty() {
        w.uses.add(Use::HandedOn);
    }
    let came = [&unread[..], &since].concat();
    let whole = w.may_break() || came.len() == written.len();
    if whole && written.starts_with(&came) {
        return Ok(());
    }
    let what = format!(
        "{} bytes behind a switch are not the {} that were written",
        came.len(),
        written.len()
    );
    Err(Violation::new(Check::Bytes, what))
}

/// A client machine against a server machine.
pub(super) struct Both {
    configs: Configs,
    client: Option<Driven<ClientConn>>,
    server: Option<Driven<ServerConn>>,
    asking: ClientScript,
    answering: ServerScript,
}

impl Both {
    pub(super) fn new(plans: &[Plan], configs: Configs) -> Both {
        Both {
            configs,
            client: None,
            server: None,
            asking: ClientScript::new(plans),
            answering: ServerScript::new(plans),
        }
    }
}

impl Pair for Both {
    const STEPS: u64 = 4;

    fn has_more(&self) -> bool {
        self.asking.has_more()
    }

    fn connect(&mut self, w: &mut Common) {
        let mut client = Driven::<ClientConn>::new(&self.configs.client, w);
        let mut server = Driven::<ServerConn>::new(&self.configs.server, w);
        // Only the server knows, behind its answer, that another protocol has begun.
        let n = w.rng.size(300) as usize;
        server.end.speech = Some((Pattern::new(w.seed, w.rng.bits(), 3).bytes(0, n), 0));
        client.end.speech = Some((Vec::new(), 0));
        (self.client, self.server) = (Some(client), Some(server));
    }

    fn step(&mut self, part: u64, link: &mut Link, w: &mut Common) -> bool {
        let (Some(client), Some(server)) = (&mut self.client, &mut self.server) else {
            return false;
        };
        match part {
            0 => client.end.turn(&mut client.conn, link, w),
            1 => server.end.turn(&mut server.conn, link, w),
            2 => {
                let over = client.end.over || client.end.detached.is_some();
                self.asking.turn(&mut client.conn, w, over) == Doing::Something
            }
            _ => self.answering.turn(&mut server.conn, w, server.end.over) == Doing::Something,
        }
    }

    fn is_over(&self) -> bool {
        is_over(&self.client) && is_over(&self.server)
    }

    fn tell(&self) -> String {
        format!("client {}, server {}", tell(&self.client), tell(&self.server))
    }

    fn disconnect(&mut self, w: &mut Common) {
        if let (Some(client), Some(server)) = (self.client.take(), self.server.take()) {
            let (said, written) = server.end.speech.unwrap_or_default();
            let held = behind(
                client.end.detached,
                client.conn.into_parts().unread,
                &said[..written],
                w,
            )
            .and_then(|()| behind(server.end.detached, server.conn.into_parts().unread, &[], w));
            w.hold(held);
        }
        self.asking.connection_ended(w);
        self.answering.connection_ended(w);
    }

    fn close(&self) -> Result<(), Violation> {
        self.asking.close(&self.answering.started)
    }

    fn counts(&self) -> (u64, u64) {
        self.asking.counts()
    }
}

/// A server machine against a client that writes plain text.
pub(super) struct OnlyServer {
    configs: Configs,
    server: Option<Driven<ServerConn>>,
    asking: TextClient,
    answering: ServerScript,
}

impl OnlyServer {
    pub(super) fn new(plans: &mut [Plan], configs: Configs, w: &mut Common) -> OnlyServer {
        let asking = TextClient::new(plans, w);
        OnlyServer {
            configs,
            server: None,
            asking,
            answering: ServerScript::new(plans),
        }
    }
}

impl Pair for OnlyServer {
    const STEPS: u64 = 3;

    fn has_more(&self) -> bool {
        self.asking.has_more()
    }

    fn connect(&mut self, w: &mut Common) {
        self.server = Some(Driven::<ServerConn>::new(&self.configs.server, w));
        self.asking.connected(w);
    }

    fn step(&mut self, part: u64, link: &mut Link, w: &mut Common) -> bool {
        let Some(server) = &mut self.server else {
            return false;
        };
        match part {
            0 => self.asking.turn(link, w),
            1 => server.end.turn(&mut server.conn, link, w),
            _ => self.answering.turn(&mut server.conn, w, server.end.over) == Doing::Something,
        }
    }

    fn is_over(&self) -> bool {
        self.asking.is_over() && is_over(&self.server)
    }

    fn tell(&self) -> String {
        format!("server {}", tell(&self.server))
    }

    fn disconnect(&mut self, w: &mut Common) {
        // What stands behind a switch: what the machine gives back, then what its driver has read since.
        let behind = self.server.take().and_then(|server| {
            let (since, _) = server.end.detached?;
            Some([&server.conn.into_parts().unread[..], &since].concat())
        });
        self.asking
            .disconnected(w, &self.answering.started, behind.as_deref());
        self.answering.connection_ended(w);
    }

    fn close(&self) -> Result<(), Violation> {
        self.asking.close(&self.answering.started)
    }

    fn counts(&self) -> (u64, u64) {
        self.asking.counts()
    }
}

/// A client machine against a server that writes plain text.
pub(super) struct OnlyClient {
    configs: Configs,
    client: Option<Driven<ClientConn>>,
    asking: ClientScript,
    answering: TextServer,
}

impl OnlyClient {
    pub(super) fn new(plans: &mut [Plan], configs: Configs, w: &mut Common) -> OnlyClient {
        let (answering, until_close) = TextServer::new(plans, w);
        OnlyClient {
            configs,
            client: None,
            asking: ClientScript::new(plans).with_until_close(until_close),
            answering,
        }
    }
}

impl Pair for OnlyClient {
    const STEPS: u64 = 3;

    fn has_more(&self) -> bool {
        self.asking.has_more()
    }

    fn connect(&mut self, w: &mut Common) {
        self.client = Some(Driven::<ClientConn>::new(&self.configs.client, w));
        self.answering.connected(w);
    }

    fn step(&mut self, part: u64, link: &mut Link, w: &mut Common) -> bool {
        let Some(client) = &mut self.client else {
            return false;
        };
        match part {
            0 => client.end.turn(&mut client.conn, link, w),
            1 => self.asking.turn(&mut client.conn, w, client.end.over) == Doing::Something,
            _ => self.answering.turn(link, w),
        }
    }

    fn is_over(&self) -> bool {
        is_over(&self.client) && self.answering.is_over()
    }

    fn tell(&self) -> String {
        format!("client {}", tell(&self.client))
    }

    fn disconnect(&mut self, w: &mut Common) {
        self.client = None;
        self.asking.connection_ended(w);
        self.answering.disconnected();
    }

    fn close(&self) -> Result<(), Violation> {
        self.asking.close(&self.answering.started)
    }

    fn counts(&self) -> (u64, u64) {
        self.asking.counts()
    }
}

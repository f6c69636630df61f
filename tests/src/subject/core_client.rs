//! The subject client on nothing but the core: the turns of the core's example `get`, which is the very same
//! file, and a pool of one connection.

#[allow(dead_code)] // the example's `main`
#[path = "../../../core/examples/get.rs"]
mod get;

use self::get::{Clock, turn};
use super::item::{Item, Outcome};
use crate::echo::lines;
use antiphon_core::h1::{BodyLen, ClientConfig, ClientConn, ClientEvent, ExchangeId, Misuse, Reuse};
use antiphon_core::{Headers, Target, Version};
use std::error::Error;
use std::net::TcpStream;
use std::sync::Arc;

/// A client with at most one idle connection.
pub(super) struct Client {
    config: Arc<ClientConfig>,
    clock: Clock,
    idle: Option<(String, Connection)>,
}

struct Request<'a> {
    item: &'a Item,
    target: &'a str,
    fields: Headers,
    len: BodyLen,
}

impl Request<'_> {
    fn send_head(&self, http: &mut ClientConn) -> Result<ExchangeId, Misuse> {
        http.send_request(self.item.method(), self.target, &self.fields, self.len)
    }
}

struct Connection {
    socket: TcpStream,
    http: ClientConn,
}

impl Client {
    pub(super) fn new(config: ClientConfig) -> Client {
        Client {
            config: Arc::new(config),
            clock: Clock(std::time::Instant::now()),
            idle: None,
        }
    }

    pub(super) fn perform(&mut self, item: &Item) -> Outcome {
        let mut outcome = Outcome::default();
        if let Err(e) = self.attempts(item, &mut outcome) {
            outcome.error = Some(e.to_string());
        }
        outcome
    }

    fn attempts(&mut self, item: &Item, outcome: &mut Outcome) -> Result<(), Box<dyn Error>> {
        let rest = item.url.strip_prefix("http://").ok_or("only http:// URLs")?;
        let rest = rest.split('#').next().unwrap_or_default();
        let (authority, target) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let target = if target.starts_with('/') {
            target.into()
        } else {
            format!("/{target}")
        };
        let authority = authority.rsplit('@').next().unwrap_or_default();

        // What may not be sent is found out before a connection is made.
        let mut fields = item.headers()?;
        if !fields.contains("host") {
            let mut with_host = Headers::new();
            with_host.append("host", authority)?;
            for field in &fields {
                with_host.push(field)?;
            }
            fields = with_host;
        }
        let len = match &item.body {
            None => BodyLen::None,
            Some(_) if item.chunked => BodyLen::Unknown,
            Some(body) => BodyLen::Known(body.len() as u64),
        };
        let len = BodyLen::from_fields(&mut fields, len)?;
        let target = Target::new(target)?;
        let request = Request {
            item,
            target: target.as_str(),
            fields,
            len,
        };

        let idle = self
            .idle
            .take()
            .filter(|(key, _)| key == authority)
            .map(|(_, c)| c);
        if let Some(mut c) = idle
            && self.usable(&mut c)
        {
            outcome.reused = true;
            let result = match request.send_head(&mut c.http) {
                Ok(id) => self.exchange(&mut c, id, &request, outcome),
                Err(misuse) => Err(misuse.into()),
            };
            // The server closed it, or gave up waiting, while the request was on its way.
            let lost = match &result {
                Err(_) => !c.http.response_begun(),
                Ok(reuse) => outcome.status == Some(408) && *reuse != Reuse::KeepAlive,
            };
            if !lost || !matches!(item.method(), "GET" | "HEAD" | "OPTIONS" | "TRACE") {
                if result? == Reuse::KeepAlive {
                    self.idle = Some((authority.into(), c));
                }
                return Ok(());
            }
            *outcome = Outcome::default();
        }
        let port = if authority.contains(':') { "" } else { ":80" };
        let mut http = ClientConn::new(self.config.clone(), self.clock.now());
        // The machine needs no connection to refuse what may not be sent.
        let id = request.send_head(&mut http)?;
        let socket = TcpStream::connect(format!("{authority}{port}"))?;
        socket.set_nodelay(true)?;
        let mut c = Connection { socket, http };
        if self.exchange(&mut c, id, &request, outcome)? == Reuse::KeepAlive {
            self.idle = Some((authority.into(), c));
        }
        Ok(())
    }

    /// Looks, without waiting, whether an idle connection has said anything meanwhile.
    fn usable(&self, c: &mut Connection) -> bool {
        if c.socket.set_nonblocking(true).is_err() {
            return false;
        }
        let mut byte = [0];
        let quiet = matches!(c.socket.peek(&mut byte), Err(e) if e.kind() == std::io::ErrorKind::WouldBlock);
        quiet && c.socket.set_nonblocking(false).is_ok() && c.http.can_send()
    }

    fn exchange(
        &self,
        c: &mut Connection,
        id: ExchangeId,
        request: &Request<'_>,
        outcome: &mut Outcome,
    ) -> Result<Reuse, Box<dyn Error>> {
        let mut upload = request.item.body.as_deref().unwrap_or_default();
        let mut uploading = request.len != BodyLen::None;
        let mut complete = false;
        loop {
            while let Some(event) = c.http.next_event()? {
                match event {
                    ClientEvent::Interim { status, .. } => outcome.informational.push(status.code()),
                    ClientEvent::Response { id, body } => {
                        complete = body == BodyLen::None;
                        let head = c.http.head(id)?;
                        outcome.status = Some(head.status().code());
                        outcome.http10 = head.version() == Version::Http10;
                        outcome.reason = head.reason().to_vec();
                        outcome.headers = lines(head.fields());
                        c.http.want_body(id);
                    }
                    ClientEvent::Body { .. } => {
                        outcome.body.extend_from_slice(c.http.body());
                        c.http.consume(c.http.body().len())?;
                    }
                    ClientEvent::BodyEnd { id } => {
                        complete = true;
                        outcome.trailers = c.http.trailers(id).map(lines).unwrap_or_default();
                    }
                    ClientEvent::ExchangeEnd { reuse, .. } => {
                        return match reuse {
                            Reuse::Close(reason) if !complete => Err(reason.to_string().into()),
                            _ => Ok(reuse),
                        };
                    }
                    ClientEvent::Timeout { why, .. } => return Err(why.to_string().into()),
                    _ => {}
                }
            }
            if uploading {
                uploading = !send(&mut c.http, id, &mut upload)?;
                if !uploading {
                    continue; // the end of the request may be the end of the exchange
                }
            }
            if !turn(&mut c.http, &mut c.socket, &self.clock)? {
                return Err("the connection closed before the response was complete".into());
            }
        }
    }
}

/// Sends what there is room for; `true` once the body is complete, or is not wanted any more.
fn send(http: &mut ClientConn, id: ExchangeId, upload: &mut &[u8]) -> Result<bool, Misuse> {
    while !upload.is_empty() {
        match http.send_body_copy(id, upload) {
            Ok(n) => *upload = &upload[n..],
            Err(Misuse::Full | Misuse::AwaitingContinue) => return Ok(false),
            // The response came first and the rest is not wanted any more.
            Err(Misuse::UnknownExchange | Misuse::Closed | Misuse::BodyFinished) => return Ok(true),
            Err(e) => return Err(e),
        }
    }
    match http.finish(id, &antiphon_core::Fields::EMPTY) {
        Err(Misuse::AwaitingContinue | Misuse::Full) => Ok(false),
        Ok(_) | Err(Misuse::UnknownExchange | Misuse::Closed | Misuse::BodyFinished) => Ok(true),
        Err(e) => Err(e),
    }
}

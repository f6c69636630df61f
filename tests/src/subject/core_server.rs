//! The subject server on nothing but the core: the application of [`crate::echo`] on the event loop of the
//! core's example, which is the very same file.

#[allow(dead_code)] // the example's own application and its `main`
#[path = "../../../core/examples/serve_mio.rs"]
mod serve_mio;

use self::serve_mio::App;
use crate::echo::{self, Answer, Content, Plan, Reply, Seen};
use antiphon_core::h1::{BodyLen, ExchangeId, Misuse, ServerConfig, ServerConn, ServerEvent, Switch};
use antiphon_core::server::DateCache;
use antiphon_core::{Field, Fields, Instant, Status, UnixTime};
use std::io::{Read, Write};
use std::sync::Arc;

/// Serves until the process ends.
pub(super) fn serve(listener: std::net::TcpListener, config: ServerConfig) -> std::io::Result<()> {
    listener.set_nonblocking(true)?;
    let listener = mio::net::TcpListener::from_std(listener);
    serve_mio::serve(listener, Arc::new(config), Echo::default)
}

/// The application of one connection. Also what the transcripts run against, without any socket.
#[derive(Debug, Default)]
pub struct Echo {
    open: Option<Open>,
    date: DateCache,
}

#[derive(Debug)]
struct Open {
    id: ExchangeId,
    seen: Seen,
    doing: Doing,
    date: DateCache,
}

fn wall_clock() -> UnixTime {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    UnixTime(since.map_or(0, |d| d.as_secs() as i64))
}

#[derive(Debug)]
enum Doing {
    /// Collecting the body.
    Reading(std::time::Duration, Answer),
    /// Waiting until then.
    Waiting(Instant, Answer),
    /// Sending what is left of the content.
    Sending(Content),
    /// Sending the body back as it comes.
    Mirroring,
    /// The answer is complete, or never will be.
    Done,
}

impl Open {
    fn reply(&mut self, http: &mut ServerConn, reply: Reply) {
        // A reply whose fields the machine refuses becomes a 500.
        for mut reply in [reply, Reply::refused()] {
            // RFC 9110, section 6.6.1: a server with a clock sends Date. The machines have none.
            let _ = reply.headers.push(self.date.field(wall_clock()));
            // Framing fields of the application become framing, as in the adapters.
            let sent = BodyLen::from_fields(&mut reply.headers, reply.content.len())
                .and_then(|len| http.send_head(self.id, reply.status, &reply.headers, len));
            match sent {
                Ok(()) => {
                    self.doing = Doing::Sending(reply.content);
                    return self.send(http);
                }
                Err(Misuse::UnknownExchange | Misuse::Closed) => break,
                Err(_) => {}
            }
        }
        self.doing = Doing::Done;
    }

    fn answer(&mut self, http: &mut ServerConn, answer: Answer) {
        if let Some(reply) = answer.reply(&self.seen) {
            return self.reply(http, reply);
        }
        let upgrade = [Field::from_static("upgrade", "echo")];
        if http
            .send_head(self.id, Status::SWITCHING_PROTOCOLS, &upgrade, BodyLen::None)
            .is_err()
        {
            return self.reply(http, Reply::refused());
        }
        self.doing = Doing::Done;
    }

    /// The body is complete.
    fn body_end(&mut self, http: &mut ServerConn, now: Instant) {
        match std::mem::replace(&mut self.doing, Doing::Done) {
            Doing::Reading(delay, answer) if delay.is_zero() => self.answer(http, answer),
            Doing::Reading(delay, answer) => self.doing = Doing::Waiting(now + delay, answer),
            Doing::Mirroring => drop(http.finish(self.id, &Fields::EMPTY)),
            other => self.doing = other,
        }
    }

    fn send(&mut self, http: &mut ServerConn) {
        let Doing::Sending(content) = &mut self.doing else {
            return;
        };
        while http.send_capacity(self.id) > 0 {
            let piece = content.piece();
            let over = piece.is_none();
            let sent = match piece {
                Some(piece) => http.send_body(self.id, piece),
                None => http.finish(self.id, &Fields::EMPTY),
            };
            if over || sent.is_err() {
                self.doing = Doing::Done;
                return;
            }
        }
    }
}

impl Echo {
    /// The request that is open, as far as it was read, and whether its answer has begun.
    pub fn seen(&self) -> Option<(&Seen, bool)> {
        let open = self.open.as_ref()?;
        Some((
            &open.seen,
            !matches!(open.doing, Doing::Reading(..) | Doing::Waiting(..)),
        ))
    }

    /// The machine tells something, once.
    pub fn event(&mut self, http: &mut ServerConn, event: ServerEvent, now: Instant) {
        match event {
            ServerEvent::Request {
                id, body, proposes, ..
            } => {
                let Ok(head) = http.head(id) else { return };
                let seen = Seen::of(head);
                let mut open = Open {
                    id,
                    doing: Doing::Done,
                    seen,
                    date: std::mem::take(&mut self.date),
                };
                match echo::plan(&open.seen, proposes == Switch::Upgrade) {
                    Plan::Early(reply) => open.reply(http, reply),
                    Plan::AfterBody(delay, answer) => {
                        http.want_body(id);
                        open.doing = Doing::Reading(delay, answer);
                        if body == BodyLen::None {
                            open.body_end(http, now);
                        }
                    }
                    Plan::Mirror => {
                        http.want_body(id);
                        let sent = http.send_head(id, Status::OK, &Fields::EMPTY, body);
                        open.doing = if sent.is_ok() && body != BodyLen::None {
                            Doing::Mirroring
                        } else {
                            Doing::Done
                        };
                    }
                }
                self.open = Some(open);
            }
            ServerEvent::BodyEnd { id } => {
                let Some(open) = self.open.as_mut().filter(|o| o.id == id) else {
                    return;
                };
                open.seen.trailers = http.trailers(id).map(echo::lines).unwrap_or_default();
                open.body_end(http, now);
            }
            ServerEvent::ExchangeEnd { .. } => {
                if let Some(open) = self.open.take() {
                    self.date = open.date;
                }
            }
            _ => {}
        }
    }

    /// Goes on where the last call stopped.
    pub fn resume(&mut self, http: &mut ServerConn, now: Instant) {
        let Some(open) = &mut self.open else { return };
        match std::mem::replace(&mut open.doing, Doing::Done) {
            Doing::Reading(delay, answer) => {
                open.seen.body.extend_from_slice(http.body());
                let _ = http.consume(http.body().len());
                open.doing = Doing::Reading(delay, answer);
            }
            Doing::Waiting(until, answer) if until <= now => open.answer(http, answer),
            Doing::Mirroring => {
                open.doing = Doing::Mirroring;
                if http.send_capacity(open.id) > 0 && !http.body().is_empty() {
                    let piece = http.take_body();
                    let _ = http.send_body(open.id, piece);
                }
            }
            Doing::Sending(content) => {
                open.doing = Doing::Sending(content);
                open.send(http);
            }
            other => open.doing = other,
        }
    }

    /// When to call [`Echo::resume`] although nothing happens.
    pub fn wake(&self) -> Option<Instant> {
        match self.open.as_ref()?.doing {
            Doing::Waiting(until, _) => Some(until),
            _ => None,
        }
    }
}

impl App for Echo {
    fn event(&mut self, http: &mut ServerConn, event: ServerEvent, now: Instant) {
        Echo::event(self, http, event, now);
    }

    fn resume(&mut self, http: &mut ServerConn, now: Instant) {
        Echo::resume(self, http, now);
    }

    fn wake(&self) -> Option<Instant> {
        Echo::wake(self)
    }

    fn switched(&mut self, socket: mio::net::TcpStream, unread: &[u8]) {
        // The other protocol is no affair of the loop: a thread speaks it.
        let mut socket = std::net::TcpStream::from(socket);
        let unread = unread.to_vec();
        std::thread::spawn(move || {
            socket.set_nonblocking(false)?;
            socket.write_all(&unread)?;
            let mut space = [0; 4096];
            loop {
                match socket.read(&mut space)? {
                    0 => return Ok::<(), std::io::Error>(()),
                    n => socket.write_all(&space[..n])?,
                }
            }
        });
    }
}

//! The methods of the machines that may change them, each with its line.

use super::json::Line;
use super::lines::{about, at, back, copied, first, line, misuse, nothing, refused, told};
use super::seen::Look;
use super::words::{self, Settings, Told};
use super::{Observer, Redact, Tap, Traced};
use crate::h1::buffer::Buffer;
use crate::h1::client::ClientConn;
use crate::h1::config::{ClientConfig, ServerConfig};
use crate::h1::error::{Misuse, PeerError};
use crate::h1::event::{BodyLen, ClientEvent, Deadline, ExchangeId, ServerEvent};
use crate::h1::head::OwnedHead;
use crate::h1::link::{Io, Parts};
use crate::h1::output::Segments;
use crate::h1::server::ServerConn;
use crate::{FieldLines, Instant, Status};
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;

macro_rules! calls {
    ($Machine:ident, $Config:ident, $Event:ident, $role:literal) => {
        #[doc = concat!("The methods of [`", stringify!($Machine), "`], recorded. What they do and when they fail is said there.")]
        impl Traced<$Machine> {
            #[doc = concat!("As [`", stringify!($Machine), "::new`]; nobody watches yet.")]
            pub fn new(config: Arc<$Config>, now: Instant) -> Self {
                Traced {
                    machine: $Machine::new(config, now),
                    tap: None,
                    born: now,
                    missed: false,
                }
            }

            /// From now on every line goes to `observer`. Only a trace that begins before the first call that may
            /// change the machine can be replayed; the first line says whether it does (`"whole"`).
            pub fn set_observer(&mut self, observer: impl Observer + Send + 'static, redact: Redact) {
                let mut tap = Tap {
                    observer: Box::new(observer),
                    masks: redact == Redact::Credentials,
                    received: super::Mask::START,
                    written: super::Mask::START,
                };
                let (born, whole, masks) = (self.born, !self.missed, tap.masks);
                tap.line(|l| {
                    l.key("trace").number(1);
                    l.key("machine").bytes($role.as_bytes());
                    at(l, born);
                    l.key("whole").bool(whole);
                    l.key("masked").bool(masks);
                    l.key("config");
                    self.machine.config().settings(l);
                });
                self.tap = Some(Box::new(tap));
            }

            /// Lends a buffer.
            pub fn lend(&mut self, buffer: Buffer) {
                let (size, filled) = buffer.0.recv.shape();
                self.call(
                    |_, tap| {
                        line(tap, "in", "lend", |l| {
                            l.key("size").number(size as u64);
                            l.key("filled").bool(filled);
                        });
                    },
                    |m| m.lend(buffer),
                    nothing,
                );
            }

            /// Takes the buffer back.
            pub fn reclaim(&mut self) -> Option<Buffer> {
                self.call(
                    |_, tap| line(tap, "in", "reclaim", |_| ()),
                    |m| m.reclaim(),
                    |_, buffer, tap| back(tap, |l| l.bool(buffer.is_some())),
                )
            }

            fn space(&mut self) {
                self.call(
                    |_, tap| line(tap, "in", "recv_space", |_| ()),
                    |m| m.recv_space().len(),
                    |_, n, tap| back(tap, |l| l.number(*n as u64)),
                );
            }

            /// Space to read into.
            pub fn recv_space(&mut self) -> &mut [u8] {
                if self.tap.is_some() {
                    // Asking twice gives the same space, so the record may ask first.
                    self.space();
                } else {
                    self.missed = true;
                }
                self.machine.recv_space()
            }

            /// For replaying a trace: puts bytes where `recv_space` pointed when it was last asked, without asking
            /// again. Returns how many fit.
            pub fn refill(&mut self, bytes: &[u8]) -> usize {
                let Some(b) = &mut self.machine.link.buf else {
                    return 0;
                };
                let space = b.recv.tail();
                let n = space.len().min(bytes.len());
                space[..n].copy_from_slice(&bytes[..n]);
                n
            }

            /// Space to read into and what is to be written.
            pub fn io(&mut self) -> Io<'_> {
                self.call(
                    |_, tap| line(tap, "in", "io", |_| ()),
                    |m| m.io().recv_space.len(),
                    |_, n, tap| back(tap, |l| l.number(*n as u64)),
                );
                self.machine.io()
            }

            /// Bytes were read into the space.
            ///
            /// # Errors
            /// As the machine's.
            pub fn received(&mut self, n: usize, now: Instant) -> Result<(), Misuse> {
                self.call(
                    |m, tap| {
                        let read = m.link().buf.as_ref().map_or(&[][..], |b| b.recv.peek_tail(n));
                        let shown = Tap::shown(&mut tap.received, tap.masks, read);
                        line(tap, "in", "received", |l| {
                            at(l, now);
                            l.key("n").number(n as u64);
                            l.key("bytes").bytes(&shown);
                        });
                    },
                    |m| m.received(n, now),
                    refused,
                )
            }

            /// Takes bytes in that were read elsewhere.
            pub fn received_copy(&mut self, bytes: &[u8], now: Instant) -> usize {
                self.call(
                    |_, tap| {
                        // What is not taken now comes again: the mask moves on only past what is taken.
                        let shown = Tap::shown(&mut tap.received.clone(), tap.masks, bytes);
                        line(tap, "in", "received_copy", |l| {
                            at(l, now);
                            l.key("bytes").bytes(&shown);
                        });
                    },
                    |m| m.received_copy(bytes, now),
                    |_, n, tap| {
                        Tap::shown(&mut tap.received, tap.masks, &bytes[..*n]);
                        back(tap, |l| l.number(*n as u64));
                    },
                )
            }

            /// The stream has ended.
            pub fn received_eof(&mut self, now: Instant) {
                self.call(
                    |_, tap| line(tap, "in", "received_eof", |l| at(l, now)),
                    |m| m.received_eof(now),
                    nothing,
                );
            }

            /// Reading failed.
            pub fn read_failed(&mut self, now: Instant) {
                self.call(
                    |_, tap| line(tap, "in", "read_failed", |l| at(l, now)),
                    |m| m.read_failed(now),
                    nothing,
                );
            }

            /// Writing failed.
            pub fn write_failed(&mut self, now: Instant) {
                self.call(
                    |_, tap| line(tap, "in", "write_failed", |l| at(l, now)),
                    |m| m.write_failed(now),
                    nothing,
                );
            }

            /// The socket's write side was shut down.
            pub fn write_shut(&mut self, now: Instant) {
                self.call(
                    |_, tap| line(tap, "in", "write_shut", |l| at(l, now)),
                    |m| m.write_shut(now),
                    nothing,
                );
            }

            /// Bytes were written.
            ///
            /// # Errors
            /// As the machine's.
            pub fn sent(&mut self, n: u64, now: Instant) -> Result<(), Misuse> {
                let wire = match &self.tap {
                    Some(_) => first(self.machine.outgoing(), n),
                    None => Vec::new(),
                };
                self.call(
                    |_, tap| {
                        line(tap, "in", "sent", |l| {
                            at(l, now);
                            l.key("n").number(n);
                        });
                    },
                    |m| m.sent(n, now),
                    |_, result, tap| match result {
                        Err(e) => misuse(tap, *e),
                        Ok(()) if wire.is_empty() => {}
                        Ok(()) => {
                            let shown = Tap::shown(&mut tap.written, tap.masks, &wire);
                            tap.line(|l| l.key("wire").bytes(&shown));
                        }
                    },
                )
            }

            /// Takes the output.
            pub fn take_outgoing(&mut self) -> Option<Segments> {
                let wire = match &self.tap {
                    Some(_) => first(self.machine.outgoing(), u64::MAX),
                    None => Vec::new(),
                };
                self.call(
                    |_, tap| line(tap, "in", "take_outgoing", |_| ()),
                    |m| m.take_outgoing(),
                    |_, segments, tap| match segments {
                        None => back(tap, Line::null),
                        Some(_) => {
                            let shown = Tap::shown(&mut tap.written, tap.masks, &wire);
                            tap.line(|l| l.key("wire").bytes(&shown));
                        }
                    },
                )
            }

            /// The next deadline.
            pub fn deadline(&mut self, now: Instant) -> Option<Deadline> {
                self.call(
                    |_, tap| line(tap, "clock", "deadline", |l| at(l, now)),
                    |m| m.deadline(now),
                    |_, d, tap| back(tap, |l| l.option(*d, words::deadline)),
                )
            }

            /// The clock shows `now`.
            pub fn handle_timeout(&mut self, now: Instant) {
                self.call(
                    |_, tap| line(tap, "clock", "handle_timeout", |l| at(l, now)),
                    |m| m.fire(now),
                    |_, fired, tap| {
                        if let Some(why) = fired {
                            tap.line(|l| {
                                l.key("timer").bytes(b"fired");
                                l.key("why").name(why);
                            });
                        }
                    },
                );
            }

            /// Takes the connection apart.
            pub fn into_parts(mut self) -> Parts {
                if let Some(tap) = &mut self.tap {
                    line(tap, "do", "into_parts", |_| ());
                }
                let parts = self.machine.into_parts();
                if let Some(tap) = &mut self.tap {
                    let masks = tap.masks;
                    // Where a line begins in these bytes is not known: with a mask, none of them are shown.
                    let show = if masks { words::covered } else { Line::bytes };
                    back(tap, |l| {
                        l.object(|l| {
                            show(l.key("unread"), &parts.unread);
                            show(l.key("unsent"), &parts.unsent);
                            l.key("peer_closed").bool(parts.peer_closed);
                        });
                    });
                }
                parts
            }

            /// The next thing to tell the application.
            ///
            /// # Errors
            /// As the machine's.
            pub fn next_event(&mut self) -> Result<Option<$Event>, PeerError> {
                let pending = self.machine.link.ended;
                self.call(
                    |_, tap| line(tap, "ask", "next_event", |_| ()),
                    |m| m.next_event(),
                    |_, result, tap| {
                        if let Ok(Some(event)) = result
                            && let Some(outcome) = event.reuse()
                            && pending != Some(outcome)
                        {
                            // Decided and told in the same call.
                            tap.line(|l| {
                                l.key("decision").bytes(b"reuse");
                                l.key("reuse");
                                words::reuse(l, outcome);
                            });
                        }
                        told::<$Event>(result, tap);
                    },
                )
            }

            /// Takes the head out.
            pub fn take_head(&mut self, id: ExchangeId) -> OwnedHead {
                self.call(
                    |_, tap| about(tap, "take_head", id, |_| ()),
                    |m| m.take_head(id),
                    |_, head, tap| back(tap, |l| l.number(head.fields().iter().count() as u64)),
                )
            }

            /// Gives a head's storage back.
            pub fn recycle(&mut self, head: OwnedHead) {
                self.call(
                    |_, tap| line(tap, "do", "recycle", |_| ()),
                    |m| m.recycle(head),
                    nothing,
                );
            }

            /// The application wants the body.
            pub fn want_body(&mut self, id: ExchangeId) {
                self.call(
                    |_, tap| about(tap, "want_body", id, |_| ()),
                    |m| m.want_body(id),
                    nothing,
                );
            }

            /// Body bytes were used.
            ///
            /// # Errors
            /// As the machine's.
            pub fn consume(&mut self, n: usize) -> Result<(), Misuse> {
                self.call(
                    |_, tap| line(tap, "do", "consume", |l| l.key("n").number(n as u64)),
                    |m| m.consume(n),
                    refused,
                )
            }

            /// All of the body that is there.
            pub fn take_body(&mut self) -> Bytes {
                self.call(
                    |_, tap| line(tap, "do", "take_body", |_| ()),
                    |m| m.take_body(),
                    |_, bytes, tap| back(tap, |l| l.number(bytes.len() as u64)),
                )
            }

            /// The driver read body bytes by itself.
            ///
            /// # Errors
            /// As the machine's.
            pub fn direct_received(&mut self, n: u64, now: Instant) -> Result<(), Misuse> {
                self.call(
                    |_, tap| {
                        line(tap, "in", "direct_received", |l| {
                            at(l, now);
                            l.key("n").number(n);
                        });
                    },
                    |m| m.direct_received(n, now),
                    refused,
                )
            }

            /// Sends body bytes.
            ///
            /// # Errors
            /// As the machine's.
            pub fn send_body(&mut self, id: ExchangeId, bytes: Bytes) -> Result<(), Misuse> {
                self.call(
                    |_, tap| about(tap, "send_body", id, |l| l.key("bytes").bytes(&bytes)),
                    |m| m.send_body(id, bytes.clone()),
                    refused,
                )
            }

            /// Copies body bytes.
            ///
            /// # Errors
            /// As the machine's.
            pub fn send_body_copy(&mut self, id: ExchangeId, bytes: &[u8]) -> Result<usize, Misuse> {
                self.call(
                    |_, tap| about(tap, "send_body_copy", id, |l| l.key("bytes").bytes(bytes)),
                    |m| m.send_body_copy(id, bytes),
                    copied,
                )
            }

            /// The driver will write body bytes itself.
            ///
            /// # Errors
            /// As the machine's.
            pub fn send_external(&mut self, id: ExchangeId, len: u64) -> Result<(), Misuse> {
                self.call(
                    |_, tap| about(tap, "send_external", id, |l| l.key("n").number(len)),
                    |m| m.send_external(id, len),
                    refused,
                )
            }

            /// Ends the message.
            ///
            /// # Errors
            /// As the machine's.
            pub fn finish<F: FieldLines + ?Sized>(
                &mut self,
                id: ExchangeId,
                trailers: &F,
            ) -> Result<(), Misuse> {
                self.call(
                    |_, tap| {
                        let masks = tap.masks;
                        about(tap, "finish", id, |l| {
                            l.key("fields");
                            words::fields(l, trailers, masks);
                        });
                    },
                    |m| m.finish(id, trailers),
                    refused,
                )
            }

            /// Gives the exchange up.
            ///
            /// # Errors
            /// As the machine's.
            pub fn abort(&mut self, id: ExchangeId) -> Result<(), Misuse> {
                self.call(
                    |_, tap| about(tap, "abort", id, |_| ()),
                    |m| m.abort(id),
                    refused,
                )
            }

            /// Takes no more requests.
            pub fn close_when_idle(&mut self) {
                self.call(
                    |_, tap| line(tap, "do", "close_when_idle", |_| ()),
                    |m| m.close_when_idle(),
                    nothing,
                );
            }
        }
    };
}

calls!(ServerConn, ServerConfig, ServerEvent, "server");
calls!(ClientConn, ClientConfig, ClientEvent, "client");

/// What only a server does.
impl Traced<ServerConn> {
    /// Sends an interim response.
    ///
    /// # Errors
    /// As the machine's.
    pub fn send_interim<F: FieldLines + ?Sized>(
        &mut self,
        id: ExchangeId,
        status: Status,
        fields: &F,
    ) -> Result<(), Misuse> {
        self.call(
            |_, tap| {
                let masks = tap.masks;
                about(tap, "send_interim", id, |l| {
                    l.key("status").number(u64::from(status.code()));
                    l.key("fields");
                    words::fields(l, fields, masks);
                });
            },
            |m| m.send_interim(id, status, fields),
            refused,
        )
    }

    /// Sends the final response head.
    ///
    /// # Errors
    /// As the machine's.
    pub fn send_head<F: FieldLines + ?Sized>(
        &mut self,
        id: ExchangeId,
        status: Status,
        fields: &F,
        body: BodyLen,
    ) -> Result<(), Misuse> {
        self.call(
            |_, tap| {
                let masks = tap.masks;
                about(tap, "send_head", id, |l| {
                    l.key("status").number(u64::from(status.code()));
                    l.key("fields");
                    words::fields(l, fields, masks);
                    l.key("body");
                    words::body_len(l, body);
                });
            },
            |m| m.send_head(id, status, fields, body),
            refused,
        )
    }
}

/// What only a client does.
impl Traced<ClientConn> {
    /// Sends a request head.
    ///
    /// # Errors
    /// As the machine's.
    pub fn send_request<F: FieldLines + ?Sized>(
        &mut self,
        method: &str,
        target: &str,
        fields: &F,
        body: BodyLen,
    ) -> Result<ExchangeId, Misuse> {
        self.call(
            |_, tap| {
                let masks = tap.masks;
                line(tap, "do", "send_request", |l| {
                    l.key("method").bytes(method.as_bytes());
                    l.key("target").bytes(target.as_bytes());
                    l.key("fields");
                    words::fields(l, fields, masks);
                    l.key("body");
                    words::body_len(l, body);
                });
            },
            |m| m.send_request(method, target, fields, body),
            |_, result, tap| match result {
                Ok(id) => back(tap, |l| words::id(l, *id)),
                Err(e) => misuse(tap, *e),
            },
        )
    }
}

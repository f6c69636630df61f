//! What a machine has decided and what it waits for, looked at before and after a call: the difference is what the
//! call did. Looking changes nothing, so a machine that is watched behaves like one that is not.

use super::Tap;
use super::words;
use crate::h1::client::{ClientConn, Gate};
use crate::h1::error::PeerError;
use crate::h1::event::{CloseReason, Deadline, Reuse, Wants};
use crate::h1::link::{End, Link};
use crate::h1::server::ServerConn;

/// See the file's description.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    close: Option<CloseReason>,
    ended: Option<Reuse>,
    error: Option<PeerError>,
    end: End,
    /// Server: `100 Continue` is owed. Client: it is waited for.
    continues: bool,
    /// Server: how much of an unread body may still be discarded.
    discards: bool,
    /// Reading, writing, rate.
    timers: [Option<Deadline>; 3],
    wants: Wants,
}

/// What can be looked at.
pub(super) trait Look {
    fn seen(&self) -> Seen;
    fn link(&self) -> &Link;
}

impl Look for ServerConn {
    fn seen(&self) -> Seen {
        Seen {
            continues: self.owes_continue,
            discards: self.discard.is_some(),
            ..Seen::of(&self.link, self.wants())
        }
    }

    fn link(&self) -> &Link {
        &self.link
    }
}

impl Look for ClientConn {
    fn seen(&self) -> Seen {
        Seen {
            continues: self.gate == Gate::Waiting,
            ..Seen::of(&self.link, self.wants())
        }
    }

    fn link(&self) -> &Link {
        &self.link
    }
}

impl Seen {
    fn of(link: &Link, wants: Wants) -> Seen {
        Seen {
            close: link.state.close_reason(),
            ended: link.ended,
            error: link.error,
            end: link.end,
            continues: false,
            discards: false,
            timers: link.timers(),
            wants,
        }
    }

    /// Writes down how `self` became `after`.
    pub(super) fn compare(&self, after: &Seen, tap: &mut Tap) {
        if let (None, Some(e)) = (self.error, after.error) {
            tap.line(|l| {
                l.key("decision").bytes(b"refuse");
                l.key("error");
                words::error(l, e);
                l.key("status")
                    .option(e.status_hint(), |l, s| l.number(u64::from(s.code())));
            });
        }
        if let (None, Some(why)) = (self.close, after.close) {
            tap.line(|l| {
                l.key("decision").bytes(b"close");
                l.key("reason");
                words::reason(l, why);
            });
        }
        if let Some(outcome) = after.ended
            && self.ended != after.ended
        {
            tap.line(|l| {
                l.key("decision").bytes(b"reuse");
                l.key("reuse");
                words::reuse(l, outcome);
            });
        }
        if self.continues != after.continues {
            tap.line(|l| {
                l.key("decision").bytes(b"continue");
                l.key("due").bool(after.continues);
            });
        }
        if self.discards != after.discards {
            tap.line(|l| {
                l.key("decision").bytes(b"discard");
                l.key("on").bool(after.discards);
            });
        }
        let stage = |end: End| core::mem::discriminant(&end);
        if stage(self.end) != stage(after.end)
            || matches!(after.end, End::Flush { .. }) && self.end != after.end
        {
            tap.line(|l| {
                l.key("decision").bytes(b"end");
                let (to, lingers) = match after.end {
                    End::Open => ("Open", None),
                    End::Flush { linger } => ("Flush", Some(linger)),
                    End::Linger { .. } => ("Linger", None),
                    End::Closed => ("Closed", None),
                    End::Detach => ("Detach", None),
                };
                l.key("to").bytes(to.as_bytes());
                if let Some(lingers) = lingers {
                    l.key("linger").bool(lingers);
                }
            });
        }
        for (i, slot) in ["read", "write", "rate"].into_iter().enumerate() {
            let what = match (self.timers[i], after.timers[i]) {
                (before, now) if before == now => continue,
                (None, _) => "armed",
                (Some(_), Some(_)) => "changed",
                (Some(_), None) => "stopped",
            };
            tap.line(|l| {
                l.key("timer").bytes(what.as_bytes());
                l.key("slot").bytes(slot.as_bytes());
                if let Some(d) = after.timers[i].or(self.timers[i]) {
                    l.key("why").name(d.why);
                    l.key("at");
                    words::instant(l, d.at);
                }
            });
        }
        if self.wants != after.wants {
            tap.line(|l| {
                l.key("wants");
                words::wants(l, after.wants);
            });
        }
    }
}

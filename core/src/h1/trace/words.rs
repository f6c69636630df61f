//! How the vocabulary of the machines is written: settings, events, reasons, bodies.
//!
//! Settings are taken apart without `..`, so that a new one cannot be forgotten here.

use super::json::Line;
use super::mask::cover;
use crate::h1::config::{ClientConfig, Limits, MinRate, Profile, ServerConfig, Timeouts};
use crate::h1::error::PeerError;
use crate::h1::event::{BodyLen, ClientEvent, CloseReason, Deadline, ExchangeId, Reuse, ServerEvent, Wants};
use crate::message::is_secret;
use crate::{FieldLines, Instant};
use core::time::Duration;

pub(super) fn instant(line: &mut Line, at: Instant) {
    duration(line, at.since_origin());
}

/// In nanoseconds, like all times.
fn duration(line: &mut Line, d: Duration) {
    line.number(u64::try_from(d.as_nanos()).unwrap_or(u64::MAX));
}

pub(super) fn id(line: &mut Line, id: ExchangeId) {
    line.number(u64::from(id.0));
}

pub(super) fn body_len(line: &mut Line, body: BodyLen) {
    match body {
        BodyLen::Known(n) => line.number(n),
        BodyLen::None | BodyLen::Unknown => line.name(body),
    }
}

pub(super) fn fields<F: FieldLines + ?Sized>(line: &mut Line, fields: &F, masks: bool) {
    line.array(|l| {
        fields.for_each_field(|f| {
            l.array(|l| {
                l.bytes(f.name.as_bytes());
                if masks && is_secret(f.name.as_bytes()) {
                    covered(l, f.value.as_bytes());
                } else {
                    l.bytes(f.value.as_bytes());
                }
            });
        });
    });
}

/// Bytes of which only length and shape are shown.
pub(super) fn covered(line: &mut Line, bytes: &[u8]) {
    let shape: alloc::vec::Vec<u8> = bytes.iter().map(|&b| cover(b)).collect();
    line.bytes(&shape);
}

pub(super) fn reason(line: &mut Line, reason: CloseReason) {
    match reason {
        CloseReason::PeerError(e) => line.object(|l| {
            l.key("PeerError");
            error(l, e);
        }),
        CloseReason::Timeout(why) => line.object(|l| l.key("Timeout").name(why)),
        _ => line.name(reason),
    }
}

pub(super) fn error(line: &mut Line, e: PeerError) {
    line.object(|l| {
        l.key("kind").name(e.kind());
        l.key("offset").number(e.offset());
    });
}

pub(super) fn reuse(line: &mut Line, reuse: Reuse) {
    match reuse {
        Reuse::Close(why) => line.object(|l| {
            l.key("Close");
            reason(l, why);
        }),
        Reuse::KeepAlive | Reuse::Switched => line.name(reuse),
    }
}

pub(super) fn deadline(line: &mut Line, d: Deadline) {
    line.object(|l| {
        l.key("why").name(d.why);
        l.key("at");
        instant(l, d.at);
    });
}

pub(super) fn wants(line: &mut Line, wants: Wants) {
    line.object(|l| {
        l.key("read").bool(wants.read);
        l.key("write").bool(wants.write);
        l.key("finish").name(wants.finish);
    });
}

/// An event that can be told: its members.
pub(super) trait Told: Copy {
    fn tell(self, line: &mut Line);
    /// What becomes of the connection, if that is what is told.
    fn reuse(self) -> Option<Reuse>;
}

fn named(line: &mut Line, name: &str, of: ExchangeId) {
    line.key("told").bytes(name.as_bytes());
    line.key("id");
    id(line, of);
}

impl Told for ServerEvent {
    fn tell(self, l: &mut Line) {
        match self {
            ServerEvent::Request {
                id,
                body,
                expects_continue,
                proposes,
            } => {
                named(l, "Request", id);
                l.key("body");
                body_len(l, body);
                l.key("expects_continue").bool(expects_continue);
                l.key("proposes").name(proposes);
            }
            ServerEvent::Body { id } => named(l, "Body", id),
            ServerEvent::BodyEnd { id } => named(l, "BodyEnd", id),
            ServerEvent::ExchangeEnd { id, reuse: outcome } => {
                named(l, "ExchangeEnd", id);
                l.key("reuse");
                reuse(l, outcome);
            }
            ServerEvent::Timeout { id: of, why } => {
                l.key("told").bytes(b"Timeout");
                l.key("id").option(of, id);
                l.key("why").name(why);
            }
            ServerEvent::PeerHalfClosed => l.key("told").bytes(b"PeerHalfClosed"),
            ServerEvent::PeerGone => l.key("told").bytes(b"PeerGone"),
            ServerEvent::Rejected { id, error: why } => {
                named(l, "Rejected", id);
                l.key("error");
                error(l, why);
            }
        }
    }

    fn reuse(self) -> Option<Reuse> {
        match self {
            ServerEvent::ExchangeEnd { reuse, .. } => Some(reuse),
            _ => None,
        }
    }
}

impl Told for ClientEvent {
    fn tell(self, l: &mut Line) {
        match self {
            ClientEvent::Interim { id, status } => {
                named(l, "Interim", id);
                l.key("status").number(u64::from(status.code()));
            }
            ClientEvent::Response { id, body } => {
                named(l, "Response", id);
                l.key("body");
                body_len(l, body);
            }
            ClientEvent::Body { id } => named(l, "Body", id),
            ClientEvent::BodyEnd { id } => named(l, "BodyEnd", id),
            ClientEvent::SendBodyNow { id } => named(l, "SendBodyNow", id),
            ClientEvent::ExchangeEnd { id, reuse: outcome } => {
                named(l, "ExchangeEnd", id);
                l.key("reuse");
                reuse(l, outcome);
            }
            ClientEvent::Timeout { id: of, why } => {
                l.key("told").bytes(b"Timeout");
                l.key("id").option(of, id);
                l.key("why").name(why);
            }
            ClientEvent::PeerClosed { clean } => {
                l.key("told").bytes(b"PeerClosed");
                l.key("clean").bool(clean);
            }
        }
    }

    fn reuse(self) -> Option<Reuse> {
        match self {
            ClientEvent::ExchangeEnd { reuse, .. } => Some(reuse),
            _ => None,
        }
    }
}

/// The settings of a machine.
pub(super) trait Settings {
    fn settings(&self, line: &mut Line);
}

impl Settings for ServerConfig {
    fn settings(&self, line: &mut Line) {
        let ServerConfig {
            limits: sizes,
            timeouts: times,
            profile: switches,
            error_reply,
            cancel_on_half_close,
            keep_alive,
        } = *self;
        line.object(|l| {
            shared(l, &sizes, &times, &switches);
            l.key("error_reply").name(error_reply);
            l.key("cancel_on_half_close").bool(cancel_on_half_close);
            l.key("keep_alive").bool(keep_alive);
        });
    }
}

impl Settings for ClientConfig {
    fn settings(&self, line: &mut Line) {
        let ClientConfig {
            limits: sizes,
            timeouts: times,
            profile: switches,
        } = *self;
        line.object(|l| shared(l, &sizes, &times, &switches));
    }
}

fn shared(line: &mut Line, sizes: &Limits, times: &Timeouts, switches: &Profile) {
    line.key("limits").object(|l| limits(l, sizes));
    line.key("timeouts").object(|l| timeouts(l, times));
    line.key("profile").object(|l| profile(l, switches));
}

fn limits(line: &mut Line, limits: &Limits) {
    let Limits {
        head,
        fields,
        target,
        trailers,
        trailer_fields,
        chunk_line,
        chunk_overhead,
        interim,
        empty_lines,
        discard,
        recv_buffer,
        recv_buffer_max,
        send_buffer,
    } = *limits;
    for (name, n) in [
        ("head", head),
        ("fields", fields),
        ("target", target),
        ("trailers", trailers),
        ("trailer_fields", trailer_fields),
        ("chunk_line", chunk_line),
        ("chunk_overhead", chunk_overhead),
        ("interim", interim),
        ("empty_lines", empty_lines),
        ("recv_buffer", recv_buffer),
        ("recv_buffer_max", recv_buffer_max),
        ("send_buffer", send_buffer),
    ] {
        line.key(name).number(n as u64);
    }
    line.key("discard").number(discard);
}

fn timeouts(line: &mut Line, timeouts: &Timeouts) {
    let Timeouts {
        head,
        idle,
        body_stall,
        body_rate,
        write_stall,
        response_head,
        continue_wait,
        linger,
        write_failed_grace,
    } = *timeouts;
    for (name, most) in [
        ("head", head),
        ("idle", idle),
        ("body_stall", body_stall),
        ("write_stall", write_stall),
        ("response_head", response_head),
        ("continue_wait", continue_wait),
        ("linger", linger),
        ("write_failed_grace", Some(write_failed_grace)),
    ] {
        line.key(name).option(most, duration);
    }
    line.key("body_rate")
        .option(body_rate, |l, MinRate { bytes, per }| {
            l.object(|l| {
                l.key("bytes").number(bytes.get());
                l.key("per");
                duration(l, per);
            });
        });
}

fn profile(line: &mut Line, profile: &Profile) {
    let Profile {
        bare_lf,
        fold_in_requests,
        length_and_coding,
        coding_in_http10,
        space_before_colon,
        status_line_spaces,
        ignore_bad_fields,
        target_high_bytes,
        any_host,
        space_in_chunk_size,
    } = *profile;
    for (name, on) in [
        ("bare_lf", bare_lf),
        ("fold_in_requests", fold_in_requests),
        ("length_and_coding", length_and_coding),
        ("coding_in_http10", coding_in_http10),
        ("space_before_colon", space_before_colon),
        ("status_line_spaces", status_line_spaces),
        ("ignore_bad_fields", ignore_bad_fields),
        ("target_high_bytes", target_high_bytes),
        ("any_host", any_host),
        ("space_in_chunk_size", space_in_chunk_size),
    ] {
        line.key(name).bool(on);
    }
}

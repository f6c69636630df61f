//! Settings under which the properties are checked: the defaults, limits so small that every one of them is
//! met, and every leniency.

use crate::wire::{below, once_in, pick};
use antiphon_core::h1::{ClientConfig, ErrorReply, Limits, MinRate, Profile, ServerConfig, Timeouts};
use quickcheck::{Arbitrary, Gen};
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

fn limits(g: &mut Gen, limits: &mut Limits) {
    if below(g, 3) != 0 {
        return;
    }
    limits.head = 160 + below(g, 200);
    limits.fields = 3 + below(g, 6);
    limits.target = 20;
    limits.trailers = 30 + below(g, 20);
    limits.trailer_fields = 1;
    // With the shorter one, framing cannot outgrow data.
    limits.chunk_line = pick(g, &[8, 50]);
    limits.chunk_overhead = 8;
    limits.interim = 1;
    limits.empty_lines = 1;
    limits.discard = 40;
    limits.recv_buffer = 16 + below(g, 100);
    limits.recv_buffer_max = 64 + below(g, 200);
    limits.send_buffer = 256 + below(g, 300);
}

fn profile(g: &mut Gen) -> Profile {
    match below(g, 4) {
        0 => Profile::LENIENT,
        1 => Profile::BROWSER,
        _ => Profile::STRICT,
    }
}

/// A server's settings.
#[derive(Clone, Debug)]
pub(crate) struct Server(pub(crate) Arc<ServerConfig>);

impl Arbitrary for Server {
    fn arbitrary(g: &mut Gen) -> Server {
        let mut config = ServerConfig::default();
        limits(g, &mut config.limits);
        config.profile = profile(g);
        config.error_reply = match below(g, 6) {
            0 => ErrorReply::Silent,
            1 => ErrorReply::Application,
            _ => ErrorReply::Automatic,
        };
        config.cancel_on_half_close = once_in(g, 6);
        config.keep_alive = !once_in(g, 10);
        if once_in(g, 6) {
            config.timeouts.linger = None;
        }
        if once_in(g, 2) {
            config.timeouts.body_rate = Some(MinRate {
                bytes: NonZeroU64::MIN,
                per: Duration::from_secs(1),
            });
        }
        Server(Arc::new(config))
    }

    fn shrink(&self) -> Box<dyn Iterator<Item = Server>> {
        let default = ServerConfig::default();
        Box::new(
            (*self.0 != default)
                .then(|| Server(Arc::new(default)))
                .into_iter(),
        )
    }
}

/// Sets one limit to what the first head of some bytes has, or to one more or less: limits are met exactly.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Near {
    Nothing,
    Head(usize),
    Target(usize),
    Fields(usize),
}

impl Near {
    /// `limits`, moved near to what `wire` has.
    pub(crate) fn apply(self, limits: &mut Limits, wire: &[u8]) {
        let head = wire
            .windows(4)
            .position(|w| w == b"\r\n\r\n")
            .map_or(wire.len(), |at| at + 4);
        let line = wire.split(|&b| b == b'\r').next().unwrap_or(b"");
        match self {
            Near::Nothing => {}
            // Without a byte there is nothing to be near to.
            Near::Head(d) => limits.head = (head + d).max(2) - 1,
            Near::Target(d) => {
                let target = line.split(|&b| b == b' ').nth(1).map_or(0, <[u8]>::len);
                limits.target = (target + d).saturating_sub(1);
            }
            Near::Fields(d) => {
                let lines = wire[..head].iter().filter(|&&b| b == b'\n').count();
                limits.fields = (lines + d).saturating_sub(3);
            }
        }
    }
}

impl Arbitrary for Near {
    fn arbitrary(g: &mut Gen) -> Near {
        let d = below(g, 3);
        match below(g, 8) {
            0 => Near::Head(d),
            1 => Near::Target(d),
            2 => Near::Fields(d),
            _ => Near::Nothing,
        }
    }
}

/// A client's settings.
#[derive(Clone, Debug)]
pub(crate) struct Client(pub(crate) Arc<ClientConfig>);

impl Arbitrary for Client {
    fn arbitrary(g: &mut Gen) -> Client {
        let mut config = ClientConfig::default();
        limits(g, &mut config.limits);
        config.profile = profile(g);
        if once_in(g, 4) {
            config.timeouts.continue_wait = None;
        }
        if once_in(g, 4) {
            config.timeouts.response_head = Some(Duration::from_secs(5));
        }
        Client(Arc::new(config))
    }

    fn shrink(&self) -> Box<dyn Iterator<Item = Client>> {
        let default = ClientConfig::default();
        Box::new(
            (*self.0 != default)
                .then(|| Client(Arc::new(default)))
                .into_iter(),
        )
    }
}

/// Waits of lengths that differ, in any order, so that each kind of deadline comes first at times. In milliseconds; 0 is
/// none.
#[derive(Clone, Debug)]
pub(crate) struct Times([u64; 8]);

impl Times {
    /// Sets all waits, and switches some off. Those that are off stay so.
    pub(crate) fn apply(&self, t: &mut Timeouts) {
        let [head, idle, stall, write, response, wait, linger, rate] =
            self.0.map(|ms| (ms > 0).then(|| Duration::from_millis(ms)));
        (t.head, t.idle, t.body_stall, t.write_stall) = (head, idle, stall, write);
        t.response_head = t.response_head.and(response);
        t.continue_wait = t.continue_wait.and(wait);
        t.linger = t.linger.and(linger);
        t.body_rate = t.body_rate.zip(rate).map(|(least, per)| MinRate { per, ..least });
    }
}

impl Arbitrary for Times {
    fn arbitrary(g: &mut Gen) -> Times {
        Times([(); 8].map(|()| match below(g, 10) {
            0 => 0,
            _ => pick(g, &[700, 1_500, 20_000, 40_000, 90_000]) + below(g, 100) as u64,
        }))
    }
}

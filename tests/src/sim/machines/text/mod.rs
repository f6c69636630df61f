//! Peers that write and read plain text, without a line of the core's: what a machine does not do itself is done by
//! these, pipelining and HTTP/1.0 above all.
//!
//! Here: messages as text, coming in ([`Incoming`], [`Body`]) and going out ([`framed`]). `client.rs` and `server.rs`:
//! the peers.

mod client;
mod server;

pub(super) use self::client::TextClient;
pub(super) use self::server::TextServer;

use crate::sim::checks::{Check, Pattern, Reader, Violation};
use crate::sim::faults::Faults;
use crate::sim::link::{Link, Read, Side, Write};
use crate::sim::plan::{BodyPlan, Style};
use antiphon_core::Instant;
use std::time::Duration;

/// For how long a peer waits in a world where things break.
const PATIENCE: Duration = Duration::from_secs(30);

fn wrong<T>(what: impl Into<String>) -> Result<T, Violation> {
    Err(Violation::new(Check::Belongs, what))
}

/// A head, taken apart at its colons.
#[derive(Debug)]
struct Head {
    start: String,
    fields: Vec<(String, String)>,
}

impl Head {
    fn get(&self, name: &str) -> Option<&str> {
        let found = self.fields.iter().find(|(n, _)| n.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    fn says(&self, name: &str, token: &str) -> bool {
        let tokens = self.get(name).unwrap_or_default().split(',');
        tokens.into_iter().any(|t| t.trim().eq_ignore_ascii_case(token))
    }

    /// How the body is framed; `None` without a word about it.
    fn framing(&self) -> Result<Option<Body>, Violation> {
        match (self.get("content-length"), self.get("transfer-encoding")) {
            (None, None) => Ok(None),
            (Some(n), None) => match n.parse() {
                Ok(n) => Ok(Some(Body::Length(n))),
                Err(_) => wrong(format!("a length of {n:?}")),
            },
            (None, Some("chunked")) => Ok(Some(Body::ChunkSize)),
            (length, coding) => wrong(format!("length {length:?} and coding {coding:?}")),
        }
    }
}

/// A body coming in: what comes next of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Body {
    /// So many bytes, and that is all.
    Length(u64),
    ChunkSize,
    /// So many bytes of a chunk.
    Chunk(u64),
    Trailers,
    UntilClose,
}

/// What has come in and was not looked at yet.
#[derive(Debug, Default)]
struct Incoming {
    bytes: Vec<u8>,
    /// The stream has ended, cleanly.
    end: bool,
    /// ... or broke.
    reset: bool,
}

impl Incoming {
    fn is_over(&self) -> bool {
        self.end || self.reset
    }

    /// Reads once. Says whether something came, or when to ask again.
    fn read(
        &mut self,
        link: &mut Link,
        side: Side,
        now: Instant,
        faults: &mut Faults,
    ) -> Result<bool, Instant> {
        let mut space = [0; 4096];
        match link.read(side, now, &mut space, faults) {
            Read::Got(n) => self.bytes.extend_from_slice(&space[..n]),
            Read::End => self.end = true,
            Read::Reset => self.reset = true,
            Read::Later(at) => return Err(at),
            Read::Nothing => return Ok(false),
        }
        Ok(true)
    }

    /// A line, without its end.
    fn line(&mut self) -> Result<Option<String>, Violation> {
        let Some(at) = self.bytes.windows(2).position(|two| two == b"\r\n") else {
            return Ok(None);
        };
        let line = self.bytes.drain(..at + 2).take(at).collect();
        match String::from_utf8(line) {
            Ok(line) => Ok(Some(line)),
            Err(e) => wrong(format!("no text: {e}")),
        }
    }

    /// A head, when all of it is there.
    fn head(&mut self) -> Result<Option<Head>, Violation> {
        if !self.bytes.windows(4).any(|four| four == b"\r\n\r\n") {
            return Ok(None);
        }
        let start = self.line()?.unwrap_or_default();
        let mut fields = Vec::new();
        while let Some(line) = self.line()?.filter(|l| !l.is_empty()) {
            match line.split_once(':') {
                Some((name, value)) => fields.push((name.to_string(), value.trim().to_string())),
                None => return wrong(format!("no field: {line:?}")),
            }
        }
        Ok(Some(Head { start, fields }))
    }

    /// Goes on with a body; `true` once all of it was there. Without a reader the bytes are only
    /// counted. Trailers are added to `trailers`.
    fn body(
        &mut self,
        body: &mut Body,
        reader: &mut Option<Reader>,
        trailers: &mut Vec<String>,
    ) -> Result<bool, Violation> {
        loop {
            match body {
                Body::Length(0) => return Ok(true),
                Body::Length(left) | Body::Chunk(left) => {
                    let n = self.bytes.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                    if let Some(reader) = reader {
                        reader.take(&self.bytes[..n])?;
                    }
                    self.bytes.drain(..n);
                    *left -= n as u64;
                    if *left > 0 {
                        return Ok(false);
                    }
                    if matches!(body, Body::Chunk(_)) {
                        if self.bytes.len() < 2 {
                            return Ok(false);
                        }
                        if self.line()?.as_deref() != Some("") {
                            return wrong("a chunk does not end with its data");
                        }
                        *body = Body::ChunkSize;
                    }
                }
                Body::ChunkSize => match self.line()? {
                    None => return Ok(false),
                    Some(line) => match u64::from_str_radix(&line, 16) {
                        Ok(0) => *body = Body::Trailers,
                        Ok(n) => *body = Body::Chunk(n),
                        Err(_) => return wrong(format!("a chunk of {line:?} bytes")),
                    },
                },
                Body::Trailers => match self.line()? {
                    None => return Ok(false),
                    Some(line) if line.is_empty() => {
                        *body = Body::Length(0);
                        return Ok(true);
                    }
                    Some(line) => trailers.push(line),
                },
                Body::UntilClose => {
                    if let Some(reader) = reader {
                        reader.take(&self.bytes)?;
                    }
                    self.bytes.clear();
                    return Ok(self.end);
                }
            }
        }
    }
}

/// What is to be written.
#[derive(Debug, Default)]
struct Outgoing {
    bytes: Vec<u8>,
    at: usize,
    /// Writing has failed: nothing is written any more.
    broken: bool,
}

impl Outgoing {
    fn is_empty(&self) -> bool {
        self.at == self.bytes.len()
    }

    fn push(&mut self, bytes: &[u8]) {
        if !self.broken {
            self.bytes.extend_from_slice(bytes);
        }
    }

    /// Writes once. Says whether something went, or when to ask again.
    fn write(
        &mut self,
        link: &mut Link,
        side: Side,
        now: Instant,
        faults: &mut Faults,
    ) -> Result<bool, Instant> {
        if self.is_empty() {
            return Ok(false);
        }
        match link.write(side, now, &[&self.bytes[self.at..]], faults) {
            Write::Took(n) => self.at += n,
            Write::Full => return Ok(false),
            Write::Later(at) => return Err(at),
            Write::Broken | Write::Reset => (self.broken, self.at) = (true, self.bytes.len()),
        }
        if self.is_empty() {
            (self.bytes, self.at) = (Vec::new(), 0);
        }
        Ok(true)
    }
}

/// How a body goes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Frame {
    Length,
    Chunked,
    UntilClose,
}

impl Frame {
    /// As the plan has it; HTTP/1.0 has no chunks.
    fn of(plan: &BodyPlan) -> Frame {
        if plan.style == Style::Chunked || plan.trailers {
            Frame::Chunked
        } else {
            Frame::Length
        }
    }
}

/// The first `len` bytes of a body on the wire; its end too if that is all of it.
fn framed(id: u64, plan: &BodyPlan, frame: Frame, pattern: Pattern, len: u64) -> Vec<u8> {
    if frame != Frame::Chunked {
        return pattern.bytes(0, len as usize);
    }
    let (mut out, mut at) = (Vec::new(), 0);
    while at < len {
        let n = plan.piece.clamp(1, len - at);
        out.extend_from_slice(format!("{n:x}\r\n").as_bytes());
        out.extend_from_slice(&pattern.bytes(at, n as usize));
        out.extend_from_slice(b"\r\n");
        at += n;
    }
    if len == plan.len {
        let trailer = if plan.trailers {
            format!("x-trailer: {id}\r\n")
        } else {
            String::new()
        };
        out.extend_from_slice(format!("0\r\n{trailer}\r\n").as_bytes());
    }
    out
}

/// Checks the trailers that came.
fn check_trailers(id: u64, came: &[String], due: bool) -> Result<(), Violation> {
    let due: Vec<String> = due.then(|| format!("x-trailer: {id}")).into_iter().collect();
    if came == due {
        return Ok(());
    }
    let what = format!("exchange {id}: trailers {came:?} instead of {due:?}");
    Err(Violation::new(Check::Bytes, what))
}

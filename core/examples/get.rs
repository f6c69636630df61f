//! Fetches one `http://` URL on nothing but `antiphon-core` and `std::net`, the body to standard output.
//!
//! `cargo run --example get -- http://127.0.0.1:8000/`
//!
//! [`turn`] is the whole driver: it moves bytes between the machine and a blocking socket, and uses the machine's
//! deadline as the socket's timeout.

use antiphon_core::h1::{BodyLen, ClientConfig, ClientConn, ClientEvent, Finish};
use antiphon_core::{Field, FieldName, FieldValue, Instant};
use std::error::Error;
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

/// How long one direction may block while the other one wants its turn too.
const SHARE: Duration = Duration::from_millis(5);

/// The driver's monotonic clock.
pub(crate) struct Clock(pub(crate) std::time::Instant);

impl Clock {
    pub(crate) fn now(&self) -> Instant {
        Instant::from_duration(self.0.elapsed())
    }
}

/// One turn: one write or one read, whatever the machine wants, waiting no longer than its deadline. Afterwards
/// the machine may have something to tell. `false` when it is through with the socket.
pub(crate) fn turn(http: &mut ClientConn, socket: &mut TcpStream, clock: &Clock) -> io::Result<bool> {
    let wants = http.wants();
    let deadline = http.deadline(clock.now()).map(|d| d.at - clock.now());
    // A socket takes a timeout of zero for "for ever".
    let patience = deadline.map(|d| d.max(Duration::from_millis(1)));
    let patience = if wants.read && wants.write {
        Some(SHARE)
    } else {
        patience
    };
    if wants.write {
        socket.set_write_timeout(patience)?;
        match socket.write(http.outgoing().first()) {
            Ok(n) => {
                return http
                    .sent(n as u64, clock.now())
                    .map(|()| true)
                    .map_err(io::Error::other);
            }
            Err(e) if is_timeout(&e) => {} // the peer may be waiting for us to read
            Err(_) => http.write_failed(clock.now()),
        }
    } else if wants.finish != Finish::No {
        return Ok(false);
    }
    if http.wants().read {
        socket.set_read_timeout(patience)?;
        match socket.read(http.recv_space()) {
            Ok(0) => http.received_eof(clock.now()),
            Ok(n) => http.received(n, clock.now()).map_err(io::Error::other)?,
            Err(e) if is_timeout(&e) => {}
            Err(_) => http.read_failed(clock.now()),
        }
    }
    http.handle_timeout(clock.now()); // does nothing before the deadline
    Ok(true)
}

fn is_timeout(e: &io::Error) -> bool {
    matches!(
        e.kind(),
        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
    )
}

fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::args()
        .nth(1)
        .ok_or("usage: get http://HOST[:PORT]/PATH")?;
    let rest = url.strip_prefix("http://").ok_or("only http:// URLs")?;
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let path = if path.is_empty() { "/" } else { path };
    // Without a port 80 is meant; an IPv6 address in brackets must have one here.
    let port = if authority.contains(':') { "" } else { ":80" };
    let mut socket = TcpStream::connect(format!("{authority}{port}"))?;
    #[allow(clippy::disallowed_methods)] // the core has no clock: telling the time is the driver's part
    let clock = Clock(std::time::Instant::now());
    let mut http = ClientConn::new(Arc::new(ClientConfig::DEFAULT), clock.now());
    let value = FieldValue::new(authority.as_bytes())?;
    let host = Field::new(FieldName::from_static("host"), value);
    http.send_request("GET", path, &[host], BodyLen::None)?;
    let mut out = io::stdout().lock();
    let mut complete = false;
    loop {
        while let Some(event) = http.next_event()? {
            match event {
                ClientEvent::Response { id, .. } => {
                    let head = http.head(id)?;
                    eprintln!("{} {}", head.status(), head.reason().escape_ascii());
                }
                ClientEvent::Body { .. } => {
                    out.write_all(http.body())?;
                    http.consume(http.body().len())?;
                }
                ClientEvent::BodyEnd { .. } => complete = true,
                ClientEvent::ExchangeEnd { .. } if complete => return Ok(out.flush()?),
                ClientEvent::ExchangeEnd { reuse, .. } => return Err(format!("cut short: {reuse:?}").into()),
                ClientEvent::Timeout { why, .. } => return Err(why.to_string().into()),
                _ => {}
            }
        }
        if !turn(&mut http, &mut socket, &clock)? {
            return Err("the connection closed before the response was complete".into());
        }
    }
}

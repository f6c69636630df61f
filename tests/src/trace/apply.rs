//! One line of a trace, one call of a machine. A line that is no call, but a consequence that the machine did not write
//! by itself, is refused here: it was recorded and not reproduced.

use super::settings::{self, size};
use super::value::{Value, Wrong};
use antiphon_core::h1::trace::{Redact, Traced, exchange_id, lent_buffer};
use antiphon_core::h1::{BodyLen, ClientConn, ExchangeId, OwnedHead, ServerConn};
use antiphon_core::{Headers, Instant, Status};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};

enum Role {
    Server(Box<Traced<ServerConn>>),
    Client(Box<Traced<ClientConn>>),
    /// Taken apart.
    Gone,
}

/// A machine under replay.
pub(super) struct Machine {
    role: Role,
    written: Receiver<String>,
    /// Heads that were taken, to be recycled.
    heads: Vec<OwnedHead>,
}

fn wrong<T>(what: impl Into<String>) -> Result<T, Wrong> {
    Err(Wrong(what.into()))
}

fn now(line: &Value) -> Result<Instant, Wrong> {
    Ok(Instant::from_nanos(line.get("now")?.number()?))
}

fn id(line: &Value) -> Result<ExchangeId, Wrong> {
    let number = line.get("id")?.number()?;
    Ok(exchange_id(
        u32::try_from(number).map_err(|e| Wrong(e.to_string()))?,
    ))
}

fn body(line: &Value) -> Result<BodyLen, Wrong> {
    match line.get("body")? {
        Value::Number(n) => Ok(BodyLen::Known(*n)),
        other => match other.str()? {
            "None" => Ok(BodyLen::None),
            "Unknown" => Ok(BodyLen::Unknown),
            other => wrong(format!("{other:?} is no length")),
        },
    }
}

fn status(line: &Value) -> Result<Status, Wrong> {
    u16::try_from(line.get("status")?.number()?)
        .ok()
        .and_then(|code| Status::new(code).ok())
        .ok_or_else(|| Wrong("no status".to_owned()))
}

fn fields(line: &Value) -> Result<Headers, Wrong> {
    let mut headers = Headers::new();
    for field in line.get("fields")?.elements()? {
        let [name, value] = field.elements()? else {
            return wrong("a field is a name and a value");
        };
        let (name, value) = (name.bytes()?, value.bytes()?);
        headers.append(name, value).map_err(|e| Wrong(e.to_string()))?;
    }
    Ok(headers)
}

/// The calls that both machines have; gives `false` for another one.
macro_rules! shared {
    ($conn:expr, $heads:expr, $name:expr, $line:expr) => {{
        let (conn, line) = ($conn, $line);
        // Results are the trace's business: the machine writes them down.
        match $name {
            "lend" => conn.lend(lent_buffer(size(line.get("size")?)?, line.get("filled")?.bool()?)),
            "reclaim" => drop(conn.reclaim()),
            "recv_space" => drop(conn.recv_space().len()),
            "io" => drop(conn.io()),
            "received" => {
                let bytes = line.get("bytes")?.bytes()?;
                if conn.refill(bytes) < bytes.len() {
                    return wrong("there is no space for these bytes");
                }
                let _ = conn.received(size(line.get("n")?)?, now(line)?);
            }
            "received_copy" => drop(conn.received_copy(line.get("bytes")?.bytes()?, now(line)?)),
            "received_eof" => conn.received_eof(now(line)?),
            "read_failed" => conn.read_failed(now(line)?),
            "write_failed" => conn.write_failed(now(line)?),
            "write_shut" => conn.write_shut(now(line)?),
            "sent" => drop(conn.sent(line.get("n")?.number()?, now(line)?)),
            "take_outgoing" => drop(conn.take_outgoing()),
            "deadline" => drop(conn.deadline(now(line)?)),
            "handle_timeout" => conn.handle_timeout(now(line)?),
            "next_event" => drop(conn.next_event()),
            "take_head" => $heads.push(conn.take_head(id(line)?)),
            "recycle" => conn.recycle($heads.pop().unwrap_or_default()),
            "want_body" => conn.want_body(id(line)?),
            "consume" => drop(conn.consume(size(line.get("n")?)?)),
            "take_body" => drop(conn.take_body()),
            "direct_received" => drop(conn.direct_received(line.get("n")?.number()?, now(line)?)),
            "send_body" => {
                let bytes = line.get("bytes")?.bytes()?.to_vec();
                let _ = conn.send_body(id(line)?, bytes.into());
            }
            "send_body_copy" => drop(conn.send_body_copy(id(line)?, line.get("bytes")?.bytes()?)),
            "send_external" => drop(conn.send_external(id(line)?, line.get("n")?.number()?)),
            "finish" => drop(conn.finish(id(line)?, &fields(line)?)),
            "abort" => drop(conn.abort(id(line)?)),
            "close_when_idle" => conn.close_when_idle(),
            _ => return Ok(false),
        }
        Ok(true)
    }};
}

fn server(conn: &mut Traced<ServerConn>, name: &str, line: &Value) -> Result<bool, Wrong> {
    match name {
        "send_interim" => drop(conn.send_interim(id(line)?, status(line)?, &fields(line)?)),
        "send_head" => drop(conn.send_head(id(line)?, status(line)?, &fields(line)?, body(line)?)),
        _ => return Ok(false),
    }
    Ok(true)
}

fn client(conn: &mut Traced<ClientConn>, name: &str, line: &Value) -> Result<bool, Wrong> {
    match name {
        "send_request" => {
            let (method, target) = (line.get("method")?.str()?, line.get("target")?.str()?);
            let _ = conn.send_request(method, target, &fields(line)?, body(line)?);
        }
        _ => return Ok(false),
    }
    Ok(true)
}

impl Machine {
    /// The machine that the first line of a trace describes, watched from the beginning.
    pub(super) fn new(first: &Value) -> Result<Machine, Wrong> {
        let version = first.get("trace")?.number()?;
        if version != 1 {
            return wrong(format!("traces of version {version} are not known here"));
        }
        if !first.get("whole")?.bool()? {
            return wrong("the trace begins after calls that it does not hold: it cannot be replayed");
        }
        let redact = if first.get("masked")?.bool()? {
            Redact::Credentials
        } else {
            Redact::Nothing
        };
        let (lines, written) = channel();
        let observer = move |line: &str| {
            // The receiver lives as long as the machine, but for its last line.
            let _ = lines.send(line.to_owned());
        };
        let (config, born) = (first.get("config")?, now(first)?);
        let role = match first.get("machine")?.str()? {
            "server" => {
                let mut conn = Traced::<ServerConn>::new(Arc::new(settings::server(config)?), born);
                conn.set_observer(observer, redact);
                Role::Server(Box::new(conn))
            }
            "client" => {
                let mut conn = Traced::<ClientConn>::new(Arc::new(settings::client(config)?), born);
                conn.set_observer(observer, redact);
                Role::Client(Box::new(conn))
            }
            other => return wrong(format!("there is no machine {other:?}")),
        };
        Ok(Machine {
            role,
            written,
            heads: Vec::new(),
        })
    }

    pub(super) fn role(&self) -> &'static str {
        match self.role {
            Role::Server(_) => "server",
            Role::Client(_) => "client",
            Role::Gone => "gone",
        }
    }

    /// The lines since the last time.
    pub(super) fn written(&self) -> Vec<String> {
        self.written.try_iter().collect()
    }

    /// Makes the call that the line records.
    pub(super) fn apply(&mut self, line: &Value) -> Result<(), Wrong> {
        let kind = line.members()?.first().map_or("", |(key, _)| key);
        if !matches!(kind, "in" | "do" | "ask" | "clock") {
            return wrong("the machine did not write this line");
        }
        let name = line.get(kind)?.str()?;
        let heads = &mut self.heads;
        let known = match &mut self.role {
            Role::Gone => return wrong("a call after the machine was taken apart"),
            _ if name == "into_parts" => {
                match std::mem::replace(&mut self.role, Role::Gone) {
                    Role::Server(conn) => drop(conn.into_parts()),
                    Role::Client(conn) => drop(conn.into_parts()),
                    Role::Gone => {}
                }
                true
            }
            Role::Server(conn) => server_call(conn, heads, name, line)?,
            Role::Client(conn) => client_call(conn, heads, name, line)?,
        };
        if known {
            Ok(())
        } else {
            wrong(format!("there is no call {name:?}"))
        }
    }
}

fn server_call(
    conn: &mut Traced<ServerConn>,
    heads: &mut Vec<OwnedHead>,
    name: &str,
    line: &Value,
) -> Result<bool, Wrong> {
    if server(conn, name, line)? {
        return Ok(true);
    }
    shared!(conn, heads, name, line)
}

fn client_call(
    conn: &mut Traced<ClientConn>,
    heads: &mut Vec<OwnedHead>,
    name: &str,
    line: &Value,
) -> Result<bool, Wrong> {
    if client(conn, name, line)? {
        return Ok(true);
    }
    shared!(conn, heads, name, line)
}

//! What the subject server does with a request, decided once for all runtimes: [`plan`] looks at the head, a
//! runtime carries the plan out. No I/O here.
//!
//! The paths are those of the conformance suite's protocol, and two of our own: `/mirror` streams the body back
//! while it arrives, `/refuse` answers 413 without reading it.

use crate::json::Json;
use antiphon_core::h1::{BodyLen, RequestHead};
use antiphon_core::{Fields, Headers, Status, Version};
use bytes::Bytes;
use std::time::Duration;

/// A request as the handler saw it.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// The method.
    pub method: String,
    /// The target's bytes.
    pub target: Vec<u8>,
    /// Whether the version is 1.0.
    pub http10: bool,
    /// The header section in order of arrival.
    pub headers: Vec<(Vec<u8>, Vec<u8>)>,
    /// The body as far as it was read.
    pub body: Vec<u8>,
    /// The trailer section.
    pub trailers: Vec<(Vec<u8>, Vec<u8>)>,
}

/// The lines of a field section, as pairs of bytes.
pub fn lines(fields: Fields<'_>) -> Vec<(Vec<u8>, Vec<u8>)> {
    fields
        .iter()
        .map(|f| (f.name.as_bytes().to_vec(), f.value.as_bytes().to_vec()))
        .collect()
}

impl Seen {
    /// The parts of a request that are known when its head has been read.
    pub fn new(method: &str, target: &[u8], version: Version, headers: Fields<'_>) -> Seen {
        Seen {
            method: method.into(),
            target: target.into(),
            http10: version == Version::Http10,
            headers: lines(headers),
            ..Seen::default()
        }
    }

    /// Of the core's view of a head.
    pub fn of(head: RequestHead<'_>) -> Seen {
        Seen::new(head.method(), head.target_bytes(), head.version(), head.fields())
    }

    /// The JSON that the echo consists of.
    pub fn json(&self) -> String {
        let mut j = Json::default();
        j.object(|m| {
            m.key("method").str(&self.method);
            m.key("target").latin1(&self.target);
            m.key("version").str(if self.http10 { "1.0" } else { "1.1" });
            m.key("headers").fields(&self.headers);
            m.key("body").base64(&self.body);
            m.key("trailers").fields(&self.trailers);
        });
        j.into_string()
    }

    fn echo(&self, status: Status) -> Reply {
        let mut headers = Headers::new();
        headers
            .append("content-type", "application/json")
            .expect("a valid constant");
        Reply {
            status,
            headers,
            content: Content::Bytes(self.json().into()),
        }
    }
}

/// How a request is to be handled.
#[derive(Debug)]
pub enum Plan {
    /// Answer at once; leave the body alone.
    Early(Reply),
    /// Read the body to its end, wait, then answer.
    AfterBody(Duration, Answer),
    /// Answer 200 at once with the request's own length and send the body back while it arrives.
    Mirror,
}

/// What is answered once the body was read.
#[derive(Debug)]
pub enum Answer {
    /// The echo, with this status and an additional field.
    Echo(Status, Option<(Vec<u8>, Vec<u8>)>),
    /// Something that does not depend on the body.
    Fixed(Reply),
    /// 101 with `Upgrade: echo`; afterwards every byte is sent back.
    Upgrade,
}

impl Answer {
    /// The reply for a body that was read; `None` for [`Answer::Upgrade`].
    pub fn reply(self, seen: &Seen) -> Option<Reply> {
        match self {
            Answer::Upgrade => None,
            Answer::Fixed(reply) => Some(reply),
            Answer::Echo(status, extra) => {
                let mut reply = seen.echo(status);
                if let Some((name, value)) = extra
                    && reply.headers.append(name, value).is_err()
                {
                    return Some(Reply::refused());
                }
                Some(reply)
            }
        }
    }
}

/// A response.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status.
    pub status: Status,
    /// The header section, without framing.
    pub headers: Headers,
    /// The body.
    pub content: Content,
}

impl Reply {
    fn new(status: Status, content: Content) -> Reply {
        let mut headers = Headers::new();
        headers
            .append("content-type", "text/plain")
            .expect("a valid constant");
        Reply {
            status,
            headers,
            content,
        }
    }

    /// What is answered when the implementation refuses a reply: the same that the adapters answer then.
    pub fn refused() -> Reply {
        let mut headers = Headers::new();
        headers
            .append("content-type", "text/plain; charset=utf-8")
            .expect("a valid constant");
        let content = Content::Bytes("internal server error\n".into());
        Reply {
            status: Status::INTERNAL_SERVER_ERROR,
            headers,
            content,
        }
    }
}

/// The content of a reply, handed out in pieces.
#[derive(Clone, Debug)]
pub enum Content {
    /// These bytes, of known length.
    Bytes(Bytes),
    /// So many times `x`; whether the length is told beforehand.
    Run {
        /// What is left.
        left: u64,
        /// Whether the implementation is told the length.
        known: bool,
    },
}

impl Content {
    /// The length to declare.
    pub fn len(&self) -> BodyLen {
        match self {
            Content::Bytes(b) => BodyLen::Known(b.len() as u64),
            Content::Run { left, known: true } => BodyLen::Known(*left),
            Content::Run { .. } => BodyLen::Unknown,
        }
    }

    /// The next piece; `None` at the end.
    pub fn piece(&mut self) -> Option<Bytes> {
        static RUN: [u8; 16 * 1024] = [b'x'; 16 * 1024];
        match self {
            Content::Bytes(b) => (!b.is_empty()).then(|| std::mem::take(b)),
            Content::Run { left, .. } => {
                let n = (*left).min(RUN.len() as u64);
                *left -= n;
                (n > 0).then(|| Bytes::from_static(&RUN[..n as usize]))
            }
        }
    }
}

/// Decides. `upgrade`: the request proposes a switch with `Upgrade`, as the implementation sees it.
pub fn plan(seen: &Seen, upgrade: bool) -> Plan {
    let mut parts = seen.target.splitn(2, |&b| b == b'?');
    let (path, query) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let number = |name| parameter(query, name).and_then(|v| String::from_utf8(v).ok()?.parse().ok());
    let echo = |status| Answer::Echo(status, None);
    let answer = match path {
        _ if seen.method == "CONNECT" => return Plan::Early(seen.echo(Status::FORBIDDEN)),
        b"/no-read" => {
            let mut j = Json::default();
            j.object(|m| {
                m.key("method").str(&seen.method);
            });
            let mut reply = seen.echo(Status::OK);
            reply.content = Content::Bytes(j.into_string().into());
            return Plan::Early(reply);
        }
        b"/refuse" => {
            let text = Content::Bytes("too much".into());
            return Plan::Early(Reply::new(Status::CONTENT_TOO_LARGE, text));
        }
        b"/mirror" => return Plan::Mirror,
        b"/stream" => {
            let left = number("n").unwrap_or(0u64).saturating_mul(10);
            Answer::Fixed(Reply::new(Status::OK, Content::Run { left, known: false }))
        }
        b"/big" => {
            let left = number("n").unwrap_or(0);
            Answer::Fixed(Reply::new(Status::OK, Content::Run { left, known: true }))
        }
        b"/delay" => {
            return Plan::AfterBody(Duration::from_millis(number("ms").unwrap_or(0)), echo(Status::OK));
        }
        b"/close" => Answer::Echo(Status::OK, Some((b"connection".into(), b"close".into()))),
        b"/status" => {
            let code = number("code").and_then(|n| u16::try_from(n).ok());
            match code.map(Status::new) {
                Some(Ok(status)) => Answer::Fixed(Reply::new(status, Content::Bytes("status-body".into()))),
                _ => Answer::Fixed(Reply::refused()),
            }
        }
        b"/header" => {
            let field = parameter(query, "n").zip(parameter(query, "v"));
            Answer::Echo(Status::OK, field)
        }
        b"/upgrade" if upgrade && offers_echo(seen) => Answer::Upgrade,
        _ => echo(Status::OK),
    };
    Plan::AfterBody(Duration::ZERO, answer)
}

fn offers_echo(seen: &Seen) -> bool {
    let lists = seen
        .headers
        .iter()
        .filter(|(n, _)| n.eq_ignore_ascii_case(b"upgrade"));
    lists
        .flat_map(|(_, v)| v.split(|&b| b == b','))
        .any(|m| m.trim_ascii().eq_ignore_ascii_case(b"echo"))
}

/// The percent-decoded value of a query parameter.
fn parameter(query: &[u8], name: &str) -> Option<Vec<u8>> {
    query.split(|&b| b == b'&').find_map(|pair| {
        let (n, v) = pair.split_at(pair.iter().position(|&b| b == b'=')?);
        (n == name.as_bytes()).then(|| percent_decoded(&v[1..]))
    })
}

fn percent_decoded(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, tail @ ..] = rest {
        let hex = match rest {
            [b'%', a, b, ..] => char::from(*a).to_digit(16).zip(char::from(*b).to_digit(16)),
            _ => None,
        };
        match hex {
            Some((a, b)) => {
                out.push((a * 16 + b) as u8);
                rest = &rest[3..];
            }
            None => {
                out.push(*first);
                rest = tail;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_percent_decoded() {
        assert_eq!(parameter(b"n=X-A&v=a%0d%0Ab%", "v"), Some(b"a\r\nb%".to_vec()));
        assert_eq!(parameter(b"n=X-A", "v"), None);
    }

    #[test]
    fn a_run_comes_in_pieces_and_ends() {
        let mut run = Content::Run {
            left: 40_000,
            known: true,
        };
        assert_eq!(run.len(), BodyLen::Known(40_000));
        let lens: Vec<usize> = std::iter::from_fn(|| run.piece()).map(|b| b.len()).collect();
        assert_eq!(lens, [16_384, 16_384, 7_232]);
    }
}

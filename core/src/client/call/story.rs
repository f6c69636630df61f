//! The harness of the call's tests: a server that answers, a jar, and a story of what was sent.

use super::*;
use crate::h1::{ClientConfig, ClientConn};
use alloc::format;

/// What a server answers.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) fields: Vec<(&'static str, String)>,
    pub(super) body: BodyLen,
}

impl Answer {
    pub(super) fn new(status: u16) -> Answer {
        Answer {
            status,
            fields: Vec::new(),
            body: BodyLen::None,
        }
    }

    pub(super) fn to(status: u16, location: impl Into<String>) -> Answer {
        Answer::new(status).with("Location", location)
    }

    pub(super) fn with(mut self, name: &'static str, value: impl Into<String>) -> Answer {
        self.fields.push((name, value.into()));
        self
    }

    pub(super) fn body(mut self, len: BodyLen) -> Answer {
        self.body = len;
        self
    }
}

/// What happened.
#[derive(Debug, Default)]
pub(super) struct Story {
    /// Per request: its URL, its body, and the head as it stands on the wire.
    pub(super) sent: Vec<(String, SendBody, String)>,
    /// The URLs for which cookies were wanted, and `Set-Cookie` values with theirs.
    pub(super) jar: Vec<String>,
    pub(super) drains: Vec<u64>,
    pub(super) delivered: Option<Delivery>,
    pub(super) error: Option<Box<CallError>>,
}

impl Story {
    pub(super) fn head(&self, n: usize) -> &str {
        &self.sent[n].2
    }

    pub(super) fn urls(&self) -> Vec<&str> {
        self.sent.iter().map(|s| s.0.as_str()).collect()
    }

    pub(super) fn error(&self) -> String {
        self.error.as_ref().expect("it failed").to_string()
    }
}

pub(super) fn request(method: &str, url: &str, fields: &[(&str, &str)], body: Content) -> CallRequest {
    let mut headers = Headers::new();
    for (name, value) in fields {
        headers.append(name, value).unwrap();
    }
    CallRequest {
        method: crate::Method::new(method).unwrap(),
        url: url.into(),
        headers,
        body,
    }
}

pub(super) fn get(url: &str) -> CallRequest {
    request("GET", url, &[], Content::None)
}

pub(super) fn call(request: CallRequest, config: &CallConfig) -> Call {
    Call::new(request, Arc::new(config.clone()), Instant::ZERO).unwrap()
}

pub(super) fn answer(call: &mut Call, answer: &Answer, jar: &mut Vec<String>) {
    let mut head = Headers::new();
    for (name, value) in &answer.fields {
        head.append(name, value).unwrap();
    }
    let status = Status::new(answer.status).unwrap();
    let set = call
        .response(status, head.as_fields(), answer.body, Instant::ZERO)
        .unwrap();
    let url = set.url().to_string();
    jar.extend(set.values().map(|v| format!("{url} sets {}", v.escape_ascii())));
}

/// Runs to the end; what is not answered gets 200. The jar has `jar=1` for every URL.
pub(super) fn tell(request: CallRequest, config: &CallConfig, answers: &[Answer]) -> Story {
    run(call(request, config), answers)
}

pub(super) fn run(mut call: Call, answers: &[Answer]) -> Story {
    let now = Instant::ZERO;
    let mut story = Story::default();
    let mut answers = answers.iter();
    loop {
        match call.step() {
            Step::Cookies { url } => {
                story.jar.push(format!("for {url}"));
                call.cookies(Some(b"jar=1"), now).unwrap();
            }
            Step::Acquire { .. } => call.acquired(false, now).unwrap(),
            Step::Send { request, body } => {
                let mut conn = ClientConn::new(Arc::new(ClientConfig::DEFAULT), now);
                request.send_head(&mut conn).unwrap();
                let head = String::from_utf8(conn.outgoing().first().to_vec()).unwrap();
                story.sent.push((request.url().to_string(), body, head));
                call.sent(now).unwrap();
            }
            Step::Await => {
                let last = Answer::new(200);
                answer(&mut call, answers.next().unwrap_or(&last), &mut story.jar);
            }
            Step::Redirect(_) => call.follow(now).unwrap(),
            Step::Drain { most, .. } => {
                story.drains.push(most);
                call.drained(now).unwrap();
            }
            Step::Deliver(delivery) => {
                story.delivered = Some(delivery);
                call.body_ended(now).unwrap();
            }
            Step::Done => return story,
            Step::Failed(_) => {
                story.error = call.into_error();
                return story;
            }
            Step::Retry(why) => panic!("nothing failed, but {why:?}"),
        }
    }
}

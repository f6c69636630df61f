//! Calls against random servers and random drivers. Whatever comes: secrets stay within their origin, limits hold, and
//! every call ends; and the chain of requests is that of a naive model.

use super::story::{Answer, answer, call, request};
use super::*;
use crate::Method;
use alloc::vec;
use core::time::Duration;
use quickcheck::quickcheck;

/// Where a server may send a client, and where that is, seen from any place (all paths are absolute).
const PLACES: [(&str, Option<&str>); 8] = [
    ("/x", None),
    ("http://h/y", Some("http://h")),
    ("http://h:80/y", Some("http://h")),
    ("http://h:81/y", Some("http://h:81")),
    ("https://h/y", Some("https://h")),
    ("http://sub.h/y", Some("http://sub.h")),
    ("//h/y", Some("")),
    ("//i/y", Some("")),
];
const STATUSES: [u16; 8] = [301, 302, 303, 307, 308, 300, 200, 304];
const METHODS: [&str; 4] = ["GET", "HEAD", "POST", "DELETE"];

/// What a naive client sends: method, origin, whether it has the secrets, and whether it has the body.
type Asked = (String, String, bool, bool);

fn origin(url: &Url) -> String {
    alloc::format!("{}://{}", url.scheme(), url.host_header())
}

fn model(method: &str, body: BodyKind, limit: usize, script: &[(u8, u8)]) -> (Vec<Asked>, bool) {
    let (mut method, mut here, mut secret) = (method.to_string(), String::from("http://h"), true);
    let mut body = body;
    let mut asked = vec![(method.clone(), here.clone(), true, body != BodyKind::None)];
    for &(status, place) in script {
        let status = STATUSES[usize::from(status) % 8];
        let (location, at) = PLACES[usize::from(place) % 8];
        match status {
            301..=303 => {
                body = BodyKind::None;
                if method != "HEAD" {
                    method = "GET".into();
                }
            }
            307 | 308 if body != BodyKind::Once => {}
            _ => return (asked, true),
        }
        if asked.len() >= limit {
            return (asked, false);
        }
        match at {
            None => {}
            Some("") => {
                let scheme = here.split_once("//").unwrap().0;
                here = alloc::format!("{scheme}//{}", &location[2..3]);
            }
            Some(at) => here = at.to_string(),
        }
        secret &= here == "http://h";
        asked.push((method.clone(), here.clone(), secret, body != BodyKind::None));
    }
    (asked, true)
}

quickcheck! {
    fn the_chain_is_that_of_the_model(method: u8, kind: u8, limit: u8, script: Vec<(u8, u8)>) -> bool {
        let method = METHODS[usize::from(method) % 4];
        let body = match kind % 3 {
            0 => Content::None,
            1 => Content::Repeatable(BodyLen::Known(3)),
            _ => Content::Once(BodyLen::Unknown),
        };
        let limit = usize::from(limit % 12) + 1;
        let expected = model(method, body.kind(), limit, &script);
        let fields = [("Authorization", "Bearer secret"), ("Cookie", "a=secret")];
        let config = CallConfig { redirects: RedirectPolicy::Limit(limit as u32), ..CallConfig::default() };
        let answers: Vec<Answer> = script.iter().map(|&(s, p)| {
            Answer::to(STATUSES[usize::from(s) % 8], PLACES[usize::from(p) % 8].0)
        }).collect();
        let call = call(request(method, "http://h/", &fields, body), &config);
        let mut asked: Vec<Asked> = Vec::new();
        let story = super::story::run(call, &answers);
        for (url, body, head) in &story.sent {
            let url = Url::parse(url).unwrap();
            let secrets = head.matches("secret").count();
            assert!(secrets == 0 || secrets == 2);
            let method = head.split(' ').next().unwrap().to_string();
            asked.push((method, origin(&url), secrets == 2, *body != SendBody::None));
        }
        assert!(asked.len() <= limit.max(1));
        (asked, story.error.is_none()) == expected
    }

    /// Any driver, any order of events, any bytes in Location: secrets of the first origin are sent nowhere else, also in
    /// the query of no Referer over http; no more requests than the limit and one retry for each; every call ends.
    fn no_driver_and_no_server_breaks_a_call(events: Vec<(u8, u8, u8)>, junk: Vec<u8>, seed: u8) -> bool {
        const LIMIT: u32 = 4;
        let config = CallConfig {
            redirects: RedirectPolicy::Limit(LIMIT),
            timeout: (seed & 1 == 0).then_some(Duration::from_millis(500)),
            connect_timeout: (seed & 2 == 0).then_some(Duration::from_millis(100)),
            cookies: seed & 4 == 0,
            codings: Codings::NONE.with(Coding::Gzip),
            ..CallConfig::default()
        };
        let body = if seed & 8 == 0 { Content::None } else { Content::Repeatable(BodyLen::Known(1)) };
        let fields = [("Authorization", "Bearer secret"), ("Cookie", "a=secret")];
        let method = METHODS[usize::from(seed >> 4) % 4];
        let from = if seed & 64 == 0 { "https://h/?secret" } else { "http://h/" };
        let mut call = call(request(method, from, &fields, body), &config);
        let first = Url::parse(from).unwrap();
        let mut now = Instant::ZERO;
        let (mut sent, mut steps) = (0u32, 0u32);
        let junk = String::from_utf8_lossy(&junk).replace(|c: char| c.is_control(), "");
        let places: Vec<&str> = PLACES.iter().map(|p| p.0).chain([junk.as_str(), "http://u:secret2@i/"]).collect();
        // After the script everything goes well, but for redirects without end.
        let mut events = events.into_iter().chain(core::iter::repeat((4, 0, 0)));
        loop {
            steps += 1;
            assert!(steps < 400, "a call does not end");
            let (what, a, b) = events.next().unwrap_or_default();
            now = now + Duration::from_millis(u64::from(b % 8));
            let deadline = call.deadline();
            assert_eq!(deadline, call.deadline());
            match what % 16 {
                0 => {
                    call.handle_timeout(now);
                    assert!(call.deadline().is_none_or(|d| d.at > now));
                }
                1 if a == 0 => call.cancel(),
                2 => {
                    call.body_taken();
                    // Whatever is said out of turn is refused or right.
                    let _ = call.sent(now);
                    let _ = call.drained(now);
                    let _ = call.retry(now);
                }
                3 => {
                    let _ = call.use_last_response(now);
                    let _ = call.failed(Failure::BeforeResponse, a & 1 == 0, "x", now);
                }
                _ => {}
            }
            let redirect = matches!(call.step(), Step::Await);
            let due = match call.step() {
                Step::Send { request, .. } => {
                    let mut head = Vec::new();
                    crate::FieldLines::for_each_field(&request.header_section().unwrap(), |f| {
                        head.extend_from_slice(f.value.as_bytes());
                        head.push(b'\n');
                    });
                    let head = String::from_utf8_lossy(&head).into_owned();
                    // A Referer within https tells the query; it is no credential.
                    let told = head.lines().filter(|l| !l.starts_with("https://h/?")).any(|l| l.contains("secret"));
                    assert!(!told || request.url().same_origin(&first), "{head}");
                    if request.url().scheme() == crate::client::Scheme::Http {
                        assert!(!head.contains("https://"), "{head}");
                    }
                    sent += 1;
                    0
                }
                Step::Cookies { .. } => 1,
                Step::Acquire { .. } => 2,
                Step::Await => 3,
                Step::Retry(_) => 4,
                Step::Redirect(next) => {
                    assert!(next.method == Method::GET || next.method.as_str() == method);
                    5
                }
                Step::Drain { most, .. } => {
                    assert!(most <= DRAIN);
                    6
                }
                Step::Deliver(_) => 7,
                Step::Done => break,
                Step::Failed(e) => {
                    assert!(!e.to_string().contains("secret2"), "{e}");
                    break;
                }
            };
            assert_eq!(redirect, due == 3);
            let went = match due {
                0 => call.sent(now),
                1 => call.cookies((a & 1 == 0).then_some(b"jar=1"), now),
                2 if what % 16 == 5 => call.acquire_failed("x", now),
                2 => call.acquired(a & 1 == 0, now),
                3 if what % 16 == 6 => call.failed(Failure::BeforeResponse, a & 2 == 0, "x", now),
                3 => {
                    let to = Answer::to(STATUSES[usize::from(a) % 5], places[usize::from(b) % places.len()]);
                    let len = [BodyLen::None, BodyLen::Unknown, BodyLen::Known(9999)][usize::from(a) % 3];
                    answer_at(&mut call, &to.body(len), now)
                }
                4 => call.retry(now),
                5 => call.follow(now),
                6 => call.drained(now),
                _ => call.body_ended(now),
            };
            went.expect("the step that is due is answered");
        }
        assert!(sent <= 2 * LIMIT);
        assert!(call.history().len() < LIMIT as usize + 1);
        call.deadline().is_none()
    }
}

fn answer_at(call: &mut Call, to: &Answer, now: Instant) -> Result<(), OutOfTurn> {
    if now == Instant::ZERO {
        answer(call, to, &mut vec![]);
        return Ok(());
    }
    let mut head = Headers::new();
    for (name, value) in &to.fields {
        head.append(name, value).unwrap();
    }
    let status = Status::new(to.status).unwrap();
    call.response(status, head.as_fields(), to.body, now).map(|_| ())
}

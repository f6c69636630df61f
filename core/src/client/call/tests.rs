//! A call told as a transcript: the rules that are not about redirects (A, C, D, K, L, O of the table of behaviour).
//! Redirects are in `tests_redirect.rs`, the harness in `story.rs`.

use super::story::{Answer, answer, call, get, request, tell};
use super::*;
use crate::client::retry::WhyNot;
use alloc::format;
use alloc::vec;
use core::error::Error;
use core::time::Duration;

const AT: fn(u64) -> Instant = Instant::from_millis;

/// A call that waits for its response.
fn awaiting(request: CallRequest, config: &CallConfig, reused: bool) -> Call {
    let mut call = call(request, config);
    call.acquired(reused, AT(0)).unwrap();
    call.sent(AT(0)).unwrap();
    call
}

#[test]
fn a6_a_request_that_may_not_be_sent_fails_before_any_io() {
    let config = Arc::new(CallConfig::default());
    for (url, method, says) in [
        (
            "",
            "GET",
            "Get \"\": invalid URL (position 0): it must begin with http:// or https://",
        ),
        (
            "ftp://u:p@h/",
            "DELETE",
            "Delete \"ftp://***@h/\": invalid URL (position 0): only http and https are spoken here",
        ),
        (
            "http://u:p@h:0/",
            "M-SEARCH",
            "M-search \"http://***@h:0/\": invalid URL (position 11): the port must be a number from 1 to 65535",
        ),
    ] {
        let e = Call::new(request(method, url, &[], Content::None), config.clone(), AT(0)).unwrap_err();
        assert_eq!((e.to_string().as_str(), e.phase()), (says, Phase::Prepare));
    }
    // A length without a body.
    let promise = request("POST", "http://h/", &[("Content-Length", "5")], Content::None);
    assert!(Call::new(promise, config, AT(0)).is_err());
}

#[test]
fn a7_errors_name_operation_url_and_phase_and_mask_secrets() {
    let mut c = awaiting(get("http://u:secret@h/a?b"), &CallConfig::default(), false);
    c.failed(Failure::BeforeResponse, true, "connection reset by peer", AT(1))
        .unwrap();
    let e = c.into_error().unwrap();
    assert_eq!(
        e.to_string(),
        "Get \"http://***@h/a?b\": failed while sending the request or waiting for the response"
    );
    assert_eq!(e.source().unwrap().to_string(), "connection reset by peer");
    assert_eq!(
        (e.operation(), e.phase(), e.status()),
        ("Get", Phase::Exchange, None)
    );

    // Behind a redirect: the operation of the first request, the URL of the current one.
    let mut c = awaiting(
        request("POST", "http://h/a", &[], Content::None),
        &CallConfig::default(),
        false,
    );
    answer(&mut c, &Answer::to(303, "http://u:secret@i/b"), &mut vec![]);
    c.follow(AT(0)).unwrap();
    c.acquire_failed("no route to host", AT(0)).unwrap();
    let e = c.into_error().unwrap();
    assert_eq!(
        e.to_string(),
        "Post \"http://***@i/b\": failed while waiting for a connection"
    );
    assert!(!format!("{e:?}").contains("secret"));
}

#[test]
fn a9_the_jar_adds_to_the_callers_own_cookies() {
    let config = CallConfig {
        cookies: true,
        ..CallConfig::default()
    };
    let own = request(
        "GET",
        "http://h/",
        &[("Cookie", "a=1"), ("cookie", "b=2")],
        Content::None,
    );
    let story = tell(own, &config, &[]);
    assert_eq!(
        story.head(0),
        "GET / HTTP/1.1\r\nhost: h\r\nCookie: a=1; b=2; jar=1\r\n\r\n".replace("Cookie", "cookie")
    );
}

#[test]
fn c1_the_jar_is_asked_and_told_per_hop() {
    let config = CallConfig {
        cookies: true,
        ..CallConfig::default()
    };
    let answers = [
        Answer::to(302, "/b")
            .with("Set-Cookie", "x=1")
            .with("set-cookie", "y=2"),
        Answer::to(302, "http://i/c"),
        Answer::new(404).with("Set-Cookie", "z=3"),
    ];
    let story = tell(
        request("GET", "http://h/a", &[("Host", "other:80")], Content::None),
        &config,
        &answers,
    );
    assert_eq!(
        story.jar,
        [
            // The custom Host is meant, as long as it is sent.
            "for http://other/a",
            "http://other/a sets x=1",
            "http://other/a sets y=2",
            "for http://other/b",
            "for http://i/c",
            "http://i/c sets z=3",
        ]
    );
    assert_eq!(story.urls(), ["http://h/a", "http://h/b", "http://i/c"]);
}

#[test]
fn c2_without_a_jar_nothing_is_asked_or_told() {
    let story = tell(
        get("http://h/"),
        &CallConfig::default(),
        &[Answer::new(200).with("Set-Cookie", "x=1")],
    );
    assert!(story.jar.is_empty());
    assert_eq!(story.head(0), "GET / HTTP/1.1\r\nhost: h\r\n\r\n");
}

#[test]
fn c3_what_the_jar_gives_is_checked() {
    let config = CallConfig {
        cookies: true,
        ..CallConfig::default()
    };
    let mut c = call(get("http://h/"), &config);
    c.cookies(Some(b"a=1\r\nX: y"), AT(0)).unwrap();
    assert!(matches!(
        c.into_error().unwrap().kind(),
        CallErrorKind::Unsendable(Unsendable::Field(_))
    ));
}

#[test]
fn d1_credentials_of_the_url_become_a_field_and_an_explicit_one_wins() {
    let story = tell(get("http://u:p@h/"), &CallConfig::default(), &[]);
    assert_eq!(
        story.head(0),
        "GET / HTTP/1.1\r\nhost: h\r\nauthorization: Basic dTpw\r\n\r\n"
    );
    let own = request(
        "GET",
        "http://u:p@h/",
        &[("Authorization", "Bearer t")],
        Content::None,
    );
    let story = tell(own, &CallConfig::default(), &[]);
    assert_eq!(
        story.head(0),
        "GET / HTTP/1.1\r\nhost: h\r\nAuthorization: Bearer t\r\n\r\n"
    );
}

#[test]
fn e13_the_order_on_the_wire() {
    let config = CallConfig {
        user_agent: "kettle/1".into(),
        codings: Codings::NONE.with(Coding::Gzip),
        ..CallConfig::default()
    };
    let body = Content::Repeatable(BodyLen::Known(3));
    let story = tell(
        request(
            "POST",
            "https://h:444/p?q",
            &[("X-A", "1"), ("Host", "own")],
            body,
        ),
        &config,
        &[],
    );
    let head = story.head(0);
    let names: Vec<&str> = head
        .lines()
        .skip(1)
        .filter_map(|l| l.split_once(':'))
        .map(|l| l.0)
        .collect();
    assert!(
        head.starts_with("POST /p?q HTTP/1.1\r\nHost: own\r\nuser-agent: kettle/1\r\n"),
        "{head}"
    );
    assert!(
        names.contains(&"X-A") && names.contains(&"accept-encoding"),
        "{head}"
    );
}

#[test]
fn k1_the_total_deadline_covers_every_phase() {
    let config = CallConfig {
        timeout: Some(Duration::from_millis(10)),
        cookies: true,
        ..CallConfig::default()
    };
    let to = Answer::to(302, "/b").body(BodyLen::Unknown);
    // How far each call has come, and where it says that it was.
    for (inputs, phase) in [
        (0, Phase::Prepare),
        (1, Phase::Connect),
        (2, Phase::Exchange),
        (3, Phase::Exchange),
        (4, Phase::Redirect),
        (5, Phase::Redirect),
        (6, Phase::Redirect),
        (7, Phase::Connect),
    ] {
        let mut c = call(get("http://h/a"), &config);
        for input in 0..inputs {
            match input {
                0 | 6 => c.cookies(None, AT(1)).unwrap(),
                1 => c.acquired(true, AT(1)).unwrap(),
                2 => c.sent(AT(1)).unwrap(),
                3 => answer(&mut c, &to, &mut vec![]),
                4 => c.follow(AT(1)).unwrap(),
                _ => c.drained(AT(1)).unwrap(),
            }
        }
        assert_eq!(
            c.deadline(),
            Some(Deadline {
                at: AT(10),
                kind: DeadlineKind::Total
            })
        );
        let before = format!("{:?}", c.step());
        c.handle_timeout(AT(9));
        assert_eq!(format!("{:?}", c.step()), before, "earlier nothing happens");
        c.handle_timeout(AT(10));
        assert_eq!(c.deadline(), None);
        let e = c.into_error().unwrap();
        assert_eq!(
            (e.phase(), e.is_timeout()),
            (phase, true),
            "after {inputs} inputs"
        );
    }
    // Reading the body is a part of the call.
    let mut c = awaiting(
        get("http://h/"),
        &CallConfig {
            cookies: false,
            ..config
        },
        false,
    );
    answer(&mut c, &Answer::new(200).body(BodyLen::Unknown), &mut vec![]);
    c.handle_timeout(AT(10));
    let e = c.into_error().unwrap();
    assert_eq!(
        e.to_string(),
        "Get \"http://h/\": the call's deadline passed while reading the body"
    );
    assert_eq!(e.status(), Some(Status::OK));
}

#[test]
fn k1_a_deadline_wins_over_the_failure_that_it_caused() {
    let config = CallConfig {
        timeout: Some(Duration::from_millis(10)),
        ..CallConfig::default()
    };
    let mut c = awaiting(get("http://h/"), &config, true);
    c.failed(Failure::Other, true, "closed by the driver", AT(10))
        .unwrap();
    assert!(c.into_error().unwrap().is_timeout());
}

#[test]
fn k5_the_wait_for_a_connection_has_a_deadline_of_its_own_per_hop() {
    let config = CallConfig {
        timeout: Some(Duration::from_millis(100)),
        connect_timeout: Some(Duration::from_millis(30)),
        ..CallConfig::default()
    };
    let mut c = call(get("http://h/"), &config);
    assert_eq!(
        c.deadline(),
        Some(Deadline {
            at: AT(30),
            kind: DeadlineKind::Connect
        })
    );
    c.acquired(true, AT(20)).unwrap();
    assert_eq!(
        c.deadline(),
        Some(Deadline {
            at: AT(100),
            kind: DeadlineKind::Total
        })
    );
    c.failed(Failure::BeforeResponse, true, "eof", AT(50)).unwrap();
    c.retry(AT(50)).unwrap();
    assert_eq!(
        c.deadline(),
        Some(Deadline {
            at: AT(80),
            kind: DeadlineKind::Connect
        })
    );
    c.handle_timeout(AT(80));
    let e = c.into_error().unwrap();
    assert_eq!(
        e.to_string(),
        "Get \"http://h/\": the connection's deadline passed while waiting for a connection"
    );
}

#[test]
fn k6_already_expired_fails_before_any_io_and_at_each_retry() {
    let config = CallConfig {
        timeout: Some(Duration::ZERO),
        ..CallConfig::default()
    };
    let e = Call::new(get("http://h/"), Arc::new(config), AT(5)).unwrap_err();
    assert_eq!(
        e.to_string(),
        "Get \"http://h/\": the call's deadline passed before anything was sent"
    );

    let config = CallConfig {
        timeout: Some(Duration::from_millis(10)),
        ..CallConfig::default()
    };
    let mut c = awaiting(get("http://h/"), &config, true);
    c.failed(Failure::ServerClosedIdle, true, "fin", AT(9)).unwrap();
    c.retry(AT(10)).unwrap();
    assert!(matches!(c.step(), Step::Failed(e) if e.is_timeout()));
}

#[test]
fn k3_cancelling_ends_a_call_once() {
    let mut c = call(get("http://h/"), &CallConfig::default());
    c.cancel();
    assert!(
        matches!(c.step(), Step::Failed(e) if e.to_string() == "Get \"http://h/\": cancelled while waiting for a connection")
    );
    let mut done = awaiting(get("http://h/"), &CallConfig::default(), false);
    answer(&mut done, &Answer::new(204), &mut vec![]);
    done.body_ended(AT(0)).unwrap();
    done.cancel();
    assert!(matches!(done.step(), Step::Done));
}

#[test]
fn l1_a_retry_asks_for_a_fresh_connection_and_the_body_again() {
    let body = Content::Repeatable(BodyLen::Known(3));
    let mut c = awaiting(
        request("POST", "http://h/", &[("Idempotency-Key", "")], body),
        &CallConfig::default(),
        true,
    );
    c.failed(Failure::BeforeResponse, true, "reset", AT(0)).unwrap();
    assert!(matches!(c.step(), Step::Retry(Why::BeforeResponse)));
    c.retry(AT(0)).unwrap();
    assert!(matches!(c.step(), Step::Acquire { fresh: true, .. }));
    // Whatever is claimed of a fresh connection, there is no second retry.
    c.acquired(true, AT(0)).unwrap();
    assert!(matches!(
        c.step(),
        Step::Send {
            body: SendBody::Again,
            ..
        }
    ));
    c.sent(AT(0)).unwrap();
    c.failed(Failure::BeforeResponse, true, "reset", AT(0)).unwrap();
    let e = c.into_error().unwrap();
    let CallErrorKind::Exchange { not_retried, .. } = e.kind() else {
        panic!("{e}")
    };
    assert_eq!(*not_retried, Some(WhyNot::FreshConnection));
}

#[test]
fn l1_a_body_that_cannot_be_had_again_is_an_error_of_its_own() {
    let body = Content::Repeatable(BodyLen::Unknown);
    let mut c = awaiting(
        request("POST", "http://h/", &[], body),
        &CallConfig::default(),
        true,
    );
    c.failed(Failure::BeforeResponse, false, "reset", AT(0)).unwrap();
    c.retry(AT(0)).unwrap();
    c.acquired(false, AT(0)).unwrap();
    c.body_unavailable("the file is gone", AT(0)).unwrap();
    let e = c.into_error().unwrap();
    assert_eq!(
        e.to_string(),
        "Post \"http://h/\": the request's body could not be had again"
    );
    assert_eq!(e.source().unwrap().to_string(), "the file is gone");
}

#[test]
fn l3_a_stream_is_sent_again_only_while_it_is_untouched() {
    for (taken, retried) in [(false, true), (true, false)] {
        let body = Content::Once(BodyLen::Unknown);
        let mut c = awaiting(
            request("POST", "http://h/", &[], body),
            &CallConfig::default(),
            true,
        );
        if taken {
            c.body_taken();
        }
        c.failed(Failure::BeforeResponse, false, "reset", AT(0)).unwrap();
        assert_eq!(matches!(c.step(), Step::Retry(Why::NothingWritten)), retried);
        if retried {
            c.retry(AT(0)).unwrap();
            c.acquired(false, AT(0)).unwrap();
            assert!(matches!(
                c.step(),
                Step::Send {
                    body: SendBody::First,
                    ..
                }
            ));
        }
    }
}

#[test]
fn l3_a_delivered_response_is_never_retried() {
    let mut c = awaiting(get("http://h/"), &CallConfig::default(), true);
    answer(&mut c, &Answer::new(200).body(BodyLen::Known(9)), &mut vec![]);
    c.failed(Failure::BeforeResponse, false, "reset", AT(0)).unwrap();
    let e = c.into_error().unwrap();
    assert_eq!(e.to_string(), "Get \"http://h/\": failed while reading the body");
    assert!(matches!(
        e.kind(),
        CallErrorKind::Exchange {
            not_retried: None,
            ..
        }
    ));
}

#[test]
fn o2_the_decision_to_decode_comes_with_the_response() {
    let config = CallConfig {
        codings: Codings::NONE.with(Coding::Gzip),
        ..CallConfig::default()
    };
    let coded = || {
        Answer::new(200)
            .with("Content-Encoding", "gzip")
            .body(BodyLen::Known(20))
    };
    let story = tell(get("http://h/"), &config, &[Answer::to(302, "/b"), coded()]);
    assert_eq!(story.head(1).matches("accept-encoding: gzip\r\n").count(), 1);
    assert_eq!(story.delivered.unwrap().decode, Decode::Yes(Coding::Gzip));
    // A user's own Accept-Encoding: raw bytes, on each hop.
    let own = request("GET", "http://h/", &[("Accept-Encoding", "gzip")], Content::None);
    let story = tell(own, &config, &[Answer::to(302, "/b"), coded()]);
    assert_eq!(story.delivered.unwrap().decode, Decode::NotAsked(Ask::CallersOwn));
}

#[test]
fn m8_a_408_that_crossed_the_request_is_no_answer() {
    let close = |c: bool| {
        let mut headers = Headers::new();
        if c {
            headers.append("Connection", "close").unwrap();
        }
        headers
    };
    let farewell = |c: &Call, status, version, closes| {
        c.is_farewell(Status::new(status).unwrap(), version, close(closes).as_fields())
    };
    let config = CallConfig::default();
    let old = awaiting(get("http://h/"), &config, true);
    assert!(farewell(&old, 408, Version::Http11, true) && farewell(&old, 408, Version::Http10, false));
    assert!(!farewell(&old, 408, Version::Http11, false) && !farewell(&old, 503, Version::Http11, true));
    // On a new connection it is an answer; so it is to what may not be sent twice.
    assert!(!farewell(
        &awaiting(get("http://h/"), &config, false),
        408,
        Version::Http11,
        true
    ));
    let post = |body| awaiting(request("POST", "http://h/", &[], body), &config, true);
    let known = BodyLen::Known(1);
    assert!(!farewell(
        &post(Content::Repeatable(known)),
        408,
        Version::Http11,
        true
    ));
    let mut put = awaiting(
        request(
            "PUT",
            "http://h/",
            &[("Idempotency-Key", "")],
            Content::Once(known),
        ),
        &config,
        true,
    );
    assert!(farewell(&put, 408, Version::Http11, true));
    put.body_taken();
    assert!(!farewell(&put, 408, Version::Http11, true));
    // Told as what it is, it is sent again.
    let mut old = old;
    old.failed(Failure::ServerClosedIdle, true, "408", AT(0)).unwrap();
    assert!(matches!(old.step(), Step::Retry(Why::ServerClosedIdle)));
}

#[test]
fn what_a_body_in_memory_gets_wrong_is_found_before_anything_is_dialled() {
    let post = request(
        "POST",
        "http://u:pw@h/",
        &[("Content-Length", "3")],
        Content::Repeatable(BodyLen::Known(4)),
    );
    let call = call(post, &CallConfig::default());
    assert!(call.check_body(3, &Fields::EMPTY).is_ok());
    for len in [2, 4] {
        let e = call.check_body(len, &Fields::EMPTY).unwrap_err();
        assert_eq!(e.phase(), Phase::Prepare);
        assert!(
            matches!(e.kind(), CallErrorKind::Unsendable(Unsendable::Misuse(_))),
            "{e:?}"
        );
        assert!(e.to_string().starts_with("Post \"http://***@h/\": "), "{e}");
    }
}

#[test]
fn an_input_out_of_turn_changes_nothing() {
    let mut c = call(get("http://h/"), &CallConfig::default());
    let before = format!("{c:?}");
    let none = Headers::new();
    assert!(c.cookies(None, AT(0)).is_err() && c.sent(AT(0)).is_err() && c.retry(AT(0)).is_err());
    assert!(
        c.response(Status::OK, none.as_fields(), BodyLen::None, AT(0))
            .is_err()
    );
    assert!(c.failed(Failure::Other, true, "x", AT(0)).is_err() && c.follow(AT(0)).is_err());
    assert!(
        c.use_last_response(AT(0)).is_err() && c.refuse("x", AT(0)).is_err() && c.drained(AT(0)).is_err()
    );
    assert!(c.body_ended(AT(0)).is_err() && c.body_unavailable("x", AT(0)).is_err());
    assert!(c.redirect_headers().is_none());
    assert_eq!(format!("{c:?}"), before);
    // An interim response is none.
    let mut c = awaiting(get("http://h/"), &CallConfig::default(), false);
    assert!(
        c.response(Status::new(103).unwrap(), none.as_fields(), BodyLen::None, AT(0))
            .is_err()
    );
    assert!(matches!(c.step(), Step::Await));
}

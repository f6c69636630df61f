//! Redirects told as transcripts: the rules B1 to B12 of the table of behaviour.

use super::story::{Answer, answer, call, get, request, run, tell};
use super::*;
use crate::Method;
use alloc::vec;

const ONCE: Content = Content::Once(BodyLen::Known(3));
const AGAIN: Content = Content::Repeatable(BodyLen::Known(3));

fn default() -> CallConfig {
    CallConfig::default()
}

/// A call that stands at the decision over a redirect.
fn at_redirect(request: CallRequest, config: &CallConfig, to: &Answer) -> Call {
    let mut call = call(request, config);
    call.acquired(false, Instant::ZERO).unwrap();
    call.sent(Instant::ZERO).unwrap();
    answer(&mut call, to, &mut vec![]);
    call
}

#[test]
fn b1_all_statuses_methods_and_bodies() {
    let methods = [
        "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "get", "QUERY",
    ];
    for code in 100..=999 {
        let status = Status::new(code).unwrap();
        for method in methods.map(|m| Method::new(m).unwrap()) {
            for body in [BodyKind::None, BodyKind::Repeatable, BodyKind::Once] {
                let decision = follow(status, &method, body, true);
                let expected = match code {
                    301..=303 => Follow::Yes {
                        method: if method == Method::HEAD {
                            Method::HEAD
                        } else {
                            Method::GET
                        },
                        keeps_body: false,
                    },
                    307 | 308 if body == BodyKind::Once => Follow::No(NotFollowed::BodyNotRepeatable),
                    307 | 308 => Follow::Yes {
                        method: method.clone(),
                        keeps_body: true,
                    },
                    _ => Follow::No(NotFollowed::OtherStatus),
                };
                assert_eq!(decision, expected, "{code} {method} {body:?}");
                if matches!(expected, Follow::Yes { .. }) {
                    let nowhere = follow(status, &method, body, false);
                    assert_eq!(nowhere, Follow::No(NotFollowed::NoLocation));
                }
            }
        }
    }
    let connect = follow(Status::FOUND, &Method::CONNECT, BodyKind::None, true);
    assert_eq!(connect, Follow::No(NotFollowed::Connect));
}

#[test]
fn b1_303_asks_with_get_and_without_the_body() {
    let fields = [
        ("Content-Type", "text/plain"),
        ("Content-Language", "de"),
        ("Expect", "100-continue"),
        ("X-A", "1"),
    ];
    let story = tell(
        request("POST", "http://h/a", &fields, ONCE),
        &default(),
        &[Answer::to(303, "/b")],
    );
    assert_eq!(story.sent[0].1, SendBody::First);
    assert_eq!(story.sent[1].1, SendBody::None);
    assert_eq!(
        story.head(1),
        "GET /b HTTP/1.1\r\nhost: h\r\nX-A: 1\r\nreferer: http://h/a\r\n\r\n"
    );
}

#[test]
fn b1_307_does_not_follow_a_body_that_is_gone() {
    let to = Answer::to(307, "/b");
    let story = tell(
        request("PUT", "http://h/a", &[], ONCE),
        &default(),
        core::slice::from_ref(&to),
    );
    let delivery = story.delivered.unwrap();
    assert_eq!(
        (delivery.status.code(), delivery.why),
        (307, NotFollowed::BodyNotRepeatable)
    );
    // A stream without a byte can be had again.
    let empty = Content::Once(BodyLen::Known(0));
    let story = tell(
        request("PUT", "http://h/a", &[("Content-Type", "x/y")], empty),
        &default(),
        &[to],
    );
    assert!(
        story.head(1).starts_with("PUT /b HTTP/1.1\r\n") && story.head(1).contains("Content-Type: x/y\r\n")
    );
}

#[test]
fn b2_without_a_location_the_response_is_returned() {
    for to in [Answer::new(302), Answer::to(302, "")] {
        let story = tell(get("http://h/"), &default(), &[to]);
        assert_eq!(story.delivered.unwrap().why, NotFollowed::NoLocation);
    }
}

#[test]
fn b3_the_location_is_resolved_or_quoted() {
    let story = tell(
        get("http://h/a/b?c"),
        &default(),
        &[Answer::to(302, "../d"), Answer::to(302, "?e")],
    );
    assert_eq!(story.urls(), ["http://h/a/b?c", "http://h/d", "http://h/d?e"]);

    let bad = Answer::to(302, "http://u:secret@h:0/").body(BodyLen::Known(7));
    let story = tell(get("http://h/a"), &default(), &[bad]);
    assert_eq!(
        story.error(),
        "Get \"http://h/a\": failed to parse Location \"http://***@h:0/\": invalid URL (position 16): \
         the port must be a number from 1 to 65535"
    );
    assert_eq!(story.drains, [2048], "the body is let go of");
    assert_eq!(story.error.unwrap().status(), Some(Status::FOUND));
}

#[test]
fn b3_a_quoted_location_is_cut_and_escaped() {
    let long = alloc::format!("x:{}\u{e9}", "a".repeat(300));
    let story = tell(get("http://h/"), &default(), &[Answer::to(302, long)]);
    let CallErrorKind::Location { location, .. } = story.error.as_ref().unwrap().kind() else {
        panic!()
    };
    assert_eq!(location.len(), 203);
    for hidden in [
        "u:secret@h",
        "//u:secret@h//x",
        "http:/u:secret@h",
        "mailto:secret@h",
    ] {
        assert!(
            !redirect::quoted(hidden.as_bytes()).contains("secret"),
            "{hidden}"
        );
    }
}

#[test]
fn b4_a_custom_host_survives_relative_locations_only() {
    let own = || request("GET", "http://h/", &[("Host", "custom")], Content::None);
    let hosts = |locations: &[&str]| -> Vec<bool> {
        let answers: Vec<Answer> = locations.iter().map(|l| Answer::to(302, *l)).collect();
        let story = tell(own(), &default(), &answers);
        story
            .sent
            .iter()
            .map(|s| s.2.contains("Host: custom\r\n"))
            .collect()
    };
    assert_eq!(hosts(&["/b", "c"]), [true, true, true]);
    assert_eq!(hosts(&["http://h/b"]), [true, false]);
    // An authority makes it absolute enough, and what is dropped stays so.
    assert_eq!(hosts(&["//h/b", "/c"]), [true, false, false]);
}

#[test]
fn b5_fields_are_those_of_the_first_request() {
    let mut c = at_redirect(
        request("GET", "http://h/a", &[("X-A", "1")], Content::None),
        &default(),
        &Answer::to(302, "/b"),
    );
    let now = Instant::ZERO;
    // What the caller changes on a hop is for this hop.
    c.redirect_headers().unwrap().set("X-A", "changed").unwrap();
    c.follow(now).unwrap();
    let story = run(c, &[Answer::to(302, "/c")]);
    assert_eq!(
        story.head(0),
        "GET /b HTTP/1.1\r\nhost: h\r\nX-A: changed\r\nreferer: http://h/a\r\n\r\n"
    );
    assert_eq!(
        story.head(1),
        "GET /c HTTP/1.1\r\nhost: h\r\nX-A: 1\r\nreferer: http://h/b\r\n\r\n"
    );
}

#[test]
fn b6_a_kept_body_is_had_again_with_its_length() {
    let story = tell(
        request("POST", "http://h/a", &[], AGAIN),
        &default(),
        &[Answer::to(308, "http://i/b")],
    );
    assert_eq!(story.sent[1].1, SendBody::Again);
    assert!(story.head(1).starts_with("POST /b HTTP/1.1\r\nhost: i\r\n"));
    assert!(
        story
            .head(1)
            .to_ascii_lowercase()
            .contains("content-length: 3\r\n")
    );
}

#[test]
fn b7_referer() {
    let referer = |from: &str, own: Option<&str>, to: &str| {
        let fields: Vec<(&str, &str)> = own.map(|o| ("Referer", o)).into_iter().collect();
        let story = tell(
            request("GET", from, &fields, Content::None),
            &default(),
            &[Answer::to(302, to)],
        );
        let line = story
            .head(1)
            .lines()
            .find(|l| l.to_ascii_lowercase().starts_with("referer"));
        line.map(|l| l.split_once(": ").unwrap().1.to_string())
    };
    assert_eq!(
        referer("http://h/a?b#c", None, "/d").as_deref(),
        Some("http://h/a?b")
    );
    assert_eq!(
        referer("http://u:p@h/", None, "http://i/").as_deref(),
        Some("http://h/")
    );
    assert_eq!(
        referer("http://h/", None, "https://h/").as_deref(),
        Some("http://h/")
    );
    assert_eq!(
        referer("https://h/", None, "https://i/").as_deref(),
        Some("https://h/")
    );
    // Never from https to http, the user's own included if it tells of https.
    assert_eq!(referer("https://h/", None, "http://h/"), None);
    assert_eq!(referer("https://h/", Some("HTTPS://own/"), "http://h/"), None);
    assert_eq!(
        referer("https://h/", Some("http://own/"), "http://h/").as_deref(),
        Some("http://own/")
    );
    assert_eq!(
        referer("http://h/", Some("http://own/"), "/b").as_deref(),
        Some("http://own/")
    );
}

#[test]
fn b7_the_policy_sees_and_can_override_the_fields() {
    let mut c = at_redirect(get("http://h/a"), &default(), &Answer::to(302, "/b"));
    let Step::Redirect(redirect) = c.step() else {
        panic!()
    };
    assert_eq!(redirect.headers.get_str("referer"), Some("http://h/a"));
    c.redirect_headers().unwrap().remove("referer");
    c.follow(Instant::ZERO).unwrap();
    assert_eq!(run(c, &[]).head(0), "GET /b HTTP/1.1\r\nhost: h\r\n\r\n");
}

#[test]
fn b8_stopped_after_10_redirects() {
    let endless: Vec<Answer> = (1..20).map(|n| Answer::to(302, alloc::format!("/{n}"))).collect();
    let story = tell(get("http://h/0"), &default(), &endless);
    assert_eq!(story.sent.len(), 10);
    assert_eq!(story.error(), "Get \"/10\": stopped after 10 redirects");
    for limit in [2, 3] {
        let config = CallConfig {
            redirects: RedirectPolicy::Limit(limit),
            ..default()
        };
        assert_eq!(
            tell(get("http://h/0"), &config, &endless).sent.len(),
            limit as usize
        );
    }
    // Nothing after the tenth request: no error.
    let story = tell(get("http://h/0"), &default(), &endless[..9]);
    assert_eq!((story.sent.len(), story.error.is_none()), (10, true));
}

#[test]
fn b8_a_function_sees_the_next_request_and_all_earlier_ones() {
    let policy = RedirectPolicy::function(|next, past| {
        let urls: Vec<String> = past
            .iter()
            .map(|p| alloc::format!("{} {}", p.url, p.status.code()))
            .collect();
        match urls.len() {
            1 => Verdict::Follow,
            _ => Verdict::Refuse(alloc::format!("{} after {}", next.to, urls.join(", ")).into()),
        }
    });
    let config = CallConfig {
        redirects: policy,
        ..default()
    };
    let story = tell(
        get("http://h/a"),
        &config,
        &[Answer::to(301, "/b"), Answer::to(302, "/c")],
    );
    assert_eq!(
        story.error(),
        "Get \"/c\": http://h/c after http://h/a 301, http://h/b 302"
    );
}

#[test]
fn b9_the_last_response_is_used_with_its_body() {
    let to = Answer::to(302, "/b").body(BodyLen::Known(7));
    let last = RedirectPolicy::function(|_, _| Verdict::UseLastResponse);
    for redirects in [RedirectPolicy::None, last] {
        let config = CallConfig {
            redirects,
            ..default()
        };
        let story = tell(get("http://h/a"), &config, core::slice::from_ref(&to));
        let delivery = story.delivered.unwrap();
        assert_eq!((delivery.status.code(), delivery.body), (302, BodyLen::Known(7)));
        assert_eq!((delivery.why, story.drains.len()), (NotFollowed::Policy, 0));
    }
    let mut c = at_redirect(get("http://h/a"), &default(), &to);
    c.use_last_response(Instant::ZERO).unwrap();
    assert!(matches!(c.step(), Step::Deliver(d) if d.body == BodyLen::Known(7)));
    assert!(c.history().is_empty());
    // Without a policy nobody asks whether the Location can be understood.
    let config = CallConfig {
        redirects: RedirectPolicy::None,
        ..default()
    };
    assert!(
        tell(get("http://h/"), &config, &[Answer::to(302, "ftp://x/")])
            .error
            .is_none()
    );
}

#[test]
fn b10_short_and_endless_bodies_are_drained_long_ones_are_not_read() {
    for (len, drains) in [
        (BodyLen::None, &[][..]),
        (BodyLen::Known(0), &[]),
        (BodyLen::Known(1), &[2048]),
        (BodyLen::Known(2048), &[2048]),
        (BodyLen::Known(2049), &[0]),
        (BodyLen::Unknown, &[2048]),
    ] {
        let story = tell(get("http://h/"), &default(), &[Answer::to(302, "/b").body(len)]);
        assert_eq!(
            (story.drains.as_slice(), story.sent.len()),
            (drains, 2),
            "{len:?}"
        );
    }
}

#[test]
fn b11_a_refusal_names_the_raw_location_without_secrets_after_the_drain() {
    let to = Answer::to(302, "//u:secret@i/b").body(BodyLen::Unknown);
    let mut c = at_redirect(get("http://h/a"), &default(), &to);
    c.refuse("not there", Instant::ZERO).unwrap();
    assert!(matches!(
        c.step(),
        Step::Drain {
            most: 2048,
            then: None
        }
    ));
    c.drained(Instant::ZERO).unwrap();
    let e = c.into_error().unwrap();
    assert_eq!(e.to_string(), "Get \"//***@i/b\": not there");
    assert_eq!((e.phase(), e.status()), (Phase::Redirect, Some(Status::FOUND)));
}

#[test]
fn b12_credentials_stay_within_the_origin_and_what_is_lost_stays_lost() {
    let secrets = [
        ("Authorization", "Bearer t"),
        ("Cookie", "a=1"),
        ("Cookie2", "b"),
        ("Proxy-Authorization", "c"),
        ("WWW-Authenticate", "d"),
        ("Proxy-Authenticate", "e"),
    ];
    let kept = |from: &str, locations: &[&str]| -> Vec<usize> {
        let answers: Vec<Answer> = locations.iter().map(|l| Answer::to(307, *l)).collect();
        let story = tell(
            request("GET", from, &secrets, Content::None),
            &default(),
            &answers,
        );
        let count = |head: &str| {
            secrets
                .iter()
                .filter(|(n, v)| head.contains(&alloc::format!("{n}: {v}\r\n")))
                .count()
        };
        story.sent.iter().map(|s| count(&s.2)).collect()
    };
    assert_eq!(kept("http://h/", &["/b", "http://H:80/c"]), [6, 6, 6]);
    // Another host, a sub-domain, another port, another scheme.
    assert_eq!(kept("http://h/", &["http://i/"]), [6, 0]);
    assert_eq!(kept("http://h/", &["http://sub.h/"]), [6, 0]);
    assert_eq!(kept("http://h/", &["http://h:81/"]), [6, 0]);
    assert_eq!(kept("http://h/", &["https://h/"]), [6, 0]);
    // And back again.
    assert_eq!(kept("http://h/", &["//i/", "http://h/", "/b"]), [6, 0, 0, 0]);
}

#[test]
fn b12_a_policy_learns_that_the_chain_has_left_its_origin() {
    let outside = RedirectPolicy::function(|next, past| {
        // Within the origin, out of it, back to it, and on within it.
        assert_eq!(next.left_origin, past.len() > 1, "{}", next.to);
        Verdict::Follow
    });
    let config = CallConfig {
        redirects: outside,
        ..default()
    };
    let answers = ["/a", "http://i/", "http://h/", "/b"].map(|l| Answer::to(302, l));
    assert_eq!(tell(get("http://h/"), &config, &answers).sent.len(), 5);
}

#[test]
fn b12_credentials_of_the_url_follow_its_origin() {
    let sent = |locations: &[&str]| -> Vec<bool> {
        let answers: Vec<Answer> = locations.iter().map(|l| Answer::to(302, *l)).collect();
        let story = tell(get("http://u:p@h/"), &default(), &answers);
        story
            .sent
            .iter()
            .map(|s| s.2.contains("authorization: Basic dTpw\r\n"))
            .collect()
    };
    assert_eq!(sent(&["/b", "http://h/c", "//h:80/d"]), [true; 4]);
    assert_eq!(sent(&["http://i/", "http://h/"]), [true, false, false]);
    assert_eq!(sent(&["https://h/"]), [true, false]);
}

#[test]
fn b12_a_dropped_body_stays_dropped() {
    let fields = [("Content-Type", "text/plain")];
    let answers = [Answer::to(302, "/b"), Answer::to(307, "/c")];
    for body in [AGAIN, ONCE] {
        let story = tell(request("POST", "http://h/a", &fields, body), &default(), &answers);
        assert_eq!(story.sent[2].1, SendBody::None);
        assert_eq!(
            story.head(2),
            "GET /c HTTP/1.1\r\nhost: h\r\nreferer: http://h/b\r\n\r\n"
        );
    }
}

#[test]
fn b12_cookies_that_a_response_sets_anew_leave_the_callers_own() {
    let config = CallConfig {
        cookies: true,
        ..default()
    };
    let own = |cookies: &str| request("GET", "http://h/a", &[("Cookie", cookies)], Content::None);
    let to = Answer::to(302, "/b")
        .with("Set-Cookie", "b=new; Path=/")
        .with("Set-Cookie", " c =3");
    let story = tell(own("a=1; b=2;c=4; bb=5"), &config, core::slice::from_ref(&to));
    assert!(
        story.head(1).contains("cookie: a=1; bb=5; jar=1\r\n"),
        "{}",
        story.head(1)
    );
    let story = tell(own("b=2"), &config, core::slice::from_ref(&to));
    assert!(story.head(1).contains("cookie: jar=1\r\n"), "{}", story.head(1));
    // Without a jar they are the caller's business alone.
    let story = tell(own("b=2"), &default(), &[to]);
    assert!(story.head(1).contains("Cookie: b=2\r\n"));
}

#[test]
fn the_fragment_is_handed_on_and_never_sent() {
    let mut c = at_redirect(get("http://h/a#f"), &default(), &Answer::to(302, "/b"));
    c.follow(Instant::ZERO).unwrap();
    assert_eq!(c.url().fragment(), Some("f"));
    assert_eq!(c.history()[0].url.to_string(), "http://h/a");
    assert!(!run(c, &[]).head(0).contains('#'));
}

#[test]
fn a_next_request_that_may_not_be_sent_fails_the_call() {
    let mut c = at_redirect(get("http://h/a"), &default(), &Answer::to(302, "/b"));
    c.redirect_headers()
        .unwrap()
        .append("Content-Length", "5")
        .unwrap();
    c.follow(Instant::ZERO).unwrap();
    let e = c.into_error().unwrap();
    assert!(matches!(e.kind(), CallErrorKind::Unsendable(_)), "{e}");
    assert_eq!((e.url(), e.phase()), ("http://h/b", Phase::Redirect));
}

//! A call told as a transcript: which way its requests go, and how they are worded there (M, PL1).

use super::story::{Answer, call, get, request, tell};
use super::*;
use crate::client::proxy::{InvalidProxyKind, ProxyRules};
use alloc::format;
use alloc::vec;

fn through(proxy: &str) -> CallConfig {
    CallConfig {
        proxies: ProxyRules::all(proxy.parse().unwrap()),
        ..CallConfig::default()
    }
}

/// Which connections it asks for.
fn key(url: &str, config: &CallConfig) -> String {
    match call(get(url), config).step() {
        Step::Acquire { route, .. } => route.key().to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_plain_request_is_passed_on_by_the_proxy_and_tells_it_who_asks() {
    let config = through("http://ann:secret@proxy:3128");
    let story = tell(get("http://u:p@h:8080/a?b=c#d"), &config, &[]);
    assert_eq!(
        story.sent[0].2,
        "GET http://h:8080/a?b=c HTTP/1.1\r\nhost: h:8080\r\nproxy-authorization: Basic YW5uOnNlY3JldA==\r\n\
         authorization: Basic dTpw\r\n\r\n"
    );
    // The caller's own credentials for the proxy win.
    let own = request(
        "GET",
        "http://h/",
        &[("Proxy-Authorization", "Bearer x")],
        Content::None,
    );
    let story = tell(own, &config, &[]);
    assert_eq!(
        story.sent[0].2,
        "GET http://h/ HTTP/1.1\r\nhost: h\r\nProxy-Authorization: Bearer x\r\n\r\n"
    );
    // Where it is shown, it is not.
    let call = call(get("http://h/"), &config);
    assert!(!format!("{call:?}").contains("secret"));
    let Step::Acquire { .. } = call.step() else {
        panic!()
    };
}

#[test]
fn what_goes_through_a_tunnel_is_worded_for_the_target() {
    for proxy in ["socks5://u:p@proxy", "socks5h://proxy"] {
        let story = tell(get("http://h/a"), &through(proxy), &[]);
        assert_eq!(story.sent[0].2, "GET /a HTTP/1.1\r\nhost: h\r\n\r\n");
    }
    let story = tell(get("https://h/a"), &through("http://u:p@proxy"), &[]);
    assert_eq!(story.sent[0].2, "GET /a HTTP/1.1\r\nhost: h\r\n\r\n");
}

#[test]
fn each_hop_goes_its_own_way() {
    let config = through("http://u:p@proxy");
    let moved = Answer::to(301, "https://h/b");
    let back = Answer::to(301, "http://other/c");
    let story = tell(get("http://h/a"), &config, &[moved, back]);
    let first_lines: vec::Vec<_> = story
        .sent
        .iter()
        .map(|(_, _, head)| head.lines().next().unwrap())
        .collect();
    assert_eq!(
        first_lines,
        [
            "GET http://h/a HTTP/1.1",
            "GET /b HTTP/1.1",
            "GET http://other/c HTTP/1.1"
        ]
    );
    assert_eq!(key("http://h/", &config), key("http://other:81/", &config));
    assert_eq!(
        key("https://h/", &config),
        "https://h:443 through http://proxy:80"
    );
    assert_eq!(key("http://h/", &CallConfig::default()), "http://h:80");
}

#[test]
fn i1_a_proxy_that_cannot_be_understood_fails_the_request() {
    let config = CallConfig {
        proxies: ProxyRules::from_env(|name| (name == "HTTPS_PROXY").then(|| "ftp://u:secret@proxy".into())),
        ..CallConfig::default()
    };
    let e = Call::new(get("https://h/"), Arc::new(config.clone()), Instant::ZERO).unwrap_err();
    assert_eq!(
        e.to_string(),
        "Get \"https://h/\": invalid proxy in HTTPS_PROXY: the scheme must be http, https, socks5 or socks5h"
    );
    assert_eq!(e.phase(), Phase::Prepare);
    assert!(matches!(e.kind(), CallErrorKind::Proxy(e) if e.kind() == InvalidProxyKind::Scheme));

    // Only where it applies; and then the error names the hop.
    let moved = Answer::to(301, "https://h/b");
    let story = tell(get("http://h/a"), &config, &[moved]);
    assert_eq!(story.sent.len(), 1);
    assert_eq!(
        story.error(),
        "Get \"https://h/b\": invalid proxy in HTTPS_PROXY: the scheme must be http, https, socks5 or socks5h"
    );
}

#[test]
fn without_tls_https_fails_before_anything_is_dialled() {
    let config = CallConfig {
        plain_only: true,
        ..CallConfig::default()
    };
    let e = Call::new(get("https://h/"), Arc::new(config.clone()), Instant::ZERO).unwrap_err();
    assert_eq!(
        e.to_string(),
        "Get \"https://h/\": TLS is not built in: only http:// is spoken"
    );
    let moved = Answer::to(301, "https://h/b");
    let story = tell(get("http://h/a"), &config, &[moved]);
    assert_eq!(
        story.error(),
        "Get \"https://h/b\": TLS is not built in: only http:// is spoken"
    );
}

#[test]
fn a_connect_of_the_callers_own_asks_its_host() {
    let story = tell(
        request("CONNECT", "http://h/", &[], Content::None),
        &through("http://u:p@proxy"),
        &[],
    );
    assert_eq!(story.sent[0].2, "CONNECT h:80 HTTP/1.1\r\nhost: h\r\n\r\n");
}

//! Tests of the proxy rules: tables of what the environment says and where requests go.

use super::*;
use alloc::string::ToString;
use alloc::vec::Vec;
use quickcheck::quickcheck;

fn rules(vars: &[(&str, &str)]) -> ProxyRules {
    ProxyRules::from_env(|name| {
        vars.iter()
            .find(|(n, _)| *n == name)
            .map(|(_, v)| (*v).to_string())
    })
}

/// Where a request goes, in one word or the proxy's URL.
fn route(rules: &ProxyRules, scheme: Scheme, host: &str, port: u16) -> String {
    match rules.route(scheme, host, port) {
        Ok(Via::Direct(why)) => format!("{why:?}"),
        Ok(Via::Proxy(p)) => p.to_string(),
        Err(e) => e.to_string(),
    }
}

#[test]
fn which_variable_counts() {
    use Scheme::{Http, Https};
    type Case<'a> = (&'a [(&'a str, &'a str)], Scheme, &'a str);
    #[rustfmt::skip]
    let table: &[Case<'_>] = &[
        (&[], Http, "NoneSet"),
        (&[("HTTP_PROXY", "a")], Http, "http://a:80"),
        (&[("HTTP_PROXY", "a")], Https, "NoneSet"),
        (&[("http_proxy", "b")], Http, "http://b:80"),
        (&[("HTTP_PROXY", "a"), ("http_proxy", "b")], Http, "http://a:80"),
        (&[("HTTP_PROXY", ""), ("http_proxy", "b")], Http, "http://b:80"),
        (&[("HTTPS_PROXY", "https://a")], Https, "https://a:443"),
        (&[("https_proxy", "socks5://b")], Https, "socks5://b:1080"),
        (&[("ALL_PROXY", "socks5h://c:9")], Https, "socks5h://c:9"),
        (&[("all_proxy", "c:9")], Http, "http://c:9"),
        (&[("ALL_PROXY", "c"), ("http_proxy", "b")], Http, "http://b:80"),
        (&[("ALL_PROXY", "c"), ("http_proxy", "b")], Https, "http://c:80"),
        (&[("HTTP_PROXY", "a"), ("NO_PROXY", "*")], Http, "Excluded"),
        (&[("HTTP_PROXY", "a"), ("no_proxy", "h")], Http, "Excluded"),
        // The CGI guard.
        (&[("HTTP_PROXY", "evil"), ("REQUEST_METHOD", "GET")], Http, "NoneSet"),
        (&[("HTTP_PROXY", "evil"), ("REQUEST_METHOD", "GET"), ("http_proxy", "b")], Http, "http://b:80"),
        (&[("HTTP_PROXY", "evil"), ("REQUEST_METHOD", "GET"), ("http_proxy", "evil")], Http, "NoneSet"),
        (&[("HTTP_PROXY", "evil"), ("REQUEST_METHOD", "GET"), ("ALL_PROXY", "c")], Http, "http://c:80"),
        (&[("HTTPS_PROXY", "a"), ("REQUEST_METHOD", "GET")], Https, "http://a:80"),
    ];
    for (vars, scheme, want) in table {
        assert_eq!(route(&rules(vars), *scheme, "h", 80), *want, "{vars:?}");
    }
}

#[test]
fn what_cannot_be_understood_fails_the_request_and_names_the_variable_only() {
    let r = rules(&[("HTTPS_PROXY", "ftp://ann:secret@p"), ("NO_PROXY", "h")]);
    assert_eq!(
        route(&r, Scheme::Https, "other", 443),
        "invalid proxy in HTTPS_PROXY: the scheme must be http, https, socks5 or socks5h"
    );
    // What it does not apply to works.
    assert_eq!(route(&r, Scheme::Https, "h", 443), "Excluded");
    assert_eq!(route(&r, Scheme::Https, "127.0.0.1", 443), "Loopback");
    assert_eq!(route(&r, Scheme::Http, "other", 80), "NoneSet");
    assert_eq!(r.check().unwrap_err().variable(), Some("HTTPS_PROXY"));
    assert!(!format!("{r:?}").contains("secret"));
    let r = rules(&[("all_proxy", "http://ann:secret@p:0")]);
    assert_eq!(r.check().unwrap_err().variable(), Some("all_proxy"));
}

#[test]
fn proxies() {
    for (text, shown, credentials) in [
        ("p", "http://p:80", None),
        ("p:3128", "http://p:3128", None),
        (" HTTP://P:/x?y#z ", "http://p:80", None),
        ("https://p", "https://p:443", None),
        ("socks5://[::1]", "socks5://[::1]:1080", None),
        ("[2001:DB8::1]:8", "http://[2001:db8::1]:8", None),
        ("u:w@p:1", "http://***@p:1", Some(("u", "w"))),
        ("http://u@p", "http://***@p:80", Some(("u", ""))),
        ("http://@p", "http://p:80", None),
        ("http://u:a:b@p", "http://***@p:80", Some(("u", "a:b"))),
        ("http://u:a@b@p", "http://***@p:80", Some(("u", "a@b"))),
        ("http://u%3f:%2F%e4@p", "http://***@p:80", None),
        ("socks5h://u%3A:w@p", "socks5h://***@p:1080", Some(("u:", "w"))),
    ] {
        let p = Proxy::parse(text).unwrap_or_else(|e| panic!("{text}: {e}"));
        assert_eq!(p.to_string(), shown);
        if let Some((user, password)) = credentials {
            assert_eq!(p.credentials(), Some(&Credentials::new(user, password)));
        }
        assert_eq!(Proxy::parse(&p.pool_key()).as_ref(), Ok(&p), "{text}");
    }
    use InvalidProxyKind::{Credentials as Secret, Host, Port, Scheme, Space};
    for (text, kind) in [
        ("", Host),
        ("http://", Host),
        ("http://a b", Space),
        ("ftp://p", Scheme),
        ("socks4://p", Scheme),
        ("http://p:0", Port),
        ("http://p:65536", Port),
        ("http://p:x", Host),
        ("http://::1", Host),
        ("http://u:%zz@p", Secret),
        ("http://u:%2@p", Secret),
        ("http://u%3a:w@p", Secret),
        ("http://u:%0a@p", Secret),
        ("http://u:12/34@p", Secret),
        ("socks5://u@p", Secret),
        ("socks5://:w@p", Secret),
    ] {
        let e = Proxy::parse(text).expect_err(text);
        assert_eq!((e.kind(), e.variable()), (kind, None), "{text}");
    }
}

#[test]
fn no_proxy() {
    for (list, excluded, not) in [
        ("", "", "h a.h 1.2.3.4"),
        ("*", "h a.h 1.2.3.4 [::2]", ""),
        ("h", "h a.h a.b.h H h.", "ah h2 x.h2"),
        (".h", "a.h a.b.h", "h ah"),
        ("*.h", "a.h a.b.h", "h ah"),
        ("H.", "h a.h", "ah"),
        ("h:80", "h a.h h:80", "h:81 a.h:81"),
        (".h:81", "a.h:81", "a.h h:81"),
        ("a, b;c\td,,e", "a d e", "b c"),
        (
            "192.0.2.1",
            "192.0.2.1 [::ffff:192.0.2.1]",
            "192.0.2.2 a.192.0.2.1",
        ),
        ("192.0.2.1:81", "192.0.2.1:81", "192.0.2.1"),
        (
            "10.0.0.0/8",
            "10.0.0.0 10.255.255.255",
            "11.0.0.0 9.255.255.255 h",
        ),
        ("10.1.2.3/8", "10.9.9.9", "11.0.0.0"),
        ("0.0.0.0/0", "1.2.3.4", "[::2] h"),
        ("192.0.2.1/32", "192.0.2.1", "192.0.2.0"),
        (
            "2001:db8::/32",
            "[2001:db8::1] [2001:db8:ffff::]",
            "[2001:db9::] 32.1.13.184",
        ),
        ("::/0", "[::2]", "1.2.3.4"),
        ("::ffff:10.0.0.0/104", "10.1.1.1", "11.1.1.1"),
        ("2001:db8::1", "[2001:db8::1] [2001:DB8:0::1]", "[2001:db8::2]"),
        ("[2001:db8::1]", "[2001:db8::1]", ""),
        ("[2001:db8::1]:81", "[2001:db8::1]:81", "[2001:db8::1]"),
        ("fe80::1", "[fe80::1%25eth0]", ""),
        // Nonsense excludes nothing.
        (
            "10.0.0.0/33 10.0.0.0/ /8 h:x :80 . *. a*b 10.0.0.0/+8 h:99999",
            "",
            "10.0.0.0 h h:80 a ab",
        ),
    ] {
        let list_ = NoProxy::parse(list);
        let ask = |t: &str| {
            let behind = t.rfind(']').map_or(0, |i| i + 1);
            match t[behind..].find(':').map(|i| behind + i) {
                Some(colon) => list_.excludes(&t[..colon], t[colon + 1..].parse().unwrap()),
                None => list_.excludes(t, 80),
            }
        };
        for t in excluded.split_whitespace() {
            assert!(ask(t), "{list:?} excludes {t}");
        }
        for t in not.split_whitespace() {
            assert!(!ask(t), "{list:?} does not exclude {t}");
        }
    }
}

#[test]
fn this_machine() {
    let env = rules(&[("HTTP_PROXY", "p")]);
    for host in [
        "localhost",
        "LocalHost",
        "localhost.",
        "127.0.0.1",
        "127.9.9.9",
        "[::1]",
        "::1",
        "[::ffff:127.0.0.1]",
    ] {
        assert_eq!(route(&env, Scheme::Http, host, 80), "Loopback", "{host}");
    }
    for host in ["localhost.example", "128.0.0.1", "[::2]", "a.localhost"] {
        assert_eq!(route(&env, Scheme::Http, host, 80), "http://p:80", "{host}");
    }
    // What is set by hand applies to all of it, unless it is told not to.
    let hand = ProxyRules::all("p".parse().unwrap());
    assert_eq!(route(&hand, Scheme::Https, "localhost", 80), "http://p:80");
    assert_eq!(
        route(&hand.clone().loopback_direct(true), Scheme::Https, "::1", 80),
        "Loopback"
    );
    assert_eq!(
        route(
            &hand.clone().except(NoProxy::parse("::1")),
            Scheme::Http,
            "[::1]",
            80
        ),
        "Excluded"
    );
    assert_eq!(
        route(&hand.with(Scheme::Http, None), Scheme::Http, "h", 80),
        "NoneSet"
    );
}

quickcheck! {
    /// A prefix excludes exactly the addresses that agree with it in its bits.
    fn blocks_of_addresses(ip: u32, network: u32, bits: u8) -> bool {
        let bits = bits % 33;
        let (ip, net) = (core::net::Ipv4Addr::from(ip), core::net::Ipv4Addr::from(network));
        let list = NoProxy::parse(&format!("{net}/{bits}"));
        let text = |a: core::net::Ipv4Addr| format!("{:032b}", a.to_bits());
        let same = text(ip)[..usize::from(bits)] == text(net)[..usize::from(bits)];
        list.excludes(&ip.to_string(), 1) == same
    }

    /// Nothing panics, and no secret is shown.
    fn any_text(text: String, host: String, bytes: Vec<u8>) -> bool {
        let _ = NoProxy::parse(&text).excludes(&host, 80);
        let _ = NoProxy::parse(&String::from_utf8_lossy(&bytes)).excludes(&text, 80);
        match Proxy::parse(&format!("http://user:qqSECRETqq{text}@p")) {
            Ok(p) => !format!("{p:?} {p}").contains("SECRET"),
            Err(e) => !format!("{e:?} {e}").contains("SECRET"),
        }
    }
}

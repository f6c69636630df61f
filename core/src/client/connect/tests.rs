//! Tests of the way to a connection, as transcripts in virtual time; then any order of results.

use super::*;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use core::num::NonZeroUsize;
use quickcheck::{TestResult, quickcheck};

fn t(ms: u64) -> Instant {
    Instant::from_millis(ms)
}

const V6A: &str = "[2001:db8::a]:443";
const V6B: &str = "[2001:db8::b]:443";
const V4A: &str = "192.0.2.1:443";
const V4B: &str = "192.0.2.2:443";

fn addresses(list: &[&str]) -> Vec<SocketAddr> {
    list.iter().map(|a| a.parse().unwrap()).collect()
}

fn connect(scheme: Scheme, proxy: Option<&str>) -> Connect {
    let proxy = proxy.map(|p| p.parse().unwrap());
    Connect::new(ConnectConfig::DEFAULT, scheme, "h.example", 443, proxy, t(0))
}

/// What is to be done now, worded; the last is the wait, or the end.
fn steps(c: &mut Connect) -> Vec<String> {
    let mut lines = vec![];
    loop {
        let step = c.next_step();
        lines.push(match &step {
            Step::Resolve { host, port } => format!("resolve {host}:{port}"),
            Step::Dial { address, attempt } => format!("dial {} {address}", attempt.0),
            Step::Cancel { attempt } => format!("cancel {}", attempt.0),
            Step::Tls { server_name, peer } => format!("tls {server_name} {peer:?}"),
            Step::Tunnel { host, port } => format!("tunnel {host}:{port}"),
            Step::Socks(SocksTarget::Address(a)) => format!("socks {a}"),
            Step::Socks(SocksTarget::Name(host, port)) => format!("socks {host}:{port}"),
            Step::WaitUntil(Some(at)) => format!("wait {}", at.since_origin().as_millis()),
            Step::WaitUntil(None) => "wait".into(),
            Step::Done(d) => format!(
                "done {} {:?}{}",
                d.attempt.0,
                d.alpn,
                if d.absolute_form { " absolute" } else { "" }
            ),
            Step::Failed(e) => format!("failed: {e}"),
        });
        if matches!(step, Step::WaitUntil(_) | Step::Done(_) | Step::Failed(_)) {
            // States are told as often as is asked.
            assert_eq!(c.next_step(), step);
            return lines;
        }
    }
}

fn dialing(list: &[&str]) -> Connect {
    let mut c = connect(Scheme::Http, None);
    assert_eq!(steps(&mut c), ["resolve h.example:443", "wait 30000"]);
    c.resolved(&addresses(list), t(0));
    c
}

#[test]
fn happy_eyeballs() {
    let mut c = dialing(&[V6A, V6B, V4A]);
    // t=0 dial a; t=250 dial the other family; t=300 a fails, so the third starts at once; t=320 the second wins.
    assert_eq!(steps(&mut c), ["dial 0 [2001:db8::a]:443", "wait 250"]);
    c.handle_timeout(t(249));
    assert_eq!(steps(&mut c), ["wait 250"]);
    c.handle_timeout(t(250));
    assert_eq!(steps(&mut c), ["dial 1 192.0.2.1:443", "wait 500"]);
    c.dial_failed(AttemptId(0), DialFailure::Unreachable, t(300));
    assert_eq!(steps(&mut c), ["dial 2 [2001:db8::b]:443", "wait 10250"]);
    assert_eq!(c.under_way(), 2);
    assert_eq!(c.dialed(AttemptId(1), t(320)), Dialed::Won);
    assert_eq!(steps(&mut c), ["cancel 2", "done 1 None"]);
    // Late results change nothing.
    assert_eq!(c.dialed(AttemptId(2), t(321)), Dialed::TooLate);
    assert_eq!(c.dialed(AttemptId(1), t(321)), Dialed::TooLate);
    c.dial_failed(AttemptId(2), DialFailure::Refused, t(322));
    c.handle_timeout(t(99_999));
    c.cancel();
    assert_eq!(steps(&mut c), ["done 1 None"]);
    assert_eq!(c.deadline(), None);
}

#[test]
fn every_address_fails() {
    let mut c = dialing(&[V6A, V4A]);
    let _ = steps(&mut c);
    c.dial_failed(AttemptId(0), DialFailure::Unreachable, t(5));
    assert_eq!(steps(&mut c), ["dial 1 192.0.2.1:443", "wait 10005"]);
    // The second is given up after its own 10 s.
    c.handle_timeout(t(10_005));
    assert_eq!(
        steps(&mut c),
        [
            "cancel 1",
            "failed: dialling h.example:443: no address could be reached ([2001:db8::a]:443: unreachable, \
             192.0.2.1:443: timed out)"
        ]
    );
    let Step::Failed(e) = c.next_step() else { panic!() };
    assert_eq!((e.phase(), e.cause()), (Phase::Dial, ConnectCause::AllFailed));
    assert_eq!(
        (e.count(DialFailure::TimedOut), e.count(DialFailure::Refused)),
        (1, 0)
    );
    assert_eq!(c.dialed(AttemptId(1), t(10_006)), Dialed::TooLate);
}

#[test]
fn the_order_of_addresses() {
    let order = |list: &[&str], first| {
        let config = ConnectConfig {
            first,
            ..ConnectConfig::DEFAULT
        };
        interleave(&addresses(list), &config)
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
    };
    use FirstFamily::{AsResolved, V4, V6};
    assert_eq!(order(&[V6A, V6B, V4A, V4B], AsResolved), [V6A, V4A, V6B, V4B]);
    assert_eq!(order(&[V4A, V4B, V6A], AsResolved), [V4A, V6A, V4B]);
    assert_eq!(order(&[V4A, V4B, V6A], V6), [V6A, V4A, V4B]);
    assert_eq!(order(&[V6A, V6B, V4A], V4), [V4A, V6A, V6B]);
    assert_eq!(order(&[V4A, V4A, V4B, V4A], V6), [V4A, V4B]);
    assert_eq!(order(&[], V6), [""; 0]);
    let config = ConnectConfig {
        max_attempts: NonZeroUsize::new(3).unwrap(),
        ..ConnectConfig::DEFAULT
    };
    assert_eq!(interleave(&addresses(&[V4A, V6A, V4B, V6B]), &config).len(), 3);
}

#[test]
fn a_full_field_waits_and_does_not_spin() {
    let mut c = connect(Scheme::Http, None);
    c.config.max_under_way = NonZeroUsize::new(1).unwrap();
    c.resolved(&addresses(&[V6A, V4A]), t(0));
    // The second may not start at 250 ms, so nobody is woken then.
    assert_eq!(steps(&mut c)[1..], ["dial 0 [2001:db8::a]:443", "wait 10000"]);
    c.handle_timeout(t(250));
    assert_eq!(steps(&mut c), ["wait 10000"]);
    c.dial_failed(AttemptId(0), DialFailure::Refused, t(300));
    assert_eq!(steps(&mut c), ["dial 1 192.0.2.1:443", "wait 10300"]);
}

#[test]
fn resolving() {
    let mut c = dialing(&[]);
    assert_eq!(
        steps(&mut c),
        ["failed: resolving h.example:443: the name has no address"]
    );
    let mut c = connect(Scheme::Http, None);
    c.resolve_failed(t(1));
    assert_eq!(
        steps(&mut c),
        ["failed: resolving h.example:443: the name could not be resolved"]
    );
    let mut c = connect(Scheme::Http, None);
    let _ = steps(&mut c);
    c.handle_timeout(t(30_000));
    assert_eq!(
        steps(&mut c),
        ["failed: resolving h.example:443: it took too long"]
    );
    c.resolved(&addresses(&[V4A]), t(30_001));
    assert_eq!(steps(&mut c).len(), 1);
    // An address needs no resolver.
    let mut c = Connect::new(ConnectConfig::DEFAULT, Scheme::Https, "[::1]", 1, None, t(0));
    assert_eq!(steps(&mut c), ["dial 0 [::1]:1", "wait 10000"]);
    let _ = c.dialed(AttemptId(0), t(1));
    assert_eq!(steps(&mut c), ["tls ::1 Target", "wait 10001"]);
}

#[test]
fn a_step_not_told_yet_is_taken_back() {
    let mut c = dialing(&[V6A]);
    c.cancel();
    assert_eq!(steps(&mut c), ["failed: dialling h.example:443: cancelled"]);
    let mut c = connect(Scheme::Http, None);
    c.cancel();
    assert_eq!(steps(&mut c), ["failed: resolving h.example:443: cancelled"]);
}

#[test]
fn the_time_of_the_whole() {
    let config = ConnectConfig {
        total_timeout: Some(Duration::from_secs(1)),
        ..ConnectConfig::DEFAULT
    };
    let mut c = Connect::new(config, Scheme::Https, "1.2.3.4", 443, None, t(0));
    assert_eq!(steps(&mut c), ["dial 0 1.2.3.4:443", "wait 1000"]);
    let mut late = c.clone();
    assert_eq!(c.dialed(AttemptId(0), t(900)), Dialed::Won);
    assert_eq!(steps(&mut c), ["tls 1.2.3.4 Target", "wait 1000"]);
    c.handle_timeout(t(1000));
    assert_eq!(
        steps(&mut c),
        [
            "cancel 0",
            "failed: TLS with the target 1.2.3.4:443: making the connection took too long"
        ]
    );
    // A result at the deadline is too late also when the clock was not looked at before.
    assert_eq!(late.dialed(AttemptId(0), t(1000)), Dialed::TooLate);
    assert_eq!(steps(&mut late)[0], "cancel 0");
}

/// The whole way for each kind of proxy and both schemes; every phase in its place.
#[test]
fn ways() {
    type Way<'a> = (Option<&'a str>, Scheme, &'a [&'a str]);
    #[rustfmt::skip]
    let table: &[Way<'_>] = &[
        (None, Scheme::Http, &["resolve h.example:443", "dial", "done 0 None"]),
        (None, Scheme::Https, &["resolve h.example:443", "dial", "tls h.example Target", "done 0 Http1"]),
        (Some("http://p:1"), Scheme::Http, &["resolve p:1", "dial", "done 0 None absolute"]),
        (Some("http://p:1"), Scheme::Https,
            &["resolve p:1", "dial", "tunnel h.example:443", "tls h.example Target", "done 0 Http1"]),
        (Some("https://p:1"), Scheme::Http, &["resolve p:1", "dial", "tls p Proxy", "done 0 None absolute"]),
        (Some("https://p:1"), Scheme::Https,
            &["resolve p:1", "dial", "tls p Proxy", "tunnel h.example:443", "tls h.example Target", "done 0 Http1"]),
        (Some("socks5h://p:1"), Scheme::Http, &["resolve p:1", "dial", "socks h.example:443", "done 0 None"]),
        (Some("socks5h://p:1"), Scheme::Https,
            &["resolve p:1", "dial", "socks h.example:443", "tls h.example Target", "done 0 Http1"]),
        (Some("socks5://p:1"), Scheme::Http,
            &["resolve h.example:443", "resolve p:1", "dial", "socks [2001:db8::a]:443", "done 0 None"]),
        (Some("socks5://9.9.9.9:1"), Scheme::Https,
            &["resolve h.example:443", "dial", "socks [2001:db8::a]:443", "tls h.example Target", "done 0 Http1"]),
    ];
    for (proxy, scheme, want) in table {
        let mut c = connect(*scheme, *proxy);
        let mut way = vec![];
        let mut now = 0;
        loop {
            let line = steps(&mut c).remove(0);
            let kind = line.split(' ').next().unwrap().to_string();
            way.push(if kind == "dial" { kind.clone() } else { line });
            now += 1;
            match &*kind {
                "resolve" => c.resolved(&addresses(&[V6A, V4A]), t(now)),
                "dial" => assert_eq!(c.dialed(AttemptId(0), t(now)), Dialed::Won),
                "tls" => c.tls_done(Some(b"http/1.1"), t(now)),
                "tunnel" | "socks" => c.proxy_done(t(now)),
                "done" => break,
                other => panic!("{other}"),
            }
        }
        assert_eq!(way, *want, "{proxy:?} {scheme:?}");
    }
}

#[test]
fn failures_name_their_phase() {
    let proxied = |fail: fn(&mut Connect)| {
        let mut c = connect(Scheme::Https, Some("https://u:SECRET@p:1"));
        c.resolved(&addresses(&[V4A]), t(0));
        fail(&mut c);
        assert!(!format!("{c:?}").contains("SECRET"));
        steps(&mut c).pop().unwrap()
    };
    fn at_tls(c: &mut Connect) {
        assert_eq!(c.dialed(AttemptId(0), t(1)), Dialed::Won);
    }
    fn at_tunnel(c: &mut Connect) {
        at_tls(c);
        c.tls_done(None, t(2));
    }
    assert_eq!(
        proxied(|c| c.dial_failed(AttemptId(0), DialFailure::Refused, t(1))),
        "failed: dialling p:1 (on the way through a proxy): no address could be reached (192.0.2.1:443: connection refused)"
    );
    assert_eq!(
        proxied(|c| {
            at_tls(c);
            c.tls_failed(t(2));
        }),
        "failed: TLS with the proxy p:1: the handshake failed"
    );
    assert_eq!(
        proxied(|c| {
            at_tunnel(c);
            c.tunnel_failed(TunnelError::Refused(crate::Status::new(407).unwrap()), t(3));
        }),
        "failed: asking the proxy p:1: the proxy answered CONNECT with 407 Proxy Authentication Required"
    );
    assert_eq!(
        proxied(|c| {
            at_tunnel(c);
            c.handle_timeout(t(60_002));
        }),
        "failed: asking the proxy p:1: it took too long"
    );
    assert_eq!(
        proxied(|c| {
            at_tunnel(c);
            c.proxy_done(t(3));
            c.tls_failed(t(4));
        }),
        "failed: TLS with the target h.example:443: the handshake failed"
    );
}

/// What happens next to a race of dials.
fn play(ops: &[(u8, u8, u16)], count: u8, most: u8, total_ms: u16) -> Result<(), String> {
    let (count, most) = (usize::from(count % 9), usize::from(most % 4) + 1);
    let total = u64::from(total_ms) + 1;
    let config = ConnectConfig {
        max_attempts: NonZeroUsize::new(6).unwrap(),
        max_under_way: NonZeroUsize::new(most).unwrap(),
        attempt_timeout: Some(Duration::from_millis(700)),
        total_timeout: Some(Duration::from_millis(total)),
        ..ConnectConfig::DEFAULT
    };
    let mut c = Connect::new(config, Scheme::Http, "h", 80, None, t(0));
    let list: Vec<SocketAddr> = (0..count)
        .map(|i| {
            if i % 3 == 0 {
                SocketAddr::from(([1, 1, 1, i as u8], 1))
            } else {
                SocketAddr::from(([i as u16; 8], 1))
            }
        })
        .collect();
    let (mut now, mut dialed, mut open, mut winners) = (0, 0, vec![], vec![]);
    let mut ops = ops.iter().copied();
    for _ in 0..10_000 {
        // Do all that is said.
        loop {
            match c.next_step() {
                Step::Resolve { .. } => c.resolved(&list, t(now)),
                Step::Dial { attempt, .. } => {
                    dialed += 1;
                    open.push(attempt);
                }
                Step::Cancel { attempt } => {
                    let Some(i) = open.iter().position(|a| *a == attempt) else {
                        return Err("cancels what is not under way".into());
                    };
                    open.remove(i);
                }
                Step::WaitUntil(at) => {
                    let at = at.ok_or("waits for ever")?;
                    if at <= t(now) {
                        return Err("the deadline has passed and is waited for".into());
                    }
                    break;
                }
                Step::Done(d) => {
                    return if winners == [d.attempt] && open.is_empty() && now < total {
                        Ok(())
                    } else {
                        Err(format!("done: winners {winners:?}, open {open:?}, now {now}"))
                    };
                }
                Step::Failed(_) => {
                    return if winners.is_empty() && open.is_empty() && now <= total {
                        Ok(())
                    } else {
                        Err(format!("failed: winners {winners:?}, open {open:?}, now {now}"))
                    };
                }
                other => return Err(format!("{other:?}")),
            }
        }
        if open.len() > most || dialed > 6 || open.len() != c.under_way() {
            return Err(format!("{} under way, {dialed} dialled", open.len()));
        }
        // Something happens: a result (also of an attempt that is none any more), or time passes, at most to the deadline.
        let (what, which, ms) = ops.next().unwrap_or((2, 0, u16::MAX));
        let deadline = c
            .deadline()
            .map_or(u64::MAX, |d| d.since_origin().as_millis() as u64);
        now = deadline.min(now + u64::from(ms) % 400);
        if what % 8 > 1 {
            now = if ms == u16::MAX { deadline } else { now };
            c.handle_timeout(t(now));
            continue;
        }
        let attempt = AttemptId(u32::from(which % 7));
        let was_open = open.iter().position(|a| *a == attempt);
        if what % 8 == 0 {
            if c.dialed(attempt, t(now)) == Dialed::Won {
                let i = was_open.ok_or("a late one wins")?;
                winners.push(open.remove(i));
            }
        } else {
            let before = c.under_way();
            c.dial_failed(attempt, DialFailure::Refused, t(now));
            if let Some(i) = was_open
                && now < total
            {
                open.remove(i);
            } else if c.under_way() != before && now < total {
                return Err("a late failure changes something".into());
            }
        }
        // Both sides of the deadline must be handled by the clock too.
        c.handle_timeout(t(now));
    }
    Err("it does not end".into())
}

quickcheck! {
    /// Any results in any order at any time: it ends, with one winner and all others cancelled, or with none; never more
    /// under way than may be; and not after its time.
    fn any_order_of_results(ops: Vec<(u8, u8, u16)>, count: u8, most: u8, total_ms: u16) -> TestResult {
        match play(&ops, count, most, total_ms) {
            Ok(()) => TestResult::passed(),
            Err(why) => TestResult::error(why),
        }
    }
}

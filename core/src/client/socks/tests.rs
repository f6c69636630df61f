//! Tests of the SOCKS5 machine, as transcripts: `>` is what the client writes, `<` what the proxy answers.

use super::*;
use alloc::string::String;
use alloc::vec;
use quickcheck::{TestResult, quickcheck};

fn ann() -> Credentials {
    Credentials::new("ann", "pw")
}

/// Plays a transcript; the machine must write exactly what stands behind `>`.
fn play(socks: &mut Socks5, lines: &[(char, &[u8])]) {
    for (who, bytes) in lines {
        match who {
            '>' => {
                assert_eq!(socks.outgoing(), *bytes);
                assert_eq!(socks.needs(), 0);
                socks.sent(bytes.len()).unwrap();
            }
            _ => assert_eq!(socks.received(bytes), bytes.len(), "{bytes:?}"),
        }
    }
}

#[test]
fn by_name_without_password() {
    let mut s = Socks5::by_name("h.example", 80, None).unwrap();
    play(
        &mut s,
        &[
            ('>', &[5, 1, 0]),
            ('<', &[5, 0]),
            ('>', b"\x05\x01\x00\x03\x09h.example\x00\x50"),
            ('<', &[5, 0, 0, 1, 1, 2, 3, 4, 0, 80]),
        ],
    );
    assert_eq!(
        s.result(),
        Some(Ok(Bound::Address("1.2.3.4:80".parse().unwrap())))
    );
    assert_eq!(s.received(b"HTTP/1.1"), 0);
    assert_eq!((s.outgoing().len(), s.needs()), (0, 0));
}

#[test]
fn by_address_with_password() {
    let mut s = Socks5::by_address("[2001:db8::1]:443".parse().unwrap(), Some(&ann())).unwrap();
    play(
        &mut s,
        &[
            ('>', &[5, 2, 0, 2]),
            ('<', &[5, 2]),
            ('>', b"\x01\x03ann\x02pw"),
            ('<', &[1, 0]),
            (
                '>',
                b"\x05\x01\x00\x04\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x01\xbb",
            ),
            ('<', b"\x05\x00\x00\x03\x02ab\x01\x02"),
        ],
    );
    assert_eq!(s.result(), Some(Ok(Bound::Name(258))));
}

#[test]
fn a_proxy_that_wants_no_password_does_not_get_it() {
    let mut s = Socks5::by_name("h", 1, Some(&ann())).unwrap();
    play(
        &mut s,
        &[
            ('>', &[5, 2, 0, 2]),
            ('<', &[5, 0]),
            ('>', b"\x05\x01\x00\x03\x01h\x00\x01"),
        ],
    );
    assert_eq!(s.result(), None);
}

#[test]
fn names_that_are_addresses_are_asked_for_as_such() {
    for (name, address) in [("1.2.3.4", "1.2.3.4:9"), ("::1", "[::1]:9"), ("[::1]", "[::1]:9")] {
        let a = Socks5::by_name(name, 9, None).unwrap();
        let b = Socks5::by_address(address.parse().unwrap(), None).unwrap();
        assert_eq!(a.request, b.request);
    }
}

/// Each way to fail, and the error that names it.
#[test]
fn failures() {
    const REQUEST: &[u8] = b"\x05\x01\x00\x03\x01h\x00\x01";
    let answered = |reply: &'static [u8]| {
        let mut s = Socks5::by_name("h", 1, None).unwrap();
        play(&mut s, &[('>', &[5, 1, 0]), ('<', &[5, 0]), ('>', REQUEST)]);
        s.received(reply);
        s.result().unwrap().unwrap_err()
    };
    for code in 1..=255 {
        let reply: &'static [u8] = vec![5, code].leak();
        let error = answered(reply);
        assert_eq!(error, SocksError::Reply(Reply::of(code)));
        assert!(alloc::format!("{error}").contains(&alloc::format!("reply {code}")));
    }
    assert_eq!(answered(b"\x04\x00"), SocksError::Version(4));
    assert_eq!(answered(b"\x05\x00\x00\x02\x00"), SocksError::AddressType(2));
    assert_eq!(answered(b"HTTP/1.1 400"), SocksError::Version(b'H'));

    let greeted = |reply: &[u8], credentials: Option<&Credentials>| {
        let mut s = Socks5::by_name("h", 1, credentials).unwrap();
        s.sent(s.outgoing().len()).unwrap();
        s.received(reply);
        s
    };
    let error = |s: Socks5| s.result().unwrap().unwrap_err();
    assert_eq!(error(greeted(&[5, 255], None)), SocksError::NoMethod);
    assert_eq!(error(greeted(&[5, 2], None)), SocksError::Method(2));
    assert_eq!(error(greeted(&[5, 1], Some(&ann()))), SocksError::Method(1));
    assert_eq!(error(greeted(&[0, 90], None)), SocksError::Version(0));
    assert_eq!(error(greeted(&[5, 0, 5], None)), SocksError::Unasked);
    let mut s = greeted(&[5, 2], Some(&ann()));
    s.sent(s.outgoing().len()).unwrap();
    s.received(&[1, 7]);
    assert_eq!(error(s), SocksError::Refused(7));
    let mut s = greeted(&[5], None);
    s.received_eof();
    assert_eq!(s.received(&[0]), 0);
    assert_eq!(error(s), SocksError::Closed);

    let mut s = Socks5::by_name("h", 1, None).unwrap();
    assert_eq!(s.sent(4), Err(Misuse::TooMuch));
    assert_eq!(s.received(b"220 ftp"), 0);
    assert_eq!(error(s), SocksError::Unasked);

    let long = "x".repeat(256);
    let refused = |host: &str, c: Option<&Credentials>| Socks5::by_name(host, 1, c).unwrap_err();
    assert_eq!(refused(&long, None), SocksError::Name);
    assert_eq!(refused("", None), SocksError::Name);
    for (user, password) in [("", "p"), ("u", ""), (&*long, "p"), ("u", &*long)] {
        let c = Credentials::new(user, password);
        assert_eq!(refused("h", Some(&c)), SocksError::Credentials);
    }
    assert!(Socks5::by_name(&long[1..], 1, Some(&Credentials::new(&long[1..], &long[1..]))).is_ok());
}

#[test]
fn nothing_secret_is_shown() {
    let s = Socks5::by_name("h", 1, Some(&Credentials::new("SECRET", "SECRET"))).unwrap();
    let mut t = s.clone();
    t.sent(4).unwrap();
    t.received(&[5, 2]);
    assert!(t.outgoing().windows(6).any(|w| w == b"SECRET"));
    assert!(!alloc::format!("{s:?} {t:?}").contains("SECRET"));
}

quickcheck! {
    /// However writes and reads are cut: the same bytes out, the same result, and exactly the handshake's bytes taken.
    fn any_split(cuts: Vec<u8>, v6: bool, name: Option<u8>, rest: Vec<u8>) -> bool {
        let mut s = Socks5::by_name("h", 1, Some(&ann())).unwrap();
        let mut reply = vec![5, 0, 0];
        match (name, v6) {
            (Some(len), _) => {
                reply.extend([3, len]);
                reply.extend(core::iter::repeat_n(b'n', usize::from(len)));
            }
            (None, true) => reply.extend([4].into_iter().chain([7; 16])),
            (None, false) => reply.extend([1, 7, 7, 7, 7]),
        }
        reply.extend([1, 2]);
        let answers = [&[5, 2][..], &[1, 0], &reply];
        let mut cuts = cuts.into_iter().cycle().map(|c| usize::from(c % 7) + 1);
        let mut cut = || cuts.next().unwrap_or(1);
        let mut out = vec![];
        for (i, answer) in answers.into_iter().enumerate() {
            while !s.outgoing().is_empty() {
                let n = cut().min(s.outgoing().len());
                out.extend_from_slice(&s.outgoing()[..n]);
                s.sent(n).unwrap();
            }
            let mut stream = answer.to_vec();
            let handshake = stream.len();
            if i == 2 {
                stream.extend_from_slice(&rest);
            }
            let mut at = 0;
            while at < handshake {
                let needs = s.needs();
                // A machine that asks for too much would make the caller read the target's bytes.
                if needs == 0 || at + needs > handshake || s.result().is_some() {
                    return false;
                }
                let n = cut().min(stream.len() - at);
                let taken = s.received(&stream[at..at + n]);
                if taken != n.min(handshake - at) {
                    return false;
                }
                at += taken;
            }
        }
        let bound = matches!(s.result(), Some(Ok(_)));
        bound && s.received(&rest) == 0
            && out == b"\x05\x02\x00\x02\x01\x03ann\x02pw\x05\x01\x00\x03\x01h\x00\x01"
    }

    /// Whatever comes: no panic, never more than the longest answer held, a result that stays.
    fn any_bytes(reads: Vec<Vec<u8>>, greet: bool) -> TestResult {
        let mut s = Socks5::by_name("h", 1, Some(&ann())).unwrap();
        if greet {
            s.sent(4).unwrap();
            s.received(&[5, 0]);
        }
        for read in &reads {
            s.sent(s.outgoing().len()).unwrap();
            let before = s.result();
            s.received(read);
            if s.input.len() > LONGEST || (before.is_some() && s.result() != before) {
                return TestResult::failed();
            }
        }
        s.received_eof();
        TestResult::from_bool(s.result().is_some() && !alloc::format!("{s:?}").contains("ann"))
    }
}

/// The error's texts name the phase; none is empty.
#[test]
fn errors_say_something() {
    let texts: Vec<String> = [
        SocksError::Name,
        SocksError::Version(4),
        SocksError::NoMethod,
        SocksError::Reply(Reply::NotAllowed),
        SocksError::Closed,
    ]
    .iter()
    .map(|e| alloc::format!("{e}"))
    .collect();
    assert_eq!(
        texts[3],
        "the SOCKS proxy did not connect: not allowed by its rules (reply 2)"
    );
    assert!(texts.iter().all(|t| t.contains("SOCKS")));
}

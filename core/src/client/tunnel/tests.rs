//! Tests of CONNECT, as transcripts.

use super::*;
use alloc::vec::Vec;
use quickcheck::quickcheck;

const T: Instant = Instant::ZERO;

/// The whole request.
fn written(tunnel: &Tunnel) -> String {
    let mut slices = [&[][..]; 8];
    let n = tunnel.outgoing().slices(&mut slices);
    String::from_utf8(slices[..n].concat()).unwrap()
}

fn sent(request: &TunnelRequest<'_>) -> Tunnel {
    let mut tunnel = Tunnel::new(request, T).unwrap();
    let n = written(&tunnel).len();
    tunnel.sent(n as u64, T).unwrap();
    tunnel
}

fn answered(answer: &[u8]) -> Tunnel {
    let mut tunnel = sent(&TunnelRequest::new("h", 443));
    tunnel.received_copy(answer, T);
    tunnel
}

#[test]
fn the_request() {
    let tunnel = Tunnel::new(&TunnelRequest::new("::1", 8443), T).unwrap();
    assert_eq!(
        written(&tunnel),
        "CONNECT [::1]:8443 HTTP/1.1\r\nhost: [::1]:8443\r\n\r\n"
    );

    let mut headers = Headers::new();
    headers.append("User-Agent", "kettle/1").unwrap();
    headers.append("Proxy-Authorization", "Bearer t").unwrap();
    let credentials = Credentials::new("ann", "secret");
    let mut request = TunnelRequest {
        headers: headers.as_fields(),
        ..TunnelRequest::new("h", 443)
    };
    assert_eq!(
        written(&Tunnel::new(&request, T).unwrap()),
        "CONNECT h:443 HTTP/1.1\r\nhost: h:443\r\nUser-Agent: kettle/1\r\nProxy-Authorization: Bearer t\r\n\r\n"
    );
    request.credentials = Some(&credentials);
    let tunnel = Tunnel::new(&request, T).unwrap();
    assert_eq!(
        written(&tunnel),
        "CONNECT h:443 HTTP/1.1\r\nhost: h:443\r\nproxy-authorization: Basic YW5uOnNlY3JldA==\r\n\
         User-Agent: kettle/1\r\n\r\n"
    );
    assert!(!format!("{tunnel:?}").contains("YW5u"));
}

#[test]
fn requests_that_may_not_be_sent() {
    for (host, port) in [
        ("", 1),
        ("h", 0),
        ("h:1", 1),
        ("a b", 1),
        ("h\r\nx: y", 1),
        ("a/b", 1),
        ("u@h", 1),
    ] {
        let error = Tunnel::new(&TunnelRequest::new(host, port), T).unwrap_err();
        assert_eq!(error, TunnelError::Request(Misuse::Target), "{host:?} {port}");
    }
    for (name, misuse) in [
        ("Host", Misuse::HostField),
        ("Content-Length", Misuse::ForbiddenField),
        ("Transfer-Encoding", Misuse::ForbiddenField),
    ] {
        let mut headers = Headers::new();
        headers.append(name, "1").unwrap();
        let request = TunnelRequest {
            headers: headers.as_fields(),
            ..TunnelRequest::new("h", 1)
        };
        assert_eq!(
            Tunnel::new(&request, T).unwrap_err(),
            TunnelError::Request(misuse)
        );
    }
}

#[test]
fn only_200_makes_a_tunnel() {
    let tunnel = answered(b"HTTP/1.0 200 OK\r\nVia: p\r\nContent-Length: 9\r\n\r\n\x16rest");
    assert_eq!(tunnel.result(), Some(Ok(())));
    assert_eq!(tunnel.head().unwrap().header("via"), Some(&b"p"[..]));
    assert!(!tunnel.wants().read && !tunnel.wants().write);
    assert_eq!(tunnel.into_parts().unread, b"\x16rest"[..]);
    for code in [201, 204, 299, 301, 403, 407, 502] {
        let answer = format!("HTTP/1.1 {code} x\r\nContent-Length: 0\r\nProxy-Authenticate: Basic\r\n\r\n");
        let tunnel = answered(answer.as_bytes());
        let status = Status::new(code).unwrap();
        assert_eq!(tunnel.result(), Some(Err(TunnelError::Refused(status))));
        assert_eq!(
            tunnel.head().unwrap().header("proxy-authenticate"),
            Some(&b"Basic"[..])
        );
    }
    // Interim answers decide nothing.
    let mut tunnel = answered(b"HTTP/1.1 102 x\r\n\r\n");
    assert_eq!(tunnel.result(), None);
    tunnel.received_copy(b"HTTP/1.1 200 x\r\n\r\n", T);
    assert_eq!(tunnel.result(), Some(Ok(())));
}

#[test]
fn the_other_ends() {
    assert!(matches!(
        answered(b"SSH-2.0\r\n\r\n").result(),
        Some(Err(TunnelError::Proxy(_)))
    ));
    assert!(matches!(
        answered(b"HTTP/1.1 101 x\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n").result(),
        Some(Err(TunnelError::Proxy(_)))
    ));
    let mut tunnel = answered(b"");
    tunnel.received_eof(T);
    assert_eq!(
        tunnel.result(),
        Some(Err(TunnelError::Closed(CloseReason::PeerClosed)))
    );
    let mut tunnel = answered(b"HTTP/1.1 200");
    tunnel.received_eof(T);
    assert!(matches!(tunnel.result(), Some(Err(TunnelError::Proxy(_)))));
    let mut tunnel = answered(b"");
    tunnel.read_failed(T);
    assert_eq!(
        tunnel.result(),
        Some(Err(TunnelError::Closed(CloseReason::ReadFailed)))
    );
    // A write that failed: an answer may still be there, but not for long.
    let mut tunnel = Tunnel::new(&TunnelRequest::new("h", 1), T).unwrap();
    tunnel.write_failed(T);
    assert_eq!(tunnel.result(), None);
    let at = tunnel.deadline(T).unwrap();
    assert_eq!(at, Instant::from_millis(50));
    tunnel.handle_timeout(at);
    assert_eq!(
        tunnel.result(),
        Some(Err(TunnelError::Closed(CloseReason::WriteFailed)))
    );
}

#[test]
fn the_deadline() {
    // t=0 CONNECT is sent; t=59.999 s a slow answer has begun; t=60 s it is over.
    let mut tunnel = sent(&TunnelRequest::new("h", 443));
    assert_eq!(tunnel.deadline(T), Some(Instant::from_millis(60_000)));
    tunnel.received_copy(b"HTTP/1.1 200 OK\r\nx: ", Instant::from_millis(59_999));
    tunnel.handle_timeout(Instant::from_millis(59_999));
    assert_eq!(tunnel.result(), None);
    tunnel.handle_timeout(Instant::from_millis(60_000));
    assert_eq!(tunnel.result(), Some(Err(TunnelError::Timeout)));
    // What comes late changes nothing.
    tunnel.received_copy(b"\r\n\r\n", Instant::from_millis(60_001));
    assert_eq!(tunnel.result(), Some(Err(TunnelError::Timeout)));
    assert_eq!(tunnel.deadline(Instant::from_millis(60_001)), None);

    let mut tunnel = sent(&TunnelRequest {
        timeout: None,
        ..TunnelRequest::new("h", 443)
    });
    assert_eq!(tunnel.deadline(T), None);
    tunnel.handle_timeout(Instant::MAX);
    assert_eq!(tunnel.result(), None);
}

/// An endless head ends.
#[test]
fn an_endless_answer_is_bounded() {
    for line in [&b"x: yyyyyyyyyyyyyyyy\r\n"[..], b"yyyyyyyyyyyyyyyyyyyy"] {
        let mut tunnel = answered(b"HTTP/1.1 200 OK\r\nx: y");
        let mut taken = 0;
        while tunnel.result().is_none() && taken < 1 << 20 {
            taken += tunnel.received_copy(line, T);
        }
        assert!(matches!(tunnel.result(), Some(Err(TunnelError::Proxy(_)))));
    }
    let mut tunnel = answered(b"");
    for _ in 0..101 {
        tunnel.received_copy(b"HTTP/1.1 103 x\r\n\r\n", T);
    }
    assert!(matches!(tunnel.result(), Some(Err(TunnelError::Proxy(_)))));
}

quickcheck! {
    /// However the answer is cut: the same result, and every byte behind the head is handed on.
    fn any_split(cuts: Vec<u8>, rest: Vec<u8>, ok: bool) -> bool {
        let status = if ok { 200 } else { 407 };
        let mut stream = format!("HTTP/1.1 100 x\r\n\r\nHTTP/1.1 {status} x\r\nVia: p\r\n\r\n").into_bytes();
        let head = stream.len();
        stream.extend_from_slice(&rest);
        let mut tunnel = sent(&TunnelRequest::new("h", 443));
        let mut cuts = cuts.into_iter().cycle().map(|c| usize::from(c % 9) + 1);
        let mut at = 0;
        while tunnel.result().is_none() {
            if at >= head {
                return false;
            }
            let n = cuts.next().unwrap_or(1).min(stream.len() - at);
            let space = tunnel.recv_space();
            space[..n].copy_from_slice(&stream[at..at + n]);
            tunnel.received(n, T).unwrap();
            at += n;
        }
        let via = tunnel.head().unwrap().header("via") == Some(b"p");
        let result = tunnel.result();
        let unread = tunnel.into_parts().unread;
        via && if ok {
            result == Some(Ok(())) && unread == stream[head..at]
        } else {
            result == Some(Err(TunnelError::Refused(Status::new(407).unwrap())))
        }
    }
}

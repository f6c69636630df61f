//! What may be sent can be found out without a connection: `check_request` and `check_body` refuse exactly what a
//! connection that is ready would refuse, with the same reason.

use antiphon_core::h1::{BodyLen, ClientConfig, ClientConn};
use antiphon_core::{Field, Headers, Instant};
use std::sync::Arc;

fn ready() -> ClientConn {
    let mut config = ClientConfig::DEFAULT;
    config.timeouts.continue_wait = None;
    ClientConn::new(Arc::new(config), Instant::ZERO)
}

#[test]
fn heads() {
    let host = Field::from_static("host", "example.com");
    let expect = Field::from_static("expect", "100-continue");
    let length = Field::from_static("content-length", "3");
    let sections: [&[Field<'_>]; 5] = [&[host], &[], &[host, host], &[host, expect], &[host, length]];
    let targets = [
        "/",
        "/a b",
        "/a#b",
        "*",
        "example.com:80",
        "http://example.com/",
        "",
        "/\u{e9}",
        "a",
    ];
    let (mut good, mut bad) = (0, 0);
    for method in [
        "GET", "HEAD", "POST", "OPTIONS", "CONNECT", "", "GE T", "G\u{e9}T",
    ] {
        for target in targets {
            for fields in sections {
                for body in [BodyLen::None, BodyLen::Known(3), BodyLen::Unknown] {
                    let sent = ready().send_request(method, target, fields, body).map(drop);
                    let checked = ClientConn::check_request(method, target, fields, body);
                    assert_eq!(checked, sent, "{method:?} {target:?} {fields:?} {body:?}");
                    match sent {
                        Ok(()) => good += 1,
                        Err(_) => bad += 1,
                    }
                }
            }
        }
    }
    assert!(good > 20 && bad > 100, "{good} accepted, {bad} refused");
}

#[test]
fn bodies() {
    let host = [Field::from_static("host", "example.com")];
    let mut some = Headers::new();
    some.append("x-checksum", "abc").unwrap();
    let mut forbidden = Headers::new();
    forbidden.append("content-length", "1").unwrap();
    for declared in [
        BodyLen::None,
        BodyLen::Known(0),
        BodyLen::Known(3),
        BodyLen::Unknown,
    ] {
        for len in [0, 2, 3, 4] {
            for trailers in [&Headers::new(), &some, &forbidden] {
                let mut conn = ready();
                let id = conn.send_request("PUT", "/", &host, declared).unwrap();
                let sent = match len {
                    0 => Ok(()),
                    n => conn.send_body(id, vec![b'x'; n].into()),
                }
                .and_then(|()| conn.finish(id, trailers));
                let checked = ClientConn::check_body(declared, len as u64, trailers);
                assert_eq!(checked, sent, "{declared:?} {len} {trailers:?}");
            }
        }
    }
}

//! No `Debug` output of a public type shows a credential: a value of `Authorization`, `Proxy-Authorization`, `Cookie`
//! or `Set-Cookie`, or what stands before the host of a URL. Every run of
//! five bytes of the secret is looked for, as text and as a list of numbers.

use antiphon_core::h1::{BodyLen, Buffer, ClientConfig, ClientConn, ServerConfig, ServerConn, ServerEvent};
use antiphon_core::{
    Field, FieldName, FieldValue, Headers, Instant, Method, Request, Response, Status, Target, Version,
};
use std::fmt::Debug;
use std::sync::Arc;

const T0: Instant = Instant::ZERO;
const SECRET: &str = "xyzzy-plugh-plover";
const NAMES: [&str; 4] = ["Authorization", "proxy-authorization", "COOKIE", "Set-Cookie"];

fn hides(what: &str, value: &dyn Debug) {
    for text in [
        format!("{value:?}"),
        format!("{value:#?}"),
        format!("{value:02x?}"),
    ] {
        for part in SECRET.as_bytes().windows(5) {
            let word = std::str::from_utf8(part).expect("ASCII");
            let dense: String = text.split_whitespace().collect();
            for shape in [
                word.to_owned(),
                format!("{part:?}").trim_matches(['[', ']']).replace(' ', ""),
                format!("{part:02x?}").trim_matches(['[', ']']).replace(' ', ""),
            ] {
                assert!(!dense.contains(&shape), "{what} shows {shape:?}: {text}");
            }
        }
    }
}

fn headers() -> Headers {
    let mut headers = Headers::new();
    for name in NAMES {
        headers.append(name, SECRET).expect("a field");
    }
    headers
        .append("Location", format!("https://{SECRET}:{SECRET}@example.com/"))
        .expect("a field");
    headers.append("X-Visible", "as before").expect("a field");
    headers
}

fn head() -> String {
    NAMES.iter().map(|n| format!("{n}: {SECRET}\r\n")).collect()
}

#[test]
fn fields_and_messages() {
    let headers = headers();
    hides("Headers", &headers);
    hides("Fields", &headers.as_fields());
    hides("FieldsIter", &headers.iter());
    let value = FieldValue::new(SECRET.as_bytes()).expect("a value");
    hides("FieldValue", &value);
    for name in NAMES {
        let name = FieldName::new(name.as_bytes()).expect("a name");
        hides("Field", &Field::new(name, value));
    }
    let text = format!("{headers:?}");
    assert!(
        text.contains("X-Visible: \"as before\""),
        "what is no secret is shown: {text}"
    );
    assert!(text.contains("https://***@example.com/"), "{text}");

    let target = Target::new(format!("http://{SECRET}@example.com/a")).expect("a target");
    hides("Target", &target);
    hides(
        "an error about a value",
        &Headers::new().append("Cookie", format!("{SECRET}\n")),
    );
    hides(
        "an error about a name",
        &Headers::new().append(format!("{SECRET} "), "a"),
    );
    hides(
        "an error about a target",
        &Target::new(format!("http://{SECRET}@a b/")),
    );
    hides("an error about a method", &Method::new(format!("{SECRET} ")));
    hides(
        "Request",
        &Request {
            method: Method::GET,
            target,
            version: Version::Http11,
            headers: headers.clone(),
        },
    );
    hides(
        "Response",
        &Response {
            status: Status::OK,
            version: Version::Http11,
            headers,
        },
    );
}

#[test]
fn a_server_connection() {
    let mut conn = ServerConn::new(Arc::new(ServerConfig::DEFAULT), T0);
    hides("ServerConfig", &ServerConfig::DEFAULT);
    let wire = format!(
        "POST /a HTTP/1.1\r\nHost: x\r\n{}Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n{}\r\nGET / HTTP/1.1\r\n{}",
        head(),
        head(),
        head()
    );
    conn.received_copy(wire.as_bytes(), T0);
    hides("ServerConn with unread bytes", &conn);
    let Ok(Some(ServerEvent::Request { id, .. })) = conn.next_event() else {
        panic!("no request")
    };
    hides("RequestHead", &conn.head(id).expect("it has been read"));
    hides("OwnedHead", &conn.take_head(id));
    conn.next_event().expect("the body");
    conn.consume(1).expect("it is there");
    conn.next_event().expect("its end");
    assert_eq!(
        conn.trailers(id).map(|t| t.len()),
        None,
        "secrets may not stand in trailers"
    );
    conn.send_head(id, Status::OK, &headers(), BodyLen::None)
        .expect("unanswered");
    hides("Outgoing", &conn.outgoing());
    hides("Io", &conn.io());
    hides("ServerConn with output", &conn);
    let mut other = ServerConn::new(Arc::new(ServerConfig::DEFAULT), T0);
    other.received_copy(wire.as_bytes(), T0);
    hides("Parts with unread bytes", &other.into_parts());
    hides("Segments", &conn.take_outgoing());
    hides("Parts", &conn.into_parts());
}

#[test]
fn a_client_connection() {
    let mut conn = ClientConn::new(Arc::new(ClientConfig::DEFAULT), T0);
    hides("ClientConfig", &ClientConfig::DEFAULT);
    let mut fields = headers();
    fields.append("Host", "x").expect("a field");
    let id = conn
        .send_request("GET", "/", &fields, BodyLen::None)
        .expect("idle");
    hides("ClientConn with output", &conn);
    hides("Outgoing", &conn.outgoing());
    let n = conn.outgoing().first().len() as u64;
    conn.sent(n, T0).expect("what was offered");
    let wire = format!("HTTP/1.1 200 OK\r\n{}Content-Length: 0\r\n\r\n", head());
    conn.received_copy(wire.as_bytes(), T0);
    conn.next_event().expect("a response");
    hides("ResponseHead", &conn.head(id).expect("it has been read"));
    let head = conn.take_head(id);
    hides("OwnedHead", &head);
    hides("the head as a list", &head.into_headers());
    let mut buffer = Buffer::new();
    buffer.shrink(0);
    hides("Buffer", &buffer);
}

#[cfg(feature = "client")]
#[test]
fn urls_and_keys() {
    use antiphon_core::client::Url;
    use antiphon_core::client::pool::{Key, Scheme};
    for userinfo in [
        SECRET.to_owned(),
        format!("u:{SECRET}"),
        format!("{SECRET}:{SECRET}@x"),
    ] {
        let text = format!("http://{userinfo}@example.com/");
        match text.parse::<Url>() {
            Ok(url) => {
                hides("Url", &url);
                hides("Url, displayed", &url.to_string());
            }
            Err(e) => hides("an error about a URL", &e),
        }
    }
    // A password that should have been percent-encoded makes it no URL: nothing of it may show all the same.
    for broken in ["/", "?", "#", " ", ":", "@", "\\", "[", "\u{e9}"] {
        for text in [
            format!("http://u:{SECRET}{broken}{SECRET}@example.com/"),
            format!("u:{SECRET}{broken}@example.com"),
        ] {
            hides("a masked URL", &Url::masked(&text));
            let key = Key::new(Scheme::Http, "example.com", 80).through(&text);
            hides("Key", &key);
            hides("Key, displayed", &key.to_string());
        }
    }
}

#[cfg(feature = "server")]
#[test]
fn the_access_log() {
    let target = format!("http://{SECRET}@example.com/");
    let line = antiphon_core::server::access_log::Line {
        remote: &"[::1]:80",
        method: "GET",
        target: target.as_bytes(),
        status: None,
        bytes: 0,
        duration: std::time::Duration::ZERO,
    };
    hides("Line", &line);
    hides("Line, displayed", &line.to_string());
}

//! `responder::prepare`: what becomes of the head of a response that a handler returns; and the framing fields that a
//! handler sets, which it shares with the Responder.

use antiphon_core::h1::{BodyLen, Switch};
use antiphon_core::server::responder::{Prepared, RequestFacts, prepare};
use antiphon_core::{Field, FieldLines, Headers, Status, Version};

/// Field lines, each as `name: value`.
fn headers(lines: &[&str]) -> Headers {
    let mut headers = Headers::new();
    for line in lines {
        let (name, value) = line.split_once(':').expect("a name and a value");
        headers.append(name, value).unwrap();
    }
    headers
}

fn lines(fields: &impl FieldLines) -> String {
    let mut all = String::new();
    fields.for_each_field(|f| all += &format!("{}: {}\n", f.name.as_str(), f.value.to_str().unwrap()));
    all
}

fn facts(method: &str) -> RequestFacts {
    let proposes = match method {
        "CONNECT" => Switch::Connect,
        _ => Switch::None,
    };
    RequestFacts::new(method, Version::Http11, proposes)
}

/// `length type body notice`, and the fields that are left.
fn told(method: &str, code: u16, fields: &[&str], body: BodyLen) -> (String, String) {
    let mut fields = headers(fields);
    let status = Status::new(code).unwrap();
    let p: Prepared = prepare(status, &mut fields, body, b"x", facts(method));
    assert!(p.needs_date);
    let mut words = format!("{:?}", p.body);
    if let Some(media_type) = p.media_type {
        assert_eq!(media_type, "text/plain; charset=utf-8");
        words += " text";
    }
    words += if p.sends_body { "" } else { " bodiless" };
    if let Some(notice) = p.notice {
        words += &format!(" {notice:?}");
    }
    (words, lines(&fields))
}

#[test]
fn methods_and_statuses() {
    for (method, code, words) in [
        ("GET", 200, "Known(1) text"),
        ("POST", 404, "Known(1) text"),
        ("HEAD", 200, "Known(1) text bodiless"),
        ("GET", 204, "None bodiless"),
        ("GET", 205, "None bodiless"),
        ("GET", 304, "None bodiless"),
        ("HEAD", 304, "None bodiless"),
        ("GET", 101, "None bodiless"),
        ("CONNECT", 200, "None bodiless"),
        ("CONNECT", 403, "Known(1) text"),
    ] {
        let (told, left) = told(method, code, &["A: 1"], BodyLen::Known(1));
        assert_eq!(
            (told.as_str(), left.as_str()),
            (words, "A: 1\n"),
            "{method} {code}"
        );
    }
    assert_eq!(told("GET", 200, &[], BodyLen::Unknown).0, "Unknown text");
    assert_eq!(told("GET", 200, &[], BodyLen::None).0, "None text");
}

#[test]
fn framing_fields_go_before_what_is_known_of_the_body() {
    for (fields, words) in [
        (&["Content-Length: 1", "content-length: 1"][..], "Known(1) text"),
        (
            &["Content-Length: 1", "Content-Length: 2"],
            "Unknown text LengthInvalid",
        ),
        (&["Content-Length: +1"], "Unknown text LengthInvalid"),
        (&["Content-Length:"], "Unknown text LengthInvalid"),
        (
            &["Content-Length: 9223372036854775807"],
            "Known(9223372036854775807) text",
        ),
        (
            &["Content-Length: 9223372036854775808"],
            "Unknown text LengthInvalid",
        ),
        (
            &["Content-Length: 99999999999999999999999"],
            "Unknown text LengthInvalid",
        ),
        (&["Transfer-Encoding: gzip"], "Unknown CodingDropped"),
        (
            &["Transfer-Encoding: gzip, chunked", "Content-Length: 9"],
            "Unknown LengthDropped",
        ),
        (
            &["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"],
            "Unknown CodingDropped",
        ),
        (&["Transfer-Encoding: identity"], "Unknown CodingDropped"),
        (&["Transfer-Encoding: identity", "Content-Length: 1"], "Known(1)"),
    ] {
        let (told, left) = told("GET", 200, fields, BodyLen::Unknown);
        assert_eq!((told.as_str(), left.as_str()), (words, ""), "{fields:?}");
    }
    for (fields, words) in [
        (&["Transfer-Encoding: Chunked"][..], "Unknown"),
        (
            &["Transfer-Encoding: chunked", "Content-Length: 9"],
            "Unknown LengthDropped",
        ),
        (
            &["Transfer-Encoding: chunked", "Content-Length: x"],
            "Unknown LengthDropped",
        ),
    ] {
        let (told, left) = told("GET", 200, fields, BodyLen::Known(1));
        assert_eq!((told.as_str(), left.as_str()), (words, ""), "{fields:?}");
    }
    // Where there is no content they say nothing.
    for (method, code) in [("GET", 204), ("GET", 304), ("CONNECT", 200)] {
        let (told, left) = told(method, code, &["Content-Length: x", "A: 1"], BodyLen::Known(1));
        assert_eq!(
            (told.as_str(), left.as_str()),
            ("None bodiless", "A: 1\n"),
            "{method} {code}"
        );
    }
    // For HEAD they are those of a GET.
    let (told, _) = told("HEAD", 200, &["Content-Length: 7"], BodyLen::None);
    assert_eq!(told, "Known(7) text bodiless");
}

#[test]
fn types() {
    for (code, fields, words, left) in [
        (200, &["content-TYPE: a/b"][..], "Known(1)", "content-TYPE: a/b\n"),
        (
            200,
            &["Content-Encoding: br"],
            "Known(1)",
            "Content-Encoding: br\n",
        ),
        (
            304,
            &["Content-Type: a/b", "ETag: \"a\""],
            "None bodiless",
            "ETag: \"a\"\n",
        ),
        (
            204,
            &["Content-Type: a/b"],
            "None bodiless",
            "Content-Type: a/b\n",
        ),
    ] {
        let told = told("GET", code, fields, BodyLen::Known(1));
        assert_eq!(
            (told.0.as_str(), told.1.as_str()),
            (words, left),
            "{code} {fields:?}"
        );
    }
}

#[test]
fn what_is_sent_is_what_the_handler_set_and_what_is_due() {
    let date = Field::from_static("Date", "now");
    let sent = |fields: &[&str], start: &[u8], date| {
        let mut fields = headers(fields);
        let p = prepare(Status::OK, &mut fields, BodyLen::Unknown, start, facts("GET"));
        lines(&p.fields(&fields, date))
    };
    assert_eq!(
        sent(&["A: 1"], b"x", Some(date)),
        "Date: now\nContent-Type: text/plain; charset=utf-8\nA: 1\n"
    );
    assert_eq!(
        sent(&["A: 1", "date: then"], b"", Some(date)),
        "A: 1\ndate: then\n"
    );
    assert_eq!(sent(&[], b"", None), "");
}

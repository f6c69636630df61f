//! Tables of what clients accept and of what becomes of responses.

use super::*;
use alloc::format;
use alloc::string::String;
use quickcheck::quickcheck;

const OFFERED: [&str; 3] = ["zstd", "br", "gzip"];

fn headers(lines: &[&str]) -> Headers {
    let mut headers = Headers::new();
    for line in lines {
        let (name, value) = line.split_once(':').expect("a name and a value");
        headers.append(name, value).unwrap();
    }
    headers
}

fn lines(headers: &Headers) -> String {
    let line = |f: crate::Field<'_>| format!("{}: {}\n", f.name.as_str(), f.value.to_str().unwrap());
    headers.iter().map(line).collect()
}

#[test]
fn what_clients_accept() {
    use Choice::*;
    for (accepted, choice) in [
        // What browsers and programs say.
        (&["gzip, deflate, br, zstd"][..], Coded("zstd")),
        (&["gzip, deflate, br"], Coded("br")),
        (&["gzip"], Coded("gzip")),
        (&["GZip"], Coded("gzip")),
        (&["x-gzip"], Coded("gzip")),
        (&["deflate"], Identity),
        (&["identity"], Identity),
        // Nothing said, and nothing accepted.
        (&[], Identity),
        (&[""], Identity),
        (&[",,"], Identity),
        // The examples of RFC 9110, section 12.5.3.
        (&["compress, gzip"], Coded("gzip")),
        (&["*"], Coded("zstd")),
        (&["compress;q=0.5, gzip;q=1.0"], Coded("gzip")),
        (&["gzip;q=1.0, identity; q=0.5, *;q=0"], Coded("gzip")),
        // Weights go before the server's order.
        (&["gzip;q=0.9, br;q=0.8"], Coded("gzip")),
        (&["gzip;q=0.8, br;q=0.8"], Coded("br")),
        (&["gzip;q=0.001"], Coded("gzip")),
        (&["gzip;q=0.001, br;q=0.002"], Coded("br")),
        (&["gzip;q=0"], Identity),
        (&["gzip;q=0.000"], Identity),
        (&["gzip, *;q=0"], Coded("gzip")),
        (&["zstd;q=0, *"], Coded("br")),
        (&["gzip;q=0.5, *;q=0.7"], Coded("zstd")),
        // identity counts where it is named.
        (&["gzip;q=0.5, identity"], Identity),
        (&["gzip;q=0.5, identity;q=0.5"], Coded("gzip")),
        (&["gzip;q=0.5, *;q=0, identity;q=0.2"], Coded("gzip")),
        (&["identity;q=0"], Nothing),
        (&["*;q=0"], Nothing),
        (&["deflate, *;q=0"], Nothing),
        (&["deflate, identity;q=0"], Nothing),
        (&["*;q=0, identity;q=0.1"], Identity),
        (&["identity;q=0, gzip"], Coded("gzip")),
        // Several lines are one list; white space.
        (&["gzip", "br"], Coded("br")),
        (&["gzip\t;\tq=0 ,  br ; q=0.3"], Coded("br")),
        (&["gzip;Q=0"], Identity),
        // What is malformed is not there.
        (&["gzip;q=2"], Identity),
        (&["gzip;q=1.001"], Identity),
        (&["gzip;q=0.1234"], Identity),
        (&["gzip;q=.5"], Identity),
        (&["gzip;q=-1"], Identity),
        (&["gzip;q="], Identity),
        (&["gzip;q"], Identity),
        (&["gzip;x=1"], Identity),
        (&["gzip;q=1;q=1"], Identity),
        (&["gzip;q=1.0 x"], Identity),
        (&[";q=1, gzip"], Coded("gzip")),
        (&["identity;q=00, gzip;q=x"], Identity),
        // The first of the same name.
        (&["gzip;q=0, gzip"], Identity),
        (&["x-gzip;q=0.5, gzip;q=0, br;q=0.4"], Coded("gzip")),
        (&["gzip;q=1."], Coded("gzip")),
    ] {
        let mut request = Headers::new();
        for value in accepted {
            request.append("Accept-Encoding", value).unwrap();
        }
        assert_eq!(negotiate(request.as_fields(), &OFFERED), choice, "{accepted:?}");
    }
    let request = headers(&["Accept-Encoding: gzip"]);
    assert_eq!(negotiate(request.as_fields(), &[]), Identity);
    assert_eq!(negotiate(request.as_fields(), &["x-gzip"]), Coded("x-gzip"));
}

#[test]
fn which_responses_are_coded() {
    use Plain::*;
    const TEXT: &str = "Content-Type: text/plain";
    for (status, fields, body, plain) in [
        (200, &[TEXT][..], BodyLen::Known(1024), None),
        (200, &[TEXT], BodyLen::Unknown, None),
        (404, &[TEXT], BodyLen::Unknown, None),
        (200, &[TEXT], BodyLen::Known(1023), Some(Short)),
        (200, &[TEXT], BodyLen::Known(0), Some(NoContent)),
        (200, &[TEXT], BodyLen::None, Some(NoContent)),
        (204, &[TEXT], BodyLen::Unknown, Some(NoContent)),
        (205, &[TEXT], BodyLen::Unknown, Some(NoContent)),
        (304, &[TEXT], BodyLen::Unknown, Some(NoContent)),
        (101, &[TEXT], BodyLen::Unknown, Some(NoContent)),
        (206, &[TEXT], BodyLen::Unknown, Some(Part)),
        (
            200,
            &[TEXT, "Content-Range: bytes 0-1/9"],
            BodyLen::Unknown,
            Some(Part),
        ),
        (
            200,
            &[TEXT, "Content-Encoding: br"],
            BodyLen::Unknown,
            Some(AlreadyCoded),
        ),
        (
            200,
            &[TEXT, "Content-Encoding: identity"],
            BodyLen::Unknown,
            Some(AlreadyCoded),
        ),
        (
            200,
            &[TEXT, "Cache-Control: public, No-Transform"],
            BodyLen::Unknown,
            Some(NoTransform),
        ),
        (200, &[TEXT, "Cache-Control: no-store"], BodyLen::Unknown, None),
        (200, &[TEXT, "Content-Digest: x"], BodyLen::Unknown, Some(Digest)),
        (200, &[TEXT, "Repr-Digest: x"], BodyLen::Unknown, Some(Digest)),
        (200, &[TEXT, "Digest: x"], BodyLen::Unknown, Some(Digest)),
        (200, &[TEXT, "Content-MD5: x"], BodyLen::Unknown, Some(Digest)),
        (200, &[], BodyLen::Unknown, Some(MediaType)),
        (
            200,
            &["Content-Type: image/png"],
            BodyLen::Unknown,
            Some(MediaType),
        ),
    ] {
        let mut headers = headers(fields);
        let before = lines(&headers);
        let status = Status::new(status).unwrap();
        let outcome = code(
            Choice::Coded("gzip"),
            status,
            &mut headers,
            body,
            &CodingConfig::DEFAULT,
        );
        let expected = plain.map_or(Outcome::Coded("gzip"), Outcome::Plain);
        assert_eq!(outcome, expected, "{status} {fields:?} {body:?}");
        // What is not coded, and would not be for any client, stays as it is.
        assert_eq!(lines(&headers) == before, plain.is_some(), "{status} {fields:?}");
    }
}

#[test]
fn what_becomes_of_the_fields() {
    let coded = |choice, fields: &[&str]| {
        let mut headers = headers(&[&["Content-Type: text/css"], fields].concat());
        code(
            choice,
            Status::OK,
            &mut headers,
            BodyLen::Unknown,
            &CodingConfig::DEFAULT,
        );
        lines(&headers)
    };
    const GZIP: Choice = Choice::Coded("gzip");
    assert_eq!(
        coded(
            GZIP,
            &["Content-Length: 9", "accept-ranges: bytes", "ETag: \"a\"", "X: 1"]
        ),
        "Content-Type: text/css\nETag: W/\"a\"\nX: 1\nVary: Accept-Encoding\nContent-Encoding: gzip\n"
    );
    // A weak tag stays, and so does one that is none.
    for tag in ["W/\"a\"", "a"] {
        let line = format!("ETag: {tag}");
        assert!(coded(GZIP, &[&line]).contains(&format!("\n{line}\n")), "{tag}");
    }
    // Vary is added once.
    assert_eq!(
        coded(Choice::Identity, &["Vary: Origin", "ETag: \"a\""]),
        "Content-Type: text/css\nVary: Origin\nETag: \"a\"\nVary: Accept-Encoding\n"
    );
    for vary in ["Vary: *", "Vary: Origin, accept-encoding"] {
        assert_eq!(
            coded(Choice::Nothing, &[vary]),
            format!("Content-Type: text/css\n{vary}\n")
        );
    }
}

#[test]
fn what_gains_by_coding() {
    for yes in [
        "text/html",
        "TEXT/Plain;charset=utf-8",
        "text/x-anything",
        "application/json ; charset=utf-8",
        "image/svg+xml",
        "application/LD+json",
        "application/wasm",
        "font/ttf",
    ] {
        assert!(is_compressible(yes), "{yes}");
    }
    for no in [
        "",
        "text",
        "text/event-stream",
        "Text/Event-Stream; charset=utf-8",
        "image/png",
        "application/octet-stream",
        "application/zip",
        "font/woff2",
        "video/mp4",
        "+jso",
        "\u{e9}\u{e9}\u{e9}",
    ] {
        assert!(!is_compressible(no), "{no}");
    }
}

quickcheck! {
    // Whatever a client says, it gets only what it may be given.
    fn nothing_is_chosen_that_is_not_offered(value: alloc::vec::Vec<u8>, weights: (u8, u8)) -> bool {
        let value: alloc::vec::Vec<u8> = value
            .into_iter()
            .map(|b| b"gzip, br;q=01.*\t"[usize::from(b) % 16])
            .chain(format!(", br;q=0.{}, gzip;q=0.{}", weights.0 % 10, weights.1 % 10).into_bytes())
            .collect();
        let mut request = Headers::new();
        request.append("Accept-Encoding", value).unwrap();
        match negotiate(request.as_fields(), &["gzip"]) {
            Choice::Coded(name) => name == "gzip",
            Choice::Identity | Choice::Nothing => true,
        }
    }

    fn the_better_rated_one(br: u8, gzip: u8, identity: u8) -> bool {
        let (br, gzip, identity) = (br % 4, gzip % 4, identity % 4);
        let value = format!("br;q=0.{br}, gzip;q=0.{gzip}, identity;q=0.{identity}");
        let mut request = Headers::new();
        request.append("Accept-Encoding", value).unwrap();
        let choice = negotiate(request.as_fields(), &["gzip", "br"]);
        let best = br.max(gzip);
        choice == match () {
            () if best == 0 && identity == 0 => Choice::Nothing,
            () if best == 0 || identity > best => Choice::Identity,
            () if gzip >= br => Choice::Coded("gzip"),
            () => Choice::Coded("br"),
        }
    }
}

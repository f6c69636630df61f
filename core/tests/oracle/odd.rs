//! Messages out of parts at the edges of the grammar: most parts are as usual, a few are the nearest thing to a valid one
//! that is not, or the strangest thing that is.

use crate::observe::Query;
use crate::parts::*;
use crate::wire::{below, once_in, pick, shrink_bytes, transcript};
use quickcheck::{Arbitrary, Gen};
use std::fmt;

/// A message in the making; one part in `rare` is odd.
struct Maker<'g> {
    g: &'g mut Gen,
    rare: usize,
    bytes: Vec<u8>,
}

impl Maker<'_> {
    fn put(&mut self, part: &[u8]) {
        self.bytes.extend_from_slice(part);
    }

    fn odd(&mut self) -> bool {
        once_in(self.g, self.rare)
    }

    /// The usual part, or now and then an odd one.
    fn part(&mut self, usual: &[Part], odd: &[Part]) {
        let from = if self.odd() { odd } else { usual };
        let part = pick(self.g, from);
        self.put(part);
    }

    fn line_end(&mut self) {
        // There are many line ends: each is odd less often than other parts.
        if self.odd() && once_in(self.g, 4) {
            let end = pick(self.g, ENDS);
            self.put(end);
        } else {
            self.put(b"\r\n");
        }
    }

    fn field(&mut self, usual_name: Part, usual: &[Part], odd: &[Part]) {
        let name = if self.odd() && once_in(self.g, 3) {
            pick(self.g, NAMES).to_vec()
        } else if once_in(self.g, 4) {
            usual_name.to_ascii_uppercase()
        } else {
            usual_name.to_vec()
        };
        self.put(&name);
        self.put(b":");
        self.part(&[b" ", b" ", b""], &[b"\t", b"  ", b" \t "]);
        self.part(usual, odd);
        self.part(&[b""], &[b" ", b"\t ", b"  "]);
        self.line_end();
    }

    fn plain_fields(&mut self) {
        for _ in 0..pick(self.g, &[0, 0, 1, 2, 5]) {
            self.field(b"x-a", &[b"1", b"text/html, */*;q=0.8", b""], VALUES);
        }
    }

    /// The fields that frame a body, and the body that goes with them, more or less.
    fn body(&mut self, always: bool) {
        let (mut length, mut coding) = (0, 0);
        match below(self.g, 4) {
            0 if !always => {}
            0 | 1 => length = 1,
            _ => coding = 1,
        }
        if self.odd() {
            length = below(self.g, 3);
        }
        if self.odd() {
            coding = below(self.g, 3);
        }
        for _ in 0..length {
            self.field(b"content-length", &[b"5"], NUMBERS);
        }
        for _ in 0..coding {
            self.field(b"transfer-encoding", &[b"chunked"], CODINGS);
        }
        self.plain_fields();
        self.line_end();
        if coding > 0 {
            self.chunks();
        } else if length > 0 {
            self.part(&[b"hello"], &[b"hell", b"", b"hello!", b"\r\n\r\n\0"]);
        }
    }

    fn chunks(&mut self) {
        for _ in 0..pick(self.g, &[0, 1, 2, 3, 9]) {
            if once_in(self.g, 30) {
                // Framing outgrows data.
                self.put(b"0000000000000000000005;a=aaaaaaaaaaaaaaaaaaaaaaa");
            } else {
                self.part(&[b"5"], SIZES);
            }
            self.line_end();
            self.part(&[b"hello"], &[b"hell", b"hello!", b"\r\n0\r\n"]);
            self.line_end();
        }
        self.part(&[b"0"], SIZES);
        self.line_end();
        for _ in 0..pick(self.g, &[0, 0, 0, 1, 2, 3]) {
            let field = pick(self.g, TRAILERS);
            self.put(field);
            self.line_end();
        }
        self.line_end();
    }

    fn request(&mut self) {
        if self.odd() {
            for _ in 0..below(self.g, 7) {
                self.part(&[b"\r\n"], &[b"\n", b"\r", b" \r\n"]);
            }
        }
        let method = pick(
            self.g,
            &[&b"GET"[..], b"POST", b"PUT", b"HEAD", b"OPTIONS", b"CONNECT"],
        );
        self.part(&[method], METHODS);
        self.part(&[b" "], &[b"  ", b"\t", b""]);
        let target: &[Part] = match method {
            b"CONNECT" => &[b"example.com:443", b"[::1]:80"],
            _ => &[b"/", b"/a?b", b"http://example.com/"],
        };
        self.part(target, TARGETS);
        self.part(&[b" "], &[b"  ", b"\t", b""]);
        self.part(&[b"HTTP/1.1"], VERSIONS);
        self.line_end();
        self.plain_fields();
        let hosts = if self.odd() { below(self.g, 3) } else { 1 };
        for _ in 0..hosts {
            self.field(b"host", &[b"example.com"], HOSTS);
        }
        self.connection();
        if once_in(self.g, 8) {
            self.field(b"expect", &[b"100-continue"], EXPECTATIONS);
        }
        if method == b"CONNECT" && !self.odd() {
            self.line_end();
        } else {
            self.body(false);
        }
    }

    fn connection(&mut self) {
        if once_in(self.g, 4) {
            self.field(b"connection", &[b"close", b"keep-alive", b"upgrade"], OPTIONS);
        }
        if once_in(self.g, 6) {
            self.field(b"upgrade", &[b"echo"], VALUES);
        }
    }

    fn response(&mut self) {
        for _ in 0..pick(self.g, &[0, 0, 0, 1, 2]) {
            self.put(b"HTTP/1.1 103 Early Hints");
            self.line_end();
            self.plain_fields();
            self.line_end();
        }
        if once_in(self.g, 30) {
            return; // The final response does not come.
        }
        self.part(&[b"HTTP/1.1 200 OK", b"HTTP/1.1 404 Not Found"], STATUS_LINES);
        self.line_end();
        self.plain_fields();
        self.connection();
        self.body(true);
    }
}

/// Requests.
#[derive(Clone)]
pub(crate) struct OddRequests(pub(crate) Vec<u8>);

impl Arbitrary for OddRequests {
    fn arbitrary(g: &mut Gen) -> OddRequests {
        let rare = pick(g, &[6, 20, 60]);
        let mut m = Maker {
            g,
            rare,
            bytes: Vec::new(),
        };
        for _ in 0..pick(m.g, &[1, 1, 2, 3]) {
            m.request();
        }
        OddRequests(m.bytes)
    }

    fn shrink(&self) -> Box<dyn Iterator<Item = OddRequests>> {
        Box::new(shrink_bytes(&self.0).map(OddRequests))
    }
}

impl fmt::Debug for OddRequests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        transcript(f, &self.0)
    }
}

/// The answer to one request.
#[derive(Clone)]
pub(crate) struct OddResponse(pub(crate) Query, pub(crate) Vec<u8>);

impl Arbitrary for OddResponse {
    fn arbitrary(g: &mut Gen) -> OddResponse {
        let rare = pick(g, &[6, 20, 60]);
        let method = pick(g, &["GET", "GET", "GET", "HEAD", "POST", "CONNECT"]);
        let upgrade = method == "GET" && once_in(g, 3);
        let mut m = Maker {
            g,
            rare,
            bytes: Vec::new(),
        };
        m.response();
        OddResponse(Query { method, upgrade }, m.bytes)
    }

    fn shrink(&self) -> Box<dyn Iterator<Item = OddResponse>> {
        let query = self.0;
        Box::new(shrink_bytes(&self.1).map(move |bytes| OddResponse(query, bytes)))
    }
}

impl fmt::Debug for OddResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\n  {:?}", self.0)?;
        transcript(f, &self.1)
    }
}

//! Bytes to feed: valid messages of every framing, put one after the other, then damaged at their seams.
//!
//! A seam is a place where one grammar rule ends and the next begins; that is where parsers go wrong.

use crate::harness::client::Ask;
use quickcheck::{Arbitrary, Gen};
use std::fmt;

/// A number below `n`.
pub(crate) fn below(g: &mut Gen, n: usize) -> usize {
    u32::arbitrary(g) as usize % n
}

/// True once in `n` times.
pub(crate) fn once_in(g: &mut Gen, n: usize) -> bool {
    below(g, n) == 0
}

pub(crate) fn pick<T: Copy>(g: &mut Gen, from: &[T]) -> T {
    from[below(g, from.len())]
}

/// Bytes in the making, with their seams.
#[derive(Default)]
struct Writer {
    bytes: Vec<u8>,
    seams: Vec<usize>,
}

impl Writer {
    fn put(&mut self, bytes: impl AsRef<[u8]>) {
        self.bytes.extend_from_slice(bytes.as_ref());
        self.seams.push(self.bytes.len());
    }

    fn field(&mut self, name: &str, value: impl AsRef<[u8]>) {
        self.put(name);
        self.put(":");
        self.put(" ");
        self.put(value);
        self.put("\r\n");
    }

    /// A few fields that mean nothing to the machine.
    fn filler(&mut self, g: &mut Gen) {
        for _ in 0..below(g, 4) {
            let name = pick(
                g,
                &[
                    "X-A",
                    "x-a",
                    "accept",
                    "cookie",
                    "a",
                    "!#$%&'*+-.^_`|~",
                    "contentlength",
                ],
            );
            let value = pick(
                g,
                &[
                    "",
                    "1",
                    "a, b",
                    "\t tab \t",
                    "\u{e9}\u{ff}",
                    "text/html;q=0.9,*/*;q=0.8",
                ],
            );
            let long = if once_in(g, 12) {
                "v".repeat(below(g, 300))
            } else {
                String::new()
            };
            self.field(name, format!("{value}{long}"));
        }
    }

    fn body(&mut self, g: &mut Gen, framing: Framing) {
        match framing {
            Framing::None => {}
            Framing::Length(n) | Framing::UntilClose(n) => self.put(payload(n)),
            Framing::Chunked => {
                for _ in 0..below(g, 4) {
                    let n = 1 + pick(g, &[0, 1, 2, 8, 14, 15, 16, 40, 254, 255]);
                    self.put(match below(g, 3) {
                        0 => format!("{n:x}"),
                        1 => format!("{n:X}"),
                        _ => format!("000{n:x}"),
                    });
                    self.extension(g);
                    self.put("\r\n");
                    self.put(payload(n));
                    self.put("\r\n");
                }
                self.put(pick(g, &["0", "0", "000"]));
                self.extension(g);
                self.put("\r\n");
                for _ in 0..pick(g, &[0, 0, 0, 1, 2]) {
                    self.field(pick(g, &["X-Sum", "expires", "x-t"]), pick(g, &["", "1", "a b"]));
                }
                self.put("\r\n");
            }
        }
    }

    fn extension(&mut self, g: &mut Gen) {
        if once_in(g, 4) {
            self.put(pick(
                g,
                &[
                    ";a",
                    ";a=b",
                    ";a=\"q \\\" q\"",
                    " ; a = b",
                    ";a;b;c=d",
                    ";",
                    ";a=thirty-nine-bytes-of-extension-value-x",
                ],
            ));
        }
    }

    /// Up to three changes near seams.
    fn damage(&mut self, g: &mut Gen) {
        for _ in 0..pick(g, &[1, 1, 1, 2, 3]) {
            let at = pick(g, &self.seams)
                .saturating_sub(below(g, 2))
                .min(self.bytes.len());
            let end = (at + 1 + below(g, 3)).min(self.bytes.len());
            match below(g, 6) {
                0 => drop(self.bytes.drain(at..end)),
                1 => self.bytes.truncate(at),
                2 => {
                    let again = self.bytes[at..end].to_vec();
                    self.bytes.splice(at..at, again);
                }
                3 => {
                    let what = pick(g, INSERTS);
                    self.bytes.splice(at..at, what.iter().copied());
                }
                _ => {
                    let byte = pick(g, b"\r\n\0 \t:;,=\"09afAFgx/*?#%-+\x7f\x80\xff");
                    match self.bytes.get_mut(at) {
                        Some(b) if bool::arbitrary(g) => *b = byte,
                        _ => self.bytes.insert(at, byte),
                    }
                }
            }
            if self.bytes.is_empty() {
                return;
            }
        }
    }
}

/// Whole lines and odd ends to put in where they do not belong.
const INSERTS: &[&[u8]] = &[
    b"\r\n",
    b"\r\n\r\n",
    b"\n",
    b"Content-Length: 5\r\n",
    b"Content-Length: 5, 6\r\n",
    b"Content-Length: 99999999999999999999\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: gzip, chunked\r\n",
    b"Host: other\r\n",
    b"Connection: close, keep-alive\r\n",
    b"Connection: upgrade\r\nUpgrade: echo\r\n",
    b"Expect: 100-continue\r\n",
    b" folded\r\n",
    b"ffffffffffffffff",
    b"0\r\n\r\n",
    b"HTTP/1.1",
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n",
    &[b'a'; 200],
];

#[derive(Clone, Copy)]
enum Framing {
    None,
    Length(usize),
    Chunked,
    /// Responses only.
    UntilClose(usize),
}

fn payload(n: usize) -> Vec<u8> {
    (0..n).map(|i| b'A' + (i % 26) as u8).collect()
}

fn framing(g: &mut Gen) -> Framing {
    match below(g, 5) {
        0 | 1 => Framing::None,
        2 | 3 => Framing::Chunked,
        _ => Framing::Length(pick(g, &[0, 1, 2, 10, 50, 51, 255, 1000])),
    }
}

fn request(w: &mut Writer, g: &mut Gen) {
    for _ in 0..pick(g, &[0, 0, 0, 0, 0, 0, 1, 4, 5]) {
        w.put("\r\n");
    }
    let method = pick(
        g,
        &[
            "GET", "GET", "GET", "HEAD", "POST", "POST", "PUT", "OPTIONS", "CONNECT", "M-SEARCH",
        ],
    );
    let target = match method {
        "CONNECT" => pick(g, &["example.com:443", "[::1]:80"]),
        "OPTIONS" => pick(g, &["*", "/"]),
        _ => pick(
            g,
            &[
                "/",
                "/a/b?c=d&e",
                "http://example.com/x",
                "/%41",
                "http://example.com",
            ],
        ),
    };
    w.put(method);
    w.put(" ");
    w.put(target);
    w.put(" ");
    let old = once_in(g, 6);
    w.put(if old {
        "HTTP/1.0"
    } else {
        pick(g, &["HTTP/1.1", "HTTP/1.1", "HTTP/1.1", "HTTP/1.9"])
    });
    w.put("\r\n");
    w.filler(g);
    let host = if method == "CONNECT" {
        target
    } else {
        "example.com"
    };
    if !(old && bool::arbitrary(g)) {
        w.field(pick(g, &["Host", "host"]), host);
    }
    if once_in(g, 5) {
        let options = [
            "close",
            "keep-alive",
            "Keep-Alive, X-A",
            "upgrade",
            "close, keep-alive",
        ];
        w.field("Connection", pick(g, &options));
    }
    if once_in(g, 8) {
        w.field("Connection", "upgrade");
        w.field("Upgrade", "echo");
    }
    let framing = match (method, framing(g)) {
        ("CONNECT", _) => Framing::None,
        (_, Framing::Chunked) if old => Framing::Length(10),
        (_, framing) => framing,
    };
    if once_in(g, 6) && !matches!(framing, Framing::None) {
        w.field("Expect", "100-continue");
    }
    body_fields(w, framing);
    w.filler(g);
    w.put("\r\n");
    w.body(g, framing);
}

fn body_fields(w: &mut Writer, framing: Framing) {
    match framing {
        Framing::None | Framing::UntilClose(_) => {}
        Framing::Length(n) => w.field("Content-Length", n.to_string()),
        Framing::Chunked => w.field("Transfer-Encoding", "chunked"),
    }
}

fn response(w: &mut Writer, g: &mut Gen, ask: &Ask, last: bool) {
    for _ in 0..pick(g, &[0, 0, 0, 0, 1, 2]) {
        w.put(pick(
            g,
            &[
                "HTTP/1.1 100 Continue\r\n",
                "HTTP/1.1 103 Early Hints\r\n",
                "HTTP/1.1 199 \r\n",
            ],
        ));
        w.filler(g);
        w.put("\r\n");
    }
    w.put(if once_in(g, 8) { "HTTP/1.0" } else { "HTTP/1.1" });
    w.put(" ");
    let switching = ask.upgrade && bool::arbitrary(g);
    let status = if switching {
        "101"
    } else {
        pick(g, &["200", "200", "204", "304", "404", "500", "999"])
    };
    w.put(status);
    w.put(pick(g, &[" ", " OK", " Not quite \u{e9}"]));
    w.put("\r\n");
    w.filler(g);
    if switching {
        w.field("Connection", "upgrade");
        w.field("Upgrade", "echo");
    } else if once_in(g, 6) {
        w.field("Connection", pick(g, &["close", "keep-alive", "x"]));
    }
    if once_in(g, 10) {
        w.field(
            "Keep-Alive",
            pick(g, &["timeout=5", "timeout=1, max=100", "max=3", "timeout=x"]),
        );
    }
    let bodiless = ask.method == "HEAD" || matches!(status, "101" | "204" | "304");
    let mut framing = framing(g);
    if matches!(framing, Framing::None) && !bodiless {
        framing = if last {
            Framing::UntilClose(pick(g, &[0, 1, 30]))
        } else {
            Framing::Length(0)
        };
    }
    if !matches!(status, "101" | "204") {
        body_fields(w, framing);
    }
    w.filler(g);
    w.put("\r\n");
    let tunnel = ask.method == "CONNECT" && status == "200";
    if !bodiless && !tunnel {
        w.body(g, framing);
    } else if switching || tunnel {
        w.put(pick(g, &["", "next protocol", "\0\r\n\r\n"]));
    }
}

/// What a client sends on one connection.
#[derive(Clone)]
pub(crate) struct Requests(pub(crate) Vec<u8>);

impl Arbitrary for Requests {
    fn arbitrary(g: &mut Gen) -> Requests {
        let mut w = Writer::default();
        for _ in 0..pick(g, &[1, 1, 2, 3, 4, 6]) {
            request(&mut w, g);
        }
        if bool::arbitrary(g) {
            w.damage(g);
        }
        Requests(w.bytes)
    }

    fn shrink(&self) -> Box<dyn Iterator<Item = Requests>> {
        Box::new(shrink_bytes(&self.0).map(Requests))
    }
}

impl fmt::Debug for Requests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        transcript(f, &self.0)
    }
}

/// What a client asks and a server answers on one connection.
#[derive(Clone)]
pub(crate) struct Exchanges(pub(crate) Vec<(Ask, Vec<u8>)>);

impl Exchanges {
    /// All that the server sends, and where the answer to each request ends.
    #[allow(dead_code)] // Not every user of this file needs it.
    pub(crate) fn flat(&self) -> (Vec<u8>, Vec<(Ask, usize)>) {
        let (mut bytes, mut asks) = (Vec::new(), Vec::new());
        for (ask, answer) in &self.0 {
            bytes.extend_from_slice(answer);
            asks.push((ask.clone(), bytes.len()));
        }
        (bytes, asks)
    }
}

impl Arbitrary for Exchanges {
    fn arbitrary(g: &mut Gen) -> Exchanges {
        let n = pick(g, &[1, 1, 2, 3, 5]);
        let damaged = if bool::arbitrary(g) { below(g, n) } else { n };
        let exchange = |i| {
            let ask = Ask::arbitrary(g);
            let mut w = Writer::default();
            response(&mut w, g, &ask, i + 1 == n);
            if i == damaged {
                w.damage(g);
            }
            (ask, w.bytes)
        };
        Exchanges((0..n).map(exchange).collect())
    }

    fn shrink(&self) -> Box<dyn Iterator<Item = Exchanges>> {
        let all = self.0.clone();
        let mut less: Vec<Exchanges> = Vec::new();
        if all.len() > 1 {
            for i in 0..all.len() {
                let mut fewer = all.clone();
                fewer.remove(i);
                less.push(Exchanges(fewer));
            }
        }
        for (i, (ask, bytes)) in all.iter().enumerate() {
            if *ask != Ask::plain() {
                let mut plainer = all.clone();
                plainer[i].0 = Ask::plain();
                less.push(Exchanges(plainer));
            }
            for bytes in shrink_bytes(bytes) {
                let mut shorter = all.clone();
                shorter[i].1 = bytes;
                less.push(Exchanges(shorter));
            }
        }
        Box::new(less.into_iter())
    }
}

impl fmt::Debug for Exchanges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (ask, bytes) in &self.0 {
            writeln!(f, "\n  {ask:?}")?;
            transcript(f, bytes)?;
        }
        Ok(())
    }
}

pub(crate) fn transcript(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    for line in bytes.split_inclusive(|&b| b == b'\n') {
        write!(f, "\n  in    \"{}\"", line.escape_ascii())?;
    }
    Ok(())
}

/// Shorter versions: with runs of halving length cut out.
pub(crate) fn shrink_bytes(bytes: &[u8]) -> impl Iterator<Item = Vec<u8>> + use<> {
    let bytes = bytes.to_vec();
    let mut runs = Vec::new();
    let mut run = bytes.len() / 2;
    // Single bytes only when few are left, or shrinking would take minutes.
    while run > bytes.len() / 256 {
        runs.extend(
            (0..bytes.len())
                .step_by(run)
                .map(|at| (at, (at + run).min(bytes.len()))),
        );
        run /= 2;
    }
    runs.into_iter()
        .map(move |(from, to)| [&bytes[..from], &bytes[to..]].concat())
}

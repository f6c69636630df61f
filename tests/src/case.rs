//! Reads transcripts: files of cases, each a few lines of bytes that go in and the lines of what must come out.
//!
//! ```text
//! # A comment: which rule, and why.
//! @ the name of a case
//! set limits.head 100            a setting other than the default
//! < GET / HTTP/1.1\r\n           bytes of the peer; \r \n \t \\ \xNN are escapes, every other byte is itself
//! <* 50 X-A: 1\r\n               the same, so many times
//! eof                            the peer closes its sending side
//! = GET / 1.1 -> 200 length keep what comes of it
//! open                           how the connection stands in the end
//! ```
//!
//! `whole` says that the bytes must arrive together: that they come too early is the point of the case. In client
//! cases `> ARGS` makes a request with the options of the subject client, and `reset` breaks the
//! connection.

use antiphon_core::h1::{ClientConfig, Limits, Profile, ServerConfig};

/// One case.
#[derive(Clone, Debug)]
pub struct Case {
    /// Where it stands and how it is called.
    pub name: String,
    /// What happens, in order.
    pub steps: Vec<Step>,
    /// What must come of it, one line each.
    pub expect: Vec<String>,
    settings: Vec<(String, String)>,
    whole: bool,
}

/// A step of a case.
#[derive(Clone, Debug)]
pub enum Step {
    /// The peer sends these bytes.
    Bytes(Vec<u8>),
    /// The peer closes its sending side.
    Eof,
    /// The connection breaks.
    Reset,
    /// A client's request: the options of the subject client, the last one a path.
    Request(Vec<String>),
}

/// Reads a file's cases.
///
/// # Panics
/// If the file is malformed.
pub fn parse(file: &str, text: &str) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for (i, line) in text.lines().enumerate() {
        let at = format!("{file}:{}", i + 1);
        let (mark, rest) = line.split_once(' ').unwrap_or((line, ""));
        if mark == "@" {
            let name = format!("{at}: {rest}");
            cases.push(Case {
                name,
                steps: vec![],
                expect: vec![],
                settings: vec![],
                whole: false,
            });
            continue;
        }
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        let case = cases
            .last_mut()
            .unwrap_or_else(|| panic!("{at}: a line before the first case"));
        match mark {
            "set" => {
                let (key, value) = rest.split_once(' ').unwrap_or((rest, ""));
                case.settings.push((key.into(), value.into()));
            }
            "<" | "<*" => {
                let (n, text) = if mark == "<" {
                    (1, rest)
                } else {
                    let (n, text) = rest
                        .split_once(' ')
                        .unwrap_or_else(|| panic!("{at}: a number is missing"));
                    (n.parse().unwrap_or_else(|e| panic!("{at}: {e}")), text)
                };
                let bytes = unescaped(text)
                    .unwrap_or_else(|| panic!("{at}: a bad escape"))
                    .repeat(n);
                match case.steps.last_mut() {
                    Some(Step::Bytes(before)) => before.extend(bytes),
                    _ => case.steps.push(Step::Bytes(bytes)),
                }
            }
            ">" => case.steps.push(Step::Request(words(rest))),
            "whole" => case.whole = true,
            "eof" => case.steps.push(Step::Eof),
            "reset" => case.steps.push(Step::Reset),
            _ => case.expect.push(line.trim_end().into()),
        }
    }
    assert!(!cases.is_empty(), "{file} has no case");
    cases
}

impl Case {
    /// How its bytes may be cut.
    pub fn cuts(&self) -> &'static [Cut] {
        if self.whole { &[Cut::Whole] } else { &Cut::ALL }
    }

    /// The server's settings for this case.
    ///
    /// # Panics
    /// If the case names a setting that does not exist.
    pub fn server_config(&self) -> ServerConfig {
        let mut config = ServerConfig::DEFAULT;
        for (key, value) in &self.settings {
            match key.as_str() {
                "cancel_on_half_close" => config.cancel_on_half_close = true,
                "no_keep_alive" => config.keep_alive = false,
                _ => self.set(key, value, &mut config.limits, &mut config.profile),
            }
        }
        config
    }

    /// The client's settings for this case.
    ///
    /// # Panics
    /// If the case names a setting that does not exist.
    pub fn client_config(&self) -> ClientConfig {
        let mut config = ClientConfig::DEFAULT;
        for (key, value) in &self.settings {
            self.set(key, value, &mut config.limits, &mut config.profile);
        }
        config
    }

    fn set(&self, key: &str, value: &str, limits: &mut Limits, profile: &mut Profile) {
        let number = || {
            value
                .parse()
                .unwrap_or_else(|e| panic!("{}: {key}: {e}", self.name))
        };
        match key {
            "limits.head" => limits.head = number(),
            "limits.fields" => limits.fields = number(),
            "limits.target" => limits.target = number(),
            "limits.trailers" => limits.trailers = number(),
            "limits.trailer_fields" => limits.trailer_fields = number(),
            "limits.chunk_line" => limits.chunk_line = number(),
            "limits.chunk_overhead" => limits.chunk_overhead = number(),
            "limits.interim" => limits.interim = number(),
            "limits.empty_lines" => limits.empty_lines = number(),
            "limits.discard" => limits.discard = number() as u64,
            "profile.browser" => *profile = Profile::BROWSER,
            "profile.lenient" => *profile = Profile::LENIENT,
            "profile.bare_lf" => profile.bare_lf = true,
            "profile.fold_in_requests" => profile.fold_in_requests = true,
            "profile.length_and_coding" => profile.length_and_coding = true,
            "profile.coding_in_http10" => profile.coding_in_http10 = true,
            "profile.space_before_colon" => profile.space_before_colon = true,
            "profile.status_line_spaces" => profile.status_line_spaces = true,
            "profile.ignore_bad_fields" => profile.ignore_bad_fields = true,
            "profile.target_high_bytes" => profile.target_high_bytes = true,
            "profile.any_host" => profile.any_host = true,
            "profile.space_in_chunk_size" => profile.space_in_chunk_size = true,
            _ => panic!("{}: no setting {key}", self.name),
        }
    }
}

fn unescaped(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let mut bytes = text.bytes();
    while let Some(b) = bytes.next() {
        out.push(match b {
            b'\\' => match bytes.next()? {
                b'r' => b'\r',
                b'n' => b'\n',
                b't' => b'\t',
                b'\\' => b'\\',
                b'x' => {
                    let digit = |b: u8| char::from(b).to_digit(16);
                    (digit(bytes.next()?)? * 16 + digit(bytes.next()?)?) as u8
                }
                _ => return None,
            },
            b => b,
        });
    }
    Some(out)
}

/// Words between spaces; single quotes keep spaces together.
fn words(text: &str) -> Vec<String> {
    let mut out = vec![String::new()];
    let mut quoted = false;
    for c in text.trim().chars() {
        match c {
            '\'' => quoted = !quoted,
            ' ' if !quoted => out.push(String::new()),
            c => out.last_mut().expect("never empty").push(c),
        }
    }
    out
}

/// How a run of bytes is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Not at all.
    Whole,
    /// After every byte.
    Bytes,
    /// Into pieces of 1 to 7 bytes.
    Pieces,
}

impl Cut {
    /// All three.
    pub const ALL: [Cut; 3] = [Cut::Whole, Cut::Bytes, Cut::Pieces];

    /// The pieces of `bytes`.
    pub fn of(self, bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
        let mut sizes = [3usize, 1, 5, 2, 7, 4, 6].into_iter().cycle();
        let mut rest = bytes;
        std::iter::from_fn(move || {
            let n = match self {
                Cut::Whole => rest.len(),
                Cut::Bytes => 1,
                Cut::Pieces => sizes.next()?,
            };
            let (piece, tail) = rest.split_at(n.min(rest.len()));
            rest = tail;
            (!piece.is_empty()).then_some(piece)
        })
    }
}

/// For transcripts: short texts escaped in quotes, long ones as their length.
pub fn shown(bytes: &[u8]) -> String {
    if bytes.len() <= 60 {
        format!("\"{}\"", bytes.escape_ascii())
    } else {
        format!("{} bytes", bytes.len())
    }
}

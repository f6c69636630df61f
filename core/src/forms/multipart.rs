//! `multipart/form-data` (RFC 7578), written: [`Multipart`] knows what stands where and how long it all is; the contents of
//! parts that are not in memory come from the caller.
//!
//! ```
//! use antiphon_core::forms::multipart::{Boundary, Multipart, Part, Segment};
//!
//! let mut form = Multipart::new(Boundary::from_random(0x0123)); // a random number of yours
//! form.push(Part::bytes("title", "A tale"));
//! form.push(Part::stream("file", Some(5)).filename("tale.txt").content_type("text/plain")?);
//!
//! assert_eq!(form.content_type(), "multipart/form-data; boundary=antiphon-00000000000000000000000000000123");
//! let mut body = Vec::new();
//! for segment in form.segments() {
//!     match segment {
//!         Segment::Bytes(bytes) => body.extend_from_slice(&bytes),
//!         Segment::Part(1) => body.extend_from_slice(b"Once."), // from the file, as it is sent
//!         Segment::Part(_) => unreachable!(),
//!     }
//! }
//! assert_eq!(form.len(), Some(body.len() as u64));
//! # Ok::<(), antiphon_core::forms::multipart::InvalidPart>(())
//! ```

use crate::message::{FieldName, FieldValue};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use bytes::Bytes;
use core::fmt;

/// "no more than 70 characters" (RFC 2046, section 5.1.1)
const MAX_BOUNDARY: usize = 70;

/// What stands between parts. It must not occur in any of them, so it is made from a random number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Boundary(String);

impl Boundary {
    /// From 128 random bits. Nobody who does not know them can put it into a part.
    pub fn from_random(bits: u128) -> Boundary {
        Boundary(format!("antiphon-{bits:032x}"))
    }

    /// This text, which occurs in no part: the caller's word is taken for that.
    ///
    /// # Errors
    /// [`InvalidBoundary`], unless it is 1 to 70 of the characters of RFC 2046, section 5.1.1, and does not end with a
    /// space.
    pub fn new(text: impl Into<String>) -> Result<Boundary, InvalidBoundary> {
        let text = text.into();
        let good = |b: u8| b.is_ascii_alphanumeric() || b"'()+_,-./:=? ".contains(&b);
        let fits = (1..=MAX_BOUNDARY).contains(&text.len());
        if !fits || !text.bytes().all(good) || text.ends_with(' ') {
            return Err(InvalidBoundary);
        }
        Ok(Boundary(text))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The text cannot be a boundary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct InvalidBoundary;

impl fmt::Display for InvalidBoundary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "a boundary is 1 to 70 letters, digits, spaces and '()+_,-./:=?, without a space at its end",
        )
    }
}

impl core::error::Error for InvalidBoundary {}

/// One value of a form.
///
/// [`Debug`](fmt::Debug) shows neither the name of the file nor the content.
#[derive(Clone)]
pub struct Part {
    name: String,
    filename: Option<String>,
    /// Further lines of its head, each with its end.
    lines: Vec<u8>,
    content: Content,
}

#[derive(Clone)]
enum Content {
    Bytes(Bytes),
    Stream(Option<u64>),
}

impl Part {
    /// A value in memory.
    pub fn bytes(name: impl Into<String>, content: impl Into<Bytes>) -> Part {
        Part::new(name.into(), Content::Bytes(content.into()))
    }

    /// A value that the caller supplies when its turn comes ([`Segment::Part`]); of this length, if it is known.
    pub fn stream(name: impl Into<String>, length: Option<u64>) -> Part {
        Part::new(name.into(), Content::Stream(length))
    }

    fn new(name: String, content: Content) -> Part {
        Part {
            name,
            filename: None,
            lines: Vec::new(),
            content,
        }
    }

    /// The name of the file, for the receiver's information. Directories do not belong in it.
    #[must_use]
    pub fn filename(mut self, name: impl Into<String>) -> Part {
        self.filename = Some(name.into());
        self
    }

    /// The part's `Content-Type`. Without one it is `text/plain` (RFC 7578, section 4.4).
    ///
    /// # Errors
    /// [`InvalidPart::Value`] if it is no field value; [`InvalidPart::Reserved`] if there is one already.
    pub fn content_type(self, value: &str) -> Result<Part, InvalidPart> {
        self.field("Content-Type", value)
    }

    /// A further field of the part's head. Receivers "MUST NOT" rely on any but `Content-Disposition`,
    /// `Content-Type` and `Content-Transfer-Encoding` (RFC 7578, section 4.8).
    ///
    /// # Errors
    /// [`InvalidPart::Name`], [`InvalidPart::Value`]; [`InvalidPart::Reserved`] for `Content-Disposition`, which is
    /// written from the name, and for a second field of a name.
    pub fn field(mut self, name: &str, value: &str) -> Result<Part, InvalidPart> {
        let checked = FieldName::new(name.as_bytes()).map_err(|_| InvalidPart::Name)?;
        let value = FieldValue::new(value.as_bytes()).map_err(|_| InvalidPart::Value)?;
        if checked.is("content-disposition") || self.has(name) {
            return Err(InvalidPart::Reserved);
        }
        for piece in [name.as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
            self.lines.extend_from_slice(piece);
        }
        Ok(self)
    }

    fn has(&self, name: &str) -> bool {
        // No line holds a line end but its own.
        self.lines.split(|&b| b == b'\n').any(|line| {
            let colon = line.iter().position(|&b| b == b':').unwrap_or(0);
            line[..colon].eq_ignore_ascii_case(name.as_bytes())
        })
    }

    /// What the name says.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The length of the content, if it is known.
    pub fn content_len(&self) -> Option<u64> {
        match &self.content {
            Content::Bytes(bytes) => Some(bytes.len() as u64),
            Content::Stream(length) => *length,
        }
    }

    fn write_head(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"Content-Disposition: form-data; name=\"");
        push_quoted(out, &self.name);
        if let Some(filename) = &self.filename {
            out.extend_from_slice(b"\"; filename=\"");
            push_quoted(out, filename);
        }
        out.extend_from_slice(b"\"\r\n");
        out.extend_from_slice(&self.lines);
        out.extend_from_slice(b"\r\n");
    }
}

/// As browsers do (WHATWG HTML, "multipart/form-data encoding algorithm"): UTF-8 as it is, and `"`, CR and LF as `%22`,
/// `%0D` and `%0A`. The other controls, which browsers write as they are and receivers refuse, are escaped likewise.
fn push_quoted(out: &mut Vec<u8>, text: &str) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for &b in text.as_bytes() {
        if b == b'"' || b.is_ascii_control() {
            out.extend_from_slice(&[b'%', HEX[usize::from(b >> 4)], HEX[usize::from(b & 15)]]);
        } else {
            out.push(b);
        }
    }
}

impl fmt::Debug for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Part")
            .field("name", &self.name)
            .field("content_len", &self.content_len())
            .finish_non_exhaustive()
    }
}

/// What a part's head cannot say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidPart {
    /// The field's name is no token.
    Name,
    /// The field's value holds a byte that may not stand in one.
    Value,
    /// The field is written from the part's name, or is there already.
    Reserved,
}

impl fmt::Display for InvalidPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            InvalidPart::Name => "the name of a part's field is no token",
            InvalidPart::Value => "the value of a part's field holds what may not stand there",
            InvalidPart::Reserved => "the part has this field already",
        })
    }
}

impl core::error::Error for InvalidPart {}

/// A `multipart/form-data` body.
///
/// It is never changed by being sent: a request that is sent again asks for the segments again.
#[derive(Clone, Debug)]
pub struct Multipart {
    boundary: Boundary,
    parts: Vec<Part>,
}

/// A piece of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums)]
pub enum Segment {
    /// These bytes.
    Bytes(Bytes),
    /// The content of the part of this index, which was made by [`Part::stream`]: exactly as long as it said, or
    /// up to its end.
    Part(usize),
}

impl Multipart {
    /// A form without parts.
    pub const fn new(boundary: Boundary) -> Multipart {
        Multipart {
            boundary,
            parts: Vec::new(),
        }
    }

    /// Adds a part behind the others, and gives its index.
    pub fn push(&mut self, part: Part) -> usize {
        self.parts.push(part);
        self.parts.len() - 1
    }

    /// The parts, in order.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// The value of `Content-Type`.
    pub fn content_type(&self) -> String {
        let boundary = self.boundary.as_str();
        // A token needs no quotes, and nothing in a boundary needs escaping.
        match FieldName::new(boundary.as_bytes()) {
            Ok(_) => format!("multipart/form-data; boundary={boundary}"),
            Err(_) => format!("multipart/form-data; boundary=\"{boundary}\""),
        }
    }

    /// The length of the whole body; `None` if that of a part is not known.
    #[allow(clippy::len_without_is_empty)] // never
    pub fn len(&self) -> Option<u64> {
        let mut sum = 0_u64;
        for index in 0..self.count() {
            let length = match self.segment(index)? {
                Segment::Bytes(bytes) => bytes.len() as u64,
                Segment::Part(part) => self.parts[part].content_len()?,
            };
            sum = sum.checked_add(length)?;
        }
        Some(sum)
    }

    /// The body in pieces.
    pub fn segments(&self) -> impl Iterator<Item = Segment> {
        (0..self.count()).map_while(|index| self.segment(index))
    }

    /// The piece of this index, for those who keep only the index; `None` behind the last one. Each is made when it is
    /// asked for: one takes as much memory as a part's head, or shares a part's content.
    pub fn segment(&self, index: usize) -> Option<Segment> {
        let (part, content) = (index / 2, index % 2 == 1);
        if index == self.count() - 1 {
            return Some(Segment::Bytes(self.delimiter(part, None)));
        }
        let found = self.parts.get(part)?;
        Some(match (&found.content, content) {
            (_, false) => Segment::Bytes(self.delimiter(part, Some(found))),
            (Content::Bytes(bytes), true) => Segment::Bytes(bytes.clone()),
            (Content::Stream(_), true) => Segment::Part(part),
        })
    }

    /// Each part's head and content, and the end.
    fn count(&self) -> usize {
        2 * self.parts.len() + 1
    }

    /// What stands before the part of this index, or behind the last.
    fn delimiter(&self, index: usize, part: Option<&Part>) -> Bytes {
        let mut out = Vec::new();
        // The line end before a boundary belongs to it, not to the content (RFC 2046, section 5.1.1).
        for piece in [if index > 0 { "\r\n--" } else { "--" }, self.boundary.as_str()] {
            out.extend_from_slice(piece.as_bytes());
        }
        match part {
            Some(part) => {
                out.extend_from_slice(b"\r\n");
                part.write_head(&mut out);
            }
            None => out.extend_from_slice(b"--\r\n"),
        }
        out.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use alloc::vec;
    use quickcheck::quickcheck;

    fn boundary() -> Boundary {
        Boundary::new("edge").unwrap()
    }

    /// The whole body; the content of streams is as many `x` as they said, or three.
    fn body(form: &Multipart) -> Vec<u8> {
        let mut body = Vec::new();
        for segment in form.segments() {
            match segment {
                Segment::Bytes(bytes) => body.extend_from_slice(&bytes),
                Segment::Part(i) => body.resize(
                    body.len() + form.parts()[i].content_len().unwrap_or(3) as usize,
                    b'x',
                ),
            }
        }
        body
    }

    fn text(form: &Multipart) -> String {
        String::from_utf8(body(form)).unwrap()
    }

    #[test]
    fn a_form_on_the_wire() {
        let mut form = Multipart::new(boundary());
        assert_eq!(form.push(Part::bytes("title", "A tale")), 0);
        let file = Part::stream("file", Some(4))
            .filename("a b.txt")
            .content_type("text/plain; charset=utf-8")
            .unwrap();
        assert_eq!(form.push(file.field("X-More", "1").unwrap()), 1);
        assert_eq!(form.push(Part::bytes("", "")), 2);
        assert_eq!(
            text(&form),
            "--edge\r\n\
             Content-Disposition: form-data; name=\"title\"\r\n\
             \r\n\
             A tale\r\n\
             --edge\r\n\
             Content-Disposition: form-data; name=\"file\"; filename=\"a b.txt\"\r\n\
             Content-Type: text/plain; charset=utf-8\r\n\
             X-More: 1\r\n\
             \r\n\
             xxxx\r\n\
             --edge\r\n\
             Content-Disposition: form-data; name=\"\"\r\n\
             \r\n\
             \r\n\
             --edge--\r\n"
        );
        assert_eq!(form.len(), Some(body(&form).len() as u64));
        assert_eq!(form.segment(3), Some(Segment::Part(1)));
        assert_eq!((form.segment(7), form.segment(usize::MAX)), (None, None));
    }

    #[test]
    fn no_parts() {
        let form = Multipart::new(boundary());
        assert_eq!((text(&form).as_str(), form.len()), ("--edge--\r\n", Some(10)));
        assert_eq!(form.segment(1), None);
    }

    #[test]
    fn the_length_is_known_if_all_are() {
        let mut form = Multipart::new(boundary());
        form.push(Part::stream("a", Some(u64::MAX)));
        assert_eq!(form.len(), None, "beyond all numbers");
        let mut form = Multipart::new(boundary());
        form.push(Part::bytes("a", "b"));
        assert!(form.len().is_some());
        form.push(Part::stream("c", None));
        assert_eq!(form.len(), None);
    }

    #[test]
    fn names_cannot_break_out() {
        for (name, written) in [
            ("plain", "plain"),
            ("a\"; filename=\"b", "a%22; filename=%22b"),
            ("a\r\nX: y", "a%0D%0AX: y"),
            ("back\\slash", "back\\slash"),
            ("%22", "%22"),
            ("\0\t\u{7f}", "%00%09%7F"),
            ("ü€", "ü€"),
        ] {
            let mut form = Multipart::new(boundary());
            form.push(Part::bytes(name, "").filename(name));
            let want = format!(
                "--edge\r\nContent-Disposition: form-data; name=\"{written}\"; filename=\"{written}\"\r\n"
            );
            assert!(text(&form).starts_with(&want), "{name:?}");
        }
    }

    #[test]
    fn fields_cannot_break_out() {
        let part = || Part::bytes("a", "b");
        for (name, value, error) in [
            ("X", "a\r\nY: b", InvalidPart::Value),
            ("X", "a\nb", InvalidPart::Value),
            ("X", "a\0", InvalidPart::Value),
            ("X: y\r\nZ", "a", InvalidPart::Name),
            ("", "a", InvalidPart::Name),
            (
                "content-disposition",
                "form-data; name=\"other\"",
                InvalidPart::Reserved,
            ),
        ] {
            assert_eq!(
                part().field(name, value).unwrap_err(),
                error,
                "{name:?} {value:?}"
            );
        }
        assert_eq!(
            part().content_type("a/b\r\n\r\nc").unwrap_err(),
            InvalidPart::Value
        );
        let twice = part().content_type("a/b").unwrap().field("CONTENT-type", "c/d");
        assert_eq!(twice.unwrap_err(), InvalidPart::Reserved);
        // Another name that this one begins with, and a value that looks like a field.
        assert!(
            part()
                .field("X", "Y: z")
                .unwrap()
                .field("Xx", "1")
                .unwrap()
                .field("Y", "1")
                .is_ok()
        );
    }

    #[test]
    fn boundaries() {
        for (text, quoted) in [
            ("a", false),
            ("a-_'.+", false),
            ("a=b", true),
            ("a b?(),/:", true),
        ] {
            let form = Multipart::new(Boundary::new(text).unwrap());
            let want = if quoted {
                format!("\"{text}\"")
            } else {
                text.to_string()
            };
            assert_eq!(
                form.content_type(),
                format!("multipart/form-data; boundary={want}")
            );
        }
        assert!(Boundary::new("x".repeat(70)).is_ok());
        for text in [
            "",
            "a ",
            "a\r\nb",
            "a\"b",
            "ü",
            "a;b",
            "a*",
            "a\\b",
            &"x".repeat(71),
        ] {
            assert_eq!(Boundary::new(text), Err(InvalidBoundary), "{text:?}");
        }
        let random = Boundary::from_random(u128::MAX);
        assert_eq!(Boundary::new(random.as_str()), Ok(random));
        assert_ne!(Boundary::from_random(1), Boundary::from_random(16));
    }

    #[test]
    fn debug_tells_no_content() {
        let part = Part::bytes("name", "secret").filename("secret too");
        assert_eq!(
            format!("{part:?}"),
            r#"Part { name: "name", content_len: Some(6), .. }"#
        );
    }

    /// What a simple-minded receiver finds: heads and contents. It knows of the writer no more than the boundary.
    fn receive(body: &[u8], boundary: &str) -> Option<Vec<(String, Vec<u8>)>> {
        let find = |text: &[u8], what: &[u8]| text.windows(what.len()).position(|w| w == what);
        let delimiter = format!("\r\n--{boundary}");
        // The first boundary is at the beginning of a line, too.
        let all = [b"\r\n", body].concat();
        let mut rest = all.strip_prefix(delimiter.as_bytes())?;
        let mut parts = vec![];
        while let Some(part) = rest.strip_prefix(b"\r\n") {
            let end = find(part, delimiter.as_bytes())?;
            let (part, behind) = part.split_at(end);
            rest = &behind[delimiter.len()..];
            let head = find(part, b"\r\n\r\n")?;
            parts.push((
                String::from_utf8(part[..head].to_vec()).ok()?,
                part[head + 4..].to_vec(),
            ));
        }
        (rest == b"--\r\n").then_some(parts)
    }

    fn unquoted(text: &str) -> String {
        let mut out = vec![];
        let mut bytes = text.bytes();
        while let Some(b) = bytes.next() {
            let escaped = (b == b'%').then(|| [bytes.clone().next(), bytes.clone().nth(1)]);
            match escaped {
                Some([Some(a), Some(c)]) => {
                    let hex = String::from_utf8(vec![a, c]).unwrap();
                    out.push(u8::from_str_radix(&hex, 16).unwrap());
                    bytes.nth(1);
                }
                _ => out.push(b),
            }
        }
        String::from_utf8(out).unwrap()
    }

    quickcheck! {
        fn a_receiver_finds_what_was_written(parts: Vec<(String, Option<String>, Vec<u8>)>, bits: u128) -> bool {
            // Browsers do not escape the percent sign, so it is left out here.
            let clean = |s: String| s.replace('%', "");
            let parts: Vec<_> = parts.into_iter().map(|(n, f, c)| (clean(n), f.map(clean), c)).collect();
            let mut form = Multipart::new(Boundary::from_random(bits));
            for (name, filename, content) in &parts {
                let part = Part::bytes(name.clone(), content.clone());
                form.push(match filename {
                    Some(filename) => part.filename(filename.clone()),
                    None => part,
                });
            }
            let body = body(&form);
            let found = receive(&body, form.boundary.as_str()).expect("well-formed");
            let same = found.len() == parts.len() && found.iter().zip(&parts).all(|((head, got), (name, filename, content))| {
                let value = head.strip_prefix("Content-Disposition: form-data; name=\"").unwrap().strip_suffix('"').unwrap();
                let (got_name, got_filename) = match value.split_once("\"; filename=\"") {
                    Some((n, f)) => (n, Some(unquoted(f))),
                    None => (value, None),
                };
                unquoted(got_name) == *name && got_filename == *filename && got == content
            });
            same && form.len() == Some(body.len() as u64)
        }
    }
}

//! One line of JSON, written member by member. Not in here: what the members are called.
//!
//! Byte strings are written as latin-1: byte XX becomes the character U+00XX, so that HTTP stays readable and
//! every byte comes back.

use alloc::string::String;
use core::fmt::{self, Write};

/// A line being written. Every opened brace or bracket is closed by whoever opened it.
pub(super) struct Line {
    text: String,
    /// The next member or element is preceded by a comma.
    comma: bool,
}

impl Line {
    pub(super) fn new() -> Line {
        Line {
            text: String::from("{"),
            comma: false,
        }
    }

    pub(super) fn end(mut self) -> String {
        self.text.push('}');
        self.text
    }

    fn open(&mut self, bracket: char) {
        self.separate();
        self.text.push(bracket);
        self.comma = false;
    }

    fn close(&mut self, bracket: char) {
        self.text.push(bracket);
        self.comma = true;
    }

    fn separate(&mut self) {
        if core::mem::replace(&mut self.comma, true) {
            self.text.push(',');
        }
    }

    fn display(&mut self, value: impl fmt::Display) {
        self.separate();
        // Writing to a String does not fail.
        let _ = write!(self.text, "{value}");
    }

    /// `"key":`; the next value is its value.
    pub(super) fn key(&mut self, key: &str) -> &mut Line {
        self.bytes(key.as_bytes());
        self.text.push(':');
        self.comma = false;
        self
    }

    pub(super) fn number(&mut self, n: u64) {
        self.display(n);
    }

    pub(super) fn bool(&mut self, value: bool) {
        self.display(value);
    }

    pub(super) fn null(&mut self) {
        self.display("null");
    }

    /// A unit variant by its name.
    pub(super) fn name(&mut self, variant: impl fmt::Debug) {
        self.display(format_args!("\"{variant:?}\""));
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.separate();
        self.text.push('"');
        for &b in bytes {
            match b {
                b'"' | b'\\' => self.text.extend(['\\', char::from(b)]),
                b'\r' => self.text.push_str("\\r"),
                b'\n' => self.text.push_str("\\n"),
                b' '..=b'~' => self.text.push(char::from(b)),
                _ => {
                    let _ = write!(self.text, "\\u{b:04x}");
                }
            }
        }
        self.text.push('"');
    }

    pub(super) fn object(&mut self, members: impl FnOnce(&mut Line)) {
        self.open('{');
        members(self);
        self.close('}');
    }

    pub(super) fn array(&mut self, elements: impl FnOnce(&mut Line)) {
        self.open('[');
        elements(self);
        self.close(']');
    }

    /// `null`, or what `write` makes of the value.
    pub(super) fn option<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Line, T)) {
        match value {
            Some(value) => write(self, value),
            None => self.null(),
        }
    }
}

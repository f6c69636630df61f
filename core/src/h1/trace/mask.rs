//! Masks credentials in bytes as they pass: the values of the fields that `Debug` output masks, too.
//!
//! Works line by line on raw bytes, before anything is parsed and however they are cut, so it errs on the safe side:
//! a line of a body that looks like such a field is masked as well. Length, white space and control bytes are kept,
//! so that offsets and decisions stay what they were.

use crate::message::is_secret;

/// The longest name that is masked is `proxy-authorization`; white space may follow it.
const NAME: usize = 32;

/// One direction of a connection.
#[derive(Clone, Debug)]
pub(super) struct Mask {
    name: [u8; NAME],
    len: usize,
    at: At,
    /// The line before was a secret's.
    secret_before: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Name,
    Plain,
    Secret,
}

impl Mask {
    pub(super) const START: Mask = Mask {
        name: [0; NAME],
        len: 0,
        at: At::Name,
        secret_before: false,
    };

    /// The byte as it may be written down.
    pub(super) fn pass(&mut self, byte: u8) -> u8 {
        if byte == b'\n' {
            self.secret_before = self.at == At::Secret;
            self.len = 0;
            self.at = At::Name;
            return byte;
        }
        match self.at {
            At::Plain => byte,
            At::Secret => cover(byte),
            At::Name => {
                match byte {
                    b':' => {
                        let name = self.name[..self.len].trim_ascii_end();
                        self.at = if is_secret(name) { At::Secret } else { At::Plain };
                    }
                    // A folded line goes on with the value before it (RFC 9112, section 5.2).
                    b' ' | b'\t' if self.len == 0 && self.secret_before => self.at = At::Secret,
                    _ if self.len == NAME => self.at = At::Plain,
                    _ => {
                        self.name[self.len] = byte;
                        self.len += 1;
                    }
                }
                byte
            }
        }
    }
}

/// A byte of a secret.
pub(super) const fn cover(byte: u8) -> u8 {
    if byte == b' ' || byte.is_ascii_control() {
        byte
    } else {
        b'*'
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::String;
    use std::vec::Vec;

    fn masked(text: &str) -> String {
        let mut mask = Mask::START;
        let bytes: Vec<u8> = text.bytes().map(|b| mask.pass(b)).collect();
        String::from_utf8(bytes).expect("ASCII stays ASCII")
    }

    #[test]
    fn the_values_of_the_four_fields_and_nothing_else() {
        assert_eq!(
            masked(
                "GET / HTTP/1.1\r\nHost: a\r\nauthorization: Basic QQ==\r\nCOOKIE:a=b; c\r\nX-Cookie: d\r\n\r\ne"
            ),
            "GET / HTTP/1.1\r\nHost: a\r\nauthorization: ***** ****\r\nCOOKIE:**** *\r\nX-Cookie: d\r\n\r\ne"
        );
        assert_eq!(
            masked("A: b\nSet-Cookie : s\n folded: f\n\tagain\nProxy-Authorization: p\n plain: x"),
            "A: b\nSet-Cookie : *\n ******* *\n\t*****\nProxy-Authorization: *\n ****** *"
        );
    }
}

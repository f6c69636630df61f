//! Writes the little JSON that the subject programs print. Reading it is the business of whoever asked.

/// A JSON text that grows by appending. Strings are latin-1: byte XX becomes U+00XX.
#[derive(Debug, Default)]
pub struct Json(String);

impl Json {
    /// `{ "key": value, ... }` out of what `members` writes.
    pub fn object(&mut self, members: impl FnOnce(&mut Members<'_>)) -> &mut Json {
        self.0.push('{');
        members(&mut Members {
            json: self,
            first: true,
        });
        self.0.push('}');
        self
    }

    /// `[ value, ... ]`
    pub fn array<T>(
        &mut self,
        items: impl IntoIterator<Item = T>,
        mut write: impl FnMut(&mut Json, T),
    ) -> &mut Json {
        self.0.push('[');
        for (i, item) in items.into_iter().enumerate() {
            if i > 0 {
                self.0.push(',');
            }
            write(self, item);
        }
        self.0.push(']');
        self
    }

    /// A string whose characters are the bytes of `text`.
    pub fn latin1(&mut self, text: &[u8]) -> &mut Json {
        self.text(text.iter().map(|&b| char::from(b)))
    }

    /// A string.
    pub fn str(&mut self, text: &str) -> &mut Json {
        self.text(text.chars())
    }

    fn text(&mut self, chars: impl Iterator<Item = char>) -> &mut Json {
        self.0.push('"');
        for c in chars {
            match c {
                '"' | '\\' => self.0.extend(['\\', c]),
                ' '..='~' => self.0.push(c),
                _ => {
                    for unit in c.encode_utf16(&mut [0; 2]) {
                        self.0.push_str(&format!("\\u{unit:04x}"));
                    }
                }
            }
        }
        self.0.push('"');
        self
    }

    /// A number.
    pub fn number(&mut self, n: u64) -> &mut Json {
        self.0.push_str(&n.to_string());
        self
    }

    /// `true` or `false`.
    pub fn bool(&mut self, value: bool) -> &mut Json {
        self.0.push_str(if value { "true" } else { "false" });
        self
    }

    /// `null`
    pub fn null(&mut self) -> &mut Json {
        self.0.push_str("null");
        self
    }

    /// A string with the base64 form of `bytes` (RFC 4648, section 4).
    pub fn base64(&mut self, bytes: &[u8]) -> &mut Json {
        const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        self.0.push('"');
        for group in bytes.chunks(3) {
            let bits = group.iter().fold(0u32, |n, &b| n << 8 | u32::from(b)) << (8 * (3 - group.len()));
            for i in 0..4 {
                let digit = DIGITS[(bits >> (18 - 6 * i)) as usize & 63];
                self.0
                    .push(if i <= group.len() { char::from(digit) } else { '=' });
            }
        }
        self.0.push('"');
        self
    }

    /// A field section: `[[name, value], ...]`, all latin-1.
    pub fn fields(&mut self, fields: &[(Vec<u8>, Vec<u8>)]) -> &mut Json {
        self.array(fields, |j, (name, value)| {
            j.array([name, value], |j, text| {
                j.latin1(text);
            });
        })
    }

    /// The text so far.
    pub fn into_string(self) -> String {
        self.0
    }
}

/// The members of an object being written.
#[derive(Debug)]
pub struct Members<'a> {
    json: &'a mut Json,
    first: bool,
}

impl Members<'_> {
    /// Writes the key; the value is what is written next to the returned [`Json`].
    pub fn key(&mut self, key: &str) -> &mut Json {
        if !std::mem::take(&mut self.first) {
            self.json.0.push(',');
        }
        self.json.str(key);
        self.json.0.push(':');
        self.json
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_as_in_rfc_4648_section_10() {
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foobar", "Zm9vYmFy"),
        ] {
            let mut j = Json::default();
            j.base64(bytes.as_bytes());
            assert_eq!(j.into_string(), format!("\"{text}\""));
        }
    }

    #[test]
    fn strings_are_ascii_with_escapes() {
        let mut j = Json::default();
        j.object(|m| {
            m.key("a").latin1(b"q\"\\\n\xe9");
            m.key("b").array([1, 2], |j, n| {
                j.number(n);
            });
        });
        assert_eq!(j.into_string(), r#"{"a":"q\"\\\u000a\u00e9","b":[1,2]}"#);
    }
}

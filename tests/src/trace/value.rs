//! Reads the JSON of a trace: one value, nothing around it. Numbers are whole and not negative, characters are bytes
//! (latin-1), as traces write them; other JSON is refused.

use std::fmt;

/// A JSON value.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Value {
    Null,
    Bool(bool),
    Number(u64),
    Text(Vec<u8>),
    Array(Vec<Value>),
    Object(Vec<(String, Value)>),
}

/// Why a line is no value, or not the expected one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong(pub String);

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn wrong<T>(what: impl Into<String>) -> Result<T, Wrong> {
    Err(Wrong(what.into()))
}

impl Value {
    /// Reads one value, which must be all of `text`.
    ///
    /// # Errors
    /// [`Wrong`] says where and what.
    pub fn read(text: &str) -> Result<Value, Wrong> {
        let mut reader = Reader {
            text: text.as_bytes(),
            at: 0,
        };
        let value = reader.value(0)?;
        reader.blank();
        if reader.at < text.len() {
            return wrong(format!("more than one value (at {})", reader.at));
        }
        Ok(value)
    }

    /// The members of an object.
    ///
    /// # Errors
    /// If it is none.
    pub fn members(&self) -> Result<&[(String, Value)], Wrong> {
        match self {
            Value::Object(members) => Ok(members),
            other => wrong(format!("{other:?} is no object")),
        }
    }

    /// A member of an object.
    ///
    /// # Errors
    /// If there is none of that name.
    pub fn get(&self, key: &str) -> Result<&Value, Wrong> {
        self.members()?
            .iter()
            .find(|(k, _)| k == key)
            .map(|(_, value)| value)
            .ok_or_else(|| Wrong(format!("there is no {key:?}")))
    }

    /// A number.
    ///
    /// # Errors
    /// If it is none.
    pub fn number(&self) -> Result<u64, Wrong> {
        match self {
            Value::Number(n) => Ok(*n),
            other => wrong(format!("{other:?} is no number")),
        }
    }

    /// `true` or `false`.
    ///
    /// # Errors
    /// If it is neither.
    pub fn bool(&self) -> Result<bool, Wrong> {
        match self {
            Value::Bool(b) => Ok(*b),
            other => wrong(format!("{other:?} is neither true nor false")),
        }
    }

    /// A string's bytes.
    ///
    /// # Errors
    /// If it is none.
    pub fn bytes(&self) -> Result<&[u8], Wrong> {
        match self {
            Value::Text(bytes) => Ok(bytes),
            other => wrong(format!("{other:?} is no string")),
        }
    }

    /// A string of ASCII.
    ///
    /// # Errors
    /// If it is none.
    pub fn str(&self) -> Result<&str, Wrong> {
        std::str::from_utf8(self.bytes()?).or_else(|_| wrong("a string with bytes where a word was expected"))
    }

    /// The elements of an array.
    ///
    /// # Errors
    /// If it is none.
    pub fn elements(&self) -> Result<&[Value], Wrong> {
        match self {
            Value::Array(elements) => Ok(elements),
            other => wrong(format!("{other:?} is no array")),
        }
    }
}

/// Deeper than any line of a trace.
const DEPTH: usize = 16;

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn blank(&mut self) {
        while matches!(self.text.get(self.at), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.text.get(self.at).copied();
        self.at += 1;
        byte
    }

    /// Whether `byte` comes next; takes it then.
    fn takes(&mut self, byte: u8) -> bool {
        self.blank();
        let there = self.text.get(self.at) == Some(&byte);
        self.at += usize::from(there);
        there
    }

    fn expect(&mut self, byte: u8) -> Result<(), Wrong> {
        if self.takes(byte) {
            Ok(())
        } else {
            wrong(format!("{:?} expected at {}", char::from(byte), self.at))
        }
    }

    fn word(&mut self, word: &str, value: Value) -> Result<Value, Wrong> {
        if self.text[self.at..].starts_with(word.as_bytes()) {
            self.at += word.len();
            Ok(value)
        } else {
            wrong(format!("no value at {}", self.at))
        }
    }

    fn value(&mut self, depth: usize) -> Result<Value, Wrong> {
        if depth > DEPTH {
            return wrong("nested too deeply");
        }
        self.blank();
        match self.text.get(self.at) {
            Some(b'n') => self.word("null", Value::Null),
            Some(b't') => self.word("true", Value::Bool(true)),
            Some(b'f') => self.word("false", Value::Bool(false)),
            Some(b'"') => Ok(Value::Text(self.string()?)),
            Some(b'0'..=b'9') => self.digits(),
            Some(b'[') => {
                self.at += 1;
                let mut elements = Vec::new();
                while !self.takes(b']') {
                    if !elements.is_empty() {
                        self.expect(b',')?;
                    }
                    elements.push(self.value(depth + 1)?);
                }
                Ok(Value::Array(elements))
            }
            Some(b'{') => {
                self.at += 1;
                let mut members = Vec::new();
                while !self.takes(b'}') {
                    if !members.is_empty() {
                        self.expect(b',')?;
                    }
                    self.blank();
                    let key = String::from_utf8(self.string()?).or_else(|_| wrong("a key is no word"))?;
                    self.expect(b':')?;
                    members.push((key, self.value(depth + 1)?));
                }
                Ok(Value::Object(members))
            }
            _ => wrong(format!("no value at {}", self.at)),
        }
    }

    fn digits(&mut self) -> Result<Value, Wrong> {
        let mut n = 0u64;
        while let Some(&digit @ b'0'..=b'9') = self.text.get(self.at) {
            n = n
                .checked_mul(10)
                .and_then(|n| n.checked_add(u64::from(digit - b'0')))
                .ok_or_else(|| Wrong("a number above 2^64".to_owned()))?;
            self.at += 1;
        }
        Ok(Value::Number(n))
    }

    fn string(&mut self) -> Result<Vec<u8>, Wrong> {
        self.expect(b'"')?;
        let mut bytes = Vec::new();
        loop {
            match self.next() {
                Some(b'"') => return Ok(bytes),
                Some(b'\\') => bytes.push(match self.next() {
                    Some(b'r') => b'\r',
                    Some(b'n') => b'\n',
                    Some(b't') => b'\t',
                    Some(b @ (b'"' | b'\\' | b'/')) => b,
                    Some(b'u') => self.unit()?,
                    _ => return wrong(format!("unknown escape at {}", self.at)),
                }),
                Some(b @ b' '..=b'~') => bytes.push(b),
                _ => {
                    return wrong(format!(
                        "a string is not plain ASCII, or does not end, at {}",
                        self.at
                    ));
                }
            }
        }
    }

    /// `00XX` after `\u`.
    fn unit(&mut self) -> Result<u8, Wrong> {
        let digits = self.text.get(self.at..self.at + 4).unwrap_or_default();
        self.at += 4;
        std::str::from_utf8(digits)
            .ok()
            .and_then(|d| u8::from_str_radix(d, 16).ok())
            .ok_or_else(|| Wrong("an escape above \\u00ff".to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_a_trace_holds() {
        let value = Value::read(r#"{"a":[1,true,null,"q\"\\\r\n\u00e9"], "b":{}}"#).expect("JSON");
        let list = value.get("a").and_then(Value::elements).expect("an array");
        assert_eq!(list[0], Value::Number(1));
        assert_eq!(list[3].bytes().expect("a string"), b"q\"\\\r\n\xe9");
        assert_eq!(value.get("b").and_then(Value::members), Ok(&[][..]));
    }

    #[test]
    fn refuses_what_it_does_not_hold() {
        for text in [
            "",
            "{",
            "[1,]",
            "{\"a\" 1}",
            "-1",
            "1 2",
            "\"\\u1234\"",
            "\"",
            "nul",
            "18446744073709551616",
        ] {
            assert!(Value::read(text).is_err(), "{text}");
        }
        assert!(Value::read(&"[".repeat(1000)).is_err());
    }
}

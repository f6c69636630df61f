//! The subject client's items: what a command line asks for, and what is told about it.

use crate::json::Json;
use antiphon_core::Headers;

/// One request to make.
#[derive(Clone, Debug, Default)]
pub struct Item {
    /// The method; without one GET, or POST with a body.
    pub method: Option<String>,
    /// Fields as they were given, unchecked.
    pub headers: Vec<(Vec<u8>, Vec<u8>)>,
    /// The body.
    pub body: Option<Vec<u8>>,
    /// Hand the body over as a stream of unknown length.
    pub chunked: bool,
    /// Where to.
    pub url: String,
}

impl Item {
    /// A GET.
    pub fn get(url: impl Into<String>) -> Item {
        Item {
            url: url.into(),
            ..Item::default()
        }
    }

    /// The items of a command line.
    ///
    /// # Errors
    /// What is wrong with the command line.
    pub fn parse(args: impl IntoIterator<Item = String>) -> Result<Vec<Item>, String> {
        let (mut items, mut item) = (Vec::new(), Item::default());
        let mut args = args.into_iter();
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or(format!("{arg} needs a value"));
            match arg.as_str() {
                "-X" => item.method = Some(value()?),
                "-H" => {
                    let line = value()?;
                    let (name, value) = line.split_once(':').ok_or("-H needs 'Name: value'")?;
                    let value = value.strip_prefix(' ').unwrap_or(value);
                    item.headers.push((latin1(name), latin1(value)));
                }
                "-d" => item.body = Some(latin1(&value()?)),
                "--chunked" => item.chunked = true,
                _ => {
                    item.url = arg;
                    items.push(std::mem::take(&mut item));
                }
            }
        }
        Ok(items)
    }

    /// The method that is meant.
    pub fn method(&self) -> &str {
        match &self.method {
            Some(m) => m,
            None if self.body.is_some() => "POST",
            None => "GET",
        }
    }

    /// The fields as a validated section.
    ///
    /// # Errors
    /// What the implementation says about an invalid one.
    pub fn headers(&self) -> Result<Headers, antiphon_core::InvalidField> {
        let mut headers = Headers::new();
        for (name, value) in &self.headers {
            headers.append(name, value)?;
        }
        Ok(headers)
    }
}

/// Arguments are UTF-8; code points up to U+00FF stand for the bytes.
fn latin1(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for c in text.chars() {
        match u8::try_from(u32::from(c)) {
            Ok(byte) => out.push(byte),
            Err(_) => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    out
}

/// What came of an item.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The final status.
    pub status: Option<u16>,
    /// Whether the version was 1.0.
    pub http10: bool,
    /// The reason phrase.
    pub reason: Vec<u8>,
    /// The header section.
    pub headers: Vec<(Vec<u8>, Vec<u8>)>,
    /// The body as far as it was read.
    pub body: Vec<u8>,
    /// The trailer section.
    pub trailers: Vec<(Vec<u8>, Vec<u8>)>,
    /// The interim statuses.
    pub informational: Vec<u16>,
    /// Whether an older connection was used.
    pub reused: bool,
    /// What went wrong.
    pub error: Option<String>,
}

impl Outcome {
    /// The line that the subject prints.
    pub fn json(&self) -> String {
        let mut j = Json::default();
        j.object(|m| {
            match self.status {
                Some(s) => {
                    m.key("status").number(s.into());
                    m.key("version").str(if self.http10 { "1.0" } else { "1.1" });
                    m.key("reason").latin1(&self.reason);
                }
                None => {
                    m.key("status").null();
                    m.key("version").null();
                    m.key("reason").null();
                }
            }
            m.key("headers").fields(&self.headers);
            m.key("body").base64(&self.body);
            m.key("trailers").fields(&self.trailers);
            m.key("informational").array(&self.informational, |j, s| {
                j.number((*s).into());
            });
            m.key("reused").bool(self.reused);
            match &self.error {
                Some(text) => m.key("error").str(text),
                None => m.key("error").null(),
            };
        });
        j.into_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_hold_for_one_url() {
        let args = [
            "-X",
            "PUT",
            "-H",
            "A:  b",
            "-d",
            "\u{e9}",
            "--chunked",
            "http://a/",
            "http://b/",
        ];
        let items = Item::parse(args.map(String::from)).unwrap();
        assert_eq!((items[0].method(), items[1].method()), ("PUT", "GET"));
        assert_eq!(items[0].headers, [(b"A".to_vec(), b" b".to_vec())]);
        assert_eq!(items[0].body.as_deref(), Some(&[0xe9][..]));
        assert!(items[0].chunked && !items[1].chunked);
        assert!(Item::parse(["-X".to_string()]).is_err());
    }
}

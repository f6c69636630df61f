//! JSON bodies, by serde_json.
//!
//! ```
//! use antiphon_support::json;
//! let body = json::encode(&("tea", 2))?;
//! assert_eq!(body, br#"["tea",2]"#);
//! let order: (String, u32) = json::decode(&body)?;
//! assert_eq!(order.1, 2);
//! # Ok::<(), json::JsonError>(())
//! ```

pub use serde_core::Serialize;
pub use serde_core::de::DeserializeOwned;
use std::error::Error;
use std::fmt;

/// What `Content-Type` says of a body like this.
pub const CONTENT_TYPE: &str = "application/json";

/// Encodes a value.
///
/// # Errors
/// [`JsonError`] if the value's own `Serialize` refuses, or a key of a map is no string.
pub fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, JsonError> {
    serde_json::to_vec(value).map_err(JsonError)
}

/// Decodes a whole body. Nesting is bounded at 128 levels.
///
/// # Errors
/// [`JsonError`] if it is no JSON, or not what `T` is made of.
pub fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<T, JsonError> {
    serde_json::from_slice(body).map_err(JsonError)
}

/// A body that is no JSON, or not the JSON that was meant; or a value that has no JSON.
#[derive(Debug)]
pub struct JsonError(serde_json::Error);

impl JsonError {
    /// The line, counted from 1, and the column; 0 and 0 if it was encoding that failed.
    pub fn position(&self) -> (usize, usize) {
        (self.0.line(), self.0.column())
    }

    /// Whether it is JSON up to its end, but the end is missing.
    pub fn is_truncated(&self) -> bool {
        self.0.is_eof()
    }
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no JSON as expected")
    }
}

impl Error for JsonError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn there_and_back() {
        let value = BTreeMap::from([("a\"\u{e9}".to_string(), vec![Some(1.5), None])]);
        let body = encode(&value).unwrap();
        assert_eq!(body, "{\"a\\\"\u{e9}\":[1.5,null]}".as_bytes());
        assert_eq!(
            decode::<BTreeMap<String, Vec<Option<f64>>>>(&body).unwrap(),
            value
        );
    }

    #[test]
    fn errors_tell_where_and_why() {
        for (body, position, truncated) in [
            (&b"[1,\n x]"[..], (2, 2), false),
            (b"[1", (1, 2), true),
            (b"", (1, 0), true),
            (b"[1] x", (1, 5), false),
            (b"[-1]", (1, 3), false),
        ] {
            let error = decode::<Vec<u8>>(body).unwrap_err();
            assert_eq!(
                (error.position(), error.is_truncated()),
                (position, truncated),
                "{body:?}"
            );
            assert!(error.source().is_some());
        }
        let no_key = encode(&BTreeMap::from([((1, 2), 3)])).unwrap_err();
        assert_eq!(no_key.position(), (0, 0));
    }

    #[test]
    fn depth_is_bounded() {
        // A type that nests as deep as the text says.
        #[derive(Debug)]
        struct Nest(#[allow(dead_code)] Option<Box<Nest>>);
        impl<'de> serde_core::Deserialize<'de> for Nest {
            fn deserialize<D: serde_core::Deserializer<'de>>(d: D) -> Result<Nest, D::Error> {
                Vec::<Nest>::deserialize(d).map(|mut all| Nest(all.pop().map(Box::new)))
            }
        }
        let nested = |n: usize| ["[".repeat(n), "]".repeat(n)].concat();
        assert!(decode::<Nest>(nested(100).as_bytes()).is_ok());
        assert!(decode::<Nest>(nested(100_000).as_bytes()).is_err());
    }
}

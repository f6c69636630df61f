//! [`Method`]: a request method, one of the registered ones or any other token.

use super::token;
use alloc::boxed::Box;
use core::fmt;

/// A request method (RFC 9110, section 9). Methods are case-sensitive: `get` is not `GET`.
///
/// ```
/// use antiphon_core::Method;
/// assert_eq!(Method::new("GET")?, Method::GET);
/// assert!(Method::GET.is_safe() && !Method::POST.is_idempotent());
/// assert_eq!(Method::new("M-SEARCH")?.as_str(), "M-SEARCH");
/// assert!(Method::new("GET /").is_err());
/// # Ok::<(), antiphon_core::InvalidMethod>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Method(Inner);

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Inner {
    Standard(&'static str),
    Extension(Box<str>),
}

const STANDARD: [&str; 9] = [
    "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH",
];

impl Method {
    /// `GET`
    pub const GET: Method = Method(Inner::Standard("GET"));
    /// `HEAD`
    pub const HEAD: Method = Method(Inner::Standard("HEAD"));
    /// `POST`
    pub const POST: Method = Method(Inner::Standard("POST"));
    /// `PUT`
    pub const PUT: Method = Method(Inner::Standard("PUT"));
    /// `DELETE`
    pub const DELETE: Method = Method(Inner::Standard("DELETE"));
    /// `CONNECT`
    pub const CONNECT: Method = Method(Inner::Standard("CONNECT"));
    /// `OPTIONS`
    pub const OPTIONS: Method = Method(Inner::Standard("OPTIONS"));
    /// `TRACE`
    pub const TRACE: Method = Method(Inner::Standard("TRACE"));
    /// `PATCH` (RFC 5789)
    pub const PATCH: Method = Method(Inner::Standard("PATCH"));

    /// The method of this name. Only extension methods allocate.
    ///
    /// # Errors
    /// [`InvalidMethod`] if `name` is no token.
    pub fn new(name: impl AsRef<[u8]>) -> Result<Method, InvalidMethod> {
        let name = name.as_ref();
        if let Some(known) = STANDARD.iter().find(|s| s.as_bytes() == name) {
            return Ok(Method(Inner::Standard(known)));
        }
        match core::str::from_utf8(name) {
            Ok(text) if token::all_token(name) => Ok(Method(Inner::Extension(text.into()))),
            _ => Err(InvalidMethod(())),
        }
    }

    /// The method's name.
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Inner::Standard(s) => s,
            Inner::Extension(s) => s,
        }
    }

    /// Whether the method is safe: it only reads (RFC 9110, section 9.2.1).
    pub fn is_safe(&self) -> bool {
        matches!(self.as_str(), "GET" | "HEAD" | "OPTIONS" | "TRACE")
    }

    /// Whether doing it twice means the same as doing it once (RFC 9110, section 9.2.2).
    pub fn is_idempotent(&self) -> bool {
        self.is_safe() || matches!(self.as_str(), "PUT" | "DELETE")
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl PartialEq<str> for Method {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for Method {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

/// The text is no method: it must be one or more token characters (RFC 9110, section 9.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidMethod(());

impl fmt::Display for InvalidMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a method: it must be one or more token characters (RFC 9110, section 9.1)")
    }
}

impl core::error::Error for InvalidMethod {}

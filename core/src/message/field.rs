//! One field line to be sent: a validated [`FieldName`], a validated [`FieldValue`], the pair [`Field`], and
//! [`FieldLines`], the trait of everything that can be written as a field section.

use super::secret::{Masked, is_secret};
use super::token;
use core::fmt;

/// A valid field name: a non-empty token (RFC 9110, section 5.1). Case is kept as given.
///
/// ```
/// use antiphon_core::FieldName;
/// const X_REQUEST_ID: FieldName<'static> = FieldName::from_static("X-Request-Id");
/// assert!(FieldName::new(b"bad name").is_err());
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct FieldName<'a>(&'a [u8]);

impl<'a> FieldName<'a> {
    /// Checks `name`.
    ///
    /// # Errors
    /// [`InvalidFieldName`] if it is empty or holds a byte that is no `tchar`.
    pub const fn new(name: &'a [u8]) -> Result<FieldName<'a>, InvalidFieldName> {
        if token::all_token(name) {
            Ok(FieldName(name))
        } else {
            Err(InvalidFieldName(()))
        }
    }

    /// A constant name. Meant for `const`, where a bad name is a compile error.
    ///
    /// # Panics
    /// If `name` is no token: a bug in the program's text, never the result of input.
    pub const fn from_static(name: &'static str) -> FieldName<'static> {
        assert!(token::all_token(name.as_bytes()), "a field name must be a token");
        FieldName(name.as_bytes())
    }

    /// For names that the tokenizer or [`super::Headers`] already checked.
    pub(crate) const fn checked(name: &'a [u8]) -> FieldName<'a> {
        FieldName(name)
    }

    /// The name's bytes.
    pub const fn as_bytes(self) -> &'a [u8] {
        self.0
    }

    /// The name as text (tokens are ASCII).
    pub fn as_str(self) -> &'a str {
        // A token is ASCII, so this never falls back.
        core::str::from_utf8(self.0).unwrap_or("")
    }

    /// Equality without regard to case.
    pub fn is(self, other: &str) -> bool {
        self.0.eq_ignore_ascii_case(other.as_bytes())
    }
}

impl fmt::Debug for FieldName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A valid field value: HTAB, SP, VCHAR and obs-text, without leading or trailing white space
/// (RFC 9110, section 5.5). No CR, LF or NUL can be in one, so no value can split a message.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct FieldValue<'a>(&'a [u8]);

impl<'a> FieldValue<'a> {
    /// Checks `value`; surrounding white space is trimmed.
    ///
    /// # Errors
    /// [`InvalidFieldValue`] if it holds a control byte other than HTAB.
    pub const fn new(value: &'a [u8]) -> Result<FieldValue<'a>, InvalidFieldValue> {
        let mut value = value;
        while let [b' ' | b'\t', rest @ ..] = value {
            value = rest;
        }
        while let [rest @ .., b' ' | b'\t'] = value {
            value = rest;
        }
        let mut i = 0;
        while i < value.len() {
            if !token::is_value(value[i]) {
                return Err(InvalidFieldValue { at: i });
            }
            i += 1;
        }
        Ok(FieldValue(value))
    }

    /// A constant value. Meant for `const`, where a bad value is a compile error.
    ///
    /// # Panics
    /// If `value` holds a control byte: a bug in the program's text, never the result of input.
    pub const fn from_static(value: &'static str) -> FieldValue<'static> {
        match FieldValue::new(value.as_bytes()) {
            Ok(v) => v,
            Err(_) => panic!("a field value must not hold control bytes"),
        }
    }

    pub(crate) const fn checked(value: &'a [u8]) -> FieldValue<'a> {
        FieldValue(value)
    }

    /// The value's bytes.
    pub const fn as_bytes(self) -> &'a [u8] {
        self.0
    }

    /// The value as text, if it is UTF-8.
    pub fn to_str(self) -> Option<&'a str> {
        core::str::from_utf8(self.0).ok()
    }
}

impl fmt::Debug for FieldValue<'_> {
    /// The length only: without its name, nobody can tell whether a value is a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FieldValue({} bytes)", self.0.len())
    }
}

/// A field line: name and value, both valid.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Field<'a> {
    /// The name, in its original case.
    pub name: FieldName<'a>,
    /// The value.
    pub value: FieldValue<'a>,
}

impl<'a> Field<'a> {
    /// A field line of two validated parts.
    pub const fn new(name: FieldName<'a>, value: FieldValue<'a>) -> Field<'a> {
        Field { name, value }
    }

    /// A constant field line, checked at compile time when used in a `const`.
    ///
    /// # Panics
    /// As [`FieldName::from_static`] and [`FieldValue::from_static`].
    pub const fn from_static(name: &'static str, value: &'static str) -> Field<'static> {
        Field {
            name: FieldName::from_static(name),
            value: FieldValue::from_static(value),
        }
    }
}

impl fmt::Debug for Field<'_> {
    /// Values of fields that carry credentials are masked, and userinfo in URLs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if is_secret(self.name.0) {
            write!(f, "{:?}: [redacted]", self.name)
        } else {
            write!(f, "{:?}: {:?}", self.name, Masked(self.value.0))
        }
    }
}

/// A sequence of field lines that can be walked more than once: what `send_head`, `send_request` and `finish`
/// take. Implemented by arrays and slices of [`Field`], by [`super::Headers`] and by [`super::Fields`].
///
/// Use [`super::Fields::EMPTY`] for none.
pub trait FieldLines {
    /// Calls `each` for every field line, in order. Must give the same lines every time.
    fn for_each_field(&self, each: impl FnMut(Field<'_>));
}

impl FieldLines for [Field<'_>] {
    fn for_each_field(&self, mut each: impl FnMut(Field<'_>)) {
        for f in self {
            each(*f);
        }
    }
}

impl<const N: usize> FieldLines for [Field<'_>; N] {
    fn for_each_field(&self, each: impl FnMut(Field<'_>)) {
        self.as_slice().for_each_field(each);
    }
}

impl<T: FieldLines + ?Sized> FieldLines for &T {
    fn for_each_field(&self, each: impl FnMut(Field<'_>)) {
        (**self).for_each_field(each);
    }
}

/// The text is no field name (a non-empty token, RFC 9110 section 5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidFieldName(());

impl fmt::Display for InvalidFieldName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a field name: it must be one or more token characters (RFC 9110, section 5.1)")
    }
}

impl core::error::Error for InvalidFieldName {}

/// The bytes are no field value. The value itself is not repeated here, since it may be a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidFieldValue {
    at: usize,
}

impl InvalidFieldValue {
    /// Where the first bad byte stands in the value, counted after leading white space.
    pub const fn position(self) -> usize {
        self.at
    }
}

impl fmt::Display for InvalidFieldValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "not a field value: control byte at position {} (RFC 9110, section 5.5)",
            self.at
        )
    }
}

impl core::error::Error for InvalidFieldValue {}

//! Conversions to and from the types of the `http` crate.
//!
//! What is lost on the way there: the case of field names, the order of fields of different names (that of equal
//! names is kept), and the missing path of an absolute target, which becomes `/`. Fields that carry credentials
//! are marked sensitive. On the way back the other parts of a message (extensions, bodies) stay behind: they
//! are no part of a head.

use super::secret::is_secret;
use super::{Fields, Headers, Method, Request, Response, Status, Target, Version};
use ::http::header::{HeaderMap, HeaderName, HeaderValue};
use ::http::{Uri, request, response};
use core::fmt;
use std::string::ToString;

/// A part of a message that the other side's types cannot say. Values are never repeated here, since they may
/// be secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ConversionError {
    /// The method.
    Method,
    /// The target: `http::Uri` holds less than 64 KiB and refuses some bytes; a URI of an authority alone needs
    /// a port to be a target.
    Target,
    /// The version: only HTTP/1.0 and HTTP/1.1 have a counterpart here.
    Version,
    /// A field name.
    FieldName,
    /// A field value.
    FieldValue,
    /// More fields than the other side holds (`http::HeaderMap`: 24,576 names; [`Headers`]: 4 GiB).
    TooManyFields,
}

impl fmt::Display for ConversionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ConversionError::Method => "the method cannot be converted",
            ConversionError::Target => "the request target and the URI cannot be converted into each other",
            ConversionError::Version => "only HTTP/1.0 and HTTP/1.1 can be converted",
            ConversionError::FieldName => "a field name cannot be converted",
            ConversionError::FieldValue => "a field value cannot be converted",
            ConversionError::TooManyFields => "there are more fields than can be converted",
        })
    }
}

impl core::error::Error for ConversionError {}

impl From<Version> for ::http::Version {
    fn from(version: Version) -> ::http::Version {
        match version {
            Version::Http10 => ::http::Version::HTTP_10,
            Version::Http11 => ::http::Version::HTTP_11,
        }
    }
}

impl TryFrom<::http::Version> for Version {
    type Error = ConversionError;
    fn try_from(version: ::http::Version) -> Result<Version, ConversionError> {
        match version {
            ::http::Version::HTTP_10 => Ok(Version::Http10),
            ::http::Version::HTTP_11 => Ok(Version::Http11),
            _ => Err(ConversionError::Version),
        }
    }
}

impl From<Status> for ::http::StatusCode {
    fn from(status: Status) -> ::http::StatusCode {
        ::http::StatusCode::from_u16(status.code()).expect("both sides hold 100 to 999")
    }
}

impl From<::http::StatusCode> for Status {
    fn from(status: ::http::StatusCode) -> Status {
        Status::new(status.as_u16()).expect("both sides hold 100 to 999")
    }
}

impl TryFrom<&Method> for ::http::Method {
    type Error = ConversionError;
    fn try_from(method: &Method) -> Result<::http::Method, ConversionError> {
        ::http::Method::from_bytes(method.as_str().as_bytes()).map_err(|_| ConversionError::Method)
    }
}

impl TryFrom<&::http::Method> for Method {
    type Error = ConversionError;
    fn try_from(method: &::http::Method) -> Result<Method, ConversionError> {
        Method::new(method.as_str()).map_err(|_| ConversionError::Method)
    }
}

impl TryFrom<&Target> for Uri {
    type Error = ConversionError;
    fn try_from(target: &Target) -> Result<Uri, ConversionError> {
        Uri::try_from(target.as_str()).map_err(|_| ConversionError::Target)
    }
}

/// The form stays as it is: a URI with scheme and authority becomes an absolute target, userinfo included.
impl TryFrom<&Uri> for Target {
    type Error = ConversionError;
    fn try_from(uri: &Uri) -> Result<Target, ConversionError> {
        Target::new(uri.to_string()).map_err(|_| ConversionError::Target)
    }
}

impl TryFrom<Fields<'_>> for HeaderMap {
    type Error = ConversionError;
    fn try_from(fields: Fields<'_>) -> Result<HeaderMap, ConversionError> {
        let mut map =
            HeaderMap::try_with_capacity(fields.len()).map_err(|_| ConversionError::TooManyFields)?;
        for field in fields {
            let name = field.name.as_bytes();
            let mut value =
                HeaderValue::from_bytes(field.value.as_bytes()).map_err(|_| ConversionError::FieldValue)?;
            value.set_sensitive(is_secret(name));
            let name = HeaderName::from_bytes(name).map_err(|_| ConversionError::FieldName)?;
            map.try_append(name, value)
                .map_err(|_| ConversionError::TooManyFields)?;
        }
        Ok(map)
    }
}

impl TryFrom<&Headers> for HeaderMap {
    type Error = ConversionError;
    fn try_from(headers: &Headers) -> Result<HeaderMap, ConversionError> {
        headers.as_fields().try_into()
    }
}

impl TryFrom<&HeaderMap> for Headers {
    type Error = ConversionError;
    fn try_from(map: &HeaderMap) -> Result<Headers, ConversionError> {
        let mut headers = Headers::new();
        for (name, value) in map {
            headers
                .append(name.as_str(), value.as_bytes())
                .map_err(|e| match e {
                    super::InvalidField::Name(_) => ConversionError::FieldName,
                    super::InvalidField::Value(_) => ConversionError::FieldValue,
                    super::InvalidField::TooLarge => ConversionError::TooManyFields,
                })?;
        }
        Ok(headers)
    }
}

/// Add a body with `http::Request::from_parts`.
///
/// ```
/// use antiphon_core::{Method, Request, Target};
/// let request = Request::new(Method::GET, Target::new("/a?b")?);
/// let parts: http::request::Parts = (&request).try_into()?;
/// assert_eq!(parts.uri.query(), Some("b"));
/// assert_eq!(Request::try_from(&parts)?, request);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
impl TryFrom<&Request> for request::Parts {
    type Error = ConversionError;
    fn try_from(head: &Request) -> Result<request::Parts, ConversionError> {
        let (mut parts, ()) = ::http::Request::new(()).into_parts();
        parts.method = (&head.method).try_into()?;
        parts.uri = (&head.target).try_into()?;
        parts.version = head.version.into();
        parts.headers = (&head.headers).try_into()?;
        Ok(parts)
    }
}

impl TryFrom<&request::Parts> for Request {
    type Error = ConversionError;
    fn try_from(parts: &request::Parts) -> Result<Request, ConversionError> {
        Ok(Request {
            method: (&parts.method).try_into()?,
            target: (&parts.uri).try_into()?,
            version: parts.version.try_into()?,
            headers: (&parts.headers).try_into()?,
        })
    }
}

/// Add a body with `http::Response::from_parts`.
impl TryFrom<&Response> for response::Parts {
    type Error = ConversionError;
    fn try_from(head: &Response) -> Result<response::Parts, ConversionError> {
        let (mut parts, ()) = ::http::Response::new(()).into_parts();
        parts.status = head.status.into();
        parts.version = head.version.into();
        parts.headers = (&head.headers).try_into()?;
        Ok(parts)
    }
}

impl TryFrom<&response::Parts> for Response {
    type Error = ConversionError;
    fn try_from(parts: &response::Parts) -> Result<Response, ConversionError> {
        Ok(Response {
            status: parts.status.into(),
            version: parts.version.try_into()?,
            headers: (&parts.headers).try_into()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TargetForm;
    use alloc::format;
    use alloc::vec::Vec;
    use quickcheck::quickcheck;

    #[test]
    fn every_status_and_both_versions() {
        for code in 100..=999 {
            let status = Status::new(code).unwrap();
            assert_eq!(Status::from(::http::StatusCode::from(status)), status);
        }
        for version in [Version::Http10, Version::Http11] {
            assert_eq!(Version::try_from(::http::Version::from(version)), Ok(version));
        }
        for version in [
            ::http::Version::HTTP_09,
            ::http::Version::HTTP_2,
            ::http::Version::HTTP_3,
        ] {
            assert_eq!(Version::try_from(version), Err(ConversionError::Version));
        }
    }

    #[test]
    fn methods() {
        let long = "A".repeat(300);
        for name in ["GET", "PATCH", "M-SEARCH", "get", "!#$%&'*+-.^_`|~09", &long] {
            let method = Method::new(name).unwrap();
            let there = ::http::Method::try_from(&method).unwrap();
            assert_eq!(there.as_str(), name);
            assert_eq!(Method::try_from(&there), Ok(method));
        }
    }

    #[test]
    fn targets_of_all_forms() {
        for (text, form) in [
            ("/", TargetForm::Origin),
            ("/a/b?c=d&e", TargetForm::Origin),
            ("/?", TargetForm::Origin),
            ("/%2f?%%", TargetForm::Origin),
            ("//h/a", TargetForm::Origin),
            ("*", TargetForm::Asterisk),
            ("h:80", TargetForm::Authority),
            ("[::1]:443", TargetForm::Authority),
            ("http://h/a?b", TargetForm::Absolute),
            ("http://u:p@h:1/", TargetForm::Absolute),
        ] {
            let target = Target::new(text).unwrap();
            let uri = Uri::try_from(&target).unwrap_or_else(|e| panic!("{text}: {e}"));
            let back = Target::try_from(&uri).unwrap();
            assert_eq!((back.as_str(), back.form()), (text, form));
        }
        let bare = Uri::try_from(&Target::new("http://h").unwrap()).unwrap();
        assert_eq!(Target::try_from(&bare).unwrap().as_str(), "http://h/");
        assert_eq!(
            Target::try_from(&Uri::from_static("h")),
            Err(ConversionError::Target)
        );
        let long = Target::new(format!("/{}", "a".repeat(65_535))).unwrap();
        assert_eq!(Uri::try_from(&long), Err(ConversionError::Target));
    }

    #[test]
    fn fields_keep_values_and_the_order_of_equal_names() {
        let mut h = Headers::new();
        for (n, v) in [
            ("X-A", "1"),
            ("Cookie", "s"),
            ("x-a", "\u{fc}\t2"),
            ("X-Empty", ""),
        ] {
            h.append(n, v).unwrap();
        }
        let map = HeaderMap::try_from(&h).unwrap();
        let values: Vec<&[u8]> = map.get_all("x-a").iter().map(HeaderValue::as_bytes).collect();
        assert_eq!(values, [b"1", "\u{fc}\t2".as_bytes()]);
        assert!(map["cookie"].is_sensitive() && !map["x-a"].is_sensitive());
        let back = Headers::try_from(&map).unwrap();
        assert_eq!(back.len(), 4);
        assert!(back.get_all("X-A").eq(h.get_all("X-A")));
        assert_eq!(back.get("x-empty"), Some(&b""[..]));
    }

    #[test]
    fn what_http_cannot_hold() {
        let mut h = Headers::new();
        h.append("a".repeat(70_000), "v").unwrap();
        assert_eq!(HeaderMap::try_from(&h).map(drop), Err(ConversionError::FieldName));
        let mut h = Headers::new();
        for i in 0..40_000 {
            h.append(format!("x-{i}"), "v").unwrap();
        }
        assert_eq!(
            HeaderMap::try_from(&h).map(drop),
            Err(ConversionError::TooManyFields)
        );
    }

    #[test]
    fn heads() {
        let mut response = Response::new(Status::NOT_FOUND);
        response.version = Version::Http10;
        response.headers.append("x-a", "1").unwrap();
        let parts = response::Parts::try_from(&response).unwrap();
        assert_eq!(
            (parts.status.as_u16(), parts.version),
            (404, ::http::Version::HTTP_10)
        );
        assert_eq!(Response::try_from(&parts), Ok(response));

        let (mut parts, ()) = ::http::Request::new(()).into_parts();
        parts.version = ::http::Version::HTTP_2;
        assert_eq!(Request::try_from(&parts), Err(ConversionError::Version));
    }

    quickcheck! {
        fn valid_fields_survive(lines: Vec<(alloc::string::String, Vec<u8>)>) -> bool {
            let mut h = Headers::new();
            for (name, value) in &lines {
                let _ = h.append(name, value);
                let _ = h.append("x-fixed", value);
            }
            let map = HeaderMap::try_from(&h).unwrap();
            let back = Headers::try_from(&map).unwrap();
            back.len() == h.len()
                && h.iter().all(|f| back.get_all(f.name.as_str()).eq(h.get_all(f.name.as_str())))
        }
    }
}

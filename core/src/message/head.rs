//! Owned message heads for the layers above the connection machines.

use super::{Headers, Method, Status, Target, Version};

/// An owned request head.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The request target, verbatim.
    pub target: Target,
    /// The version that the message came with; outgoing messages are always 1.1.
    pub version: Version,
    /// The header section.
    pub headers: Headers,
}

impl Request {
    /// A request head without fields, version 1.1.
    pub const fn new(method: Method, target: Target) -> Request {
        Request {
            method,
            target,
            version: Version::Http11,
            headers: Headers::new(),
        }
    }
}

/// An owned response head.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs)]
pub struct Response {
    /// The status code.
    pub status: Status,
    /// The version that the message came with; outgoing messages are always 1.1.
    pub version: Version,
    /// The header section.
    pub headers: Headers,
}

impl Response {
    /// A response head without fields, version 1.1.
    pub const fn new(status: Status) -> Response {
        Response {
            status,
            version: Version::Http11,
            headers: Headers::new(),
        }
    }
}

//! The pure core of Antiphon: HTTP/1.1 as state machines that turn bytes into events and actions.
//!
//! There is no socket, clock, thread, task or lock in here. A *driver* moves the bytes, tells the time and
//! carries out what the machines want; the [`h1`] module documentation shows the loop.
//!
//! | module | what lives there |
//! |---|---|
//! | [`h1`] | the connection machines [`h1::ServerConn`] and [`h1::ClientConn`] |
//! | [`message`] | methods, statuses, targets, fields, heads (re-exported here) |
#![cfg_attr(
    feature = "client",
    doc = "| [`client`] | client policy machines: calls with redirects and retries, the connection pool, cookies, proxies, the making of connections |"
)]
#![cfg_attr(
    feature = "forms",
    doc = "| [`forms`] | forms: pairs in queries and bodies, and multipart bodies |"
)]
#![cfg_attr(
    feature = "server",
    doc = "| [`server`] | server policy machines: accept back-off, shutdown, dates, ranges, conditionals |"
)]
//!
//! Features: `std` (default; only gives httparse its SIMD), `client`, `server` (policy machines), `forms`, `http`
//! (conversions to and from the `http` crate), `trace` (`h1::trace`: machines that write down what goes on).
#![no_std]

extern crate alloc;
#[cfg(feature = "http")]
extern crate std;
#[cfg(all(test, not(feature = "http")))]
extern crate std;

// How properties are run, in unit tests, too.
#[allow(dead_code)]
#[path = "../tests/properties/cases.rs"]
#[cfg(test)]
mod cases;
#[cfg(feature = "client")]
pub mod client;
#[cfg(feature = "forms")]
pub mod forms;
pub mod h1;
pub mod message;
#[cfg(feature = "server")]
pub mod server;
mod time;

#[cfg(feature = "http")]
pub use message::ConversionError;
pub use message::{
    Field, FieldLines, FieldName, FieldValue, Fields, FieldsIter, Headers, InvalidField, InvalidFieldName,
    InvalidFieldValue, InvalidMethod, InvalidStatus, InvalidTarget, Method, Request, Response, Status,
    Target, TargetForm, Version,
};
pub use time::{Instant, Now, UnixTime};

//! The rules of a response that a handler writes, as transcripts: what the handler calls, and what goes to the client.
//!
//! | file | what is told |
//! |---|---|
//! | `heads.rs` | status, fields, interim responses |
//! | `bodies.rs` | lengths, flushes, HEAD, statuses without content, trailers |
//! | `ends.rs` | errors, failures, aborts |
//! | `actions.rs` | the single actions, and what happens under back-pressure |
//! | `prepared.rs` | heads of responses that are returned |
//! | `model.rs` | any calls, against a naive model, read back by a client |
#![cfg(feature = "server")]

mod actions;
mod bodies;
#[allow(dead_code)]
#[path = "../properties/cases.rs"]
mod cases;
mod ends;
mod exchange;
mod heads;
mod model;
mod prepared;

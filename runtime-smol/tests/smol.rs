//! The suite of the async drivers on smol.
#![allow(missing_docs)]

#[path = "../../driver/tests/suite/mod.rs"]
mod suite;
#[path = "../../driver/tests/support/mod.rs"]
mod support;

mod rt;

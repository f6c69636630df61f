//! What an idle connection costs on smol.
#![allow(missing_docs, dead_code)]

#[path = "../../driver/tests/idle/mod.rs"]
mod idle;
mod rt;
#[path = "../../driver/tests/support/mod.rs"]
mod support;

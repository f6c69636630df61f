//! The suite of the async drivers on Tokio's multi-threaded runtime.
#![allow(missing_docs)]

#[path = "rt/mod.rs"]
mod common;
#[path = "../../driver/tests/suite/mod.rs"]
mod suite;
#[path = "../../driver/tests/support/mod.rs"]
mod support;

mod rt {
    pub(crate) use super::common::*;

    pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime")
            .block_on(future)
    }
}

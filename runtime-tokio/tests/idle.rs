//! What an idle connection costs on Tokio.
#![allow(missing_docs, dead_code)]

#[path = "rt/mod.rs"]
mod common;
#[path = "../../driver/tests/idle/mod.rs"]
mod idle;
#[path = "../../driver/tests/support/mod.rs"]
mod support;

mod rt {
    pub(crate) use super::common::*;

    pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime")
            .block_on(future)
    }
}

//! Fetches URLs on Tokio: `cargo run --release --example fetch-tokio -- [OPTIONS] URL...`, `--help` shows the options.

#[path = "../../examples-shared/fetch/args.rs"]
mod args;
#[path = "../../examples-shared/fetch/meter.rs"]
mod meter;
#[path = "../../examples-shared/fetch/run.rs"]
mod run;
#[path = "../../examples-shared/fetch/setup.rs"]
mod setup;

/// The library, as the shared files name it.
mod api {
    pub(crate) use antiphon_tokio::*;
    pub(crate) use tokio::time::sleep;
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::process::ExitCode {
    run::run("fetch-tokio").await
}

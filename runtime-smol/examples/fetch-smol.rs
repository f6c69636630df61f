//! Fetches URLs on smol: `cargo run --release --example fetch-smol -- [OPTIONS] URL...`, `--help` shows the options.

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
    pub(crate) use antiphon_smol::*;

    pub(crate) async fn sleep(time: std::time::Duration) {
        async_io::Timer::after(time).await;
    }
}

fn main() -> std::process::ExitCode {
    antiphon_smol::block_on(run::run("fetch-smol"))
}

//! The subject server: `subject-server --runtime core|tokio|smol|blocking --listen ADDR`.
//!
//! Prints `listening on ADDR` and serves the echo of [`antiphon_tests::echo`] until it is terminated.

use antiphon_core::h1::ServerConfig;
use antiphon_tests::subject::Runtime;
use std::error::Error;
use std::io::Write;

fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let (mut runtime, mut listen) = (Runtime::Core, "127.0.0.1:0".to_string());
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let value = args.next().ok_or(format!("{arg} needs a value"))?;
        match arg.as_str() {
            "--runtime" => runtime = Runtime::named(&value).ok_or(format!("no runtime {value}"))?,
            "--listen" => listen = value,
            _ => return Err(format!("unknown option {arg}").into()),
        }
    }
    runtime.serve(&listen, ServerConfig::DEFAULT, |addr| {
        println!("listening on {addr}");
        let _ = std::io::stdout().flush();
    })?;
    Ok(())
}

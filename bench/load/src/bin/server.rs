//! `server --runtime tokio|smol|blocking --listen ADDR`: the routes of `antiphon_load::handler`. Prints
//! `listening on ADDR` first and serves until it is terminated.

use antiphon_load::{Runtime, handler};
use std::error::Error;
use std::io::Write;
use std::net::SocketAddr;
use std::process::ExitCode;

const USAGE: &str = "usage: server --runtime tokio|smol|blocking --listen ADDR";
/// Enough for the idle-memory measurement.
const CONNECTIONS: usize = 20_000;

fn main() -> ExitCode {
    match arguments().and_then(|(runtime, addr)| serve(runtime, &addr)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("{e}");
            ExitCode::FAILURE
        }
    }
}

fn arguments() -> Result<(Runtime, String), Box<dyn Error>> {
    let (mut runtime, mut addr) = (None, "127.0.0.1:0".to_owned());
    let mut args = std::env::args().skip(1);
    while let Some(flag) = args.next() {
        let value = args.next().ok_or(USAGE)?;
        match flag.as_str() {
            "--runtime" => runtime = Some(value.parse()?),
            "--listen" => addr = value,
            _ => return Err(USAGE.into()),
        }
    }
    Ok((runtime.ok_or(USAGE)?, addr))
}

fn listening(addr: SocketAddr) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "listening on {addr}")?;
    out.flush()
}

fn serve(runtime: Runtime, addr: &str) -> Result<(), Box<dyn Error>> {
    match runtime {
        Runtime::Tokio => {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            runtime.block_on(async {
                let server = antiphon_tokio::Server::builder()
                    .max_connections(CONNECTIONS)
                    .bind(addr)?;
                listening(server.local_addr()?)?;
                Ok(server.serve(handler::answer).await?)
            })
        }
        Runtime::Smol => antiphon_smol::block_on(async {
            let server = antiphon_smol::Server::builder()
                .max_connections(CONNECTIONS)
                .bind(addr)?;
            listening(server.local_addr()?)?;
            Ok(server.serve(handler::answer).await?)
        }),
        Runtime::Blocking => {
            let server = antiphon_blocking::Server::builder()
                .max_connections(CONNECTIONS)
                .bind(addr)?;
            listening(server.local_addr()?)?;
            Ok(server.serve(handler::answer_blocking)?)
        }
    }
}

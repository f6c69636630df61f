//! Serves a directory on smol: `cargo run --release --example serve-smol -- [--listen ADDR] [DIR]`.

#[path = "../../examples-shared/args_serve.rs"]
mod args;

use antiphon_smol::antiphon_core::server::access_log::Line;
use antiphon_smol::{Request, Response, ServeDir, Server};
use std::convert::Infallible;
use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

fn main() -> ExitCode {
    antiphon_smol::block_on(run())
}

async fn run() -> ExitCode {
    let args = args::parse();
    let files = match ServeDir::new(&args.dir) {
        Ok(files) => Arc::new(files),
        Err(e) => return complain(&format!("cannot serve {}: {e}", args.dir.display())),
    };
    let server = match Server::bind(&*args.listen) {
        Ok(server) => server,
        Err(e) => return complain(&describe(&e)),
    };
    match server.local_addr() {
        // Whether anybody reads it or not.
        Ok(addr) => drop(writeln!(std::io::stdout(), "listening on {addr}")),
        Err(e) => return complain(&describe(&e)),
    }
    let _ = std::io::stdout().flush();
    let handle = server.handle();
    // The second Ctrl-C does not wait for open transfers.
    let mut asked = false;
    let installed = ctrlc::set_handler(move || {
        if std::mem::replace(&mut asked, true) {
            std::process::exit(130);
        }
        args::say(format_args!(
            "finishing {} connections, Ctrl-C again to quit at once",
            handle.connections()
        ));
        handle.shutdown();
    });
    if let Err(e) = installed {
        return complain(&format!("cannot watch for Ctrl-C: {e}"));
    }
    let handler = move |mut request: Request| {
        let files = files.clone();
        async move {
            let begun = Instant::now();
            let response = files.respond(&mut request).await;
            Ok::<_, Infallible>(logged(request, response, begun))
        }
    };
    match server.serve(handler).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => complain(&describe(&e)),
    }
}

/// Writes a line to standard error once the response is out.
fn logged(request: Request, response: Response, begun: Instant) -> Response {
    let status = response.status();
    response.on_sent(move |bytes| {
        let remote = request.remote_addr();
        let line = Line {
            remote: &remote,
            method: request.method(),
            target: request.head().target_bytes(),
            status: Some(status),
            bytes,
            duration: begun.elapsed(),
        };
        args::say(line);
    })
}

/// An error with its causes.
fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(e) = cause {
        text.push_str(&format!(": {e}"));
        cause = e.source();
    }
    text
}

fn complain(problem: &str) -> ExitCode {
    args::say(format_args!("serve-smol: {problem}"));
    ExitCode::FAILURE
}

//! Fetches URLs with threads: `cargo run --release --example fetch-blocking -- [OPTIONS] URL...`, `--help` shows
//! the options.

#[path = "../../examples-shared/fetch/args.rs"]
mod args;
#[path = "../../examples-shared/fetch/meter.rs"]
mod meter;
#[path = "../../examples-shared/fetch/setup.rs"]
mod setup;

/// The library, as the shared files name it.
mod api {
    pub(crate) use antiphon_blocking::*;
}

use antiphon_blocking::{Body, BodyLen, Client, Response};
use args::{Args, PARALLEL};
use meter::{Meter, say};
use setup::Failure;
use std::fs::File;
use std::io::{IsTerminal, Read, Write, stdout};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

const NAME: &str = "fetch-blocking";

fn main() -> ExitCode {
    let args = args::parse();
    let (client, jar) = match setup::client(&args) {
        Ok(both) => both,
        Err(error) => return fail(&*error),
    };
    let (next, success) = (AtomicUsize::new(0), AtomicBool::new(true));
    let work = || {
        loop {
            let n = next.fetch_add(1, Ordering::Relaxed);
            if n >= args.urls.len() {
                return;
            }
            let good = fetch(&client, &args, n).unwrap_or_else(|error| {
                fail(&*error);
                false
            });
            success.fetch_and(good, Ordering::Relaxed);
        }
    };
    let at_once = if args.parallel {
        PARALLEL.min(args.urls.len())
    } else {
        1
    };
    thread::scope(|scope| {
        for _ in 1..at_once {
            scope.spawn(work);
        }
        work();
    });
    match setup::save(&args, jar.as_ref()) {
        Ok(()) if success.into_inner() => ExitCode::SUCCESS,
        Ok(()) => ExitCode::FAILURE,
        Err(error) => fail(&*error),
    }
}

fn fail(error: &(dyn std::error::Error + 'static)) -> ExitCode {
    say(format_args!("{NAME}: {}", setup::explained(error)));
    ExitCode::FAILURE
}

/// Whether the last response says success.
fn fetch(client: &Client, args: &Args, n: usize) -> Result<bool, Failure> {
    let url = &args.urls[n];
    let mut tries = 1;
    let response = loop {
        let result = send(client, args, url);
        let Some(pause) = setup::pause(args, tries, &result) else {
            break result?;
        };
        let why = match &result {
            Ok(response) => response.status().to_string(),
            Err(error) => setup::explained(&**error),
        };
        say(format_args!("* {why}; again in {} s", pause.as_secs()));
        drop(result);
        thread::sleep(pause);
        tries += 1;
    };
    receive(response, args, n)
}

fn send(client: &Client, args: &Args, url: &str) -> Result<Response, Failure> {
    let request = setup::with_body(setup::request(client, args, url), args)?;
    if args.verbose {
        setup::show_request(args, url);
    }
    Ok(request.send()?)
}

fn receive(mut response: Response, args: &Args, n: usize) -> Result<bool, Failure> {
    if args.verbose {
        setup::show_response(&response);
    }
    let output = args.output(n);
    let mut out: Box<dyn Write> = match &output {
        Some(path) => Box::new(File::create(path).map_err(|e| format!("{}: {e}", path.display()))?),
        None => Box::new(stdout()),
    };
    if args.include || args.head_only {
        write!(out, "{}\r\n", setup::head(&response, "").replace('\n', "\r\n"))?;
    }
    let total = match response.body().len() {
        BodyLen::Known(n) => Some(n),
        _ => None,
    };
    let shown = output.is_some() || !stdout().is_terminal();
    let name = if args.parallel { &args.urls[n] } else { "" };
    let mut meter = Meter::new(n, name, total, shown);
    let written = copy(response.body_mut(), &mut out, &mut meter);
    let told = meter.told();
    meter.finish(!args.parallel);
    written?;
    out.flush()?;
    let status = response.status();
    if args.parallel {
        say(format_args!("{status} {told} {}", args.urls[n]));
    }
    if args.verbose {
        setup::show_end(&response);
    }
    Ok(status.code() < 400)
}

fn copy(body: &mut Body, out: &mut dyn Write, meter: &mut Meter) -> Result<(), Failure> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let n = body.read(&mut buffer)?;
        if n == 0 {
            return Ok(());
        }
        out.write_all(&buffer[..n])?;
        meter.add(n);
    }
}

//! Fetches URLs with threads: `cargo run --release --example fetch-blocking -- [OPTIONS] URL...`, `--help` shows
//! the options.

#[path = "../../examples-shared/args_fetch.rs"]
mod args;

use antiphon_blocking::{Body, BodyLen, Client, Response, file_body};
use args::{Args, Data, Meter};
use std::error::Error;
use std::fs::File;
use std::io::{IsTerminal, Write, stdout};
use std::process::ExitCode;

fn main() -> ExitCode {
    let args = args::parse();
    let client = Client::new();
    let mut status = ExitCode::SUCCESS;
    for url in &args.urls {
        match fetch(&client, &args, url) {
            Ok(true) => {}
            Ok(false) => status = ExitCode::FAILURE,
            Err(error) => {
                let mut line = format!("fetch-blocking: {error}");
                let mut cause = error.source();
                while let Some(e) = cause {
                    line.push_str(&format!(": {e}"));
                    cause = e.source();
                }
                args::say(line);
                status = ExitCode::FAILURE;
            }
        }
    }
    status
}

/// Whether the response says success.
fn fetch(client: &Client, args: &Args, url: &str) -> Result<bool, Box<dyn Error>> {
    let mut request = client.request(&args.method, url);
    for (name, value) in &args.headers {
        request = request.header(name, value);
    }
    request = match &args.data {
        None => request,
        Some(Data::Text(text)) => request.body(text.clone()),
        Some(Data::File(path)) => {
            let file = File::open(path)?;
            let len = file.metadata()?.len();
            request.body(file_body(file, len))
        }
    };
    if args.verbose {
        args::say(format_args!("> {} {url}", args.method));
        args.headers
            .iter()
            .for_each(|(name, value)| args::say(format_args!("> {name}: {value}")));
    }
    let mut response = request.send()?;
    if args.verbose {
        for interim in response.informational() {
            args::say(format_args!("< HTTP/1.1 {}", interim.status));
        }
        args::say(head(&response, "< ").trim_end());
        args::say(format_args!(
            "* {} connection",
            if response.reused() { "reused" } else { "new" }
        ));
    }
    let mut out: Box<dyn Write> = match &args.output {
        Some(path) => Box::new(File::create(path)?),
        None => Box::new(stdout().lock()),
    };
    if args.include {
        write!(out, "{}\r\n", head(&response, "").replace('\n', "\r\n"))?;
    }
    let total = match response.body().len() {
        BodyLen::Known(n) => Some(n),
        _ => None,
    };
    let mut meter = Meter::new(total, args.output.is_some() || !stdout().is_terminal());
    let written = copy(response.body_mut(), &mut out, &mut meter);
    meter.finish();
    written?;
    out.flush()?;
    if args.verbose {
        match response.close_reason() {
            Some(reason) => args::say(format_args!("* connection closes: {reason}")),
            None => args::say("* connection kept"),
        }
    }
    Ok(response.status().code() < 400)
}

fn copy(body: &mut Body, out: &mut dyn Write, meter: &mut Meter) -> Result<(), Box<dyn Error>> {
    while let Some(chunk) = body.chunk() {
        let chunk = chunk?;
        out.write_all(&chunk)?;
        meter.add(chunk.len());
    }
    Ok(())
}

/// Status line and fields, each line behind `mark`.
fn head(response: &Response, mark: &str) -> String {
    let reason = String::from_utf8_lossy(response.reason());
    let mut text = format!("{mark}{} {} {reason}\n", response.version(), response.status());
    for field in response.headers() {
        let value = String::from_utf8_lossy(field.value.as_bytes());
        text.push_str(&format!("{mark}{}: {value}\n", field.name.as_str()));
    }
    text
}

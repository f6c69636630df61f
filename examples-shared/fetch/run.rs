//! How the async `fetch-*` examples fetch. Each names its runtime as `api`, with `sleep` beside the library.

use super::api::{self, Body, BodyLen, Client, Response, Status};
use super::args::{self, Args, PARALLEL};
use super::meter::{Meter, say};
use super::setup::{self, Failure};
use futures_util::StreamExt;
use std::fs::File;
use std::io::{IsTerminal, Write, stdout};
use std::process::ExitCode;

/// The program.
pub(crate) async fn run(name: &str) -> ExitCode {
    let args = args::parse();
    let (client, jar) = match setup::client(&args) {
        Ok(both) => both,
        Err(error) => return fail(name, &*error),
    };
    let one = async |n: usize| match fetch(&client, &args, n).await {
        Ok(success) => success,
        Err(error) => {
            fail(name, &*error);
            false
        }
    };
    let all = futures_util::stream::iter(0..args.urls.len()).map(one);
    let at_once = if args.parallel { PARALLEL } else { 1 };
    let mut status = ExitCode::SUCCESS;
    let mut results = std::pin::pin!(all.buffered(at_once));
    while let Some(success) = results.next().await {
        if !success {
            status = ExitCode::FAILURE;
        }
    }
    match setup::save(&args, jar.as_ref()) {
        Ok(()) => status,
        Err(error) => fail(name, &*error),
    }
}

fn fail(name: &str, error: &(dyn std::error::Error + 'static)) -> ExitCode {
    say(format_args!("{name}: {}", setup::explained(error)));
    ExitCode::FAILURE
}

/// Whether the last response says success.
async fn fetch(client: &Client, args: &Args, n: usize) -> Result<bool, Failure> {
    let url = &args.urls[n];
    let mut tries = 1;
    let response = loop {
        let result = send(client, args, url).await;
        let Some(pause) = setup::pause(args, tries, &result) else {
            break result?;
        };
        let why = match &result {
            Ok(response) => response.status().to_string(),
            Err(error) => setup::explained(&**error),
        };
        say(format_args!("* {why}; again in {} s", pause.as_secs()));
        drop(result);
        api::sleep(pause).await;
        tries += 1;
    };
    receive(response, args, n).await
}

async fn send(client: &Client, args: &Args, url: &str) -> Result<Response, Failure> {
    let request = setup::with_body(setup::request(client, args, url), args)?;
    if args.verbose {
        setup::show_request(args, url);
    }
    Ok(request.send().await?)
}

async fn receive(mut response: Response, args: &Args, n: usize) -> Result<bool, Failure> {
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
    let written = copy(response.body_mut(), &mut out, &mut meter).await;
    let told = meter.told();
    meter.finish(!args.parallel);
    written?;
    out.flush()?;
    let status: Status = response.status();
    if args.parallel {
        say(format_args!("{status} {told} {}", args.urls[n]));
    }
    if args.verbose {
        setup::show_end(&response);
    }
    Ok(status.code() < 400)
}

async fn copy(body: &mut Body, out: &mut dyn Write, meter: &mut Meter) -> Result<(), Failure> {
    while let Some(chunk) = body.chunk().await {
        let chunk = chunk?;
        out.write_all(&chunk)?;
        meter.add(chunk.len());
    }
    Ok(())
}

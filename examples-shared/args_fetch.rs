//! The command line of the `fetch-*` examples, and their progress meter.
//!
//! `[-X M] [-H 'K: V']... [-d DATA|@FILE] [-o FILE] [-i] [-v] URL...`. Plain std, no runtime: the examples of
//! all adapters include this file with `#[path]`. The fetching itself lives in the libraries.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

const USAGE: &str = "\
usage: fetch [-X METHOD] [-H 'Name: value']... [-d DATA|@FILE] [-o FILE] [-i] [-v] URL...

Fetches each URL over HTTP/1.1 and writes the bodies to standard output.

  -X METHOD   the method (default GET, or POST with -d)
  -H FIELD    a request header field, 'Name: value'; may be repeated
  -d DATA     a request body; @FILE streams it from a file
  -o FILE     write the body to FILE; shows a progress bar on a terminal
  -i          write the response head before the body
  -v          show heads, connection reuse and close reasons on standard error
  --help      this text

The exit status is 0 if every response had a status below 400 and a complete body.";

/// What the command line asks for.
#[derive(Debug)]
pub(crate) struct Args {
    /// The method: as given, else `GET`, or `POST` with a body.
    pub(crate) method: String,
    /// Header fields, name and value, in order.
    pub(crate) headers: Vec<(String, String)>,
    /// The request body.
    pub(crate) data: Option<Data>,
    /// Where the body goes instead of standard output.
    pub(crate) output: Option<PathBuf>,
    /// Write the response head before the body.
    pub(crate) include: bool,
    /// Show heads, reuse and close reasons.
    pub(crate) verbose: bool,
    /// What to fetch, at least one.
    pub(crate) urls: Vec<String>,
}

/// A request body.
#[derive(Debug, Clone)]
pub(crate) enum Data {
    /// These bytes.
    Text(String),
    /// The content of this file, streamed.
    File(PathBuf),
}

/// Reads the process's arguments. Prints the usage and ends the process when they make no sense.
pub(crate) fn parse() -> Args {
    parse_from(std::env::args().skip(1)).unwrap_or_else(|problem| {
        if problem.is_empty() {
            // As in `say`.
            let _ = writeln!(std::io::stdout(), "{USAGE}");
            std::process::exit(0);
        }
        say(format_args!("fetch: {problem}\n\n{USAGE}"));
        std::process::exit(2);
    })
}

/// Writes a line to standard error, in one call: it is not buffered. That nobody may read it any more is no
/// reason to fail, so `eprintln!`, which panics then, is not used.
pub(crate) fn say(line: impl std::fmt::Display) {
    let _ = std::io::stderr().write_all(format!("{line}\n").as_bytes());
}

/// An empty error asks for the usage.
fn parse_from(mut args: impl Iterator<Item = String>) -> Result<Args, String> {
    let mut method = None;
    let mut parsed = Args {
        method: String::new(),
        headers: Vec::new(),
        data: None,
        output: None,
        include: false,
        verbose: false,
        urls: Vec::new(),
    };
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or(format!("{arg} needs a value"));
        match arg.as_str() {
            "-X" => method = Some(value()?),
            "-H" => {
                let field = value()?;
                let (name, text) = field.split_once(':').ok_or(format!("no colon in -H {field:?}"))?;
                parsed.headers.push((name.to_string(), text.trim().to_string()));
            }
            "-d" => {
                let data = value()?;
                parsed.data = Some(match data.strip_prefix('@') {
                    Some(file) => Data::File(PathBuf::from(file)),
                    None => Data::Text(data),
                });
            }
            "-o" => parsed.output = Some(PathBuf::from(value()?)),
            "-i" => parsed.include = true,
            "-v" => parsed.verbose = true,
            "--help" | "-h" => return Err(String::new()),
            a if a.starts_with('-') => return Err(format!("unknown option {a}")),
            _ => parsed.urls.push(arg),
        }
    }
    if parsed.urls.is_empty() {
        return Err("no URL".to_string());
    }
    let default = if parsed.data.is_some() { "POST" } else { "GET" };
    parsed.method = method.unwrap_or_else(|| default.to_string());
    Ok(parsed)
}

/// Progress on standard error: a bar when the total is known, else a byte count. Silent unless standard error
/// is a terminal. Redrawn at most ten times a second.
#[derive(Debug)]
pub(crate) struct Meter {
    total: Option<u64>,
    done: u64,
    begun: Instant,
    drawn: Option<Instant>,
    shown: bool,
}

impl Meter {
    /// A meter for `total` bytes, if that is known. With `show: false` it never draws.
    pub(crate) fn new(total: Option<u64>, show: bool) -> Meter {
        let shown = show && std::io::stderr().is_terminal();
        Meter {
            total,
            done: 0,
            begun: Instant::now(),
            drawn: None,
            shown,
        }
    }

    /// `n` more bytes went by.
    pub(crate) fn add(&mut self, n: usize) {
        self.done += n as u64;
        if self.shown
            && self
                .drawn
                .is_none_or(|at| at.elapsed() >= Duration::from_millis(100))
        {
            self.draw();
        }
    }

    /// Draws the final state and ends the line.
    pub(crate) fn finish(mut self) {
        if self.shown {
            self.draw();
            say("");
        }
    }

    fn draw(&mut self) {
        self.drawn = Some(Instant::now());
        let rate = self.done as f64 / self.begun.elapsed().as_secs_f64().max(0.001);
        let line = match self.total {
            Some(total) if total > 0 => {
                let part = self.done.min(total) as f64 / total as f64;
                let full = (part * 30.0) as usize;
                let bar = format!("{}{}", "#".repeat(full), ".".repeat(30 - full));
                format!("[{bar}] {:3.0}% of {}", part * 100.0, bytes(total as f64))
            }
            _ => bytes(self.done as f64),
        };
        // A meter that cannot be shown is no reason to fail.
        let _ = std::io::stderr().write_all(format!("\r{line}  {}/s   ", bytes(rate)).as_bytes());
    }
}

fn bytes(n: f64) -> String {
    match n {
        n if n >= 1024.0 * 1024.0 * 1024.0 => format!("{:.2} GiB", n / (1024.0 * 1024.0 * 1024.0)),
        n if n >= 1024.0 * 1024.0 => format!("{:.1} MiB", n / (1024.0 * 1024.0)),
        n if n >= 1024.0 => format!("{:.1} KiB", n / 1024.0),
        n => format!("{n:.0} B"),
    }
}

//! The command line of the `serve-*` examples: `[--listen ADDR] [DIR]`.
//!
//! Plain std, no runtime: the examples of all adapters include this file with `#[path]`. The serving itself
//! lives in the libraries.

use std::io::Write;
use std::path::PathBuf;

const USAGE: &str = "\
usage: serve [--listen ADDR] [DIR]

Serves the files of DIR (default: the current directory) over HTTP/1.1.

  --listen ADDR   address and port (default 127.0.0.1:8000; port 0 takes a free one)
  --help          this text";

/// What the command line asks for.
#[derive(Debug)]
pub(crate) struct Args {
    /// The address to listen on, as given.
    pub(crate) listen: String,
    /// The directory to serve.
    pub(crate) dir: PathBuf,
}

/// Reads the process's arguments. Prints the usage and ends the process when they make no sense.
pub(crate) fn parse() -> Args {
    parse_from(std::env::args().skip(1)).unwrap_or_else(|problem| {
        if problem.is_empty() {
            // As in `say`.
            let _ = writeln!(std::io::stdout(), "{USAGE}");
            std::process::exit(0);
        }
        say(format_args!("serve: {problem}\n\n{USAGE}"));
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
    let mut listen = String::from("127.0.0.1:8000");
    let mut dir = None;
    let mut options = true;
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--listen" if options => listen = args.next().ok_or("--listen needs an address")?,
            "--help" | "-h" if options => return Err(String::new()),
            "--" if options => options = false,
            a if options && a.starts_with("--listen=") => listen = a["--listen=".len()..].to_string(),
            a if options && a.len() > 1 && a.starts_with('-') => return Err(format!("unknown option {a}")),
            a if dir.is_none() => dir = Some(PathBuf::from(a)),
            a => return Err(format!("only one directory can be served; {a} is one too many")),
        }
    }
    Ok(Args {
        listen,
        dir: dir.unwrap_or_else(|| PathBuf::from(".")),
    })
}

//! The command line of the `fetch-*` examples. Plain std and lexopt, no runtime: the examples of all adapters include
//! this file with `#[path]`. The fetching itself lives in the libraries.

use super::meter::say;
use lexopt::{Arg, Parser, ValueExt};
use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

const USAGE: &str = "\
usage: fetch [OPTIONS] URL...

Fetches each URL over HTTP/1.1 and writes the bodies to standard output.

  -X METHOD              the method (default GET; POST with -d and -F, PUT with -T, HEAD with -I)
  -H FIELD               a request header field, 'Name: value'; may be repeated
  -A NAME                what User-Agent says
  -d DATA                a request body; @FILE streams it from a file
  -T FILE                uploads a file
  -F NAME=VALUE          a part of a multipart form; NAME=@FILE streams a file; may be repeated
  -u USER:PASSWORD       Basic authentication
  -I                     asks for the head only, and shows it
  -L                     follows redirects, at most --max-redirs N of them (default 10)
  -b DATA|FILE           sends these cookies ('a=1; b=2'), or those of a Netscape cookie file
  -c FILE                writes all cookies to FILE at the end ('-': standard output)
  -x PROXY               a proxy: http://, https://, socks5:// or socks5h://, with user:password@ if need be;
                         without it the environment decides (HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY)
  --noproxy LIST         hosts that are asked directly; '*': all
  --cacert FILE          trusts only the certificates in this PEM file
  -k                     trusts any certificate: whoever is in between can read and change everything
  --compressed           asks for compressed content, and decompresses it
  --retry N              tries again, up to N times, after 408, 429, 500, 502, 503, 504, when a host is not found
                         or not reached, does not answer in time or hangs up;
                         after 1 s, 2 s, 4 s, ... or what Retry-After says
  --connect-timeout S    seconds for connecting
  --max-time S           seconds for all of one URL, its redirects included; for each try
  -Z                     fetches all URLs at once, with a line for each on standard error
  -o FILE                writes the body to FILE; once for each URL
  -O                     writes the bodies to files named like the last part of the URL's path
  -i                     writes the response's head before the body
  -v                     shows heads, connections, redirects and reasons on standard error
  --help                 this text

Seconds may have a fraction. The exit status is 0 if every response had a status below 400 and a complete body.";

/// How many transfers run at once with `-Z`.
pub(crate) const PARALLEL: usize = 50;

/// What the command line asks for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Args {
    method: Option<String>,
    /// Header fields, name and value, in order.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) user_agent: Option<String>,
    /// The body comes from `-T`.
    upload: bool,
    /// The request body.
    pub(crate) data: Option<Data>,
    /// The parts of a multipart form.
    pub(crate) form: Vec<(String, Data)>,
    pub(crate) user: Option<(String, String)>,
    pub(crate) head_only: bool,
    /// How many redirects are followed; `None`: not one.
    pub(crate) redirects: Option<usize>,
    pub(crate) cookies: Option<String>,
    pub(crate) cookie_file: Option<PathBuf>,
    pub(crate) proxy: Option<String>,
    pub(crate) no_proxy: Option<String>,
    pub(crate) ca_file: Option<PathBuf>,
    pub(crate) insecure: bool,
    pub(crate) compressed: bool,
    pub(crate) retries: u32,
    pub(crate) connect_timeout: Option<Duration>,
    pub(crate) max_time: Option<Duration>,
    pub(crate) parallel: bool,
    outputs: Vec<PathBuf>,
    remote_names: bool,
    /// Write the response head before the body.
    pub(crate) include: bool,
    /// Show heads, reuse and close reasons.
    pub(crate) verbose: bool,
    /// What to fetch, at least one.
    pub(crate) urls: Vec<String>,
}

/// A request body, or a part of a form.
#[derive(Clone, Debug)]
pub(crate) enum Data {
    /// These bytes.
    Text(String),
    /// The content of this file, streamed.
    File(PathBuf),
}

impl Data {
    fn of(text: String) -> Data {
        match text.strip_prefix('@') {
            Some(file) => Data::File(PathBuf::from(file)),
            None => Data::Text(text),
        }
    }
}

impl Args {
    /// The method: as given, or what the other options mean.
    pub(crate) fn method(&self) -> &str {
        match &self.method {
            Some(method) => method,
            None if self.head_only => "HEAD",
            None if !self.form.is_empty() => "POST",
            None if self.upload => "PUT",
            None if self.data.is_some() => "POST",
            None => "GET",
        }
    }

    /// Where the body of the `n`th URL goes; `None`: to standard output.
    pub(crate) fn output(&self, n: usize) -> Option<PathBuf> {
        if let Some(file) = self.outputs.get(n) {
            return Some(file.clone());
        }
        if !self.remote_names {
            return None;
        }
        let path = self.urls[n].split(['?', '#']).next().unwrap_or_default();
        let path = path.split_once("://").map_or(path, |(_, rest)| rest);
        let name = path.split('/').skip(1).last().unwrap_or_default();
        // Nothing that leads out of this directory; and none means the index.
        Some(PathBuf::from(match name {
            "" | "." | ".." => "index.html",
            name => name,
        }))
    }
}

/// Reads the process's arguments. Prints the usage and ends the process when they make no sense.
pub(crate) fn parse() -> Args {
    read(Parser::from_env()).unwrap_or_else(|problem| {
        if problem.is_empty() {
            // As in `say`.
            let _ = writeln!(std::io::stdout(), "{USAGE}");
            std::process::exit(0);
        }
        say(format_args!("fetch: {problem}\n\n{USAGE}"));
        std::process::exit(2);
    })
}

/// An empty error asks for the usage.
fn read(mut parser: Parser) -> Result<Args, String> {
    use Arg::{Long, Short};
    let mut args = Args::default();
    let mut max_redirects = 10;
    let mut follow = false;
    let mut long: String;
    while let Some(arg) = parser.next().map_err(|e| e.to_string())? {
        // The parser lends out what a long option is called, and is asked for the value meanwhile.
        let (name, arg) = match arg {
            Short(c) => (format!("-{c}"), Short(c)),
            Long(l) => {
                let name = format!("--{l}");
                long = l.to_string();
                (name, Long(long.as_str()))
            }
            Arg::Value(url) => (String::new(), Arg::Value(url)),
        };
        let mut value = || text(parser.value(), &name);
        match arg {
            Short('X') => args.method = Some(value()?),
            Short('H') => {
                let field = value()?;
                let (name, text) = field.split_once(':').ok_or(format!("no colon in -H {field:?}"))?;
                args.headers.push((name.to_string(), text.trim().to_string()));
            }
            Short('A') => args.user_agent = Some(value()?),
            Short('d') => args.data = Some(Data::of(value()?)),
            Short('T') => {
                args.data = Some(Data::File(PathBuf::from(value()?)));
                args.upload = true;
            }
            Short('F') => {
                let part = value()?;
                let (name, content) = part.split_once('=').ok_or(format!("no = in -F {part:?}"))?;
                args.form.push((name.to_string(), Data::of(content.to_string())));
            }
            Short('u') => {
                let both = value()?;
                let (user, password) = both.split_once(':').unwrap_or((&both, ""));
                args.user = Some((user.to_string(), password.to_string()));
            }
            Short('I') => args.head_only = true,
            Short('L') => follow = true,
            Long("max-redirs") => max_redirects = number(&value()?, &name)?,
            Short('b') => args.cookies = Some(value()?),
            Short('c') => args.cookie_file = Some(PathBuf::from(value()?)),
            Short('x') => args.proxy = Some(value()?),
            Long("noproxy") => args.no_proxy = Some(value()?),
            Long("cacert") => args.ca_file = Some(PathBuf::from(value()?)),
            Short('k') => args.insecure = true,
            Long("compressed") => args.compressed = true,
            Long("retry") => args.retries = number(&value()?, &name)?,
            Long("connect-timeout") => args.connect_timeout = Some(seconds(&value()?, &name)?),
            Long("max-time") => args.max_time = Some(seconds(&value()?, &name)?),
            Short('Z') => args.parallel = true,
            Short('o') => args.outputs.push(PathBuf::from(value()?)),
            Short('O') => args.remote_names = true,
            Short('i') => args.include = true,
            Short('v') => args.verbose = true,
            Short('h') | Long("help") => return Err(String::new()),
            Arg::Value(url) => args.urls.push(text(Ok(url), "the URL")?),
            _ => return Err(format!("unknown option {name}")),
        }
    }
    args.redirects = follow.then_some(max_redirects);
    if args.urls.is_empty() {
        return Err("no URL".to_string());
    }
    if args.data.is_some() && !args.form.is_empty() {
        return Err("-d, -T and -F exclude each other".to_string());
    }
    Ok(args)
}

fn text(value: Result<OsString, lexopt::Error>, name: &str) -> Result<String, String> {
    value.and_then(|v| v.string()).map_err(|e| format!("{name}: {e}"))
}

fn number<T: std::str::FromStr>(text: &str, name: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("{name} {text}: not a number"))
}

fn seconds(text: &str, name: &str) -> Result<Duration, String> {
    let seconds: f64 = number(text, name)?;
    Duration::try_from_secs_f64(seconds).map_err(|_| format!("{name} {text}: no length of time"))
}

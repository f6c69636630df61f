//! What the command line means for the library: the client, the request, what is shown of a response. The three faces of
//! the library have the same names, so that this file serves all; each example names its own as `api`.

use super::api::antiphon_core::client::proxy::NoProxy;
use super::api::antiphon_core::{Now, UnixTime};
use super::api::{
    self, Client, Codings, Cookies, ErrorKind, Multipart, Part, Proxy, ProxyRules, RedirectPolicy,
    RequestBuilder, Response, Roots, TlsConfig, Verdict, file_body,
};
use super::args::{Args, Data};
use super::meter::say;
use std::error::Error;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub(crate) type Failure = Box<dyn Error + Send + Sync>;

/// The client, and the jar if there is one.
pub(crate) fn client(args: &Args) -> Result<(Client, Option<Cookies>), Failure> {
    let mut builder = Client::builder();
    builder = builder.redirects(match args.redirects {
        None => RedirectPolicy::None,
        Some(most) => RedirectPolicy::function(move |_, past| {
            // As many requests as redirects have been answered, and the first.
            if past.len() > most {
                Verdict::Refuse(format!("stopped after {most} redirects").into())
            } else {
                Verdict::Follow
            }
        }),
    });
    if !args.compressed {
        builder = builder.codings(Codings::NONE);
    }
    if let Some(name) = &args.user_agent {
        builder = builder.user_agent(name.clone());
    }
    if let Some(time) = args.connect_timeout {
        builder = builder.connect_timeout(time);
    }
    if let Some(time) = args.max_time {
        builder = builder.timeout(time);
    }
    let mut rules = match &args.proxy {
        Some(proxy) => ProxyRules::all(Proxy::parse(proxy)?),
        None => ProxyRules::from_env(|name| std::env::var(name).ok()),
    };
    if let Some(list) = &args.no_proxy {
        rules = rules.except(NoProxy::parse(list));
    }
    builder = builder.proxies(rules);
    if args.insecure || args.ca_file.is_some() {
        let mut tls = TlsConfig::builder().danger_accept_invalid_certs(args.insecure);
        if let Some(file) = &args.ca_file {
            let pem = fs::read(file).map_err(|e| format!("{}: {e}", file.display()))?;
            tls = tls.roots(Roots::None).add_root_pem(&pem)?;
        }
        builder = builder.tls(tls.build()?);
    }
    let jar = jar(args)?;
    if let Some(jar) = &jar {
        builder = builder.cookies(jar.clone());
    }
    Ok((builder.build(), jar))
}

/// The wall clock, by which cookies expire.
fn now() -> Now {
    let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Now {
        unix: UnixTime(unix.as_secs() as i64),
        ..Now::default()
    }
}

/// With `-c`, or a file behind `-b`, there is a jar.
fn jar(args: &Args) -> Result<Option<Cookies>, Failure> {
    let file = args.cookies.as_deref().filter(|text| !text.contains('='));
    if file.is_none() && args.cookie_file.is_none() {
        return Ok(None);
    }
    let jar = Cookies::new();
    if let Some(file) = file {
        let text = fs::read(file).map_err(|e| format!("{file}: {e}"))?;
        jar.load_netscape(&text, now());
    }
    Ok(Some(jar))
}

/// Writes the jar where `-c` says.
pub(crate) fn save(args: &Args, jar: Option<&Cookies>) -> Result<(), Failure> {
    let (Some(jar), Some(file)) = (jar, &args.cookie_file) else {
        return Ok(());
    };
    let text = jar.to_netscape(now());
    if file == Path::new("-") {
        std::io::stdout().write_all(text.as_bytes())?;
        return Ok(());
    }
    fs::write(file, text).map_err(|e| format!("{}: {e}", file.display()).into())
}

/// A file to send, and its length.
fn open(path: &Path) -> Result<(File, u64), Failure> {
    let named = |e: std::io::Error| format!("{}: {e}", path.display());
    // Asked first: to open a pipe may take forever, and it says that it is empty.
    let meta = fs::metadata(path).map_err(named)?;
    if !meta.is_file() {
        return Err(format!("{}: not a regular file", path.display()).into());
    }
    Ok((File::open(path).map_err(named)?, meta.len()))
}

/// The request's body: what is given with `-d` or `-T`, or the form of `-F`.
pub(crate) fn with_body(request: RequestBuilder, args: &Args) -> Result<RequestBuilder, Failure> {
    if !args.form.is_empty() {
        return Ok(request.multipart(form(args)?));
    }
    Ok(match &args.data {
        None => request,
        Some(Data::Text(text)) => request.body(text.clone()),
        Some(Data::File(path)) => {
            let (file, len) = open(path)?;
            request.body(file_body(file, len))
        }
    })
}

/// The form of `-F`; its files are streamed.
fn form(args: &Args) -> Result<Multipart, Failure> {
    let mut form = Multipart::new();
    for (name, content) in &args.form {
        form = match content {
            Data::Text(text) => form.text(name.clone(), text.clone()),
            Data::File(path) => {
                let (file, len) = open(path)?;
                let file_name = path.file_name().unwrap_or_default().to_string_lossy();
                let part = Part::body(file_body(file, len))
                    .file_name(file_name)
                    .content_type("application/octet-stream");
                form.part(name.clone(), part)
            }
        };
    }
    Ok(form)
}

/// The request, but for its body.
pub(crate) fn request(client: &Client, args: &Args, url: &str) -> RequestBuilder {
    // As curl has it, nobody has to write the scheme.
    let url = match url.contains("://") {
        true => url.to_string(),
        false => format!("http://{url}"),
    };
    let mut request = client.request(args.method(), url);
    for (name, value) in &args.headers {
        request = request.header(name, value);
    }
    if let Some((user, password)) = &args.user {
        request = request.basic_auth(user, password);
    }
    if let Some(cookies) = args.cookies.as_deref().filter(|text| text.contains('=')) {
        request = request.header("cookie", cookies);
    }
    request
}

/// Whether and after which pause a request is made again that came to this; `tries` have been made.
pub(crate) fn pause(args: &Args, tries: u32, result: &Result<Response, Failure>) -> Option<Duration> {
    let transient = match result {
        Ok(response) => matches!(response.status().code(), 408 | 429 | 500 | 502 | 503 | 504),
        // What may be otherwise a second later; a wrong certificate, say, is not.
        Err(error) => error.downcast_ref::<api::Error>().is_some_and(|e| {
            use ErrorKind::{Closed, Connect, Io, Resolve, Timeout};
            matches!(e.kind(), Resolve | Connect | Timeout | Closed(_) | Io)
        }),
    };
    if tries > args.retries || !transient {
        return None;
    }
    let asked = result
        .as_ref()
        .ok()
        .and_then(|response| response.headers().get_str("retry-after")?.parse().ok());
    let seconds = asked.map_or(1 << (tries - 1).min(6), |s: u64| s.min(600));
    Some(Duration::from_secs(seconds))
}

/// An error with its causes, on one line.
pub(crate) fn explained(error: &(dyn Error + 'static)) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(e) = cause {
        let _ = write!(line, ": {e}");
        cause = e.source();
    }
    line
}

/// `-v`, before the request.
pub(crate) fn show_request(args: &Args, url: &str) {
    say(format_args!("> {} {url}", args.method()));
    for (name, value) in &args.headers {
        say(format_args!("> {name}: {value}"));
    }
}

/// `-v`, once the head is here.
pub(crate) fn show_response(response: &Response) {
    for past in response.history() {
        say(format_args!(
            "* {} {} redirects: {}",
            past.method, past.url, past.status
        ));
    }
    for interim in response.informational() {
        say(format_args!("< HTTP/1.1 {}", interim.status));
    }
    say(head(response, "< ").trim_end());
    let connection = if response.reused() { "reused" } else { "new" };
    match response.remote_addr() {
        Some(addr) => say(format_args!("* {connection} connection to {addr}")),
        None => say(format_args!("* {connection} connection")),
    }
    if let Some(coding) = response.decoded() {
        say(format_args!("* decoded: {}", coding.name()));
    }
}

/// `-v`, once the body has ended.
pub(crate) fn show_end(response: &Response) {
    if let Some(trailers) = response.body().trailers() {
        for field in trailers {
            let value = String::from_utf8_lossy(field.value.as_bytes());
            say(format_args!("< {}: {value}", field.name.as_str()));
        }
    }
    match response.close_reason() {
        Some(reason) => say(format_args!("* connection closes: {reason}")),
        None => say("* connection kept"),
    }
}

/// Status line and fields, each line behind `mark`.
pub(crate) fn head(response: &Response, mark: &str) -> String {
    let reason = String::from_utf8_lossy(response.reason());
    let mut text = format!("{mark}{} {} {reason}\n", response.version(), response.status());
    for field in response.headers() {
        let value = String::from_utf8_lossy(field.value.as_bytes());
        let _ = writeln!(text, "{mark}{}: {value}", field.name.as_str());
    }
    text
}

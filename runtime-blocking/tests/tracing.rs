//! The feature `tracing`: what becomes of calls as events of that crate, told to a subscriber of our own.

mod common;

use antiphon_blocking::{Client, Tracing};
use common::{HELLO, Told, answer, moved};
use std::fmt::{Debug, Write};
use std::sync::{Arc, Mutex};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// Writes events down, a line each.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<String>>>);

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let done = match field.name() {
            "message" => write!(self.0, " {value:?};"),
            name => write!(self.0, " {name}={value:?}"),
        };
        done.unwrap();
    }
}

impl Subscriber for Lines {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, event: &Event<'_>) {
        let about = event.metadata();
        let mut line = Line(format!("{} {}:", about.level(), about.target()));
        event.record(&mut line);
        self.0.lock().unwrap().push(line.0);
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

/// What is told while `run` runs.
fn told(run: impl FnOnce()) -> Vec<String> {
    let lines = Lines::default();
    tracing::subscriber::with_default(lines.clone(), run);
    std::mem::take(&mut *lines.0.lock().unwrap())
}

#[test]
fn decisions_are_told_with_their_reasons_and_without_secrets() {
    let server = Told::new([moved("302 Found", "/b"), HELLO.into()]);
    let addr = server.addr;
    let client = Client::builder().no_proxy().trace(Arc::new(Tracing)).build();
    let lines = told(|| {
        let request = client.get(format!("http://ann:xyzzy@{addr}/a"));
        let request = request.header("Cookie", "xyzzy").bearer_auth("xyzzy");
        assert_eq!(request.send().unwrap().text(10).unwrap(), "hello");
    });
    let has = |line: String| assert!(lines.contains(&line), "{line} is none of {lines:#?}");
    let debug = "DEBUG antiphon::client:";
    has(format!(
        "{debug} call begins; call=1 method=GET url=http://***@{addr}/a"
    ));
    has(format!("TRACE antiphon::client: dials; conn=1 address={addr}"));
    has(format!(
        "{debug} follows a redirect; call=1 status=302 from=http://***@{addr}/a to=http://***@{addr}/b method=GET \
         keeps_body=false left_origin=false"
    ));
    has(format!(
        "{debug} response is handed out; call=1 status=200 not_followed=OtherStatus decode=NotCoded"
    ));
    assert!(lines.iter().all(|l| !l.contains("xyzzy")), "{lines:#?}");
    assert!(lines.iter().all(|l| l.contains(" antiphon::client: ")));
}

#[test]
fn an_error_is_told_with_its_causes() {
    let client = Client::builder().no_proxy().trace(Arc::new(Tracing)).build();
    let lines = told(|| {
        client.get("http://127.0.0.1:1/").send().unwrap_err();
    });
    let last = lines.last().unwrap();
    assert!(last.contains("call failed; call=1 error=Get"), "{last}");
    assert!(last.to_lowercase().contains("refused"), "{last}");
}

#[test]
fn nothing_is_told_without_an_observer() {
    let server = Told::new([answer("200 OK", &[], "")]);
    let client = Client::builder().no_proxy().build();
    let lines = told(|| {
        client.get(server.url("/")).send().unwrap();
    });
    assert_eq!(lines, [""; 0]);
}

//! `simulate --replay FILE`: a recorded trace is reproduced; a changed one is not, and the line is named.

use antiphon_core::h1::trace::{Redact, Traced};
use antiphon_core::h1::{ServerConfig, ServerConn};
use antiphon_core::{Instant, Status};
use std::process::{Command, Output};
use std::sync::mpsc;

fn replay(name: &str, trace: &str) -> Output {
    let path = std::env::temp_dir().join(format!("antiphon-{}-{name}", std::process::id()));
    std::fs::write(&path, trace).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_simulate"))
        .arg("--replay")
        .arg(&path)
        .output()
        .unwrap();
    std::fs::remove_file(&path).unwrap();
    output
}

#[test]
fn a_recorded_trace_is_reproduced_and_a_changed_one_is_not() {
    let (lines, trace) = mpsc::channel();
    let mut conn = Traced::<ServerConn>::new(ServerConfig::DEFAULT.into(), Instant::ZERO);
    conn.set_observer(
        move |line: &str| lines.send(line.to_owned()).unwrap(),
        Redact::Nothing,
    );
    conn.received_copy(
        b"GET /tea HTTP/1.1\r\nHost: example.com\r\n\r\nGET / HTTP/1.1\r\n: bad\r\n\r\n",
        Instant::ZERO,
    );
    let event = conn.next_event().unwrap();
    assert!(event.is_some());
    if let Some(antiphon_core::h1::ServerEvent::Request { id, .. }) = event {
        let fields = antiphon_core::Fields::EMPTY;
        conn.send_head(id, Status::OK, &fields, antiphon_core::h1::BodyLen::None)
            .unwrap();
        conn.finish(id, &fields).unwrap();
    }
    while let Ok(Some(_)) = conn.next_event() {}
    let trace: Vec<String> = trace.try_iter().collect();

    let whole = trace.join("\n");
    let output = replay("whole", &whole);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}");
    assert!(said.contains("lines reproduced"), "{said}");

    // What the machine told is not what the trace says any more.
    let changed = whole.replacen("\"told\":\"Request\"", "\"told\":\"BodyEnd\"", 1);
    assert_ne!(changed, whole);
    let output = replay("changed", &changed);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("line "), "{said}");

    let output = Command::new(env!("CARGO_BIN_EXE_simulate"))
        .arg("--replay")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
}

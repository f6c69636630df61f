//! A server whose standard error nobody reads any more: its reports go nowhere, and nothing else changes.

mod common;

use antiphon_blocking::{Body, Client};
use common::*;
use std::process::{Command, Stdio};

const CHILD: &str = "ANTIPHON_TEST_STDERR_GONE";

#[test]
fn reports_that_nobody_reads_harm_nobody() {
    if std::env::var_os(CHILD).is_some() {
        return child();
    }
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "reports_that_nobody_reads_harm_nobody", "--nocapture"])
        .env(CHILD, "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stderr.take());
    // Only now it may begin.
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
}

/// In a process of its own, whose standard error is a pipe without a reader.
fn child() {
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink()).unwrap();
    let server = Running::new(|request| match request.path() {
        "/body" => ok(Body::sized_reader(9, &b"short"[..])),
        _ => Ok(routes(request)?.on_sent(|_| panic!("as asked"))),
    });
    let client = Client::new();
    let status = |path| client.get(server.url(path)).send().unwrap().status().code();
    // Each is reported; the connection is kept.
    for path in ["/error", "/", "/error", "/"] {
        assert_eq!(status(path), if path == "/" { 200 } else { 500 });
    }
    assert_eq!(client.pool_stats().counters.dials, 1);
    assert_eq!(status("/panic"), 500);
    let mut broken = client.get(server.url("/body")).send().unwrap();
    assert!(broken.bytes(100).is_err());
    assert_eq!(status("/"), 200);
    // The server ends as it should, its threads with it.
    server.shut_down();
}

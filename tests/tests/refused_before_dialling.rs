//! A request that may not be sent is refused before anything is dialled for it, on every subject: the peer never
//! sees a connection that comes and goes without a byte.

use std::io::ErrorKind;
use std::net::TcpListener;
use std::process::Command;

/// Runs the subject client; its line of output, and whether anybody knocked.
fn perform(runtime: &str, options: &[&str]) -> (String, bool) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let output = Command::new(env!("CARGO_BIN_EXE_subject-client"))
        .args(["--runtime", runtime])
        .args(options)
        .arg(&url)
        .output()
        .unwrap();
    // The connection would be in the backlog even if the client had left already.
    let knocked = match listener.accept() {
        Ok(_) => true,
        Err(e) if e.kind() == ErrorKind::WouldBlock => false,
        Err(e) => panic!("{e}"),
    };
    (String::from_utf8(output.stdout).unwrap(), knocked)
}

#[test]
fn what_may_not_be_sent_opens_no_connection() {
    let cases: [&[&str]; 4] = [
        &["-X", "GE T"],
        &["-X", "G\u{e9}T"],
        &["-H", "bad name: x"],
        &["-H", "x: a\r\nsmuggled: 1"],
    ];
    for runtime in ["core", "tokio", "tokio-current", "smol", "blocking"] {
        for options in cases {
            let (line, knocked) = perform(runtime, options);
            assert!(!line.contains("\"error\": null"), "{runtime} {options:?}: {line}");
            assert!(line.contains("\"error\""), "{runtime} {options:?}: {line}");
            assert!(!knocked, "{runtime} {options:?} opened a connection");
        }
    }
}

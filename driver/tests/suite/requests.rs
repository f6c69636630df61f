//! What a request can be given besides fields and a body.

use super::script;
use crate::rt::{self, Client, Codings, Headers};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

#[test]
fn queries_credentials_and_fields_of_the_client() {
    let (addr, thread) = script([OK; 4]);
    rt::block_on(async {
        let mut defaults = Headers::new();
        for (name, value) in [("X-A", "1"), ("x-a", "2"), ("X-B", "3")] {
            defaults.append(name, value).expect("a field");
        }
        let client = Client::builder()
            .user_agent("")
            .default_headers(defaults)
            .codings(Codings::NONE)
            .build();
        let url = |path: &str| format!("http://{addr}{path}");
        let request = client.get(url("/")).query([("b", "1 2"), ("a", "x&y=\u{e9}")]);
        request.send().await.expect("a response");
        let request = client
            .get(url("/p?q=1#f"))
            .query([("z", "")])
            .query([("y", "*-._~")]);
        request
            .basic_auth("ann", "pw")
            .header("x-b", "own")
            .send()
            .await
            .expect("a response");
        // In place of what was there before; nothing to append.
        let request = client.get(url("/?")).basic_auth("ann", "pw").bearer_auth("tok");
        request
            .query([] as [(&str, &str); 0])
            .query([("k", "v")])
            .send()
            .await
            .expect("a response");
        // An explicit field wins over the URL's.
        let request = client.get(format!("http://u:p@{addr}/")).bearer_auth("tok");
        request.send().await.expect("a response");
        let bad = client
            .get(url("/"))
            .bearer_auth("a\nb")
            .send()
            .await
            .expect_err("no token");
        assert!(
            bad.is_builder() && !format!("{bad:?}").contains("a\\nb"),
            "{bad:?}"
        );
    });
    let asked: Vec<String> = thread
        .join()
        .expect("the server")
        .into_iter()
        .map(|a| a.1)
        .collect();
    let expected = [
        format!(
            "GET /?b=1+2&a=x%26y%3D%C3%A9 HTTP/1.1\r\nhost: {addr}\r\nX-A: 1\r\nx-a: 2\r\nX-B: 3\r\n\r\n"
        ),
        format!(
            "GET /p?q=1&z=&y=%2A-._~ HTTP/1.1\r\nhost: {addr}\r\nauthorization: Basic YW5uOnB3\r\nx-b: own\r\nX-A: 1\r\nx-a: 2\r\n\r\n"
        ),
        format!(
            "GET /?k=v HTTP/1.1\r\nhost: {addr}\r\nauthorization: Bearer tok\r\nX-A: 1\r\nx-a: 2\r\nX-B: 3\r\n\r\n"
        ),
        format!(
            "GET / HTTP/1.1\r\nhost: {addr}\r\nauthorization: Bearer tok\r\nX-A: 1\r\nx-a: 2\r\nX-B: 3\r\n\r\n"
        ),
    ];
    assert_eq!(asked, expected);
}

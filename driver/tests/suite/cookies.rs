//! A jar: what is kept of one response goes with the next request. The rules are tested in the core.

use super::{lines, script};
use crate::rt::{self, Client, Cookies};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

/// The values of `Cookie` of each request.
fn cookies(asked: &[super::Asked]) -> Vec<Vec<&str>> {
    asked.iter().map(|(_, request)| cookies_of(request)).collect()
}

fn cookies_of(request: &str) -> Vec<&str> {
    let fields = request.lines().filter_map(|l| l.split_once(": "));
    fields
        .filter(|f| f.0.eq_ignore_ascii_case("cookie"))
        .map(|f| f.1)
        .collect()
}

#[test]
fn c1_cookies_are_kept_and_sent_hop_by_hop() {
    let login = "HTTP/1.1 302 Found\r\nLocation: /home\r\nSet-Cookie: id=7; Path=/; HttpOnly\r\n\
                 Set-Cookie: only=login; Path=/login\r\nContent-Length: 0\r\n\r\n";
    let logout = "HTTP/1.1 200 OK\r\nSet-Cookie: id=; Path=/; Max-Age=0\r\nContent-Length: 0\r\n\r\n";
    let (addr, thread) = script([login, OK, OK, logout, OK]);
    rt::block_on(async {
        let jar = Cookies::new();
        let client = Client::builder().cookies(jar.clone()).build();
        let url = |path: &str| format!("http://{addr}{path}");
        client
            .post(url("/login"))
            .body("x")
            .send()
            .await
            .expect("a response");
        // The caller's own come first.
        let own = client.get(url("/a")).header("Cookie", "own=1");
        own.send().await.expect("a response");
        assert_eq!(jar.with(|jar| jar.len()), 2);
        // Another client with the same jar.
        let other = Client::builder().cookies(jar.clone()).build();
        drop(client);
        other.get(url("/logout")).send().await.expect("a response");
        other.get(url("/login")).send().await.expect("a response");
        assert_eq!(jar.with(|jar| jar.len()), 1);
        assert!(!format!("{other:?} {jar:?}").contains("only"));
    });
    let asked = thread.join().expect("the server");
    let paths = ["POST /login", "GET /home", "GET /a", "GET /logout", "GET /login"];
    assert_eq!(lines(&asked).iter().map(|l| l.1).collect::<Vec<_>>(), paths);
    let expected: [&[&str]; 5] = [&[], &["id=7"], &["own=1; id=7"], &["id=7"], &["only=login"]];
    assert_eq!(cookies(&asked), expected);
}

#[test]
fn c2_without_a_jar_none_are_kept() {
    let (addr, thread) = script([
        "HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\n\r\n",
        OK,
    ]);
    rt::block_on(async {
        let client = Client::new();
        for _ in 0..2 {
            client
                .get(format!("http://{addr}/"))
                .send()
                .await
                .expect("a response");
        }
    });
    assert_eq!(cookies(&thread.join().expect("the server")), [&[] as &[&str]; 2]);
}

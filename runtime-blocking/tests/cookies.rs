//! Cookies over sockets: which go with which request of a chain. The rules are the core's and tested there.
#![cfg(feature = "cookies")]

mod common;

use antiphon_blocking::{Client, Cookies};
use common::*;

fn setting(status: &str, fields: &[(&str, &str)]) -> String {
    answer(status, fields, "")
}

#[test]
fn c1_each_hop_is_asked_and_heard() {
    let server = Told::new([
        setting(
            "302 Found",
            &[
                ("Location", "/a/b"),
                ("Set-Cookie", "one=1"),
                ("Set-Cookie", "two=2; Path=/a"),
            ],
        ),
        setting("200 OK", &[("Set-Cookie", "one=; Max-Age=0; Path=/")]),
        setting("200 OK", &[]),
        setting("200 OK", &[]),
    ]);
    let jar = Cookies::new();
    let client = Client::builder().cookies(jar.clone()).build();
    client.get(server.url("/")).send().unwrap();
    client
        .get(server.url("/a/c"))
        .header("Cookie", "own=0")
        .send()
        .unwrap();
    // Without a jar there is nothing.
    Client::new().get(server.url("/a/c")).send().unwrap();
    let sent: Vec<_> = server
        .asked()
        .iter()
        .map(|a| a.field("cookie").map(String::from))
        .collect();
    assert_eq!(
        sent,
        [
            None,
            Some("two=2; one=1".into()),
            Some("own=0; two=2".into()),
            None
        ]
    );
    assert!(format!("{jar:?}").contains('1') && !format!("{client:?}").contains("two"));
}

#[test]
fn a_jar_can_be_shared_between_clients() {
    let server = Told::new([
        setting("200 OK", &[("Set-Cookie", "id=7")]),
        setting("200 OK", &[]),
    ]);
    let jar = Cookies::new();
    for _ in 0..2 {
        let client = Client::builder().cookies(jar.clone()).build();
        client.get(server.url("/")).send().unwrap();
    }
    assert_eq!(server.asked()[1].field("cookie"), Some("id=7"));
}

#[test]
fn cookies_stay_with_their_host() {
    let other = Told::new([setting("200 OK", &[])]);
    let server = Told::new([setting(
        "302 Found",
        &[
            (
                "Location",
                &format!("http://other.example:{}/", other.addr.port()),
            ),
            ("Set-Cookie", "id=7"),
        ],
    )]);
    let client = Client::builder()
        .cookies(Cookies::new())
        .resolve("other.example", [other.addr])
        .build();
    client.get(server.url("/")).send().unwrap();
    assert_eq!(other.asked()[0].field("cookie"), None);
}

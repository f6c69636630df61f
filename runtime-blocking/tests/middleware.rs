//! What an application puts around the calls of a client, and schemes that it answers itself. The same as on the async
//! clients.

mod common;

use antiphon_blocking::{
    Body, Client, Error, ErrorKind, Next, OutgoingRequest, Response, RoundTrip, ServeDir, Status,
};
use common::{HELLO, Told, answer, moved};
use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

/// Writes down when it is entered and left, and adds a field.
struct Named(&'static str, Arc<Mutex<Vec<String>>>);

impl RoundTrip for Named {
    fn round_trip(&self, mut request: OutgoingRequest, next: Next<'_>) -> Result<Response, Error> {
        let tell = |line: String| self.1.lock().unwrap().push(line);
        tell(format!(
            "{} asks {} {}",
            self.0,
            request.method(),
            request.headers().len()
        ));
        request.headers_mut().append("x-way", self.0)?;
        let response = next.run(request)?;
        tell(format!("{} gets {}", self.0, response.status().code()));
        Ok(response)
    }
}

#[test]
fn a14_the_first_stands_outermost_and_all_of_the_chain_is_inside() {
    let server = Told::new([moved("303 See Other", "/b"), HELLO.into()]);
    let told = Arc::new(Mutex::new(Vec::new()));
    let client = Client::builder()
        .with(Named("outer", told.clone()))
        .with(Named("inner", told.clone()))
        .build();
    let request = client.post(server.url("/a")).header("x-own", "1");
    let mut response = request.body("tea").send().unwrap();
    assert_eq!(response.history().len(), 1);
    assert_eq!(response.text(10).unwrap(), "hello");
    let stats = client.pool_stats();
    assert_eq!((stats.idle, stats.counters.dials), (1, 1));
    assert_eq!(
        *told.lock().unwrap(),
        [
            "outer asks POST 1",
            "inner asks POST 2",
            "inner gets 200",
            "outer gets 200"
        ]
    );
    for asked in server.asked() {
        let ways: Vec<&str> = asked.head.lines().filter(|l| l.starts_with("x-way")).collect();
        assert_eq!(ways, ["x-way: outer", "x-way: inner"]);
    }
}

#[test]
fn a14_what_is_next_may_be_run_again() {
    let busy = || answer("503 Busy", &[], "busy");
    let server = Told::new([busy(), busy(), HELLO.into(), busy()]);
    let patient = |mut request: OutgoingRequest, next: Next<'_>| {
        for _ in 0..2 {
            let Some(again) = request.try_clone() else { break };
            let response = next.run(request)?;
            if response.status() != Status::SERVICE_UNAVAILABLE {
                return Ok(response);
            }
            request = again;
        }
        next.run(request)
    };
    let client = Client::builder().with(patient).build();
    let put = |body| client.put(server.url("/")).body(body).send().unwrap();
    assert_eq!(put(Body::from("tea")).status(), Status::OK);
    // A reader cannot be had twice.
    assert_eq!(put(Body::from_reader(&b"tea"[..])).text(10).unwrap(), "busy");
    assert_eq!(server.asked().len(), 4);
    assert!(server.asked().iter().all(|a| a.body.contains("tea")));
}

#[test]
fn redirects_left_to_it_and_errors_of_its_own() {
    let server = Told::new([moved("302 Found", "/b")]);
    let hop_by_hop = |mut request: OutgoingRequest, next: Next<'_>| {
        request.without_redirects();
        next.run(request)
    };
    let client = Client::builder().with(hop_by_hop).build();
    assert_eq!(
        client.get(server.url("/")).send().unwrap().status(),
        Status::FOUND
    );
    let broken = |_: OutgoingRequest, _: Next<'_>| Err(Error::round_trip("no token"));
    let client = Client::builder().with(broken).build();
    let error = client.get(server.url("/")).send().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::RoundTrip);
    assert_eq!(std::error::Error::source(&error).unwrap().to_string(), "no token");
    // What cannot be sent does not come so far.
    let error = client.get("http://h/").header("a b", "").send().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidRequest);
}

/// A directory that is removed in the end: `tea.txt`, and beside it a file that is not in it.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Place {
        let outer = std::env::temp_dir().join(format!("antiphon-blocking-{name}-{}", std::process::id()));
        fs::create_dir_all(outer.join("root")).unwrap();
        fs::write(outer.join("root/tea.txt"), "Assam").unwrap();
        fs::write(outer.join("secret.txt"), "xyzzy").unwrap();
        Place(outer)
    }

    fn client(&self) -> Client {
        let files = ServeDir::new(self.0.join("root")).unwrap();
        Client::builder().scheme("file", files).build()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn j4_files_below_a_directory() {
    let place = Place::new("schemes-files");
    let client = place.client();
    let mut response = client.get("file:///tea.txt").send().unwrap();
    assert_eq!(response.status(), Status::OK);
    assert_eq!(response.headers().get_str("content-length"), Some("5"));
    assert!(
        response
            .headers()
            .get_str("content-type")
            .unwrap()
            .starts_with("text/plain")
    );
    assert!(
        response
            .headers()
            .get_str("last-modified")
            .unwrap()
            .ends_with(" GMT")
    );
    assert_eq!(response.text(10).unwrap(), "Assam");
    let mut head = client.head("FILE://localhost/tea.txt").send().unwrap();
    assert_eq!(head.headers().get_str("content-length"), Some("5"));
    assert_eq!(head.text(10).unwrap(), "");
    for url in [
        "file:///none.txt",
        "file:///../secret.txt",
        "file:///%2e%2e/secret.txt",
        "file:///..%2fsecret.txt",
    ] {
        let mut response = client.get(url).send().unwrap();
        assert!([400, 404].contains(&response.status().code()), "{url}");
        assert!(!response.text(1000).unwrap().contains("xyzzy"), "{url}");
    }
    let post = client.post("file:///tea.txt").body("x").send().unwrap();
    assert_eq!(post.status().code(), 405);
    let error = client.get("file://elsewhere/tea.txt").send().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::RoundTrip);
    assert_eq!(client.pool_stats().counters.dials, 0);
}

#[test]
fn j4_no_redirect_of_the_network_leads_to_a_handler() {
    let place = Place::new("schemes-redirect");
    let server = Told::new([
        moved("302 Found", "file:///tea.txt"),
        moved("302 Found", "FILE:/tea.txt"),
    ]);
    let client = place.client();
    for _ in 0..2 {
        let error = client.get(server.url("/")).send().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Redirect);
    }
    assert_eq!(server.asked().len(), 2);
}

#[test]
fn j4_schemes_of_ones_own_and_unknown_ones() {
    let server = Told::new([HELLO]);
    let alias = |mut request: OutgoingRequest, next: Next<'_>| {
        if let Some(rest) = request.url().strip_prefix("tea://") {
            let url = format!("http://{rest}");
            request.set_url(url);
        }
        next.run(request)
    };
    let client = Client::builder().scheme("Tea", alias).build();
    let mut response = client.get(format!("tea://{}/", server.addr)).send().unwrap();
    assert_eq!(response.text(10).unwrap(), "hello");
    // What is next to a handler is the network, which does not speak it.
    for url in ["TEA://x/", "coffee://x/", "file:///etc/motd"] {
        let error = client.get(url).send().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidUrl, "{url}");
    }
}

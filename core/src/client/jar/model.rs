//! Random histories of the jar and of a naive model, a plain list of cookies that is searched for every rule,
//! must agree on every answer; and files and arbitrary bytes.

use super::*;
use crate::Instant;
use alloc::format;
use alloc::string::ToString;
use quickcheck::{Arbitrary, Gen, quickcheck};

const SUFFIXES: [&str; 4] = ["test", "co.test", "localhost", "vm.b.test"];

#[derive(Clone)]
struct Listed;
impl PublicSuffix for Listed {
    fn is_public_suffix(&self, domain: &str) -> bool {
        SUFFIXES.contains(&domain)
    }
}

#[derive(Clone, Debug)]
enum Op {
    Set(Url, String),
    Ask(Url),
    Advance(u8),
    EndSession,
}

fn pick<'a>(g: &mut Gen, from: &[&'a str]) -> &'a str {
    g.choose(from).unwrap()
}

const HOSTS: [&str; 9] = [
    "b.test",
    "a.b.test",
    "c.a.b.test",
    "x.vm.b.test",
    "s.co.test",
    "co.test",
    "10.0.0.1",
    "localhost",
    "u.localhost",
];
const PATHS: [&str; 6] = ["/", "/p", "/p/", "/p/q", "/pq", "/p/q/r?s=/t"];

fn any_url(g: &mut Gen) -> Url {
    let (scheme, host, path) = (pick(g, &["http", "https"]), pick(g, &HOSTS), pick(g, &PATHS));
    format!("{scheme}://{host}{path}").parse().unwrap()
}

impl Arbitrary for Op {
    fn arbitrary(g: &mut Gen) -> Op {
        match u8::arbitrary(g) % 20 {
            0..=10 => {
                let name = pick(g, &["n", "m", "o", "n", "__Secure-n", "__Host-n"]);
                let mut field = format!("{name}={}", u8::arbitrary(g));
                for _ in 0..u8::arbitrary(g) % 4 {
                    let attribute = match u8::arbitrary(g) % 6 {
                        0 => "Secure".to_string(),
                        1 => format!("Max-Age={}", u8::arbitrary(g) % 20),
                        2 => format!("Path={}", pick(g, &PATHS[..5])),
                        3 => format!("Domain={}", pick(g, &HOSTS)),
                        4 => format!("Domain={}", pick(g, &SUFFIXES)),
                        _ => format!("Expires=Thu, 01 Jan 1970 00:0{}:00 GMT", u8::arbitrary(g) % 8),
                    };
                    field.push_str("; ");
                    field.push_str(&attribute);
                }
                Op::Set(any_url(g), field)
            }
            11..=16 => Op::Ask(any_url(g)),
            17 if u8::arbitrary(g) % 8 == 0 => Op::EndSession,
            _ => Op::Advance(u8::arbitrary(g) % 12),
        }
    }
}

/// One cookie of the model: what was received, and from where.
struct Kept {
    set: SetCookie,
    domain: String,
    host_only: bool,
    path: String,
    ends: Option<i64>,
    made: usize,
    used: usize,
}

struct Model {
    list: Vec<Kept>,
    config: JarConfig,
    tick: usize,
}

fn labels(host: &str) -> Vec<&str> {
    host.split('.').rev().collect()
}

fn below_or_equal(host: &str, domain: &str) -> bool {
    host == domain || host != "10.0.0.1" && labels(host).starts_with(&labels(domain))
}

/// The shortest domain of `host` above which are only public suffixes and their parents.
fn site(host: &str) -> String {
    let all = labels(host);
    let join = |n: usize| all[..n].iter().rev().copied().collect::<Vec<_>>().join(".");
    let longest = (1..=all.len()).rev().find(|&n| SUFFIXES.contains(&&*join(n)));
    match longest {
        Some(n) if host != "10.0.0.1" => join((n + 1).min(all.len())),
        _ => host.to_string(),
    }
}

fn in_path(path: &str, prefix: &str) -> bool {
    path == prefix || path.starts_with(&format!("{}/", prefix.trim_end_matches('/')))
}

fn split(url: &Url) -> (&str, &str, bool) {
    let path = url.target().as_str().split('?').next().unwrap();
    let local = url.host() == "localhost" || url.host().ends_with(".localhost");
    (url.host(), path, local || url.to_string().starts_with("https"))
}

impl Model {
    fn set(&mut self, url: &Url, field: &str, now: i64) -> bool {
        let set = SetCookie::parse(field.as_bytes()).unwrap();
        let (host, path, safe) = split(url);
        let default = path
            .rsplit_once('/')
            .map(|(d, _)| d)
            .filter(|d| !d.is_empty())
            .unwrap_or("/");
        let path = set.get_path().unwrap_or(default).to_string();
        let mut host_only = set.get_domain().is_none();
        let domain = set.get_domain().unwrap_or(host).to_string();
        if !below_or_equal(host, &domain) || !below_or_equal(&domain, &site(host)) {
            return false;
        }
        let prefix = set.name().starts_with("__");
        let host_prefix = set.name().starts_with("__Host-");
        if prefix && !set.is_secure() || host_prefix && (!host_only || set.get_path() != Some("/")) {
            return false;
        }
        if SUFFIXES.contains(&&*domain) || domain == "10.0.0.1" {
            host_only = true;
        }
        let hidden = self.list.iter().any(|c| {
            c.set.is_secure()
                && site(&c.domain) == site(host)
                && c.ends.is_none_or(|t| t > now)
                && c.set.name() == set.name()
                && (below_or_equal(&c.domain, &domain) || below_or_equal(&domain, &c.domain))
                && in_path(&path, &c.path)
        });
        if !safe && (set.is_secure() || hidden) {
            return false;
        }
        self.list
            .retain(|c| site(&c.domain) != site(host) || c.ends.is_none_or(|t| t > now));
        self.tick += 1;
        let ends = match (set.get_max_age(), set.get_expires()) {
            (Some(age), _) => Some(now + age),
            (None, Some(t)) => Some(t.0),
            (None, None) => None,
        };
        let same = |c: &Kept| {
            c.set.name() == set.name() && c.domain == domain && c.path == path && c.host_only == host_only
        };
        let made = self.list.iter().find(|c| same(c)).map_or(self.tick, |c| c.made);
        self.list.retain(|c| !same(c));
        if ends.is_some_and(|t| t <= now) {
            return true;
        }
        let (used, tick) = (self.tick, self.tick);
        self.list.push(Kept {
            set,
            domain,
            host_only,
            path,
            ends,
            made,
            used,
        });
        let mut ours: Vec<_> = self
            .list
            .iter()
            .filter(|c| site(&c.domain) == site(host))
            .collect();
        ours.sort_by_key(|c| (c.set.is_secure(), c.used, c.made));
        if ours.len() > self.config.max_per_domain {
            let first = ours[0].made;
            self.list.retain(|c| c.made != first);
        }
        if self.list.len() > self.config.max_total {
            self.list.retain(|c| c.ends.is_none_or(|t| t > now));
        }
        self.list.sort_by_key(|c| (c.used, site(&c.domain), c.made));
        if self.list.len() > self.config.max_total {
            self.list.remove(0);
        }
        self.list.iter().any(|c| c.used == tick)
    }

    fn ask(&mut self, url: &Url, now: i64) -> String {
        let (host, path, safe) = split(url);
        self.tick += 1;
        let mut found: Vec<_> = self
            .list
            .iter_mut()
            .filter(|c| host == c.domain || !c.host_only && below_or_equal(host, &c.domain))
            .filter(|c| site(&c.domain) == site(host))
            .filter(|c| in_path(path, &c.path))
            .filter(|c| safe || !c.set.is_secure())
            .filter(|c| c.ends.is_none_or(|t| t > now))
            .collect();
        found.sort_by_key(|c| (usize::MAX - c.path.len(), c.made));
        for c in &mut found {
            c.used = self.tick;
        }
        let pairs: Vec<_> = found
            .iter()
            .map(|c| format!("{}={}", c.set.name(), c.set.value()))
            .collect();
        pairs.join("; ")
    }
}

fn clocks(t: i64) -> Now {
    Now {
        mono: Instant::from_millis(t as u64 * 1000),
        unix: UnixTime(t),
    }
}

fn agree(ops: Vec<Op>, small: bool) {
    let config = JarConfig {
        max_per_domain: if small { 3 } else { 180 },
        max_total: if small { 5 } else { 3000 },
        ..JarConfig::DEFAULT
    };
    let mut jar = Jar::with_suffixes(config, Listed);
    let mut model = Model {
        list: Vec::new(),
        config,
        tick: 0,
    };
    let mut now = 60;
    for op in &ops {
        match op {
            Op::Set(url, field) => {
                let kept = jar.set_cookie(url, field.as_bytes(), clocks(now));
                assert_eq!(kept.is_ok(), model.set(url, field, now), "{op:?} {kept:?}");
            }
            Op::Ask(url) => {
                let header = jar.cookie_header(url, clocks(now)).unwrap_or_default();
                assert_eq!(header, model.ask(url, now), "{op:?}");
            }
            Op::Advance(by) => now += i64::from(*by),
            Op::EndSession => {
                jar.end_session();
                model.list.retain(|c| c.ends.is_some());
            }
        }
        assert_eq!(jar.len(), jar.iter().count());
        assert!(jar.len() <= config.max_total);
    }
    // A file holds all that is sent, and reading it gives the same answers.
    let file = jar.to_netscape(clocks(now));
    let mut again = Jar::with_suffixes(JarConfig::DEFAULT, Listed);
    let found = again.load_netscape(file.as_bytes(), clocks(now));
    assert_eq!((found.refused, found.expired), (0, 0), "{file}");
    assert_eq!(again.to_netscape(clocks(now)), file);
    for host in HOSTS {
        for path in PATHS {
            let url = format!("https://{host}{path}").parse().unwrap();
            assert_eq!(
                again.cookie_header(&url, clocks(now)),
                jar.cookie_header(&url, clocks(now))
            );
        }
    }
}

#[test]
fn the_jar_agrees_with_the_naive_model() {
    fn prop(ops: Vec<Op>, small: bool) -> bool {
        agree(ops, small);
        true
    }
    crate::cases::check_sized(200, 1_500, prop as fn(Vec<Op>, bool) -> bool);
}

quickcheck! {
    // Whatever arrives, what is sent is a valid field value, and a file that reads back.
    fn arbitrary_fields(bytes: Vec<u8>, more: Vec<u8>) -> bool {
        let url = "https://a.b.test/x/y".parse().unwrap();
        let mut jar = Jar::new();
        let dressed = [&b"n="[..], &bytes, b"; Path=/", &more, b"; Domain=", &more].concat();
        jar.set_cookies(&url, [&bytes, &dressed, &[b"n=", &bytes[..]].concat()], clocks(60));
        let header = jar.cookie_header(&url, clocks(60)).unwrap_or_default();
        let file = jar.to_netscape(clocks(60));
        let mut again = Jar::new();
        let found = again.load_netscape(file.as_bytes(), clocks(60));
        header.bytes().all(crate::message::token::is_value)
            && found.refused == 0
            && again.cookie_header(&url, clocks(60)).unwrap_or_default() == header
    }

    fn arbitrary_files(bytes: Vec<u8>, columns: Vec<String>) -> bool {
        let mut jar = Jar::new();
        jar.load_netscape(&bytes, clocks(60));
        let line = ["a.test", "FALSE", "/", "FALSE", "0"].iter().map(ToString::to_string);
        let line = line.chain(columns.clone()).collect::<Vec<_>>().join("\t");
        jar.load_netscape(line.as_bytes(), clocks(60));
        jar.load_netscape(columns.join("\t").as_bytes(), clocks(60));
        let header = jar.cookie_header(&"http://a.test/".parse().unwrap(), clocks(60));
        header.is_none_or(|h| h.bytes().all(crate::message::token::is_value) && !h.contains("; "))
    }
}

//! The jar's rules as transcripts: what was set by which URL, and what goes to which URL when.

use super::*;
use crate::Instant;
use alloc::format;
use alloc::string::ToString;
use alloc::vec;

fn url(text: &str) -> Url {
    text.parse().unwrap()
}

/// Both clocks, `t` seconds after a certain one.
fn at(t: i64) -> Now {
    Now {
        mono: Instant::from_millis(t as u64 * 1000),
        unix: UnixTime(1_700_000_000 + t),
    }
}

/// Runs lines such as `0 https://a.test/ <- a=b; Secure` (set: with the reason behind `!` if it is refused) and
/// `5 http://a.test/ -> a=b` (asked for).
fn play<P: PublicSuffix>(mut jar: Jar<P>, script: &str) {
    for line in script.lines().map(str::trim).filter(|l| !l.is_empty()) {
        let mut words = line.splitn(4, ' ');
        let mut word = || words.next().unwrap_or("");
        let (now, place, arrow, rest) = (at(word().parse().unwrap()), url(word()), word(), word());
        if arrow == "->" {
            let header = jar.cookie_header(&place, now);
            assert_eq!(header.as_deref().unwrap_or(""), rest, "{line}");
            continue;
        }
        let (field, want) = rest.split_once(" ! ").unwrap_or((rest, ""));
        let result = jar.set_cookie(&place, field.as_bytes(), now);
        let got = result.err().map_or(String::new(), |e| format!("{e:?}"));
        assert!(
            got.starts_with(want) && got.is_empty() == want.is_empty(),
            "{line}: {got}"
        );
    }
}

#[test]
fn hosts_and_domains() {
    play(
        Jar::new(),
        "
        0 http://www.example.com/ <- host=1
        0 http://www.example.com/ <- all=2; Domain=example.com
        0 http://www.example.com/ <- dot=3; Domain=.EXAMPLE.com
        0 http://www.example.com/ <- own=4; Domain=www.example.com
        0 http://www.example.com/ -> host=1; all=2; dot=3; own=4
        0 http://WWW.Example.com:8080/ -> host=1; all=2; dot=3; own=4
        0 https://www.example.com/ -> host=1; all=2; dot=3; own=4
        0 http://a.www.example.com/ -> all=2; dot=3; own=4
        0 http://example.com/ -> all=2; dot=3
        0 http://a.b.example.com/ -> all=2; dot=3
        0 http://badexample.com/ ->
        0 http://example.com.evil.test/ ->
        0 http://example.com./ ->
        0 http://www.example.com/ <- x=1; Domain=other.example.com ! Domain
        0 http://www.example.com/ <- x=1; Domain=a.www.example.com ! Domain
        0 http://www.example.com/ <- x=1; Domain=ample.com ! Domain
        0 http://www.example.com/ <- x=1; Domain=..example.com ! Domain
        0 http://www.example.com/ <- x=1; Domain=example.com. ! Domain
        0 http://www.example.com./ <- x=1; Domain=example.com. ! Domain
        0 http://www.example.com/ <- x=1; Domain=com ! PublicSuffix
        0 http://www.example.com/ <- x=1; Domain=org ! Domain
        0 http://www.example.com/ <- y=1; Domain=org; Domain=
        0 http://www.example.com/ -> host=1; all=2; dot=3; own=4; y=1
        0 http://example.com./ <- z=1
        0 http://example.com./ -> z=1
    ",
    );
}

#[test]
fn addresses_and_single_labels_share_nothing() {
    play(
        Jar::new(),
        "
        0 http://10.0.0.1/ <- a=1
        0 http://10.0.0.1/ <- b=2; Domain=10.0.0.1
        0 http://10.0.0.1/ <- c=3; Domain=0.0.1 ! Domain
        0 http://10.0.0.1/ -> a=1; b=2
        0 http://x.10.0.0.1/ ->
        0 http://[::1]/ <- d=4
        0 http://[::1]/ -> d=4
        0 http://localhost/ <- e=5; Domain=localhost
        0 http://localhost/ -> e=5
        0 http://a.localhost/ ->
        0 http://a.localhost/ <- f=6; Domain=localhost ! PublicSuffix
    ",
    );
}

struct Listed;
impl PublicSuffix for Listed {
    fn is_public_suffix(&self, domain: &str) -> bool {
        ["co.uk", "vm.example.com"].contains(&domain)
    }
}

#[test]
fn public_suffixes() {
    play(
        Jar::with_suffixes(JarConfig::DEFAULT, Listed),
        "
        0 http://www.shop.co.uk/ <- a=1; Domain=shop.co.uk
        0 http://www.shop.co.uk/ <- b=2; Domain=co.uk ! PublicSuffix
        0 http://www.shop.co.uk/ <- c=3; Domain=uk ! PublicSuffix
        0 http://shop.co.uk/ -> a=1
        0 http://co.uk/ <- d=4; Domain=co.uk
        0 http://co.uk/ -> d=4
        0 http://shop.co.uk/ -> a=1
        0 http://x.vm.example.com/ <- e=5; Domain=x.vm.example.com
        0 http://x.vm.example.com/ <- f=6; Domain=vm.example.com ! PublicSuffix
        0 http://x.vm.example.com/ <- g=7; Domain=example.com ! PublicSuffix
        0 http://example.com/ <- h=8; Domain=example.com
        0 http://a.example.com/ -> h=8
        0 http://vm.example.com/ ->
        0 http://z.vm.example.com/ ->
        0 http://y.x.vm.example.com/ -> e=5
    ",
    );
}

#[test]
fn paths_and_order() {
    play(
        Jar::new(),
        "
        0 http://a.test/docs/intro?x=/y/ <- dir=1
        0 http://a.test/docs/intro <- root=2; Path=/
        0 http://a.test/docs/intro <- deep=3; Path=/docs/intro
        0 http://a.test/docs/intro <- odd=4; Path=docs
        0 http://a.test/docs/intro <- away=5; Path=/away
        0 http://a.test/docs/intro -> deep=3; dir=1; odd=4; root=2
        0 http://a.test/docs -> dir=1; odd=4; root=2
        0 http://a.test/docs?q -> dir=1; odd=4; root=2
        0 http://a.test/docs/ -> dir=1; odd=4; root=2
        0 http://a.test/docsx -> root=2
        0 http://a.test/away/x -> away=5; root=2
        0 http://a.test/DOCS -> root=2
        0 http://a.test/ <- root=6
        0 http://a.test/ <- late=7
        0 http://a.test/ <- root=8; Path=/
        0 http://a.test/ -> root=8; late=7
    ",
    );
}

#[test]
fn same_name_other_identity() {
    play(
        Jar::new(),
        "
        0 http://a.b.test/ <- n=host
        0 http://a.b.test/ <- n=domain; Domain=a.b.test
        0 http://a.b.test/ <- n=above; Domain=b.test
        0 http://a.b.test/ <- n=path; Path=/x
        0 http://a.b.test/ <- N=case
        0 http://a.b.test/x -> n=path; n=host; n=domain; n=above; N=case
        0 http://a.b.test/ <- n=; Max-Age=0
        0 http://a.b.test/x -> n=path; n=domain; n=above; N=case
    ",
    );
}

#[test]
fn secure() {
    play(
        Jar::new(),
        "
        0 https://a.test/ <- s=1; Secure; Path=/login
        0 https://a.test/login -> s=1
        0 http://a.test/login ->
        0 http://a.test/ <- t=1; Secure ! InsecureOrigin
        0 http://a.test/login/x <- s=2 ! HidesSecure
        0 http://a.test/login <- s=2; Path=/login ! HidesSecure
        0 http://a.test/login <- s=2; Path=/login; Max-Age=0 ! HidesSecure
        0 http://b.a.test/login/ <- s=2; Domain=a.test; Path=/login ! HidesSecure
        0 http://b.a.test/login/ <- s=2 ! HidesSecure
        0 http://a.test/ <- s=root; Path=/
        0 http://a.test/login <- S=3; Path=/login
        0 http://c.test/login <- s=4; Path=/login
        0 https://a.test/login -> s=1; S=3; s=root
        0 https://a.test/login <- s=5; Path=/login
        0 http://a.test/login -> s=5; S=3; s=root
        0 http://localhost:8080/ <- l=1; Secure
        0 http://localhost:8080/ -> l=1
        0 http://127.0.0.1/ <- __Host-l=1; Secure; Path=/
        0 http://127.0.0.1/ -> __Host-l=1
        0 https://d.test/ <- s=1; Secure; Max-Age=5
        5 http://d.test/ <- s=2
        5 https://d.test/ -> s=2
    ",
    );
}

#[test]
fn prefixes() {
    play(
        Jar::new(),
        "
        0 https://a.test/ <- __Secure-a=1 ! Prefix
        0 https://a.test/ <- __Secure-a=1; Secure; Domain=a.test
        0 https://a.test/ <- __Host-b=1; Secure ! Prefix
        0 https://a.test/ <- __Host-b=1; Path=/ ! Prefix
        0 https://a.test/ <- __Host-b=1; Path=/; Secure; Domain=a.test ! Prefix
        0 https://a.test/ <- __host-b=1; Path=/x; Secure ! Prefix
        0 https://localhost/ <- __Host-b=1; Path=/; Secure; Domain=localhost ! Prefix
        0 https://a.test/ <- __Host-b=1; Path=/; Secure
        0 http://a.test/ <- __SECURE-c=1 ! Prefix
        0 https://a.test/ <- __Secur\u{e9}-c=1
        0 https://a.test/ -> __Secure-a=1; __Host-b=1; __Secur\u{e9}-c=1
    ",
    );
}

#[test]
fn time() {
    play(
        Jar::new(),
        "
        0 http://a.test/ <- session=1
        0 http://a.test/ <- ten=2; Max-Age=10
        0 http://a.test/ <- both=3; Max-Age=20; Expires=Thu, 01 Jan 1970 00:00:00 GMT
        0 http://a.test/ <- date=4; Expires=Tue, 14 Nov 2023 22:13:50 GMT
        0 http://a.test/ <- past=5; Expires=Tue, 14 Nov 2023 22:13:20 GMT
        0 http://a.test/ <- odd=6; Expires=whenever; Max-Age=x
        9 http://a.test/ -> session=1; ten=2; both=3; date=4; odd=6
        10 http://a.test/ -> session=1; both=3; date=4; odd=6
        11 http://a.test/ <- ten=new
        20 http://a.test/ -> session=1; date=4; odd=6; ten=new
        29 http://a.test/ -> session=1; date=4; odd=6; ten=new
        30 http://a.test/ -> session=1; odd=6; ten=new
        30 http://a.test/ <- session=; Max-Age=-1
        30 http://a.test/ <- odd=; Expires=Thu, 01-Jan-70 00:00:01 GMT
        30 http://a.test/ -> ten=new
        30 http://a.test/ <- ages=1; Max-Age=99999999999999999999
        34560029 http://a.test/ -> ten=new; ages=1
        34560030 http://a.test/ -> ten=new
    ",
    );
}

#[test]
fn the_clock_that_ends_first_counts() {
    let (place, mut jar) = (url("http://a.test/"), Jar::new());
    assert_eq!(
        jar.set_cookie(&place, b"a=b; Max-Age=10", at(100)),
        Ok(Change::Added)
    );
    let (set_back, slept) = (
        Now {
            mono: at(110).mono,
            unix: at(50).unix,
        },
        Now {
            mono: at(101).mono,
            unix: at(110).unix,
        },
    );
    assert_eq!(jar.cookie_header(&place, set_back), None);
    assert_eq!(jar.cookie_header(&place, slept), None);
    assert_eq!(jar.cookie_header(&place, at(109)).as_deref(), Some("a=b"));
}

#[test]
fn what_changed() {
    let (place, mut jar) = (url("http://a.test/"), Jar::new());
    for (field, change) in [
        ("a=1", Change::Added),
        ("a=2", Change::Replaced),
        ("a=; Max-Age=0", Change::Removed),
        ("a=; Max-Age=0", Change::Nothing),
        ("a=3; Max-Age=5", Change::Added),
    ] {
        assert_eq!(
            jar.set_cookie(&place, field.as_bytes(), at(0)),
            Ok(change),
            "{field}"
        );
    }
    assert_eq!(
        jar.set_cookie(&place, b"a=4", at(5)),
        Ok(Change::Added),
        "the old one had ended"
    );
    let e = jar.set_cookie(&place, b"a", at(5)).unwrap_err();
    assert!(matches!(e, Refused::Invalid(_)));
    assert_eq!(
        jar.set_cookies(&place, ["b=1", "nothing", "c=1; Domain=com", "d=1"], at(5)),
        2
    );
    assert_eq!(jar.len(), 3);
}

#[test]
fn sizes() {
    let (place, mut jar) = (url("http://a.test/"), Jar::new());
    let field = |n: usize| format!("a={}", "x".repeat(n - 1));
    assert!(jar.set_cookie(&place, field(4096).as_bytes(), at(0)).is_ok());
    assert_eq!(
        jar.set_cookie(&place, field(4097).as_bytes(), at(0)),
        Err(Refused::TooLarge)
    );
    let deep = |n: usize| url(&format!("http://a.test/{}/", "d".repeat(n - 1)));
    assert!(jar.set_cookie(&deep(1024), b"b=1", at(0)).is_ok());
    assert_eq!(jar.set_cookie(&deep(1025), b"b=1", at(0)), Err(Refused::TooLarge));
    let long = url(&format!("http://{}/", "h".repeat(255)));
    assert_eq!(jar.set_cookie(&long, b"c=1", at(0)), Err(Refused::TooLarge));

    // 4098 and 4098 bytes with a joint between them do not fit into 8190; what comes behind is left out too.
    jar.clear();
    for name in ["a", "b", "c"] {
        let n = if name == "c" { 0 } else { 4095 };
        jar.set_cookie(&place, format!("{name}={}", "x".repeat(n)).as_bytes(), at(0))
            .unwrap();
    }
    assert_eq!(jar.cookie_header(&place, at(0)).unwrap().len(), 4097);
    let mut header = "mine=1".to_string();
    assert_eq!(jar.write_cookie_header(&place, at(0), &mut header), 1);
    assert!(header.starts_with("mine=1; a=x"));
}

fn names<P: PublicSuffix>(jar: &Jar<P>) -> Vec<&str> {
    jar.iter().map(Cookie::name).collect()
}

#[test]
fn a_full_domain() {
    let config = JarConfig {
        max_per_domain: 3,
        ..JarConfig::DEFAULT
    };
    let mut jar = Jar::with_suffixes(config, SingleLabels);
    let (a, b, other) = (
        url("https://a.x.test/"),
        url("https://b.x.test/"),
        url("https://y.test/"),
    );
    jar.set_cookies(&a, ["one=1", "two=2"], at(0));
    jar.set_cookies(&b, ["three=3"], at(0));
    jar.set_cookies(&other, ["away=1"], at(0));
    jar.cookie_header(&a, at(1)); // one and two are younger in use than three
    jar.set_cookies(&a, ["four=4"], at(2));
    assert_eq!(names(&jar), ["one", "two", "four", "away"]);
    // Cookies without Secure go first, even the newest.
    jar.set_cookies(&a, ["one=1; Secure", "five=5; Secure"], at(3));
    assert_eq!(names(&jar), ["one", "four", "five", "away"]);
    jar.set_cookies(&a, ["six=6; Secure; Max-Age=10"], at(4));
    assert_eq!(names(&jar), ["one", "five", "six", "away"]);
    assert_eq!(jar.set_cookie(&a, b"plain=7", at(5)), Err(Refused::NoRoom));
    assert_eq!(names(&jar), ["one", "five", "six", "away"]);
    // What has ended goes before all.
    assert_eq!(jar.set_cookie(&a, b"plain=7", at(14)), Ok(Change::Added));
    assert_eq!(names(&jar), ["one", "five", "plain", "away"]);
}

#[test]
fn a_full_jar() {
    let config = JarConfig {
        max_total: 3,
        ..JarConfig::DEFAULT
    };
    let mut jar = Jar::with_suffixes(config, SingleLabels);
    let place = |h| url(&format!("https://{h}.test/"));
    for (host, field) in [("a", "a=1; Secure"), ("b", "b=1"), ("c", "c=1; Max-Age=10")] {
        jar.set_cookies(&place(host), [field], at(0));
    }
    jar.cookie_header(&place("a"), at(1));
    jar.set_cookies(&place("d"), ["d=1"], at(2));
    assert_eq!(names(&jar), ["a", "c", "d"], "b was not used for longest");
    jar.set_cookies(&place("e"), ["e=1"], at(10));
    assert_eq!(names(&jar), ["a", "d", "e"], "c had ended");
    assert_eq!(jar.len(), 3);

    let mut jar = Jar::new();
    for i in 0..4000 {
        let fields = (0..2).map(|k| format!("c{k}={i}"));
        jar.set_cookies(&url(&format!("http://h{i}.test/")), fields, at(0));
    }
    assert_eq!(jar.len(), 3000);
    for i in 0..400 {
        jar.set_cookies(&url("http://h.test/"), [format!("c{i}=1")], at(0));
    }
    assert_eq!(
        (
            jar.len(),
            jar.cookie_header(&url("http://h.test/"), at(0))
                .unwrap()
                .split(';')
                .count()
        ),
        (3000, 180)
    );
}

#[test]
fn looking_and_removing() {
    let mut jar = Jar::new();
    let place = url("https://www.a.test/x/y");
    let fields = [
        "a=1; Domain=a.test; HttpOnly; SameSite=Lax; Partitioned; Secure",
        "b=2; Max-Age=9",
        "c=3",
    ];
    jar.set_cookies(&place, fields, at(0));
    let a = jar.iter().next().unwrap();
    assert_eq!(
        (a.name(), a.value(), a.domain(), a.path(), a.expires()),
        ("a", "1", "a.test", "/x", None)
    );
    assert!(a.is_secure() && a.is_http_only() && a.is_partitioned() && !a.is_host_only());
    assert_eq!(a.same_site(), Some(wire::SameSite::Lax));
    assert!(!jar.remove("a.test", "/", "a") && jar.remove("a.test", "/x", "a"));
    assert_eq!(names(&jar), ["b", "c"]);
    jar.end_session();
    assert_eq!((names(&jar), jar.len()), (vec!["b"], 1));
    jar.remove_expired(at(8));
    assert_eq!(jar.len(), 1);
    jar.remove_expired(at(9));
    assert!(jar.is_empty() && jar.iter().next().is_none());
    jar.set_cookies(&place, fields, at(0));
    jar.clear();
    assert!(jar.is_empty());
}

#[test]
fn debug_tells_no_value() {
    let mut jar = Jar::new();
    jar.set_cookies(&url("http://a.test/"), ["id=hunter2"], at(0));
    let text = format!("{jar:?} {:#?}", jar.iter().next());
    assert!(
        text.contains("id") && text.contains("a.test") && !text.contains("hunter2"),
        "{text}"
    );
}

const FILE: &str = "\
# Netscape HTTP Cookie File
# https://curl.se/docs/http-cookies.html

#HttpOnly_.example.com\tTRUE\t/\tTRUE\t1700000060\tid\t\"7\"
www.example.com\tFALSE\t/docs\tFALSE\t0\tlang\ten
.example.com\tTRUE\t/\tFALSE\t0\tempty\t
";

#[test]
fn a_cookie_file() {
    let mut jar = Jar::new();
    let found = jar.load_netscape(FILE.as_bytes(), at(0));
    assert_eq!(
        (found.cookies, found.expired, found.refused, found.first_refused),
        (3, 0, 0, None)
    );
    assert_eq!(
        jar.cookie_header(&url("https://www.example.com/docs/"), at(0))
            .unwrap(),
        "lang=en; id=\"7\"; empty="
    );
    assert_eq!(
        jar.cookie_header(&url("http://example.com/docs/"), at(0))
            .unwrap(),
        "empty="
    );
    let lines = |s: &str| {
        s.lines()
            .filter(|l| l.contains('\t'))
            .map(str::to_string)
            .collect::<Vec<_>>()
    };
    assert_eq!(lines(&jar.to_netscape(at(0))), lines(FILE));
    assert_eq!(
        lines(&jar.to_netscape(at(60))).len(),
        2,
        "what has ended is not written"
    );
    assert_eq!(Jar::new().load_netscape(FILE.as_bytes(), at(60)).expired, 1);
}

#[test]
fn lines_of_a_cookie_file() {
    for (line, header) in [
        ("a.test\tFALSE\t/\tFALSE\t0\tn\tv\r", Some("n=v")),
        (".a.test\tFALSE\t/\tFALSE\t0\tn\tv", Some("n=v")),
        ("A.test\ttrue\t/\tfalse\t0\tn", Some("n=")),
        ("a.test\tFALSE\t/\tFALSE\t99999999999\tn\tv", Some("n=v")),
        ("a.test\tFALSE\t/\tFALSE\t-1\tn\tv", None),
        ("a.test\tFALSE\t/\tFALSE\t0\t\tv", None),
        ("a.test\tFALSE\t/\tFALSE\t0\tn\tv\tw", None),
        ("a.test\tFALSE\t/\tFALSE\tsoon\tn\tv", None),
        ("a.test\tFALSE\tx\tFALSE\t0\tn\tv", None),
        ("a.test\tYES\t/\tFALSE\t0\tn\tv", None),
        ("a.test\tFALSE\t/\tFALSE\t0\tn\tv; admin=1", None),
        ("a.test\tFALSE\t/\tFALSE\t0\tn=x\tv", None),
        ("a.test\tFALSE\t/\tFALSE\t0\tn\tv\x01", None),
        ("a.test\tFALSE\t/\tFALSE\t0\t__Host-n\tv", None),
        ("a.test:80\tFALSE\t/\tFALSE\t0\tn\tv", None),
        ("\tFALSE\t/\tFALSE\t0\tn\tv", None),
        ("test\tTRUE\t/\tFALSE\t0\tn\tv", None),
        ("n=v", None),
    ] {
        let mut jar = Jar::new();
        let found = jar.load_netscape(format!("#\n{line}\n").as_bytes(), at(0));
        assert_eq!(
            jar.cookie_header(&url("http://a.test/"), at(0)).as_deref(),
            header,
            "{line}"
        );
        assert_eq!(found.cookies, header.iter().len(), "{line}");
        let refused = header.is_none() && found.expired == 0;
        assert_eq!(found.first_refused, refused.then_some(2), "{line}");
    }
    for (line, place) in [
        ("::1\tFALSE\t/\tFALSE\t0\tn\tv", "http://[::1]/"),
        ("[::1]\tFALSE\t/\tFALSE\t0\tn\tv", "http://[::1]/"),
        ("127.0.0.1\tTRUE\t/\tTRUE\t0\tn\tv", "http://127.0.0.1/"),
    ] {
        let mut jar = Jar::new();
        jar.load_netscape(line.as_bytes(), at(0));
        assert_eq!(
            jar.cookie_header(&url(place), at(0)).as_deref(),
            Some("n=v"),
            "{line}"
        );
    }
    assert_eq!(
        Jar::new()
            .load_netscape(b"a.test\tFALSE\t/\tFALSE\t0\tn\t\xff", at(0))
            .refused,
        1
    );
}

//! The Netscape cookie file format, which curl, wget and browsers' exporters write: one cookie a line, seven
//! columns between tabs. Reading and writing the file itself does not live here.

use super::suffix::is_address;
use super::{Change, Cookie, Jar, PublicSuffix, check_prefix, registrable};
use crate::message::target::is_host;
use crate::{Now, UnixTime};
use alloc::format;
use alloc::string::String;
use core::fmt::Write as _;
use core::net::Ipv6Addr;

const HTTP_ONLY: &str = "#HttpOnly_";

/// What [`Jar::load_netscape`] found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Loaded {
    /// Cookies that were taken.
    pub cookies: usize,
    /// Cookies that have ended, and were not.
    pub expired: usize,
    /// Lines that are no cookie, or one that would be refused from a server too.
    pub refused: usize,
    /// The number of the first refused line, counted from 1.
    pub first_refused: Option<usize>,
}

impl<P: PublicSuffix> Jar<P> {
    /// Adds the cookies of a Netscape cookie file, as curl and this jar write it.
    ///
    /// The columns are: domain; `TRUE` if it goes to sub-domains too; path; `TRUE` if it is secure; when it ends
    /// in Unix seconds, 0 for a cookie of the session; name; value, which may be missing if it is empty. Before
    /// the domain may stand a dot, which means nothing, and `#HttpOnly_`. Other lines that begin with `#`, and
    /// empty ones, are comments. A line that is no cookie is skipped and counted. The bounds of the jar hold.
    ///
    /// ```
    /// use antiphon_core::client::Jar;
    /// use antiphon_core::Now;
    /// let mut jar = Jar::new();
    /// let found = jar.load_netscape(b"#HttpOnly_.example.com\tTRUE\t/\tTRUE\t0\tid\t7\n", Now::default());
    /// assert_eq!((found.cookies, found.refused), (1, 0));
    /// let url = "https://www.example.com/".parse()?;
    /// assert_eq!(jar.cookie_header(&url, Now::default()).as_deref(), Some("id=7"));
    /// # Ok::<(), antiphon_core::client::InvalidUrl>(())
    /// ```
    pub fn load_netscape(&mut self, text: &[u8], now: Now) -> Loaded {
        let mut found = Loaded::default();
        for (i, line) in text.split(|&b| b == b'\n').enumerate() {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            let comment = line.starts_with(b"#") && !line.starts_with(HTTP_ONLY.as_bytes());
            if comment || line.trim_ascii().is_empty() {
                continue;
            }
            match core::str::from_utf8(line).ok().and_then(|l| self.load(l, now)) {
                Some(Change::Added | Change::Replaced) => found.cookies += 1,
                Some(Change::Removed | Change::Nothing) => found.expired += 1,
                None => {
                    found.refused += 1;
                    found.first_refused.get_or_insert(i + 1);
                }
            }
        }
        found
    }

    fn load(&mut self, line: &str, now: Now) -> Option<Change> {
        let http_only = line.strip_prefix(HTTP_ONLY);
        let mut columns = http_only.unwrap_or(line).split('\t');
        let mut next = || columns.next();
        let (domain, below, path, secure) = (next()?, truth(next()?)?, next()?, truth(next()?)?);
        let (expires, name, value) = (next()?.parse::<i64>().ok()?, next()?, next().unwrap_or(""));
        if columns.next().is_some() {
            return None;
        }
        let mut domain = domain.strip_prefix('.').unwrap_or(domain).to_ascii_lowercase();
        if domain.parse::<Ipv6Addr>().is_ok() {
            domain = format!("[{domain}]");
        }
        // What stands in the file is sent later: it must not be able to say more than a server could.
        let bad = |b: u8| b.is_ascii_control() || b == b';';
        let plain = |s: &str| !s.bytes().any(bad) && s.trim_matches(' ') == s;
        let good = is_host(domain.as_bytes(), true)
            && (domain.ends_with(']') || !domain.contains(':'))
            && path.starts_with('/')
            && plain(path)
            && plain(name)
            && !name.is_empty()
            && !name.contains('=')
            && plain(value);
        if !good {
            return None;
        }
        self.check_size(name, value, &domain, path).ok()?;
        check_prefix(name, secure, !below, path == "/").ok()?;
        if below && domain.ends_with('.') {
            return None;
        }
        // Other programs write TRUE for addresses; for a public suffix nobody should.
        let address = is_address(&domain);
        if below && !address && self.stands_alone(&domain) {
            return None;
        }
        let key = registrable(&self.suffixes, &domain).into();
        let cookie = Cookie {
            name: name.into(),
            value: value.into(),
            domain: domain.into(),
            host_only: !below || address,
            path: path.into(),
            expires: (expires != 0).then(|| self.capped(UnixTime(expires), now)),
            ends: None,
            secure,
            http_only: http_only.is_some(),
            same_site: None,
            partitioned: false,
            used: 0,
        };
        self.put(key, cookie, now).ok()
    }

    /// All cookies that have not ended, as a Netscape cookie file. It holds secrets: let nobody else read it.
    ///
    /// Cookies of the session are in it, with 0 for their end. The format has no place for `SameSite` and
    /// `Partitioned`, which are lost.
    ///
    /// ```
    /// use antiphon_core::client::Jar;
    /// use antiphon_core::Now;
    /// let mut jar = Jar::new();
    /// jar.set_cookies(&"https://www.example.com/".parse()?, ["id=7; Domain=example.com; HttpOnly"], Now::default());
    /// let file = jar.to_netscape(Now::default());
    /// assert_eq!(file.lines().last(), Some("#HttpOnly_.example.com\tTRUE\t/\tFALSE\t0\tid\t7"));
    /// # Ok::<(), antiphon_core::client::InvalidUrl>(())
    /// ```
    pub fn to_netscape(&self, now: Now) -> String {
        let mut out = String::from("# Netscape HTTP Cookie File\n# It holds secrets.\n\n");
        for c in self.iter().filter(|c| !c.is_over(now)) {
            let http_only = if c.http_only { HTTP_ONLY } else { "" };
            let (dot, below) = if c.host_only { ("", "FALSE") } else { (".", "TRUE") };
            let secure = if c.secure { "TRUE" } else { "FALSE" };
            // An end at the epoch would read as none.
            let expires = c.expires.map_or(0, |t| if t.0 == 0 { 1 } else { t.0 });
            // Writing to a string cannot fail.
            let _ = writeln!(
                out,
                "{http_only}{dot}{}\t{below}\t{}\t{secure}\t{expires}\t{}\t{}",
                c.domain, c.path, c.name, c.value
            );
        }
        out
    }
}

fn truth(column: &str) -> Option<bool> {
    match column {
        _ if column.eq_ignore_ascii_case("TRUE") => Some(true),
        _ if column.eq_ignore_ascii_case("FALSE") => Some(false),
        _ => None,
    }
}

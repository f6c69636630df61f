//! [`Origin`]: what a connection outside the pool knows of whom it leads to, and [`settle`]: the framing of a request
//! that is given as a head. A request that is given as a URL is [`Prepared`](super::Prepared).

use super::prepare::Unsendable;
use super::proxy::Proxy;
use super::route::Route;
use super::url::Url;
use crate::h1::{BodyLen, ClientConn, Misuse};
use crate::{Headers, InvalidField, Request, Target, TargetForm};
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use core::fmt;

/// Whom a connection leads to, and through which proxy.
///
/// ```
/// use antiphon_core::client::{Origin, ProxyRules, Route, Url};
/// use antiphon_core::{Method, Request, Target};
///
/// let url = Url::parse("http://example.com:8080/")?;
/// let mut request = Request::new(Method::GET, Target::new("/tea?milk=1")?);
/// Origin::new(&url, &Route::direct(&url)).complete(&mut request)?;
/// assert_eq!(request.headers.get_str("host"), Some("example.com:8080"));
///
/// // A proxy that passes it on is told the whole URL (RFC 9112, section 3.2.2).
/// let route = Route::new(&url, &ProxyRules::all("http://proxy:3128".parse()?))?;
/// Origin::new(&url, &route).complete(&mut request)?;
/// assert_eq!(request.target.as_str(), "http://example.com:8080/tea?milk=1");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Origin {
    host: Box<str>,
    forwarded: Option<Forwarded>,
}

#[derive(Clone)]
struct Forwarded {
    /// Scheme and authority.
    prefix: Box<str>,
    /// The value of `Proxy-Authorization`.
    credentials: Option<String>,
}

impl Origin {
    /// That of `url`, reached by `route`.
    pub fn new(url: &Url, route: &Route) -> Origin {
        Origin {
            host: url.host_header().into(),
            forwarded: route.is_forwarded().then(|| Forwarded {
                prefix: format!("{}://{}", url.scheme(), url.host_header()).into(),
                credentials: route.proxy().and_then(Proxy::credentials).map(|c| c.basic()),
            }),
        }
    }

    /// Adds a `Host` in front, unless the request has one (RFC 9110, section 7.2), and words it for the proxy, if one
    /// passes it on: the absolute form, and `Proxy-Authorization` unless the request has its own.
    ///
    /// # Errors
    /// [`Unsendable::Field`] if the fields become too large.
    pub fn complete(&self, request: &mut Request) -> Result<(), Unsendable> {
        let field = Unsendable::Field;
        if !request.headers.contains("host") {
            let own = core::mem::replace(&mut request.headers, Headers::new());
            request.headers.append("host", &*self.host).map_err(field)?;
            for line in &own {
                request.headers.push(line).map_err(field)?;
            }
        }
        let Some(forwarded) = &self.forwarded else {
            return Ok(());
        };
        // The asterisk form stands for the whole server: "the last proxy" sends it, told by an empty path
        // (RFC 9112, section 3.2.4).
        let path = match request.target.form() {
            TargetForm::Origin => request.target.as_str(),
            TargetForm::Asterisk => "",
            TargetForm::Absolute | TargetForm::Authority => return Ok(()),
        };
        let whole = Target::new(format!("{}{path}", forwarded.prefix));
        request.target = whole.map_err(|_| Unsendable::Misuse(Misuse::Target))?;
        if let Some(basic) = &forwarded.credentials
            && !request.headers.contains("proxy-authorization")
        {
            request
                .headers
                .append("proxy-authorization", basic)
                .map_err(field)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Origin")
            .field("host", &self.host)
            .field("forwarded", &self.forwarded.is_some())
            .finish_non_exhaustive()
    }
}

/// Settles the framing of a request: the fields that speak of it are taken out, and decide over `body`, which is what
/// the body itself knows; an expectation without a body is dropped. Then everything is checked that can be known
/// without a connection.
///
/// # Errors
/// [`Unsendable::Misuse`].
pub fn settle(request: &mut Request, body: BodyLen) -> Result<BodyLen, Unsendable> {
    let len = BodyLen::from_fields(&mut request.headers, body)?;
    if len == BodyLen::None {
        // There is nothing to hold back.
        request.headers.retain(|f| !f.name.is("expect"));
    }
    ClientConn::check_request(
        request.method.as_str(),
        request.target.as_str(),
        &request.headers,
        len,
    )?;
    Ok(len)
}

impl From<InvalidField> for Unsendable {
    fn from(e: InvalidField) -> Unsendable {
        Unsendable::Field(e)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Method;
    use crate::client::ProxyRules;
    use std::vec;
    use std::vec::Vec;

    fn request(target: &str, fields: &[(&str, &str)]) -> Request {
        let mut request = Request::new(Method::GET, Target::new(target).unwrap());
        for (name, value) in fields {
            request.headers.append(name, value).unwrap();
        }
        request
    }

    fn lines(request: &Request) -> Vec<String> {
        let fields = request.headers.iter();
        fields
            .map(|f| format!("{}: {}", f.name.as_str(), f.value.to_str().unwrap()))
            .collect()
    }

    fn completed(mut request: Request, proxy: Option<&str>) -> Request {
        let url = Url::parse("http://h:81/base").unwrap();
        let route = match proxy {
            None => Route::direct(&url),
            Some(proxy) => Route::new(&url, &ProxyRules::all(proxy.parse().unwrap())).unwrap(),
        };
        Origin::new(&url, &route).complete(&mut request).unwrap();
        request
    }

    #[test]
    fn host_comes_first_and_only_once() {
        let got = completed(request("/x", &[("a", "1"), ("b", "2")]), None);
        assert_eq!(lines(&got), ["host: h:81", "a: 1", "b: 2"]);
        let got = completed(request("/x", &[("a", "1"), ("Host", "other")]), None);
        assert_eq!(lines(&got), ["a: 1", "Host: other"]);
    }

    #[test]
    fn a_proxy_is_told_the_whole_url() {
        for (target, expected) in [
            ("/x?y", "http://h:81/x?y"),
            ("*", "http://h:81"),
            ("http://else/where", "http://else/where"),
            ("h:81", "h:81"),
        ] {
            let got = completed(request(target, &[]), Some("http://p:1"));
            assert_eq!(got.target.as_str(), expected);
            // Behind a tunnel, and without a proxy, nothing is changed.
            for way in [None, Some("socks5://p:1")] {
                assert_eq!(completed(request(target, &[]), way).target.as_str(), target);
            }
        }
    }

    #[test]
    fn a_proxy_is_told_who_asks_and_nobody_else_is() {
        let told = |proxy, fields: &[_]| {
            let got = completed(request("/", fields), Some(proxy));
            got.headers.get_str("proxy-authorization").map(String::from)
        };
        let basic = Some("Basic YW5uOnNlY3JldA==");
        assert_eq!(told("http://ann:secret@p:1", &[]).as_deref(), basic);
        assert_eq!(told("http://p:1", &[]), None);
        assert_eq!(told("socks5://ann:secret@p:1", &[]), None);
        let own = told("http://ann:secret@p:1", &[("proxy-authorization", "own")]);
        assert_eq!(own.as_deref(), Some("own"));
    }

    #[test]
    fn the_framing_is_settled() {
        let host = ("host", "h");
        for (fields, body, len) in [
            (vec![host], BodyLen::Unknown, Ok(BodyLen::Unknown)),
            (
                vec![host, ("content-length", "5")],
                BodyLen::Unknown,
                Ok(BodyLen::Known(5)),
            ),
            (
                vec![host, ("expect", "100-continue")],
                BodyLen::None,
                Ok(BodyLen::None),
            ),
            (vec![], BodyLen::None, Err(Misuse::HostField)),
            (
                vec![host, ("transfer-encoding", "gzip")],
                BodyLen::None,
                Err(Misuse::ForbiddenField),
            ),
        ] {
            let mut request = request("/", &fields);
            let got = settle(&mut request, body);
            assert_eq!(got, len.map_err(Unsendable::Misuse), "{fields:?}");
            if got.is_ok() {
                assert!(!request.headers.contains("content-length"));
                assert!(!request.headers.contains("expect"));
            }
        }
    }
}

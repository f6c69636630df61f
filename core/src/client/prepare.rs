//! [`Prepared`]: a request that has been checked, before anything is dialled for it: what its URL means, how its body is
//! framed, which fields go out in which order, and whether it may be sent at all.
//!
//! Connections, bodies and retries do not live here.

use super::pool::Key;
use super::proxy::Proxy;
use super::retry;
use super::route::Route;
use super::url::{InvalidUrl, Url};
use crate::h1::{BodyLen, ClientConn, ExchangeId, Misuse};
use crate::{Field, FieldLines, FieldName, FieldValue, Headers, InvalidField, InvalidMethod, Method};
use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use core::fmt;

/// A request, ready to be sent; and sent again.
///
/// ```
/// use antiphon_core::client::{Prepared, Unsendable};
/// use antiphon_core::h1::{BodyLen, ClientConfig, ClientConn, Misuse};
/// use antiphon_core::{Fields, Headers, Instant, Method};
/// use std::sync::Arc;
///
/// let mut headers = Headers::new();
/// headers.append("accept", "text/plain")?;
/// let url = "http://example.com/tea?milk=1";
/// let request = Prepared::new(&Method::GET, url, &mut headers, "kettle/1", BodyLen::None)?;
/// request.check(Some((0, &Fields::EMPTY)))?; // nothing to object to: dial request.key()
///
/// let mut conn = ClientConn::new(Arc::new(ClientConfig::DEFAULT), Instant::ZERO);
/// request.send_head(&mut conn)?;
/// assert_eq!(
///     conn.outgoing().first(),
///     b"GET /tea?milk=1 HTTP/1.1\r\nhost: example.com\r\nuser-agent: kettle/1\r\naccept: text/plain\r\n\r\n"
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Prepared<'a> {
    url: Cow<'a, Url>,
    method: &'a Method,
    /// What is asked for, where that is not the URL's path and query.
    target: Option<String>,
    proxy_authorization: Option<Secret>,
    headers: &'a Headers,
    user_agent: &'a str,
    /// The value of `Accept-Encoding`; empty: none.
    accept_encoding: &'static str,
    len: BodyLen,
    replayable: bool,
}

/// A field value that is never shown.
struct Secret(String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Why a request may not be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unsendable {
    /// The URL cannot be understood.
    Url(InvalidUrl),
    /// The scheme needs TLS, which the layer above does not have.
    Tls,
    /// The URL holds credentials, and the request no `Authorization`. A [`Call`](super::Call) makes a field of them; without
    /// it something else would be asked for.
    Credentials,
    /// A method is none.
    Method(InvalidMethod),
    /// A field may not be sent.
    Field(InvalidField),
    /// The head, the body or the trailers may not be sent like this.
    Misuse(Misuse),
}

impl fmt::Display for Unsendable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unsendable::Url(e) => e.fmt(f),
            Unsendable::Tls => f.write_str("TLS is not built in: only http:// is spoken"),
            Unsendable::Credentials => {
                f.write_str("credentials in the URL: send an Authorization field instead")
            }
            Unsendable::Method(e) => e.fmt(f),
            Unsendable::Field(e) => e.fmt(f),
            Unsendable::Misuse(e) => e.fmt(f),
        }
    }
}

impl core::error::Error for Unsendable {}

impl From<Misuse> for Unsendable {
    fn from(misuse: Misuse) -> Unsendable {
        Unsendable::Misuse(misuse)
    }
}

impl<'a> Prepared<'a> {
    /// Reads the URL, and settles the framing: the fields that speak of it are taken out of `headers`, and decide
    /// over `body`, which is what the body itself knows. An empty `user_agent` sends none.
    ///
    /// # Errors
    /// [`Unsendable`], but not yet for everything that [`check`](Self::check) finds. A layer without TLS has to look at
    /// the scheme itself.
    pub fn new(
        method: &'a Method,
        url: &str,
        headers: &'a mut Headers,
        user_agent: &'a str,
        body: BodyLen,
    ) -> Result<Prepared<'a>, Unsendable> {
        let url: Url = url.parse().map_err(Unsendable::Url)?;
        if url.userinfo().is_some() {
            return Err(Unsendable::Credentials);
        }
        let len = BodyLen::from_fields(headers, body)?;
        if len == BodyLen::None {
            // There is nothing to hold back.
            headers.retain(|f| !f.name.is("expect"));
        }
        Ok(Prepared::settled(
            method,
            Cow::Owned(url),
            headers,
            user_agent,
            len,
        ))
    }

    /// One hop of a call, whose URL has been read, whose framing has been settled and whose credentials are a field.
    pub(super) fn settled(
        method: &'a Method,
        url: Cow<'a, Url>,
        headers: &'a Headers,
        user_agent: &'a str,
        len: BodyLen,
    ) -> Prepared<'a> {
        // RFC 9112, section 3.2.3: the port is always named.
        let target = (*method == Method::CONNECT).then(|| format!("{}:{}", url.host(), url.port()));
        let replayable = retry::is_replayable(method.as_str(), headers.as_fields());
        Prepared {
            url,
            method,
            target,
            proxy_authorization: None,
            headers,
            user_agent,
            accept_encoding: "",
            len,
            replayable,
        }
    }

    /// The same with this `Accept-Encoding` behind the caller's fields; empty: without.
    pub(super) fn accepting(mut self, codings: &'static str) -> Prepared<'a> {
        self.accept_encoding = codings;
        self
    }

    /// The same, worded for this way: a proxy that passes it on is told the whole URL, and who asks
    /// (RFC 9112, section 3.2.2; RFC 9110, section 11.7.2). A `Proxy-Authorization` of the caller's own wins.
    ///
    /// ```
    /// use antiphon_core::client::{Prepared, ProxyRules, Route};
    /// use antiphon_core::h1::{BodyLen, ClientConfig, ClientConn};
    /// use antiphon_core::{Headers, Instant, Method};
    /// use std::sync::Arc;
    ///
    /// let mut headers = Headers::new();
    /// let request = Prepared::new(&Method::GET, "http://example.com/tea", &mut headers, "", BodyLen::None)?;
    /// let rules = ProxyRules::all("http://ann:secret@proxy:3128".parse()?);
    /// let route = Route::new(request.url(), &rules)?;
    /// let request = request.via(&route);
    ///
    /// let mut conn = ClientConn::new(Arc::new(ClientConfig::DEFAULT), Instant::ZERO);
    /// request.send_head(&mut conn)?;
    /// assert_eq!(
    ///     conn.outgoing().first(),
    ///     b"GET http://example.com/tea HTTP/1.1\r\nhost: example.com\r\nproxy-authorization: Basic YW5uOnNlY3JldA==\r\n\r\n"
    /// );
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn via(mut self, route: &Route) -> Prepared<'a> {
        if route.is_forwarded() {
            let (scheme, authority) = (self.url.scheme(), self.url.host_header());
            self.target = Some(format!("{scheme}://{authority}{}", self.url.target()));
            let credentials = route.proxy().and_then(Proxy::credentials);
            self.proxy_authorization = credentials.map(|c| Secret(c.basic()));
        }
        self
    }

    /// Whose connections it may use, if it goes directly.
    pub fn key(&self) -> Key {
        self.url.key()
    }

    /// The method.
    pub fn method(&self) -> &Method {
        self.method
    }

    /// The URL.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The header section in the order in which it is sent: Host first (RFC 9110, section 7.2), then User-Agent,
    /// `Proxy-Authorization`, then the caller's, then what a call adds. The fields of the framing are the connection's to write.
    ///
    /// # Errors
    /// [`Unsendable::Field`] for a user agent that is no field value.
    pub fn header_section(&self) -> Result<impl FieldLines + '_, Unsendable> {
        self.fields()
    }

    /// How its body is framed.
    pub fn body_len(&self) -> BodyLen {
        self.len
    }

    /// Whether sending it twice does no harm: see [`retry::is_replayable`].
    pub fn is_replayable(&self) -> bool {
        self.replayable
    }

    /// Whether the body is to wait for `100 Continue`.
    pub fn is_held(&self) -> bool {
        self.headers.as_fields().has_token("expect", "100-continue")
    }

    /// Finds what may not be sent, without a connection. `content`: the length of the body and its trailers, if they
    /// are in memory; of a stream nothing can be said yet.
    ///
    /// # Errors
    /// [`Unsendable::Field`] for a user agent that is no field value, else [`Unsendable::Misuse`].
    pub fn check<F: FieldLines + ?Sized>(&self, content: Option<(u64, &F)>) -> Result<(), Unsendable> {
        ClientConn::check_request(self.method.as_str(), self.target(), &self.fields()?, self.len)?;
        if let Some((len, trailers)) = content {
            ClientConn::check_body(self.len, len, trailers)?;
        }
        Ok(())
    }

    /// Queues the head.
    ///
    /// # Errors
    /// Those of [`check`](Self::check), and [`Misuse::NotReady`].
    pub fn send_head(&self, conn: &mut ClientConn) -> Result<ExchangeId, Unsendable> {
        let id = conn.send_request(self.method.as_str(), self.target(), &self.fields()?, self.len)?;
        Ok(id)
    }

    fn target(&self) -> &str {
        match &self.target {
            Some(target) => target,
            None => self.url.target().as_str(),
        }
    }

    fn fields(&self) -> Result<RequestFields<'_>, Unsendable> {
        let value = |text: &'a str| FieldValue::new(text.as_bytes());
        let invalid = |e| Unsendable::Field(InvalidField::Value(e));
        let host = match self.headers.iter().find(|f| f.name.is("host")) {
            Some(own) => own,
            None => Field {
                name: FieldName::from_static("host"),
                value: FieldValue::new(self.url.host_header().as_bytes()).map_err(invalid)?,
            },
        };
        let agent = match self.user_agent {
            "" => None,
            name if !self.headers.contains("user-agent") => Some(value(name).map_err(invalid)?),
            _ => None,
        };
        let authorization = match &self.proxy_authorization {
            Some(Secret(basic)) if !self.headers.contains("proxy-authorization") => {
                Some(FieldValue::new(basic.as_bytes()).map_err(invalid)?)
            }
            _ => None,
        };
        Ok(RequestFields {
            host,
            agent,
            authorization,
            headers: self.headers,
            accept_encoding: match self.accept_encoding {
                "" => None,
                codings => Some(value(codings).map_err(invalid)?),
            },
        })
    }
}

/// The header section in the order in which it is sent: Host first (RFC 9110, section 7.2), then User-Agent,
/// then the caller's.
struct RequestFields<'a> {
    host: Field<'a>,
    agent: Option<FieldValue<'a>>,
    authorization: Option<FieldValue<'a>>,
    headers: &'a Headers,
    accept_encoding: Option<FieldValue<'a>>,
}

impl FieldLines for RequestFields<'_> {
    fn for_each_field(&self, mut each: impl FnMut(Field<'_>)) {
        const USER_AGENT: FieldName<'static> = FieldName::from_static("user-agent");
        const AUTHORIZATION: FieldName<'static> = FieldName::from_static("proxy-authorization");
        const ACCEPT_ENCODING: FieldName<'static> = FieldName::from_static("accept-encoding");
        each(self.host);
        for (name, value) in [(USER_AGENT, self.agent), (AUTHORIZATION, self.authorization)] {
            if let Some(value) = value {
                each(Field { name, value });
            }
        }
        let mut host_sent = false;
        for field in self.headers {
            if field.name.is("host") && !core::mem::replace(&mut host_sent, true) {
                continue;
            }
            // An empty User-Agent says that none is to be sent.
            let withheld = field.name.is("user-agent") && field.value.as_bytes().is_empty();
            if !withheld && !retry::is_private_mark(field) {
                each(field);
            }
        }
        if let Some(value) = self.accept_encoding {
            each(Field {
                name: ACCEPT_ENCODING,
                value,
            });
        }
    }
}

//! [`Prepared`]: a request that has been checked, before anything is dialled for it. What a URL means and what
//! may be sent is decided by the core; it is only asked here.

use super::{PREPARING, refused};
use crate::{Body, Error, ErrorKind};
use antiphon_core::client::retry;
use antiphon_core::client::{Scheme, Url};
use antiphon_core::h1::{BodyLen, ClientConfig, ClientConn, ExchangeId, Misuse};
use antiphon_core::{
    Field, FieldLines, FieldName, FieldValue, Fields, Headers, Instant, InvalidField, Method,
};
use std::sync::Arc;

/// A request, ready to be sent; and sent again.
pub(super) struct Prepared<'a> {
    pub(super) url: Url,
    method: &'a Method,
    /// The request target: the URL's, or `host:port` for CONNECT.
    tunnel: Option<String>,
    headers: &'a Headers,
    user_agent: &'a str,
    pub(super) len: BodyLen,
    /// Whether doing it twice does no harm.
    pub(super) replayable: bool,
}

impl<'a> Prepared<'a> {
    /// Reads the URL, and settles the framing: the fields that speak of it are taken out of `headers`.
    pub(super) fn new(
        method: &'a Method,
        url: &str,
        headers: &'a mut Headers,
        user_agent: &'a str,
        body: &Body,
    ) -> Result<Prepared<'a>, Error> {
        let url: Url = url
            .parse()
            .map_err(|e| Error::new(ErrorKind::InvalidUrl, PREPARING).with_source(e))?;
        let unsupported = |why: &'static str| Error::new(ErrorKind::Unsupported, PREPARING).with_source(why);
        if url.scheme() != Scheme::Http {
            return Err(unsupported("TLS is not there yet: only http:// is spoken"));
        }
        if url.userinfo().is_some() {
            // Better than sending the request without them.
            return Err(unsupported(
                "credentials in the URL: send an Authorization field instead",
            ));
        }
        let len = BodyLen::from_fields(headers, body.framing())
            .map_err(|misuse| Error::misuse(PREPARING, misuse))?;
        if len == BodyLen::None {
            // There is nothing to hold back.
            headers.retain(|f| !f.name.is("expect"));
        }
        // RFC 9112, section 3.2.3: the port is always named.
        let tunnel = (*method == Method::CONNECT).then(|| format!("{}:{}", url.host(), url.port()));
        let replayable = retry::is_replayable(method.as_str(), headers.as_fields());
        Ok(Prepared {
            url,
            method,
            tunnel,
            headers,
            user_agent,
            len,
            replayable,
        })
    }

    /// Whether the body is to wait for `100 Continue`.
    pub(super) fn is_held(&self) -> bool {
        self.headers.as_fields().has_token("expect", "100-continue")
    }

    /// Lets a machine that has no connection refuse what cannot be sent.
    ///
    /// `config` holds no body back, so that it is looked at too, if it is in memory.
    pub(super) fn check(&self, config: Arc<ClientConfig>, body: &Body) -> Result<(), Error> {
        let mut machine = ClientConn::new(config, Instant::ZERO);
        let id = self.send_head(&mut machine)?;
        let Some(mut body) = body.replay() else {
            return Ok(());
        };
        let misuse = |misuse| Error::misuse(PREPARING, misuse);
        // A head that alone fills the output would leave no room for the body.
        let head = machine.outgoing().first().len() as u64;
        machine.sent(head, Instant::ZERO).map_err(misuse)?;
        if let Some(bytes) = body.take_full()
            && !bytes.is_empty()
        {
            machine.send_body(id, bytes).map_err(misuse)?;
        }
        match body.take_trailers() {
            Some(trailers) => machine.finish(id, &trailers),
            None => machine.finish(id, &Fields::EMPTY),
        }
        .map_err(misuse)
    }

    /// Queues the head.
    pub(super) fn send_head(&self, machine: &mut ClientConn) -> Result<ExchangeId, Error> {
        let host = match self.headers.iter().find(|f| f.name.is("host")) {
            Some(own) => own,
            None => Field {
                name: FieldName::from_static("host"),
                value: value(self.url.host_header())?,
            },
        };
        let agent = match self.user_agent {
            "" => None,
            name if !self.headers.contains("user-agent") => Some(value(name)?),
            _ => None,
        };
        let fields = RequestFields {
            host,
            agent,
            headers: self.headers,
        };
        let target = match &self.tunnel {
            Some(tunnel) => tunnel,
            None => self.url.target().as_str(),
        };
        machine
            .send_request(self.method.as_str(), target, &fields, self.len)
            .map_err(|misuse: Misuse| Error::misuse(PREPARING, misuse))
    }
}

fn value(text: &str) -> Result<FieldValue<'_>, Error> {
    FieldValue::new(text.as_bytes()).map_err(|e| refused(InvalidField::Value(e)))
}

/// The header section in the order in which it is sent: Host first (RFC 9110, section 7.2), then User-Agent,
/// then the caller's.
struct RequestFields<'a> {
    host: Field<'a>,
    agent: Option<FieldValue<'a>>,
    headers: &'a Headers,
}

impl FieldLines for RequestFields<'_> {
    fn for_each_field(&self, mut each: impl FnMut(Field<'_>)) {
        const USER_AGENT: FieldName<'static> = FieldName::from_static("user-agent");
        each(self.host);
        if let Some(value) = self.agent {
            each(Field {
                name: USER_AGENT,
                value,
            });
        }
        let mut host_sent = false;
        for field in self.headers {
            if field.name.is("host") && !std::mem::replace(&mut host_sent, true) {
                continue;
            }
            // An empty User-Agent says that none is to be sent.
            let withheld = field.name.is("user-agent") && field.value.as_bytes().is_empty();
            if !withheld && !retry::is_private_mark(field) {
                each(field);
            }
        }
    }
}

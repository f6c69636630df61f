//! [`Client`]: the calls that begin a request. Settings live in `builder`, what a request is before it is sent in
//! `request`; then `call` carries out what the core decides, `exchange` sends one request and looks for its response,
//! `response_body` is what the caller reads. `supply` has
//! the request's body, as often as it is wanted; `middleware` is what the application puts around calls.
//!
//! `single` is a connection outside the pool, `seat` where a connection goes after its exchange.
//!
//! Connections come from `hub`, the pool. `dial` makes new ones as the core says, with the settings of `connecting`: names
//! are looked up in `resolve`, addresses dialled in `attempts`, proxies and TLS asked in `hops`; `failure` is why there is
//! none.

mod attempts;
mod builder;
mod call;
mod connecting;
mod dial;
mod exchange;
mod failure;
mod hops;
mod hub;
mod middleware;
mod request;
mod resolve;
mod response_body;
mod seat;
mod single;
mod supply;

pub use self::builder::ClientBuilder;
pub use self::dial::DialTo;
pub use self::failure::ProxyAnswer;
pub use self::middleware::{Next, OutgoingRequest, RoundTrip};
pub use self::request::RequestBuilder;
pub(crate) use self::response_body::ResponseBody;
pub use self::single::{ClientConnection, Reservation};

use self::hub::Hub;
use antiphon_core::client::pool::Stats;
use std::sync::Arc;

/// An HTTP/1.1 client with a pool of connections. Clones share the pool; keep one and clone it.
///
/// Requests run on the calling thread: connecting, redirects and all. Speaks `http` and, with the feature `tls`, `https`;
/// goes through proxies, as the environment says or [as is set](ClientBuilder::proxies); follows
/// [redirects](ClientBuilder::redirects); decodes [content codings](ClientBuilder::codings).
///
/// ```no_run
/// use antiphon_blocking::Client;
/// use std::io;
///
/// let client = Client::new();
/// let mut response = client.get("http://127.0.0.1:8000/large").header("accept", "*/*").send()?;
/// // Bodies are readers: any size in constant memory.
/// io::copy(response.body_mut(), &mut io::stdout())?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Client {
    hub: Arc<Hub>,
}

impl Client {
    /// A client with the default settings.
    pub fn new() -> Client {
        Client::builder().build()
    }

    /// To set something first.
    pub fn builder() -> ClientBuilder {
        ClientBuilder::new()
    }

    /// A GET request for `url`.
    pub fn get(&self, url: impl Into<String>) -> RequestBuilder {
        self.request("GET", url)
    }

    /// A HEAD request for `url`.
    pub fn head(&self, url: impl Into<String>) -> RequestBuilder {
        self.request("HEAD", url)
    }

    /// A POST request to `url`.
    pub fn post(&self, url: impl Into<String>) -> RequestBuilder {
        self.request("POST", url)
    }

    /// A PUT request to `url`.
    pub fn put(&self, url: impl Into<String>) -> RequestBuilder {
        self.request("PUT", url)
    }

    /// A DELETE request for `url`.
    pub fn delete(&self, url: impl Into<String>) -> RequestBuilder {
        self.request("DELETE", url)
    }

    /// A request with any method. What is wrong with method or URL is told by
    /// [`send`](RequestBuilder::send). CONNECT goes to the URL's host and asks it for a tunnel to itself.
    pub fn request(&self, method: impl AsRef<str>, url: impl Into<String>) -> RequestBuilder {
        RequestBuilder::new(Arc::clone(&self.hub), method.as_ref(), url.into())
    }

    /// How many connections there are now, and what has happened since the client was made.
    pub fn pool_stats(&self) -> Stats {
        self.hub.stats()
    }

    /// Closes all idle connections, and those that become idle until the next request.
    pub fn close_idle(&self) {
        self.hub.close_idle();
    }
}

impl Default for Client {
    fn default() -> Client {
        Client::new()
    }
}

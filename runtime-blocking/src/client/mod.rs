//! [`Client`]: settings, and the calls that begin a request. How a request is sent lives in `request` and
//! `exchange`, connections in `connect`.

mod connect;
mod exchange;
mod request;

pub(crate) use self::exchange::ResponseBody;
pub use self::request::RequestBuilder;

use self::connect::Shared;
use antiphon_core::client::pool::{PoolConfig, Stats};
use antiphon_core::h1::ClientConfig;
use std::sync::Arc;
use std::time::Duration;

/// What the client calls itself unless told otherwise.
const USER_AGENT: &str = concat!("antiphon/", env!("CARGO_PKG_VERSION"));

/// An HTTP/1.1 client with a pool of connections. Clones share the pool; keep one and clone it.
///
/// Requests run on the calling thread. Speaks `http://` only for now.
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
    shared: Arc<Shared>,
}

/// The settings of a [`Client`] to be.
#[derive(Clone, Debug)]
pub struct ClientBuilder {
    config: ClientConfig,
    pool: PoolConfig,
    connect_timeout: Duration,
    user_agent: String,
}

impl Client {
    /// A client with the default settings.
    pub fn new() -> Client {
        Client::builder().build()
    }

    /// To set something first.
    pub fn builder() -> ClientBuilder {
        ClientBuilder {
            config: ClientConfig::DEFAULT,
            pool: PoolConfig::DEFAULT,
            connect_timeout: Duration::from_secs(30),
            user_agent: USER_AGENT.to_owned(),
        }
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
        RequestBuilder::new(Arc::clone(&self.shared), method.as_ref(), url.into())
    }

    /// How many connections there are now, and what has happened since the client was made.
    pub fn pool_stats(&self) -> Stats {
        self.shared.stats()
    }

    /// Closes all idle connections, and those that become idle until the next request.
    pub fn close_idle(&self) {
        self.shared.close_idle();
    }
}

impl Default for Client {
    fn default() -> Client {
        Client::new()
    }
}

impl ClientBuilder {
    /// Limits, deadlines and strictness of the connections.
    #[must_use]
    pub fn config(mut self, config: ClientConfig) -> ClientBuilder {
        self.config = config;
        self
    }

    /// How many connections are kept, for how long, and how many there may be.
    #[must_use]
    pub fn pool(mut self, pool: PoolConfig) -> ClientBuilder {
        self.pool = pool;
        self
    }

    /// How long connecting may take, all addresses of the host together. Default: 30 s. Looking the name up has
    /// the system's own limits.
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> ClientBuilder {
        self.connect_timeout = timeout;
        self
    }

    /// What `User-Agent` says, unless a request sets its own. Default: `antiphon/` and the version; an empty one
    /// is not sent.
    #[must_use]
    pub fn user_agent(mut self, name: impl Into<String>) -> ClientBuilder {
        self.user_agent = name.into();
        self
    }

    /// The client.
    pub fn build(self) -> Client {
        let shared = Shared::new(self.config, self.pool, self.connect_timeout, self.user_agent);
        Client {
            shared: Arc::new(shared),
        }
    }
}

//! Client policy machines: what a client decides beside speaking the protocol.
//!
//! Nothing here touches a socket or a clock: inputs carry the time, decisions are returned with their reasons.
//!
//! | module | what lives there |
//! |---|---|
//! | [`connect`] | the steps of making a connection: which addresses when, which proxy step, TLS |
//! | [`jar`] | which cookies are kept, and which go with a request |
//! | [`pool`] | which connection serves which request, whether to dial, who waits, what is closed when |
//! | [`Prepared`] | what a request needs to be sent, and whether it may be, before anything is dialled |
//! | [`proxy`] | whether a request goes through a proxy, and through which |
//! | [`socks`] | the client's side of a SOCKS5 handshake, as a byte machine |
//! | [`tunnel`] | CONNECT through an HTTP proxy |
//! | [`url`] | `http` and `https` URLs, taken apart for a request |
//! | [`call`] | one logical request: redirects, credentials, retries, deadlines, content codings |
//! | [`Basic`] | user and password as a field value, and back |
//! | [`single`] | one connection outside the pool: whose turn it is |
//! | [`Origin`], [`settle`] | what a request needs that is given as a head, not as a URL |
//! | [`Route`] | how a URL is reached: the proxy between, whose connections, which form |
//! | [`retry`] | whether a failed attempt may be made again |

mod basic;
pub mod call;
pub mod connect;
pub mod jar;
mod origin;
pub mod pool;
mod prepare;
pub mod proxy;
mod reference;
pub mod retry;
mod route;
pub mod single;
pub mod socks;
pub mod tunnel;
pub mod url;

pub use self::basic::Basic;
pub use self::call::{Call, CallConfig, CallError, CallRequest};
pub use self::connect::{Connect, ConnectConfig, ConnectError};
pub use self::jar::{Jar, JarConfig, PublicSuffix};
pub use self::origin::{Origin, settle};
pub use self::pool::{Key, Pool, PoolConfig, Scheme};
pub use self::prepare::{Prepared, Unsendable};
pub use self::proxy::{Proxy, ProxyRules};
pub use self::route::Route;
pub use self::url::{InvalidUrl, Url};

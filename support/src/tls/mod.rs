//! TLS as a byte machine: bytes of the network in, bytes for the network out, plaintext on the other side. The
//! protocol is rustls', with the provider `ring` passed explicitly: nothing is installed for the process.
//!
//! Settings are in `config.rs`, the session that both sides share in `session.rs`, the server's way to one in
//! `server.rs`. Sockets and deadlines belong to the adapters; *when* there is TLS, and with whom, to
//! [`client::Connect`](antiphon_core::client::Connect) in the core.
//!
//! ```
//! use antiphon_support::tls::{Roots, TlsConfig, TlsError, TlsSession};
//!
//! # let root = rcgen::generate_simple_self_signed(vec!["example.com".into()]).unwrap().cert.pem();
//! let config = TlsConfig::builder().roots(Roots::None).add_root_pem(root.as_bytes())?.build()?;
//! let mut tls = TlsSession::new(&config, "example.com", false)?;
//!
//! // 1. What it has to say goes to the socket.
//! let hello = tls.outgoing().len();
//! assert!(hello > 0);
//! tls.sent(hello)?;
//! // 2. What the socket has goes in: read(2) into `recv_space`, then tell how much that was.
//! tls.recv_space()[..8].copy_from_slice(b"HTTP/1.1");
//! // 3. Whatever it makes of that stands in its answer; look at `outgoing`, `read` and `is_handshaking` again.
//! assert_eq!(tls.received(8), Err(TlsError::HttpInsteadOfTls));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod config;
mod error;
mod server;
mod session;
mod verify;

pub use self::config::{PemError, Roots, TlsConfig, TlsConfigBuilder, TlsConfigError};
pub use self::error::TlsError;
pub use self::server::TlsAcceptor;
pub use self::session::{Read, TlsSession};
/// The library, whose types stand in this module's interface.
pub use rustls;
pub use rustls::pki_types::CertificateDer;

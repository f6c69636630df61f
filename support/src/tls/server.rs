//! [`TlsAcceptor`]: the server's side. Only as much as tests need, and the seam for the server to come.

use super::config::{HTTP1, certificates, private_key, ring};
use super::{TlsConfigError, TlsError, TlsSession};
use rustls::{ServerConfig, ServerConnection};
use std::fmt;
use std::sync::Arc;

/// The settings of a server's TLS sessions. A clone shares them.
#[derive(Clone)]
pub struct TlsAcceptor {
    inner: Arc<ServerConfig>,
}

impl TlsAcceptor {
    /// A server with this certificate (and those between it and a root) and private key, each as PEM text. It speaks
    /// `http/1.1` and asks for no client certificate.
    ///
    /// # Errors
    /// [`TlsConfigError`] tells what cannot be used.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<TlsAcceptor, TlsConfigError> {
        let (chain, key) = (certificates(chain)?, private_key(key)?);
        let mut config = ServerConfig::builder_with_provider(ring())
            .with_safe_default_protocol_versions()
            .map_err(TlsConfigError::Provider)?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(TlsConfigError::Key)?;
        config.alpn_protocols = vec![HTTP1.to_vec()];
        Ok(TlsAcceptor::from_rustls(Arc::new(config)))
    }

    /// Settings made with rustls itself.
    pub fn from_rustls(config: Arc<ServerConfig>) -> TlsAcceptor {
        TlsAcceptor { inner: config }
    }

    /// A session with a client that has connected.
    ///
    /// # Errors
    /// [`TlsError::Protocol`] if the settings contradict themselves, which those of
    /// [`from_pem`](TlsAcceptor::from_pem) do not.
    pub fn accept(&self) -> Result<TlsSession, TlsError> {
        let connection = ServerConnection::new(self.inner.clone()).map_err(TlsError::of)?;
        Ok(TlsSession::over(connection.into()))
    }
}

/// Nothing of the keys.
impl fmt::Debug for TlsAcceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsAcceptor").finish_non_exhaustive()
    }
}

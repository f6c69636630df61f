//! [`TlsConfig`]: what a client trusts, and who it is.

use super::verify::AnyCertificate;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem};
use rustls::{ClientConfig, RootCertStore};
use std::error::Error;
use std::fmt;
use std::sync::Arc;

/// What every server of ours and most others speak over TLS.
pub(super) const HTTP1: &[u8] = b"http/1.1";

/// The settings of a client's TLS sessions. A clone shares them, and the tickets with which sessions are resumed (of
/// the last 256 servers).
#[derive(Clone)]
pub struct TlsConfig {
    pub(super) inner: Arc<ClientConfig>,
}

impl TlsConfig {
    /// The roots of the operating system, `http/1.1`, no client certificate.
    ///
    /// Reads the roots, which can take some milliseconds: do it once.
    ///
    /// # Errors
    /// [`TlsConfigError::Platform`] if the operating system has no roots. They are not replaced by others.
    pub fn new() -> Result<TlsConfig, TlsConfigError> {
        TlsConfig::builder().build()
    }

    /// Something else.
    pub fn builder() -> TlsConfigBuilder {
        TlsConfigBuilder {
            roots: Roots::Platform,
            extra: Vec::new(),
            client: None,
            any_certificate: false,
            alpn: vec![HTTP1.to_vec()],
            provider: None,
        }
    }

    /// Settings made with rustls itself, for all that the builder lacks. ALPN is taken from them.
    pub fn from_rustls(config: Arc<ClientConfig>) -> TlsConfig {
        TlsConfig { inner: config }
    }
}

/// Tells the protocols only: keys and roots are not for logs.
impl fmt::Debug for TlsConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let alpn: Vec<_> = self
            .inner
            .alpn_protocols
            .iter()
            .map(|p| String::from_utf8_lossy(p))
            .collect();
        f.debug_struct("TlsConfig")
            .field("alpn", &alpn)
            .finish_non_exhaustive()
    }
}

/// Whose word on certificates is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Roots {
    /// The operating system's, by its own verifier where it has one (the default).
    Platform,
    /// Mozilla's, as they were when the crate `webpki-roots` was released.
    #[cfg(feature = "bundled-roots")]
    Bundled,
    /// Nobody's but those that are added.
    None,
}

/// Builds a [`TlsConfig`].
pub struct TlsConfigBuilder {
    roots: Roots,
    extra: Vec<CertificateDer<'static>>,
    client: Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>,
    any_certificate: bool,
    alpn: Vec<Vec<u8>>,
    provider: Option<Arc<CryptoProvider>>,
}

impl TlsConfigBuilder {
    /// Whose word is taken, beside the roots that are added. [`Roots::Platform`] unless set.
    #[must_use]
    pub fn roots(mut self, roots: Roots) -> TlsConfigBuilder {
        self.roots = roots;
        self
    }

    /// Trusts all certificates in this PEM text too.
    ///
    /// # Errors
    /// [`TlsConfigError::Pem`] if it cannot be read, [`TlsConfigError::NoCertificate`] if there is none in it.
    pub fn add_root_pem(mut self, pem: &[u8]) -> Result<TlsConfigBuilder, TlsConfigError> {
        self.extra.extend(certificates(pem)?);
        Ok(self)
    }

    /// Trusts this certificate, in DER, too. It is looked at in [`build`](TlsConfigBuilder::build).
    #[must_use]
    pub fn add_root_der(mut self, der: &[u8]) -> TlsConfigBuilder {
        self.extra.push(CertificateDer::from(der.to_vec()));
        self
    }

    /// Who the client is, for servers that ask: its certificate and those between it and a root, and its private
    /// key, unencrypted (PKCS#8, PKCS#1 or SEC1), each as PEM text. Both may be the same text.
    ///
    /// # Errors
    /// [`TlsConfigError::Pem`], [`TlsConfigError::NoCertificate`], [`TlsConfigError::NoKey`]. That the key belongs to
    /// the certificate is looked at in [`build`](TlsConfigBuilder::build).
    pub fn client_auth_pem(mut self, chain: &[u8], key: &[u8]) -> Result<TlsConfigBuilder, TlsConfigError> {
        self.client = Some((certificates(chain)?, private_key(key)?));
        Ok(self)
    }

    /// Whether any certificate is accepted, from anybody, for any name, at any time.
    ///
    /// Then *anyone on the way can read and change everything*: the session is encrypted, but nobody knows with whom.
    /// Use [`add_root_pem`](TlsConfigBuilder::add_root_pem) to trust a server of your own. The signature of the handshake
    /// is still checked.
    #[must_use]
    pub fn danger_accept_invalid_certs(mut self, accept: bool) -> TlsConfigBuilder {
        self.any_certificate = accept;
        self
    }

    /// The protocols that are offered (RFC 7301), the preferred one first; none for no offer. `http/1.1` unless set.
    ///
    /// Whoever offers more must be able to speak it: [`TlsSession::alpn`](super::TlsSession::alpn) tells the answer.
    #[must_use]
    pub fn alpn<P: Into<Vec<u8>>>(mut self, protocols: impl IntoIterator<Item = P>) -> TlsConfigBuilder {
        self.alpn = protocols.into_iter().map(Into::into).collect();
        self
    }

    /// Other cryptography than ring's.
    #[must_use]
    pub fn provider(mut self, provider: Arc<CryptoProvider>) -> TlsConfigBuilder {
        self.provider = Some(provider);
        self
    }

    /// The settings.
    ///
    /// # Errors
    /// [`TlsConfigError`] tells what cannot be used.
    pub fn build(self) -> Result<TlsConfig, TlsConfigError> {
        // "ProtocolName<1..2^8-1>" (RFC 7301, section 3.1)
        if self.alpn.iter().any(|p| p.is_empty() || p.len() > 255) {
            return Err(TlsConfigError::Alpn);
        }
        let provider = self.provider.unwrap_or_else(ring);
        let verifier: Arc<dyn ServerCertVerifier> = match self.any_certificate {
            true => Arc::new(AnyCertificate(provider.clone())),
            false => verifier(self.roots, self.extra, provider.clone())?,
        };
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(TlsConfigError::Provider)?
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        let mut config = match self.client {
            None => builder.with_no_client_auth(),
            Some((chain, key)) => builder
                .with_client_auth_cert(chain, key)
                .map_err(TlsConfigError::Key)?,
        };
        config.alpn_protocols = self.alpn;
        Ok(TlsConfig::from_rustls(Arc::new(config)))
    }
}

/// Tells what was set, and nothing of the keys.
impl fmt::Debug for TlsConfigBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsConfigBuilder")
            .field("roots", &self.roots)
            .field("added_roots", &self.extra.len())
            .field("client_auth", &self.client.is_some())
            .field("danger_accept_invalid_certs", &self.any_certificate)
            .finish_non_exhaustive()
    }
}

/// The provider that is passed explicitly.
pub(super) fn ring() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn verifier(
    roots: Roots,
    extra: Vec<CertificateDer<'static>>,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>, TlsConfigError> {
    let mut store = RootCertStore::empty();
    match roots {
        Roots::Platform => return platform(extra, provider),
        #[cfg(feature = "bundled-roots")]
        Roots::Bundled => store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        Roots::None => {}
    }
    for root in extra {
        store.add(root).map_err(TlsConfigError::Root)?;
    }
    if store.is_empty() {
        return Err(TlsConfigError::NoRoots);
    }
    // What is left to fail is a provider without algorithms, or revocation lists, of which there are none.
    let built = WebPkiServerVerifier::builder_with_provider(Arc::new(store), provider).build();
    Ok(built.map_err(|e| TlsConfigError::Provider(rustls::Error::General(e.to_string())))?)
}

#[cfg(not(target_os = "android"))]
fn platform(
    extra: Vec<CertificateDer<'static>>,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>, TlsConfigError> {
    // Looked at first, so that a bad one is not taken for a fault of the system's.
    let mut store = RootCertStore::empty();
    for root in &extra {
        store.add(root.clone()).map_err(TlsConfigError::Root)?;
    }
    let verifier = rustls_platform_verifier::Verifier::new_with_extra_roots(extra, provider);
    Ok(Arc::new(verifier.map_err(TlsConfigError::Platform)?))
}

/// Android's verifier takes no roots beside its own.
#[cfg(target_os = "android")]
fn platform(
    extra: Vec<CertificateDer<'static>>,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>, TlsConfigError> {
    if !extra.is_empty() {
        let why = "the verifier of Android takes no other roots".into();
        return Err(TlsConfigError::Platform(rustls::Error::General(why)));
    }
    let verifier = rustls_platform_verifier::Verifier::new(provider);
    Ok(Arc::new(verifier.map_err(TlsConfigError::Platform)?))
}

/// All certificates in a PEM text; at least one.
pub(super) fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsConfigError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match found {
        Ok(found) if found.is_empty() => Err(TlsConfigError::NoCertificate),
        Ok(found) => Ok(found),
        Err(e) => Err(TlsConfigError::Pem(PemError::of(e))),
    }
}

/// The first private key in a PEM text.
pub(super) fn private_key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, TlsConfigError> {
    PrivateKeyDer::from_pem_slice(pem).map_err(|e| match e {
        pem::Error::NoItemsFound => TlsConfigError::NoKey,
        e => TlsConfigError::Pem(PemError::of(e)),
    })
}

/// What is wrong with a PEM text. The text is not repeated: it may be a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PemError {
    /// A section does not end.
    MissingEnd,
    /// A section does not begin as one does.
    BadBegin,
    /// What is in a section is not base64.
    BadBase64,
    /// Something else.
    Other,
}

impl PemError {
    fn of(error: pem::Error) -> PemError {
        match error {
            pem::Error::MissingSectionEnd { .. } => PemError::MissingEnd,
            pem::Error::IllegalSectionStart { .. } => PemError::BadBegin,
            pem::Error::Base64Decode(_) => PemError::BadBase64,
            _ => PemError::Other,
        }
    }
}

/// Settings that cannot be used.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum TlsConfigError {
    /// The operating system's roots or its verifier cannot be had; the source tells why.
    Platform(rustls::Error),
    /// There are no roots at all.
    NoRoots,
    /// A root that was added is no certificate that can be trusted.
    Root(rustls::Error),
    /// A PEM text is malformed.
    Pem(PemError),
    /// There is no certificate in the PEM text.
    NoCertificate,
    /// There is no unencrypted private key in the PEM text.
    NoKey,
    /// The private key cannot be used, or does not belong to the certificate.
    Key(rustls::Error),
    /// A protocol's name is empty or longer than 255 bytes.
    Alpn,
    /// The cryptography lacks something.
    Provider(rustls::Error),
}

impl fmt::Display for TlsConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TlsConfigError::Platform(_) => "the operating system's root certificates cannot be used",
            TlsConfigError::NoRoots => "no root certificate is trusted: add one",
            TlsConfigError::Root(_) => "a root certificate that was added cannot be used",
            TlsConfigError::Pem(PemError::MissingEnd) => "malformed PEM: an END line is missing",
            TlsConfigError::Pem(PemError::BadBegin) => "malformed PEM: a BEGIN line is not one",
            TlsConfigError::Pem(PemError::BadBase64) => "malformed PEM: not base64",
            TlsConfigError::Pem(PemError::Other) => "malformed PEM",
            TlsConfigError::NoCertificate => "there is no certificate in the PEM text",
            TlsConfigError::NoKey => "there is no unencrypted private key in the PEM text",
            TlsConfigError::Key(_) => "the private key cannot be used with the certificate",
            TlsConfigError::Alpn => "the name of a protocol must have 1 to 255 bytes",
            TlsConfigError::Provider(_) => "the cryptography provider lacks something",
        })
    }
}

impl Error for TlsConfigError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            TlsConfigError::Platform(e)
            | TlsConfigError::Root(e)
            | TlsConfigError::Key(e)
            | TlsConfigError::Provider(e) => Some(e),
            _ => None,
        }
    }
}

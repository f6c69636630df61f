//! [`Authority`]: certificates, made when the tests run.
#![allow(dead_code)]

use antiphon_support::tls::rustls::pki_types::PrivatePkcs8KeyDer;
use antiphon_support::tls::rustls::{self, ServerConfig};
use antiphon_support::tls::{Roots, TlsConfig};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use std::sync::Arc;

/// Whose word is taken in these tests, made when they run.
pub(crate) struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Authority {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).expect("a certificate").pem();
        Authority {
            pem,
            issuer: Issuer::new(params, key),
        }
    }

    /// A server with a certificate for this name, valid or not.
    pub(crate) fn server(&self, name: &str, expired: bool) -> Arc<ServerConfig> {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(vec![name.into()]).expect("parameters");
        if expired {
            params.not_before = rcgen::date_time_ymd(2001, 1, 1);
            params.not_after = rcgen::date_time_ymd(2002, 1, 1);
        }
        let cert = params.signed_by(&key, &self.issuer).expect("a certificate");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(
                vec![cert.der().clone()],
                PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
            );
        Arc::new(config.expect("a key that fits"))
    }

    /// Settings that take its word, and nobody else's.
    pub(crate) fn trusted(&self) -> TlsConfig {
        let builder = TlsConfig::builder().roots(Roots::None);
        let builder = builder.add_root_pem(self.pem.as_bytes()).expect("a root");
        builder.build().expect("settings")
    }
}

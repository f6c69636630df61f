//! TLS peers for the tests: certificates made when they are needed, and rustls' own blocking stream, which shares no
//! code with the one under test.

use antiphon_blocking::{Roots, TlsConfig};
use antiphon_support::tls::CertificateDer;
use antiphon_support::tls::rustls::{ServerConfig, ServerConnection, StreamOwned, crypto};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use std::net::TcpStream;
use std::sync::{Arc, LazyLock};

pub type Secure = StreamOwned<ServerConnection, TcpStream>;

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority(name: &str) -> Authority {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

static ROOT: LazyLock<Authority> = LazyLock::new(|| authority("root"));
static STRANGER: LazyLock<Authority> = LazyLock::new(|| authority("stranger"));

fn server_config(root: &Authority, names: &[&str]) -> Arc<ServerConfig> {
    let names: Vec<String> = names.iter().map(|n| String::from(*n)).collect();
    let params = CertificateParams::new(names).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateDer::from(params.signed_by(&key, root).unwrap().der().to_vec());
    let mut config = ServerConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key.into())
        .unwrap();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Arc::new(config)
}

/// A server that the clients of [`trusting`] trust.
pub static KNOWN: LazyLock<Arc<ServerConfig>> = LazyLock::new(|| {
    server_config(
        &ROOT,
        &["localhost", "127.0.0.1", "target.example", "proxy.example"],
    )
});

/// One that they do not.
pub static UNKNOWN: LazyLock<Arc<ServerConfig>> =
    LazyLock::new(|| server_config(&STRANGER, &["localhost", "127.0.0.1"]));

pub fn trusting() -> TlsConfig {
    let roots = TlsConfig::builder().roots(Roots::None);
    roots.add_root_der(ROOT.der()).build().unwrap()
}

/// The server's side of a connection; the handshake is done by the first read or write.
pub fn secure(config: &Arc<ServerConfig>, socket: TcpStream) -> Secure {
    StreamOwned::new(ServerConnection::new(Arc::clone(config)).unwrap(), socket)
}

/// Tells the peer that nothing was cut off, and closes.
pub fn close(mut stream: Secure) {
    use std::io::Write;
    stream.conn.send_close_notify();
    let _ = stream.flush();
}

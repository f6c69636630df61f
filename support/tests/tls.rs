//! TLS sessions: two of them talk in memory, over a link that cuts the bytes as it is told. Certificates are made when a
//! test runs.
#![cfg(feature = "tls")]

use antiphon_support::tls::rustls::{self, AlertDescription, CertificateError, ProtocolVersion};
use antiphon_support::tls::{
    PemError, Read, Roots, TlsAcceptor, TlsConfig, TlsConfigError, TlsError, TlsSession,
};
use quickcheck::quickcheck;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
};
use std::io::IoSlice;
use std::sync::{Arc, LazyLock};

// ----- certificates

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority(name: &str) -> Authority {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

static ROOT: LazyLock<Authority> = LazyLock::new(|| authority("root"));

/// Certificate and key, as PEM.
fn issue(root: &Authority, names: &[&str], edit: impl FnOnce(&mut CertificateParams)) -> (String, String) {
    let names: Vec<_> = names.iter().map(|n| String::from(*n)).collect();
    let mut params = CertificateParams::new(names).unwrap();
    edit(&mut params);
    let key = KeyPair::generate().unwrap();
    (params.signed_by(&key, root).unwrap().pem(), key.serialize_pem())
}

fn acceptor_for(names: &[&str]) -> TlsAcceptor {
    let (chain, key) = issue(&ROOT, names, |_| {});
    TlsAcceptor::from_pem(chain.as_bytes(), key.as_bytes()).unwrap()
}

static SERVER: LazyLock<TlsAcceptor> = LazyLock::new(|| acceptor_for(&["example.com", "127.0.0.1", "::1"]));

static TRUSTING: LazyLock<TlsConfig> = LazyLock::new(|| {
    let builder = TlsConfig::builder().roots(Roots::None);
    builder
        .add_root_pem(ROOT.pem().as_bytes())
        .unwrap()
        .build()
        .unwrap()
});

// ----- the link

/// Carries what `from` has to send to `to`, in pieces of at most as many bytes as `cut` says, until there is nothing
/// more or `to` wants nothing more. Tells whether anything moved.
fn carry(
    from: &mut TlsSession,
    to: &mut TlsSession,
    cut: &mut impl FnMut() -> usize,
) -> Result<bool, TlsError> {
    let mut moved = false;
    loop {
        let n = from.outgoing().len();
        let space = to.recv_space().len();
        let n = n.min(space).min(cut().max(1));
        if n == 0 {
            return Ok(moved);
        }
        let piece = from.outgoing()[..n].to_vec();
        to.recv_space()[..n].copy_from_slice(&piece);
        from.sent(n).unwrap();
        moved = true;
        to.received(n)?;
    }
}

fn handshake_cut(
    client: &mut TlsSession,
    server: &mut TlsSession,
    cut: &mut impl FnMut() -> usize,
) -> Result<(), TlsError> {
    for _ in 0..10 {
        let there = carry(client, server, cut)?;
        let back = carry(server, client, cut)?;
        if !there && !back {
            assert!(
                !client.is_handshaking() && !server.is_handshaking(),
                "the handshake stands still"
            );
            return Ok(());
        }
    }
    panic!("a handshake without an end");
}

fn handshake(client: &mut TlsSession, server: &mut TlsSession) -> Result<(), TlsError> {
    handshake_cut(client, server, &mut || usize::MAX)
}

fn pair() -> (TlsSession, TlsSession) {
    let mut client = TlsSession::new(&TRUSTING, "example.com", false).unwrap();
    let mut server = SERVER.accept().unwrap();
    handshake(&mut client, &mut server).unwrap();
    (client, server)
}

/// Reads until there is nothing, and tells why that is.
fn read_all(session: &mut TlsSession) -> (Vec<u8>, Result<Read, TlsError>) {
    let (mut all, mut room) = (Vec::new(), [0; 1000]);
    loop {
        match session.read(&mut room) {
            Ok(Read::Bytes(n)) => all.extend_from_slice(&room[..n]),
            other => return (all, other),
        }
    }
}

fn bytes(n: usize) -> Vec<u8> {
    (0..n).map(|i| (i * i / 7) as u8).collect()
}

// ----- a session

#[test]
fn a_conversation() {
    let mut client = TlsSession::new(&TRUSTING, "example.com", false).unwrap();
    let mut server = SERVER.accept().unwrap();
    assert!(client.is_handshaking() && server.is_handshaking());
    assert_eq!((client.alpn(), client.protocol_version()), (None, None));
    assert!(client.peer_certificates().is_none());

    handshake(&mut client, &mut server).unwrap();
    assert_eq!(client.alpn(), Some(&b"http/1.1"[..]));
    assert_eq!(server.alpn(), Some(&b"http/1.1"[..]));
    assert_eq!(client.protocol_version(), Some(ProtocolVersion::TLSv1_3));
    assert_eq!(client.peer_certificates().map(<[_]>::len), Some(1));
    assert_eq!(server.peer_certificates(), None);
    assert_eq!(
        (client.server_name(), server.server_name()),
        (None, Some("example.com"))
    );

    assert_eq!(client.write(b"GET / "), 6);
    assert_eq!(
        client.write_vectored(&[IoSlice::new(b"HTTP/"), IoSlice::new(b"1.1")]),
        8
    );
    carry(&mut client, &mut server, &mut || usize::MAX).unwrap();
    assert!(!server.wants_read(), "there is plaintext to read first");
    assert_eq!(
        read_all(&mut server),
        (b"GET / HTTP/1.1".to_vec(), Ok(Read::NeedMore))
    );
    assert!(server.wants_read());

    // The server has said all, and still listens.
    assert_eq!(server.write(b"bye"), 3);
    server.close_notify();
    assert_eq!(server.write(b"more"), 0);
    carry(&mut server, &mut client, &mut || usize::MAX).unwrap();
    assert_eq!(read_all(&mut client), (b"bye".to_vec(), Ok(Read::End)));
    assert!(!client.wants_read());
    assert!(client.recv_space().is_empty());
    assert_eq!(client.write(b"thanks"), 6);
    carry(&mut client, &mut server, &mut || usize::MAX).unwrap();
    assert_eq!(read_all(&mut server), (b"thanks".to_vec(), Ok(Read::NeedMore)));
}

#[test]
fn what_is_written_early_waits_for_the_handshake() {
    let mut client = TlsSession::new(&TRUSTING, "example.com", false).unwrap();
    let mut server = SERVER.accept().unwrap();
    assert_eq!(client.write(b"early"), 5);
    handshake(&mut client, &mut server).unwrap();
    assert_eq!(read_all(&mut server).0, b"early");
}

#[test]
fn names_that_are_verified() {
    for (name, good) in [
        ("example.com", true),
        ("EXAMPLE.com", true),
        ("example.com.", true),
        ("127.0.0.1", true),
        ("::1", true),
        ("[::1]", true),
        ("www.example.com", false),
        ("127.0.0.2", false),
    ] {
        let mut client = TlsSession::new(&TRUSTING, name, false).unwrap();
        let result = handshake(&mut client, &mut SERVER.accept().unwrap());
        match result {
            Ok(()) => assert!(good, "{name}"),
            Err(TlsError::Certificate(_)) => assert!(!good, "{name}"),
            Err(e) => panic!("{name}: {e:?}"),
        }
    }
    for name in [
        "",
        "a b",
        "exämple.com",
        "[example.com]",
        "[127.0.0.1]",
        "[::1",
        "a..b",
        "example.com:443",
        "-",
    ] {
        let error = TlsSession::new(&TRUSTING, name, false).unwrap_err();
        assert_eq!(error, TlsError::InvalidServerName, "{name:?}");
    }
}

#[test]
fn alpn() {
    let h2_too = {
        let builder = TlsConfig::builder().roots(Roots::None).alpn(["h2", "http/1.1"]);
        builder
            .add_root_pem(ROOT.pem().as_bytes())
            .unwrap()
            .build()
            .unwrap()
    };
    let none = {
        let builder = TlsConfig::builder().roots(Roots::None).alpn([""; 0]);
        builder
            .add_root_pem(ROOT.pem().as_bytes())
            .unwrap()
            .build()
            .unwrap()
    };
    let h2_server = {
        let (chain, key) = issue(&ROOT, &["example.com"], |_| {});
        let mut config = server_config()
            .with_no_client_auth()
            .with_single_cert(certs(&chain), key_of(&key))
            .unwrap();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        TlsAcceptor::from_rustls(Arc::new(config))
    };
    for (config, only_http1, server, agreed) in [
        (&h2_too, false, &h2_server, Some("h2")),
        (&h2_too, true, &h2_server, Some("http/1.1")),
        (&h2_too, false, &*SERVER, Some("http/1.1")),
        (&TRUSTING, false, &h2_server, Some("http/1.1")),
        (&none, false, &h2_server, None),
        (&none, true, &h2_server, Some("http/1.1")),
    ] {
        let mut client = TlsSession::new(config, "example.com", only_http1).unwrap();
        handshake(&mut client, &mut server.accept().unwrap()).unwrap();
        assert_eq!(
            client.alpn(),
            agreed.map(str::as_bytes),
            "{config:?} {only_http1}"
        );
    }
}

fn server_config() -> rustls::ConfigBuilder<rustls::ServerConfig, rustls::WantsVerifier> {
    let ring = Arc::new(rustls::crypto::ring::default_provider());
    rustls::ServerConfig::builder_with_provider(ring)
        .with_safe_default_protocol_versions()
        .unwrap()
}

fn certs(pem: &str) -> Vec<rustls::pki_types::CertificateDer<'static>> {
    use rustls::pki_types::pem::PemObject;
    rustls::pki_types::CertificateDer::pem_slice_iter(pem.as_bytes())
        .map(Result::unwrap)
        .collect()
}

fn key_of(pem: &str) -> rustls::pki_types::PrivateKeyDer<'static> {
    use rustls::pki_types::pem::PemObject;
    rustls::pki_types::PrivateKeyDer::from_pem_slice(pem.as_bytes()).unwrap()
}

#[test]
fn tls_1_2_is_spoken_too() {
    let (chain, key) = issue(&ROOT, &["example.com"], |_| {});
    let ring = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(ring)
        .with_protocol_versions(&[&rustls::version::TLS12])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(certs(&chain), key_of(&key))
        .unwrap();
    let mut server = TlsAcceptor::from_rustls(Arc::new(config)).accept().unwrap();
    let mut client = TlsSession::new(&TRUSTING, "example.com", false).unwrap();
    handshake(&mut client, &mut server).unwrap();
    assert_eq!(client.protocol_version(), Some(ProtocolVersion::TLSv1_2));
    assert_eq!(server.write(b"hello"), 5);
    carry(&mut server, &mut client, &mut || 3).unwrap();
    assert_eq!(read_all(&mut client).0, b"hello");
}

// ----- trust

/// The client's error, and that of the server which gets its alert.
fn both_errors(client: &mut TlsSession, server: &mut TlsSession) -> (TlsError, TlsError) {
    let error = handshake(client, server).unwrap_err();
    assert!(!client.wants_read());
    assert_eq!(client.received(0), Err(error.clone()));
    assert_eq!(client.read(&mut [0; 9]), Err(error.clone()));
    assert_eq!(client.write(b"x"), 0);
    let alert = carry(client, server, &mut || usize::MAX).unwrap_err();
    assert!(client.outgoing().is_empty());
    (error, alert)
}

#[test]
fn a_certificate_that_nobody_vouches_for() {
    let stranger = authority("stranger");
    let (chain, key) = issue(&stranger, &["example.com"], |_| {});
    let server = TlsAcceptor::from_pem(chain.as_bytes(), key.as_bytes()).unwrap();
    let mut client = TlsSession::new(&TRUSTING, "example.com", false).unwrap();
    let (error, alert) = both_errors(&mut client, &mut server.accept().unwrap());
    let unknown = rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer);
    assert_eq!(error, TlsError::Certificate(unknown.clone()));
    assert_eq!(alert, TlsError::Alert(AlertDescription::UnknownCA));
    let source = std::error::Error::source(&error).unwrap();
    assert_eq!(source.to_string(), unknown.to_string());

    // With its root, or with both, it is good.
    let builder = TlsConfig::builder()
        .roots(Roots::None)
        .add_root_der(stranger.der());
    let both = builder
        .add_root_pem(ROOT.pem().as_bytes())
        .unwrap()
        .build()
        .unwrap();
    let mut client = TlsSession::new(&both, "example.com", false).unwrap();
    handshake(&mut client, &mut server.accept().unwrap()).unwrap();
}

#[test]
fn a_certificate_out_of_its_time() {
    let (chain, key) = issue(&ROOT, &["example.com"], |p| {
        p.not_after = rcgen::date_time_ymd(2001, 1, 1)
    });
    let server = TlsAcceptor::from_pem(chain.as_bytes(), key.as_bytes()).unwrap();
    let mut client = TlsSession::new(&TRUSTING, "example.com", false).unwrap();
    let (error, alert) = both_errors(&mut client, &mut server.accept().unwrap());
    let TlsError::Certificate(rustls::Error::InvalidCertificate(why)) = error else {
        panic!("{error:?}")
    };
    assert!(matches!(why, CertificateError::ExpiredContext { .. }), "{why:?}");
    assert_eq!(alert, TlsError::Alert(AlertDescription::CertificateExpired));
}

#[test]
fn any_certificate_but_not_any_signature() {
    let any = TlsConfig::builder()
        .roots(Roots::None)
        .danger_accept_invalid_certs(true)
        .build()
        .unwrap();
    let (chain, key) = issue(&authority("stranger"), &["else.where"], |p| {
        p.not_after = rcgen::date_time_ymd(2001, 1, 1)
    });
    let server = TlsAcceptor::from_pem(chain.as_bytes(), key.as_bytes()).unwrap();
    let mut client = TlsSession::new(&any, "example.com", false).unwrap();
    handshake(&mut client, &mut server.accept().unwrap()).unwrap();

    // A server that shows somebody's certificate, but has not its key.
    #[derive(Debug)]
    struct Thief(Arc<rustls::sign::CertifiedKey>);
    impl rustls::server::ResolvesServerCert for Thief {
        fn resolve(&self, _: rustls::server::ClientHello<'_>) -> Option<Arc<rustls::sign::CertifiedKey>> {
            Some(self.0.clone())
        }
    }
    let (_, other_key) = issue(&ROOT, &["example.com"], |_| {});
    let sign = rustls::crypto::ring::sign::any_supported_type(&key_of(&other_key)).unwrap();
    let stolen = Arc::new(rustls::sign::CertifiedKey::new(certs(&chain), sign));
    for versions in [&[&rustls::version::TLS13], &[&rustls::version::TLS12]] {
        let ring = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(ring)
            .with_protocol_versions(versions)
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(Thief(stolen.clone())));
        let mut server = TlsAcceptor::from_rustls(Arc::new(config)).accept().unwrap();
        let mut client = TlsSession::new(&any, "example.com", false).unwrap();
        let (error, alert) = both_errors(&mut client, &mut server);
        let bad = rustls::Error::InvalidCertificate(CertificateError::BadSignature);
        assert_eq!(error, TlsError::Certificate(bad));
        assert_eq!(alert, TlsError::Alert(AlertDescription::DecryptError));
    }
}

#[test]
fn client_certificates() {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(ROOT.der().clone()).unwrap();
    let ring = Arc::new(rustls::crypto::ring::default_provider());
    let asks = rustls::server::WebPkiClientVerifier::builder_with_provider(Arc::new(roots), ring)
        .build()
        .unwrap();
    let (chain, key) = issue(&ROOT, &["example.com"], |_| {});
    let config = server_config().with_client_cert_verifier(asks);
    let config = config.with_single_cert(certs(&chain), key_of(&key)).unwrap();
    let server = TlsAcceptor::from_rustls(Arc::new(config));

    let (chain, key) = issue(&ROOT, &["client"], |p| {
        p.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    });
    let builder = TlsConfig::builder()
        .roots(Roots::None)
        .add_root_pem(ROOT.pem().as_bytes())
        .unwrap();
    // As curl takes it: all in one file.
    let one_file = format!("{key}\n{chain}");
    let config = builder
        .client_auth_pem(one_file.as_bytes(), one_file.as_bytes())
        .unwrap()
        .build()
        .unwrap();
    let (mut client, mut session) = (
        TlsSession::new(&config, "example.com", false).unwrap(),
        server.accept().unwrap(),
    );
    handshake(&mut client, &mut session).unwrap();
    assert_eq!(session.peer_certificates(), Some(&certs(&chain)[..]));

    // Without one: in TLS 1.3 the client believes itself done, and the alert comes where the answer would.
    let (mut client, mut session) = (
        TlsSession::new(&TRUSTING, "example.com", false).unwrap(),
        server.accept().unwrap(),
    );
    let error = handshake(&mut client, &mut session).unwrap_err();
    assert_eq!(
        error,
        TlsError::Certificate(rustls::Error::NoCertificatesPresented)
    );
    assert!(!client.is_handshaking());
    carry(&mut session, &mut client, &mut || usize::MAX).unwrap_err();
    let alert = TlsError::Alert(AlertDescription::CertificateRequired);
    assert_eq!(read_all(&mut client), (vec![], Err(alert)));
}

#[test]
fn settings_that_cannot_be_used() {
    let builder = || TlsConfig::builder().roots(Roots::None);
    assert_eq!(builder().build().unwrap_err(), TlsConfigError::NoRoots);
    assert_eq!(
        builder().add_root_pem(b"").unwrap_err(),
        TlsConfigError::NoCertificate
    );
    assert_eq!(
        builder()
            .add_root_pem(b"-----BEGIN CERTIFICATE-----\nAA==\n")
            .unwrap_err(),
        TlsConfigError::Pem(PemError::MissingEnd)
    );
    let not_base64 = b"-----BEGIN CERTIFICATE-----\n?\n-----END CERTIFICATE-----\n";
    assert_eq!(
        builder().add_root_pem(not_base64).unwrap_err(),
        TlsConfigError::Pem(PemError::BadBase64)
    );
    assert!(matches!(
        builder().add_root_der(b"junk").build(),
        Err(TlsConfigError::Root(_))
    ));
    let platform = TlsConfig::builder().add_root_der(b"junk").build();
    assert!(matches!(platform, Err(TlsConfigError::Root(_))), "{platform:?}");

    let trusting = || builder().add_root_pem(ROOT.pem().as_bytes()).unwrap();
    assert_eq!(trusting().alpn([""]).build().unwrap_err(), TlsConfigError::Alpn);
    assert_eq!(
        trusting().alpn([[b'x'; 256]]).build().unwrap_err(),
        TlsConfigError::Alpn
    );
    trusting().alpn([[b'x'; 255]]).build().unwrap();

    let ((chain, key), (_, other)) = (issue(&ROOT, &["a"], |_| {}), issue(&ROOT, &["b"], |_| {}));
    let no_key = trusting().client_auth_pem(chain.as_bytes(), chain.as_bytes());
    assert_eq!(no_key.unwrap_err(), TlsConfigError::NoKey);
    let no_chain = trusting().client_auth_pem(key.as_bytes(), key.as_bytes());
    assert_eq!(no_chain.unwrap_err(), TlsConfigError::NoCertificate);
    let others_key = trusting()
        .client_auth_pem(chain.as_bytes(), other.as_bytes())
        .unwrap()
        .build();
    assert!(
        matches!(others_key, Err(TlsConfigError::Key(_))),
        "{others_key:?}"
    );
    assert!(matches!(
        TlsAcceptor::from_pem(chain.as_bytes(), other.as_bytes()),
        Err(TlsConfigError::Key(_))
    ));
}

/// Where the system has roots they are used; where it has none, that is said, and nothing else is trusted instead.
#[test]
fn the_systems_roots() {
    match TlsConfig::new() {
        Ok(config) => {
            let mut client = TlsSession::new(&config, "example.com", false).unwrap();
            let (error, _) = both_errors(&mut client, &mut SERVER.accept().unwrap());
            let unknown = rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer);
            assert_eq!(error, TlsError::Certificate(unknown));
        }
        Err(e) => assert!(matches!(e, TlsConfigError::Platform(_)), "{e:?}"),
    }
    // Together with one of our own.
    let config = TlsConfig::builder()
        .add_root_pem(ROOT.pem().as_bytes())
        .unwrap()
        .build()
        .unwrap();
    let mut client = TlsSession::new(&config, "example.com", false).unwrap();
    handshake(&mut client, &mut SERVER.accept().unwrap()).unwrap();
}

#[cfg(feature = "bundled-roots")]
#[test]
fn mozillas_roots() {
    let config = TlsConfig::builder().roots(Roots::Bundled).build().unwrap();
    let mut client = TlsSession::new(&config, "example.com", false).unwrap();
    let (error, _) = both_errors(&mut client, &mut SERVER.accept().unwrap());
    let unknown = rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer);
    assert_eq!(error, TlsError::Certificate(unknown));
}

// ----- what peers do wrong

fn give(session: &mut TlsSession, bytes: &[u8]) -> Result<(), TlsError> {
    session.recv_space()[..bytes.len()].copy_from_slice(bytes);
    session.received(bytes.len())
}

#[test]
fn a11_http_instead_of_tls() {
    for cut in 1..20 {
        let mut client = TlsSession::new(&TRUSTING, "example.com", false).unwrap();
        let result = b"HTTP/1.1 400 Bad Request\r\n\r\n"
            .chunks(cut)
            .try_for_each(|c| give(&mut client, c));
        assert_eq!(result, Err(TlsError::HttpInsteadOfTls), "{cut}");
        assert_eq!(client.received_eof(), Err(TlsError::HttpInsteadOfTls));
        assert_eq!(client.read(&mut [0; 9]), Err(TlsError::HttpInsteadOfTls));
        // In Go's words.
        let said = TlsError::HttpInsteadOfTls.to_string();
        assert_eq!(said, "server gave HTTP response to HTTPS client");

        let mut server = SERVER.accept().unwrap();
        let result = b"GET / HTTP/1.1\r\n\r\n"
            .chunks(cut)
            .try_for_each(|c| give(&mut server, c));
        assert_eq!(result, Err(TlsError::HttpRequestInsteadOfTls), "{cut}");
    }
    for other in [&b"SSH-2.0-x\r\n"[..], b"HTTQ/1.1 ", b"\x16\x03\x01\xff\xff\x01"] {
        let mut client = TlsSession::new(&TRUSTING, "example.com", false).unwrap();
        let error = give(&mut client, other).unwrap_err();
        assert!(matches!(error, TlsError::Protocol(_)), "{error:?}");
    }
}

#[test]
fn an_end_without_close_notify() {
    // Within the handshake.
    let mut client = TlsSession::new(&TRUSTING, "example.com", false).unwrap();
    assert_eq!(client.received_eof(), Err(TlsError::Truncated));
    assert_eq!(client.read(&mut [0; 9]), Err(TlsError::Truncated));
    assert!(!client.wants_read());

    // After it: what came can be read, and then it is told apart from a proper end.
    let (mut client, mut server) = pair();
    server.write(b"some");
    carry(&mut server, &mut client, &mut || usize::MAX).unwrap();
    client.received_eof().unwrap();
    assert_eq!(
        read_all(&mut client),
        (b"some".to_vec(), Err(TlsError::Truncated))
    );
    assert_eq!(read_all(&mut client), (vec![], Err(TlsError::Truncated)));

    // Within a record.
    let (mut client, mut server) = pair();
    server.write(b"some");
    let n = server.outgoing().len();
    let record = server.outgoing()[..n - 1].to_vec();
    give(&mut client, &record).unwrap();
    client.received_eof().unwrap();
    assert_eq!(read_all(&mut client), (vec![], Err(TlsError::Truncated)));

    // After close_notify an end is only an end.
    let (mut client, mut server) = pair();
    server.close_notify();
    carry(&mut server, &mut client, &mut || usize::MAX).unwrap();
    client.received_eof().unwrap();
    assert_eq!(read_all(&mut client), (vec![], Ok(Read::End)));
}

#[test]
fn a_changed_record_ends_it_and_what_came_before_is_read() {
    let (mut client, mut server) = pair();
    server.write(b"good");
    let good = server.outgoing().to_vec();
    server.sent(good.len()).unwrap();
    server.write(b"spoiled");
    let mut bad = server.outgoing().to_vec();
    *bad.last_mut().unwrap() ^= 1;
    let error = give(&mut client, &[good, bad].concat()).unwrap_err();
    assert_eq!(error, TlsError::Protocol(rustls::Error::DecryptError));
    assert_eq!(read_all(&mut client), (b"good".to_vec(), Err(error)));
    let alert = carry(&mut client, &mut server, &mut || usize::MAX).unwrap_err();
    assert_eq!(alert, TlsError::Alert(AlertDescription::BadRecordMac));
}

#[test]
fn bytes_behind_close_notify_do_not_count() {
    let (mut client, mut server) = pair();
    server.close_notify();
    let end = server.outgoing().to_vec();
    give(&mut client, &[&end[..], b"junk"].concat()).unwrap();
    assert_eq!(read_all(&mut client), (vec![], Ok(Read::End)));
}

/// The end comes while there is no room for what came before it.
#[test]
fn an_end_that_is_early() {
    let (mut client, mut server) = pair();
    let all = bytes(1 << 20);
    let (mut written, mut moved) = (0, true);
    while moved {
        written += server.write(&all[written..]);
        moved = carry(&mut server, &mut client, &mut || usize::MAX).unwrap();
    }
    client.received_eof().unwrap();
    let (got, why) = read_all(&mut client);
    assert_eq!(why, Err(TlsError::Truncated));
    assert!(got.len() > 32 * 1024 && all.starts_with(&got), "{}", got.len());
}

// ----- bounds

#[test]
fn a_writer_is_held_back() {
    let (mut client, mut server) = pair();
    let all = bytes(1 << 20);
    let mut written = 0;
    while let n @ 1.. = client.write(&all[written..]) {
        written += n;
    }
    assert_eq!(written, 64 * 1024);
    assert!(client.outgoing().len() < 66 * 1024);
    // What is shown makes room once more, and then nothing does until some is sent.
    while let n @ 1.. = client.write(&all[written..]) {
        written += n;
        client.outgoing();
    }
    assert!(written <= 128 * 1024, "{written}");
    let mut got = Vec::new();
    while got.len() < all.len() {
        written += client.write(&all[written..]);
        carry(&mut client, &mut server, &mut || usize::MAX).unwrap();
        got.extend(read_all(&mut server).0);
    }
    assert!(got == all);
}

#[test]
fn a_reader_that_does_not_read_holds_the_writer_back() {
    let (mut client, mut server) = pair();
    let all = bytes(1 << 20);
    let (mut written, mut moved) = (0, true);
    while moved {
        written += server.write(&all[written..]);
        moved = carry(&mut server, &mut client, &mut || usize::MAX).unwrap();
    }
    // The server's own two buffers, what the client has decrypted, a record, and what it received.
    assert!(written <= (64 + 64 + 32 + 17 + 16) * 1024, "{written}");
    assert!(client.recv_space().is_empty() && !client.wants_read());
    let mut got = Vec::new();
    while got.len() < all.len() {
        let (some, why) = read_all(&mut client);
        assert_eq!(why, Ok(Read::NeedMore));
        got.extend(some);
        written += server.write(&all[written..]);
        carry(&mut server, &mut client, &mut || usize::MAX).unwrap();
    }
    assert!(got == all);
}

#[test]
fn more_than_there_was() {
    let mut client = TlsSession::new(&TRUSTING, "example.com", false).unwrap();
    assert_eq!(client.received(1), Err(TlsError::TooMuch));
    let space = client.recv_space().len();
    assert_eq!(client.received(space + 1), Err(TlsError::TooMuch));
    assert_eq!(client.sent(1), Err(TlsError::TooMuch));
    let n = client.outgoing().len();
    assert_eq!(client.sent(n + 1), Err(TlsError::TooMuch));
    // Nothing has changed.
    handshake(&mut client, &mut SERVER.accept().unwrap()).unwrap();
    assert_eq!(client.read(&mut []), Ok(Read::Bytes(0)));
}

#[test]
fn buffers_come_back() {
    let (mut client, mut server) = pair();
    for _ in 0..3 {
        client.release_buffers();
        server.release_buffers();
        server.write(b"hello");
        // Half of it has come: nothing may be let go.
        let n = server.outgoing().len();
        let (a, b) = (
            server.outgoing()[..n / 2].to_vec(),
            server.outgoing()[n / 2..].to_vec(),
        );
        give(&mut client, &a).unwrap();
        client.release_buffers();
        server.sent(n / 2).unwrap();
        server.release_buffers();
        assert_eq!(server.outgoing(), b);
        server.sent(b.len()).unwrap();
        give(&mut client, &b).unwrap();
        assert_eq!(read_all(&mut client).0, b"hello");
    }
}

#[test]
fn debug_shows_no_secrets() {
    let (chain, key) = issue(&ROOT, &["client"], |_| {});
    let builder = TlsConfig::builder()
        .roots(Roots::None)
        .add_root_pem(ROOT.pem().as_bytes())
        .unwrap();
    let builder = builder.client_auth_pem(chain.as_bytes(), key.as_bytes()).unwrap();
    let shown = format!("{builder:?}");
    assert_eq!(
        shown,
        "TlsConfigBuilder { roots: None, added_roots: 1, client_auth: true, danger_accept_invalid_certs: false, .. }"
    );
    assert_eq!(
        format!("{:?}", builder.build().unwrap()),
        r#"TlsConfig { alpn: ["http/1.1"], .. }"#
    );
    let (mut client, mut server) = pair();
    server.write(b"hush");
    carry(&mut server, &mut client, &mut || usize::MAX).unwrap();
    let shown = format!("{client:?} {server:?}");
    assert!(shown.contains("TLSv1_3") && !shown.contains("hush"), "{shown}");
}

#[test]
fn sessions_are_resumed() {
    for (round, kind) in [
        (0, rustls::HandshakeKind::Full),
        (1, rustls::HandshakeKind::Resumed),
    ] {
        // The settings that all share hold the tickets; `only_http1` shares them too.
        static OWN: LazyLock<TlsConfig> = LazyLock::new(|| {
            let builder = TlsConfig::builder().roots(Roots::None);
            builder
                .add_root_pem(ROOT.pem().as_bytes())
                .unwrap()
                .build()
                .unwrap()
        });
        let mut client = TlsSession::new(&OWN.clone(), "example.com", round == 1).unwrap();
        let mut server = SERVER.accept().unwrap();
        handshake(&mut client, &mut server).unwrap();
        assert_eq!(client.handshake_kind(), Some(kind));
        assert_eq!(client.peer_certificates().map(<[_]>::len), Some(1));
    }
}

// ----- properties

quickcheck! {
    /// However the link cuts the bytes, both sides read what the other wrote, and see its end.
    fn any_split_gives_the_same(cuts: Vec<u16>, there: u16, back: u16) -> bool {
        let mut turn = 0;
        let mut cut = || {
            turn += 1;
            cuts.get(turn % cuts.len().max(1)).map_or(usize::MAX, |&n| usize::from(n) % 3000)
        };
        let mut client = TlsSession::new(&TRUSTING, "example.com", false).unwrap();
        let mut server = SERVER.accept().unwrap();
        handshake_cut(&mut client, &mut server, &mut cut).unwrap();
        let (there, back) = (bytes(usize::from(there)), bytes(usize::from(back)));
        let (mut sent, mut answered, mut got, mut heard) = (0, 0, Vec::new(), Vec::new());
        loop {
            sent += client.write(&there[sent..]);
            answered += server.write(&back[answered..]);
            if sent == there.len() {
                client.close_notify();
            }
            if answered == back.len() {
                server.close_notify();
            }
            carry(&mut client, &mut server, &mut cut).unwrap();
            carry(&mut server, &mut client, &mut cut).unwrap();
            let (some, why) = read_all(&mut server);
            let (more, why_too) = read_all(&mut client);
            got.extend(some);
            heard.extend(more);
            if (why, why_too) == (Ok(Read::End), Ok(Read::End)) {
                return got == there && heard == back;
            }
        }
    }

    /// One changed byte anywhere in what a server says: no plaintext that it did not say, and an error. (The outer type
    /// and version of a TLS 1.3 record mean nothing, and nothing happens if they change.)
    fn a_changed_byte_is_noticed(at: usize, bit: u8, cut: u8) -> bool {
        let (mut client, mut server) = pair();
        server.write(b"first");
        let mut wire = server.outgoing().to_vec();
        server.sent(wire.len()).unwrap();
        server.write(b"second");
        server.close_notify();
        wire.extend_from_slice(server.outgoing());
        let at = at % wire.len();
        let mut record = 0;
        loop {
            let next = record + 5 + usize::from(u16::from_be_bytes([wire[record + 3], wire[record + 4]]));
            if next > at {
                break;
            }
            record = next;
        }
        wire[at] ^= 1 << (bit % 8);
        let mut all = Vec::new();
        let mut why = Ok(Read::NeedMore);
        for piece in wire.chunks(usize::from(cut) + 1) {
            if client.recv_space().is_empty() {
                break;
            }
            let n = piece.len();
            client.recv_space()[..n].copy_from_slice(piece);
            let _ = client.received(n);
            let (some, end) = read_all(&mut client);
            all.extend(some);
            why = end;
        }
        if why == Ok(Read::NeedMore) {
            let _ = client.received_eof();
            why = read_all(&mut client).1;
        }
        match why {
            Ok(Read::End) => at - record < 3 && all == b"firstsecond",
            Ok(_) => false,
            Err(_) => b"firstsecond".starts_with(&all),
        }
    }
}

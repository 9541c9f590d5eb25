//! A certificate authority for tests, and TLS servers with good and bad certificates.

use std::fmt::{self, Write};
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, SanType, date_time_ymd,
};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};
use tokio_rustls::server::TlsStream;

use super::wire::Peer;

/// A certificate authority that lives as long as the test. Nothing outside the test trusts it.
///
/// ```
/// use acople_testkit::faults::{FaultServer, HttpAnswer, Script, ServerTls, TestAuthority};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let authority = TestAuthority::new()?;
/// let script = Script::new().read_request().answer(HttpAnswer::json(200, "{}"));
/// let expired = ServerTls::new(authority.expired()?);
/// let server = FaultServer::builder(script).tls(expired).start().await?;
/// assert!(server.url().starts_with("https://127.0.0.1:"));
/// // The client under test trusts `authority.pem()` and must refuse all the same.
/// # Ok(())
/// # }
/// ```
pub struct TestAuthority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    pem: String,
}

impl TestAuthority {
    /// A new authority with a key of its own.
    ///
    /// # Errors
    /// When no key can be made.
    pub fn new() -> io::Result<Self> {
        let mut params = named("acople test authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let issuer =
            CertifiedIssuer::self_signed(params, KeyPair::generate().map_err(other)?).map_err(other)?;
        let pem = pem("CERTIFICATE", issuer.der());
        Ok(Self { issuer, pem })
    }

    /// The authority's certificate, for the client to trust.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// A good certificate for `127.0.0.1` and `localhost`.
    pub fn server(&self) -> io::Result<TestCertificate> {
        self.issue(local("acople test server"))
    }

    /// The same, expired in the year 2000.
    pub fn expired(&self) -> io::Result<TestCertificate> {
        let mut params = local("acople test server, expired");
        params.not_before = date_time_ymd(1999, 1, 1);
        params.not_after = date_time_ymd(2000, 1, 1);
        self.issue(params)
    }

    /// A certificate for another host, `other.example`.
    pub fn wrong_host(&self) -> io::Result<TestCertificate> {
        let mut params = named("acople test server, elsewhere");
        params.subject_alt_names = vec![SanType::DnsName("other.example".try_into().map_err(other)?)];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.issue(params)
    }

    /// A certificate for `127.0.0.1` and `localhost` that vouches for itself; no authority knows it.
    pub fn self_signed() -> io::Result<TestCertificate> {
        let key = KeyPair::generate().map_err(other)?;
        let certificate = local("acople test server, self-signed").self_signed(&key).map_err(other)?;
        Ok(TestCertificate { der: certificate.der().clone(), key: key.serialize_der() })
    }

    /// A client's certificate with this name.
    pub fn client(&self, name: &str) -> io::Result<TestCertificate> {
        let mut params = named(name);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.issue(params)
    }

    fn issue(&self, params: CertificateParams) -> io::Result<TestCertificate> {
        let key = KeyPair::generate().map_err(other)?;
        let certificate = params.signed_by(&key, &self.issuer).map_err(other)?;
        Ok(TestCertificate { der: certificate.der().clone(), key: key.serialize_der() })
    }
}

impl fmt::Debug for TestAuthority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TestAuthority")
    }
}

/// A certificate and its key, for a server or a client.
#[derive(Clone)]
pub struct TestCertificate {
    der: CertificateDer<'static>,
    key: Vec<u8>,
}

impl TestCertificate {
    /// The certificate as DER: what [`Connection::client_certificate`](super::Connection::client_certificate) gives.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The certificate as PEM.
    pub fn certificate_pem(&self) -> String {
        pem("CERTIFICATE", &self.der)
    }

    /// The private key as PEM (PKCS #8).
    pub fn key_pem(&self) -> String {
        pem("PRIVATE KEY", &self.key)
    }
}

impl fmt::Debug for TestCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TestCertificate")
    }
}

/// How a [`FaultServer`](super::FaultServer) speaks TLS 1.2 and 1.3.
#[derive(Debug)]
pub struct ServerTls {
    certificate: TestCertificate,
    alpn: Vec<Vec<u8>>,
    clients_of: Option<CertificateDer<'static>>,
}

impl ServerTls {
    /// TLS with this certificate, without ALPN, for anybody.
    pub fn new(certificate: TestCertificate) -> Self {
        Self { certificate, alpn: Vec::new(), clients_of: None }
    }

    /// Offers protocols by ALPN, the preferred one first: `h2`, `http/1.1`.
    pub fn alpn<'a>(mut self, protocols: impl IntoIterator<Item = &'a str>) -> Self {
        self.alpn = protocols.into_iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        self
    }

    /// Demands a client's certificate of this authority; a handshake without one fails.
    pub fn demand_client_of(mut self, authority: &TestAuthority) -> Self {
        self.clients_of = Some(authority.issuer.der().clone());
        self
    }

    pub(crate) fn into_acceptor(self) -> io::Result<Acceptor> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(other)?;
        let config = match self.clients_of {
            Some(authority) => {
                let mut roots = RootCertStore::empty();
                roots.add(authority).map_err(other)?;
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                config.with_client_cert_verifier(verifier.build().map_err(other)?)
            }
            None => config.with_no_client_auth(),
        };
        let TestCertificate { der, key } = self.certificate;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key));
        let mut config = config.with_single_cert(vec![der], key).map_err(other)?;
        config.alpn_protocols = self.alpn;
        Ok(Acceptor(TlsAcceptor::from(Arc::new(config))))
    }
}

pub(crate) struct Acceptor(TlsAcceptor);

impl Acceptor {
    /// The connection, and the certificate that the client showed.
    pub(crate) async fn accept(&self, socket: TcpStream) -> io::Result<(Box<dyn Peer>, Option<Bytes>)> {
        let stream = self.0.accept(socket).await?;
        let certificate = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
        let certificate = certificate.map(|der| Bytes::copy_from_slice(der));
        Ok((Box::new(stream), certificate))
    }
}

impl fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Acceptor")
    }
}

impl Peer for TlsStream<TcpStream> {
    fn no_linger(&self) -> io::Result<()> {
        self.get_ref().0.set_zero_linger()
    }
}

fn named(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    // Years around any clock that a test may have.
    params.not_before = date_time_ymd(2000, 1, 1);
    params.not_after = date_time_ymd(2100, 1, 1);
    params
}

fn local(name: &str) -> CertificateParams {
    let mut params = named(name);
    params.subject_alt_names = vec![SanType::IpAddress(IpAddr::V4(Ipv4Addr::LOCALHOST))];
    if let Ok(localhost) = "localhost".try_into() {
        params.subject_alt_names.push(SanType::DnsName(localhost));
    }
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params
}

/// RFC 7468: base64 in lines of 64 characters between two labels.
fn pem(label: &str, der: &[u8]) -> String {
    let mut out = format!("-----BEGIN {label}-----\n");
    for line in der.chunks(48) {
        let _ = writeln!(out, "{}", STANDARD.encode(line));
    }
    let _ = writeln!(out, "-----END {label}-----");
    out
}

fn other(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::other(error)
}

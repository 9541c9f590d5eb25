//! Certificates, good and bad, met by a client that trusts the authority.

use std::io;
use std::sync::Arc;

use acople_testkit::faults::{
    Ending, FaultServer, HttpAnswer, Script, ServerTls, TestAuthority, TestCertificate, old_tls,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::peer::{GET, SOON};

/// What a client that trusts this PEM gets, and the protocol agreed on.
async fn ask(
    server: &FaultServer,
    trusted: &str,
    own: Option<&TestCertificate>,
) -> io::Result<(String, Option<Vec<u8>>)> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(trusted.as_bytes()).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let mut config = match own {
        None => config.with_no_client_auth(),
        Some(own) => {
            let chain = vec![CertificateDer::from_pem_slice(own.certificate_pem().as_bytes()).unwrap()];
            let key = PrivateKeyDer::from_pem_slice(own.key_pem().as_bytes()).unwrap();
            config.with_client_auth_cert(chain, key).unwrap()
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let socket = TcpStream::connect(server.addr()).await?;
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let mut stream = timeout(SOON, TlsConnector::from(Arc::new(config)).connect(name, socket)).await??;
    stream.write_all(GET.as_bytes()).await?;
    let mut answer = String::new();
    timeout(SOON, stream.read_to_string(&mut answer)).await??;
    Ok((answer, stream.get_ref().1.alpn_protocol().map(<[u8]>::to_vec)))
}

async fn serve(tls: ServerTls) -> FaultServer {
    let script = Script::new().read_request().answer(HttpAnswer::json(200, "{}"));
    FaultServer::builder(script).tls(tls).start().await.unwrap()
}

#[tokio::test]
async fn a_good_certificate_is_trusted_through_its_authority_alone() {
    let (authority, stranger) = (TestAuthority::new().unwrap(), TestAuthority::new().unwrap());
    let server = serve(ServerTls::new(authority.server().unwrap()).alpn(["h2"])).await;
    assert!(server.url().starts_with("https://"));
    let (answer, protocol) = ask(&server, authority.pem(), None).await.unwrap();
    assert!(answer.ends_with("{}"));
    assert_eq!(protocol.as_deref(), Some(&b"h2"[..]));
    assert_eq!(server.requests()[0].target(), "/things?id=7");
    ask(&server, stranger.pem(), None).await.unwrap_err();
    assert_eq!(server.ending(1, SOON).await, Some(Ending::Handshake));
}

#[tokio::test]
async fn each_bad_certificate_is_bad_in_its_own_way() {
    let authority = TestAuthority::new().unwrap();
    for (certificate, fault) in [
        (authority.expired(), "Expired"),
        (authority.wrong_host(), "NotValidForName"),
        (TestAuthority::self_signed(), "UnknownIssuer"),
    ] {
        let server = serve(ServerTls::new(certificate.unwrap())).await;
        let error = ask(&server, authority.pem(), None).await.unwrap_err();
        let error = format!("{error:?}");
        assert!(error.contains(fault), "{error}");
        assert_eq!(server.ending(0, SOON).await, Some(Ending::Handshake));
    }
}

#[tokio::test]
async fn a_client_is_known_by_its_certificate() {
    let (authority, stranger) = (TestAuthority::new().unwrap(), TestAuthority::new().unwrap());
    let tls = ServerTls::new(authority.server().unwrap()).demand_client_of(&authority);
    let server = serve(tls).await;
    let own = authority.client("worker 1").unwrap();
    ask(&server, authority.pem(), Some(&own)).await.unwrap();
    assert_eq!(server.connections()[0].client_certificate(), Some(own.der()));
    for wrong in [None, Some(&stranger.client("worker 1").unwrap())] {
        ask(&server, authority.pem(), wrong).await.unwrap_err();
    }
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn tls_1_1_is_refused_by_a_client_of_today() {
    let authority = TestAuthority::new().unwrap();
    for bytes in [old_tls::server_hello_1_1(), old_tls::protocol_version_alert()] {
        let server = FaultServer::start(Script::new().read(5).write(bytes).read_to_end(SOON)).await.unwrap();
        let error = format!("{:?}", ask(&server, authority.pem(), None).await.unwrap_err());
        assert!(
            ["ProtocolVersion", "ServerDoesNotSupportTls12Or13"].iter().any(|sign| error.contains(sign)),
            "{error}"
        );
    }
}

#[test]
fn keys_are_not_printed() {
    let certificate = TestAuthority::self_signed().unwrap();
    assert_eq!(format!("{certificate:?}"), "TestCertificate");
    assert!(certificate.key_pem().starts_with("-----BEGIN PRIVATE KEY-----\n"));
    assert!(certificate.certificate_pem().lines().all(|line| line.len() <= 64));
}

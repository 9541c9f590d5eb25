//! Certificates: bad ones are refused for good, our own may be replaced while we run.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use acople_core::{Context, ErrorKind, Progress, Secret, Transport, WireFault};
use acople_http::{Call, ClientIdentity, HttpTransport, Pem, Roots, TransportConfig};
use acople_testkit::faults::{
    FaultServer, HttpAnswer, Script, Scripts, ServerTls, TestAuthority, TestCertificate, old_tls,
};
use rustls::crypto::CryptoProvider;
use tempfile::TempDir;

use super::{client, fault, get, request};

const SOON: Duration = Duration::from_secs(10);

fn answering() -> Script {
    Script::new().repeat(100, Script::new().read_request().answer(HttpAnswer::json(200, "{}")))
}

async fn serve(scripts: impl Into<Scripts>, tls: ServerTls) -> FaultServer {
    FaultServer::builder(scripts).tls(tls).start().await.unwrap()
}

/// Trusts this authority and no other.
fn trusting(authority: &TestAuthority) -> TransportConfig {
    let mut config = TransportConfig::default().allow_loopback();
    config.tls.roots = Roots::Only(Pem::Text(Secret::from(authority.pem())));
    config
}

/// The call fails for good, in its first attempt, and says why.
async fn refused(server: &FaultServer, url: &str, config: &TransportConfig, reason: &str) {
    for (n, call) in [Call::get("read"), Call::post("write")].into_iter().enumerate() {
        let error = client(url, config).send(&Context::new(), &call).await.unwrap_err();
        assert_eq!((error.kind(), error.attempts()), (ErrorKind::Config, 1), "{error:?}");
        assert_eq!(fault(&error), (Progress::NotSent, WireFault::Tls));
        assert!(error.to_string().contains(reason), "{reason}: {error}");
        assert!(server.until(SOON, |server| server.connections().len() > n).await);
        assert_eq!(server.connections().len(), n + 1, "{reason}");
    }
    assert_eq!(server.requests().len(), 0);
}

#[tokio::test]
async fn net_03_a_bad_certificate_is_a_config_error_with_its_reason_and_is_not_tried_again() {
    let authority = TestAuthority::new().unwrap();
    for (certificate, reason) in [
        (authority.expired(), "the certificate has expired"),
        (authority.wrong_host(), "the certificate is for another host"),
        (TestAuthority::self_signed(), "the certificate's issuer is not trusted"),
        // Another authority of the same name, as when a company has replaced its own.
        (TestAuthority::new().unwrap().server(), "not signed by the issuer that we trust"),
    ] {
        let server = serve(answering(), ServerTls::new(certificate.unwrap())).await;
        refused(&server, &server.url(), &trusting(&authority), reason).await;
    }
}

#[tokio::test]
async fn net_03_an_authority_that_only_its_owner_knows_is_not_trusted_by_default() {
    let authority = TestAuthority::new().unwrap();
    let server = serve(answering(), ServerTls::new(authority.server().unwrap())).await;
    let mut config = TransportConfig::default().allow_loopback();
    refused(&server, &server.url(), &config, "the certificate's issuer is not trusted").await;
    config.tls.roots = Roots::SystemAnd(Pem::Text(Secret::from(authority.pem())));
    assert_eq!(get(&config, &server.url()).await.unwrap().status(), 200);
}

#[tokio::test]
async fn net_03_tls_1_1_is_refused_for_good() {
    let config = trusting(&TestAuthority::new().unwrap());
    for bytes in [old_tls::server_hello_1_1(), old_tls::protocol_version_alert()] {
        let server = FaultServer::start(Script::new().read(5).write(bytes).read_to_end(SOON)).await.unwrap();
        refused(&server, &server.url_as("https"), &config, "no version of TLS from 1.2 on").await;
    }
}

#[tokio::test]
async fn net_03_what_does_not_speak_tls_is_refused_for_good() {
    let config = trusting(&TestAuthority::new().unwrap());
    let script = Script::new().read(5).write(HttpAnswer::new(400).to_bytes()).read_to_end(SOON);
    let server = FaultServer::start(script).await.unwrap();
    refused(&server, &server.url_as("https"), &config, "the server does not speak TLS").await;
}

#[tokio::test]
async fn a_handshake_that_breaks_off_is_tried_again() {
    // A load balancer that restarts is no reason to look at the configuration.
    let config = trusting(&TestAuthority::new().unwrap());
    for script in [Script::new().read(5).close(), Script::new().read(5).reset()] {
        let server = FaultServer::start(script).await.unwrap();
        let client = client(&server.url_as("https"), &config);
        let error = client.send(&Context::new(), &Call::post("write")).await.unwrap_err();
        assert_eq!((error.kind(), error.attempts()), (ErrorKind::Transient, 3), "{error:?}");
        assert_eq!(fault(&error), (Progress::NotSent, WireFault::Connect));
    }
}

#[test]
fn net_03_no_switch_accepts_bad_certificates() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut sources = Vec::new();
    collect(crates, &mut sources);
    assert!(sources.len() > 50, "{} files", sources.len());
    for path in sources {
        let text = fs::read_to_string(&path).unwrap();
        for sign in ["danger_accept", "danger_", "tls_danger", "AcceptAnyServerCert"] {
            assert!(!text.contains(sign), "{sign} in {}", path.display());
        }
        assert!(!text.contains("impl ServerCertVerifier"), "a verifier of our own in {}", path.display());
        // rustls calls every verifier that it does not bring dangerous: the system's is the only one in use.
        let systems = text.contains("use rustls_platform_verifier::Verifier;");
        assert!(!text.contains(".dangerous()") || systems, "a verifier in {}", path.display());
        // Nor a name of our own that says so.
        for line in text.lines().filter(|line| line.trim_start().starts_with("pub ")) {
            let line = line.to_lowercase();
            // Keeping or sending plain text is another matter, and has a name that says so.
            let line = line.replace("insecure_plain", "").replace("insecure_open_plain", "");
            let bad = ["insecure", "invalid_cert", "skip_verif", "no_verif", "verify: bool"];
            assert!(!bad.iter().any(|sign| line.contains(sign)), "{line} in {}", path.display());
        }
    }
}

/// The library's sources, without those of the testkit.
fn collect(folder: &Path, sources: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && !["acople-testkit", "tests", "target"].contains(&name.as_str()) {
            collect(&path, sources);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            sources.push(path);
        }
    }
}

/// A folder with a pair, and a config that reads it at every send.
struct Pair {
    folder: TempDir,
    config: TransportConfig,
}

impl Pair {
    fn new(authority: &TestAuthority, own: &TestCertificate) -> Self {
        let folder = TempDir::new().unwrap();
        let mut config = trusting(authority);
        let file = |name| Pem::File(folder.path().join(name));
        config.tls.identity = Some(ClientIdentity::new(file("own.crt"), file("own.key")));
        config.tls.check_files_every = Duration::ZERO;
        let pair = Self { folder, config };
        pair.write_certificate(own);
        pair.write_key(own);
        pair
    }

    fn write_certificate(&self, own: &TestCertificate) {
        fs::write(self.folder.path().join("own.crt"), own.certificate_pem()).unwrap();
    }

    fn write_key(&self, own: &TestCertificate) {
        fs::write(self.folder.path().join("own.key"), own.key_pem()).unwrap();
    }
}

async fn send(transport: &HttpTransport, server: &FaultServer) -> u16 {
    let (status, _, mut body) = transport.send(request(&server.url())).await.unwrap().into_parts();
    while let Some(chunk) = body.chunk().await {
        chunk.unwrap();
    }
    status.as_u16()
}

#[tokio::test]
async fn net_04_a_replaced_pair_is_used_for_new_connections_and_requests_on_their_way_finish() {
    let authority = TestAuthority::new().unwrap();
    let slow =
        Script::new().read_request().stall(Duration::from_millis(500)).answer(HttpAnswer::json(200, "{}"));
    let tls = ServerTls::new(authority.server().unwrap()).demand_client_of(&authority);
    let server = serve([slow, answering()], tls).await;
    let [first, second] = ["worker 1", "worker 2"].map(|name| authority.client(name).unwrap());
    let pair = Pair::new(&authority, &first);
    let transport = HttpTransport::new(&pair.config).unwrap();

    let on_its_way = async { send(&transport, &server).await };
    let meanwhile = async {
        assert!(server.until(SOON, |server| server.requests().len() == 1).await);
        pair.write_certificate(&second);
        pair.write_key(&second);
        assert_eq!(send(&transport, &server).await, 200);
        assert_eq!(send(&transport, &server).await, 200);
    };
    let (status, ()) = tokio::join!(on_its_way, meanwhile);
    assert_eq!(status, 200);
    let connections = server.connections();
    let shown: Vec<_> = connections.iter().map(|c| c.client_certificate().unwrap()).collect();
    assert_eq!(shown, [first.der(), second.der()], "what has not changed is not read into a new client");
}

#[tokio::test]
async fn net_04_half_a_pair_is_not_used() {
    let authority = TestAuthority::new().unwrap();
    let once = Script::new().read_request().answer(HttpAnswer::json(200, "{}").header("connection", "close"));
    let tls = ServerTls::new(authority.server().unwrap()).demand_client_of(&authority);
    let server = serve(once, tls).await;
    let [first, second] = ["worker 1", "worker 2"].map(|name| authority.client(name).unwrap());
    let pair = Pair::new(&authority, &first);
    let transport = HttpTransport::new(&pair.config).unwrap();
    let key = pair.folder.path().join("own.key");
    let shown = || server.connections().last().unwrap().client_certificate().unwrap().to_vec();

    pair.write_certificate(&second);
    assert_eq!(send(&transport, &server).await, 200);
    assert_eq!(shown(), first.der(), "the old pair stays while the new one is not complete");
    fs::remove_file(&key).unwrap();
    assert_eq!(send(&transport, &server).await, 200);
    assert_eq!(shown(), first.der());
    pair.write_key(&second);
    assert_eq!(send(&transport, &server).await, 200);
    assert_eq!(shown(), second.der());
}

#[tokio::test]
async fn net_04_files_are_looked_after_once_in_a_while() {
    let authority = TestAuthority::new().unwrap();
    let once = Script::new().read_request().answer(HttpAnswer::json(200, "{}").header("connection", "close"));
    let tls = ServerTls::new(authority.server().unwrap()).demand_client_of(&authority);
    let server = serve(once, tls).await;
    let [first, second] = ["worker 1", "worker 2"].map(|name| authority.client(name).unwrap());
    let mut pair = Pair::new(&authority, &first);
    pair.config.tls.check_files_every = Duration::from_secs(3_600);
    let transport = HttpTransport::new(&pair.config).unwrap();
    pair.write_certificate(&second);
    pair.write_key(&second);
    assert_eq!(send(&transport, &server).await, 200);
    assert_eq!(server.connections()[0].client_certificate().unwrap(), first.der());
}

#[tokio::test]
async fn net_04_a_companys_own_authority_is_read_from_a_file_that_may_be_replaced() {
    let (old, new) = (TestAuthority::new().unwrap(), TestAuthority::new().unwrap());
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("company.pem");
    fs::write(&file, old.pem()).unwrap();
    let mut config = TransportConfig::default().allow_loopback();
    config.tls.roots = Roots::Only(Pem::File(file.clone()));
    config.tls.check_files_every = Duration::ZERO;
    let transport = HttpTransport::new(&config).unwrap();
    let before = serve(answering(), ServerTls::new(old.server().unwrap())).await;
    let after = serve(answering(), ServerTls::new(new.server().unwrap())).await;
    assert_eq!(send(&transport, &before).await, 200);
    let error = transport.send(request(&after.url())).await.unwrap_err();
    assert_eq!(error.fault(), WireFault::Tls);
    fs::write(&file, new.pem()).unwrap();
    assert_eq!(send(&transport, &after).await, 200);
    let error = transport.send(request(&before.url())).await.unwrap_err();
    assert_eq!(error.fault(), WireFault::Tls, "the old authority counts for no new connection");
}

#[tokio::test]
async fn a_server_that_wants_a_client_certificate_says_so_for_good() {
    let (authority, stranger) = (TestAuthority::new().unwrap(), TestAuthority::new().unwrap());
    let tls = ServerTls::new(authority.server().unwrap()).demand_client_of(&authority);
    let server = serve(answering(), tls).await;
    refused(&server, &server.url(), &trusting(&authority), "the server wants a client certificate").await;

    let tls = ServerTls::new(authority.server().unwrap()).demand_client_of(&authority);
    let server = serve(answering(), tls).await;
    let wrong = Pair::new(&authority, &stranger.client("worker 1").unwrap());
    refused(&server, &server.url(), &wrong.config, "the server refused our certificate").await;
}

#[test]
fn certificates_that_cannot_be_used_are_told_at_once() {
    let authority = TestAuthority::new().unwrap();
    let [one, other] = ["one", "other"].map(|name| authority.client(name).unwrap());
    let text = |pem: &str| Pem::Text(Secret::from(pem));
    let roots = |pem| {
        let mut config = TransportConfig::default();
        config.tls.roots = Roots::Only(pem);
        config
    };
    let identity = |identity| {
        let mut config = trusting(&authority);
        config.tls.identity = Some(identity);
        config
    };
    for (config, field, says) in [
        (roots(text("")), "tls.roots", "no certificate"),
        (roots(Pem::File("/nowhere/company.pem".into())), "tls.roots", "/nowhere/company.pem"),
        (identity(ClientIdentity::combined(text("garbage"))), "tls.identity", "not a certificate and a key"),
        (
            identity(ClientIdentity::new(text(&one.certificate_pem()), text(&other.key_pem()))),
            "tls.identity",
            "does not belong",
        ),
    ] {
        let error = HttpTransport::new(&config).unwrap_err();
        assert_eq!((error.kind(), error.fields()), (ErrorKind::Config, &[field.to_owned()][..]), "{error:?}");
        assert!(error.to_string().contains(says), "{error}");
    }
    let both = format!("{}{}", one.certificate_pem(), one.key_pem());
    let config = identity(ClientIdentity::combined(text(&both)));
    HttpTransport::new(&config).unwrap();
    let key = one.key_pem();
    assert!(!format!("{config:?}").contains(key.lines().nth(1).unwrap()));
}

#[tokio::test]
async fn no_crypto_provider_is_installed_for_the_whole_process() {
    let authority = TestAuthority::new().unwrap();
    let server = serve(answering(), ServerTls::new(authority.server().unwrap())).await;
    assert_eq!(get(&trusting(&authority), &server.url()).await.unwrap().status(), 200);
    assert!(CryptoProvider::get_default().is_none());
}

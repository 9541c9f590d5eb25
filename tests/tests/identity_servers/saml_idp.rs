//! The identity provider of tests/saml-idp, and what a browser does between it and the host.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use acople_core::Secret;
use acople_identity::saml::{Certificate, Idp, RequestSigner, ServiceProvider, ServiceProviderBuilder};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tempfile::TempDir;
use url::Url;

use crate::process::Running;

/// How long the provider may take to start.
const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) struct SamlIdp {
    _running: Running,
    port: u16,
    certificate: String,
    signer: RequestSigner,
    _folder: TempDir,
}

impl SamlIdp {
    pub(crate) fn start() -> Self {
        let server = Path::new(env!("CARGO_MANIFEST_DIR")).join("saml-idp");
        assert!(
            server.join("node_modules").exists(),
            "the provider is not installed: run tests/saml-idp/install.sh"
        );
        let (certificate, key) = rsa();
        let (own_certificate, own_key) = rsa();
        let signer = RequestSigner::new(&own_certificate, &Secret::from(own_key)).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::write(&path, text).unwrap();
            path
        };
        let metadata = app("http://127.0.0.1/sso", &certificate, &signer).build().unwrap().metadata();
        let mut child = Command::new("node")
            .arg(server.join("server.js"))
            .arg(write("key.pem", &key))
            .arg(write("certificate.pem", &certificate))
            .arg(write("metadata.xml", &metadata))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("node cannot be started: it is needed for the identity provider");
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let running = Running(child);
        let (sender, receiver) = mpsc::channel();
        std::thread::spawn(move || {
            let mut line = String::new();
            let _ = output.read_line(&mut line);
            let _ = sender.send(line);
        });
        let line = receiver.recv_timeout(PATIENCE);
        let port = line.as_ref().ok().and_then(|line| line.trim().rsplit(':').next()?.parse().ok());
        let port = port.unwrap_or_else(|| panic!("the identity provider did not get ready: {line:?}"));
        Self { _running: running, port, certificate, signer, _folder: folder }
    }

    /// A host that this provider knows and that trusts it.
    pub(crate) fn app(&self) -> ServiceProviderBuilder {
        self.app_trusting(&self.certificate)
    }

    /// A host that this provider knows and that trusts this certificate.
    pub(crate) fn app_trusting(&self, certificate: &str) -> ServiceProviderBuilder {
        app(&format!("http://127.0.0.1:{}/sso", self.port), certificate, &self.signer)
    }

    /// Goes to the provider as a browser would; gives the form that it posts. `signed` says what has to be.
    pub(crate) fn visit(&self, address: &Url, signed: &str) -> String {
        let mut connection = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        let (path, query) = (address.path(), address.query().unwrap());
        write!(connection, "GET {path}?{query}&as={signed} HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n").unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200"), "{answer}");
        body.to_owned()
    }
}

fn app(sso: &str, certificate: &str, signer: &RequestSigner) -> ServiceProviderBuilder {
    let idp = Idp::new("https://idp.example.com", sso, Certificate::parse(certificate).unwrap()).unwrap();
    ServiceProvider::builder("https://app.example.com/saml", "https://app.example.com/saml/acs", idp)
        .sign_requests(signer.clone())
        .name_from("displayName")
        .groups_from("groups")
}

/// A certificate and its RSA key in PEM, made by OpenSSL.
pub(crate) fn rsa() -> (String, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=test", "-keyout"])
        .arg(path("key"))
        .arg("-out")
        .arg(path("certificate"))
        .output()
        .expect("openssl cannot be started: it is needed to make keys");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    (fs::read_to_string(path("certificate")).unwrap(), fs::read_to_string(path("key")).unwrap())
}

/// The same form with another document.
pub(crate) fn changed(form: &str, change: impl FnOnce(String) -> String) -> String {
    let mut out = url::form_urlencoded::Serializer::new(String::new());
    let mut change = Some(change);
    for (name, value) in url::form_urlencoded::parse(form.as_bytes()) {
        if name == "SAMLResponse" {
            let document = String::from_utf8(STANDARD.decode(&*value).unwrap()).unwrap();
            out.append_pair(&name, &STANDARD.encode(change.take().unwrap()(document)));
        } else {
            out.append_pair(&name, &value);
        }
    }
    out.finish()
}

//! OpenLDAP with a few people, on free ports of this machine.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use acople_core::Secret;
use acople_identity::ldap::{Directory, DirectoryBuilder};
use acople_testkit::faults::TestAuthority;
use tempfile::TempDir;

use crate::process::Running;

/// How long the server may take to start.
const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) struct Slapd {
    running: Option<Running>,
    authority: TestAuthority,
    plain: u16,
    tls: u16,
    _folder: TempDir,
}

impl Slapd {
    pub(crate) fn start() -> Self {
        let slapd = Path::new("/usr/sbin/slapd");
        assert!(slapd.exists(), "OpenLDAP is not installed: run tests/ldap-server/install.sh");
        let folder = tempfile::tempdir().unwrap();
        let authority = TestAuthority::new().unwrap();
        let certificate = authority.server().unwrap();
        let config =
            prepare(folder.path(), &authority, &certificate.certificate_pem(), &certificate.key_pem());
        let loaded = Command::new("/usr/sbin/slapadd")
            .args(["-f".as_ref(), config.as_os_str(), "-l".as_ref(), source("people.ldif").as_os_str()])
            .output()
            .unwrap();
        assert!(loaded.status.success(), "{}", String::from_utf8_lossy(&loaded.stderr));
        // It takes no port 0: free ones are asked for, and if somebody is faster, others.
        for _ in 0..5 {
            let (plain, tls) = free_ports();
            let mut running = Running(
                Command::new(slapd)
                    .args([
                        "-d",
                        "0",
                        "-h",
                        &format!("ldap://127.0.0.1:{plain} ldaps://127.0.0.1:{tls}"),
                        "-f",
                    ])
                    .arg(&config)
                    .stdin(Stdio::null())
                    .stderr(Stdio::null())
                    .spawn()
                    .unwrap(),
            );
            if is_ready(&mut running, tls) {
                return Self { running: Some(running), authority, plain, tls, _folder: folder };
            }
        }
        panic!("slapd did not start");
    }

    /// Ends the server.
    pub(crate) fn stop(&mut self) {
        self.running = None;
    }

    pub(crate) fn ldaps(&self) -> String {
        format!("ldaps://127.0.0.1:{}", self.tls)
    }

    pub(crate) fn ldap(&self) -> String {
        format!("ldap://127.0.0.1:{}", self.plain)
    }

    pub(crate) fn roots(&self) -> &str {
        self.authority.pem()
    }

    /// A directory over LDAPS, with the service account.
    pub(crate) fn directory(&self) -> DirectoryBuilder {
        directory_at(self.ldaps()).roots_pem(self.roots())
    }
}

/// A directory at an address, with the service account.
pub(crate) fn directory_at(url: String) -> DirectoryBuilder {
    Directory::builder(url, "ou=people,dc=example,dc=com")
        .service_account("cn=acople,ou=services,dc=example,dc=com", Secret::from("service-password"))
}

/// Writes what the server reads; gives its configuration.
fn prepare(folder: &Path, authority: &TestAuthority, certificate: &str, key: &str) -> PathBuf {
    fs::create_dir(folder.join("data")).unwrap();
    fs::write(folder.join("ca.pem"), authority.pem()).unwrap();
    fs::write(folder.join("server.pem"), certificate).unwrap();
    fs::write(folder.join("server.key"), key).unwrap();
    let config = fs::read_to_string(source("slapd.conf")).unwrap().replace("@DIR@", folder.to_str().unwrap());
    let path = folder.join("slapd.conf");
    fs::write(&path, config).unwrap();
    path
}

fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("ldap-server").join(name)
}

fn free_ports() -> (u16, u16) {
    let [one, other] = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    (one.local_addr().unwrap().port(), other.local_addr().unwrap().port())
}

#[allow(clippy::disallowed_methods, reason = "waits for a process of the test's own")]
fn is_ready(running: &mut Running, port: u16) -> bool {
    let until = Instant::now() + PATIENCE;
    while Instant::now() < until && running.0.try_wait().unwrap().is_none() {
        if TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    false
}

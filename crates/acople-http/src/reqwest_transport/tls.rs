//! Who is trusted and who we are: certificates from memory or from files.

use std::fs::File;
use std::hash::{DefaultHasher, Hasher};
use std::io::Read;
use std::path::PathBuf;
use std::time::Duration;

use acople_core::{Error, Result, Secret};

/// Largest file of certificates, in bytes: bundles of all public authorities have some 200 KiB.
const LARGEST: u64 = 4 << 20;

/// Who is trusted, and who we are.
///
/// A server's certificate is always verified: nothing here switches that off. TLS 1.2 is the oldest version.
///
/// Files may be replaced at any time. A send looks after them at most every `check_files_every`; when their
/// content has changed, new connections use the new content and requests on their way finish as they began. What
/// cannot be used (a key without its certificate, half a file) is logged, and the old content stays.
///
/// ```
/// use acople_http::{ClientIdentity, Pem, Roots, TransportConfig};
///
/// let mut config = TransportConfig::default();
/// config.tls.roots = Roots::SystemAnd(Pem::File("/etc/acople/company-ca.pem".into()));
/// let certificate = Pem::File("/etc/acople/client.crt".into());
/// config.tls.identity = Some(ClientIdentity::new(certificate, Pem::File("/etc/acople/client.key".into())));
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TlsConfig {
    /// Whose signatures count.
    pub roots: Roots,
    /// The certificate that we show (mTLS).
    pub identity: Option<ClientIdentity>,
    /// How often files are looked after, by the sends themselves. 5 s unless set.
    pub check_files_every: Duration,
}

impl Default for TlsConfig {
    fn default() -> Self {
        Self { roots: Roots::default(), identity: None, check_files_every: Duration::from_secs(5) }
    }
}

/// The authorities whose signatures count.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum Roots {
    /// Those of the system.
    #[default]
    System,
    /// Those of the system and these.
    SystemAnd(Pem),
    /// These alone.
    Only(Pem),
}

/// Certificates or a key in PEM (RFC 7468).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Pem {
    /// The text.
    Text(Secret),
    /// A file.
    File(PathBuf),
}

/// A certificate with its key.
#[derive(Clone, Debug)]
pub struct ClientIdentity {
    certificate: Pem,
    key: Option<Pem>,
}

impl ClientIdentity {
    /// The certificate, with those between it and its authority behind it, and its key (PKCS #8, PKCS #1 or SEC 1,
    /// not encrypted).
    pub fn new(certificate: Pem, key: Pem) -> Self {
        Self { certificate, key: Some(key) }
    }

    /// Both in one.
    pub fn combined(pem: Pem) -> Self {
        Self { certificate: pem, key: None }
    }
}

/// What was read, ready for reqwest.
pub(super) struct Material {
    pub(super) roots: Vec<reqwest::Certificate>,
    pub(super) identity: Option<reqwest::Identity>,
    /// Tells contents apart.
    pub(super) fingerprint: u64,
}

impl TlsConfig {
    /// Whether anything can change by itself.
    pub(super) fn has_files(&self) -> bool {
        let roots = match &self.roots {
            Roots::System => None,
            Roots::SystemAnd(pem) | Roots::Only(pem) => Some(pem),
        };
        let identity = self.identity.iter().flat_map(|i| [Some(&i.certificate), i.key.as_ref()]).flatten();
        roots.into_iter().chain(identity).any(|pem| matches!(pem, Pem::File(_)))
    }

    /// Reads everything. Blocks on files.
    ///
    /// # Errors
    /// `Config` that names the field.
    pub(super) fn load(&self) -> Result<Material> {
        let mut hasher = DefaultHasher::new();
        let mut roots = Vec::new();
        if let Roots::SystemAnd(pem) | Roots::Only(pem) = &self.roots {
            let text = pem.read("tls.roots", &mut hasher)?;
            roots = reqwest::Certificate::from_pem_bundle(text.expose().as_bytes())
                .map_err(|e| Error::config("tls.roots", "not PEM").with_source(e))?;
            if roots.is_empty() {
                return Err(Error::config("tls.roots", "there is no certificate in it"));
            }
        }
        let identity = self.identity.as_ref().map(|identity| identity.load(&mut hasher)).transpose()?;
        Ok(Material { roots, identity, fingerprint: hasher.finish() })
    }
}

impl ClientIdentity {
    fn load(&self, hasher: &mut DefaultHasher) -> Result<reqwest::Identity> {
        let certificate = self.certificate.read("tls.identity", hasher)?;
        let both = match &self.key {
            Some(key) => {
                let key = key.read("tls.identity", hasher)?;
                Secret::from(format!("{}\n{}", certificate.expose(), key.expose()))
            }
            None => certificate,
        };
        // The cause could quote the key.
        reqwest::Identity::from_pem(both.expose().as_bytes())
            .map_err(|_| Error::config("tls.identity", "not a certificate and a key in PEM"))
    }
}

impl Pem {
    fn read(&self, field: &str, hasher: &mut DefaultHasher) -> Result<Secret> {
        let text = match self {
            Self::Text(text) => text.clone(),
            Self::File(path) => {
                let mut text = String::new();
                File::open(path).and_then(|file| file.take(LARGEST).read_to_string(&mut text)).map_err(
                    |e| Error::config(field, format!("cannot read {}", path.display())).with_source(e),
                )?;
                Secret::from(text)
            }
        };
        hasher.write(text.expose().as_bytes());
        hasher.write_u8(0xff);
        Ok(text)
    }
}

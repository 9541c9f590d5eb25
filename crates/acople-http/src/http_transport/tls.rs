//! Who is trusted and who we are: certificates from memory or from files.

use std::fs::File;
use std::hash::{DefaultHasher, Hasher};
use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use acople_core::{Error, ErrorKind, Result, Secret};
use rustls::client::WantsClientCert;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, ConfigBuilder, RootCertStore};
use rustls_platform_verifier::Verifier;

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

/// What was read.
pub(super) struct Material {
    roots: Vec<CertificateDer<'static>>,
    identity: Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>,
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
            roots = certificates(text.expose())
                .map_err(|e| Error::config("tls.roots", "not PEM").with_source(e))?;
            if roots.is_empty() {
                return Err(Error::config("tls.roots", "there is no certificate in it"));
            }
        }
        let identity = self.identity.as_ref().map(|identity| identity.load(&mut hasher)).transpose()?;
        Ok(Material { roots, identity, fingerprint: hasher.finish() })
    }
}

impl Material {
    /// The rules of connections that are made from it. The provider is named here: none is installed for the process.
    ///
    /// # Errors
    /// `Config` when the certificates cannot be used.
    pub(super) fn client_config(&self, trust: &Roots) -> Result<ClientConfig> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|e| Error::new(ErrorKind::Internal, "TLS cannot be set up").with_source(e))?;
        let builder = match trust {
            Roots::Only(_) => {
                let mut store = RootCertStore::empty();
                for root in &self.roots {
                    store.add(root.clone()).map_err(unusable)?;
                }
                builder.with_root_certificates(store)
            }
            Roots::System | Roots::SystemAnd(_) => {
                let verifier = Arc::new(self.system_verifier(provider)?);
                builder.dangerous().with_custom_certificate_verifier(verifier)
            }
        };
        self.with_identity(builder)
    }

    /// The system's verifier, or its authorities: what the system offers.
    fn system_verifier(&self, provider: Arc<CryptoProvider>) -> Result<Verifier> {
        if self.roots.is_empty() {
            return Verifier::new(provider).map_err(unusable);
        }
        #[cfg(not(target_os = "android"))]
        return Verifier::new_with_extra_roots(self.roots.iter().cloned(), provider).map_err(unusable);
        #[cfg(target_os = "android")]
        return Err(Error::config("tls.roots", "this system cannot add authorities to its own"));
    }

    fn with_identity(&self, builder: ConfigBuilder<ClientConfig, WantsClientCert>) -> Result<ClientConfig> {
        let Some((chain, key)) = &self.identity else { return Ok(builder.with_no_client_auth()) };
        builder.with_client_auth_cert(chain.clone(), key.clone_key()).map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => {
                Error::config("tls.identity", "the key does not belong to the certificate").with_source(error)
            }
            error => unusable(error),
        })
    }
}

impl ClientIdentity {
    fn load(
        &self,
        hasher: &mut DefaultHasher,
    ) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)> {
        // The cause could quote the key.
        let wrong = || Error::config("tls.identity", "not a certificate and a key in PEM");
        let certificate = self.certificate.read("tls.identity", hasher)?;
        let key = match &self.key {
            Some(key) => key.read("tls.identity", hasher)?,
            None => certificate.clone(),
        };
        let chain = certificates(certificate.expose()).map_err(|_| wrong())?;
        let key = PrivateKeyDer::from_pem_slice(key.expose().as_bytes()).map_err(|_| wrong())?;
        if chain.is_empty() { Err(wrong()) } else { Ok((chain, key)) }
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

fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, rustls::pki_types::pem::Error> {
    CertificateDer::pem_slice_iter(pem.as_bytes()).collect()
}

fn unusable(error: rustls::Error) -> Error {
    Error::config("tls", "the certificates cannot be used").with_source(error)
}

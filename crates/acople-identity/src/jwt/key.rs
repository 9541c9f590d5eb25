//! Keys that verify, each bound to what it may verify.

use std::fmt;
use std::sync::Arc;

use acople_core::{Error, Result, Secret};
use async_trait::async_trait;
use aws_lc_rs::hmac;
use aws_lc_rs::rsa::PublicEncryptingKey;
use aws_lc_rs::signature::{ParsedPublicKey, RsaPublicKeyComponents};

use super::algorithm::{JwtAlgorithm, Scheme};
use super::{jwk, pem};

/// Fewest bytes of a shared secret (RFC 7518, 3.2).
const SECRET_MIN: usize = 32;

/// A key that verifies signatures. It is bound to its algorithms: an RSA key's bytes never become the secret of an
/// HMAC, whatever a token says.
///
/// ```
/// use acople_identity::{JwtAlgorithm, VerificationKey};
///
/// # fn main() -> acople_core::Result<()> {
/// let key = VerificationKey::pem(
///     JwtAlgorithm::EdDsa,
///     "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n-----END PUBLIC KEY-----",
/// )?
/// .with_id("2026-03");
/// assert_eq!(key.id(), Some("2026-03"));
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct VerificationKey {
    pub(crate) id: Option<String>,
    pub(crate) algorithms: Vec<JwtAlgorithm>,
    pub(crate) material: Material,
}

#[derive(Clone)]
pub(crate) enum Material {
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
    /// Bound to its algorithm by its making.
    Parsed(ParsedPublicKey),
    Hmac(Box<hmac::Key>),
}

impl VerificationKey {
    /// A public key in PEM text (`BEGIN PUBLIC KEY`), for one algorithm.
    ///
    /// # Errors
    /// [`Config`](acople_core::ErrorKind::Config): the text is no public key, or one of another kind than the
    /// algorithm's; an RSA key has fewer than 2048 or more than 8192 bits.
    pub fn pem(algorithm: JwtAlgorithm, text: &str) -> Result<Self> {
        let der = pem::public_key(text)?;
        let unfit = || {
            let text = match algorithm.scheme() {
                Scheme::Rsa(_) => format!("{algorithm} needs an RSA key of 2048 to 8192 bits"),
                Scheme::Ec(_, 32) => format!("{algorithm} needs a key on the curve P-256"),
                Scheme::Ec(..) => format!("{algorithm} needs a key on the curve P-384"),
                Scheme::Ed(_) => format!("{algorithm} needs an Ed25519 key"),
                Scheme::Hmac => {
                    format!("{algorithm} needs a secret that both sides know: a public key is none")
                }
            };
            Error::config("public_key_pem", text)
        };
        let scheme: &'static dyn aws_lc_rs::signature::VerificationAlgorithm = match algorithm.scheme() {
            Scheme::Rsa(scheme) => {
                // The bounds of its size are part of the check.
                PublicEncryptingKey::from_der(&der).map_err(|_| unfit())?;
                scheme
            }
            Scheme::Ec(scheme, _) | Scheme::Ed(scheme) => scheme,
            Scheme::Hmac => return Err(unfit()),
        };
        let parsed = ParsedPublicKey::new(scheme, &der).map_err(|_| unfit())?;
        Ok(Self { id: None, algorithms: vec![algorithm], material: Material::Parsed(parsed) })
    }

    /// A secret that issuer and host share, for HS256. Take it only where both are yours: whoever can verify with it
    /// can sign.
    ///
    /// # Errors
    /// [`Config`](acople_core::ErrorKind::Config) for a secret of fewer than 32 bytes (RFC 7518, 3.2), and for the
    /// text of a public key, which is no secret.
    pub fn secret(secret: &Secret) -> Result<Self> {
        let text = secret.expose();
        if text.contains("-----BEGIN ") || text.contains("\"kty\"") {
            return Err(Error::config(
                "secret",
                "is a key file: HS256 needs random text of 32 bytes or more",
            ));
        }
        Self::hmac(text.as_bytes())
    }

    /// One key as its issuer publishes it (JSON Web Key, RFC 7517), for what its members allow: `kty`, `crv`, `alg`,
    /// `use` and `key_ops` are respected. An RSA key without `alg` is for all RSA algorithms; a verifier takes those
    /// that it was told. A key of the kind `oct` is the secret of HS256.
    ///
    /// # Errors
    /// [`Config`](acople_core::ErrorKind::Config) that says why the key cannot be used.
    pub fn jwk(json: &Secret) -> Result<Self> {
        let members = crate::json::object(json.expose().as_bytes())
            .map_err(|fault| Error::config("jwk", format!("the key {fault}")))?;
        jwk::key(&members, true).map_err(|fault| Error::config("jwk", format!("the key {fault}")))
    }

    /// Names the key: a token with another `kid` is not tried with it.
    pub fn with_id(mut self, id: impl Into<String>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// The key's name. A key without one is tried for every token.
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// What it verifies.
    pub fn algorithms(&self) -> &[JwtAlgorithm] {
        &self.algorithms
    }

    pub(crate) fn hmac(secret: &[u8]) -> Result<Self> {
        if secret.len() < SECRET_MIN {
            let text = format!("has {} bytes: HS256 needs random text of 32 bytes or more", secret.len());
            return Err(Error::config("secret", text));
        }
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
        Ok(Self { id: None, algorithms: vec![JwtAlgorithm::Hs256], material: Material::Hmac(Box::new(key)) })
    }

    /// Whether a token with this `kid` may have been signed with it.
    pub(crate) fn answers_to(&self, kid: Option<&str>) -> bool {
        match (&self.id, kid) {
            (Some(id), Some(kid)) => id == kid,
            _ => true,
        }
    }

    /// Whether the signature is by this key and algorithm.
    pub(crate) fn verifies(&self, algorithm: JwtAlgorithm, message: &[u8], signature: &[u8]) -> bool {
        if !self.algorithms.contains(&algorithm) {
            return false;
        }
        match (&self.material, algorithm.scheme()) {
            (Material::Rsa { n, e }, Scheme::Rsa(scheme)) => {
                RsaPublicKeyComponents { n, e }.verify(scheme, message, signature).is_ok()
            }
            (Material::Parsed(key), Scheme::Rsa(_) | Scheme::Ec(..) | Scheme::Ed(_)) => {
                key.verify_sig(message, signature).is_ok()
            }
            (Material::Hmac(key), Scheme::Hmac) => hmac::verify(key, message, signature).is_ok(),
            _ => false,
        }
    }
}

impl fmt::Debug for VerificationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerificationKey")
            .field("id", &self.id)
            .field("algorithms", &self.algorithms)
            .finish_non_exhaustive()
    }
}

/// Where a verifier's keys come from: a [`KeySet`] that the host knows, or what an issuer publishes (`Jwks`, feature
/// `jwks`).
#[async_trait]
pub trait KeySource: Send + Sync + fmt::Debug + 'static {
    /// The keys that count now. `kid` is what a token names, not verified: a source that has no such key may look
    /// for it, within bounds.
    ///
    /// # Errors
    /// `Transient`, `Timeout` and others when the keys are not to be had now.
    async fn keys(&self, kid: Option<&str>) -> Result<Arc<[VerificationKey]>>;
}

/// Keys that the host was given.
#[derive(Clone, Debug)]
pub struct KeySet(Arc<[VerificationKey]>);

impl KeySet {
    /// These keys. For a change of keys give both for as long as tokens of the old one are about.
    pub fn new(keys: impl IntoIterator<Item = VerificationKey>) -> Self {
        Self(keys.into_iter().collect())
    }
}

#[async_trait]
impl KeySource for KeySet {
    async fn keys(&self, _: Option<&str>) -> Result<Arc<[VerificationKey]>> {
        Ok(self.0.clone())
    }
}

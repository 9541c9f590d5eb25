//! Keys that sign heads (Ed25519, RFC 8032).

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use acople_core::{Error, ErrorKind, Result, Secret};

use crate::chain;

const LENGTH: usize = 32;

/// The private key of whoever writes a log. Keep it from those who can write to the log's files: with both, a log
/// can be made up.
#[derive(Clone)]
pub struct SigningKey {
    pair: Arc<Ed25519KeyPair>,
    public: PublicKey,
}

impl SigningKey {
    /// A key from its seed: 32 random bytes in standard Base64, as `openssl rand -base64 32` prints them.
    ///
    /// # Errors
    /// `Config` when the text is not that, never with anything of it.
    pub fn from_base64(seed: &Secret) -> Result<Self> {
        let wrong = || Error::config("signing_key", "the signing key is not 32 bytes in Base64");
        let seed = STANDARD.decode(seed.expose().trim()).map(Zeroizing::new).map_err(|_| wrong())?;
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed).map_err(|_| wrong())?;
        let public = PublicKey(pair.public_key().as_ref().try_into().map_err(|_| wrong())?);
        Ok(Self { pair: Arc::new(pair), public })
    }

    /// What verifies the key's signatures.
    pub fn public_key(&self) -> &PublicKey {
        &self.public
    }

    pub(crate) fn sign(&self, text: &[u8]) -> String {
        STANDARD.encode(self.pair.sign(text))
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("public", &self.public).finish_non_exhaustive()
    }
}

/// The public key that belongs to a [`SigningKey`].
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey([u8; LENGTH]);

impl PublicKey {
    /// A key from its 32 bytes in standard Base64.
    ///
    /// # Errors
    /// `Config` when the text is not that.
    pub fn from_base64(text: &str) -> Result<Self> {
        let bytes = STANDARD.decode(text.trim()).ok().and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or_else(|| Error::config("public_key", "the public key is not 32 bytes in Base64"))
    }

    /// The key's 32 bytes in standard Base64.
    pub fn to_base64(&self) -> String {
        STANDARD.encode(self.0)
    }

    /// The first 16 hex digits of the key's SHA-256: its name in heads.
    pub fn id(&self) -> String {
        let mut id = chain::hash(&self.0);
        id.truncate(16);
        id
    }

    pub(crate) fn verify(&self, text: &[u8], signature: &str) -> Result<()> {
        let wrong = || Error::new(ErrorKind::Protocol, "the signature is not one of this key");
        let signature = STANDARD.decode(signature).map_err(|_| wrong())?;
        UnparsedPublicKey::new(&ED25519, &self.0).verify(text, &signature).map_err(|_| wrong())
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.to_base64())
    }
}

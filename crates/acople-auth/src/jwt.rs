//! JWTs that a client signs: assertions for the JWT bearer grant, and assertions that stand for the client's own
//! secret (RFC 7523, 2.1 and 2.2).

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use acople_core::{Error, ErrorKind, Result, Secret};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair;
use aws_lc_rs::signature::{EcdsaKeyPair, RSA_PKCS1_SHA256, RSA_PSS_SHA256};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::pem::{p256_private_key, rsa_private_key};
use crate::pending::random_text;

/// How far `iat` and `nbf` lie in the past: vendors refuse assertions from a clock that is ahead of theirs.
const BACKDATED: Duration = Duration::from_secs(30);

/// How far `exp` lies ahead. Salesforce allows three minutes, others more.
const LIFETIME: Duration = Duration::from_secs(180);

/// How a JWT is signed (RFC 7518, 3.1). What the vendor takes is a matter of its reference, never of its answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[non_exhaustive]
pub enum JwtAlgorithm {
    /// `RS256`: RSA with PKCS#1 v1.5 padding and SHA-256, by a key of at least 2048 bits.
    #[default]
    #[serde(rename = "RS256")]
    Rs256,
    /// `PS256`: RSA with PSS padding and SHA-256.
    #[serde(rename = "PS256")]
    Ps256,
    /// `ES256`: ECDSA with P-256 and SHA-256, by a key in PKCS#8.
    #[serde(rename = "ES256")]
    Es256,
}

/// A private key with the algorithm that it signs by.
pub(crate) struct SigningKey {
    algorithm: JwtAlgorithm,
    key_id: Option<String>,
    key: Key,
}

enum Key {
    Rsa(KeyPair),
    P256(EcdsaKeyPair),
}

impl SigningKey {
    /// # Errors
    /// `Config` for `private_key_pem`.
    pub(crate) fn new(algorithm: JwtAlgorithm, pem: &Secret) -> Result<Self> {
        let key = match algorithm {
            JwtAlgorithm::Rs256 | JwtAlgorithm::Ps256 => Key::Rsa(rsa_private_key(pem.expose())?),
            JwtAlgorithm::Es256 => Key::P256(p256_private_key(pem.expose())?),
        };
        Ok(Self { algorithm, key_id: None, key })
    }

    /// Names the key in the header.
    pub(crate) fn with_id(mut self, key_id: Option<String>) -> Self {
        self.key_id = key_id.filter(|id| !id.is_empty());
        self
    }

    fn sign(&self, claims: &impl Serialize) -> Result<Secret> {
        let header = Header {
            alg: match self.algorithm {
                JwtAlgorithm::Rs256 => "RS256",
                JwtAlgorithm::Ps256 => "PS256",
                JwtAlgorithm::Es256 => "ES256",
            },
            typ: "JWT",
            kid: self.key_id.as_deref(),
        };
        let mut token = part(&header)?;
        token.push('.');
        token.push_str(&part(claims)?);
        let random = SystemRandom::new();
        let signature = match (&self.key, self.algorithm) {
            (Key::Rsa(key), algorithm) => {
                let padding =
                    if algorithm == JwtAlgorithm::Ps256 { &RSA_PSS_SHA256 } else { &RSA_PKCS1_SHA256 };
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(padding, &random, token.as_bytes(), &mut signature).map(|()| signature)
            }
            (Key::P256(key), _) => key.sign(&random, token.as_bytes()).map(|made| made.as_ref().to_vec()),
        };
        let signature =
            signature.map_err(|_| Error::new(ErrorKind::Internal, "the assertion cannot be signed"))?;
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(&signature, &mut token);
        Ok(Secret::from(token))
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

/// Signs assertions for one subject.
pub(crate) struct Signer {
    pub(crate) issuer: String,
    pub(crate) subject: String,
    pub(crate) audience: String,
    /// A claim of Google's: what is asked for.
    pub(crate) scope: Option<String>,
    key: SigningKey,
}

#[derive(Serialize)]
struct Header<'a> {
    alg: &'static str,
    typ: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    kid: Option<&'a str>,
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    sub: &'a str,
    aud: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jti: Option<String>,
    iat: u64,
    nbf: u64,
    exp: u64,
}

impl<'a> Claims<'a> {
    fn new(iss: &'a str, sub: &'a str, aud: &'a str, now: SystemTime) -> Self {
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let begin = now.saturating_sub(BACKDATED).as_secs();
        let exp = now.saturating_add(LIFETIME).as_secs();
        Self { iss, sub, aud, scope: None, jti: None, iat: begin, nbf: begin, exp }
    }
}

impl Signer {
    /// # Errors
    /// `Config` that names the field: an empty name, a key that is none.
    pub(crate) fn new(
        issuer: String,
        subject: String,
        audience: String,
        algorithm: JwtAlgorithm,
        pem: &Secret,
    ) -> Result<Self> {
        for (field, value) in [("issuer", &issuer), ("subject", &subject), ("audience", &audience)] {
            if value.is_empty() {
                return Err(Error::config(field, "is empty"));
            }
        }
        Ok(Self { issuer, subject, audience, scope: None, key: SigningKey::new(algorithm, pem)? })
    }

    /// Names the key in the header.
    pub(crate) fn name_key(&mut self, key_id: String) {
        self.key.key_id = Some(key_id).filter(|id| !id.is_empty());
    }

    /// An assertion that is good from a little before `now`.
    pub(crate) fn sign(&self, now: SystemTime) -> Result<Secret> {
        let mut claims = Claims::new(&self.issuer, &self.subject, &self.audience, now);
        claims.scope = self.scope.as_deref();
        self.key.sign(&claims)
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer").finish_non_exhaustive()
    }
}

/// An assertion that stands for a client's secret (RFC 7523, 2.2; OpenID Connect Core, 9): each has an id of its
/// own, because servers take it once.
pub(crate) fn client_assertion(
    key: &SigningKey,
    client: &str,
    audience: &str,
    now: SystemTime,
) -> Result<Secret> {
    let mut claims = Claims::new(client, client, audience, now);
    claims.jti = Some(random_text()?);
    key.sign(&claims)
}

fn part(value: &impl Serialize) -> Result<String> {
    let json = serde_json::to_vec(value)
        .map_err(|e| Error::new(ErrorKind::Internal, "the assertion cannot be written").with_source(e))?;
    Ok(URL_SAFE_NO_PAD.encode(json))
}

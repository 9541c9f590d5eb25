//! Assertions for the JWT bearer grant (RFC 7523), signed with RS256.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use acople_core::{Error, ErrorKind, Result, Secret};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair;
use aws_lc_rs::signature::RSA_PKCS1_SHA256;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;

use crate::pem::rsa_private_key;

/// How far `iat` and `nbf` lie in the past: vendors refuse assertions from a clock that is ahead of theirs.
const BACKDATED: Duration = Duration::from_secs(30);

/// How far `exp` lies ahead. Salesforce allows three minutes, others more.
const LIFETIME: Duration = Duration::from_secs(180);

/// Signs assertions for one subject.
pub(crate) struct Signer {
    pub(crate) issuer: String,
    pub(crate) subject: String,
    pub(crate) audience: String,
    /// A claim of Google's: what is asked for.
    pub(crate) scope: Option<String>,
    key: KeyPair,
}

#[derive(Serialize)]
struct Header {
    alg: &'static str,
    typ: &'static str,
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    sub: &'a str,
    aud: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<&'a str>,
    iat: u64,
    nbf: u64,
    exp: u64,
}

impl Signer {
    /// # Errors
    /// `Config` that names the field: an empty name, a key that is none.
    pub(crate) fn new(issuer: String, subject: String, audience: String, pem: &Secret) -> Result<Self> {
        for (field, value) in [("issuer", &issuer), ("subject", &subject), ("audience", &audience)] {
            if value.is_empty() {
                return Err(Error::config(field, "is empty"));
            }
        }
        Ok(Self { issuer, subject, audience, scope: None, key: rsa_private_key(pem.expose())? })
    }

    /// An assertion that is good from a little before `now`.
    pub(crate) fn sign(&self, now: SystemTime) -> Result<Secret> {
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let begin = now.saturating_sub(BACKDATED).as_secs();
        let claims = Claims {
            iss: &self.issuer,
            sub: &self.subject,
            aud: &self.audience,
            scope: self.scope.as_deref(),
            iat: begin,
            nbf: begin,
            exp: now.saturating_add(LIFETIME).as_secs(),
        };
        let mut token = part(&Header { alg: "RS256", typ: "JWT" })?;
        token.push('.');
        token.push_str(&part(&claims)?);
        let mut signature = vec![0; self.key.public_modulus_len()];
        self.key
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), token.as_bytes(), &mut signature)
            .map_err(|_| Error::new(ErrorKind::Internal, "the assertion cannot be signed"))?;
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(&signature, &mut token);
        Ok(Secret::from(token))
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer").finish_non_exhaustive()
    }
}

fn part(value: &impl Serialize) -> Result<String> {
    let json = serde_json::to_vec(value)
        .map_err(|e| Error::new(ErrorKind::Internal, "the assertion cannot be written").with_source(e))?;
    Ok(URL_SAFE_NO_PAD.encode(json))
}

//! Verifies tokens.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use acople_core::{Clock, Error, Result, Secret, SystemClock};
use async_trait::async_trait;
use serde_json::{Map, Value};

use super::refusal::refused;
use super::token::{Unverified, unvouched};
use super::{JwtAlgorithm, JwtConfig, KeySource, claims};
use crate::{Identity, IdentityProvider, Proof};

/// Verifies the tokens of one issuer.
///
/// In this order: size and form; the algorithm, which must be one of the config's; a key of that name **and** for that
/// algorithm; the signature; then the claims. Nothing in a token is believed before its signature is good, and a token
/// can choose neither algorithm nor key.
///
/// Cheap to clone.
///
/// Every refusal is [`Reauth`](acople_core::ErrorKind::Reauth) with one of these codes: `token_malformed`,
/// `token_too_large`, `header_refused`, `type_refused`, `algorithm_refused`, `key_unknown`, `signature_invalid`,
/// `issuer_refused`, `audience_refused`, `token_expired`, `token_not_yet_valid`, `claim_missing`, `claim_invalid`,
/// `claim_refused`. The message says what to do; it is for the host's log, and nothing to show to whoever called.
#[derive(Clone)]
pub struct JwtVerifier {
    config: Arc<JwtConfig>,
    keys: Arc<dyn KeySource>,
    clock: Arc<dyn Clock>,
}

/// A token whose signature and claims are good.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct VerifiedToken {
    /// How it was signed.
    pub algorithm: JwtAlgorithm,
    /// Its header.
    pub header: Map<String, Value>,
    /// Its claims, all of them.
    pub claims: Map<String, Value>,
    /// From when on it no longer counts.
    pub expires_at: SystemTime,
}

impl JwtVerifier {
    /// A verifier by the machine's clock. Does no I/O.
    ///
    /// # Errors
    /// [`Config`](acople_core::ErrorKind::Config) that names the field.
    pub fn new(config: JwtConfig, keys: impl KeySource) -> Result<Self> {
        config.check()?;
        Ok(Self { config: Arc::new(config), keys: Arc::new(keys), clock: Arc::new(SystemClock) })
    }

    /// Replaces the clock.
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// What is taken.
    pub fn config(&self) -> &JwtConfig {
        &self.config
    }

    /// Verifies a token.
    ///
    /// # Errors
    /// [`Reauth`](acople_core::ErrorKind::Reauth) with a code, as the type says; what the [`KeySource`] says when
    /// there are no keys now.
    pub async fn verify(&self, token: &Secret) -> Result<VerifiedToken> {
        let unverified = Unverified::read(token.expose(), self.config.max_bytes)?;
        unverified.check_header(self.config.ignore_key_headers)?;
        self.check_type(&unverified)?;
        let algorithm = self.algorithm(&unverified)?;
        let kid = unverified.text("kid")?;
        let keys = self.keys.keys(kid).await?;
        let mut tried = 0;
        let message = unverified.signed.as_bytes();
        for key in keys.iter().filter(|key| key.answers_to(kid) && key.algorithms().contains(&algorithm)) {
            tried += 1;
            if key.verifies(algorithm, message, &unverified.signature) {
                let claims = unverified.claims()?;
                let expires_at = claims::check(&claims, &self.config, self.clock.now())?;
                return Ok(VerifiedToken { algorithm, header: unverified.header, claims, expires_at });
            }
        }
        Err(if tried == 0 { unknown_key(kid, algorithm) } else { bad_signature(algorithm) })
    }

    /// Verifies a token and says who it is about: its `sub`, which must be there.
    ///
    /// # Errors
    /// As [`verify`](Self::verify).
    pub async fn identity(&self, token: &Secret) -> Result<Identity> {
        let VerifiedToken { claims, expires_at, .. } = self.verify(token).await?;
        claims::identity(claims, &self.config, expires_at)
    }

    #[cfg(feature = "oidc")]
    pub(crate) fn identity_of(&self, token: VerifiedToken) -> Result<Identity> {
        claims::identity(token.claims, &self.config, token.expires_at)
    }

    /// The config's algorithm that the token claims to be signed with.
    fn algorithm(&self, token: &Unverified<'_>) -> Result<JwtAlgorithm> {
        let named = token.text("alg")?.unwrap_or("nothing");
        self.config.algorithms.iter().copied().find(|algorithm| algorithm.as_str() == named).ok_or_else(|| {
            let taken: Vec<&str> = self.config.algorithms.iter().map(|one| one.as_str()).collect();
            let text = format!(
                "the token says that it is signed with {}, and {} is taken: if the issuer has changed its algorithm, change algorithms",
                unvouched(named),
                taken.join(" or ")
            );
            refused("algorithm_refused", text)
        })
    }

    fn check_type(&self, token: &Unverified<'_>) -> Result<()> {
        let Some(expected) = &self.config.typ else { return Ok(()) };
        // RFC 7515, 4.1.9: a media type, whose "application/" may be left out.
        let bare = |typ: &str| {
            let lower = typ.to_ascii_lowercase();
            lower.strip_prefix("application/").map(str::to_owned).unwrap_or(lower)
        };
        let typ = token.text("typ")?.unwrap_or("nothing");
        if bare(typ) == bare(expected) {
            return Ok(());
        }
        let text = format!(
            "the token's typ is {}, and {expected} is expected: it was made for another use",
            unvouched(typ)
        );
        Err(refused("type_refused", text))
    }
}

#[async_trait]
impl IdentityProvider for JwtVerifier {
    async fn identify(&self, proof: &Proof<'_>) -> Result<Identity> {
        match proof {
            Proof::Token(token) => self.identity(token).await,
            _ => Err(Error::config("proof", "is not a token: tokens are verified here")),
        }
    }
}

impl fmt::Debug for JwtVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwtVerifier")
            .field("issuer", &self.config.issuer)
            .field("algorithms", &self.config.algorithms)
            .field("keys", &self.keys)
            .finish_non_exhaustive()
    }
}

fn unknown_key(kid: Option<&str>, algorithm: JwtAlgorithm) -> Error {
    let text = match kid {
        Some(kid) => format!(
            "no {algorithm} key of the issuer has the kid {}: the key was withdrawn, or the token is of another issuer",
            unvouched(kid)
        ),
        None => {
            format!("the issuer has no {algorithm} key: is the algorithm the one that the issuer signs with?")
        }
    };
    refused("key_unknown", text)
}

fn bad_signature(algorithm: JwtAlgorithm) -> Error {
    let text = format!(
        "the token's {algorithm} signature is not by the issuer's key: it was forged, changed on its way, or signed with another key of the same name"
    );
    refused("signature_invalid", text)
}

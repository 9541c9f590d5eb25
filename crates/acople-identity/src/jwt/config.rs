//! What a verifier takes.

use std::collections::BTreeMap;

use acople_core::{Error, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::JwtAlgorithm;

/// Longest leeway that makes sense, in seconds.
const LEEWAY_MAX: u64 = 600;

/// What a [`JwtVerifier`](crate::JwtVerifier) takes: tokens of one issuer, for this service, signed in a way that is
/// named here. Times are in seconds.
///
/// ```
/// use acople_identity::{JwtAlgorithm, JwtConfig};
///
/// let in_code = JwtConfig::new("https://login.example.com/", "orders-api", [JwtAlgorithm::Rs256]);
/// let from_json: JwtConfig = serde_json::from_str(
///     r#"{"issuer": "https://login.example.com/", "audiences": ["orders-api"], "algorithms": ["RS256"]}"#,
/// )?;
/// assert_eq!(in_code, from_json);
/// # Ok::<_, serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct JwtConfig {
    /// The `iss` that tokens must have, letter by letter.
    pub issuer: String,
    /// This service's names: a token's `aud` must hold one of them.
    #[serde(default)]
    pub audiences: Vec<String>,
    /// Takes tokens for any service. Safe only where another claim says for whom a token is: name it in `claims`.
    #[serde(default)]
    pub any_audience: bool,
    /// How tokens may be signed.
    pub algorithms: Vec<JwtAlgorithm>,
    /// How far the issuer's clock may be away from this host's; 60 unless told otherwise, 600 at most.
    #[serde(default = "leeway")]
    pub leeway_seconds: u64,
    /// Largest token, in bytes; 16 KiB unless told otherwise.
    #[serde(default = "max_bytes")]
    pub max_bytes: usize,
    /// The `typ` that tokens must have, such as `at+jwt` (RFC 9068): keeps tokens for one use from being taken for
    /// another. `None`: it is not looked at.
    #[serde(default)]
    pub typ: Option<String>,
    /// Claims that must be there besides `iss`, `aud` and `exp`.
    #[serde(default)]
    pub required_claims: Vec<String>,
    /// Claims that must have exactly this value: `{"token_use": "access", "client_id": "..."}`.
    #[serde(default)]
    pub claims: BTreeMap<String, Value>,
    /// The claim with the groups.
    #[serde(default = "groups")]
    pub groups_claim: String,
    /// Passes over `jku`, `jwk`, `x5u` and `x5c` in a token's header instead of refusing it, for issuers that always
    /// send them (Cloud Foundry UAA, SAP XSUAA). They are never read.
    #[serde(default)]
    pub ignore_key_headers: bool,
}

impl JwtConfig {
    /// Tokens of this issuer, for this service.
    pub fn new(
        issuer: impl Into<String>,
        audience: impl Into<String>,
        algorithms: impl IntoIterator<Item = JwtAlgorithm>,
    ) -> Self {
        Self {
            issuer: issuer.into(),
            audiences: vec![audience.into()],
            any_audience: false,
            algorithms: algorithms.into_iter().collect(),
            leeway_seconds: leeway(),
            max_bytes: max_bytes(),
            typ: None,
            required_claims: Vec::new(),
            claims: BTreeMap::new(),
            groups_claim: groups(),
            ignore_key_headers: false,
        }
    }

    /// Adds a name of this service.
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.audiences.push(audience.into());
        self
    }

    /// Sets how far the issuer's clock may be away, in seconds.
    pub fn leeway_seconds(mut self, seconds: u64) -> Self {
        self.leeway_seconds = seconds;
        self
    }

    /// Sets the size of the largest token, in bytes.
    pub fn max_bytes(mut self, bytes: usize) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// Sets the `typ` that tokens must have.
    pub fn typ(mut self, typ: impl Into<String>) -> Self {
        self.typ = Some(typ.into());
        self
    }

    /// Adds a claim that must be there.
    pub fn require(mut self, claim: impl Into<String>) -> Self {
        self.required_claims.push(claim.into());
        self
    }

    /// Adds a claim that must have this value.
    pub fn claim(mut self, claim: impl Into<String>, value: impl Into<Value>) -> Self {
        self.claims.insert(claim.into(), value.into());
        self
    }

    /// Names the claim with the groups.
    pub fn groups_claim(mut self, claim: impl Into<String>) -> Self {
        self.groups_claim = claim.into();
        self
    }

    /// Passes over headers by which a token brings its own key.
    pub fn ignore_key_headers(mut self) -> Self {
        self.ignore_key_headers = true;
        self
    }

    /// Refuses what cannot be meant.
    pub(crate) fn check(&self) -> Result<()> {
        let fault = |field: &str, text: &str| Err(Error::config(field, text));
        if self.issuer.is_empty() {
            return fault("issuer", "is empty: it is the iss of the tokens, letter by letter");
        }
        if self.algorithms.is_empty() {
            return fault("algorithms", "is empty: name what the issuer signs with, such as RS256");
        }
        if self.audiences.is_empty() && !self.any_audience {
            return fault("audiences", "is empty: without it tokens for any other service would be taken");
        }
        if self.audiences.iter().any(String::is_empty) {
            return fault("audiences", "holds an empty name");
        }
        if self.leeway_seconds > LEEWAY_MAX {
            return fault("leeway_seconds", "is more than 600: set the clocks instead (NTP)");
        }
        if self.max_bytes == 0 {
            return fault("max_bytes", "is 0: no token would be taken");
        }
        Ok(())
    }
}

fn leeway() -> u64 {
    60
}

fn max_bytes() -> usize {
    16 << 10
}

fn groups() -> String {
    "groups".into()
}

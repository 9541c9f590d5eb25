//! What a login needs to know of its identity provider.

use std::collections::BTreeMap;

use acople_core::{Error, Result, Secret};
use serde::Deserialize;
use serde_json::Value;

use crate::{JwtAlgorithm, JwtConfig};

/// The host as a client of an identity provider.
///
/// ```
/// use acople_identity::OidcConfig;
///
/// let config: OidcConfig = serde_json::from_str(
///     r#"{"issuer": "https://login.example.com", "client_id": "orders", "client_secret": "...",
///         "redirect_url": "https://orders.example.com/login/callback"}"#,
/// )?;
/// assert_eq!(config.scopes, ["openid", "profile", "email"]);
/// # Ok::<_, serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct OidcConfig {
    /// The issuer, letter by letter as its metadata say it. These are below it, at
    /// `/.well-known/openid-configuration`.
    pub issuer: String,
    /// The id under which the host is registered there.
    pub client_id: String,
    /// Its secret; `None` for a public client.
    #[serde(default)]
    pub client_secret: Option<Secret>,
    /// Where users come back to, as registered there. Where a host has several identity providers, each has a
    /// redirect URL of its own, so that none can send users back in another's name (RFC 9700, 4.4.2).
    pub redirect_url: String,
    /// What to ask for: `openid profile email` unless told otherwise.
    #[serde(default = "scopes")]
    pub scopes: Vec<String>,
    /// How id tokens may be signed: RS256 unless told otherwise, which every provider can.
    #[serde(default = "algorithms")]
    pub algorithms: Vec<JwtAlgorithm>,
    /// How far the provider's clock may be away from this host's, in seconds; 60 unless told otherwise.
    #[serde(default = "leeway")]
    pub leeway_seconds: u64,
    /// Claims that an id token must have with exactly this value, such as Google's `hd` and Microsoft's `tid`: without
    /// them anybody with an account there can log in.
    #[serde(default)]
    pub claims: BTreeMap<String, Value>,
    /// The claim with the groups.
    #[serde(default = "groups")]
    pub groups_claim: String,
    /// Parameters for the authorization endpoint, such as `prompt`.
    #[serde(default)]
    pub params: BTreeMap<String, String>,
    /// Asks the userinfo endpoint too, for what is not in the id token.
    #[serde(default)]
    pub userinfo: bool,
}

impl OidcConfig {
    /// A confidential client; for a public one leave out the secret by [`public`](Self::public).
    pub fn new(
        issuer: impl Into<String>,
        client_id: impl Into<String>,
        client_secret: Secret,
        redirect_url: impl Into<String>,
    ) -> Self {
        Self {
            issuer: issuer.into(),
            client_id: client_id.into(),
            client_secret: Some(client_secret),
            redirect_url: redirect_url.into(),
            scopes: scopes(),
            algorithms: algorithms(),
            leeway_seconds: leeway(),
            claims: BTreeMap::new(),
            groups_claim: groups(),
            params: BTreeMap::new(),
            userinfo: false,
        }
    }

    /// Makes it a client without a secret.
    pub fn public(mut self) -> Self {
        self.client_secret = None;
        self
    }

    /// Sets what to ask for.
    pub fn scopes<S: Into<String>>(mut self, scopes: impl IntoIterator<Item = S>) -> Self {
        self.scopes = scopes.into_iter().map(Into::into).collect();
        self
    }

    /// Sets how id tokens may be signed.
    pub fn algorithms(mut self, algorithms: impl IntoIterator<Item = JwtAlgorithm>) -> Self {
        self.algorithms = algorithms.into_iter().collect();
        self
    }

    /// Adds a claim that id tokens must have with this value.
    pub fn claim(mut self, claim: impl Into<String>, value: impl Into<Value>) -> Self {
        self.claims.insert(claim.into(), value.into());
        self
    }

    /// Names the claim with the groups.
    pub fn groups_claim(mut self, claim: impl Into<String>) -> Self {
        self.groups_claim = claim.into();
        self
    }

    /// Adds a parameter for the authorization endpoint.
    pub fn param(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.params.insert(name.into(), value.into());
        self
    }

    /// Asks the userinfo endpoint too.
    pub fn userinfo(mut self) -> Self {
        self.userinfo = true;
        self
    }

    /// What the id tokens must be.
    ///
    /// # Errors
    /// `Config` that names the field.
    pub(crate) fn tokens(&self) -> Result<JwtConfig> {
        if self.client_id.is_empty() {
            return Err(Error::config("client_id", "is empty"));
        }
        if self.algorithms.contains(&JwtAlgorithm::Hs256) {
            let text = "HS256 is not taken for logins: register the client with RS256 or ES256 for id tokens";
            return Err(Error::config("algorithms", text));
        }
        let mut config = JwtConfig::new(&self.issuer, &self.client_id, self.algorithms.iter().copied())
            .leeway_seconds(self.leeway_seconds)
            .groups_claim(&self.groups_claim);
        config.claims.clone_from(&self.claims);
        config.check()?;
        Ok(config)
    }
}

fn scopes() -> Vec<String> {
    ["openid", "profile", "email"].map(String::from).into()
}

fn algorithms() -> Vec<JwtAlgorithm> {
    vec![JwtAlgorithm::Rs256]
}

fn leeway() -> u64 {
    60
}

fn groups() -> String {
    "groups".into()
}

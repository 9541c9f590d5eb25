//! Issues, verifies, rotates and revokes keys.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use acople_core::{Clock, Error, ErrorKind, Result, Secret, SystemClock};
use async_trait::async_trait;
use aws_lc_rs::constant_time::verify_slices_are_equal;

use super::store::{ApiKeyRecord, ApiKeyStore};
use super::text;
use crate::{Identity, IdentityProvider, Proof};

/// Longest prefix, in characters.
const PREFIX_MAX: usize = 20;

/// The host's own API keys: `acme_<id>_<secret>`.
///
/// The id stands in the key in clear, the secret has 256 random bits, and the last eight characters are a checksum, so
/// that a scanner of repositories and logs can tell a leaked key without asking. For a prefix `acme` its pattern is
/// `acme_[a-z2-7]{16}_[a-z2-7]{60}`; the checksum is the first 40 bits of the SHA-256 of what stands before it, in
/// base32 (RFC 4648) with small letters.
///
/// A key is shown once, when it is made. What is kept is its hash: whoever reads the store has no key.
///
/// Cheap to clone.
#[derive(Clone)]
pub struct ApiKeys {
    prefix: String,
    store: Arc<dyn ApiKeyStore>,
    clock: Arc<dyn Clock>,
}

/// What a new key is for.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct ApiKeyRequest {
    /// Whose key it is: the subject of the [`Identity`].
    pub owner: String,
    /// What its owner calls it.
    pub name: Option<String>,
    /// What it may do.
    pub scopes: BTreeSet<String>,
    /// How long it is good; `None`: until it is revoked.
    pub lifetime: Option<Duration>,
}

impl ApiKeyRequest {
    /// A key of this owner, without a scope and an end.
    pub fn new(owner: impl Into<String>) -> Self {
        Self { owner: owner.into(), ..Self::default() }
    }

    /// Names the key, for its owner's list.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Says what the key may do.
    pub fn scopes<S: Into<String>>(mut self, scopes: impl IntoIterator<Item = S>) -> Self {
        self.scopes.extend(scopes.into_iter().map(Into::into));
        self
    }

    /// Lets the key end.
    pub fn lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = Some(lifetime);
        self
    }
}

/// A new key, to be shown to its owner now: there is no way to show it again.
#[derive(Clone)]
#[non_exhaustive]
pub struct IssuedApiKey {
    /// The key.
    pub key: Secret,
    /// What is kept of it.
    pub record: ApiKeyRecord,
}

impl fmt::Debug for IssuedApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IssuedApiKey").field("record", &self.record).finish_non_exhaustive()
    }
}

impl ApiKeys {
    /// Keys that begin with this prefix: the host's name, and what the keys are for where there are several kinds
    /// (`acme_live`, `acme_test`).
    ///
    /// # Errors
    /// [`Config`](ErrorKind::Config) unless the prefix has 1 to 20 small letters, digits and underscores, begins with
    /// a letter and does not end with an underscore.
    pub fn new(prefix: &str, store: impl ApiKeyStore) -> Result<Self> {
        let is_name = prefix.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
            && prefix.starts_with(|c: char| c.is_ascii_lowercase())
            && !prefix.ends_with('_');
        if !is_name || prefix.len() > PREFIX_MAX {
            let text = "has to be 1 to 20 small letters, digits and underscores, a letter first and no underscore last";
            return Err(Error::config("prefix", text));
        }
        Ok(Self { prefix: prefix.to_owned(), store: Arc::new(store), clock: Arc::new(SystemClock) })
    }

    /// Replaces the clock.
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Makes a key. It counts when this returns.
    ///
    /// # Errors
    /// [`Config`](ErrorKind::Config) for a request without an owner; [`Internal`](ErrorKind::Internal) when the system
    /// has no random numbers; what the store says.
    pub async fn issue(&self, request: ApiKeyRequest) -> Result<IssuedApiKey> {
        if request.owner.is_empty() {
            return Err(Error::config("owner", "is empty"));
        }
        let now = self.clock.now();
        let ends_at = request.lifetime.and_then(|lifetime| now.checked_add(lifetime));
        let (id, key) = text::generate(&self.prefix)?;
        let mut record = ApiKeyRecord::new(id, text::hash(key.expose()), request.owner, now);
        record.name = request.name;
        record.scopes = request.scopes;
        record.lifetime = request.lifetime;
        record.ends_at = ends_at;
        self.store.insert(record.clone()).await?;
        Ok(IssuedApiKey { key, record })
    }

    /// Verifies a key. The identity's issuer is the prefix, its subject the key's owner; `key_id` is among the claims.
    ///
    /// # Errors
    /// [`Reauth`](ErrorKind::Reauth) with a code: `api_key_malformed`, `api_key_unknown` or `api_key_ended`; what the
    /// store says.
    pub async fn verify(&self, key: &Secret) -> Result<Identity> {
        let id = text::id(key.expose(), &self.prefix)
            .map_err(|fault| refused("api_key_malformed", format!("the key {fault}")))?;
        let unknown = || {
            refused(
                "api_key_unknown",
                format!("there is no such key (id {id}): was it made for another service or stage?"),
            )
        };
        let record = self.store.load(id).await?.ok_or_else(unknown)?;
        // The id is no secret; whether the rest is right must not show in the time that it takes.
        verify_slices_are_equal(&text::hash(key.expose()), &record.hash).map_err(|_| unknown())?;
        if record.ends_at.is_some_and(|ends| self.clock.now() >= ends) {
            let text =
                format!("the key (id {id}) has ended: it ran out, was replaced or revoked; make a new one");
            return Err(refused("api_key_ended", text));
        }
        let mut identity = Identity::new(self.prefix.clone(), record.owner);
        identity.name = record.name;
        identity.scopes = record.scopes;
        identity.expires_at = record.ends_at;
        identity.claims.insert("key_id".into(), record.id.into());
        Ok(identity)
    }

    /// Makes a key in place of another, with the same owner, name, scopes and length of life. The old one goes on for
    /// `overlap`, for its owner to bring the new one to where the old one is used.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) for an id that is not there, [`Conflict`](ErrorKind::Conflict) for a key that
    /// has ended; what the store says: the old key then goes on as before, and the new one does not count.
    pub async fn rotate(&self, id: &str, overlap: Duration) -> Result<IssuedApiKey> {
        let now = self.clock.now();
        let old =
            self.store.load(id).await?.ok_or_else(|| {
                Error::new(ErrorKind::NotFound, "there is no key of this id").with_record(id)
            })?;
        if old.ends_at.is_some_and(|ends| now >= ends) {
            let text = "the key has ended: make a new one instead of replacing it";
            return Err(Error::new(ErrorKind::Conflict, text).with_record(id));
        }
        let request =
            ApiKeyRequest { owner: old.owner, name: old.name, scopes: old.scopes, lifetime: old.lifetime };
        let new = self.issue(request).await?;
        let ends = now.checked_add(overlap).unwrap_or(now);
        if let Err(error) = self.store.end(id, ends).await {
            // Nobody has seen the new one; its record ends if the store still takes anything.
            let _ = self.store.end(&new.record.id, now).await;
            return Err(error);
        }
        Ok(new)
    }

    /// Ends a key at once. Doing it again changes nothing.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) for an id that is not there; what the store says: the key may then go on, so
    /// try again.
    pub async fn revoke(&self, id: &str) -> Result<()> {
        self.store.end(id, self.clock.now()).await
    }

    /// The records of an owner's keys, for a list to choose from.
    ///
    /// # Errors
    /// What the store says.
    pub async fn list(&self, owner: &str) -> Result<Vec<ApiKeyRecord>> {
        self.store.list(owner).await
    }

    /// When a key was made in this host's name and has no fault in copying, its id: for what scanners of repositories
    /// report. Asks nobody.
    pub fn id_of(&self, key: &Secret) -> Option<String> {
        text::id(key.expose(), &self.prefix).ok().map(str::to_owned)
    }
}

#[async_trait]
impl IdentityProvider for ApiKeys {
    async fn identify(&self, proof: &Proof<'_>) -> Result<Identity> {
        match proof {
            Proof::Token(token) => self.verify(token).await,
            _ => Err(Error::config("proof", "is not a token: API keys are verified here")),
        }
    }
}

impl fmt::Debug for ApiKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiKeys")
            .field("prefix", &self.prefix)
            .field("store", &self.store)
            .finish_non_exhaustive()
    }
}

fn refused(code: &'static str, message: impl AsRef<str>) -> Error {
    Error::new(ErrorKind::Reauth, message).with_code(code).with_operation("verify the API key")
}

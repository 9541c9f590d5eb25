//! What acople remembers, and the traits of the places that remember it.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::{Error, Result, Secret};

/// Which state is meant: one partition of one stream of one sync of one tenant.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct StateKey {
    /// The host's customer; empty when the host has none.
    pub tenant: String,
    /// The sync's name, chosen by the host.
    pub sync: String,
    /// The source stream.
    pub stream: String,
    /// The partition; empty when the stream is read whole.
    pub partition: String,
}

impl StateKey {
    /// The state of a sync's stream, without tenant and partition.
    pub fn new(sync: impl Into<String>, stream: impl Into<String>) -> Self {
        Self { tenant: String::new(), sync: sync.into(), stream: stream.into(), partition: String::new() }
    }

    /// Names the host's customer.
    pub fn with_tenant(mut self, tenant: impl Into<String>) -> Self {
        self.tenant = tenant.into();
        self
    }

    /// Names the partition.
    pub fn with_partition(mut self, partition: impl Into<String>) -> Self {
        self.partition = partition.into();
        self
    }
}

/// How often a stored thing was written: the fence against stale writers. 0 means "not there".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Generation(pub u64);

/// Keeps the state of syncs.
///
/// `save` returns only when the state would survive a crash of the machine.
#[async_trait]
pub trait CheckpointStore: Send + Sync + fmt::Debug + 'static {
    /// The state and its generation; `None` when there is none.
    ///
    /// # Errors
    /// A damaged state is an error, never "none": starting over is the host's decision.
    async fn load(&self, key: &StateKey) -> Result<Option<(Vec<u8>, Generation)>>;

    /// Writes the state if it is still at generation `expected`, and gives the new generation.
    ///
    /// # Errors
    /// `Fenced` when somebody else has written since; `TooLarge` above the store's limit.
    async fn save(&self, key: &StateKey, expected: Generation, state: &[u8]) -> Result<Generation>;

    /// Forgets one state. The next `save` starts from `Generation(0)` unless the store keeps a later
    /// one to fence stale writers; [`load`](Self::load) answers `None` either way.
    async fn remove(&self, key: &StateKey) -> Result<()>;

    /// The keys of a sync, or of all syncs.
    async fn keys(&self, sync: Option<&str>) -> Result<Vec<StateKey>>;
}

/// Whose tokens are meant: one connection of one tenant.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ConnectionKey {
    /// The host's customer; empty when the host has none.
    pub tenant: String,
    /// The connector's id.
    pub connector: String,
    /// The connection's name, chosen by the host.
    pub connection: String,
}

impl ConnectionKey {
    /// A connection without tenant.
    pub fn new(connector: impl Into<String>, connection: impl Into<String>) -> Self {
        Self { tenant: String::new(), connector: connector.into(), connection: connection.into() }
    }

    /// Names the host's customer.
    pub fn with_tenant(mut self, tenant: impl Into<String>) -> Self {
        self.tenant = tenant.into();
        self
    }
}

/// The tokens of one connection.
#[derive(Clone, Debug)]
pub struct TokenSet {
    /// What goes on requests.
    pub access: Secret,
    /// What renews it; a rotated one replaces the one before.
    pub refresh: Option<Secret>,
    /// When the access token ends; `None`: it is used until it is refused.
    pub expires_at: Option<SystemTime>,
    /// The account's base URL, where the token's answer names it.
    pub endpoint: Option<Url>,
    /// What else the answer said and the connector needs (organisation, scope). No secrets.
    pub extra: BTreeMap<String, String>,
}

/// An answer to the wish to be the one who renews a connection's tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lease {
    /// The asker may renew until the term is over.
    Granted,
    /// Somebody else renews; their term ends after this time.
    Busy(Duration),
}

/// Keeps the tokens of connections, encrypted.
///
/// `save` returns only when the tokens would survive a crash of the machine: a rotated refresh token
/// that is lost locks the customer out.
///
/// A lease keeps two workers from redeeming one refresh token at the same time. It protects nothing: a
/// holder that pauses for longer than its term is overtaken, and then the generation refuses its write.
#[async_trait]
pub trait TokenStore: Send + Sync + fmt::Debug + 'static {
    /// The tokens and their generation; `None` when there are none.
    async fn load(&self, key: &ConnectionKey) -> Result<Option<(TokenSet, Generation)>>;

    /// Writes the tokens if they are still at generation `expected`, and gives the new generation.
    ///
    /// # Errors
    /// `Fenced` when somebody else has written since: load again.
    async fn save(&self, key: &ConnectionKey, expected: Generation, tokens: &TokenSet) -> Result<Generation>;

    /// Forgets the tokens.
    async fn remove(&self, key: &ConnectionKey) -> Result<()>;

    /// Asks for the lease of a connection's renewal, whether it has tokens or not. A holder that has it and
    /// asks again prolongs it to `term` from now.
    ///
    /// Terms are measured by the store's own clock, never by those of the workers. As it stands here every
    /// wish is granted, which is right for a store that one worker uses alone.
    async fn lease(&self, key: &ConnectionKey, holder: &str, term: Duration) -> Result<Lease> {
        let _ = (key, holder, term);
        Ok(Lease::Granted)
    }

    /// Gives the lease back. Nothing happens when `holder` does not have it.
    async fn release(&self, key: &ConnectionKey, holder: &str) -> Result<()> {
        let _ = (key, holder);
        Ok(())
    }
}

/// Keeps secrets that connectors are configured with (API keys, client secrets, passwords), encrypted: one text a
/// field of a connection.
///
/// `save` returns only when the secret would survive a crash of the machine. A config names a stored secret by
/// `{"secret": "<field>"}`, which [`resolve_secrets`](crate::resolve_secrets) replaces.
#[async_trait]
pub trait SecretStore: Send + Sync + fmt::Debug + 'static {
    /// The secret and its generation; `None` when there is none.
    ///
    /// # Errors
    /// A secret that is damaged, put back from before, or sealed with a key that is not here is an error, never
    /// "none".
    async fn load(&self, connection: &ConnectionKey, field: &str) -> Result<Option<(Secret, Generation)>>;

    /// Writes the secret if it is still at generation `expected`, and gives the new generation.
    ///
    /// # Errors
    /// `Fenced` when somebody else has written since: load again. `TooLarge` above the store's limit.
    async fn save(
        &self,
        connection: &ConnectionKey,
        field: &str,
        expected: Generation,
        secret: &Secret,
    ) -> Result<Generation>;

    /// Forgets the secret. A later [`save`](Self::save) starts from `Generation(0)`; writers from before the
    /// removal stay fenced.
    async fn remove(&self, connection: &ConnectionKey, field: &str) -> Result<()>;

    /// The fields of a connection that have a secret, in order.
    async fn fields(&self, connection: &ConnectionKey) -> Result<Vec<String>>;
}

/// Where on its way a record was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Stage {
    /// The source could not make sense of it.
    Read,
    /// The mapper refused it.
    Map,
    /// The destination refused it.
    Write,
    /// Both sides of a two-way sync changed it, and no rule decides between them.
    Merge,
}

/// A record that was set aside with all that is needed to judge and replay it.
#[derive(Debug, Serialize, Deserialize)]
pub struct Quarantined {
    /// Made from the sync, stream, key and text of the record: quarantining it again after a crash
    /// replaces it.
    pub id: String,
    /// The state that the record belongs to.
    pub key: StateKey,
    /// The run that set it aside.
    pub run: String,
    /// Its number within the run, from 0.
    pub position: u64,
    /// Where it was refused.
    pub stage: Stage,
    /// Why.
    pub error: Error,
    /// The record as the source sent it, before mapping.
    pub record: String,
    /// Whether the record is a deletion.
    #[serde(default)]
    pub deleted: bool,
    /// How often it was tried, replays included; 0 when it was set aside before that was counted.
    #[serde(default)]
    pub attempts: u32,
    /// When it was set aside.
    pub at: SystemTime,
}

/// Keeps refused records.
///
/// `put` returns only when the records would survive a crash: a checkpoint may pass them then.
#[async_trait]
pub trait QuarantineStore: Send + Sync + fmt::Debug + 'static {
    /// Sets records aside; a record with the same id is replaced.
    async fn put(&self, records: &[Quarantined]) -> Result<()>;

    /// Up to `limit` records of a sync (of all syncs: `None`) with ids after `after`, in id order.
    async fn list(&self, sync: Option<&str>, after: Option<&str>, limit: usize) -> Result<Vec<Quarantined>>;

    /// Forgets records, after a replay or by decision. Unknown ids are ignored.
    async fn remove(&self, ids: &[String]) -> Result<()>;

    /// How many records a sync (all syncs: `None`) has here.
    async fn count(&self, sync: Option<&str>) -> Result<u64>;
}

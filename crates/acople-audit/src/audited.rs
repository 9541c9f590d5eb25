//! Stores that record what is done with them.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use acople_core::{ConnectionKey, Generation, Lease, Result, Secret, SecretStore, TokenSet, TokenStore};

use crate::{Action, Entry, Outcome, Trail};

/// A [`TokenStore`] or [`SecretStore`] around another, which records every read, change and removal.
///
/// Connectors need no change: they are given this store instead. Reading waits for its record and fails without it;
/// see [`Trail`] for what happens to the others.
///
/// ```
/// # use std::sync::Arc;
/// # use acople_audit::{AuditSink, Audited, Trail};
/// # use acople_core::{Resources, TokenStore, Transport};
/// # fn resources(transport: Arc<dyn Transport>, log: Arc<dyn AuditSink>, store: Arc<dyn TokenStore>) -> Resources {
/// let tokens = Audited::new(store, Trail::new(log, "service:sync"));
/// Resources::new(transport).with_tokens(Arc::new(tokens))
/// # }
/// ```
pub struct Audited<S: ?Sized> {
    store: Arc<S>,
    trail: Trail,
}

impl<S: ?Sized> Audited<S> {
    /// Records what the trail's actor does with the store.
    pub fn new(store: Arc<S>, trail: Trail) -> Self {
        Self { store, trail }
    }

    /// The same store for another actor: for the user who connects an account, say.
    pub fn by(&self, actor: &str) -> Self {
        Self { store: self.store.clone(), trail: self.trail.by(actor) }
    }

    fn entry(&self, action: Action, connection: &ConnectionKey) -> Entry {
        self.trail.entry(action, connection)
    }

    /// Records a read before anybody has what was read.
    async fn read<T>(&self, entry: Entry, read: Result<Option<T>>) -> Result<Option<T>> {
        let outcome = match &read {
            Ok(Some(_)) => Outcome::Done,
            Ok(None) => Outcome::Absent,
            Err(error) => Outcome::Failed(error.kind()),
        };
        self.trail.record(&entry.with_outcome(outcome)).await?;
        read
    }

    async fn changed<T>(&self, entry: Entry, changed: Result<T>) -> Result<T> {
        let outcome = match &changed {
            Ok(_) => Outcome::Done,
            Err(error) => Outcome::Failed(error.kind()),
        };
        self.trail.note(&entry.with_outcome(outcome)).await;
        changed
    }
}

impl<S: ?Sized> Clone for Audited<S> {
    fn clone(&self) -> Self {
        Self { store: self.store.clone(), trail: self.trail.clone() }
    }
}

impl<S: ?Sized + fmt::Debug> fmt::Debug for Audited<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Audited").field("store", &self.store).field("trail", &self.trail).finish()
    }
}

#[async_trait]
impl<S: TokenStore + ?Sized> TokenStore for Audited<S> {
    async fn load(&self, key: &ConnectionKey) -> Result<Option<(TokenSet, Generation)>> {
        let loaded = self.store.load(key).await;
        self.read(self.entry(Action::READ_TOKENS, key), loaded).await
    }

    async fn save(&self, key: &ConnectionKey, expected: Generation, tokens: &TokenSet) -> Result<Generation> {
        let action = if expected == Generation(0) { Action::CONNECT } else { Action::REFRESH };
        let saved = self.store.save(key, expected, tokens).await;
        self.changed(self.entry(action, key), saved).await
    }

    async fn remove(&self, key: &ConnectionKey) -> Result<()> {
        let removed = self.store.remove(key).await;
        self.changed(self.entry(Action::REVOKE, key), removed).await
    }

    async fn lease(&self, key: &ConnectionKey, holder: &str, term: Duration) -> Result<Lease> {
        self.store.lease(key, holder, term).await
    }

    async fn release(&self, key: &ConnectionKey, holder: &str) -> Result<()> {
        self.store.release(key, holder).await
    }
}

#[async_trait]
impl<S: SecretStore + ?Sized> SecretStore for Audited<S> {
    async fn load(&self, connection: &ConnectionKey, field: &str) -> Result<Option<(Secret, Generation)>> {
        let loaded = self.store.load(connection, field).await;
        self.read(self.entry(Action::READ_SECRET, connection).with_field(field), loaded).await
    }

    async fn save(
        &self,
        connection: &ConnectionKey,
        field: &str,
        expected: Generation,
        secret: &Secret,
    ) -> Result<Generation> {
        let saved = self.store.save(connection, field, expected, secret).await;
        self.changed(self.entry(Action::CHANGE_SECRET, connection).with_field(field), saved).await
    }

    async fn remove(&self, connection: &ConnectionKey, field: &str) -> Result<()> {
        let removed = self.store.remove(connection, field).await;
        self.changed(self.entry(Action::REMOVE_SECRET, connection).with_field(field), removed).await
    }

    async fn fields(&self, connection: &ConnectionKey) -> Result<Vec<String>> {
        let fields = self.store.fields(connection).await;
        self.changed(self.entry(Action::LIST_SECRETS, connection), fields).await
    }
}

//! The host's token store for one connection, with a limit to every wait.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use acople_core::{ConnectionKey, Error, ErrorKind, Generation, Result, TokenSet, TokenStore};

/// The longest wait for the store: all callers of the connection wait with it.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where the tokens of one connection are kept; without a store, nowhere.
#[derive(Debug)]
pub(crate) struct Vault {
    store: Option<Arc<dyn TokenStore>>,
    key: ConnectionKey,
}

/// What became of a save.
#[derive(Debug)]
pub(crate) enum Saved {
    /// The tokens are durable at this generation (or there is no store).
    Done(Generation),
    /// Somebody else wrote first: these are the tokens that count.
    Superseded(TokenSet, Generation),
}

impl Vault {
    pub(crate) fn new(store: Option<Arc<dyn TokenStore>>, key: ConnectionKey) -> Self {
        Self { store, key }
    }

    pub(crate) fn key(&self) -> &ConnectionKey {
        &self.key
    }

    /// Whether other processes may write here too.
    pub(crate) fn is_shared(&self) -> bool {
        self.store.is_some()
    }

    pub(crate) async fn load(&self) -> Result<Option<(TokenSet, Generation)>> {
        match &self.store {
            Some(store) => patiently(store.load(&self.key)).await,
            None => Ok(None),
        }
    }

    /// Writes the tokens over generation `expected`. Returns when they are durable.
    pub(crate) async fn save(&self, expected: Generation, tokens: &TokenSet) -> Result<Saved> {
        let Some(store) = &self.store else {
            return Ok(Saved::Done(expected));
        };
        match patiently(store.save(&self.key, expected, tokens)).await {
            Ok(generation) => return Ok(Saved::Done(generation)),
            Err(error) if error.kind() == ErrorKind::Fenced => {}
            Err(error) => return Err(error),
        }
        match patiently(store.load(&self.key)).await? {
            Some((stored, generation)) => Ok(Saved::Superseded(stored, generation)),
            // Removed meanwhile: ours are the only ones there are.
            None => Ok(Saved::Done(patiently(store.save(&self.key, Generation(0), tokens)).await?)),
        }
    }
}

async fn patiently<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    match tokio::time::timeout(PATIENCE, work).await {
        Ok(result) => result,
        Err(_) => Err(Error::new(ErrorKind::Timeout, "the token store does not answer")),
    }
}

//! The host's token store for one connection, with a limit to every wait.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use acople_core::{ConnectionKey, Error, ErrorKind, Generation, Lease, Result, TokenSet, TokenStore};

/// The longest wait for the store: all callers of the connection wait with it.
const PATIENCE: Duration = Duration::from_secs(30);

/// The term of a lease. It is prolonged while the work goes on.
const TERM: Duration = Duration::from_secs(30);

/// How often a lease is prolonged.
const BEAT: Duration = Duration::from_secs(10);

/// How often tokens are written over those of others before the store is said to be at fault.
const REPLACEMENTS: u32 = 16;

/// Where the tokens of one connection are kept; without a store, nowhere.
#[derive(Debug)]
pub(crate) struct Vault {
    store: Option<Arc<dyn TokenStore>>,
    key: ConnectionKey,
    /// The name under which leases are asked for.
    holder: String,
}

/// What became of a save.
#[derive(Debug)]
pub(crate) enum Saved {
    /// The tokens are durable at this generation (or there is no store).
    Done(Generation),
    /// Somebody else wrote first: these are the tokens that count.
    Superseded(TokenSet, Generation),
    /// They were there and are removed.
    Removed,
}

impl Vault {
    pub(crate) fn new(store: Option<Arc<dyn TokenStore>>, key: ConnectionKey) -> Self {
        Self { store, key, holder: format!("{:032x}", fastrand::u128(..)) }
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
            None => Ok(Saved::Removed),
        }
    }

    /// Writes tokens over whatever is there: those of an account that was just connected count more than
    /// any renewal of the ones before.
    pub(crate) async fn replace(&self, tokens: &TokenSet) -> Result<Generation> {
        let Some(store) = &self.store else {
            return Ok(Generation(0));
        };
        let mut left = REPLACEMENTS;
        loop {
            let expected = patiently(store.load(&self.key)).await?.map_or(Generation(0), |(_, at)| at);
            match patiently(store.save(&self.key, expected, tokens)).await {
                Err(error) if error.kind() == ErrorKind::Fenced && left > 0 => left -= 1,
                result => return result,
            }
        }
    }

    pub(crate) async fn remove(&self) -> Result<()> {
        match &self.store {
            Some(store) => patiently(store.remove(&self.key)).await,
            None => Ok(()),
        }
    }

    /// Asks for the turn to renew, or prolongs it.
    pub(crate) async fn lease(&self) -> Result<Lease> {
        match &self.store {
            Some(store) => patiently(store.lease(&self.key, &self.holder, TERM)).await,
            None => Ok(Lease::Granted),
        }
    }

    /// Gives the turn back. Where that fails the next worker waits for the end of the term.
    pub(crate) async fn release(&self) {
        let Some(store) = &self.store else { return };
        if let Err(error) = patiently(store.release(&self.key, &self.holder)).await {
            tracing::warn!(connector = self.key.connector, %error, "a lease could not be given back");
        }
    }

    /// Does the work and prolongs the lease as long as it takes.
    pub(crate) async fn while_leased<T>(&self, work: impl Future<Output = T>) -> T {
        let beat = async {
            loop {
                tokio::time::sleep(BEAT).await;
                // A lease that is lost stops nothing: the generation refuses the later write.
                match self.lease().await {
                    Ok(Lease::Granted) => {}
                    outcome => {
                        tracing::warn!(connector = self.key.connector, ?outcome, "a lease was not prolonged");
                    }
                }
            }
        };
        let (mut work, mut beat) = (pin!(work), pin!(beat));
        poll_fn(|cx| {
            let done = work.as_mut().poll(cx);
            if done.is_pending() && self.is_shared() {
                let _: Poll<()> = beat.as_mut().poll(cx);
            }
            done
        })
        .await
    }
}

async fn patiently<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    match tokio::time::timeout(PATIENCE, work).await {
        Ok(result) => result,
        Err(_) => Err(Error::new(ErrorKind::Timeout, "the token store does not answer")),
    }
}

//! The token cell: one renewal for any number of callers, durable before anybody uses it.
//!
//! Callers read a snapshot behind a short lock. Whoever finds it wanting waits at the gate; the first one
//! through it renews, the others find the new tokens when their turn comes. The renewal runs in a task of
//! its own that holds the gate: this is the one place of acople that spawns. A caller may be dropped at
//! any moment, and if the renewal went with it between the vendor's answer and the store, a rotated
//! refresh token would be lost and the customer locked out.

pub(crate) mod keeping;
mod renewal;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use acople_core::{AuthStamp, Clock, Error, ErrorKind, Generation, Request, Result, Secret, TokenSet};
use http::HeaderValue;
use http::header::AUTHORIZATION;
use tokio::sync::{Mutex as Gate, OwnedMutexGuard};
use tokio::time::Instant;
use tracing::Instrument;
use url::Url;

use crate::book::Book;
use crate::events::{TokenEvent, TokenEvents};
use crate::lifetime::Span;
use crate::revocation::Revocation;
use crate::static_auth::with_scheme;
use crate::token_endpoint::TokenEndpoint;
use crate::vault::Vault;

/// How long the caller that renews early waits for it. It does wait: a program that ends after its last
/// call should not end in the middle of a renewal.
const EARLY_PATIENCE: Duration = Duration::from_secs(5);

/// What a caller needs of the tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// A token that is not over.
    Token,
    /// A token, and the account's URL with it.
    Endpoint,
    /// Another token than this one, which the vendor refused.
    InPlaceOf(u64),
    /// A token after this one, which is good for a little while yet.
    After(u64),
}

/// One set of tokens, as callers see it.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) stamp: u64,
    pub(crate) tokens: TokenSet,
    /// What goes into `Authorization`; `None` for a token that no header can carry.
    pub(crate) header: Option<HeaderValue>,
    span: Span,
}

impl Held {
    /// # Errors
    /// `Config` for a token that no header can carry.
    pub(crate) fn put(&self, request: &mut Request) -> Result<AuthStamp> {
        let header = self.header.clone().ok_or_else(|| {
            Error::config(AUTHORIZATION.as_str(), "the token has characters that a header cannot carry")
        })?;
        request.headers_mut().insert(AUTHORIZATION, header);
        Ok(AuthStamp(self.stamp))
    }
}

/// What callers read without waiting.
#[derive(Debug, Default)]
struct Front {
    held: Option<Arc<Held>>,
    /// Stamps up to this one are known to be worthless.
    retired: u64,
    /// When tokens that could not be stored are saved again.
    save_from: Option<Instant>,
}

/// The tokens of one connection.
#[derive(Debug)]
pub(crate) struct Cell {
    endpoint: TokenEndpoint,
    vault: Vault,
    clock: Arc<dyn Clock>,
    settings: Settings,
    front: Mutex<Front>,
    gate: Arc<Gate<Book>>,
}

/// What the builder collects for the cell.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) scheme: &'static str,
    pub(crate) seed: Option<Secret>,
    pub(crate) seed_endpoint: Option<Url>,
    pub(crate) revocation: Option<Revocation>,
    pub(crate) events: Option<TokenEvents>,
}

impl Cell {
    pub(crate) fn new(
        endpoint: TokenEndpoint,
        vault: Vault,
        clock: Arc<dyn Clock>,
        settings: Settings,
    ) -> Arc<Self> {
        let (front, gate) = (Mutex::default(), Arc::default());
        Arc::new(Self { endpoint, vault, clock, settings, front, gate })
    }

    pub(crate) fn has_endpoint(&self) -> bool {
        self.endpoint.wanted.endpoint.is_some()
    }

    pub(crate) fn connector(&self) -> &str {
        &self.vault.key().connector
    }

    /// Begins with tokens that came in at `received` and are stored at `generation`.
    pub(crate) fn prime(
        &self,
        tokens: TokenSet,
        generation: Generation,
        lifetime: Option<Duration>,
        received: Instant,
    ) {
        // Nobody has the gate of a cell that was just made.
        if let Ok(mut book) = self.gate.try_lock() {
            book.begin_with(&tokens, generation);
        }
        self.publish(tokens, Span::new(lifetime, received, fastrand::f64()));
    }

    /// Reads the store; says whether that changed anything.
    pub(crate) async fn reload(&self) -> Result<bool> {
        let mut book = self.gate.lock().await;
        if !book.loaded {
            self.begin(&mut book).await?;
            return Ok(self.front().held.is_some());
        }
        match self.vault.load().await.map_err(|e| e.with_operation("load the tokens"))? {
            Some((_, generation)) if generation == book.generation => Ok(false),
            Some((tokens, generation)) => Ok(self.adopt(&mut book, tokens, generation)),
            None if book.generation == Generation(0) => Ok(false),
            None => {
                self.disconnect(&mut book);
                Ok(true)
            }
        }
    }

    /// Ends the connection, at the vendor unless `forget`, and in the store.
    pub(crate) async fn end(&self, forget: bool) -> Result<()> {
        let mut book = self.gate.lock().await;
        if book.loaded {
            // Another worker's refresh token may be the newest.
            self.look(&mut book).await;
        } else {
            self.begin(&mut book).await?;
        }
        if !forget {
            let missing = || Error::config("revocation_url", "the vendor's revocation endpoint is not set");
            let revocation = self.settings.revocation.as_ref().ok_or_else(missing)?;
            let held = self.front().held.clone();
            let refresh = book.refresh.as_ref().or(self.endpoint.grant.refresh_token());
            let access = held.as_ref().map(|held| &held.tokens.access).filter(|access| !access.is_empty());
            revocation.revoke(&self.endpoint.oauth, self.endpoint.url.as_str(), refresh, access).await?;
        }
        self.vault.remove().await.map_err(|e| e.with_operation("remove the tokens"))?;
        self.disconnect(&mut book);
        Ok(())
    }

    /// Tells the host.
    fn tell(&self, event: &TokenEvent<'_>) {
        if let Some(TokenEvents(observer)) = &self.settings.events {
            observer.event(self.vault.key(), event);
        }
    }

    /// Tokens that meet the need, obtained or renewed if necessary.
    pub(crate) async fn tokens(self: &Arc<Self>, need: Need) -> Result<Arc<Held>> {
        let now = Instant::now();
        let Some(held) = self.at_hand(need, now) else {
            let book = self.gate.clone().lock_owned().await;
            // Whoever was here before may have brought what is needed, or failed a moment ago.
            let now = Instant::now();
            return match (self.at_hand(need, now), book.held_back(now)) {
                (Some(held), _) => Ok(held),
                (None, Some(error)) => Err(error),
                (None, None) => self.run(book, need).await,
            };
        };
        let save = self.front().save_from.is_some_and(|at| now >= at);
        if !save && !held.span.is_due(now) {
            return Ok(held);
        }
        // One caller does what is due; the others go on with what is good for a little while yet.
        let Ok(book) = self.gate.clone().try_lock_owned() else {
            return Ok(held);
        };
        let held = self.at_hand(need, now).unwrap_or(held);
        let renew = held.span.is_due(now) && book.held_back(now).is_none();
        if !save && !renew {
            return Ok(held);
        }
        let need = if renew { Need::After(held.stamp) } else { need };
        // The task goes on when the wait is over.
        match tokio::time::timeout(EARLY_PATIENCE, self.run(book, need)).await {
            Ok(Ok(renewed)) => Ok(renewed),
            Ok(Err(_)) | Err(_) => Ok(held),
        }
    }

    /// Waits for a renewal that is under way, and stores what could not be stored.
    pub(crate) async fn flush(&self) -> Result<()> {
        let mut book = self.gate.lock().await;
        let held = self.front().held.clone();
        match held {
            Some(held) if book.unsaved > 0 => self.save(&mut book, &held.tokens, true).await.map(|_| ()),
            _ => Ok(()),
        }
    }

    /// Runs a renewal in its own task, which keeps the gate shut until its end.
    async fn run(self: &Arc<Self>, book: OwnedMutexGuard<Book>, need: Need) -> Result<Arc<Held>> {
        let round = self.clone().renew(book, need).instrument(tracing::Span::current());
        match tokio::spawn(round).await {
            Ok(result) => result,
            Err(error) if error.is_panic() => {
                Err(Error::new(ErrorKind::Internal, "the renewal of a token panicked"))
            }
            Err(_) => {
                Err(Error::new(ErrorKind::Transient, "the runtime shut down during the renewal of a token"))
            }
        }
    }

    fn publish(&self, tokens: TokenSet, span: Span) -> Arc<Held> {
        let header = with_scheme(self.settings.scheme, &tokens.access).header_value().ok();
        let mut front = self.front();
        let stamp = front.held.as_ref().map_or(1, |held| held.stamp + 1);
        let held = Arc::new(Held { stamp, tokens, header, span });
        front.held = Some(held.clone());
        held
    }

    fn at_hand(&self, need: Need, now: Instant) -> Option<Arc<Held>> {
        let front = self.front();
        let held =
            front.held.as_ref().filter(|held| held.stamp > front.retired && !held.span.is_over(now))?;
        let meets = match need {
            Need::Token => true,
            Need::Endpoint => held.tokens.endpoint.is_some(),
            Need::InPlaceOf(stamp) | Need::After(stamp) => held.stamp > stamp,
        };
        meets.then(|| held.clone())
    }

    fn front(&self) -> std::sync::MutexGuard<'_, Front> {
        // The snapshot is whole between statements: a panic elsewhere cannot leave it half changed.
        self.front.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Cell {
    fn drop(&mut self) {
        if self.front().save_from.is_some() {
            let key = self.vault.key();
            tracing::error!(
                connector = key.connector,
                connection = key.connection,
                tenant = key.tenant,
                "renewed tokens were never stored and are lost"
            );
        }
    }
}

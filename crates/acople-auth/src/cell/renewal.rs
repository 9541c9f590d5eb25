//! What happens behind the gate: loading, asking, storing, and taking over what others have stored.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use acople_core::{Error, ErrorKind, Generation, Result, Secret, TokenSet};
use acople_http::secure_base;
use tokio::sync::OwnedMutexGuard;
use tokio::time::Instant;

use super::{Cell, Held, Need};
use crate::answer::TokenAnswer;
use crate::book::{Book, Setback};
use crate::lifetime::Span;
use crate::token_endpoint::{Failed, OPERATION, Sign};
use crate::vault::Saved;

/// The member of [`TokenSet::extra`] that tells which configured credentials the tokens descend from.
const MARK: &str = "acople.seed";

/// The wait before a refresh whose answer was lost is asked for again, and before a second look into the
/// store after a refusal.
const BREATH: Duration = Duration::from_secs(1);

impl Cell {
    /// One renewal, from beginning to end, with the gate shut.
    pub(super) async fn renew(
        self: Arc<Self>,
        mut book: OwnedMutexGuard<Book>,
        need: Need,
    ) -> Result<Arc<Held>> {
        let (held, save_from) = {
            let front = self.front();
            (front.held.clone(), front.save_from)
        };
        if let Some(held) = held
            && save_from.is_some_and(|at| Instant::now() >= at)
        {
            // The outcome is in the book and in the log.
            let _ = self.save(&mut book, &held.tokens, true).await;
        }
        match self.advance(&mut book, need).await {
            Ok(held) => Ok(held),
            Err(setback) => {
                book.fail(&setback, Instant::now());
                if let (true, Need::InPlaceOf(stamp)) = (setback.finished, need) {
                    self.front().retired = stamp;
                }
                Err(setback.error)
            }
        }
    }

    async fn advance(&self, book: &mut Book, need: Need) -> Result<Arc<Held>, Setback> {
        if !book.loaded {
            self.begin(book).await.map_err(Setback::passing)?;
        } else if self.at_hand(need, Instant::now()).is_none() {
            // Another process may have renewed, or the host may have connected the account again.
            self.look(book).await;
        }
        if let Some(held) = self.at_hand(need, Instant::now()) {
            return Ok(held);
        }
        if let Some(error) = book.finished() {
            return Err(Setback { error, finished: true });
        }
        self.obtain(book, need).await
    }

    /// The first tokens: the stored ones, unless the configured credentials have changed since.
    async fn begin(&self, book: &mut Book) -> Result<()> {
        let mark = self.endpoint.grant.mark(self.endpoint.url.as_str(), &self.endpoint.oauth.id);
        let stored = self.vault.load().await.map_err(|e| e.with_operation("load the tokens"))?;
        book.mark = mark;
        book.loaded = true;
        if let Some((tokens, generation)) = stored {
            // Without a mark the host has stored them itself, after connecting the account.
            if tokens.extra.get(MARK).is_none_or(|theirs| *theirs == book.mark) {
                self.adopt(book, tokens, generation);
                return Ok(());
            }
            tracing::info!(
                connector = self.connector(),
                "the credentials have changed: stored tokens are forgotten"
            );
            book.generation = generation;
        }
        if let Some(access) = &self.settings.seed {
            let tokens = TokenSet {
                access: access.clone(),
                refresh: self.endpoint.grant.refresh_token().cloned(),
                expires_at: None,
                endpoint: self.settings.seed_endpoint.clone(),
                extra: [(MARK.to_owned(), book.mark.clone())].into(),
            };
            self.publish(tokens, Span::default());
        }
        Ok(())
    }

    /// Looks whether somebody else has stored other tokens, and takes them over.
    async fn look(&self, book: &mut Book) -> bool {
        if book.unsaved > 0 {
            return false; // ours are newer than what is stored
        }
        match self.vault.load().await {
            Ok(Some((tokens, generation))) if generation != book.generation => {
                self.adopt(book, tokens, generation)
            }
            Ok(_) => false,
            Err(error) => {
                // What is in hand is the newest unless several processes share the connection.
                tracing::warn!(connector = self.connector(), %error, "the token store cannot be read");
                false
            }
        }
    }

    /// Looks for the tokens of another process that has used our refresh token up: it may be storing
    /// their successors just now.
    async fn look_twice(&self, book: &mut Book) -> bool {
        if self.look(book).await {
            return true;
        }
        if !self.vault.is_shared() {
            return false;
        }
        tokio::time::sleep(BREATH).await;
        self.look(book).await
    }

    /// Takes over stored tokens; says whether they are others than those in hand.
    fn adopt(&self, book: &mut Book, mut tokens: TokenSet, generation: Generation) -> bool {
        let old = self.front().held.clone();
        let access_is_new = old.is_none_or(|old| old.tokens.access.expose() != tokens.access.expose());
        let known = book.refresh.as_ref().or(self.endpoint.grant.refresh_token()).map(Secret::expose);
        let refresh_is_new = tokens.refresh.as_ref().is_some_and(|theirs| Some(theirs.expose()) != known);
        book.generation = generation;
        book.unsaved = 0;
        self.front().save_from = None;
        if let Some(mark) = tokens.extra.get(MARK) {
            book.mark.clone_from(mark);
        }
        if self.endpoint.refreshes() && tokens.refresh.is_some() {
            book.refresh.clone_from(&tokens.refresh);
        }
        if access_is_new {
            tokens.endpoint = tokens.endpoint.filter(|url| secure_base(url.as_str()).is_ok());
            let now = Instant::now();
            let left = tokens.expires_at.map(|at| at.duration_since(self.clock.now()).unwrap_or_default());
            let span = match left {
                _ if tokens.access.is_empty() => Span::over(now),
                Some(left) if left.is_zero() => Span::over(now),
                left => Span::new(left, now, fastrand::f64()),
            };
            self.publish(tokens, span);
        }
        if access_is_new || refresh_is_new {
            book.succeed();
        }
        access_is_new || refresh_is_new
    }

    /// Asks the token endpoint, for as long as asking may help.
    async fn obtain(&self, book: &mut Book, need: Need) -> Result<Arc<Held>, Setback> {
        let (mut asked_again, mut looked) = (false, false);
        let failed = loop {
            let failed = match self.endpoint.ask(book.refresh.as_ref()).await {
                Ok(answer) => return self.accept(book, answer).await,
                Err(failed) => failed,
            };
            match failed.sign {
                Sign::Lost if !asked_again => {
                    (asked_again, book.doubt) = (true, true);
                    let error = &failed.error;
                    tracing::warn!(
                        connector = self.connector(),
                        %error,
                        "an answer to a refresh was lost: asking once more"
                    );
                    tokio::time::sleep(BREATH).await;
                }
                Sign::Finished if !looked => {
                    (looked, asked_again) = (true, false);
                    if !self.look_twice(book).await {
                        break failed;
                    }
                    if let Some(held) = self.at_hand(need, Instant::now()) {
                        return Ok(held);
                    }
                }
                _ => break failed,
            }
        };
        Err(self.setback(book, failed))
    }

    /// What a failed renewal means for the host.
    fn setback(&self, book: &mut Book, failed: Failed) -> Setback {
        let Failed { error, sign, .. } = failed;
        book.doubt |= self.endpoint.refreshes() && sign == Sign::Unreadable;
        let error = match sign {
            Sign::Finished if book.doubt => {
                let text = "the answer to an earlier refresh was lost, and with it, it seems, the refresh \
                            token that replaced ours";
                with_message(ErrorKind::Reauth, text, &error)
            }
            // The vendor answered, if only to say that it failed.
            Sign::Lost if error.status().is_some_and(|s| s >= 500) => with_message(
                ErrorKind::Transient,
                "the token endpoint fails; the refresh token is kept",
                &error,
            ),
            Sign::Lost => {
                let text = "the answers to two refreshes were lost: the refresh token may be used up, and \
                            the one that replaced it was in a lost answer";
                with_message(ErrorKind::Reauth, text, &error)
            }
            _ => error,
        };
        // Without a refresh token nothing is used up by asking again later.
        let finished = sign == Sign::Finished && self.endpoint.refreshes();
        let key = self.vault.key();
        if error.kind() == ErrorKind::Reauth {
            tracing::error!(
                connector = key.connector,
                connection = key.connection,
                tenant = key.tenant,
                %error,
                "the account has to be connected again"
            );
        } else {
            tracing::warn!(
                connector = key.connector,
                connection = key.connection,
                tenant = key.tenant,
                %error,
                "a token could not be renewed"
            );
        }
        Setback { error: error.with_operation(OPERATION), finished }
    }

    /// Stores new tokens, then shows them to callers.
    async fn accept(&self, book: &mut Book, answer: TokenAnswer) -> Result<Arc<Held>, Setback> {
        let received = Instant::now();
        let known = book.refresh.as_ref().or(self.endpoint.grant.refresh_token());
        let refresh = answer.refresh.as_ref().or(known).filter(|_| self.endpoint.refreshes()).cloned();
        let rotated = refresh.as_ref().map(Secret::expose) != known.map(Secret::expose);
        let old = self.front().held.clone();
        let (old_endpoint, mut extra) = match &old {
            Some(old) => (old.tokens.endpoint.clone(), old.tokens.extra.clone()),
            None => (self.settings.seed_endpoint.clone(), BTreeMap::new()),
        };
        extra.extend(answer.kept);
        extra.insert(MARK.to_owned(), book.mark.clone());
        let (endpoint, fault) = match answer.endpoint.as_deref().map(secure_base) {
            Some(Ok(url)) => (Some(url), None),
            Some(Err(fault)) => (None, Some(fault)),
            None if old_endpoint.is_none() && self.has_endpoint() => (None, Some("is not there")),
            None => (old_endpoint, None),
        };
        let expires_at = answer.lifetime.and_then(|life| self.clock.now().checked_add(life));
        let tokens =
            TokenSet { access: answer.access.unwrap_or_default(), refresh, expires_at, endpoint, extra };
        book.refresh.clone_from(&tokens.refresh);
        book.succeed();
        // Durable first: whoever sees the new access token can rely on the refresh token behind it.
        if matches!(self.save(book, &tokens, rotated).await, Ok(false)) {
            return self.at_hand(Need::Token, Instant::now()).ok_or_else(|| {
                let text = "another worker renewed the token at the same time";
                Setback::passing(Error::new(ErrorKind::Transient, text).with_operation(OPERATION))
            });
        }
        let held = self.publish(tokens, Span::new(answer.lifetime, received, fastrand::f64()));
        match (fault, self.endpoint.wanted.endpoint) {
            (Some(fault), Some(member)) => {
                let message = format!("the token answer's {member} {fault}");
                Err(Setback::passing(Error::new(ErrorKind::Protocol, message).with_operation(OPERATION)))
            }
            _ => Ok(held),
        }
    }

    /// Makes tokens durable. `false`: another worker's were there, and have been taken over instead.
    ///
    /// Tokens that cannot be stored are used all the same, and saved again later: refusing them would
    /// turn a full disk into an outage, and a restart would lose them either way.
    pub(super) async fn save(&self, book: &mut Book, tokens: &TokenSet, rotated: bool) -> Result<bool> {
        match self.vault.save(book.generation, tokens).await {
            Ok(Saved::Done(generation)) => {
                book.generation = generation;
                book.unsaved = 0;
                self.front().save_from = None;
                Ok(true)
            }
            Ok(Saved::Superseded(stored, generation)) => {
                self.adopt(book, stored, generation);
                Ok(false)
            }
            Err(error) => {
                book.unsaved = book.unsaved.saturating_add(1);
                self.front().save_from = Instant::now().checked_add(book.save_pause());
                let key = self.vault.key();
                tracing::error!(
                    connector = key.connector,
                    connection = key.connection,
                    tenant = key.tenant,
                    %error,
                    rotated,
                    "renewed tokens could not be stored: they are lost if the process ends now"
                );
                Err(error.with_operation("store the tokens"))
            }
        }
    }
}

/// Another message for the facts of an error.
fn with_message(kind: ErrorKind, message: &str, facts: &Error) -> Error {
    let mut error = Error::new(kind, message).with_attempts(facts.attempts());
    if let Some(status) = facts.status() {
        error = error.with_status(status);
    }
    if let Some(code) = facts.code() {
        error = error.with_code(code);
    }
    if let Some(id) = facts.request_id() {
        error = error.with_request_id(id);
    }
    if let Some(wait) = facts.retry_after() {
        error = error.with_retry_after(wait);
    }
    error
}

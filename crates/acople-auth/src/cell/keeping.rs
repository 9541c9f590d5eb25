//! What is in the store and what goes into it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use acople_core::{Error, ErrorKind, Generation, Result, Secret, TokenSet};
use acople_http::secure_base;
use tokio::time::Instant;

use super::renewal::BREATH;
use super::{Cell, Held, Need};
use crate::answer::TokenAnswer;
use crate::book::{Book, Setback};
use crate::events::TokenEvent;
use crate::grant::{Ready, Rotation};
use crate::lifetime::Span;
use crate::token_endpoint::OPERATION;
use crate::vault::Saved;

/// The member of [`TokenSet::extra`] that tells which configured credentials the tokens descend from.
const MARK: &str = "acople.seed";

/// The member of [`TokenSet::extra`] that tells when the refresh token ends for good, and from when on the
/// host is warned: two numbers, seconds since 1970.
const REFRESH_ENDS: &str = "acople.refresh_ends";

/// The longest time between the first warning and the end of a refresh token.
const WARNING: Duration = Duration::from_secs(7 * 24 * 3600);

/// What came of a save that the store has answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kept {
    /// The tokens are durable.
    Ours,
    /// Another worker's were there, and have been taken over instead.
    Theirs,
    /// The connection's tokens were removed, and so are these.
    Disconnected,
}

impl Cell {
    /// The first tokens: the stored ones, unless the configured credentials have changed since.
    pub(super) async fn begin(&self, book: &mut Book) -> Result<()> {
        let mark = self.endpoint.grant.mark(self.endpoint.url.as_str(), &self.endpoint.oauth.id);
        let stored = self.vault.load().await.map_err(|e| e.with_operation("load the tokens"))?;
        book.mark = mark;
        book.loaded = true;
        if let Some((tokens, generation)) = stored {
            // Without a mark the host has stored them itself, after connecting the account.
            let is_ours = |theirs: &String| book.mark.is_empty() || *theirs == book.mark;
            if tokens.extra.get(MARK).is_none_or(is_ours) {
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
                extra: BTreeMap::new(),
            };
            self.publish(tokens, Span::default());
        }
        Ok(())
    }

    /// Looks whether somebody else has stored other tokens, and takes them over.
    pub(super) async fn look(&self, book: &mut Book) -> bool {
        if book.unsaved > 0 {
            return false; // ours are newer than what is stored
        }
        match self.vault.load().await {
            Ok(Some((tokens, generation))) if generation != book.generation => {
                self.adopt(book, tokens, generation)
            }
            // They were removed: the account is no longer connected.
            Ok(None) if book.generation != Generation(0) && self.is_connected_only() => {
                self.disconnect(book);
                false
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
    pub(super) async fn look_twice(&self, book: &mut Book) -> bool {
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
    pub(super) fn adopt(&self, book: &mut Book, mut tokens: TokenSet, generation: Generation) -> bool {
        let old = self.front().held.clone();
        let access_is_new = old.is_none_or(|old| old.tokens.access.expose() != tokens.access.expose());
        let known = book.refresh.as_ref().or(self.endpoint.grant.refresh_token()).map(Secret::expose);
        let refresh_is_new = tokens.refresh.as_ref().is_some_and(|theirs| Some(theirs.expose()) != known);
        book.generation = generation;
        self.saved(book);
        book.refresh_ends = noted_end(&tokens.extra);
        if let Some(mark) = tokens.extra.get(MARK).filter(|_| !book.mark.is_empty()) {
            book.mark.clone_from(mark);
        }
        if self.is_connected_only() || (self.endpoint.refreshes() && tokens.refresh.is_some()) {
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
            self.recover(book);
        }
        access_is_new || refresh_is_new
    }

    /// Stores new tokens, then shows them to callers.
    pub(super) async fn accept(&self, book: &mut Book, answer: TokenAnswer) -> Result<Arc<Held>, Setback> {
        let received = Instant::now();
        let known = book.refresh.as_ref().or(self.endpoint.grant.refresh_token()).cloned();
        let came_with_one = answer.refresh.is_some();
        let refresh =
            answer.refresh.as_ref().or(known.as_ref()).filter(|_| self.endpoint.refreshes()).cloned();
        let rotated = refresh.as_ref().map(Secret::expose) != known.as_ref().map(Secret::expose);
        if self.endpoint.refreshes() && !came_with_one && self.endpoint.rotation == Rotation::Always {
            tracing::warn!(
                connector = self.connector(),
                "the token answer holds no new refresh token: the next refresh will probably be refused"
            );
        }
        let old = self.front().held.clone();
        let (old_endpoint, mut extra) = match &old {
            Some(old) => (old.tokens.endpoint.clone(), old.tokens.extra.clone()),
            None => (self.settings.seed_endpoint.clone(), BTreeMap::new()),
        };
        let address = answer.endpoint_url();
        extra.extend(answer.kept);
        if !book.mark.is_empty() {
            extra.insert(MARK.to_owned(), book.mark.clone());
        }
        if self.endpoint.refreshes() && (rotated || answer.refresh_lifetime.is_some()) {
            note_end(&mut extra, answer.refresh_lifetime, self.clock.now());
        }
        let (endpoint, fault) = match address {
            Ok(Some(url)) => (Some(url), None),
            Err(fault) => (None, Some(fault)),
            Ok(None) if old_endpoint.is_none() && self.has_endpoint() => (None, Some("is not there")),
            Ok(None) => (old_endpoint, None),
        };
        let expires_at = answer.lifetime.and_then(|life| self.clock.now().checked_add(life));
        let tokens =
            TokenSet { access: answer.access.unwrap_or_default(), refresh, expires_at, endpoint, extra };
        book.refresh.clone_from(&tokens.refresh);
        book.refresh_ends = noted_end(&tokens.extra);
        if rotated {
            book.keep_spare(known, received);
        }
        // Durable first: whoever sees the new access token can rely on the refresh token behind it.
        match self.save(book, &tokens, rotated).await {
            Ok(Kept::Ours) | Err(_) => {}
            Ok(Kept::Theirs) => {
                return self.at_hand(Need::Token, Instant::now()).ok_or_else(|| {
                    let text = "another worker renewed the token at the same time";
                    Setback::passing(Error::new(ErrorKind::Transient, text).with_operation(OPERATION))
                });
            }
            Ok(Kept::Disconnected) => return Err(self.disconnect(book)),
        }
        let held = self.publish(tokens, Span::new(answer.lifetime, received, fastrand::f64()));
        self.recover(book);
        self.tell(&TokenEvent::Renewed { rotated, expires_at });
        match (fault, self.endpoint.wanted.endpoint) {
            (Some(fault), Some(member)) => {
                let message = format!("the token answer's {member} {fault}");
                Err(Setback::passing(Error::new(ErrorKind::Protocol, message).with_operation(OPERATION)))
            }
            _ => Ok(held),
        }
    }

    /// Makes tokens durable, unless another worker was first.
    ///
    /// Tokens that cannot be stored are used all the same, and saved again later: refusing them would
    /// turn a full disk into an outage, and a restart would lose them either way.
    pub(super) async fn save(&self, book: &mut Book, tokens: &TokenSet, rotated: bool) -> Result<Kept> {
        let saved = match self.vault.save(book.generation, tokens).await {
            // Removed meanwhile: ours are the only ones there are.
            Ok(Saved::Removed) if !self.is_connected_only() => self.vault.save(Generation(0), tokens).await,
            saved => saved,
        };
        match saved {
            Ok(Saved::Done(generation)) => {
                book.generation = generation;
                self.saved(book);
                Ok(Kept::Ours)
            }
            Ok(Saved::Superseded(stored, generation)) => {
                self.adopt(book, stored, generation);
                // The vendor has granted two pairs. Whichever it takes from now on is at hand.
                book.keep_spare(tokens.refresh.clone(), Instant::now());
                Ok(Kept::Theirs)
            }
            Ok(Saved::Removed) => {
                self.disconnect(book);
                Ok(Kept::Disconnected)
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
                self.tell(&TokenEvent::SaveFailed { error: &error, failures: book.unsaved });
                Err(error.with_operation("store the tokens"))
            }
        }
    }

    /// Parks the connection: its tokens are not in the store any more, or are removed now.
    pub(super) fn disconnect(&self, book: &mut Book) -> Setback {
        let error = Error::new(ErrorKind::Reauth, "the account is not connected").with_operation(OPERATION);
        let setback = Setback { error, finished: true };
        book.generation = Generation(0);
        book.refresh = None;
        book.refresh_ends = None;
        book.keep_spare(None, Instant::now());
        book.unsaved = 0;
        book.parked = true;
        book.fail(&setback, Instant::now());
        let mut front = self.front();
        front.save_from = None;
        front.retired = front.held.as_ref().map_or(front.retired, |held| held.stamp);
        drop(front);
        setback
    }

    /// Whether tokens in the store are all there is to the connection.
    pub(super) fn is_connected_only(&self) -> bool {
        matches!(self.endpoint.grant, Ready::Connected)
    }

    /// The tokens in hand are in the store.
    fn saved(&self, book: &mut Book) {
        self.front().save_from = None;
        if std::mem::take(&mut book.unsaved) > 0 {
            self.tell(&TokenEvent::Saved);
        }
    }

    /// There are new tokens: failures are forgotten.
    fn recover(&self, book: &mut Book) {
        book.succeed();
        if std::mem::take(&mut book.parked) {
            self.tell(&TokenEvent::Resumed);
        }
        let now = self.clock.now();
        if let Some((at, _)) = book.refresh_ends.filter(|(_, warn_from)| now >= *warn_from) {
            let left = at.duration_since(now).unwrap_or_default();
            tracing::warn!(
                connector = self.connector(),
                days = left.as_secs() / 86_400,
                "the refresh token is about to end: the account has to be connected again"
            );
            self.tell(&TokenEvent::RefreshEnds { at, left });
        }
    }
}

/// What is remembered of a refresh token's lifetime.
pub(crate) fn note_end(extra: &mut BTreeMap<String, String>, lifetime: Option<Duration>, now: SystemTime) {
    let seconds = |time: SystemTime| time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let Some((lifetime, end)) = lifetime.and_then(|life| Some((life, now.checked_add(life)?))) else {
        extra.remove(REFRESH_ENDS);
        return;
    };
    let warn_from = end.checked_sub(WARNING.min(lifetime / 10)).unwrap_or(end);
    extra.insert(REFRESH_ENDS.to_owned(), format!("{} {}", seconds(end), seconds(warn_from)));
}

/// The end of the refresh token and the time from which on the host is warned.
fn noted_end(extra: &BTreeMap<String, String>) -> Option<(SystemTime, SystemTime)> {
    let (end, warn_from) = extra.get(REFRESH_ENDS)?.split_once(' ')?;
    let time = |text: &str| UNIX_EPOCH.checked_add(Duration::from_secs(text.parse().ok()?));
    Some((time(end)?, time(warn_from)?))
}

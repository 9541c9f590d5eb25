//! What happens behind the gate: taking turns with other workers, asking, and what failures mean.

use std::sync::Arc;
use std::time::Duration;

use acople_core::{Error, ErrorKind, Generation, Lease, Result, Secret};
use tokio::sync::OwnedMutexGuard;
use tokio::time::Instant;

use super::{Cell, Held, Need};
use crate::book::{Book, Setback};
use crate::events::TokenEvent;
use crate::token_endpoint::{Failed, OPERATION, Sign};

/// The wait before a refresh whose answer was lost is asked for again, and before a second look into the
/// store after a refusal.
pub(super) const BREATH: Duration = Duration::from_secs(1);

/// The first pause before another worker's renewal is looked at again; it doubles up to [`BREATH`].
const GLANCE: Duration = Duration::from_millis(20);

/// How long another worker may renew before this one gives up: longer than a renewal at its slowest, with
/// two answers and a store to wait for.
const TURN: Duration = Duration::from_secs(120);

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
                    let mut front = self.front();
                    front.retired = front.retired.max(stamp);
                }
                Err(setback.error)
            }
        }
    }

    async fn advance(&self, book: &mut Book, need: Need) -> Result<Arc<Held>, Setback> {
        if !book.loaded {
            self.begin(book).await.map_err(Setback::passing)?;
        } else if book.finished().is_some() {
            // The host may have connected the account again.
            self.look(book).await;
        }
        if let Some(held) = self.at_hand(need, Instant::now()) {
            return Ok(held);
        }
        if let Some(error) = book.finished() {
            return Err(Setback { error, finished: true });
        }
        if let Some(held) = self.wait_for_turn(book, need).await? {
            return Ok(held);
        }
        let outcome = self.vault.while_leased(self.obtain_in_turn(book, need)).await;
        self.vault.release().await;
        outcome
    }

    /// Takes the lease, unless another worker brings what is needed first.
    ///
    /// Without a lease no refresh token is spent: eight workers that redeem one token while the store is
    /// away would look like theft to the vendor.
    async fn wait_for_turn(&self, book: &mut Book, need: Need) -> Result<Option<Arc<Held>>, Setback> {
        let give_up = Instant::now() + TURN;
        let mut pause = GLANCE;
        loop {
            let left = match self.vault.lease().await {
                Ok(Lease::Granted) => return Ok(None),
                Ok(Lease::Busy(left)) => left,
                Err(error) if self.endpoint.consumes() => {
                    return Err(Setback::passing(error.with_operation("take turns with other workers")));
                }
                Err(error) => {
                    tracing::warn!(connector = self.connector(), %error, "a renewal goes on without a lease");
                    return Ok(None);
                }
            };
            if Instant::now() >= give_up {
                let text = "another worker has been renewing the token for too long";
                let error = Error::new(ErrorKind::Transient, text).with_operation(OPERATION);
                return Err(Setback::passing(error));
            }
            // Spread, so that workers that wait do not ask in step.
            tokio::time::sleep(pause.mul_f64(0.5 + 0.5 * fastrand::f64()).min(left.max(GLANCE / 4))).await;
            pause = BREATH.min(pause * 2);
            self.look(book).await;
            if let Some(held) = self.at_hand(need, Instant::now()) {
                return Ok(Some(held));
            }
        }
    }

    /// Makes sure in the middle of a renewal that the turn is still ours, and that nobody had it meanwhile.
    async fn turn_again(&self, book: &mut Book, need: Need) -> Result<Option<Arc<Held>>, Setback> {
        if let Some(held) = self.wait_for_turn(book, need).await? {
            return Ok(Some(held));
        }
        self.look(book).await;
        Ok(self.at_hand(need, Instant::now()))
    }

    async fn obtain_in_turn(&self, book: &mut Book, need: Need) -> Result<Arc<Held>, Setback> {
        // Whoever had the turn before may have renewed.
        self.look(book).await;
        if let Some(held) = self.at_hand(need, Instant::now()) {
            return Ok(held);
        }
        if let Some(error) = book.finished() {
            return Err(Setback { error, finished: true });
        }
        self.obtain(book, need).await
    }

    /// Asks the token endpoint, for as long as asking may help.
    async fn obtain(&self, book: &mut Book, need: Need) -> Result<Arc<Held>, Setback> {
        if self.is_connected_only() && book.refresh.is_none() {
            let text = match book.generation {
                Generation(0) => "the account is not connected",
                _ => "the access token is used up, and the vendor gave no refresh token with it",
            };
            return Err(self.setback(book, Failed::finished(Error::new(ErrorKind::Reauth, text))));
        }
        let (mut asked_again, mut looked, mut tried_spare) = (false, false, None);
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
                        "an answer to a refresh was lost: asking once more, if it is still our turn"
                    );
                    tokio::time::sleep(BREATH).await;
                    // A process that was stopped for longer than its lease may have lost both: what it asked with is
                    // used up then, by the worker that has the turn or had it.
                    if let Some(held) = self.turn_again(book, need).await? {
                        return Ok(held);
                    }
                }
                Sign::Finished if !looked => {
                    (looked, asked_again) = (true, false);
                    if self.look_twice(book).await {
                        if let Some(held) = self.at_hand(need, Instant::now()) {
                            return Ok(held);
                        }
                    } else if !self.try_spare(book, &mut tried_spare) {
                        break failed;
                    }
                }
                Sign::Finished if self.try_spare(book, &mut tried_spare) => {}
                _ => break failed,
            }
        };
        if tried_spare.is_some() {
            book.refresh = tried_spare;
        }
        Err(self.setback(book, failed))
    }

    /// Goes over to the refresh token before the newest, if it may still be good; what was the newest is kept
    /// in `newest`. The grant is dead as it stands, so there is nothing to spoil.
    fn try_spare(&self, book: &mut Book, newest: &mut Option<Secret>) -> bool {
        let Some(spare) = book.take_spare(Instant::now()).filter(|_| self.endpoint.refreshes()) else {
            return false;
        };
        tracing::warn!(connector = self.connector(), "the newest refresh token is refused: trying the other");
        *newest = book.refresh.replace(spare);
        true
    }

    /// What a failed renewal means for the host.
    fn setback(&self, book: &mut Book, failed: Failed) -> Setback {
        let Failed { error, sign, .. } = failed;
        book.doubt |= self.endpoint.consumes() && sign == Sign::Unreadable;
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
        let error = error.with_operation(OPERATION);
        if error.kind() == ErrorKind::Reauth && !std::mem::replace(&mut book.parked, true) {
            self.tell(&TokenEvent::Parked { error: &error });
        }
        Setback { error, finished }
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

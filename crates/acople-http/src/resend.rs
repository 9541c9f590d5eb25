//! Writes at vendors without idempotency keys: look up, then resend.

use std::time::Duration;

use acople_core::{Context, Error, ErrorKind, Result};
use tokio::time::Instant;

use crate::Answer;
use crate::call::Call;
use crate::client::Client;
use crate::deadline::deadline;

/// What came of a write that was looked up where its answer was lost.
#[derive(Debug)]
pub enum Written<T> {
    /// The vendor answered.
    Answered(Box<Answer>),
    /// The answer was lost, and the look-up found what the write had done.
    Found(T),
}

impl Client {
    /// Sends a write that must not happen twice to a vendor that has no idempotency keys.
    ///
    /// When the answer is lost, `look_up` asks the vendor for what the write would have made: `Some` when it is
    /// there, `None` when it is not. Then, and only then, the write is sent again, at most as often as the
    /// retry policy allows. `lag` is waited before each look-up: how long the vendor takes until a new record
    /// shows where the look-up searches. Too short a lag makes duplicates; the vendor's documentation says it.
    /// All of it ends with the call's deadline.
    ///
    /// ```
    /// use acople_core::{Context, Result};
    /// use acople_http::{Call, Client, Written};
    /// use std::time::Duration;
    ///
    /// # async fn example(client: &Client, cx: &Context) -> Result<()> {
    /// let create = Call::post("create order").path(["orders"]).raw_json(r#"{"reference":"A-17"}"#);
    /// let by_reference = || async {
    ///     let call = Call::get("find order").path(["orders"]).query("reference", "A-17");
    ///     let found: Vec<String> = client.send(cx, &call).await?.json()?;
    ///     Ok(found.into_iter().next())
    /// };
    /// match client.send_or_find(cx, &create, Duration::from_secs(2), by_reference).await? {
    ///     Written::Answered(answer) => println!("created: {}", answer.status()),
    ///     Written::Found(id) => println!("had been created as {id}"),
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As [`send`](Self::send). `Ambiguous`, with the first loss's reason, when the look-up fails as well, when
    /// its time is up, or when the last attempt's answer is lost and nothing is found.
    pub async fn send_or_find<T, F, Looking>(
        &self,
        cx: &Context,
        call: &Call,
        lag: Duration,
        mut look_up: F,
    ) -> Result<Written<T>>
    where
        F: FnMut() -> Looking,
        Looking: Future<Output = Result<Option<T>>>,
    {
        let until = deadline(Instant::now(), self.0.timeouts.total, cx);
        let cx = cx.clone().with_deadline(until.into_std());
        let mut attempt = 0;
        loop {
            attempt += 1;
            let lost = match self.send(&cx, call).await {
                Ok(answer) => return Ok(Written::Answered(Box::new(answer))),
                Err(error) if error.outcome_known() => return Err(error),
                Err(error) => error,
            };
            let found = tokio::time::timeout_at(until, async {
                tokio::time::sleep(lag).await;
                look_up().await
            });
            match found.await {
                Ok(Ok(Some(found))) => return Ok(Written::Found(found)),
                Ok(Ok(None)) if attempt < self.0.retry.attempts => {
                    // Its time is up, or the vendor is failing: whoever asks again later may look first.
                    if cx.is_cancelled() || self.0.budget.take(false).is_none() {
                        return Err(unknown(lost));
                    }
                    tracing::debug!(operation = call.operation, attempt, "not there: sent again");
                }
                _ => return Err(unknown(lost)),
            }
        }
    }
}

/// The loss, as what it is for the caller whatever the call itself was allowed.
fn unknown(error: Error) -> Error {
    match error.kind() {
        ErrorKind::Cancelled => error,
        _ => error.with_kind(ErrorKind::Ambiguous),
    }
}

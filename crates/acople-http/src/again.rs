//! What follows a failed attempt.

use std::pin::Pin;

use acople_core::{AuthStamp, Claim, Error, Refresh, Result, WaitCause};
use tokio::time::Instant;

use crate::client::Inner;
use crate::send::Run;
use crate::stage::Stage;
use crate::verdict::Next;

/// What a call has tried so far.
#[derive(Default)]
pub(crate) struct Tries {
    /// Attempts.
    pub(crate) number: u32,
    /// What the last retry took from the budget.
    pub(crate) taken: u32,
    /// Whether the credentials have been renewed.
    renewed: bool,
    last: Option<Error>,
}

impl Tries {
    /// The error of a call that the breaker does not let go on.
    #[inline(never)]
    pub(crate) fn barred(self, open: Error) -> Error {
        match self.last {
            // What opened it says more than that it is open, but not when it lets somebody through again.
            Some(last) => last.with_retry_after(open.retry_after().unwrap_or_default()),
            None => open,
        }
    }
}

impl Inner {
    /// Makes ready for another attempt, after a wait or with new credentials, or says why there is none.
    ///
    /// In a box and behind a pointer: the way of the calls that succeed stays short.
    #[inline(never)]
    pub(crate) fn recover<'a>(
        &'a self,
        run: Run<'a>,
        error: Error,
        stamp: AuthStamp,
        claims: &'a [Claim],
        tries: &'a mut Tries,
    ) -> Pin<Box<dyn Future<Output = Result<()>> + Send + 'a>> {
        Box::pin(async move {
            run.stage.failed(&error);
            match self.next(error, tries.number, run.repeatable, tries.renewed, claims) {
                Next::Fail(error) => Err(error),
                Next::Renew(error) => {
                    let Some(auth) = &self.auth else { return Err(error) };
                    match auth.refresh(run.cx, stamp).await? {
                        Refresh::Renewed => {
                            tries.renewed = true;
                            Ok(())
                        }
                        _ => Err(error),
                    }
                }
                Next::Again { wait, throttled, error } => {
                    if Instant::now().checked_add(wait).is_none_or(|until| until > run.deadline) {
                        return Err(if throttled { error.with_retry_after(wait) } else { error });
                    }
                    let Some(cost) = self.budget.take(throttled) else { return Err(error) };
                    tries.taken = cost;
                    let (attempt, kind) = (tries.number, error.kind());
                    tracing::debug!(attempt, ?wait, %kind, "trying again");
                    tries.last = Some(error);
                    run.cx.meter().waited(wait);
                    self.waited(WaitCause::Backoff, wait);
                    run.stage.set(if throttled { Stage::WAITING } else { Stage::IDLE });
                    tokio::time::sleep(wait).await;
                    Ok(())
                }
            }
        })
    }
}

//! The one request path: breaker, permit, signature, wire, lesson, and again if that may help.
//!
//! The order is the point. The breaker comes first, so that a dead vendor costs nothing. The permit is
//! per attempt, because the vendor counts attempts. The signature comes after all waits, because it may
//! be short-lived. The lesson comes before the retry, so that everybody who shares the limit waits too.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;

use acople_core::{
    AuthStamp, Body, Claim, Context, Error, ErrorKind, Permit, Progress, Request, Response, Result, Signal,
    TransportError, WaitCause, WireFault,
};
use http::{Method, StatusCode};
use tokio::time::Instant;
use tracing::Instrument;

use crate::again::Tries;
use crate::body::BodyReader;
use crate::call::{Call, Repeat};
use crate::client::{Client, Inner};
use crate::deadline::deadline;
use crate::redact::Redactor;
use crate::stage::Stage;
use crate::verdict::is_outage;
use crate::{Answer, CacheScope, Download, spans};

/// How an answer's body is taken.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Take {
    Whole,
    AsItComes,
}

/// An answer, and what is left of its body when it is taken as it comes.
struct Got {
    /// In a box: every layer moves it.
    answer: Box<Answer>,
    /// In a box of its own: most answers are whole.
    rest: Option<Box<Rest>>,
}

struct Rest {
    body: Body,
    reader: BodyReader,
    /// A download is in flight until its last byte.
    permit: Permit,
}

/// A request on its way.
type Sending<'a> = Pin<Box<dyn Future<Output = Result<Response, TransportError>> + Send + 'a>>;

/// One call on its way through its attempts.
#[derive(Clone, Copy)]
pub(crate) struct Run<'a> {
    pub(crate) cx: &'a Context,
    call: &'a Call,
    take: Take,
    pub(crate) repeatable: bool,
    pub(crate) deadline: Instant,
    pub(crate) stage: &'a Stage,
}

impl Client {
    /// Sends a request and reads the whole answer.
    ///
    /// # Errors
    /// What the vendor's classifier says of the answer, or what the wire did, after as many attempts as
    /// policy, budget and deadline allow. `Ambiguous` when the request may have taken effect and must
    /// not be repeated.
    pub async fn send(&self, cx: &Context, call: &Call) -> Result<Answer> {
        match cx.extension::<CacheScope>() {
            Some(scope) if scope.covers(call) => Box::pin(self.0.cached(cx, call, scope)).await,
            _ => self.0.whole(cx, call).await,
        }
    }

    /// Sends a request and hands out the body as it comes, for downloads larger than memory.
    ///
    /// The head has come and is a success when this returns; what breaks later is an error of
    /// [`Download::chunk`]. The call's deadline ends with the head: each piece has its own. The download
    /// counts as a call in flight until its end, or until it is dropped.
    pub async fn download(&self, cx: &Context, call: &Call) -> Result<Download> {
        let Got { answer, rest } = self.0.bounded(cx, call, Take::AsItComes).await?;
        let answer = *answer;
        let Some(rest) = rest else {
            return Err(Error::new(ErrorKind::Internal, "an answer without its body"));
        };
        let Rest { body, reader, permit } = *rest;
        let (cx, permit) = (cx.clone(), Some(permit));
        Ok(Download { status: answer.status, headers: answer.headers, body, reader, permit, cx })
    }
}

impl Inner {
    /// A call whose whole answer is wanted, without a cache.
    pub(crate) async fn whole(&self, cx: &Context, call: &Call) -> Result<Answer> {
        Ok(*self.bounded(cx, call, Take::Whole).await?.answer)
    }

    /// Runs a call until its deadline or until the caller gives up.
    async fn bounded(&self, cx: &Context, call: &Call, take: Take) -> Result<Got> {
        cx.ensure_live()?;
        let began = Instant::now();
        let deadline = deadline(began, self.timeouts.total, cx);
        if deadline <= began {
            let error = Error::new(ErrorKind::Timeout, "the deadline had passed before the call");
            return Err(error.with_operation(call.operation));
        }
        let stage = Stage::new(began);
        let repeatable = repeatable(cx, call);
        let run = Run { cx, call, take, repeatable, deadline, stage: &stage };
        let span = spans::of_call(self, call.operation);
        // Pinned where it is made: it is large, and every wrapper would move it.
        let work = pin!(self.attempts(run));
        let result = stage.bound(deadline, cx, work).instrument(span.clone()).await;
        let result = match result {
            Ok(Ok(got)) => Ok(got),
            Ok(Err(error)) => Err(stage.describe(error).with_operation(call.operation)),
            Err(ended) => Err(stage.describe(stage.ended(ended, repeatable)).with_operation(call.operation)),
        };
        let error = result.as_ref().err().map(Error::kind);
        if !span.is_disabled() {
            spans::call_ended(&span, stage.attempts(), error);
        }
        if let Some(recorder) = &self.recorder {
            let (operation, attempts) = (call.operation, stage.attempts());
            recorder.record(&Signal::Call { operation, error, attempts, took: began.elapsed() });
        }
        result
    }

    async fn attempts(&self, run: Run<'_>) -> Result<Got> {
        let Run { cx, call, deadline, stage, .. } = run;
        let claims = self.claims(call);
        let limited = cx.clone().with_deadline(deadline.into_std());
        let mut tries = Tries::default();
        loop {
            tries.number += 1;
            let mut request = self.request(cx, call).await?;
            let mut ticket = match self.breakers.enter(call.class) {
                Ok(ticket) => ticket,
                Err(open) => return Err(tries.barred(open)),
            };
            stage.set(Stage::WAITING);
            let permit = self.permit(&limited, &claims).await?;
            stage.set(Stage::IDLE);
            if !ticket.stands() {
                // The breaker changed while this call waited for its turn.
                ticket = self.breakers.enter(call.class)?;
            }
            let stamp = match &self.auth {
                Some(auth) => auth.authorize(cx, &mut request).await?,
                None => AuthStamp::default(),
            };
            let redactor = Redactor::of(&request);
            let result = self.attempt(run, tries.number, request, permit, &claims).await;
            stage.set(Stage::IDLE);
            match result {
                Ok(mut got) => {
                    got.answer.redactor = redactor;
                    ticket.tell(false);
                    self.budget.give_back(tries.taken);
                    return Ok(got);
                }
                Err(error) => {
                    ticket.tell(is_outage(&error));
                    self.recover(run, redactor.error(error), stamp, &claims, &mut tries).await?;
                }
            }
        }
    }

    /// One attempt, in a span of its own.
    async fn attempt(
        &self,
        run: Run<'_>,
        number: u32,
        request: Request,
        permit: Permit,
        claims: &[Claim],
    ) -> Result<Got> {
        let span = spans::of_attempt(&request, number);
        let (began, sent) = (Instant::now(), request.body().len());
        // Begins when it is polled; made here, so that the request is moved no further.
        let sending = self.transport.send(request);
        let work = pin!(async {
            let response = match self.wire(run, sending, began).await {
                Ok(response) => response,
                Err(error) => {
                    drop(permit);
                    return (None, Err(error.into_error(run.repeatable)));
                }
            };
            let status = response.status().as_u16();
            let got = self.read(run, response, permit).await.and_then(|got| {
                self.judge(run.call, claims, &got.answer, got.rest.is_none(), run.repeatable).map(|()| got)
            });
            (Some(status), got)
        });
        run.cx.meter().sent(sent, number > 1);
        let (status, result) = work.instrument(span.clone()).await;
        let error = result.as_ref().err().map(Error::kind);
        if !span.is_disabled() {
            spans::attempt_ended(&span, status, error);
        }
        if let Some(recorder) = &self.recorder {
            let received = result.as_ref().map_or(0, |got| got.answer.body.len());
            let (operation, took) = (run.call.operation, began.elapsed());
            recorder.record(&Signal::Attempt { operation, status, error, number, took, sent, received });
        }
        result
    }

    fn claims(&self, call: &Call) -> Arc<[Claim]> {
        let claims = self.limits.claims(call.class);
        if call.cost == 1 && call.points.is_none() {
            return claims;
        }
        let cost = |claim: &Claim| match call.points {
            Some((bucket, units)) if bucket == claim.bucket() => units,
            _ => call.cost,
        };
        claims.iter().map(|claim| claim.clone().with_cost(cost(claim))).collect()
    }

    async fn permit(&self, cx: &Context, claims: &[Claim]) -> Result<Permit> {
        let Some(recorder) = &self.recorder else {
            return self.limiter.acquire(cx, claims).await;
        };
        let asked = Instant::now();
        let permit = self.limiter.acquire(cx, claims).await;
        let wait = asked.elapsed();
        if !wait.is_zero() {
            recorder.record(&Signal::Waited { cause: WaitCause::Limit, wait });
        }
        permit
    }

    pub(crate) fn waited(&self, cause: WaitCause, wait: std::time::Duration) {
        if let Some(recorder) = &self.recorder {
            recorder.record(&Signal::Waited { cause, wait });
        }
    }

    /// Waits for the head of the answer.
    async fn wire(
        &self,
        run: Run<'_>,
        mut sending: Sending<'_>,
        now: Instant,
    ) -> Result<Response, TransportError> {
        let Run { stage, deadline, .. } = run;
        let head = now.checked_add(self.timeouts.head).map_or(deadline, |head| head.min(deadline));
        stage.sends(head);
        let answered = poll_fn(|task| match sending.as_mut().poll(task) {
            Poll::Ready(answered) => Poll::Ready(Some(answered)),
            Poll::Pending if stage.is_overdue() => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        });
        let answered = answered.await;
        stage.heard();
        answered.unwrap_or_else(|| Err(self.overdue(head == deadline)))
    }

    /// No head came in time.
    #[inline(never)]
    fn overdue(&self, at_deadline: bool) -> TransportError {
        let message = if at_deadline {
            "no answer before the deadline".to_owned()
        } else {
            format!("no answer within {} s", self.timeouts.head.as_secs_f32())
        };
        TransportError::new(Progress::MaybeSent, WireFault::Timeout, message)
    }

    async fn read(&self, run: Run<'_>, response: Response, permit: Permit) -> Result<Got> {
        let (status, headers, body) = response.into_parts();
        self.heed_retirement(run.call.class, run.call.operation, &headers);
        let received_at = self.clock.now();
        let mut answer = Box::new(Answer::new(status, headers, Vec::new(), received_at));
        let bodiless = run.call.method == Method::HEAD || status == StatusCode::NOT_MODIFIED;
        let reader = BodyReader::new(&answer.headers, self.body, run.repeatable, bodiless);
        if run.take == Take::AsItComes && status.is_success() {
            let reader = reader.map_err(Error::with_unknown_outcome)?;
            return Ok(Got { answer, rest: Some(Box::new(Rest { body, reader, permit })) });
        }
        let body = match reader {
            Ok(reader) => reader.whole(body).await,
            Err(error) => Err(error),
        };
        match body {
            Ok(body) => answer.body = body,
            // The status says enough; a refusal whose text is lost is still a refusal.
            Err(_) if !status.is_success() => {}
            // It says that all went well and cannot be read: the request took effect, for all that anybody
            // knows. Without the status: the answer was broken off, and another attempt may bring it whole.
            Err(error) => return Err(error.with_unknown_outcome()),
        }
        run.cx.meter().received(answer.body.len());
        Ok(Got { answer, rest: None })
    }
}

fn repeatable(cx: &Context, call: &Call) -> bool {
    match &call.repeat {
        Repeat::Harmless => true,
        Repeat::WithKey(_) => cx.idempotency_key().is_some(),
        Repeat::Never => false,
    }
}

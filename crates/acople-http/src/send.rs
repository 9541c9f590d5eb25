//! The one request path: breaker, permit, signature, wire, lesson, and again if that may help.
//!
//! The order is the point. The breaker comes first, so that a dead vendor costs nothing. The permit is
//! per attempt, because the vendor counts attempts. The signature comes after all waits, because it may
//! be short-lived. The lesson comes before the retry, so that everybody who shares the limit waits too.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering};
use std::time::Duration;

use acople_core::{
    AuthStamp, Body, Claim, Context, Error, ErrorKind, Lesson, Permit, Progress, Refresh, Request, Response,
    Result, TransportError, WireFault,
};
use futures_util::future::{Either, select};
use http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE};
use http::{HeaderValue, Method};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use tokio::time::Instant;
use url::Url;

use crate::body::BodyReader;
use crate::call::{Call, Expects, Repeat, Target};
use crate::client::{Client, Inner};
use crate::redact::{Redactor, redacted};
use crate::{Answer, Download, link};

/// What may stand unescaped in a query's name or value. A space becomes `%20`: OData servers refuse the
/// `+` of HTML forms, and every server knows `%20`.
pub(crate) const QUERY: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'$')
    .remove(b'(')
    .remove(b')')
    .remove(b'*')
    .remove(b',')
    .remove(b':')
    .remove(b'/')
    .remove(b'@')
    .remove(b'!');

/// Where a call stands: what it means when a deadline strikes or the caller gives up.
#[derive(Default)]
struct Stage {
    at: AtomicU8,
    /// Attempts that went to the wire.
    sent: AtomicU32,
    /// Whether one of them may have taken effect although it failed.
    open: AtomicBool,
}

impl Stage {
    const IDLE: u8 = 0;
    const WAITING: u8 = 1;
    const ON_THE_WIRE: u8 = 2;

    fn set(&self, stage: u8) {
        self.at.store(stage, Ordering::Relaxed);
        if stage == Self::ON_THE_WIRE {
            self.sent.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn failed(&self, error: &Error) {
        self.open.fetch_or(!error.outcome_known(), Ordering::Relaxed);
    }

    /// The error of a call that ends here because somebody outside wants it to.
    fn ended(&self, kind: ErrorKind, why: &str, repeatable: bool) -> Error {
        match self.at.load(Ordering::Relaxed) {
            Self::ON_THE_WIRE if !repeatable => {
                Error::new(ErrorKind::Ambiguous, format!("{why} while the request was on the wire"))
            }
            Self::ON_THE_WIRE => Error::new(kind, why).with_unknown_outcome(),
            Self::WAITING if kind == ErrorKind::Timeout => {
                Error::new(ErrorKind::RateLimited, format!("{why} while waiting for the limit"))
            }
            _ => Error::new(kind, why),
        }
    }

    /// Says of an error what the attempts before it mean for the whole call.
    fn describe(&self, error: Error) -> Error {
        let error = match self.sent.load(Ordering::Relaxed) {
            0 => error,
            sent => error.with_attempts(sent),
        };
        // A refusal of the data itself would have met the earlier attempts as well.
        let refused = matches!(error.kind(), ErrorKind::Invalid | ErrorKind::Schema | ErrorKind::TooLarge);
        if self.open.load(Ordering::Relaxed) && !refused { error.with_unknown_outcome() } else { error }
    }
}

/// How an answer's body is taken.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Take {
    Whole,
    AsItComes,
}

/// An answer, and what is left of its body when it is taken as it comes.
struct Got {
    answer: Answer,
    /// In a box of its own: most answers are whole, and every layer moves them.
    rest: Option<Box<Rest>>,
}

struct Rest {
    body: Body,
    reader: BodyReader,
    /// A download is in flight until its last byte.
    permit: Permit,
}

/// What to do after a failed attempt.
enum Next {
    Fail(Error),
    Again { wait: Duration, throttled: bool, error: Error },
    Renew(Error),
}

impl Client {
    /// Sends a request and reads the whole answer.
    ///
    /// # Errors
    /// What the vendor's classifier says of the answer, or what the wire did, after as many attempts as
    /// policy, budget and deadline allow. `Ambiguous` when the request may have taken effect and must
    /// not be repeated.
    pub async fn send(&self, cx: &Context, call: &Call) -> Result<Answer> {
        Ok(self.0.bounded(cx, call, Take::Whole).await?.answer)
    }

    /// Sends a request and hands out the body as it comes, for downloads larger than memory.
    ///
    /// The head has come and is a success when this returns; what breaks later is an error of
    /// [`Download::chunk`]. The call's deadline ends with the head: each piece has its own. The download
    /// counts as a call in flight until its end, or until it is dropped.
    pub async fn download(&self, cx: &Context, call: &Call) -> Result<Download> {
        let Got { answer, rest } = self.0.bounded(cx, call, Take::AsItComes).await?;
        let Some(rest) = rest else {
            return Err(Error::new(ErrorKind::Internal, "an answer without its body"));
        };
        let Rest { body, reader, permit } = *rest;
        let (cx, permit) = (cx.clone(), Some(permit));
        Ok(Download { status: answer.status, headers: answer.headers, body, reader, permit, cx })
    }
}

impl Inner {
    /// Runs a call until its deadline or until the caller gives up.
    async fn bounded(&self, cx: &Context, call: &Call, take: Take) -> Result<Got> {
        cx.ensure_live()?;
        let stage = Stage::default();
        let repeatable = repeatable(cx, call);
        let own = Instant::now().checked_add(self.timeouts.total);
        let theirs = cx.deadline().map(Instant::from_std);
        let deadline = own.into_iter().chain(theirs).min().unwrap_or_else(far_away);
        if deadline <= Instant::now() {
            let error = Error::new(ErrorKind::Timeout, "the deadline had passed before the call");
            return Err(error.with_operation(call.operation));
        }
        let work = pin!(tokio::time::timeout_at(deadline, self.attempts(cx, call, take, deadline, &stage)));
        let cancelled = pin!(cx.cancel().cancelled());
        let result = match select(work, cancelled).await {
            Either::Left((Ok(result), _)) => result,
            Either::Left((Err(_), _)) => {
                Err(stage.ended(ErrorKind::Timeout, "the deadline passed", repeatable))
            }
            Either::Right(_) => Err(stage.ended(ErrorKind::Cancelled, "the caller gave up", repeatable)),
        };
        result.map_err(|error| stage.describe(error).with_operation(call.operation))
    }

    async fn attempts(
        &self,
        cx: &Context,
        call: &Call,
        take: Take,
        deadline: Instant,
        stage: &Stage,
    ) -> Result<Got> {
        let repeatable = repeatable(cx, call);
        let claims = self.claims(call);
        let limited = cx.clone().with_deadline(deadline.into_std());
        let mut request = self.request(cx, call).await?;
        let (mut attempt, mut renewed, mut taken) = (0, false, 0);
        let mut last: Option<Error> = None;
        loop {
            attempt += 1;
            let ticket = match self.breaker.enter() {
                Ok(ticket) => ticket,
                // What opened it says more than that it is open.
                Err(open) => return Err(last.unwrap_or(open)),
            };
            stage.set(Stage::WAITING);
            let permit = self.limiter.acquire(&limited, &claims).await?;
            stage.set(Stage::IDLE);
            let stamp = match &self.auth {
                Some(auth) => auth.authorize(cx, &mut request).await?,
                None => AuthStamp::default(),
            };
            stage.set(Stage::ON_THE_WIRE);
            cx.meter().sent(request.body().len(), attempt > 1);
            let result = match self.wire(&request, deadline).await {
                Ok(response) => self.read(cx, call, response, take, repeatable, permit).await,
                Err(error) => {
                    drop(permit);
                    Err(error.into_error(repeatable))
                }
            };
            stage.set(Stage::IDLE);
            let error = match result.and_then(|got| self.judge(call, &claims, got, repeatable)) {
                Ok(mut got) => {
                    ticket.tell(false);
                    self.budget.give_back(taken);
                    got.answer.redactor = Redactor::new(request);
                    return Ok(got);
                }
                Err(error) => error,
            };
            ticket.tell(is_outage(&error));
            stage.failed(&error);
            match self.next(redacted(error, &request), attempt, repeatable, renewed, &claims) {
                Next::Fail(error) => return Err(error),
                Next::Renew(error) => {
                    let Some(auth) = &self.auth else { return Err(error) };
                    match auth.refresh(cx, stamp).await? {
                        Refresh::Renewed => {
                            renewed = true;
                            // The new credentials may come with another address of the account.
                            request = self.request(cx, call).await?;
                        }
                        _ => return Err(error),
                    }
                }
                Next::Again { wait, throttled, error } => {
                    if Instant::now().checked_add(wait).is_none_or(|until| until > deadline) {
                        return Err(if throttled { error.with_retry_after(wait) } else { error });
                    }
                    let Some(cost) = self.budget.take(throttled) else { return Err(error) };
                    taken = cost;
                    tracing::debug!(operation = call.operation, attempt, ?wait, kind = %error.kind(), "trying again");
                    last = Some(error);
                    cx.meter().waited(wait);
                    stage.set(if throttled { Stage::WAITING } else { Stage::IDLE });
                    tokio::time::sleep(wait).await;
                }
            }
        }
    }

    fn claims(&self, call: &Call) -> Arc<[Claim]> {
        let claims = self.limits.claims(call.class);
        if call.cost == 1 {
            return claims;
        }
        claims.iter().map(|claim| claim.clone().with_cost(call.cost)).collect()
    }

    /// Builds the request without credentials.
    async fn request(&self, cx: &Context, call: &Call) -> Result<Request> {
        let named = match &self.auth {
            Some(auth) => auth.endpoint(cx).await?,
            None => None,
        };
        let url = target(named.as_ref().unwrap_or(&self.base), call)?;
        let mut request = Request::new(call.method.clone(), url);
        let headers = request.headers_mut();
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
        if call.expects == Expects::Json {
            headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        }
        for (name, value) in self.headers.iter().chain(call.headers.iter()) {
            headers.insert(name, value.clone());
        }
        if let (Repeat::WithKey(name), Some(key)) = (&call.repeat, cx.idempotency_key()) {
            let value = HeaderValue::from_str(key)
                .map_err(|_| Error::config("idempotency_key", "has characters that a header cannot carry"))?;
            headers.insert(name, value);
        }
        request.set_body(call.body.clone());
        Ok(request)
    }

    async fn wire(&self, request: &Request, deadline: Instant) -> Result<Response, TransportError> {
        let head = Instant::now().checked_add(self.timeouts.head).map_or(deadline, |head| head.min(deadline));
        let sending = tokio::time::timeout_at(head, self.transport.send(request));
        sending.await.unwrap_or_else(|_| {
            let message = if head == deadline {
                "no answer before the deadline".to_owned()
            } else {
                format!("no answer within {} s", self.timeouts.head.as_secs_f32())
            };
            Err(TransportError::new(Progress::MaybeSent, WireFault::Timeout, message))
        })
    }

    async fn read(
        &self,
        cx: &Context,
        call: &Call,
        response: Response,
        take: Take,
        repeatable: bool,
        permit: Permit,
    ) -> Result<Got> {
        let (status, headers, body) = response.into_parts();
        let received_at = self.clock.now();
        let mut answer = Answer::new(status, headers, Vec::new(), received_at);
        let bodiless = call.method == Method::HEAD;
        let reader = BodyReader::new(&answer.headers, self.body, repeatable, bodiless);
        if take == Take::AsItComes && status.is_success() {
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
        cx.meter().received(answer.body.len());
        Ok(Got { answer, rest: None })
    }

    /// Asks the vendor's classifier, passes on its lessons, and settles what a failure means for a
    /// request that must not be repeated.
    fn judge(&self, call: &Call, claims: &[Claim], got: Got, repeatable: bool) -> Result<Got> {
        let answer = &got.answer;
        let verdict = match self.classifier.classify(answer) {
            Ok(()) if call.expects == Expects::Json && got.rest.is_none() && is_html(answer) => {
                Err(Error::new(
                    ErrorKind::Protocol,
                    "HTML received where JSON was expected: a login or maintenance page?",
                )
                .with_status(answer.status.as_u16()))
            }
            verdict => verdict,
        };
        let mut lessons = Vec::new();
        self.classifier.lessons(answer, &mut lessons);
        // Where the classifier names the bucket it is that one; otherwise every bucket of the request is.
        let taught = |kind: fn(&Lesson) -> bool| lessons.iter().any(kind);
        let general = match &verdict {
            Err(error)
                if error.kind() == ErrorKind::QuotaExhausted
                    && !taught(|lesson| matches!(lesson, Lesson::Exhausted { .. })) =>
            {
                Some(Lesson::Exhausted { bucket: None, until: error.retry_at() })
            }
            Err(error)
                if error.kind() == ErrorKind::RateLimited
                    && error.retry_after().is_some()
                    && !taught(|lesson| matches!(lesson, Lesson::Throttled { .. })) =>
            {
                Some(Lesson::Throttled { bucket: None, wait: error.retry_after() })
            }
            Err(_) => None,
            Ok(()) => Some(Lesson::Passed),
        };
        for lesson in lessons.iter().chain(&general) {
            self.limiter.observe(claims, lesson);
        }
        match verdict {
            Ok(()) => Ok(got),
            Err(error) if error.kind() == ErrorKind::Transient && !refused_unprocessed(&error) => {
                Err(if repeatable {
                    error.with_unknown_outcome()
                } else {
                    error.with_kind(ErrorKind::Ambiguous)
                })
            }
            Err(error) if error.kind() == ErrorKind::Protocol && got.answer.status.is_success() => {
                Err(error.with_unknown_outcome())
            }
            Err(error) => Err(error),
        }
    }

    fn next(&self, error: Error, attempt: u32, repeatable: bool, renewed: bool, claims: &[Claim]) -> Next {
        let throttled = error.kind() == ErrorKind::RateLimited;
        match error.kind() {
            ErrorKind::Reauth if !renewed => return Next::Renew(error),
            // Anything transient left here is safe to repeat: `judge` and `into_error` saw to it.
            ErrorKind::RateLimited | ErrorKind::Transient => {}
            ErrorKind::Timeout | ErrorKind::Protocol if repeatable && !is_whole(&error) => {}
            _ => return Next::Fail(error),
        }
        let backoff = self.retry.wait(attempt, throttled, fastrand::f64());
        if throttled && error.retry_after().is_none() {
            // Everybody who shares the limit waits, not this call alone.
            self.limiter.observe(claims, &Lesson::Throttled { bucket: None, wait: Some(backoff) });
        }
        if attempt >= self.retry.attempts {
            return Next::Fail(error);
        }
        let wait = error.retry_after().map_or(backoff, |theirs| theirs.max(backoff));
        Next::Again { wait, throttled, error }
    }
}

/// The URL of a call: below the base, or a vendor's link held to the base's origin.
fn target(base: &Url, call: &Call) -> Result<Url> {
    let mut url = match &call.target {
        Target::Link { text, from } => link::resolve(base, from, text)?,
        Target::Climbing => {
            return Err(Error::new(ErrorKind::Invalid, "a path segment of dots alone would leave its place"));
        }
        Target::Path(path) => {
            let mut url = base.clone();
            url.set_path(&[base.path().trim_end_matches('/'), path].concat());
            url
        }
    };
    if !call.query.is_empty() {
        let mut query = url.query().map(str::to_owned).unwrap_or_default();
        for (name, value) in &call.query {
            if !query.is_empty() {
                query.push('&');
            }
            query.extend(utf8_percent_encode(name, QUERY));
            query.push('=');
            query.extend(utf8_percent_encode(value, QUERY));
        }
        url.set_query(Some(&query));
    }
    Ok(url)
}

fn repeatable(cx: &Context, call: &Call) -> bool {
    match &call.repeat {
        Repeat::Harmless => true,
        Repeat::WithKey(_) => cx.idempotency_key().is_some(),
        Repeat::Never => false,
    }
}

/// Whether a failure says that the vendor is down, rather than that it refused.
fn is_outage(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Transient | ErrorKind::Timeout)
        || (error.kind() == ErrorKind::Ambiguous && error.status().is_none_or(|s| s >= 500))
}

/// Statuses by which a vendor says that it did not process the request. Any refusal with 4xx is one, also
/// where the vendor's code makes it transient (a row that is locked right now).
fn refused_unprocessed(error: &Error) -> bool {
    // 499 is a proxy's word for a client that left: the vendor may have gone on.
    matches!(error.status(), Some(400..=498 | 503))
}

fn is_html(answer: &Answer) -> bool {
    let html = answer
        .headers
        .get(CONTENT_TYPE)
        .is_some_and(|t| t.as_bytes().get(..9).is_some_and(|t| t.eq_ignore_ascii_case(b"text/html")));
    html && answer.body.trim_ascii_start().starts_with(b"<")
}

/// An answer that arrived whole but is not what it should be (HTML, a redirect): another attempt would
/// bring the same.
fn is_whole(error: &Error) -> bool {
    error.status().is_some()
}

/// A deadline for a call whose limits are beyond what the clock can tell.
fn far_away() -> Instant {
    Instant::now() + Duration::from_secs(86_400 * 365)
}

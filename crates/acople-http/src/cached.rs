//! The place at which a cache of answers comes into the request path.

use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use acople_core::{CacheUse, ConnectionKey, Context, Error, ErrorKind, Request, Result, Signal};
use async_trait::async_trait;
use futures_util::future::{Either, select};
use http::HeaderMap;
use http::header::{
    HeaderName, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE, RANGE,
};
use tokio::time::Instant;

use crate::client::Inner;
use crate::deadline::deadline;
use crate::{Answer, Call};

/// Headers of calls that ask for something else than the whole answer as it is now.
const CONDITIONS: [HeaderName; 6] =
    [IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE, RANGE];

/// Keeps answers, and hands them out again while they are fresh.
///
/// A host seldom calls it: a layer above the connector puts a [`CacheScope`] into the
/// [`Context`], and [`Client::send`](crate::Client::send) asks the scope's cache before the vendor.
#[async_trait]
pub trait AnswerCache: Send + Sync + fmt::Debug + 'static {
    /// The answer to a request: one that is kept, or what the vendor says now.
    ///
    /// # Errors
    /// Those of the vendor. They are never kept.
    async fn answer(&self, asked: &Asked<'_>, origin: &dyn Origin) -> Result<(Answer, CacheUse)>;

    /// Says that kept answers are no longer true. What was asked for before this call is not kept after it.
    fn invalidate(&self, outdated: Outdated<'_>);
}

/// The vendor, for a cache that has no answer or doubts it.
#[async_trait]
pub trait Origin: Send + Sync {
    /// Sends the request, with these headers besides its own: none, or `If-None-Match` and
    /// `If-Modified-Since` of a kept answer. Only then the answer may be a 304 (RFC 9110, 15.4.5).
    async fn ask(&self, conditions: HeaderMap) -> Result<Answer>;
}

/// What a cache is asked for.
#[derive(Debug)]
#[non_exhaustive]
pub struct Asked<'a> {
    /// On whose behalf, and how long answers are good.
    pub scope: &'a CacheScope,
    /// The host's customer that the [`Context`] names.
    pub tenant: Option<&'a str>,
    /// The request, without credentials.
    pub request: &'a Request,
    /// When nobody waits any longer.
    pub deadline: Instant,
}

/// What an answer is about, within one connection.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Subject {
    /// What the system offers: its streams and their fields.
    Catalog,
    /// Records of a stream.
    Stream(Arc<str>),
    /// What an action told.
    Action(Arc<str>),
}

impl Subject {
    /// Records of a stream.
    pub fn stream(name: impl Into<Arc<str>>) -> Self {
        Self::Stream(name.into())
    }

    /// What an action told.
    pub fn action(name: impl Into<Arc<str>>) -> Self {
        Self::Action(name.into())
    }
}

/// Which kept answers are no longer true.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Outdated<'a> {
    /// All.
    All,
    /// Those of a customer, named by the connection or by the [`Context`].
    Tenant(&'a str),
    /// Those of a connection.
    Connection(&'a ConnectionKey),
    /// Those about one subject of a connection.
    Subject(&'a ConnectionKey, &'a Subject),
}

/// Switches caching on for the calls of one operation of a connector: put into its [`Context`] with
/// [`with_extension`](Context::with_extension).
///
/// Cached are GET calls, and those that the connector marks [`Call::cacheable`]. With the first other call
/// that may change something the scope is over: what the connector asks from then on goes to the vendor.
/// Clones are one scope.
#[derive(Clone)]
pub struct CacheScope {
    cache: Arc<dyn AnswerCache>,
    connection: Arc<ConnectionKey>,
    subject: Subject,
    ttl: Duration,
    despite_no_store: bool,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    over: AtomicBool,
    hit: AtomicBool,
}

impl CacheScope {
    /// One operation of a connection, about a subject, whose answers are good for `ttl`.
    pub fn new(
        cache: Arc<dyn AnswerCache>,
        connection: impl Into<Arc<ConnectionKey>>,
        subject: Subject,
        ttl: Duration,
    ) -> Self {
        let connection = connection.into();
        Self { cache, connection, subject, ttl, despite_no_store: false, state: Arc::default() }
    }

    /// Keeps answers also where the vendor's `Cache-Control` says `no-store` or `no-cache`: a host may have
    /// agreed with the vendor on more than its servers send by default.
    pub fn despite_no_store(mut self) -> Self {
        self.despite_no_store = true;
        self
    }

    /// Whose answers they are.
    pub fn connection(&self) -> &Arc<ConnectionKey> {
        &self.connection
    }

    /// What they are about.
    pub fn subject(&self) -> &Subject {
        &self.subject
    }

    /// How long they are good, from when they were asked for.
    pub fn ttl(&self) -> Duration {
        self.ttl
    }

    /// Whether the vendor's wish that nothing be kept is passed over.
    pub fn is_despite_no_store(&self) -> bool {
        self.despite_no_store
    }

    /// Whether an answer of this scope came from the cache without the vendor's word that it still holds:
    /// what was put together from such answers is no listing of the present.
    pub fn has_hit(&self) -> bool {
        self.state.hit.load(Ordering::Relaxed)
    }

    /// Whether a call is answered through the cache. Ends the scope where the call may change something.
    pub(crate) fn covers(&self, call: &Call) -> bool {
        if !call.cacheable {
            self.state.over.fetch_or(!call.method.is_safe(), Ordering::Relaxed);
            return false;
        }
        !self.state.over.load(Ordering::Relaxed)
            && !CONDITIONS.iter().any(|name| call.headers.contains_key(name))
    }
}

impl fmt::Debug for CacheScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CacheScope")
            .field("connection", &self.connection)
            .field("subject", &self.subject)
            .field("ttl", &self.ttl)
            .finish_non_exhaustive()
    }
}

/// The vendor behind a cached call.
struct Wire<'a> {
    client: &'a Inner,
    cx: &'a Context,
    call: &'a Call,
}

#[async_trait]
impl Origin for Wire<'_> {
    async fn ask(&self, conditions: HeaderMap) -> Result<Answer> {
        if conditions.is_empty() {
            return self.client.whole(self.cx, self.call).await;
        }
        let mut call = self.call.clone();
        call.headers.extend(conditions);
        call.conditional = true;
        self.client.whole(self.cx, &call).await
    }
}

impl Inner {
    /// The answer to a call through the cache of its scope, until its deadline or until the caller gives up.
    pub(crate) async fn cached(&self, cx: &Context, call: &Call, scope: &CacheScope) -> Result<Answer> {
        cx.ensure_live()?;
        let deadline = deadline(Instant::now(), self.timeouts.total, cx);
        // The same instant for a call that goes to the vendor: its own time-out says more than that of the
        // wait for somebody else's answer.
        let cx = cx.clone().with_deadline(deadline.into_std());
        let work = pin!(tokio::time::timeout_at(deadline, async {
            let request = self.request(&cx, call).await?;
            let asked = Asked { scope, tenant: cx.tenant(), request: &request, deadline };
            scope.cache.answer(&asked, &Wire { client: self, cx: &cx, call }).await
        }));
        let cancelled = pin!(cx.cancelled());
        let result = match select(work, cancelled).await {
            Either::Left((Ok(result), _)) => result,
            Either::Left((Err(_), _)) => Err(Error::new(ErrorKind::Timeout, "the deadline passed")),
            Either::Right(_) => Err(Error::new(ErrorKind::Cancelled, "the caller gave up")),
        };
        let (answer, found) = result.map_err(|error| error.with_operation(call.operation))?;
        scope.state.hit.fetch_or(found == CacheUse::Hit, Ordering::Relaxed);
        tracing::trace!(operation = call.operation, ?found, "the cache was asked");
        if let Some(recorder) = &self.recorder {
            recorder.record(&Signal::Cache { operation: call.operation, found });
        }
        Ok(answer)
    }
}

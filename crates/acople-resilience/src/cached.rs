//! A connector whose questions are answered from a cache.

use std::sync::Arc;
use std::time::Duration;

use acople_core::{
    ActionCall, ActionOutput, Catalog, ConnectionKey, Connector, ConnectorInfo, Context, Event, EventStream,
    Health, ReadMode, ReadRequest, Result, Stream, WriteReport, WriteRequest,
};
use acople_http::{AnswerCache, CacheScope, Outdated, Subject};
use async_trait::async_trait;
use futures_util::StreamExt;

use crate::Policy;

/// Any connector, with a cache in front of what it asks its vendor.
///
/// - Full reads, `discover`, `describe` and the policy's queries are cached, answer by answer, as the policy says.
///   Incremental reads are not: they ask for what has changed. `check` is not.
/// - A write, or an action that is no query, outdates what it may have changed when it ends, whatever came of it,
///   also when it is dropped.
/// - A read of which a part came from the cache never claims to be a complete listing: its
///   [`Event::SnapshotEnd`] is left out, so that nobody deletes by it.
/// - A sync takes the connector itself ([`uncached`](Self::uncached)): it wants the present.
///
/// A connection whose credentials are withdrawn is answered from the cache until its answers have aged: tell the
/// cache when an account is disconnected or connected to another one.
#[derive(Clone, Debug)]
pub struct Cached {
    connector: Arc<dyn Connector>,
    connection: Arc<ConnectionKey>,
    cache: Arc<dyn AnswerCache>,
    policy: Arc<Policy>,
}

impl Cached {
    /// A connector with a cache, which may be shared by any number of them. `connection` says whose answers they
    /// are ([`Resources::connection_key`](acople_core::Resources::connection_key)): two connections with one key
    /// would be taken for one.
    pub fn new(
        connector: Arc<dyn Connector>,
        connection: ConnectionKey,
        cache: Arc<dyn AnswerCache>,
        policy: Policy,
    ) -> Self {
        Self { connector, connection: Arc::new(connection), cache, policy: Arc::new(policy) }
    }

    /// The connector without the cache.
    pub fn uncached(&self) -> &Arc<dyn Connector> {
        &self.connector
    }

    /// Whose answers they are.
    pub fn connection(&self) -> &ConnectionKey {
        &self.connection
    }

    /// Forgets what is kept about a subject: for a webhook that says that it has changed.
    pub fn invalidate(&self, subject: &Subject) {
        self.cache.invalidate(Outdated::Subject(&self.connection, subject));
    }

    /// The context of an operation whose answers may come from the cache.
    fn scoped(&self, cx: &Context, subject: Subject, ttl: Duration) -> (Context, Option<CacheScope>) {
        if ttl.is_zero() {
            return (cx.clone(), None);
        }
        let despite = match &subject {
            Subject::Stream(name) | Subject::Action(name) => self.policy.despite_no_store.contains(&**name),
            _ => false,
        };
        let scope = CacheScope::new(self.cache.clone(), self.connection.clone(), subject, ttl);
        let scope = if despite { scope.despite_no_store() } else { scope };
        (cx.clone().with_extension(scope.clone()), Some(scope))
    }

    fn of_catalog(&self, cx: &Context) -> Context {
        self.scoped(cx, Subject::Catalog, self.policy.catalog.unwrap_or_default()).0
    }

    /// Outdates what a change touches, when it is dropped: whatever has become of the change by then.
    fn changing(&self, stream: Option<&str>, affected: Option<&Vec<String>>) -> Changing<'_> {
        let others = affected.into_iter().flatten().map(String::as_str);
        let streams = stream.into_iter().chain(others).map(Subject::stream).collect();
        let everything = stream.is_none() && affected.is_none();
        Changing { cached: self, streams, everything }
    }
}

#[async_trait]
impl Connector for Cached {
    fn info(&self) -> &ConnectorInfo {
        self.connector.info()
    }

    async fn check(&self, cx: &Context) -> Result<Health> {
        self.connector.check(cx).await
    }

    async fn discover(&self, cx: &Context) -> Result<Catalog> {
        self.connector.discover(&self.of_catalog(cx)).await
    }

    async fn describe(&self, cx: &Context, stream: &str) -> Result<Stream> {
        self.connector.describe(&self.of_catalog(cx), stream).await
    }

    fn read(&self, cx: &Context, request: ReadRequest) -> Result<EventStream> {
        if !self.policy.reads || request.mode() != ReadMode::Full {
            return self.connector.read(cx, request);
        }
        let ttl = self.policy.ttls.get(request.stream()).copied().unwrap_or(self.policy.ttl);
        let (cx, scope) = self.scoped(cx, Subject::stream(request.stream()), ttl);
        let events = self.connector.read(&cx, request)?;
        let Some(scope) = scope else { return Ok(events) };
        Ok(Box::pin(events.filter(move |event| {
            let claims = matches!(event, Ok(Event::SnapshotEnd));
            std::future::ready(!(claims && scope.has_hit()))
        })))
    }

    async fn write(&self, cx: &Context, request: WriteRequest) -> Result<WriteReport> {
        let stream = request.stream().to_owned();
        let _outdated = self.changing(Some(&stream), self.policy.affects.get(&stream));
        self.connector.write(cx, request).await
    }

    async fn invoke(&self, cx: &Context, call: ActionCall) -> Result<ActionOutput> {
        if let Some(ttl) = self.policy.queries.get(call.name()) {
            let (cx, _) = self.scoped(cx, Subject::action(call.name()), *ttl);
            return self.connector.invoke(&cx, call).await;
        }
        let _outdated = self.changing(None, self.policy.affects.get(call.name()));
        self.connector.invoke(cx, call).await
    }
}

struct Changing<'a> {
    cached: &'a Cached,
    streams: Vec<Subject>,
    everything: bool,
}

impl Drop for Changing<'_> {
    fn drop(&mut self) {
        let Cached { cache, connection, .. } = self.cached;
        if self.everything {
            cache.invalidate(Outdated::Connection(connection));
        }
        for stream in &self.streams {
            cache.invalidate(Outdated::Subject(connection, stream));
        }
    }
}

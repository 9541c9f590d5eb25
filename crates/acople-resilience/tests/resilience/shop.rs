//! A connector of the request path, whose vendor is a script.

use std::sync::Arc;
use std::time::Duration;

use acople_core::{
    Action, ActionCall, ActionOutput, AuthProvider, Catalog, ConnectionKey, Connector, ConnectorInfo,
    Context, Cursors, Event, EventStream, Health, Outcome, ReadRequest, Result, Stream, WriteReport,
    WriteRequest,
};
use acople_http::{Call, Client, Left, List, Paging, events, walk_list};
use acople_resilience::{Cache, CacheScope, Cached, Policy, Subject};
use acople_testkit::ScriptedTransport;
use async_trait::async_trait;
use futures_util::StreamExt;

const CURSORS: Cursors = Cursors::new("shop", 1);

pub(crate) const MINUTE: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(crate) struct Shop {
    info: ConnectorInfo,
    client: Client,
}

impl Shop {
    pub(crate) fn connect(transport: &ScriptedTransport) -> Arc<dyn Connector> {
        Self::with(transport, None)
    }

    pub(crate) fn with(
        transport: &ScriptedTransport,
        auth: Option<Arc<dyn AuthProvider>>,
    ) -> Arc<dyn Connector> {
        let builder = Client::builder("https://shop.example.com", Arc::new(transport.clone())).unwrap();
        let builder = match auth {
            Some(auth) => builder.auth(auth),
            None => builder,
        };
        let info = ConnectorInfo::new("shop", "Shop").with_action(Action::new("report", "a report"));
        Arc::new(Self { info, client: builder.build() })
    }
}

#[async_trait]
impl Connector for Shop {
    fn info(&self) -> &ConnectorInfo {
        &self.info
    }

    async fn check(&self, cx: &Context) -> Result<Health> {
        self.client.send(cx, &Call::get("ping").path(["ping"])).await?;
        Ok(Health::ok("the shop"))
    }

    async fn discover(&self, cx: &Context) -> Result<Catalog> {
        let answer = self.client.send(cx, &Call::get("describe").path(["catalog"])).await?;
        let names: Vec<String> = answer.json()?;
        Ok(Catalog { streams: names.into_iter().map(Stream::new).collect() })
    }

    fn read(&self, cx: &Context, request: ReadRequest) -> Result<EventStream> {
        let from = CURSORS.state(&request)?.unwrap_or_default();
        let left = Left::of(&request);
        let call = Call::get("list").path([request.stream()]);
        let list = List::new(&self.client, cx, request.stream(), &["data"], Paging::token("next", "after"))?;
        Ok(events(
            CURSORS,
            request,
            async move { Ok(walk_list(list, call, from, left, async |batch| Ok(batch))) },
        ))
    }

    async fn write(&self, cx: &Context, request: WriteRequest) -> Result<WriteReport> {
        let call = Call::post("write")
            .path([request.stream()])
            .raw_json(request.batch().get(0).unwrap().raw().to_owned());
        let outcome = match self.client.send(cx, &call).await {
            Ok(_) => Outcome::accepted("1", None),
            Err(error) if error.outcome_known() => return Err(error),
            Err(error) => Outcome::from_call_error(&error),
        };
        WriteReport::new(1, vec![outcome])
    }

    async fn invoke(&self, cx: &Context, call: ActionCall) -> Result<ActionOutput> {
        let text = match call.name() {
            // A POST that only asks.
            "report" => {
                let ask = Call::post("report").path(["report"]).json(call.input())?.cacheable();
                self.client.send(cx, &ask).await?
            }
            // A job that is waited for.
            "job" => {
                self.client.send(cx, &Call::post("begin").path(["jobs"])).await?;
                let poll = Call::get("poll").path(["jobs", "1"]);
                self.client.send(cx, &poll).await?;
                self.client.send(cx, &poll).await?
            }
            "wait" => {
                let poll = Call::get("poll").path(["jobs", "1"]).uncached();
                self.client.send(cx, &poll).await?;
                self.client.send(cx, &poll).await?
            }
            _ => self.client.send(cx, &Call::post("change").path(["change"])).await?,
        };
        Ok(ActionOutput::new(text.json()?))
    }
}

pub(crate) fn key(tenant: &str) -> ConnectionKey {
    ConnectionKey::new("shop", "default").with_tenant(tenant)
}

pub(crate) fn cached(transport: &ScriptedTransport, cache: &Cache, policy: Policy) -> Cached {
    Cached::new(Shop::connect(transport), key("t"), Arc::new(cache.clone()), policy)
}

/// A client, and a context whose calls are cached.
pub(crate) fn direct(transport: &ScriptedTransport, cache: &Cache, ttl: Duration) -> (Client, Context) {
    let client = Client::builder("https://shop.example.com", Arc::new(transport.clone())).unwrap().build();
    (client, Context::new().with_extension(scope(cache, "leads", ttl)))
}

pub(crate) fn scope(cache: &Cache, stream: &str, ttl: Duration) -> CacheScope {
    CacheScope::new(Arc::new(cache.clone()), key("t"), Subject::stream(stream), ttl)
}

/// The events of a read, a letter each, and its records.
pub(crate) async fn read(
    connector: &dyn Connector,
    cx: &Context,
    request: ReadRequest,
) -> (String, Vec<String>) {
    let mut events = connector.read(cx, request).unwrap();
    let (mut letters, mut records) = (String::new(), Vec::new());
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::SnapshotBegin) => letters.push('('),
            Ok(Event::Batch(batch)) => {
                letters.push('b');
                records.extend(batch.iter().map(|record| record.raw().to_owned()));
            }
            Ok(Event::Checkpoint(_)) => letters.push('c'),
            Ok(Event::SnapshotEnd) => letters.push(')'),
            Ok(Event::Warning(text)) => letters.extend(["[", &text, "]"]),
            Ok(_) => letters.push('?'),
            Err(error) => letters.extend(["!", error.kind().as_str()]),
        }
    }
    (letters, records)
}

pub(crate) async fn full(connector: &dyn Connector, stream: &str) -> (String, Vec<String>) {
    read(connector, &Context::new(), ReadRequest::full(stream)).await
}

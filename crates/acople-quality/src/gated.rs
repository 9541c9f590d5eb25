//! A source behind checks: what a sync reads from it has been assessed.

use std::collections::BTreeMap;
use std::sync::Arc;

use acople_core::{
    ActionCall, ActionOutput, Catalog, Clock, Connector, ConnectorInfo, Context, Error, ErrorKind, Event,
    EventStream, Health, ReadRequest, Result, Stream, SystemClock, WriteReport, WriteRequest,
};
use async_trait::async_trait;
use futures_util::StreamExt;

use crate::gate::Assess;
use crate::guard::Guard;
use crate::held::{Held, Room};
use crate::{
    AgreedSchema, Checks, Drift, DriftPolicy, Gate, Inspector, QualityEvent, QualityObserver, SchemaStore,
    Unobserved,
};

/// A connector whose reads are checked, gated and watched for schema drift, stream by stream. Everything else goes
/// through to the connector inside, as do streams without checks.
///
/// Refused records stay in their batches, marked: a sync puts them into quarantine. A rejected run ends with an error
/// of the kind `Schema` and the code `quality.gate`.
#[derive(Clone, Debug)]
pub struct Gated {
    source: Arc<dyn Connector>,
    streams: BTreeMap<String, Guarding>,
    observer: Arc<dyn QualityObserver>,
    clock: Arc<dyn Clock>,
}

/// What is done with one stream.
#[derive(Clone, Debug)]
struct Guarding {
    checks: Checks,
    gate: Gate,
    drift: Option<(DriftPolicy, Arc<dyn SchemaStore>)>,
}

impl Gated {
    /// A connector without checks yet.
    pub fn new(source: Arc<dyn Connector>) -> Self {
        Self {
            source,
            streams: BTreeMap::new(),
            observer: Arc::new(Unobserved),
            clock: Arc::new(SystemClock),
        }
    }

    /// Checks a stream, in place of the checks it had.
    pub fn with_checks(mut self, stream: impl Into<String>, checks: Checks, gate: Gate) -> Self {
        let guarding = self.streams.entry(stream.into()).or_insert_with(Guarding::open);
        (guarding.checks, guarding.gate) = (checks, gate);
        self
    }

    /// Watches a stream for schema drift.
    pub fn with_drift(
        mut self,
        stream: impl Into<String>,
        policy: DriftPolicy,
        store: Arc<dyn SchemaStore>,
    ) -> Self {
        self.streams.entry(stream.into()).or_insert_with(Guarding::open).drift = Some((policy, store));
        self
    }

    /// Sets who hears of scores, rejections and drift.
    pub fn with_observer(mut self, observer: Arc<dyn QualityObserver>) -> Self {
        self.observer = observer;
        self
    }

    /// Replaces the clock that `fresh` asks.
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }
}

impl Guarding {
    fn open() -> Self {
        Self { checks: Checks::none(), gate: Gate::open(), drift: None }
    }

    /// The request with the fields that the checks need.
    fn widen(&self, request: ReadRequest) -> ReadRequest {
        let Some(fields) = request.fields() else { return request };
        let mut fields = fields.to_vec();
        for field in self.checks.fields() {
            let field = field.to_string();
            if !fields.contains(&field) {
                fields.push(field);
            }
        }
        request.with_fields(fields)
    }
}

#[async_trait]
impl Connector for Gated {
    fn info(&self) -> &ConnectorInfo {
        self.source.info()
    }

    async fn check(&self, cx: &Context) -> Result<Health> {
        self.source.check(cx).await
    }

    async fn discover(&self, cx: &Context) -> Result<Catalog> {
        self.source.discover(cx).await
    }

    async fn describe(&self, cx: &Context, stream: &str) -> Result<Stream> {
        self.source.describe(cx, stream).await
    }

    fn read(&self, cx: &Context, request: ReadRequest) -> Result<EventStream> {
        let Some(guarding) = self.streams.get(request.stream()) else { return self.source.read(cx, request) };
        let request = guarding.widen(request);
        let reading = Reading {
            cx: cx.clone(),
            stream: request.stream().to_owned(),
            asked: request.fields().map(<[String]>::to_vec),
            source: self.source.clone(),
            inspector: Inspector::new(guarding.checks.clone()).with_clock(self.clock.clone()),
            gate: guarding.gate.clone(),
            drift: guarding.drift.clone(),
            guard: None,
            observer: self.observer.clone(),
        };
        let events = self.source.read(cx, request)?;
        Ok(Box::pin(gated(reading, events)))
    }

    async fn write(&self, cx: &Context, request: WriteRequest) -> Result<WriteReport> {
        self.source.write(cx, request).await
    }

    async fn invoke(&self, cx: &Context, call: ActionCall) -> Result<ActionOutput> {
        self.source.invoke(cx, call).await
    }
}

/// One read.
struct Reading {
    cx: Context,
    stream: String,
    asked: Option<Vec<String>>,
    source: Arc<dyn Connector>,
    inspector: Inspector,
    gate: Gate,
    drift: Option<(DriftPolicy, Arc<dyn SchemaStore>)>,
    guard: Option<Guard>,
    observer: Arc<dyn QualityObserver>,
}

fn gated(
    mut reading: Reading,
    mut events: EventStream,
) -> impl futures_util::Stream<Item = Result<Event>> + Send {
    async_stream::try_stream! {
        for warning in reading.begin().await? {
            yield warning;
        }
        let mut ended = false;
        if reading.gate.assess != Assess::Nothing {
            let mut held = Held::new(reading.gate.memory, reading.gate.spill.clone());
            let mut failed = None;
            loop {
                let event = match events.next().await {
                    Some(Ok(event)) => event,
                    // What was read in full is as good as it was: it goes on, and the error after it.
                    Some(Err(error)) if reading.gate.assess != Assess::Whole => {
                        failed = Some(error);
                        break;
                    }
                    Some(Err(error)) => Err(error)?,
                    None => {
                        ended = true;
                        break;
                    }
                };
                let mut room = Room::Left;
                for event in reading.look(event).await? {
                    room = held.push(event).await?;
                }
                match reading.gate.assess {
                    Assess::Sample(records) if reading.inspector.score().records() >= records => break,
                    Assess::Whole if room == Room::Full => Err(too_large())?,
                    _ if room == Room::Full => break,
                    _ => {}
                }
            }
            reading.assessed(ended)?;
            while let Some(event) = held.pop().await? {
                yield event;
            }
            if let Some(error) = failed {
                Err(error)?;
            }
        }
        if !ended {
            while let Some(event) = events.next().await {
                let events = reading.look(event?).await?;
                reading.judge_running()?;
                for event in events {
                    yield event;
                }
            }
        }
        reading.finish().await?;
    }
}

impl Reading {
    /// Loads what was agreed and compares the description with it.
    async fn begin(&mut self) -> Result<Vec<Event>> {
        let Some((policy, store)) = &self.drift else { return Ok(Vec::new()) };
        let mut guard = Guard::new(*policy, store.load(&self.stream).await?, self.asked.as_deref());
        let mut drifts = Vec::new();
        if policy.describe {
            let described = self.source.describe(&self.cx, &self.stream).await?;
            drifts = guard.describe(AgreedSchema::of_json_schema(&described.schema))?;
        }
        self.guard = Some(guard);
        Ok(self.told(&drifts))
    }

    /// An event, checked, behind what there is to say of it.
    async fn look(&mut self, event: Event) -> Result<Vec<Event>> {
        let Event::Batch(mut batch) = event else { return Ok(vec![event]) };
        let mut events = Vec::new();
        if let Some(guard) = &mut self.guard {
            let guarded = guard.guard(&batch)?;
            batch = guarded.batch;
            events = self.told(&guarded.drifts);
        }
        self.inspector.prepare(&self.cx, &batch).await?;
        let inspection = self.inspector.inspect(&batch)?;
        let (stream, score, warnings) = (self.stream.as_str(), &inspection.score, &inspection.warnings);
        self.observer.on(&QualityEvent::Batch { stream, score, warnings });
        events.push(Event::Batch(inspection.into_batch()));
        Ok(events)
    }

    fn told(&self, drifts: &[Drift]) -> Vec<Event> {
        let stream = self.stream.as_str();
        for drift in drifts {
            self.observer.on(&QualityEvent::Drift { stream, drift });
        }
        drifts.iter().map(|drift| Event::Warning(format!("schema of {stream}: {drift}"))).collect()
    }

    fn assessed(&self, whole: bool) -> Result<()> {
        let (stream, score) = (self.stream.as_str(), self.inspector.score());
        self.observer.on(&QualityEvent::Assessed { stream, score, whole });
        self.settle(self.gate.judge(score))
    }

    fn judge_running(&self) -> Result<()> {
        self.settle(self.gate.judge_running(self.inspector.score()))
    }

    fn settle(&self, judged: Result<()>) -> Result<()> {
        if let Err(error) = &judged {
            let (stream, score) = (self.stream.as_str(), self.inspector.score());
            self.observer.on(&QualityEvent::Rejected { stream, score, error });
        }
        judged.map_err(|error| error.with_operation(format!("read {}", self.stream)))
    }

    async fn finish(&mut self) -> Result<()> {
        let stream = self.stream.as_str();
        if let (Some(schema), Some((_, store))) = (self.guard.take().and_then(Guard::finish), &self.drift) {
            store.save(stream, &schema).await?;
            self.observer.on(&QualityEvent::Agreed { stream, version: schema.version });
        }
        let (score, warnings) = (self.inspector.score(), self.inspector.warnings());
        self.observer.on(&QualityEvent::Finished { stream, score, warnings: &warnings });
        Ok(())
    }
}

fn too_large() -> Error {
    Error::new(
        ErrorKind::TooLarge,
        "the run does not fit the bytes that its assessment may hold; assess a sample, or allow more",
    )
}

//! A source that tells a script, and a destination whose calls the test answers.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use acople_core::json::FieldPath;
use acople_core::{
    Batch, Catalog, Change, Connector, ConnectorInfo, Context, Cursor, Event, EventStream, Health, Outcome,
    ReadMode, ReadRequest, Result, Stream, WriteMode, WriteReport, WriteRequest,
};
use acople_sync::{Job, JobBuilder, Report};
use acople_testkit::memory::MemoryStore;
use async_trait::async_trait;

/// A version of a record: its id, its text, and whether it is gone.
pub(crate) type Version = (&'static str, &'static str, bool);

pub(crate) fn version(id: &'static str, value: &'static str) -> Version {
    (id, value, false)
}

pub(crate) fn gone(id: &'static str) -> Version {
    (id, "gone", true)
}

pub(crate) fn text(id: &str, value: &str) -> String {
    format!(r#"{{"id":"{id}","value":"{value}"}}"#)
}

pub(crate) fn batch(versions: &[Version]) -> Batch {
    Batch::from_records("things", versions.iter().map(|(id, value, _)| text(id, value)))
        .unwrap()
        .with_deletions(versions.iter().map(|(_, _, gone)| *gone))
}

pub(crate) fn cursor(at: usize) -> Cursor {
    Cursor::new("source", "things", 1, &at).unwrap()
}

type Script = Box<dyn Fn(ReadMode, usize) -> Vec<Result<Event>> + Send + Sync>;

/// Tells what the script says, given the mode and the position of the cursor.
pub(crate) struct Source {
    info: ConnectorInfo,
    script: Script,
    pub(crate) asked: Mutex<Vec<(ReadMode, usize)>>,
    /// Events that were taken.
    pub(crate) pulled: Arc<AtomicUsize>,
}

impl Source {
    pub(crate) fn new(
        script: impl Fn(ReadMode, usize) -> Vec<Result<Event>> + Send + Sync + 'static,
    ) -> Arc<Self> {
        let info = ConnectorInfo::new("source", "Source");
        Arc::new(Self { info, script: Box::new(script), asked: Mutex::default(), pulled: Arc::default() })
    }

    /// Batches, each with a checkpoint behind it.
    pub(crate) fn of(batches: Vec<Vec<Version>>) -> Arc<Self> {
        Self::new(move |_, at| {
            let mut events = Vec::new();
            for (n, versions) in batches.iter().enumerate().skip(at) {
                events.push(Ok(Event::Batch(batch(versions))));
                events.push(Ok(Event::Checkpoint(cursor(n + 1))));
            }
            events
        })
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Source")
    }
}

#[async_trait]
impl Connector for Source {
    fn info(&self) -> &ConnectorInfo {
        &self.info
    }
    async fn check(&self, _: &Context) -> Result<Health> {
        Ok(Health::ok("fine"))
    }
    async fn discover(&self, _: &Context) -> Result<Catalog> {
        let stream = Stream::new("things").key(["id"]).reads([ReadMode::Full, ReadMode::Incremental]);
        Ok(Catalog { streams: vec![stream] })
    }
    fn read(&self, _: &Context, request: ReadRequest) -> Result<EventStream> {
        let at = match request.cursor() {
            Some(cursor) => cursor.state("source", "things", 1)?,
            None => 0,
        };
        self.asked.lock().unwrap().push((request.mode(), at));
        // Each event is a await of its own.
        let events = (self.script)(request.mode(), at);
        let (events, pulled) = (futures_util::stream::iter(events), self.pulled.clone());
        Ok(Box::pin(futures_util::StreamExt::then(events, move |event| {
            pulled.fetch_add(1, Ordering::SeqCst);
            async move {
                tokio::task::yield_now().await;
                event
            }
        })))
    }
}

/// One call that the destination got: what was sent, as `id=value` or `id!` for a deletion.
pub(crate) type Sent = Vec<String>;

type Answer = Box<dyn Fn(usize, &Sent) -> Result<Vec<Outcome>> + Send + Sync>;

/// Answers by the number of the call, and keeps what it says it accepted.
pub(crate) struct Target {
    info: ConnectorInfo,
    answer: Answer,
    can: Vec<WriteMode>,
    pub(crate) kept: Mutex<BTreeMap<String, String>>,
    pub(crate) calls: Mutex<Vec<Sent>>,
}

impl Target {
    pub(crate) fn new(
        answer: impl Fn(usize, &Sent) -> Result<Vec<Outcome>> + Send + Sync + 'static,
    ) -> Arc<Self> {
        Self::able([WriteMode::Insert, WriteMode::Upsert, WriteMode::Delete], answer)
    }

    pub(crate) fn able(
        can: impl IntoIterator<Item = WriteMode>,
        answer: impl Fn(usize, &Sent) -> Result<Vec<Outcome>> + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self {
            info: ConnectorInfo::new("target", "Target"),
            answer: Box::new(answer),
            can: can.into_iter().collect(),
            kept: Mutex::default(),
            calls: Mutex::default(),
        })
    }

    pub(crate) fn kept(&self, id: &str) -> Option<String> {
        self.kept.lock().unwrap().get(id).cloned()
    }

    pub(crate) fn calls(&self) -> Vec<String> {
        self.calls.lock().unwrap().iter().map(|sent| sent.join(" ")).collect()
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Target")
    }
}

#[async_trait]
impl Connector for Target {
    fn info(&self) -> &ConnectorInfo {
        &self.info
    }
    async fn check(&self, _: &Context) -> Result<Health> {
        Ok(Health::ok("fine"))
    }
    async fn discover(&self, _: &Context) -> Result<Catalog> {
        Ok(Catalog { streams: vec![Stream::new("copies").key(["id"]).writes(self.can.clone())] })
    }
    async fn write(&self, _: &Context, request: WriteRequest) -> Result<WriteReport> {
        tokio::task::yield_now().await;
        let (id, value) = (FieldPath::parse("id")?, FieldPath::parse("value")?);
        let of = |r: acople_core::Record<'_>, path: &FieldPath| {
            r.get(path).unwrap().scalar_text().unwrap().unwrap_or_default().into_owned()
        };
        let records: Vec<(String, String, Change)> =
            request.batch().iter().map(|r| (of(r, &id), of(r, &value), r.change())).collect();
        let sent: Sent = records
            .iter()
            .map(|(id, value, change)| match change {
                Change::Delete => format!("{id}!"),
                _ => format!("{id}={value}"),
            })
            .collect();
        let number = self.calls.lock().unwrap().len();
        self.calls.lock().unwrap().push(sent.clone());
        let outcomes = (self.answer)(number, &sent)?;
        for ((id, value, change), outcome) in records.into_iter().zip(&outcomes) {
            let mut kept = self.kept.lock().unwrap();
            match (outcome.is_accepted(), change) {
                (true, Change::Delete) => drop(kept.remove(&id)),
                (true, _) => drop(kept.insert(id, value)),
                _ => {}
            }
        }
        tokio::task::yield_now().await;
        WriteReport::new(sent.len(), outcomes)
    }
}

pub(crate) fn ok(sent: &Sent) -> Vec<Outcome> {
    sent.iter().map(|_| Outcome::accepted("x", None)).collect()
}

pub(crate) fn job(source: &Arc<Source>, target: &Arc<Target>, store: &Arc<MemoryStore>) -> JobBuilder {
    Job::builder("copy")
        .source(source.clone(), "things")
        .destination(target.clone(), "copies")
        .store(store.clone())
}

pub(crate) async fn run(source: &Arc<Source>, target: &Arc<Target>, store: &Arc<MemoryStore>) -> Report {
    job(source, target, store).build().unwrap().run(&Context::new(), &()).await.unwrap()
}

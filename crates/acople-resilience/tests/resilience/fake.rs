//! A source that does as it is told.

use std::sync::{Arc, Mutex};

use acople_core::{
    ActionCall, ActionOutput, Batch, Catalog, Connector, ConnectorInfo, Context, Cursor, Error, ErrorKind,
    Event, EventStream, Health, Outcome, ReadMode, ReadRequest, Result, Stream, WriteMode, WriteReport,
    WriteRequest,
};
use async_trait::async_trait;
use serde_json::json;

/// How a source fails.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fails {
    Not,
    With(ErrorKind),
    /// Without saying whether it took effect.
    Unknown(ErrorKind),
    Breaker,
    Never,
}

#[derive(Clone, Debug)]
pub(crate) struct Fake(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    info: ConnectorInfo,
    /// And after how many batches of a listing.
    fails: Mutex<(Fails, u64)>,
    asked: Mutex<Vec<String>>,
}

impl Fake {
    pub(crate) fn new(id: &str) -> Self {
        let info = ConnectorInfo::new(id.to_owned(), id.to_owned());
        Self(Arc::new(Inner { info, fails: Mutex::new((Fails::Not, 0)), asked: Mutex::default() }))
    }

    pub(crate) fn failing(id: &str, fails: Fails) -> Self {
        let fake = Self::new(id);
        fake.fail(fails, 0);
        fake
    }

    pub(crate) fn arc(&self) -> Arc<dyn Connector> {
        Arc::new(self.clone())
    }

    pub(crate) fn fail(&self, fails: Fails, after: u64) {
        *self.0.fails.lock().unwrap() = (fails, after);
    }

    /// What it was asked since the last time.
    pub(crate) fn asked(&self) -> String {
        std::mem::take(&mut *self.0.asked.lock().unwrap()).join(" ")
    }

    async fn ask(&self, what: &str) -> Result<()> {
        self.0.asked.lock().unwrap().push(what.to_owned());
        self.failed().await
    }

    async fn failed(&self) -> Result<()> {
        let (fails, _) = *self.0.fails.lock().unwrap();
        let error = |kind| Err(Error::new(kind, format!("{} failed", self.0.info.id)));
        match fails {
            Fails::Not => Ok(()),
            Fails::With(kind) => error(kind),
            Fails::Unknown(kind) => error(kind).map_err(Error::with_unknown_outcome),
            Fails::Breaker => {
                error(ErrorKind::Transient).map_err(|error: Error| error.with_code("breaker_open"))
            }
            Fails::Never => std::future::pending().await,
        }
    }
}

#[async_trait]
impl Connector for Fake {
    fn info(&self) -> &ConnectorInfo {
        &self.0.info
    }

    async fn check(&self, _: &Context) -> Result<Health> {
        self.ask("check").await?;
        Ok(Health::ok("there").with_warning("old"))
    }

    async fn discover(&self, _: &Context) -> Result<Catalog> {
        self.ask("discover").await?;
        let stream = |name: &str| Stream::new(name).writes([WriteMode::Upsert]);
        Ok(Catalog { streams: vec![stream("leads"), stream(&self.0.info.id)] })
    }

    /// Two batches of one record each, that say where they come from.
    fn read(&self, _: &Context, request: ReadRequest) -> Result<EventStream> {
        self.0.asked.lock().unwrap().push(format!("read {}", request.stream()));
        if request.stream() == "unknown" {
            return Err(Error::config("stream", "there is no such stream"));
        }
        let id = self.0.info.id.to_string();
        let from =
            request.cursor().map(|cursor| cursor.state::<u64>(&id, request.stream(), 1)).transpose()?;
        let this = self.clone();
        Ok(Box::pin(async_stream::try_stream! {
            let snapshot = from.is_none() && request.mode() == ReadMode::Full;
            if snapshot {
                yield Event::SnapshotBegin;
            }
            yield Event::Warning(format!("{id} warns"));
            for number in from.unwrap_or(0)..2 {
                if number >= this.0.fails.lock().unwrap().1 {
                    this.failed().await?;
                }
                let record = json!(format!("{id}{number}")).to_string();
                yield Event::Batch(Batch::from_records(request.stream().to_owned(), [record])?);
                yield Event::Checkpoint(Cursor::new(id.clone(), request.stream(), 1, &(number + 1))?);
            }
            if snapshot {
                yield Event::SnapshotEnd;
            }
        }))
    }

    async fn write(&self, _: &Context, request: WriteRequest) -> Result<WriteReport> {
        self.ask("write").await?;
        let records = request.batch().len();
        WriteReport::new(records, (0..records).map(|_| Outcome::accepted(&*self.0.info.id, None)).collect())
    }

    async fn invoke(&self, _: &Context, call: ActionCall) -> Result<ActionOutput> {
        self.ask(call.name()).await?;
        Ok(ActionOutput::new(json!(self.0.info.id)))
    }
}

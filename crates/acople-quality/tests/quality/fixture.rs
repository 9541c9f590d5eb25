//! A source that says what it is told to, a destination that keeps what it is given.

use std::sync::{Arc, Mutex};

use acople_core::{
    Batch, Catalog, Connector, ConnectorInfo, Context, Cursor, Error, Event, EventStream, Health, Outcome,
    ReadMode, ReadRequest, Result, Stream, WriteMode, WriteReport, WriteRequest,
};
use acople_quality::{Gated, Inspection, Inspector, Lookups, QualityEvent, QualityObserver, Rules};
use async_trait::async_trait;
use futures_util::StreamExt;
use serde_json::Value as Json;

pub(crate) fn inspector(yaml: &str) -> Inspector {
    Inspector::new(Rules::from_yaml(yaml).unwrap().compile(&Lookups::new()).unwrap())
}

pub(crate) fn batch<S: AsRef<str>>(records: impl IntoIterator<Item = S>) -> Batch {
    Batch::from_records("people", records).unwrap()
}

/// The indices and messages of what was refused.
pub(crate) fn refusals(inspection: &Inspection) -> Vec<(usize, String)> {
    inspection.refused().iter().map(|r| (r.index, r.error.message().to_owned())).collect()
}

pub(crate) fn raws(batch: &Batch) -> Vec<String> {
    batch.iter().map(|record| record.raw().to_owned()).collect()
}

/// A stream `people` of pages, with a checkpoint after each; an error after the last, if there is one.
#[derive(Debug)]
pub(crate) struct Pages {
    info: ConnectorInfo,
    pub(crate) batches: Mutex<Vec<Batch>>,
    pub(crate) fails: Option<fn() -> Error>,
    pub(crate) schema: Mutex<Json>,
    pub(crate) asked: Mutex<Option<Vec<String>>>,
    /// Pages that were taken.
    pub(crate) taken: Arc<Mutex<usize>>,
}

impl Pages {
    pub(crate) fn new(pages: Vec<Batch>) -> Self {
        Self {
            info: ConnectorInfo::new("pages", "Pages"),
            batches: Mutex::new(pages),
            fails: None,
            schema: Mutex::new(Json::Bool(true)),
            asked: Mutex::new(None),
            taken: Arc::default(),
        }
    }
}

#[async_trait]
impl Connector for Pages {
    fn info(&self) -> &ConnectorInfo {
        &self.info
    }

    async fn check(&self, _: &Context) -> Result<Health> {
        Ok(Health::ok("here"))
    }

    async fn discover(&self, _: &Context) -> Result<Catalog> {
        let schema = self.schema.lock().unwrap().clone();
        let stream =
            Stream::new("people").key(["id"]).reads([ReadMode::Full, ReadMode::Incremental]).schema(schema);
        Ok(Catalog { streams: vec![stream] })
    }

    fn read(&self, _: &Context, request: ReadRequest) -> Result<EventStream> {
        *self.asked.lock().unwrap() = request.fields().map(<[String]>::to_vec);
        let start: usize = request.cursor().map_or(Ok(0), |cursor| cursor.state("pages", "people", 1))?;
        let pages = self.batches.lock().unwrap().clone();
        let (fails, taken) = (self.fails, self.taken.clone());
        Ok(Box::pin(async_stream::try_stream! {
            yield Event::SnapshotBegin;
            for (nth, page) in pages.into_iter().enumerate().skip(start) {
                *taken.lock().unwrap() = nth + 1;
                yield Event::Batch(page);
                yield Event::Checkpoint(Cursor::new("pages", "people", 1, &(nth + 1))?);
            }
            if let Some(error) = fails {
                Err(error())?;
            }
            yield Event::SnapshotEnd;
        }))
    }
}

/// Keeps the records that it is given.
#[derive(Debug)]
pub(crate) struct Kept {
    info: ConnectorInfo,
    pub(crate) records: Mutex<Vec<String>>,
}

impl Kept {
    pub(crate) fn new() -> Self {
        Self { info: ConnectorInfo::new("kept", "Kept"), records: Mutex::default() }
    }
}

#[async_trait]
impl Connector for Kept {
    fn info(&self) -> &ConnectorInfo {
        &self.info
    }

    async fn check(&self, _: &Context) -> Result<Health> {
        Ok(Health::ok("here"))
    }

    async fn discover(&self, _: &Context) -> Result<Catalog> {
        let stream = Stream::new("people").key(["id"]).writes([WriteMode::Upsert, WriteMode::Delete]);
        Ok(Catalog { streams: vec![stream.batch(1_000, 1 << 20)] })
    }

    async fn write(&self, _: &Context, request: WriteRequest) -> Result<WriteReport> {
        self.records.lock().unwrap().extend(raws(request.batch()));
        let outcomes = request.batch().iter().map(|_| Outcome::accepted("1", None)).collect();
        WriteReport::new(request.batch().len(), outcomes)
    }
}

/// Everything that a read gives, and how it ends.
pub(crate) async fn read(gated: &Gated) -> (Vec<Event>, Option<Error>) {
    let mut stream = gated.read(&Context::new(), ReadRequest::full("people")).unwrap();
    let mut events = Vec::new();
    while let Some(event) = stream.next().await {
        match event {
            Ok(event) => events.push(event),
            Err(error) => return (events, Some(error)),
        }
    }
    (events, None)
}

/// The records of events that were not refused.
pub(crate) fn accepted(events: &[Event]) -> Vec<String> {
    let batches = events.iter().filter_map(|e| if let Event::Batch(batch) = e { Some(batch) } else { None });
    batches.flat_map(|b| raws(&b.unreadable().map_or_else(|| b.clone(), |u| u.rest))).collect()
}

/// What was heard, one line an event but for the batches.
#[derive(Clone, Debug, Default)]
pub(crate) struct Heard(pub(crate) Arc<Mutex<Vec<String>>>);

impl Heard {
    pub(crate) fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

impl QualityObserver for Heard {
    fn on(&self, event: &QualityEvent<'_>) {
        let line = match event {
            QualityEvent::Assessed { score, whole, .. } => {
                format!("assessed {} {:.2} {whole}", score.records(), score.value())
            }
            QualityEvent::Rejected { score, .. } => format!("rejected {:.2}", score.value()),
            QualityEvent::Finished { score, .. } => {
                format!("finished {} {:.2}", score.records(), score.value())
            }
            QualityEvent::Drift { drift, .. } => drift.to_string(),
            QualityEvent::Agreed { version, .. } => format!("agreed {version}"),
            _ => return,
        };
        self.0.lock().unwrap().push(line);
    }
}

//! A system with a change feed, in memory: it is read, written, and edited by the test.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};

use acople_core::json::members;
use acople_core::{
    Batch, BatchBuilder, Catalog, Change, Connector, ConnectorInfo, Context, Cursor, Deletes, Error,
    ErrorKind, Event, EventStream, Health, Outcome, ReadMode, ReadRequest, Result, Stream, WriteMode,
    WriteReport, WriteRequest,
};
use acople_sync::{DeleteLimit, Job, JobBuilder, Report};
use acople_testkit::memory::MemoryStore;
use async_trait::async_trait;

pub(crate) type Fields = BTreeMap<String, String>;

/// What a hook may do before each page and each write call.
type Hook = Box<dyn FnMut(&mut Data) -> Result<()> + Send>;

/// What is asked before a write call takes effect, given the texts of its records.
type Judge = Box<dyn FnMut(&[&str]) -> Result<()> + Send>;

/// A system with one stream, `things`. Clones are one system.
#[derive(Clone)]
pub(crate) struct System(Arc<Inner>);

pub(crate) struct Inner {
    info: ConnectorInfo,
    stream: Stream,
    page: usize,
    /// Whether records say when and by whom they were changed.
    stamps: bool,
    /// How it keeps the texts that it is given.
    keeps: fn(String) -> String,
    /// Whether it makes ids of its own instead of taking those that it is given.
    own_ids: bool,
    data: Mutex<Data>,
    before_page: Mutex<Option<Hook>>,
    before_write: Mutex<Option<Hook>>,
    judge: Mutex<Option<Judge>>,
}

#[derive(Debug, Default)]
pub(crate) struct Data {
    pub(crate) records: BTreeMap<String, Fields>,
    /// When each record, also one that is gone, changed last.
    changed: BTreeMap<String, u64>,
    /// Which records were merged into which.
    merged: BTreeMap<String, String>,
    now: u64,
    next_id: u64,
    /// Cursors from before this are not known any longer.
    pub(crate) expired: u64,
    /// The wall time of edits, in milliseconds.
    pub(crate) clock: u64,
    /// When each record was changed last, by that time, and whether by a write call.
    pub(crate) modified: BTreeMap<String, (u64, bool)>,
    /// What reads said of totals.
    pub(crate) total: Option<u64>,
    /// Records of these ids are refused.
    pub(crate) bad: Vec<String>,
    pub(crate) calls: u64,
    pub(crate) reads: Vec<ReadMode>,
}

impl Data {
    pub(crate) fn set(&mut self, id: &str, value: &str) {
        self.edit(id, "value", value);
    }

    pub(crate) fn edit(&mut self, id: &str, field: &str, value: &str) {
        self.records.entry(id.to_owned()).or_default().insert(field.to_owned(), value.to_owned());
        self.touch(id);
    }

    pub(crate) fn remove(&mut self, id: &str) {
        if self.records.remove(id).is_some() {
            self.touch(id);
        }
    }

    /// One record becomes a part of another.
    pub(crate) fn merge(&mut self, id: &str, into: &str) {
        self.remove(id);
        self.merged.insert(id.to_owned(), into.to_owned());
        self.touch(into);
    }

    /// Forgets what is gone, and with it every cursor from before now.
    pub(crate) fn expire(&mut self) {
        self.expired = self.now;
        let records = &self.records;
        self.changed.retain(|id, _| records.contains_key(id));
    }

    fn touch(&mut self, id: &str) {
        self.now += 1;
        self.changed.insert(id.to_owned(), self.now);
        self.modified.insert(id.to_owned(), (self.clock, false));
    }

    pub(crate) fn clear(&mut self, id: &str, field: &str) {
        self.records.get_mut(id).unwrap().remove(field);
        self.touch(id);
    }
}

impl System {
    pub(crate) fn new(id: &'static str, can: &[WriteMode]) -> Self {
        let stream = Stream::new("things")
            .key(["id"])
            .reads([ReadMode::Full, ReadMode::Incremental])
            .writes(can.iter().copied())
            .deletes(Deletes::Tombstones);
        Self(Arc::new(Inner {
            info: ConnectorInfo::new(id, id),
            stream,
            page: 3,
            stamps: false,
            keeps: |text| text,
            own_ids: false,
            data: Mutex::default(),
            before_page: Mutex::default(),
            before_write: Mutex::default(),
            judge: Mutex::default(),
        }))
    }

    /// One that takes everything by the id that it is given.
    pub(crate) fn keyed(id: &'static str) -> Self {
        Self::new(id, &[WriteMode::Insert, WriteMode::Upsert, WriteMode::Delete])
    }

    pub(crate) fn with_stream(mut self, change: impl FnOnce(Stream) -> Stream) -> Self {
        let inner = Arc::get_mut(&mut self.0).unwrap();
        inner.stream = change(inner.stream.clone());
        self
    }

    pub(crate) fn with_own_ids(mut self) -> Self {
        Arc::get_mut(&mut self.0).unwrap().own_ids = true;
        self
    }

    pub(crate) fn with_stamps(mut self) -> Self {
        Arc::get_mut(&mut self.0).unwrap().stamps = true;
        self
    }

    pub(crate) fn keeping(mut self, spelling: fn(String) -> String) -> Self {
        Arc::get_mut(&mut self.0).unwrap().keeps = spelling;
        self
    }

    pub(crate) fn paged(mut self, records: usize) -> Self {
        Arc::get_mut(&mut self.0).unwrap().page = records;
        self
    }

    pub(crate) fn data(&self) -> MutexGuard<'_, Data> {
        self.0.data.lock().unwrap()
    }

    pub(crate) fn fill(&self, ids: std::ops::Range<u32>) {
        for id in ids {
            self.data().set(&format!("{id:03}"), "new");
        }
    }

    /// The records as `id=value`, or their values alone where the ids are the system's own.
    pub(crate) fn shows(&self) -> Vec<String> {
        let data = self.data();
        let mut shown: Vec<String> = data
            .records
            .iter()
            .map(|(id, fields)| {
                let value = fields.get("value").map_or("", String::as_str);
                if self.0.own_ids { value.to_owned() } else { format!("{id}={value}") }
            })
            .collect();
        shown.sort();
        shown
    }

    pub(crate) fn before_page(&self, hook: impl FnMut(&mut Data) -> Result<()> + Send + 'static) {
        *self.0.before_page.lock().unwrap() = Some(Box::new(hook));
    }

    pub(crate) fn before_write(&self, hook: impl FnMut(&mut Data) -> Result<()> + Send + 'static) {
        *self.0.before_write.lock().unwrap() = Some(Box::new(hook));
    }

    fn interfere(&self, hook: &Mutex<Option<Hook>>) -> Result<()> {
        match hook.lock().unwrap().as_mut() {
            Some(hook) => hook(&mut self.data()),
            None => Ok(()),
        }
    }

    /// The next page, and where it ends; `None` at the end.
    fn page(&self, mode: ReadMode, after: &str, at: u64) -> Result<Option<(Batch, String, u64)>> {
        self.interfere(&self.0.before_page)?;
        let data = self.data();
        let mut builder = BatchBuilder::new("things");
        let mut place = (after.to_owned(), at);
        if mode == ReadMode::Full {
            let rest =
                data.records.range::<str, _>((std::ops::Bound::Excluded(after), std::ops::Bound::Unbounded));
            for (id, fields) in rest.take(self.0.page) {
                push(&mut builder, id, Some(fields), self.extra(&data, id, false))?;
                place.0.clone_from(id);
            }
        } else {
            let mut changes: Vec<(u64, &String)> =
                data.changed.iter().filter(|(_, seq)| **seq > at).map(|(id, seq)| (*seq, id)).collect();
            changes.sort_unstable();
            for (seq, id) in changes.into_iter().take(self.0.page) {
                let fields = data.records.get(id);
                if fields.is_some() || self.0.stream.deletes == Deletes::Tombstones {
                    push(&mut builder, id, fields, self.extra(&data, id, fields.is_none()))?;
                }
                place.1 = seq;
            }
        }
        if place == (after.to_owned(), at) {
            return Ok(None);
        }
        Ok(Some((builder.finish()?, place.0, place.1)))
    }

    fn extra(&self, data: &Data, id: &str, gone: bool) -> Vec<(&'static str, String)> {
        let mut extra = Vec::new();
        if let Some(master) = data.merged.get(id).filter(|_| gone) {
            extra.push(("master", master.clone()));
        }
        if let Some((at, by_call)) = data.modified.get(id).filter(|_| self.0.stamps) {
            extra.push(("modified", at.to_string()));
            extra.push(("by", if *by_call { "sync" } else { "user" }.to_owned()));
        }
        extra
    }

    fn apply(&self, data: &mut Data, mode: WriteMode, text: &str) -> Outcome {
        let mut given: BTreeMap<String, Option<String>> = members(text)
            .map(|member| member.unwrap())
            .map(|(name, value)| {
                (name.decode().unwrap().into_owned(), value.scalar_text().unwrap().map(Into::into))
            })
            .collect();
        let given_id = given.remove("id").flatten().unwrap_or_default();
        let cleared: Vec<String> =
            given.iter().filter(|(_, value)| value.is_none()).map(|(name, _)| name.clone()).collect();
        let keep = self.0.keeps;
        let fields: Fields =
            given.into_iter().filter_map(|(name, value)| Some((name, keep(value?)))).collect();
        let given = given_id;
        if data.bad.contains(&given) {
            return Outcome::refused(Error::new(ErrorKind::Invalid, "bad").with_code("BAD"));
        }
        let exists = data.records.contains_key(&given);
        match mode {
            WriteMode::Delete if exists => {
                data.remove(&given);
                Outcome::accepted(given, None)
            }
            WriteMode::Insert if self.0.own_ids => {
                data.next_id += 1;
                let id = format!("own-{}", data.next_id);
                data.records.insert(id.clone(), fields);
                data.touch(&id);
                data.modified.insert(id.clone(), (data.clock, true));
                Outcome::accepted(id, Some(true))
            }
            WriteMode::Delete | WriteMode::Update if !exists => {
                Outcome::refused(Error::new(ErrorKind::NotFound, "no such thing"))
            }
            WriteMode::Insert if exists => Outcome::refused(Error::new(ErrorKind::Conflict, "is there")),
            _ => {
                // A system that sees no difference says nothing of a change.
                let before = data.records.get(&given).cloned();
                let record = data.records.entry(given.clone()).or_default();
                record.extend(fields);
                record.retain(|name, _| !cleared.contains(name));
                if data.records.get(&given) != before.as_ref() {
                    data.touch(&given);
                    data.modified.insert(given.clone(), (data.clock, true));
                }
                Outcome::accepted(given, Some(!exists))
            }
        }
    }
}

fn push(
    builder: &mut BatchBuilder,
    id: &str,
    fields: Option<&Fields>,
    extra: Vec<(&str, String)>,
) -> Result<()> {
    let change = if fields.is_some() { Change::Upsert } else { Change::Delete };
    builder.push(change, |writer| {
        writer.begin_object();
        writer.key("id");
        writer.text(id);
        for (name, value) in fields.into_iter().flatten() {
            writer.key(name);
            match value.strip_prefix('#') {
                Some(digits) => writer.number_text(digits),
                None => writer.text(value),
            }
        }
        for (name, value) in &extra {
            writer.key(name);
            writer.text(value);
        }
        writer.end_object();
        Ok(())
    })
}

impl fmt::Debug for System {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("System")
    }
}

#[async_trait]
impl Connector for System {
    fn info(&self) -> &ConnectorInfo {
        &self.0.info
    }
    async fn check(&self, _: &Context) -> Result<Health> {
        Ok(Health::ok("fine"))
    }
    async fn discover(&self, _: &Context) -> Result<Catalog> {
        Ok(Catalog { streams: vec![self.0.stream.clone()] })
    }
    fn read(&self, _: &Context, request: ReadRequest) -> Result<EventStream> {
        let mode = request.mode();
        let (after, at): (String, u64) = match request.cursor() {
            Some(cursor) => cursor.state(&self.0.info.id, "things", 1)?,
            None => (String::new(), 0),
        };
        let whole = request.cursor().is_none();
        let mut events = Vec::new();
        {
            let mut data = self.data();
            data.reads.push(mode);
            if !whole && mode == ReadMode::Incremental && at < data.expired {
                events.push(Err(Error::new(ErrorKind::CursorExpired, "410")));
            }
            events.extend(data.total.map(|total| Ok(Event::Total(total))));
        }
        if !matches!(events.first(), Some(Err(_))) && mode == ReadMode::Full && whole {
            events.insert(0, Ok(Event::SnapshotBegin));
        }
        let broken = events.iter().any(Result::is_err);
        let begin = futures_util::stream::iter(events);
        if broken {
            return Ok(Box::pin(begin));
        }
        // The pages are pulled one by one, as the data is then.
        let pages = futures_util::stream::unfold(Some((self.clone(), after, at)), move |place| async move {
            let (system, after, at) = place?;
            tokio::task::yield_now().await;
            match system.page(mode, &after, at) {
                Ok(Some((batch, after, at))) => {
                    let cursor = Cursor::new(system.0.info.id.clone(), "things", 1, &(&after, at));
                    let events = vec![Ok(Event::Batch(batch)), cursor.map(Event::Checkpoint)];
                    Some((events, Some((system, after, at))))
                }
                Ok(None) if whole && mode == ReadMode::Full => Some((vec![Ok(Event::SnapshotEnd)], None)),
                Ok(None) => None,
                Err(error) => Some((vec![Err(error)], None)),
            }
        });
        let pages = futures_util::StreamExt::flat_map(pages, futures_util::stream::iter);
        Ok(Box::pin(futures_util::StreamExt::chain(begin, pages)))
    }
    async fn write(&self, _: &Context, request: WriteRequest) -> Result<WriteReport> {
        tokio::task::yield_now().await;
        self.data().calls += 1;
        self.interfere(&self.0.before_write)?;
        if let Some(judge) = self.0.judge.lock().unwrap().as_mut() {
            judge(&request.batch().iter().map(acople_core::Record::raw).collect::<Vec<_>>())?;
        }
        let mut data = self.data();
        let outcomes: Vec<Outcome> = request
            .batch()
            .iter()
            .map(|record| self.apply(&mut data, request.mode(), record.raw()))
            .collect();
        WriteReport::new(outcomes.len(), outcomes)
    }
}

/// A job that copies one system to another.
pub(crate) fn job(from: &System, to: &System, store: &Arc<MemoryStore>) -> JobBuilder {
    Job::builder("copy")
        .source(Arc::new(from.clone()), "things")
        .destination(Arc::new(to.clone()), "things")
        .store(store.clone())
        .links(store.clone())
        .grace(std::time::Duration::from_secs(1))
}

/// The same, of a listing, with deletions of up to half.
pub(crate) fn mirror(from: &System, to: &System, store: &Arc<MemoryStore>) -> JobBuilder {
    job(from, to, store).mode(ReadMode::Full).delete_vanished(DeleteLimit { share: 0.5, floor: 0 })
}

pub(crate) async fn run(job: &Job) -> Report {
    job.run(&Context::new(), &()).await.unwrap()
}

/// Fails every call that holds one of these ids.
pub(crate) fn whole_calls(system: &System, ids: Vec<String>, why: fn() -> Error) {
    let ids: Vec<String> = ids.iter().map(|id| format!("\"id\":\"{id}\"")).collect();
    judge(system, move |texts| texts.iter().any(|text| ids.iter().any(|id| text.contains(id))), why);
}

/// Fails every call that holds a record of this value.
pub(crate) fn whole_calls_with(system: &System, value: String, why: fn() -> Error) {
    let value = format!("\"value\":\"{value}\"");
    judge(system, move |texts| texts.iter().any(|text| text.contains(&value)), why);
}

fn judge(system: &System, is_bad: impl Fn(&[&str]) -> bool + Send + 'static, why: fn() -> Error) {
    let judge = move |texts: &[&str]| if is_bad(texts) { Err(why()) } else { Ok(()) };
    *system.0.judge.lock().unwrap() = Some(Box::new(judge));
}

/// A source that gives these versions, `(id, value)`, in one batch.
pub(crate) fn fixed(versions: &[(String, String)]) -> Arc<dyn Connector> {
    #[derive(Debug)]
    struct Fixed(ConnectorInfo, Batch);

    #[async_trait]
    impl Connector for Fixed {
        fn info(&self) -> &ConnectorInfo {
            &self.0
        }
        async fn check(&self, _: &Context) -> Result<Health> {
            Ok(Health::ok("fine"))
        }
        async fn discover(&self, _: &Context) -> Result<Catalog> {
            Ok(Catalog { streams: vec![Stream::new("things").key(["id"]).reads([ReadMode::Full])] })
        }
        fn read(&self, _: &Context, _: ReadRequest) -> Result<EventStream> {
            Ok(Box::pin(futures_util::stream::iter([Ok(Event::Batch(self.1.clone()))])))
        }
    }

    let text = |(id, value): &(String, String)| format!(r#"{{"id":"{id}","value":"{value}"}}"#);
    let batch = Batch::from_records("things", versions.iter().map(text)).unwrap();
    Arc::new(Fixed(ConnectorInfo::new("fixed", "Fixed"), batch))
}

//! Syncs over a real request path whose vendor fails, on paused time: streams park, and come back.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // a test that fails may panic

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use acople_core::{
    Batch, Catalog, Clock, Connector, ConnectorInfo, Context, Cursor, ErrorKind, Event, EventStream, Health,
    Outcome, Progress, ReadMode, ReadRequest, Result, Stream, WireFault, WriteMode, WriteReport,
    WriteRequest,
};
use acople_http::{Answer, BreakerConfig, Breakers, Call, Classifier, Client, Limits, status_error};
use acople_sync::{End, Job, PauseCause, Report};
use acople_testkit::memory::MemoryStore;
use acople_testkit::{Reply, ScriptedTransport};
use async_trait::async_trait;
use tokio::time::Instant;

/// Batches of each stream; one is one record, one page, one checkpoint.
const PAGES: usize = 40;

/// Wall time that runs with tokio's clock.
#[derive(Clone, Copy, Debug)]
struct Wall(Instant);

impl Clock for Wall {
    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + self.0.elapsed()
    }
}

/// Reads `GET /STREAM/N`, one record a page; each stream is a class of calls.
#[derive(Debug)]
struct Vendor {
    info: ConnectorInfo,
    client: Client,
}

#[async_trait]
impl Connector for Vendor {
    fn info(&self) -> &ConnectorInfo {
        &self.info
    }
    async fn check(&self, _: &Context) -> Result<Health> {
        Ok(Health::ok("fine"))
    }
    async fn discover(&self, _: &Context) -> Result<Catalog> {
        let streams = ["leads", "deals"].map(|name| Stream::new(name).key(["id"]).reads([ReadMode::Full]));
        Ok(Catalog { streams: streams.into() })
    }
    fn read(&self, cx: &Context, request: ReadRequest) -> Result<EventStream> {
        let class = if request.stream() == "leads" { "leads" } else { "deals" };
        let at: usize = match request.cursor() {
            Some(cursor) => cursor.state("vendor", class, 1)?,
            None => 0,
        };
        let (client, cx) = (self.client.clone(), cx.clone());
        let pages = futures_util::stream::iter(at..PAGES);
        Ok(Box::pin(futures_util::StreamExt::flat_map(
            futures_util::StreamExt::then(pages, move |page| {
                let (client, cx) = (client.clone(), cx.clone());
                async move {
                    let call = Call::get("read page").path([class, &page.to_string()]).class(class);
                    let answer = client.send(&cx, &call).await?;
                    let record = String::from_utf8_lossy(answer.body()).into_owned();
                    let batch = Batch::from_records(class, [record])?;
                    let cursor = Cursor::new("vendor", class, 1, &(page + 1))?;
                    Ok((batch, cursor))
                }
            }),
            |page| {
                futures_util::stream::iter(match page {
                    Ok((batch, cursor)) => vec![Ok(Event::Batch(batch)), Ok(Event::Checkpoint(cursor))],
                    Err(error) => vec![Err(error)],
                })
            },
        )))
    }
}

/// Counts how often each record came.
#[derive(Debug)]
struct Target {
    info: ConnectorInfo,
    came: Mutex<BTreeMap<String, usize>>,
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
        Ok(Catalog { streams: vec![Stream::new("copies").key(["id"]).writes([WriteMode::Upsert])] })
    }
    async fn write(&self, _: &Context, request: WriteRequest) -> Result<WriteReport> {
        for record in request.batch().iter() {
            *self.came.lock().unwrap().entry(record.raw().to_owned()).or_default() += 1;
        }
        let records = request.batch().len();
        WriteReport::new(records, (0..records).map(|_| Outcome::accepted("x", None)).collect())
    }
}

struct World {
    wall: Wall,
    vendor: Arc<Vendor>,
    target: Arc<Target>,
    store: Arc<MemoryStore>,
}

impl World {
    fn new(wall: Wall, client: Client) -> Self {
        let target = Target { info: ConnectorInfo::new("target", "Target"), came: Mutex::default() };
        let vendor = Vendor { info: ConnectorInfo::new("vendor", "Vendor"), client };
        Self { wall, vendor: Arc::new(vendor), target: Arc::new(target), store: Arc::new(MemoryStore::new()) }
    }

    fn job(&self, stream: &str) -> Job {
        Job::builder(stream)
            .source(self.vendor.clone(), stream)
            .destination(self.target.clone(), "copies")
            .mode(ReadMode::Full)
            .store(self.store.clone())
            .clock(Arc::new(self.wall))
            .build()
            .unwrap()
    }

    /// Each record of so many streams came, and none of them twice.
    fn assert_all_once(&self, streams: usize) {
        let came = self.target.came.lock().unwrap();
        assert_eq!(came.len(), PAGES * streams);
        assert!(came.values().all(|times| *times == 1), "{came:?}");
    }
}

/// The record of a page.
fn record(path: &str) -> String {
    format!(r#"{{"id":"{path}"}}"#)
}

/// Says what a host's loop says: run, wait until the time it names, run again.
async fn until_done(job: &Job, wall: Wall) -> (Report, usize) {
    for pauses in 0..1000 {
        let report = job.run(&Context::new(), &()).await.unwrap();
        let Some(at) = report.resume_at() else { return (report, pauses) };
        tokio::time::sleep(at.duration_since(wall.now()).unwrap_or_default()).await;
    }
    panic!("a thousand pauses");
}

/// How long a connect takes that begins at a time, when the wire swallows packets in between: it knocks at once,
/// after one second and after three (RFC 6298), and gives up after five.
fn connects(at: Duration, down: Duration, up: Duration) -> Option<Duration> {
    let mut knocks = [0, 1, 3].map(Duration::from_secs).into_iter();
    knocks.find(|after| at + *after < down || at + *after >= up)
}

#[tokio::test(start_paused = true)]
async fn net_18_a_parked_stream_asks_less_than_twice_a_minute_and_is_back_within_30_s() {
    for phase in 0..31 {
        let wall = Wall(Instant::now());
        // After ten seconds of work the wire swallows packets for ten minutes.
        let (down, up) = (Duration::from_secs(10), Duration::from_secs(610 + phase));
        let transport = ScriptedTransport::function(move |sent, _| match connects(sent.at, down, up) {
            Some(takes) => {
                Reply::json(200, record(sent.request.url().path())).after(takes + Duration::from_secs(1))
            }
            None => Reply::fail(Progress::NotSent, WireFault::Timeout).after(Duration::from_secs(5)),
        });
        let patient = BreakerConfig::default()
            .with_consecutive(3)
            .with_open_for(Duration::from_secs(27))
            .with_probes(1);
        let client = Client::builder("https://api.example.com", Arc::new(transport.clone())).unwrap();
        let world = World::new(wall, client.breakers(Breakers::new(patient)).build());
        let (report, pauses) = until_done(&world.job("leads"), wall).await;
        assert!(report.is_success() && report.resumed, "{:?}", report.end);
        world.assert_all_once(1);

        let sent: Vec<Duration> = transport.sent().iter().map(|sent| sent.at).collect();
        // Three attempts find out that the vendor cannot be reached; then the stream is parked.
        let parked: Vec<Duration> =
            sent.iter().copied().filter(|at| *at >= down && *at < up).skip(3).collect();
        assert!(parked.len() as u64 * 60 < 2 * (600 + phase) && parked.len() > 10, "{parked:?}");
        assert!(pauses <= parked.len() + 2, "{pauses} pauses for {} attempts: a busy loop", parked.len());
        let back = sent.iter().find_map(|at| {
            let takes = connects(*at, down, up).filter(|_| *at >= down)?;
            Some(*at + takes)
        });
        let back = back.unwrap();
        assert!(back <= up + Duration::from_secs(30), "phase {phase}: back at {back:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_parked_stream_with_the_usual_breaker_asks_once_a_minute_in_the_end() {
    let wall = Wall(Instant::now());
    let up = Duration::from_secs(3600);
    let transport = ScriptedTransport::function(move |sent, _| {
        if sent.at < up {
            return Reply::json(503, "{}");
        }
        Reply::json(200, record(sent.request.url().path()))
    });
    let client = Client::builder("https://api.example.com", Arc::new(transport.clone())).unwrap();
    let world = World::new(wall, client.build());
    let (report, _) = until_done(&world.job("leads"), wall).await;
    assert!(report.is_success());
    world.assert_all_once(1);
    let sent: Vec<Duration> = transport.sent().iter().map(|sent| sent.at).collect();
    let last = sent.iter().filter(|at| **at >= Duration::from_secs(1800) && **at < up).count();
    assert!((15..=30).contains(&last), "{last} attempts in half an hour");
    assert!(sent.iter().any(|at| *at >= up && *at <= up + Duration::from_secs(61)));
}

/// A vendor that calls a spent day 429.
#[derive(Debug)]
struct Daily(Wall);

impl Classifier for Daily {
    fn classify(&self, answer: &Answer) -> Result<()> {
        match answer.status().as_u16() {
            429 => {
                let midnight = self.0.now() + Duration::from_secs(5 * 3600);
                Err(status_error(answer)
                    .with_kind(ErrorKind::QuotaExhausted)
                    .with_message("the daily limit of lead calls is reached")
                    .with_retry_at(midnight))
            }
            _ if answer.status().is_success() => Ok(()),
            _ => Err(status_error(answer)),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn rate_07_a_spent_quota_parks_its_stream_with_a_time_and_other_streams_go_on() {
    let wall = Wall(Instant::now());
    let midnight = Duration::from_secs(5 * 3600);
    let transport = ScriptedTransport::function(move |sent, n| {
        let path = sent.request.url().path();
        if path.starts_with("/leads") && n >= 10 && sent.at < midnight {
            return Reply::json(429, "{}");
        }
        Reply::json(200, record(path))
    });
    let limits = Limits::new().class("leads", &["lead-calls-a-day"]).class("deals", &["deal-calls-a-day"]);
    let client = Client::builder("https://api.example.com", Arc::new(transport.clone()))
        .unwrap()
        .classifier(Daily(wall))
        .clock(Arc::new(wall))
        .limits(limits)
        .build();
    let world = World::new(wall, client);
    let leads = world.job("leads");

    let parked = leads.run(&Context::new(), &()).await.unwrap();
    let End::Paused { cause, until, error } = &parked.end else { panic!("{:?}", parked.end) };
    assert_eq!((*cause, *until), (PauseCause::Quota, Some(SystemTime::UNIX_EPOCH + midnight)));
    assert_eq!(error.message(), "the daily limit of lead calls is reached");
    assert_eq!(parked.totals.synced, 10, "what was read is stored");

    // Come too early, it names the bucket, and nothing is sent.
    tokio::time::sleep(Duration::from_secs(3600)).await;
    let early = leads.run(&Context::new(), &()).await.unwrap();
    assert!(early.error().unwrap().message().contains("lead-calls-a-day"), "{:?}", early.end);
    assert_eq!((early.resume_at(), early.totals, early.requests), (*until, parked.totals, 0));

    let others = world.job("deals").run(&Context::new(), &()).await.unwrap();
    assert!(others.is_success(), "{:?}", others.end);

    let (report, pauses) = until_done(&leads, wall).await;
    assert!(report.is_success() && report.run == parked.run);
    assert_eq!((pauses, wall.0.elapsed()), (1, midnight), "it wakes at the time it named");
    world.assert_all_once(2);
}

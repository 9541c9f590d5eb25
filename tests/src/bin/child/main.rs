//! The process that tests start, kill and measure: runs one sync and says on standard output, a JSON
//! text a line, how far it is.

mod pump;
mod steady;
#[cfg(feature = "servers")]
mod tokens;

use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use acople::http::{HttpTransport, TransportConfig};
use acople::map::{Lookups, ready};
use acople::salesforce::{Auth, Config};
use acople::store_redb::RedbStore;
use acople::sync::{self, End, Progress};
use acople::{
    CheckpointStore, Context, Error, ErrorKind, Generation, QuarantineStore, Quarantined, ReadMode,
    Resources, Result, Secret, StateKey, WriteMode,
};
use acople_tests::job::{Destination, Hold, Job, Leads, Point, Said};
use async_trait::async_trait;
use serde_json::json;

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&Said::Stopped { error: format!("{error:?}") });
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<()> {
    let argument = std::env::args().nth(1).unwrap_or_default();
    let job: Job = serde_json::from_str(&argument)
        .map_err(|e| Error::config("job", "the argument is no job").with_source(e))?;
    let job = match job {
        Job::Leads(leads) => leads_job(leads).await?,
        Job::Pump { records, bytes, store } => pump::job(records, bytes, RedbStore::open(store).await?)?,
        Job::Steady(work) => return steady::run(work).await,
        #[cfg(feature = "servers")]
        Job::Tokens(work) => return tokens::run(work).await,
        #[cfg(not(feature = "servers"))]
        Job::Tokens(_) => return Err(Error::config("job", "this child was built without shared stores")),
    };
    let report = job.run(&Context::new(), &tell).await?;
    match report.end {
        End::Complete => {
            say(&Said::Complete { processed: report.totals.processed, peak_kib: peak_kib() });
            Ok(())
        }
        End::Stopped { error } | End::Paused { error, .. } => Err(error),
        other => Err(Error::new(ErrorKind::Internal, format!("ended as {other:?}"))),
    }
}

fn say(line: &Said) {
    let text = serde_json::to_string(line).unwrap_or_default();
    // Nobody is left to tell when the other end is closed.
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

fn tell(progress: &Progress) {
    match progress {
        Progress::Started { resumed, .. } => say(&Said::Started { resumed: *resumed }),
        Progress::Checkpointed { totals } => say(&Said::Checkpointed {
            processed: totals.processed,
            synced: totals.synced,
            refused: totals.refused,
        }),
        _ => {}
    }
}

async fn leads_job(leads: Leads) -> Result<sync::Job> {
    let redb = RedbStore::open(&leads.store).await?;
    let links = Arc::new(redb.clone());
    let store = Arc::new(Gate { store: redb, hold: leads.hold, passed: AtomicU32::new(0) });
    let resources =
        Resources::new(Arc::new(HttpTransport::new(&TransportConfig::default().allow_loopback())?));
    let auth = Auth::AccessToken { token: Secret::from(leads.token.as_str()) };
    let config = Config::new(auth).with_base_url(&leads.salesforce).with_look_back(leads.look_back);
    let source = Arc::new(acople::salesforce::Salesforce::new(config, &resources)?);
    let mut job = sync::Job::builder("leads").source(source, "Lead").store(store);
    if leads.mirror {
        job = job.mode(ReadMode::Full).links(links).delete_vanished(sync::DeleteLimit::NONE);
    }
    match leads.to {
        Destination::HubSpot { url, token } => {
            let config = json!({ "auth": { "token": token }, "base_url": url, "tier": "increased" });
            let mapper = ready::salesforce_lead_to_hubspot_contact()?.compile(&Lookups::new())?;
            job.destination(acople::connect("hubspot", config, resources)?, "contacts")
                .mapper(Arc::new(mapper))
                .key("properties.salesforce_lead_id")
        }
        Destination::File { folder } => job
            .destination(acople::connect("file", json!({ "directory": folder }), resources)?, "leads")
            .fields(["Id", "LastName", "Email", "SystemModstamp"])
            .write(WriteMode::Insert),
    }
    .build()
}

/// The store, and the points at which the process can be made to stand still.
#[derive(Debug)]
struct Gate {
    store: RedbStore,
    hold: Option<Hold>,
    passed: AtomicU32,
}

impl Gate {
    async fn pass(&self, point: Point) {
        let Some(hold) = self.hold.filter(|hold| hold.point == point) else {
            return;
        };
        if self.passed.fetch_add(1, Ordering::Relaxed) + 1 == hold.nth {
            say(&Said::Held);
            std::future::pending::<()>().await;
        }
    }
}

#[async_trait]
impl CheckpointStore for Gate {
    async fn load(&self, key: &StateKey) -> Result<Option<(Vec<u8>, Generation)>> {
        CheckpointStore::load(&self.store, key).await
    }

    async fn save(&self, key: &StateKey, expected: Generation, state: &[u8]) -> Result<Generation> {
        self.pass(Point::BeforeCheckpoint).await;
        let generation = CheckpointStore::save(&self.store, key, expected, state).await?;
        self.pass(Point::AfterCheckpoint).await;
        Ok(generation)
    }

    async fn remove(&self, key: &StateKey) -> Result<()> {
        CheckpointStore::remove(&self.store, key).await
    }

    async fn keys(&self, sync: Option<&str>) -> Result<Vec<StateKey>> {
        self.store.keys(sync).await
    }
}

#[async_trait]
impl QuarantineStore for Gate {
    async fn put(&self, records: &[Quarantined]) -> Result<()> {
        self.pass(Point::BeforeQuarantine).await;
        self.store.put(records).await?;
        self.pass(Point::AfterQuarantine).await;
        Ok(())
    }

    async fn list(&self, sync: Option<&str>, after: Option<&str>, limit: usize) -> Result<Vec<Quarantined>> {
        self.store.list(sync, after, limit).await
    }

    async fn remove(&self, ids: &[String]) -> Result<()> {
        QuarantineStore::remove(&self.store, ids).await
    }

    async fn count(&self, sync: Option<&str>) -> Result<u64> {
        self.store.count(sync).await
    }
}

/// The most memory used so far, which Linux tells.
fn peak_kib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

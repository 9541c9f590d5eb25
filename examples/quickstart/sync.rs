//! The sync itself: twelve lines of set-up, and a progress bar.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use acople::map::{Lookups, ready};
use acople::store_redb::RedbStore;
use acople::sync::{Job, Progress, Report};
use acople::{CheckpointStore, Connector, Context, QuarantineStore, Result};
use indicatif::{ProgressBar, ProgressStyle};

use crate::accounts::Accounts;
use crate::dry_run::DryRun;

/// The sync's name: the key of its state.
pub(crate) const NAME: &str = "leads-to-contacts";

/// Salesforce leads to HubSpot contacts, each found again by the lead's id.
pub(crate) fn job<S: CheckpointStore + QuarantineStore>(
    salesforce: Arc<dyn Connector>,
    hubspot: Arc<dyn Connector>,
    store: Arc<S>,
) -> Result<Job> {
    let mapper = ready::salesforce_lead_to_hubspot_contact()?.compile(&Lookups::new())?;
    Job::builder(NAME)
        .source(salesforce, "Lead")
        .destination(hubspot, "contacts")
        .mapper(Arc::new(mapper))
        .key("properties.salesforce_lead_id")
        .store(store)
        .tolerate(100)
        .build()
}

/// Runs the sync once, with a progress bar over `expected` records.
pub(crate) async fn run(accounts: &Accounts, store: &Path, expected: u64) -> Result<Report> {
    let (salesforce, hubspot) = accounts.connect()?;
    let store = Arc::new(RedbStore::open(store).await?);
    let job = job(salesforce, hubspot, store)?;
    watch(&job, expected).await
}

async fn watch(job: &Job, expected: u64) -> Result<Report> {
    let bar = ProgressBar::new(expected);
    if let Ok(style) = ProgressStyle::with_template("  {bar:40} {pos}/{len} records  {msg}") {
        bar.set_style(style);
    }
    let observer = |progress: &Progress| match progress {
        Progress::Advanced { totals } => {
            bar.set_position(totals.processed);
            bar.set_message(format!("{} set aside", totals.refused));
        }
        Progress::Retrying { reason, .. } => bar.println(format!("  trying again: {reason}")),
        Progress::Warning { text } => bar.println(format!("  warning: {text}")),
        _ => {}
    };
    let report = job.run(&Context::new(), &observer).await;
    bar.finish();
    report?.into_result()
}

/// The process of the third run, which its parent kills.
pub(crate) async fn worker(accounts: &Accounts, store: &Path) -> std::result::Result<(), Box<dyn Error>> {
    run(accounts, store, 0).await?;
    Ok(())
}

/// Real accounts: a dry run, or with `write` the sync.
pub(crate) async fn real(accounts: &Accounts, write: bool) -> std::result::Result<(), Box<dyn Error>> {
    let (salesforce, hubspot) = accounts.connect()?;
    for connector in [&salesforce, &hubspot] {
        println!("{}: {}", connector.info().name, connector.check(&Context::new()).await?.summary);
    }
    let report = if write {
        let store = Arc::new(RedbStore::open("quickstart.redb").await?);
        watch(&job(salesforce, hubspot, store)?, 0).await?
    } else {
        println!("dry run: nothing is written; add --write to sync");
        let store = Arc::new(RedbStore::builder().in_memory()?);
        watch(&job(salesforce, Arc::new(DryRun::new(hubspot)), store)?, 0).await?
    };
    let totals = report.totals;
    println!(
        "{} leads read, {} {}, {} set aside, {} requests, {:.1} s",
        totals.processed,
        totals.synced,
        if write { "synced" } else { "would be written" },
        totals.refused,
        report.requests,
        report.duration.as_secs_f64()
    );
    Ok(())
}

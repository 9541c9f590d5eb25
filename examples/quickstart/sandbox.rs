//! The tour: both vendors on the loopback interface, three runs, one of them killed.

use std::error::Error;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use acople::sync::Report;
use acople_testkit::sandbox::hubspot::Property;
use acople_testkit::sandbox::{HubSpot, Phase, Record, Salesforce, Then, people};
use serde_json::json;
use tokio::process::Command;
use tokio::sync::Notify;

use crate::accounts::Accounts;
use crate::{proof, sync};

type Outcome<T> = Result<T, Box<dyn Error>>;

const LEADS: usize = 3_000;

pub(crate) async fn tour() -> Outcome<()> {
    // Tokens that end after a few dozen calls: renewing them is part of the show.
    let salesforce = Salesforce::builder().page_size(250).token_uses(25).start().await?;
    let hubspot = HubSpot::builder().token_uses(40).start().await?;
    let hubspot = Arc::new(hubspot);
    hubspot.add_property("contacts", Property::text("salesforce_lead_id").unique());
    let leads = load_over_time(&salesforce);
    let accounts = accounts(&salesforce, &hubspot);
    let folder = tempfile::tempdir()?;
    let store = folder.path().join("quickstart.redb");

    println!("1. First sync: {LEADS} Salesforce leads become HubSpot contacts.");
    let first = sync::run(&accounts, &store, LEADS as u64).await?;

    for id in leads.iter().step_by(25) {
        salesforce.update("Lead", id, &fields("Phone", "+34 600 000 000"));
    }
    salesforce.load("Lead", people(8, 30));
    println!(
        "2. An hour later: 120 leads have changed, 30 are new. Only those travel, and once more what changed"
    );
    println!("   in the ten minutes before: a change may become visible late.");
    let second = sync::run(&accounts, &store, 250).await?;

    salesforce.advance(Duration::from_secs(3600));
    for id in leads.iter().skip(1).step_by(2) {
        salesforce.update("Lead", id, &fields("Title", "Buyer"));
    }
    println!("3. Another hour later: 1500 leads have changed. The process is killed half way (SIGKILL) ...");
    killed_half_way(&accounts, &hubspot, &store).await?;
    println!("   ... and a new one goes on from the last checkpoint.");
    let third = sync::run(&accounts, &store, 1_650).await?;
    if !third.resumed {
        return Err("the third run was not resumed".into());
    }

    print_runs(&[("first", &first), ("incremental", &second), ("killed, resumed", &third)]);
    proof::print(&salesforce, &hubspot, &store).await
}

/// Leads that came in over the last month, a hundred at a time.
fn load_over_time(salesforce: &Salesforce) -> Vec<String> {
    let mut leads = people(7, LEADS).peekable();
    let mut ids = Vec::with_capacity(LEADS);
    while leads.peek().is_some() {
        ids.extend(salesforce.load("Lead", leads.by_ref().take(100)));
        salesforce.advance(Duration::from_secs(24 * 3600));
    }
    ids
}

fn fields(name: &str, value: &str) -> Record {
    Record::from_iter([(name.to_owned(), json!(value))])
}

/// Both sandboxes as any other account: addresses and credentials.
fn accounts(salesforce: &Salesforce, hubspot: &HubSpot) -> Accounts {
    let (sf, hs) = (salesforce.credentials(), hubspot.credentials());
    Accounts {
        salesforce: json!({
            "login_url": salesforce.url(),
            "auth": { "refresh_token": {
                "client_id": sf.client_id,
                "client_secret": sf.client_secret,
                "refresh_token": sf.refresh_token,
            } },
        }),
        hubspot: json!({
            "base_url": hubspot.url(),
            "auth": { "refresh_token": {
                "client_id": hs.client_id,
                "client_secret": hs.client_secret,
                "refresh_token": hs.refresh_token,
            } },
        }),
    }
}

/// Runs the sync in a process of its own and kills it when HubSpot has applied its eighth batch but has not
/// answered yet: the worst moment, because the process cannot know.
async fn killed_half_way(accounts: &Accounts, hubspot: &Arc<HubSpot>, store: &Path) -> Outcome<()> {
    let (reached, batches) = (Arc::new(Notify::new()), AtomicU64::new(0));
    hubspot.on_request({
        let reached = reached.clone();
        move |seen| {
            if seen.operation != "batch_upsert" || seen.phase != Phase::Applied {
                return Then::Go;
            }
            if batches.fetch_add(1, Ordering::SeqCst) < 7 {
                return Then::Go;
            }
            reached.notify_one();
            // Long enough for the kill to come first.
            Then::Delay(Duration::from_secs(5))
        }
    });
    let mut worker = Command::new(std::env::current_exe()?)
        .args(["worker".as_ref(), store.as_os_str()])
        .env("QUICKSTART_SALESFORCE", accounts.salesforce.to_string())
        .env("QUICKSTART_HUBSPOT", accounts.hubspot.to_string())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    tokio::select! {
        () = reached.notified() => worker.kill().await?,
        status = worker.wait() => return Err(format!("the worker ended by itself: {}", status?).into()),
    }
    hubspot.clear_hook();
    Ok(())
}

fn print_runs(runs: &[(&str, &Report)]) {
    println!();
    println!("run               records   synced  set aside  requests  retried  seconds");
    for (name, report) in runs {
        println!(
            "{name:<16} {:>8} {:>8} {:>10} {:>9} {:>8} {:>8.2}",
            report.totals.processed,
            report.totals.synced,
            report.totals.refused,
            report.requests,
            report.retries,
            report.duration.as_secs_f64()
        );
    }
}

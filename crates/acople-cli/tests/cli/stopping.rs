//! Signals: the first ends the work at a good place, the second at once; nothing is lost either way.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use acople_testkit::sandbox::{Phase, Then};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Child;

use crate::program::Ran;
use crate::{MAPPING, World, leads, lines, members, sorted};

fn signal(name: &str, process: u32) {
    let status = Command::new("kill").arg(format!("-{name}")).arg(process.to_string()).status();
    assert!(status.unwrap().success());
}

/// Lets a hook know the process that was started after it.
#[derive(Clone, Default)]
struct Process(Arc<AtomicU32>);

impl Process {
    fn is(&self, child: &Child) {
        self.0.store(child.id().unwrap(), Ordering::SeqCst);
    }

    fn interrupt(&self) {
        let mut id = 0;
        while id == 0 {
            id = self.0.load(Ordering::SeqCst);
        }
        signal("INT", id);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_read_that_is_interrupted_goes_on_from_its_state_without_losing_or_repeating() {
    let world = World::new().await;
    let expected = world.salesforce.load("Lead", leads(200));
    // The third page never comes.
    let pages = AtomicU32::new(0);
    world.salesforce.on_request(move |seen| {
        let page = seen.phase == Phase::Received && seen.operation == "query_more";
        if page && pages.fetch_add(1, Ordering::SeqCst) == 1 {
            Then::Delay(Duration::from_secs(600))
        } else {
            Then::Go
        }
    });
    let mut child = world.salesforce("read --stream Lead --state s.json").spawn();
    let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut first = Vec::new();
    while first.len() < 100 {
        first.push(output.next_line().await.unwrap().unwrap());
    }
    signal("TERM", child.id().unwrap());
    assert_eq!(output.next_line().await.unwrap(), None);
    let ran = Ran::new(child.wait_with_output().await.unwrap());
    assert!(ran.stderr.contains("interrupted after 100 records"), "{}", ran.stderr);
    ran.failed(130);

    world.salesforce.clear_hook();
    let rest = world.salesforce("read --stream Lead --state s.json").done().await.succeeded();
    let mut all = members(&first.join("\n"), "Id");
    all.extend(members(&rest, "Id"));
    assert_eq!(sorted(all), sorted(expected));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_sync_that_is_interrupted_finishes_its_batch_and_the_next_run_goes_on() {
    let world = World::new().await;
    world.salesforce.load("Lead", leads(500));
    world.sync_file(&format!("{MAPPING}\nmode: full"));
    let process = Process::default();
    let (writes, interrupted) = (AtomicU32::new(0), process.clone());
    world.hubspot.on_request(move |seen| {
        let write = seen.phase == Phase::Applied && seen.operation == "batch_upsert";
        if write && writes.fetch_add(1, Ordering::SeqCst) == 1 {
            interrupted.interrupt();
            return Then::Delay(Duration::from_millis(500));
        }
        Then::Go
    });
    let child = world.run(["sync", "sync.yaml", "--json"]).spawn();
    process.is(&child);
    let ran = Ran::new(child.wait_with_output().await.unwrap());
    let report = lines(&ran.stdout).remove(0);
    assert_eq!(report["end"], "cancelled");
    let done = report["synced"].as_u64().unwrap();
    // The batch at work was finished and counts.
    assert!((100..500).contains(&done), "{done}");
    assert_eq!(u64::try_from(world.hubspot.count("contacts")).unwrap(), done);
    ran.failed(130);

    world.hubspot.clear_hook();
    world.hubspot.reset_stats();
    let report = lines(&world.run(["sync", "sync.yaml", "--json"]).done().await.succeeded()).remove(0);
    assert_eq!((&report["resumed"], &report["synced"]), (&true.into(), &500.into()));
    assert_eq!(world.hubspot.count("contacts"), 500);
    assert_eq!(world.hubspot.stats().records_created, 500 - done);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_second_signal_stops_at_once_and_the_next_run_repeats_the_batch() {
    let world = World::new().await;
    world.salesforce.load("Lead", leads(60));
    world.sync_file(&format!("{MAPPING}\nmode: full"));
    let (process, first) = (Process::default(), AtomicU32::new(0));
    let interrupted = process.clone();
    world.hubspot.on_request(move |seen| {
        let write = seen.phase == Phase::Applied && seen.operation == "batch_upsert";
        if write && first.fetch_add(1, Ordering::SeqCst) == 0 {
            interrupted.interrupt();
            return Then::Delay(Duration::from_secs(600));
        }
        Then::Go
    });
    let mut child = world.run(["sync", "sync.yaml"]).spawn();
    process.is(&child);
    let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
    assert!(said.next_line().await.unwrap().unwrap().contains("interrupt again"));
    signal("INT", child.id().unwrap());
    assert_eq!(child.wait().await.unwrap().code(), Some(130));

    world.hubspot.clear_hook();
    world.run(["sync", "sync.yaml"]).done().await.succeeded();
    assert_eq!(world.hubspot.count("contacts"), 60);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_interrupted_write_ends_between_batches() {
    let world = World::new().await;
    let mut child = world.hubspot("write --stream contacts --key properties.email").spawn_fed();
    let mut input = child.stdin.take().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
    let record = b"{\"properties\":{\"email\":\"a@example.com\"}}\n";
    tokio::io::AsyncWriteExt::write_all(&mut input, record).await.unwrap();
    assert!(output.next_line().await.unwrap().unwrap().contains("accepted"));
    // The input stays open: nothing but the signal ends it.
    signal("INT", child.id().unwrap());
    let ran = Ran::new(child.wait_with_output().await.unwrap());
    assert!(ran.stderr.contains("interrupted after 1 record"), "{}", ran.stderr);
    ran.failed(130);
    drop(input);
}

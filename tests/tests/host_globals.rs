//! A host's own runtimes, logger, panic hook, TLS provider and signal handlers stay the host's own.
//!
//! A binary of its own with one test: what it looks at belongs to the whole process.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use acople::http::{HttpTransport, TransportConfig};
use acople::store_redb::RedbStore;
use acople::sync::{End, Job};
use acople::{Connector, Context, ReadMode, Resources, WriteMode};
use acople_testkit::sandbox::{HubSpot, Record};
use rustls::crypto::CryptoProvider;
use serde_json::json;
use tokio::runtime::Runtime;

/// The name of every thread that the host has made.
const THREADS: &str = "the-host";

static PANICS: AtomicU64 = AtomicU64::new(0);

#[test]
fn host_01_nothing_of_the_process_is_touched_from_two_runtimes() {
    std::panic::set_hook(Box::new(|info| {
        PANICS.fetch_add(1, Ordering::SeqCst);
        println!("the host's own hook: {info}");
    }));
    let several = || {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder.worker_threads(2).thread_name(THREADS).enable_all().build().unwrap()
    };
    let single = || {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.thread_name(THREADS).enable_all().build().unwrap()
    };
    let (signals, threads) = (signals(), threads());
    let folder = tempfile::tempdir().unwrap();

    // Two versions of a host: one with several threads, one with a single one; connectors outlive a runtime.
    let vendor_host = several();
    let portal = vendor_host.block_on(async { HubSpot::start().await.unwrap() });
    let contacts =
        (0..50).map(|n| Record::from_iter([("email".to_owned(), json!(format!("c{n}@example.com")))]));
    portal.load("contacts", contacts);
    let config = json!({ "auth": { "token": portal.credentials().private_token }, "base_url": portal.url() });
    let connect = || {
        let transport = HttpTransport::new(&TransportConfig::default().allow_loopback()).unwrap();
        let resources = Resources::new(Arc::new(transport));
        let hubspot = acople::connect("hubspot", config.clone(), resources.clone()).unwrap();
        let files = acople::connect("file", json!({ "directory": folder.path() }), resources).unwrap();
        (hubspot, files)
    };
    let first = connect();
    assert!(CryptoProvider::get_default().is_none(), "no TLS provider is installed for the host");
    let runs = [("a", single()), ("b", several()), ("c", single())];
    for (name, runtime) in runs {
        run(name, &runtime, &first, &folder.path().join(format!("{name}.redb")));
        assert!(CryptoProvider::get_default().is_none(), "no TLS provider is installed for the host");
    }

    // The host chooses its own, with fewer suites than the default: it stays, and is none of the connectors' business.
    let mut own = rustls::crypto::aws_lc_rs::default_provider();
    own.cipher_suites.truncate(1);
    own.install_default().unwrap();
    let chosen = CryptoProvider::get_default().unwrap().clone();
    run("d", &several(), &connect(), &folder.path().join("d.redb"));
    assert!(Arc::ptr_eq(&chosen, CryptoProvider::get_default().unwrap()), "the host's choice stays");

    assert!(!tracing::dispatcher::has_been_set(), "no subscriber is installed");
    assert_eq!(signals, self::signals(), "no signal handler is installed");
    let strangers: Vec<_> =
        self::threads().into_iter().filter(|name| name != THREADS && !threads.contains(name)).collect();
    assert!(strangers.is_empty(), "threads that the host did not make: {strangers:?}");
    assert_eq!(PANICS.load(Ordering::SeqCst), 0);
    assert!(std::panic::catch_unwind(|| panic!("the host's own")).is_err());
    assert_eq!(PANICS.load(Ordering::SeqCst), 1, "the host's panic hook is in its place");
}

/// A check and a sync on one runtime, with a store of its own.
fn run(
    name: &str,
    runtime: &Runtime,
    on: &(Arc<dyn Connector>, Arc<dyn Connector>),
    store: &std::path::Path,
) {
    let (hubspot, files) = on;
    runtime.block_on(async {
        hubspot.check(&Context::new()).await.unwrap();
        let store = Arc::new(RedbStore::open(store).await.unwrap());
        let job = Job::builder(name)
            .source(hubspot.clone(), "contacts")
            .destination(files.clone(), name)
            .mode(ReadMode::Full)
            .write(WriteMode::Insert)
            .store(store)
            .build()
            .unwrap();
        let report = job.run(&Context::new(), &()).await.unwrap();
        assert!(matches!(report.end, End::Complete), "{name}: {:?}", report.end);
        assert_eq!(report.totals.synced, 50, "{name}");
    });
}

/// Which signals are caught, ignored and blocked, where Linux tells.
fn signals() -> Vec<String> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let named = |line: &&str| ["SigCgt", "SigIgn", "SigBlk"].iter().any(|name| line.starts_with(name));
    status.lines().filter(named).map(str::to_owned).collect()
}

/// The names of the process's threads, where Linux tells.
fn threads() -> BTreeSet<String> {
    let Ok(tasks) = std::fs::read_dir("/proc/self/task") else { return BTreeSet::new() };
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.map(|name| name.trim().to_owned()).collect()
}

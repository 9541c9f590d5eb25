//! A sync in a process that is not given more memory than a small container has.

use std::process::Command;

use acople_tests::job::{Job, Said};

/// What the process may use, in KiB.
const LIMIT_KIB: u64 = 256 << 10;

/// The padding that makes a record a kilobyte.
const PADDING: usize = 800;

/// A million in an optimised build, which is what `.ci/run` tests; fewer where a million would take minutes.
const RECORDS: u64 = if cfg!(debug_assertions) { 50_000 } else { 1_000_000 };

#[test]
fn host_03_a_full_sync_of_kilobyte_records_fits_into_256_mib() {
    let folder = tempfile::tempdir().unwrap();
    let job = Job::Pump { records: RECORDS, bytes: PADDING, store: folder.path().join("state.redb") };
    // The system refuses the process more: a sync that needs it is killed by its allocator.
    let output = Command::new("sh")
        .args([
            "-c",
            &format!("ulimit -d {LIMIT_KIB} && exec \"$0\" \"$1\""),
            env!("CARGO_BIN_EXE_acople-tests-child"),
        ])
        .arg(serde_json::to_string(&job).unwrap())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let last = text.lines().last().unwrap_or_else(|| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    let Said::Complete { processed, peak_kib: Some(peak) } = serde_json::from_str(last).unwrap() else {
        panic!("{last}");
    };
    assert_eq!(processed, RECORDS);
    assert!(peak < LIMIT_KIB, "{peak} KiB");
    println!("{RECORDS} records of 1 KB: {peak} KiB at most");
}

//! A sync's memory does not grow with its data.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::panic)]

use std::process::Command;

use acople_tests::job::{Job, Said};

#[test]
fn ten_times_the_records_take_no_more_memory() {
    let few = peak_kib(20_000);
    let many = peak_kib(200_000);
    assert!(many * 10 <= few * 11, "{few} KiB for 20,000 records, {many} KiB for 200,000");
}

/// The most memory that a sync of so many records uses, in a process of its own.
fn peak_kib(records: u64) -> u64 {
    let folder = tempfile::tempdir().unwrap();
    let job = Job::Pump { records, bytes: 0, store: folder.path().join("state.redb") };
    let output = Command::new(env!("CARGO_BIN_EXE_acople-tests-child"))
        .arg(serde_json::to_string(&job).unwrap())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let last: Said = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    let Said::Complete { processed, peak_kib: Some(peak) } = last else {
        panic!("{last:?}");
    };
    assert_eq!(processed, records);
    peak
}

//! A profile's memory does not grow with its records.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

use std::fmt::Write as _;

use acople_core::Batch;
use acople_quality::Profile;

/// Records in all.
const RECORDS: u64 = 1_000_000;

/// What the batches and the test itself take.
const BESIDE: u64 = 4 << 20;

#[test]
fn a_million_records_keep_the_profile_within_its_bound() {
    let mut profile = Profile::new().with_fields(100);
    // Let the allocator and the batches take what they take.
    profile.add(&page(0));
    let before = peak_bytes();
    let mut first = 1_000;
    while first < RECORDS {
        profile.add(&page(first));
        first += 1_000;
    }
    let grown = peak_bytes() - before;
    let bound = profile.bytes_at_most() as u64 + BESIDE;
    let report = profile.report();
    assert_eq!((report.records, report.fields.len()), (RECORDS, 100));
    assert!(grown <= bound, "{grown} bytes more for {RECORDS} records, {bound} allowed");
}

/// A thousand records of four fields: all different values, long texts, and names that never end.
fn page(first: u64) -> Batch {
    let mut records = Vec::with_capacity(1_000);
    for n in first..first + 1_000 {
        let mut record = String::new();
        let _ = write!(
            record,
            r#"{{"id":{n},"text":"{n:060}","date":"2026-01-{:02}","f{}":{n}}}"#,
            n % 28 + 1,
            n % 5_000
        );
        records.push(record);
    }
    Batch::from_records("s", records).unwrap()
}

/// The most memory that the process has had resident.
fn peak_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1_024
}

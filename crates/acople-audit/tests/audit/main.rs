//! The audit log from outside: what is recorded, what a crash leaves, and what a verifier finds.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod files;
mod model;
mod processes;
mod stores;
mod verdicts;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use acople_audit::{Action, Chain, Entry, FileHeads, FileLog, Head, Record, SigningKey, Verdict, Verifier};
use acople_core::{ConnectionKey, Secret};

fn signing_key(number: u8) -> SigningKey {
    use base64::Engine as _;
    let seed = base64::engine::general_purpose::STANDARD.encode([number; 32]);
    SigningKey::from_base64(&Secret::from(seed)).unwrap()
}

fn connection() -> ConnectionKey {
    ConnectionKey::new("hubspot", "main").with_tenant("acme")
}

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000 + seconds)
}

fn entry(number: u64) -> Entry {
    Entry::new(at(number), "user:alice", Action::READ_SECRET, &connection()).with_field(&format!("f{number}"))
}

/// Lines of a log in memory, and its signed heads.
fn log_of(records: u64, head_every: u64) -> (Vec<String>, Vec<Head>) {
    let mut chain = Chain::begin().unwrap();
    let (mut lines, mut heads) = (Vec::new(), Vec::new());
    for number in 1..=records {
        lines.push(chain.push(&entry(number)).unwrap() + "\n");
        if number % head_every == 0 || number == records {
            heads.push(Head::sign(&chain, at(number), &signing_key(1)));
        }
    }
    (lines, heads)
}

fn verifier(heads: &[Head]) -> Verifier {
    let verifier = Verifier::new([signing_key(1).public_key().clone()]);
    heads.iter().cloned().fold(verifier, Verifier::with_head)
}

fn verify(verifier: &Verifier, files: &[Vec<u8>]) -> Verdict {
    let files = files.iter().enumerate().map(|(number, bytes)| (format!("file {number}"), bytes.as_slice()));
    verifier.verify_files(files).unwrap()
}

async fn open(folder: &Path, heads: &Path) -> FileLog {
    let heads = Arc::new(FileHeads::new(heads));
    FileLog::builder().max_file_size(2_000).sign(signing_key(1), heads, 10).open(folder).await.unwrap()
}

fn verify_folder(folder: &Path, heads: &Path) -> Verdict {
    let heads = std::fs::read(heads).unwrap_or_default();
    Verifier::new([signing_key(1).public_key().clone()]).with_heads(&heads).verify(folder).unwrap()
}

fn records(folder: &Path) -> Vec<Record> {
    let mut records = Vec::new();
    for file in acople_audit::log_files(folder).unwrap() {
        for line in std::fs::read_to_string(file.path).unwrap().lines() {
            records.push(Record::of(line.as_bytes()).unwrap());
        }
    }
    records
}

//! The audit log, verified by a program that shares nothing with ours but the documented format.
//!
//! Behind the feature `servers`: needs Python 3 with `cryptography`, which .ci/run installs. `ACOPLE_PYTHON` names the
//! interpreter.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use acople::audit::{Action, AuditSink, Entry, FileHeads, FileLog, SigningKey, log_files};
use acople::{ConnectionKey, Secret};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/audit/verify.py");

/// What the script says, and its exit code.
#[allow(clippy::disallowed_methods)] // CI says where its interpreter is
fn python(log: &Path, heads: &Path, key: &str) -> (String, Option<i32>) {
    let python = std::env::var("ACOPLE_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let output = Command::new(python).arg(SCRIPT).args([log, heads]).arg(key).output().expect("python runs");
    let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    (said, output.status.code())
}

#[tokio::test]
async fn sec_10_an_independent_program_verifies_the_log_and_finds_a_change() {
    let folder = tempfile::tempdir().unwrap();
    let (path, heads) = (folder.path().join("log"), folder.path().join("heads"));
    let key = SigningKey::from_base64(&Secret::from("c2l4dGVlbiBwbHVzIHNpeHRlZW4gcmFuZG9tIGJ5dGU=")).unwrap();
    let log = FileLog::builder().max_file_size(3_000).sign(key.clone(), Arc::new(FileHeads::new(&heads)), 7);
    let log = log.open(&path).await.unwrap();
    for number in 0..60_u64 {
        let at = SystemTime::UNIX_EPOCH + Duration::from_millis(1_800_000_000_123 + number);
        // Names that JSON writers escape in more than one way.
        let connection =
            ConnectionKey::new("hubspot", "m\u{e4}\"\\in/\u{7f}\u{2028}\u{1f511}").with_tenant("acme");
        log.append(&Entry::new(at, "user:alice", Action::READ_SECRET, &connection)).await.unwrap();
    }
    log.close().await.unwrap();
    let public = key.public_key().to_base64();
    assert_eq!(python(&path, &heads, &public), ("sound 61 61".to_owned(), Some(0)));

    let files = log_files(&path).unwrap();
    assert!(files.len() > 3, "the chain goes across files");
    let other =
        SigningKey::from_base64(&Secret::from("dGhpcnR5LXR3byBieXRlcyBvZiByYW5kb21uZXNzISE=")).unwrap();
    let wrong = python(&path, &heads, &other.public_key().to_base64());
    assert_eq!(wrong, ("signature of head 7".to_owned(), Some(6)));
    let file = &files.last().unwrap().path;
    let text = std::fs::read_to_string(file).unwrap();
    std::fs::write(file, text.replace("user:alice", "user:mallory")).unwrap();
    assert_eq!(python(&path, &heads, &public).1, Some(6));
}

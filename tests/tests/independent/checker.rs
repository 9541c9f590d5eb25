//! Hands cases to Python and reads what it says of them.

use std::io::Write;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

/// Checks the cases of one kind.
///
/// # Panics
/// With the cases on which the other side does not agree.
pub fn agrees(kind: &str, cases: &[Value]) {
    let (agreed, complaints) = check(kind, cases);
    assert_eq!(agreed, cases.len(), "{kind}: {complaints}");
}

/// Whether the other side notices a change of each case; without this, agreement would say nothing.
pub fn notices(kind: &str, cases: &[Value], change: impl Fn(&mut Value)) {
    let mut changed = cases.to_vec();
    changed.iter_mut().for_each(change);
    let (agreed, _) = check(kind, &changed);
    assert_eq!(agreed, 0, "{kind}: {agreed} of {} changed cases were taken for good", cases.len());
}

fn check(kind: &str, cases: &[Value]) -> (usize, String) {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/independent"));
    let python = folder.join("venv/bin/python");
    assert!(python.is_file(), "{} is not there: run tests/independent/install.sh", python.display());
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(json!({ kind: cases }).to_string().as_bytes()).unwrap();
    let output = Command::new(python).arg(folder.join("check.py")).arg(file.path()).output().unwrap();
    let complaints = String::from_utf8_lossy(&output.stderr).into_owned();
    let agreed: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{complaints}"));
    let agreed = usize::try_from(agreed[kind].as_u64().unwrap()).unwrap();
    assert_eq!(output.status.success(), agreed == cases.len(), "{complaints}");
    (agreed, complaints)
}

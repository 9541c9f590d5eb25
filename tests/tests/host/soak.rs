//! A short run of the program that `.ci/run` runs for longer.

use std::process::Command;

use serde_json::Value;

#[test]
fn host_04_calls_survive_resets_throttles_failures_and_broken_bodies() {
    let output = Command::new(env!("CARGO_BIN_EXE_acople-tests-soak")).arg("9").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let report: Value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"));
    assert_eq!(
        (&report["lost"], &report["wrong"], &report["panics"]),
        (&0.into(), &0.into(), &0.into()),
        "{text}"
    );
    assert!(report["calls"].as_u64().unwrap() > 1_000, "{text}");
    assert!(report["faults"].as_u64().unwrap() > 100, "the faults were there: {text}");
    assert!(output.status.success(), "{text}");
}

//! The examples show how it is done: they print no token.

#![allow(clippy::unwrap_used)] // a test that fails may panic

use std::path::{Path, PathBuf};

use tokio::process::Command;

/// How the tokens of the sandboxes and of the invented vendor, and the key of the invented library, begin.
const SECRETS: [&str; 5] = ["pat-na1-", "00D5g0000000001!", "5Aep861", "s3cret", "vendor-"];

/// Cargo builds the examples of a package beside its tests.
fn program(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.parent().and_then(Path::parent).unwrap().join("examples").join(name)
}

#[tokio::test(flavor = "multi_thread")]
async fn sec_15_no_example_prints_a_token() {
    for name in ["connect_account", "custom_connector", "typed", "quickstart"] {
        let mut command = Command::new(program(name));
        for variable in ["SALESFORCE_ACCESS_TOKEN", "SALESFORCE_REFRESH_TOKEN", "HUBSPOT_TOKEN"] {
            command.env_remove(variable);
        }
        let output = command.env("RUST_LOG", "trace").env("RUST_BACKTRACE", "1").output().await.unwrap();
        let said =
            [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
        assert!(output.status.success() && !said.is_empty(), "{name}: {said}");
        for secret in SECRETS {
            assert!(!said.contains(secret), "{name} prints {secret}...: {said}");
        }
    }
}

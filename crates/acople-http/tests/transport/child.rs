//! Tests that need a process of their own, for its environment or its limits, start themselves again.

use std::process::{Command, Stdio};

/// What tells the child that it is one: the URL to talk to.
const VARIABLE: &str = "ACOPLE_TEST_CHILD";

/// The URL that the parent gave, in the child.
#[expect(clippy::disallowed_methods, reason = "the way from parent to child")]
pub(crate) fn url() -> Option<String> {
    std::env::var(VARIABLE).ok()
}

/// Runs one test of this program in a process of its own, which sees `variables` and the limits that `shell` sets.
/// What it printed, when it succeeded.
pub(crate) fn run(test: &str, url: &str, variables: &[(&str, &str)], shell: &str) -> String {
    let mut command = Command::new("sh");
    command.arg("-c").arg(format!("{shell} exec \"$0\" \"$@\""));
    command.arg(std::env::current_exe().unwrap()).args(["--exact", test, "--nocapture", "--test-threads=1"]);
    command.env(VARIABLE, url).envs(variables.iter().copied()).stdin(Stdio::null());
    let output = command.output().unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{stdout}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(stdout.contains("1 passed"), "the child ran no test: {stdout}");
    stdout
}

//! The built command, as users run it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::server::{Server, Version};

/// The password of the server's user.
pub const PASSWORD: &str = "Welcome1";

/// What a command has said and how it ended.
#[derive(Debug)]
pub struct Done {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Done {
    /// The records of standard output, one a line.
    pub fn records(&self) -> Vec<Value> {
        self.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    pub fn succeeded(self) -> Self {
        assert_eq!(self.code, 0, "{}", self.err);
        self
    }
}

/// Runs the command. The password is in its environment and must never be in what it says.
pub fn acople<S: AsRef<std::ffi::OsStr>>(arguments: impl IntoIterator<Item = S>) -> Done {
    acople_with(PASSWORD, arguments)
}

pub fn acople_with<S: AsRef<std::ffi::OsStr>>(
    password: &str,
    arguments: impl IntoIterator<Item = S>,
) -> Done {
    let output = Command::new(binary())
        .args(arguments)
        .env("ODATA_PASSWORD", password)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let done = Done {
        code: output.status.code().expect("ended by a signal"),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    };
    assert!(!done.err.contains(password), "the password is printed: {}", done.err);
    done
}

/// `ACOPLE_BIN`, or the command beside the running test's folder.
#[allow(clippy::disallowed_methods, reason = "a test is told where the command is")]
fn binary() -> PathBuf {
    let path = std::env::var_os("ACOPLE_BIN").map_or_else(
        || {
            let test = std::env::current_exe().unwrap();
            test.ancestors().nth(2).unwrap().join(format!("acople{}", std::env::consts::EXE_SUFFIX))
        },
        PathBuf::from,
    );
    assert!(
        path.is_file(),
        "{} is not there: run `cargo build -p acople-cli`, or set ACOPLE_BIN",
        path.display()
    );
    path
}

/// The config of a connection; the password comes from the environment.
pub fn config(server: &Server, version: Version, host: &str) -> Value {
    json!({
        "base_url": format!("http://{host}:{}{}", server.port, version.root()),
        "protocol": version.name(),
        "auth": { "basic": { "user": "acople", "password": "${ODATA_PASSWORD}" } },
    })
}

/// Writes a document, as YAML: all JSON is.
pub fn document(folder: &Path, name: &str, document: &Value) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, document.to_string()).unwrap();
    path
}

/// Reads a set to its end.
pub fn read(folder: &Path, config: &Value, set: &str) -> Done {
    let config = document(folder, "connection.yaml", config);
    let config = config.to_str().unwrap();
    acople(["read", "--connector", "sap", "--config", config, "--stream", set])
}

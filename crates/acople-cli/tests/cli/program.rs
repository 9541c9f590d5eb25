//! Runs the built binary and looks at what comes out.

use std::path::Path;
use std::process::Stdio;

use tokio::io::AsyncWriteExt;
use tokio::process::{Child, Command};

/// A run to be started.
pub(crate) struct Acople {
    command: Command,
    secrets: Vec<String>,
    stdin: Option<Vec<u8>>,
}

/// What came out of a run.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// The command with these arguments, in an environment of its own.
pub(crate) fn acople<S: AsRef<str>>(args: impl IntoIterator<Item = S>) -> Acople {
    let mut command = Command::new(env!("CARGO_BIN_EXE_acople"));
    for arg in args {
        command.arg(arg.as_ref());
    }
    command.env_clear().kill_on_drop(true);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    Acople { command, secrets: Vec::new(), stdin: None }
}

impl Acople {
    pub(crate) fn folder(mut self, folder: &Path) -> Self {
        self.command.current_dir(folder);
        self
    }

    pub(crate) fn arg(mut self, arg: impl AsRef<str>) -> Self {
        self.command.arg(arg.as_ref());
        self
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    pub(crate) fn without_env(mut self, name: &str) -> Self {
        self.command.env_remove(name);
        self
    }

    /// A variable whose value must not come out anywhere.
    pub(crate) fn secret(mut self, name: &str, value: &str) -> Self {
        assert!(value.len() >= 8, "too short to be looked for");
        self.secrets.push(value.to_owned());
        self.env(name, value)
    }

    pub(crate) fn stdin(mut self, text: impl Into<Vec<u8>>) -> Self {
        self.stdin = Some(text.into());
        self.command.stdin(Stdio::piped());
        self
    }

    /// Starts it with open pipes.
    pub(crate) fn spawn(mut self) -> Child {
        self.command.spawn().unwrap()
    }

    /// Starts it with a standard input that stays open.
    pub(crate) fn spawn_fed(mut self) -> Child {
        self.command.stdin(Stdio::piped());
        self.spawn()
    }

    /// Runs it to its end. No secret may be in what comes out.
    pub(crate) async fn done(mut self) -> Ran {
        let mut child = self.command.spawn().unwrap();
        let (input, text) = (child.stdin.take(), self.stdin.unwrap_or_default());
        let feed = async move {
            if let Some(mut input) = input {
                // A run that gives up early does not read to the end.
                let _ = input.write_all(&text).await;
            }
        };
        let ((), output) = tokio::join!(feed, child.wait_with_output());
        let ran = Ran::new(output.unwrap());
        for secret in &self.secrets {
            ran.assert_without(secret);
        }
        ran
    }
}

impl Ran {
    pub(crate) fn new(output: std::process::Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// It ended well and had nothing to say on the side.
    #[track_caller]
    pub(crate) fn succeeded(self) -> String {
        assert_eq!((self.code, self.stderr.as_str()), (0, ""), "{}", self.stdout);
        self.stdout
    }

    /// It ended with this code; what it said on standard error.
    #[track_caller]
    pub(crate) fn failed(self, code: i32) -> String {
        assert_eq!(self.code, code, "{}\n{}", self.stdout, self.stderr);
        self.stderr
    }

    #[track_caller]
    pub(crate) fn assert_without(&self, secret: &str) {
        for output in [&self.stdout, &self.stderr] {
            assert!(!output.contains(secret), "a secret came out");
        }
    }
}

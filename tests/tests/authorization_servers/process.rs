//! Processes that say when they are ready, until dropped.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// How long a process may take to start.
const PATIENCE: Duration = Duration::from_secs(180);

/// A running process.
#[derive(Debug)]
pub struct Process(Child);

impl Process {
    /// Starts it and waits for the line of its standard output that begins so; gives the rest of that line.
    pub fn start(command: &mut Command, ready: &str) -> (Self, String) {
        let named = format!("{command:?}");
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        let mut process = Self(child.unwrap_or_else(|error| panic!("{named} cannot be started: {error}")));
        let output = BufReader::new(process.0.stdout.take().unwrap());
        let (sender, receiver) = mpsc::channel();
        let begins = ready.to_owned();
        // Read to its end: a full pipe would stop the process.
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if let Some(rest) = line.strip_prefix(&begins) {
                    let _ = sender.send(rest.trim().to_owned());
                }
            }
        });
        let rest = receiver.recv_timeout(PATIENCE);
        (process, rest.unwrap_or_else(|_| panic!("{named} never said {ready:?}")))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

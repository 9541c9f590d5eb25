//! A vendor on a socket that rotates refresh tokens and takes a replaced one once more.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Lines, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use acople_testkit::faults::{FaultServer, HttpAnswer, Received, Script};
use acople_tests::job::{Job, Said, Tokens};

/// What the vendor knows.
#[derive(Debug, Default)]
pub struct Ledger {
    /// Refresh tokens, and when those that were replaced were redeemed first.
    good: BTreeMap<String, Option<Instant>>,
    /// How long a replaced refresh token is taken once more.
    grace: Duration,
    issued: u64,
    pub calls: u64,
    pub refused: u64,
}

impl Ledger {
    /// The account is connected by this refresh token.
    pub fn new(refresh: &str, grace: Duration) -> Arc<Mutex<Self>> {
        let good = [(refresh.to_owned(), None)].into();
        Arc::new(Mutex::new(Self { good, grace, ..Self::default() }))
    }

    pub fn is_good(&self, refresh: &str) -> bool {
        self.good.get(refresh).is_some_and(|used| used.is_none_or(|used| used.elapsed() < self.grace))
    }

    /// Redeems a refresh token: status and body.
    pub fn redeem(&mut self, form: &[u8]) -> (u16, String) {
        self.calls += 1;
        let refresh = url::form_urlencoded::parse(form)
            .find_map(|(name, value)| (name == "refresh_token").then(|| value.into_owned()))
            .unwrap();
        if !self.is_good(&refresh) {
            self.refused += 1;
            return (400, r#"{"error":"invalid_grant"}"#.to_owned());
        }
        self.good.entry(refresh).and_modify(|used| {
            used.get_or_insert_with(Instant::now);
        });
        self.issued += 1;
        let (access, refresh) = (format!("at-{}", self.issued), format!("rt-{}", self.issued));
        let body = format!(r#"{{"access_token":"{access}","refresh_token":"{refresh}","expires_in":3600}}"#);
        self.good.insert(refresh, None);
        (200, body)
    }
}

/// One request, one answer, which takes a while.
pub async fn serve(ledger: &Arc<Mutex<Ledger>>, delay: Duration) -> FaultServer {
    let ledger = ledger.clone();
    let answer = move |received: &Received| {
        let (status, body) = ledger.lock().unwrap().redeem(received.body());
        HttpAnswer::json(status, body).header("connection", "close")
    };
    FaultServer::start(Script::new().read_request().stall(delay).respond(answer).close()).await.unwrap()
}

/// A worker: a process of its own.
pub struct Worker {
    pub child: Child,
    input: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Worker {
    pub fn start(work: Tokens) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_acople-tests-child"))
            .arg(serde_json::to_string(&Job::Tokens(work)).unwrap())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let input = child.stdin.take().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, input, lines }
    }

    /// Lets it begin, or go on.
    pub fn go(&mut self) {
        self.input.write_all(b"go\n").unwrap();
    }

    /// The next thing it says; `None` when it has ended.
    pub fn said(&mut self) -> Option<Said> {
        let line = self.lines.next()?.ok()?;
        // A line that was cut off by a kill says nothing.
        serde_json::from_str(&line).ok()
    }

    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

//! Real processes: this test binary starts itself and is killed in the middle of appending.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use acople_audit::AuditSink;

use crate::{entry, open, records, verify_folder};

const FOLDER: &str = "ACOPLE_AUDIT_TEST_FOLDER";
const KILLS: u64 = 25;

/// Not a test of its own: what the started process does.
#[tokio::test]
#[allow(clippy::disallowed_methods)] // the parent tells the child its role
async fn child() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let folder = Path::new(&folder);
    let log = open(&folder.join("audit"), &folder.join("heads")).await;
    for number in 0.. {
        log.append(&entry(number)).await.unwrap();
        let mut out = std::io::stdout();
        writeln!(out, "child> {number}").unwrap();
        out.flush().unwrap();
    }
}

#[tokio::test]
async fn sec_10_a_kill_while_records_are_appended_leaves_a_log_that_verifies() {
    let folder = tempfile::tempdir().unwrap();
    let (path, heads) = (folder.path().join("audit"), folder.path().join("heads"));
    let mut acknowledged = 0;
    for round in 0..KILLS {
        let mut child = start(folder.path());
        let mut said = lines(&mut child);
        for _ in 0..=round {
            said.next().unwrap();
            acknowledged += 1;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        // What it said before it died counts as well.
        acknowledged += said.count();
        let verdict = verify_folder(&path, &heads);
        assert!(verdict.is_sound(), "round {round}: {verdict:?}");
    }
    open(&path, &heads).await.close().await.unwrap();
    let verdict = verify_folder(&path, &heads);
    assert!(verdict.is_sound() && verdict.torn.is_none() && verdict.covered == verdict.last, "{verdict:?}");
    let reads = records(&path).iter().filter(|record| record.action == "read_secret").count();
    // One may have been written in each round without being acknowledged.
    assert!(
        acknowledged <= reads && reads <= acknowledged + 25,
        "{acknowledged} acknowledged, {reads} there"
    );
}

fn start(folder: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "processes::child", "--nocapture", "--quiet"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// What the child says, without the words of the test runner.
fn lines(child: &mut Child) -> impl Iterator<Item = String> + use<> {
    let out = BufReader::new(child.stdout.take().unwrap());
    out.lines().map_while(Result::ok).filter_map(|line| Some(line.split_once("child> ")?.1.to_owned()))
}

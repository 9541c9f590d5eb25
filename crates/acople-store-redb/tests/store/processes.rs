//! Real processes: this test binary starts itself and is killed.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use acople_core::{ConnectionKey, ErrorKind, Generation};
use acople_store_redb::RedbStore;

use crate::{key, kind, load, load_access, save, save_tokens, state_key, tokens};

const ROLE: &str = "ACOPLE_STORE_TEST_ROLE";
const STORE: &str = "ACOPLE_STORE_TEST_PATH";

/// Connections in the store whose keys are rotated.
const CONNECTIONS: u64 = 200;

/// Not a test of its own: what the started process does.
#[tokio::test]
#[allow(clippy::disallowed_methods)] // the parent tells the child its role
async fn child() {
    let (Ok(role), Ok(path)) = (std::env::var(ROLE), std::env::var(STORE)) else {
        return;
    };
    match role.as_str() {
        "save for ever" => {
            let store = RedbStore::open(&path).await.unwrap();
            let mut generation = load(&store, &state_key()).await.unwrap().map_or(0, |(_, g)| g.0);
            loop {
                let state = format!("state {}", generation + 1);
                generation = save(&store, &state_key(), generation, state.as_bytes()).await.unwrap().0;
                say(&format!("saved {generation}"));
            }
        }
        "rewrap" => {
            let store =
                RedbStore::builder().master_key(key("new")).old_key(key("old")).open(&path).await.unwrap();
            say("open");
            assert_eq!(store.rewrap().await.unwrap().failed, 0);
            say("done");
        }
        "hold" => {
            let _store = RedbStore::open(&path).await.unwrap();
            say("open");
            // Until the parent closes the pipe or kills.
            let _ = std::io::stdin().read_line(&mut String::new());
        }
        "try" => {
            let error = RedbStore::open(&path).await.unwrap_err();
            say(&format!("refused {error}"));
        }
        role => panic!("no such role: {role}"),
    }
}

#[tokio::test]
async fn state_01_what_was_acknowledged_is_there_after_kill_9() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let mut last = 0;
    for round in 1..=8 {
        let mut child = start("save for ever", &path);
        let mut said = lines(&mut child);
        for _ in 0..round * 3 {
            last = acknowledged(&said.next().unwrap());
        }
        child.kill().unwrap();
        child.wait().unwrap();
        // What it said before it died counts as well.
        for line in said {
            last = acknowledged(&line);
        }
        let store = RedbStore::open(&path).await.unwrap();
        let (state, Generation(generation)) = load(&store, &state_key()).await.unwrap().unwrap();
        assert!(generation == last || generation == last + 1, "{generation} after {last} was acknowledged");
        assert_eq!(state, format!("state {generation}").into_bytes());
        assert_eq!(store.damage(), acople_store_redb::Damage::default(), "a kill is not damage");
    }
}

#[tokio::test]
async fn state_08_a_second_process_gets_an_error_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let mut holder = start("hold", &path);
    assert_eq!(lines(&mut holder).next().unwrap(), "open");

    let error = RedbStore::open(&path).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.message().contains("open elsewhere"), "{error}");
    let mut second = start("try", &path);
    let said: Vec<String> = lines(&mut second).collect();
    assert!(
        said.iter().any(|line| line.starts_with("refused") && line.contains("open elsewhere")),
        "{said:?}"
    );
    second.wait().unwrap();

    holder.kill().unwrap();
    holder.wait().unwrap();
    RedbStore::open(&path).await.expect("a dead process holds no lock");
}

#[tokio::test]
async fn state_08_a_second_store_in_the_same_process_gets_an_error_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let store = RedbStore::open(&path).await.unwrap();
    assert_eq!(kind(RedbStore::open(&path).await), ErrorKind::Config);
    save(&store, &state_key(), 0, b"the first one works on").await.unwrap();
    drop(store);
    RedbStore::open(&path).await.expect("a dropped store holds no lock");
}

#[tokio::test]
async fn sec_07_a_rewrap_that_is_killed_goes_on_where_it_ended() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let store = RedbStore::builder().master_key(key("old")).open(&path).await.unwrap();
    for n in 0..CONNECTIONS {
        save_tokens(&store, &connection(n), 0, &tokens(&format!("access {n}"), "refresh")).await.unwrap();
    }
    drop(store);

    for _ in 0..3 {
        let mut child = start("rewrap", &path);
        assert_eq!(lines(&mut child).next().unwrap(), "open");
        child.kill().unwrap();
        child.wait().unwrap();
        let store =
            RedbStore::builder().master_key(key("new")).old_key(key("old")).open(&path).await.unwrap();
        for n in (0..CONNECTIONS).step_by(37) {
            assert_eq!(load_access(&store, &connection(n)).await.unwrap(), Some((format!("access {n}"), 1)));
        }
    }

    let store = RedbStore::builder().master_key(key("new")).old_key(key("old")).open(&path).await.unwrap();
    let report = store.rewrap().await.unwrap();
    assert_eq!((report.done + report.current, report.failed), (CONNECTIONS, 0));
    drop(store);
    let store = RedbStore::builder().master_key(key("new")).open(&path).await.unwrap();
    for n in 0..CONNECTIONS {
        assert_eq!(load_access(&store, &connection(n)).await.unwrap(), Some((format!("access {n}"), 1)));
    }
}

fn connection(n: u64) -> ConnectionKey {
    ConnectionKey::new("hubspot", format!("connection {n}"))
}

fn start(role: &str, path: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "processes::child", "--nocapture", "--quiet"])
        .env(ROLE, role)
        .env(STORE, path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// What the child says, without the words of the test runner.
fn lines(child: &mut Child) -> impl Iterator<Item = String> + use<> {
    let out = BufReader::new(child.stdout.take().unwrap());
    out.lines().map_while(Result::ok).filter_map(|line| Some(line.split_once("child> ")?.1.to_owned()))
}

fn say(line: &str) {
    let mut out = std::io::stdout();
    writeln!(out, "child> {line}").unwrap();
    out.flush().unwrap();
}

fn acknowledged(line: &str) -> u64 {
    line.strip_prefix("saved ").unwrap().parse().unwrap()
}

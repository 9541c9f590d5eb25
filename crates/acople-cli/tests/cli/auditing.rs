//! Audit logs from the command line.

use std::sync::Arc;

use acople::audit::{Action, AuditSink, Entry, FileHeads, FileLog, SigningKey};
use acople::{ConnectionKey, Secret};
use serde_json::Value;
use tempfile::TempDir;

use crate::lines;
use crate::program::{Acople, acople};

/// A log of six records in several files, its heads beside it, and its public key.
async fn log() -> (TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let key = SigningKey::from_base64(&Secret::from("c2l4dGVlbiBwbHVzIHNpeHRlZW4gcmFuZG9tIGJ5dGU=")).unwrap();
    let heads = Arc::new(FileHeads::new(folder.path().join("heads")));
    let log = FileLog::builder().max_file_size(700).sign(key.clone(), heads, 100);
    let log = log.open(folder.path().join("log")).await.unwrap();
    let at = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_800_000_000);
    for (actor, tenant) in [("user:alice", "acme"), ("user:bob", "acme"), ("user:alice", "other")] {
        let connection = ConnectionKey::new("hubspot", "main").with_tenant(tenant);
        log.append(&Entry::new(at, actor, Action::READ_SECRET, &connection).with_field("token"))
            .await
            .unwrap();
    }
    log.close().await.unwrap();
    (folder, key.public_key().to_base64())
}

fn audit(folder: &TempDir, args: &[&str]) -> Acople {
    acople(["audit"].iter().chain(args)).folder(folder.path())
}

#[tokio::test]
async fn a_sound_log_is_said_to_be_and_a_changed_one_names_the_record() {
    let (folder, key) = log().await;
    let verify = ["verify", "log", "--heads", "heads", "--public-key", &key];
    let ran = audit(&folder, &verify).done().await;
    assert_eq!((ran.code, ran.stdout.as_str()), (0, "sound: 4 records, 1 to 4\n"), "{}", ran.stderr);

    // The key in a file, and the report as JSON.
    std::fs::write(folder.path().join("key.pub"), format!("{key}\n")).unwrap();
    let in_file = ["verify", "log", "--heads", "heads", "--public-key", "key.pub", "--json"];
    let ran = audit(&folder, &in_file).done().await;
    let [report]: [Value; 1] = lines(&ran.stdout).try_into().unwrap();
    assert_eq!((report["sound"].as_bool(), report["covered"].as_u64()), (Some(true), Some(4)));

    let second = acople::audit::log_files(folder.path().join("log")).unwrap()[0].path.clone();
    let text = std::fs::read_to_string(&second).unwrap();
    std::fs::write(&second, text.replace("user:alice", "user:mallory")).unwrap();
    let ran = audit(&folder, &verify).done().await;
    assert_eq!(ran.code, 6, "{ran:?}");
    assert!(ran.stdout.starts_with("damaged: record 2 was edited (line 2 of "), "{}", ran.stdout);
    let ran = audit(&folder, &in_file).done().await;
    let [report]: [Value; 1] = lines(&ran.stdout).try_into().unwrap();
    assert_eq!((ran.code, report["damage"]["kind"].as_str()), (6, Some("edited")));
}

#[tokio::test]
async fn a_truncated_log_a_wrong_key_and_a_missing_file_have_their_exit_codes() {
    let (folder, key) = log().await;
    let other = "dGhpcnR5LXR3byBieXRlcyBvZiByYW5kb21uZXNzISE=";
    let wrong = audit(&folder, &["verify", "log", "--heads", "heads", "--public-key", other]).done().await;
    assert_eq!(wrong.code, 6);
    assert!(wrong.stdout.contains("signed by another key"), "{}", wrong.stdout);
    for args in [
        ["verify", "missing", "--heads", "heads", "--public-key", &key],
        ["verify", "log", "--heads", "missing", "--public-key", &key],
        ["verify", "log", "--heads", "heads", "--public-key", "missing"],
    ] {
        let ran = audit(&folder, &args).done().await;
        assert_eq!(ran.code, 2, "{args:?}: {ran:?}");
        assert!(ran.stderr.contains("missing"), "{}", ran.stderr);
    }
    let last = acople::audit::log_files(folder.path().join("log")).unwrap().pop().unwrap().path;
    std::fs::remove_file(last).unwrap();
    let verify = ["verify", "log", "--heads", "heads", "--public-key", &key];
    let ran = audit(&folder, &verify).done().await;
    assert_eq!(ran.code, 6);
    assert!(ran.stdout.contains("truncated"), "{}", ran.stdout);
    let without = audit(&folder, &["verify", "log", "--public-key", &key]).done().await;
    assert_eq!(without.code, 0);
    assert!(
        without.stdout.contains("no head vouches for") && without.stderr.contains("--heads"),
        "{without:?}"
    );
}

#[tokio::test]
async fn records_are_shown_by_tenant_actor_and_action() {
    let (folder, _) = log().await;
    let shown = async |more: &[&str]| {
        let ran = audit(&folder, &[&["show", "log"], more].concat()).done().await;
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        ran.stdout
    };
    let alice = shown(&["--actor", "user:alice", "--tenant", "acme"]).await;
    let expected = "2 2027-01-15T08:00:00Z user:alice read_secret tenant=acme connector=hubspot connection=main \
                    field=token: done\n";
    assert_eq!(alice, expected);
    assert_eq!(shown(&[]).await.lines().count(), 4);
    let opened = lines(&shown(&["--action", "open_log", "--json"]).await);
    assert_eq!((opened.len(), opened[0]["seq"].as_u64()), (1, Some(1)));
}

#[tokio::test]
async fn a_store_takes_its_keys_from_a_file_that_only_its_owner_can_read() {
    let world = crate::World::new().await;
    let keys = "2026 c2l4dGVlbiBwbHVzIHNpeHRlZW4gcmFuZG9tIGJ5dGU=\n";
    let path = world.write("keys", keys);
    let read =
        || world.salesforce("read --stream Lead --store tokens.redb --key-file keys --connection main");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        let ran = read().done().await;
        assert_eq!(ran.code, 2);
        assert!(ran.stderr.contains("chmod 600") && ran.stderr.contains("key_file"), "{}", ran.stderr);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    let ran = read().done().await;
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let stored = std::fs::read(world.path("tokens.redb")).unwrap();
    assert!(stored.windows(4).any(|bytes| bytes == b"2026"), "the key's id is in the store");
}

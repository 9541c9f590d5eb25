//! The log in files: what is there after reopening, turning over, crashes and failures.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::sync::Arc;

use acople_audit::{AuditSink, DamageKind, FileLog, Head, HeadSink, log_files};
use acople_core::{Error, ErrorKind, Result};
use async_trait::async_trait;

use crate::{entry, open, records, signing_key, verify_folder};

#[tokio::test]
async fn the_chain_goes_on_across_files_and_openings() {
    let folder = tempfile::tempdir().unwrap();
    let (log, heads) = (folder.path().join("audit"), folder.path().join("heads"));
    for round in 0..3 {
        let log = open(&log, &heads).await;
        assert_eq!(log.repaired(), None);
        for number in 0..20 {
            log.append(&entry(round * 20 + number)).await.unwrap();
        }
        log.close().await.unwrap();
        assert_eq!(log.append(&entry(0)).await.unwrap_err().kind(), ErrorKind::Config);
    }
    let files = log_files(&log).unwrap();
    assert!(files.len() > 5, "{} files", files.len());
    for file in &files {
        assert!(fs::metadata(&file.path).unwrap().len() <= 2_000);
    }
    let verdict = verify_folder(&log, &heads);
    assert!(verdict.is_sound(), "{verdict:?}");
    assert_eq!((verdict.records, verdict.covered), (63, 63));
    let opened = records(&log).iter().filter(|record| record.action == "open_log").count();
    assert_eq!(opened, 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn appends_that_come_together_are_all_there() {
    let folder = tempfile::tempdir().unwrap();
    let (path, heads) = (folder.path().join("audit"), folder.path().join("heads"));
    let log = open(&path, &heads).await;
    let tasks: Vec<_> = (0..200)
        .map(|number| {
            let log = log.clone();
            tokio::spawn(async move { log.append(&entry(number)).await })
        })
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    log.close().await.unwrap();
    let verdict = verify_folder(&path, &heads);
    assert!(verdict.is_sound(), "{verdict:?}");
    assert_eq!(verdict.records, 201);
    let mut fields: Vec<_> = records(&path).into_iter().map(|record| record.field).collect();
    fields.sort();
    fields.dedup();
    assert_eq!(fields.len(), 201, "each once");
}

#[tokio::test]
async fn sec_10_a_torn_record_is_cut_off_and_that_is_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let (path, heads) = (folder.path().join("audit"), folder.path().join("heads"));
    let log = open(&path, &heads).await;
    log.append(&entry(1)).await.unwrap();
    log.close().await.unwrap();
    let newest = log_files(&path).unwrap().pop().unwrap().path;
    for torn in [&b"{\"action\":\"rea"[..], b"\0\0\0\0", b"x"] {
        OpenOptions::new().append(true).open(&newest).unwrap().write_all(torn).unwrap();
        let verdict = verify_folder(&path, &heads);
        assert_eq!((verdict.is_sound(), verdict.torn), (true, Some(torn.len() as u64)));
        let log = open(&path, &heads).await;
        assert_eq!(log.repaired(), Some(torn.len() as u64));
        log.close().await.unwrap();
        let repairs: Vec<_> = records(&path).into_iter().filter(|r| r.action == "repair_log").collect();
        let said = &repairs.last().unwrap().detail;
        assert_eq!(*said, format!("{} bytes of a torn record were cut off", torn.len()));
    }
    let verdict = verify_folder(&path, &heads);
    assert!(verdict.is_sound() && verdict.torn.is_none(), "{verdict:?}");
}

#[tokio::test]
async fn sec_10_a_tear_that_reaches_acknowledged_records_is_told_by_the_head() {
    let folder = tempfile::tempdir().unwrap();
    let (path, heads) = (folder.path().join("audit"), folder.path().join("heads"));
    let log = open(&path, &heads).await;
    for number in 0..5 {
        log.append(&entry(number)).await.unwrap();
    }
    log.close().await.unwrap();
    let newest = log_files(&path).unwrap().pop().unwrap().path;
    let bytes = fs::read(&newest).unwrap();
    fs::write(&newest, &bytes[..bytes.len() - 10]).unwrap();
    // The next writer repairs it, and cannot hide it.
    open(&path, &heads).await.close().await.unwrap();
    let damage = verify_folder(&path, &heads).damage.unwrap();
    assert_eq!((damage.kind, damage.last), (DamageKind::Edited, 6), "{damage}");
}

#[tokio::test]
async fn sec_10_a_damaged_newest_file_is_refused_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let (path, heads) = (folder.path().join("audit"), folder.path().join("heads"));
    let log = open(&path, &heads).await;
    for number in 0..3 {
        log.append(&entry(number)).await.unwrap();
    }
    log.close().await.unwrap();
    let newest = log_files(&path).unwrap().pop().unwrap().path;
    let good = fs::read_to_string(&newest).unwrap();
    for bad in [good.replace("f1", "f9"), good.replacen('\n', "\n\n", 1), good.replacen("\"v\":1}", "", 1)] {
        fs::write(&newest, &bad).unwrap();
        let error = FileLog::open(&path).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Internal);
        assert!(error.message().contains("acople audit verify"), "{error}");
        assert_eq!(fs::read_to_string(&newest).unwrap(), bad);
    }
    fs::write(&newest, &good).unwrap();
    FileLog::open(&path).await.unwrap();
}

#[tokio::test]
async fn an_empty_newest_file_is_gone_on_with() {
    let folder = tempfile::tempdir().unwrap();
    let (path, heads) = (folder.path().join("audit"), folder.path().join("heads"));
    let log = open(&path, &heads).await;
    log.append(&entry(1)).await.unwrap();
    log.close().await.unwrap();
    // A crash between making a file and writing to it.
    fs::write(path.join(format!("audit.{:020}.jsonl", 3)), "").unwrap();
    open(&path, &heads).await.close().await.unwrap();
    let verdict = verify_folder(&path, &heads);
    assert!(verdict.is_sound() && verdict.records == 3, "{verdict:?}");
}

#[tokio::test]
async fn a_second_writer_gets_an_error_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let log = FileLog::open(folder.path()).await.unwrap();
    let error = FileLog::open(folder.path()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.message().contains("open elsewhere"), "{error}");
    log.close().await.unwrap();
    FileLog::open(folder.path()).await.unwrap();
}

#[cfg(unix)]
#[tokio::test]
async fn only_the_owner_can_read_the_log() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let _log = FileLog::open(folder.path()).await.unwrap();
    for file in log_files(folder.path()).unwrap() {
        assert_eq!(fs::metadata(file.path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}

/// A place for heads that is out of reach until it is not.
#[derive(Debug, Default)]
struct Elsewhere {
    away: std::sync::atomic::AtomicBool,
    kept: std::sync::Mutex<Vec<Head>>,
}

#[async_trait]
impl HeadSink for Elsewhere {
    async fn keep(&self, head: &Head) -> Result<()> {
        if self.away.load(std::sync::atomic::Ordering::Relaxed) {
            return Err(Error::new(ErrorKind::Transient, "out of reach"));
        }
        self.kept.lock().unwrap().push(head.clone());
        Ok(())
    }
}

#[tokio::test]
async fn heads_are_signed_after_so_many_records_and_made_up_for_when_they_could_not_be_kept() {
    let folder = tempfile::tempdir().unwrap();
    let sink = Arc::new(Elsewhere::default());
    let log = FileLog::builder().sign(signing_key(1), sink.clone(), 5).open(folder.path()).await.unwrap();
    let seqs = || sink.kept.lock().unwrap().iter().map(|head| head.seq).collect::<Vec<_>>();
    for number in 0..10 {
        log.append(&entry(number)).await.unwrap();
    }
    assert_eq!(seqs(), [5, 10], "one record is that of the opening");
    sink.away.store(true, std::sync::atomic::Ordering::Relaxed);
    for number in 0..6 {
        log.append(&entry(number)).await.expect("records are written all the same");
    }
    assert!(log.sign_head().await.unwrap_err().is_retryable());
    sink.away.store(false, std::sync::atomic::Ordering::Relaxed);
    log.append(&entry(0)).await.unwrap();
    assert_eq!(seqs(), [5, 10, 18]);
    log.sign_head().await.unwrap();
    assert_eq!(seqs(), [5, 10, 18], "there is nothing new");
    log.append(&entry(0)).await.unwrap();
    log.close().await.unwrap();
    assert_eq!(seqs(), [5, 10, 18, 19]);
}

//! The vendors, which outlive every child, and the lives of the children.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use acople::store_redb::RedbStore;
use acople::{QuarantineStore, Quarantined};
use acople_testkit::sandbox::hubspot::Property;
use acople_testkit::sandbox::{HubSpot, Salesforce, Then};
use acople_tests::job::{Destination, Job, Leads, Said};
use tempfile::TempDir;

use crate::kill::{Kill, Victim};

/// Leads of a page, and so of a batch.
pub const PAGE: usize = 30;

/// An org, a portal, and a folder for the store and for files.
pub struct World {
    pub org: Salesforce,
    pub portal: HubSpot,
    pub folder: TempDir,
    victim: Arc<Mutex<Option<Arc<Victim>>>>,
    /// How many children were killed.
    pub kills: u64,
    /// Whether children list all leads and delete what is gone.
    pub mirror: bool,
    /// How many runs were completed.
    pub runs: u64,
    /// Covered by the last checkpoint that was told of in the run that goes on.
    saved: Saved,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Saved {
    pub processed: u64,
    pub synced: u64,
    pub refused: u64,
}

/// How a life ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Killed,
    Complete { processed: u64 },
}

impl World {
    pub async fn new() -> Self {
        let org = Salesforce::builder().page_size(PAGE).start().await.unwrap();
        let portal = HubSpot::builder().start().await.unwrap();
        portal.add_property("contacts", Property::text("salesforce_lead_id").unique());
        portal.add_property("contacts", Property::text("leadsource"));
        let victim: Arc<Mutex<Option<Arc<Victim>>>> = Arc::default();
        let watch = |victim: &Arc<Mutex<Option<Arc<Victim>>>>| {
            let victim = Arc::clone(victim);
            move |seen: &acople_testkit::sandbox::Seen| {
                let victim = victim.lock().unwrap().clone();
                victim.map_or(Then::Go, |victim| victim.watch(seen))
            }
        };
        org.on_request(watch(&victim));
        portal.on_request(watch(&victim));
        Self {
            org,
            portal,
            folder: tempfile::tempdir().unwrap(),
            victim,
            mirror: false,
            kills: 0,
            runs: 0,
            saved: Saved::default(),
        }
    }

    pub fn contacts(&self) -> Destination {
        Destination::HubSpot {
            url: self.portal.url().to_owned(),
            token: self.portal.credentials().private_token,
        }
    }

    pub fn files(&self) -> Destination {
        Destination::File { folder: self.folder.path().to_owned() }
    }

    fn store(&self) -> PathBuf {
        self.folder.path().join("state.redb")
    }

    /// Starts a child and watches it until it has completed its run or was killed.
    ///
    /// Whatever a killed child has said to be saved must be at the destination, and the next child has to go
    /// on from there.
    pub async fn live(&mut self, to: &Destination, kill: Option<Kill>) -> Fate {
        let job = Job::Leads(Leads {
            salesforce: self.org.url().to_owned(),
            token: self.org.access_token(),
            look_back: 1,
            to: to.clone(),
            store: self.store(),
            mirror: self.mirror,
            hold: kill.and_then(Kill::hold),
        });
        let mut child = Command::new(env!("CARGO_BIN_EXE_acople-tests-child"))
            .arg(serde_json::to_string(&job).unwrap())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let victim = Victim::new(child, kill);
        *self.victim.lock().unwrap() = Some(Arc::clone(&victim));
        // On a thread of its own: the vendors need this one.
        let (status, said) = tokio::task::spawn_blocking(move || {
            let mut said = Vec::new();
            // A line that the kill has cut off is nothing that was said.
            for line in output.lines().map_while(Result::ok) {
                let Ok(line) = serde_json::from_str::<Said>(&line) else {
                    break;
                };
                if matches!(line, Said::Held) {
                    victim.kill();
                }
                said.push(line);
            }
            (victim.wait(), said)
        })
        .await
        .unwrap();
        *self.victim.lock().unwrap() = None;
        self.judge(status, said, kill)
    }

    fn judge(&mut self, status: std::process::ExitStatus, said: Vec<Said>, kill: Option<Kill>) -> Fate {
        let mut complete = None;
        for line in &said {
            match line {
                Said::Started { resumed } => {
                    let begun = self.saved != Saved::default();
                    let over = self.saved.processed as usize >= self.org.count("Lead");
                    assert!(
                        *resumed || !begun || over || self.runs > 0,
                        "{:?} were saved, and the run began anew",
                        self.saved
                    );
                    if !resumed {
                        self.saved = Saved::default();
                    }
                }
                Said::Checkpointed { processed, synced, refused } => {
                    let saved = Saved { processed: *processed, synced: *synced, refused: *refused };
                    assert!(
                        saved.processed >= self.saved.processed,
                        "went back from {:?} to {saved:?}",
                        self.saved
                    );
                    self.saved = saved;
                }
                Said::Complete { processed, .. } => complete = Some(*processed),
                Said::Stopped { error } => panic!("the run stopped, {kill:?}: {error}"),
                Said::Held => {}
                other => panic!("a sync says nothing of {other:?}"),
            }
        }
        match (complete, status.signal()) {
            // It may be killed between its last word and its exit.
            (Some(processed), _) => {
                self.runs += 1;
                self.saved = Saved::default();
                Fate::Complete { processed }
            }
            (None, Some(9)) => {
                self.kills += 1;
                Fate::Killed
            }
            (None, _) => panic!("the child ended with {status}, {kill:?}: {said:?}"),
        }
    }

    /// What the last child said to be saved in a run that is not complete.
    pub fn saved(&self) -> Saved {
        self.saved
    }

    /// All quarantined records by the lead's id, each exactly once.
    pub async fn quarantine(&self) -> BTreeMap<String, Quarantined> {
        let store = RedbStore::open(self.store()).await.unwrap();
        let damage = store.damage();
        assert_eq!((damage.fallbacks, damage.recovered_from), (0, None));
        let mut found = BTreeMap::new();
        let mut after: Option<String> = None;
        loop {
            let page = store.list(Some("leads"), after.as_deref(), 100).await.unwrap();
            let Some(last) = page.last() else { break };
            after = Some(last.id.clone());
            for record in page {
                let lead: serde_json::Value = serde_json::from_str(&record.record).unwrap();
                let id = lead["Id"].as_str().unwrap().to_owned();
                let before = found.insert(id.clone(), record);
                assert!(before.is_none(), "{id} is in quarantine twice");
            }
        }
        store.close().await.unwrap();
        found
    }
}

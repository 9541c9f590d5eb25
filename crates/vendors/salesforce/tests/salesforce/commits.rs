//! Incremental reads of an org in which commits become visible late, against a model of it.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::ops::Bound::{Excluded, Unbounded};
use std::sync::{Arc, Mutex};
use std::time::{Duration, UNIX_EPOCH};

use acople_core::{Clock, Connector, Context, Cursor, Event, ReadRequest, Resources, Secret};
use acople_salesforce::{Auth, Config, Salesforce};
use acople_testkit::{FakeClock, Reply, ScriptedTransport, Sent};
use futures_util::StreamExt;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;

const COMMITS: usize = 100_000;
const ORGS: usize = 40;

/// Seconds from a commit's time to its being seen, at most.
const LOOK_BACK: u32 = 60;

/// Numbers that look random and are the same each time.
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

/// What becomes of a record: its number, the time of the commit, a version, whether it is deleted.
type Commit = (u64, i64, u32, bool);

struct Org {
    random: Random,
    clock: FakeClock,
    /// How far the vendor's clock is ahead of ours, in milliseconds.
    ahead: i64,
    /// Times are multiples of this many milliseconds.
    grain: i64,
    /// How slow answers get: one in 50 takes this many seconds.
    slowest: u64,
    to_come: usize,
    made: usize,
    /// What everybody sees: time and number, version, deleted.
    visible: BTreeMap<(i64, u64), (u32, bool)>,
    times: BTreeMap<u64, i64>,
    /// What is committed and not seen yet, by the time at which it will be.
    hidden: BinaryHeap<Reverse<(i64, Commit)>>,
    /// Records with a commit that is hidden: nobody else can change them.
    locked: BTreeSet<u64>,
}

impl Org {
    fn new(seed: u64, clock: FakeClock) -> Self {
        let mut random = Random(seed);
        let ahead = i64::try_from(random.below(7_200_000)).unwrap() - 3_600_000;
        Self {
            ahead,
            grain: [1, 1_000, 10_000][usize::try_from(seed % 3).unwrap()],
            slowest: [5, 90, 600][usize::try_from(seed / 3 % 3).unwrap()],
            random,
            clock,
            to_come: COMMITS / ORGS,
            made: 0,
            visible: BTreeMap::new(),
            times: BTreeMap::new(),
            hidden: BinaryHeap::new(),
            locked: BTreeSet::new(),
        }
    }

    fn now(&self) -> i64 {
        let ours = self.clock.now().duration_since(UNIX_EPOCH).unwrap().as_millis();
        i64::try_from(ours).unwrap() + self.ahead
    }

    /// Time passes, and with it about a commit a second.
    fn pass(&mut self, ms: u64) {
        let before = self.now();
        self.clock.advance(Duration::from_millis(ms));
        let mut due = (ms + self.random.below(1_000)) / 1_000;
        while due > 0 && self.to_come > 0 {
            // Now and then many records in one transaction, with one time.
            let size = if self.random.one_in(20) { 1 + self.random.below(40) } else { 1 };
            due = due.saturating_sub(size);
            let at = before + 1 + i64::try_from(self.random.below(ms)).unwrap();
            let at = at - at % self.grain;
            let late = match self.random.below(4) {
                0 => self.random.below(u64::from(LOOK_BACK) * 1_000 + 1),
                1 => u64::from(LOOK_BACK) * 1_000 - self.random.below(3),
                _ => 0,
            };
            let seen = (at + i64::try_from(late).unwrap()).max(before + 1);
            for _ in 0..size.min(self.to_come as u64) {
                self.commit(at, seen);
            }
        }
        let now = self.now();
        while let Some(Reverse((seen, _))) = self.hidden.peek()
            && *seen <= now
        {
            let Some(Reverse((_, (number, at, version, deleted)))) = self.hidden.pop() else { break };
            self.locked.remove(&number);
            if let Some(old) = self.times.insert(number, at) {
                self.visible.remove(&(old, number));
            }
            self.visible.insert((at, number), (version, deleted));
        }
    }

    fn commit(&mut self, at: i64, seen: i64) {
        let known = self.times.len() as u64;
        let number = if known > 0 && self.random.one_in(3) { self.random.below(known) } else { u64::MAX };
        let old = self.times.get(&number).copied().filter(|old| *old < at && !self.locked.contains(&number));
        let deleted =
            old.and_then(|old| self.visible.get(&(old, number))).is_some_and(|(_, deleted)| *deleted);
        let number = match old {
            Some(_) if !deleted => number,
            // The ids of new records are in no order.
            _ => loop {
                let number = self.random.below(1 << 30);
                if !self.times.contains_key(&number) && !self.locked.contains(&number) {
                    break number;
                }
            },
        };
        self.locked.insert(number);
        (self.made, self.to_come) = (self.made + 1, self.to_come - 1);
        let deleted = old.is_some() && self.random.one_in(5);
        self.hidden.push(Reverse((seen, (number, at, u32::try_from(self.made).unwrap(), deleted))));
    }

    fn answer(&mut self, sent: &Sent) -> Reply {
        let ms = match self.random.below(50) {
            0 => 1 + self.random.below(self.slowest * 1_000),
            _ => 1 + self.random.below(1_500),
        };
        self.pass(ms);
        let url = sent.request.url();
        if url.path().ends_with("/describe") {
            return Reply::json(200, described());
        }
        if let Some((_, locator)) = url.path().rsplit_once("/query/") {
            if self.random.one_in(30) {
                let gone = r#"[{"message":"invalid query locator","errorCode":"INVALID_QUERY_LOCATOR"}]"#;
                return Reply::json(400, gone);
            }
            let (at, number) = locator.split_once('-').unwrap();
            return self.page((at.parse().unwrap(), Some(number.parse().unwrap())));
        }
        let query = url.query_pairs().find(|(name, _)| name == "q").unwrap().1.into_owned();
        assert!(
            url.path().ends_with("/queryAll") && query.ends_with(" ORDER BY SystemModstamp,Id"),
            "{query}"
        );
        let behind =
            |mark: &str| query.split_once(mark).and_then(|(_, rest)| rest.split([' ', ')', '\'']).next());
        let time = |text: &str| text.parse::<Timestamp>().unwrap().as_millisecond();
        let from = match (behind("SystemModstamp >= "), behind("SystemModstamp = "), behind("Id > '00Q")) {
            (Some(from), None, None) => (time(from), None),
            (None, Some(at), Some(id)) => (time(at), Some(id.parse().unwrap())),
            (None, None, None) => (i64::MIN, None),
            _ => panic!("{query}"),
        };
        self.page(from)
    }

    /// What is visible now from a time on, or behind a record of that time.
    fn page(&mut self, from: (i64, Option<u64>)) -> Reply {
        let size = 5 + usize::try_from(self.random.below(60)).unwrap();
        let rows = match from {
            (at, Some(number)) => self.visible.range((Excluded((at, number)), Unbounded)),
            (at, None) => self.visible.range((at, 0)..),
        };
        let rows: Vec<_> = rows.take(size + 1).collect();
        let records = rows.iter().take(size).map(|((at, number), (version, deleted))| {
            let at = Timestamp::from_millisecond(*at).unwrap();
            format!(
                r#"{{"Id":"00Q{number:015}","Version__c":{version},"SystemModstamp":"{at:.3}","IsDeleted":{deleted}}}"#
            )
        });
        let records = records.collect::<Vec<_>>().join(",");
        let next = rows.get(size).and(rows.get(size - 1)).map(|((at, number), _)| {
            format!(r#","nextRecordsUrl":"/services/data/v67.0/query/{at}-{number}""#)
        });
        Reply::json(200, format!(r#"{{"records":[{records}]{}}}"#, next.unwrap_or_default()))
    }
}

fn described() -> String {
    let kinds =
        [("Id", "id"), ("Version__c", "double"), ("SystemModstamp", "datetime"), ("IsDeleted", "boolean")];
    let fields = kinds.map(|(name, kind)| json!({"name": name, "type": kind}));
    json!({"name": "Lead", "queryable": true, "fields": fields}).to_string()
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Row {
    id: String,
    #[serde(rename = "Version__c")]
    version: u32,
    is_deleted: bool,
}

/// The copy that a reader keeps, and where it stands.
#[derive(Default)]
struct Replica {
    rows: BTreeMap<u64, (u32, bool)>,
    cursor: Option<Cursor>,
    read: usize,
}

impl Replica {
    /// Reads on, to the end or until it is broken off before this event.
    async fn read(&mut self, sf: &Salesforce, most: usize) {
        let request = ReadRequest::incremental("Lead").with_cursor(self.cursor.clone());
        let mut events = sf.read(&Context::new(), request).unwrap().take(most);
        while let Some(event) = events.next().await {
            match event.unwrap() {
                Event::Batch(batch) => {
                    for row in batch.typed::<Row>() {
                        let row = row.unwrap();
                        let number = row.id.trim_start_matches("00Q").parse().unwrap();
                        self.rows.insert(number, (row.version, row.is_deleted));
                        self.read += 1;
                    }
                }
                // Kept as text, as a store keeps it.
                Event::Checkpoint(cursor) => {
                    self.cursor = Some(Cursor::from_json(&cursor.to_json().unwrap()).unwrap());
                }
                _ => {}
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn page_06_of_a_hundred_thousand_random_commits_none_is_lost_that_comes_within_the_look_back() {
    let (mut made, mut read) = (0, 0);
    for seed in 0..ORGS as u64 {
        let clock = FakeClock::new();
        let org = Arc::new(Mutex::new(Org::new(seed, clock.clone())));
        let answering = org.clone();
        let transport = ScriptedTransport::function(move |sent, _| answering.lock().unwrap().answer(sent));
        let config = Config::new(Auth::AccessToken { token: Secret::from("00Dtoken!secret") })
            .with_base_url("https://acme.my.salesforce.com")
            .with_look_back(LOOK_BACK);
        let resources = Resources::new(Arc::new(transport)).with_clock(Arc::new(clock));
        let (sf, mut copy, mut random) =
            (Salesforce::new(config, &resources).unwrap(), Replica::default(), Random(seed + 1_000));
        while org.lock().unwrap().to_come > 0 {
            // One run in four breaks off somewhere, and another process goes on where it stood.
            let most =
                if random.one_in(4) { 1 + usize::try_from(random.below(8)).unwrap() } else { usize::MAX };
            copy.read(&sf, most).await;
            org.lock().unwrap().pass(1 + random.below(120_000));
        }
        // All of it can be seen at last. A run that stood in the middle ends, and one more begins.
        org.lock().unwrap().pass(u64::from(LOOK_BACK) * 1_000);
        for _ in 0..2 {
            copy.read(&sf, usize::MAX).await;
        }
        let org = org.lock().unwrap();
        assert!(org.hidden.is_empty());
        let lost = org.visible.iter().filter(|((_, number), row)| copy.rows.get(number) != Some(row));
        assert_eq!(lost.count(), 0, "of {} in org {seed}", org.visible.len());
        assert_eq!(copy.rows.len(), org.visible.len());
        (made, read) = (made + org.made, read + copy.read);
    }
    assert_eq!(made, COMMITS);
    // Nor is everything read anew each time.
    assert!(read < 10 * COMMITS, "{read} records read");
}

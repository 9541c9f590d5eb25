//! Lists that are read while records come and go at random, against a model of the list: what each way of paging
//! guarantees, and what it cannot.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a test that fails may panic

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use acople_core::{Context, Cursor, Cursors, Event, ReadRequest};
use acople_http::{Call, Client, Left, List, Paging, events, walk_list};
use acople_testkit::{Reply, ScriptedTransport, Sent};
use futures_util::StreamExt;

const CURSORS: Cursors = Cursors::new("example", 1);

/// Lists of each kind.
const LISTS: u64 = 100;

/// Numbers that look random and are the same each time.
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }
}

/// What happens to a list between two answers.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Changes {
    /// Records come, anywhere in the order.
    insertions: bool,
    /// Records go, anywhere in the order.
    deletions: bool,
}

/// A vendor's list in the order of its keys, and what became of it.
struct Vendor {
    random: Random,
    changes: Changes,
    records: BTreeSet<u64>,
    /// Those that were there when the read began and never went.
    stayed: BTreeSet<u64>,
    /// All that there ever were.
    ever: BTreeSet<u64>,
}

impl Vendor {
    fn new(seed: u64, changes: Changes) -> Self {
        let mut random = Random(seed);
        let count = random.below(120);
        let records: BTreeSet<u64> = (0..count).map(|_| 1 + random.below(1_000_000)).collect();
        Self { random, changes, stayed: records.clone(), ever: records.clone(), records }
    }

    fn change(&mut self) {
        if self.changes == NOTHING {
            return;
        }
        for _ in 0..self.random.below(6) {
            let key = 1 + self.random.below(1_000_000);
            let goes = self.changes.deletions && (!self.changes.insertions || self.random.below(2) == 0);
            if !goes {
                self.records.insert(key);
                self.ever.insert(key);
            } else if let Some(key) = self.records.range(key..).next().copied() {
                self.records.remove(&key);
                self.stayed.remove(&key);
            }
        }
    }

    /// A page of up to 10 records, shorter ones now and then: behind a key, or behind so many.
    fn answer(&mut self, sent: &Sent) -> Reply {
        let asked = |name: &str| {
            let query = sent.request.url().query_pairs().find(|(param, _)| param == name);
            query.map(|(_, value)| value.parse::<u64>().unwrap())
        };
        let size = 1 + usize::try_from(self.random.below(10)).unwrap();
        let skip = usize::try_from(asked("offset").unwrap_or(0)).unwrap();
        let after = asked("after").unwrap_or(0);
        let page: Vec<String> =
            self.records.range(after + 1..).skip(skip).take(size).map(u64::to_string).collect();
        let records = page.iter().map(|key| format!(r#"{{"id":{key}}}"#)).collect::<Vec<_>>().join(",");
        self.change();
        Reply::json(200, format!(r#"{{"data":[{records}]}}"#))
    }
}

/// What a read of a list brought: how often each key, and whether it was in order.
struct Listed {
    times: BTreeMap<u64, usize>,
    in_order: bool,
    whole: bool,
}

/// Reads a list, in one piece or in several: each goes on from the checkpoint at which the one before was dropped.
async fn list(vendor: &Arc<Mutex<Vendor>>, paging: &Paging, pieces: Option<&mut Random>) -> Listed {
    let answering = vendor.clone();
    let transport = ScriptedTransport::function(move |sent, _| answering.lock().unwrap().answer(sent));
    let client = Client::builder("https://api.example.com", Arc::new(transport)).unwrap().build();
    let (mut keys, mut cursor, mut whole, mut pieces) = (Vec::new(), None::<Cursor>, false, pieces);
    loop {
        // A batch and its checkpoint belong together.
        let most = pieces
            .as_mut()
            .map_or(usize::MAX, |random| 1 + 2 * usize::try_from(1 + random.below(3)).unwrap());
        let request = ReadRequest::full("things").with_cursor(cursor.clone());
        let list = List::new(&client, &Context::new(), "things", &["data"], paging.clone()).unwrap();
        let from = CURSORS.state(&request).unwrap().unwrap_or_default();
        let call = Call::get("list things").path(["things"]);
        let walk = walk_list(list, call, from, Left::of(&request), |batch| async { Ok(batch) });
        let mut all = events(CURSORS, request, async { Ok(walk) }).take(most);
        let (mut heard, mut batch) = (0, Vec::new());
        while let Some(event) = all.next().await {
            heard += 1;
            match event.unwrap() {
                Event::Batch(records) => batch.extend(records.iter().map(|record| {
                    record.raw().trim_start_matches(r#"{"id":"#).trim_end_matches('}').parse::<u64>().unwrap()
                })),
                Event::Checkpoint(at) => {
                    cursor = Some(Cursor::from_json(&at.to_json().unwrap()).unwrap());
                    keys.append(&mut batch);
                }
                Event::SnapshotEnd => whole = true,
                _ => {}
            }
        }
        // What came without a checkpoint comes again.
        if heard < most {
            keys.append(&mut batch);
            break;
        }
    }
    let in_order = keys.is_sorted();
    let mut times = BTreeMap::new();
    for key in keys {
        *times.entry(key).or_default() += 1;
    }
    Listed { times, in_order, whole }
}

/// Of many lists: records that were there throughout and were skipped, and those that came more than once.
async fn skipped_and_repeated(paging: &Paging, changes: Changes) -> (usize, usize) {
    let (mut skipped, mut repeated) = (0, 0);
    for seed in 0..LISTS {
        let vendor = Arc::new(Mutex::new(Vendor::new(seed, changes)));
        let mut random = Random(seed + 1_000);
        let in_pieces = seed % 2 == 1;
        let listed = list(&vendor, paging, in_pieces.then_some(&mut random)).await;
        let vendor = vendor.lock().unwrap();
        assert!(listed.times.keys().all(|key| vendor.ever.contains(key)), "nothing is made up");
        assert!(in_pieces || listed.whole, "a read in one piece comes to its end");
        skipped += vendor.stayed.iter().filter(|key| !listed.times.contains_key(key)).count();
        repeated += listed.times.values().filter(|times| **times > 1).count();
        if matches!(paging, Paging::Keyset { .. }) {
            assert!(listed.in_order, "list {seed}");
        }
    }
    (skipped, repeated)
}

const NOTHING: Changes = Changes { insertions: false, deletions: false };
const INSERTIONS: Changes = Changes { insertions: true, deletions: false };
const DELETIONS: Changes = Changes { insertions: false, deletions: true };
const BOTH: Changes = Changes { insertions: true, deletions: true };

#[tokio::test(start_paused = true)]
async fn page_04_paging_by_key_neither_skips_nor_repeats_a_record_while_others_come_and_go() {
    let paging = Paging::keyset("id", "after");
    for changes in [NOTHING, INSERTIONS, DELETIONS, BOTH] {
        assert_eq!(skipped_and_repeated(&paging, changes).await, (0, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn page_04_paging_by_offset_is_exact_only_while_nothing_moves() {
    let paging = Paging::offset("offset");
    assert_eq!(skipped_and_repeated(&paging, NOTHING).await, (0, 0));
    // New records push the others back: some come twice, none is skipped.
    let (skipped, repeated) = skipped_and_repeated(&paging, INSERTIONS).await;
    assert!(skipped == 0 && repeated > 0, "{skipped} skipped, {repeated} repeated");
    // Deleted ones pull them forward: some are skipped, none comes twice. This is why such a stream declares
    // `Listing::Shifting`, and why nobody may take what its listing leaves out for deleted.
    let (skipped, repeated) = skipped_and_repeated(&paging, DELETIONS).await;
    assert!(skipped > 0 && repeated == 0, "{skipped} skipped, {repeated} repeated");
    let (skipped, repeated) = skipped_and_repeated(&paging, BOTH).await;
    assert!(skipped > 0 && repeated > 0, "{skipped} skipped, {repeated} repeated");
}

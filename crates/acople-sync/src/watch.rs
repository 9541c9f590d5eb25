//! What a run watches its source and its destination for: records that come twice, pages that come again, and
//! too many refusals.

use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::Hasher;

use acople_core::{Batch, Change, Cursor, Error, ErrorKind, Result};
use siphasher::sip128::{Hasher128, SipHasher13};

/// Pages whose return is noticed.
const PAGES: usize = 4_096;

/// When a run gives up because the destination refuses too many records: more than `refused` of the last
/// `window`.
///
/// ```
/// use acople_sync::StopRule;
/// assert_eq!(StopRule::default(), StopRule { window: 200, refused: 50 });
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StopRule {
    /// How many of the last records are looked at.
    pub window: usize,
    /// How many of them may be refused.
    pub refused: usize,
}

impl Default for StopRule {
    fn default() -> Self {
        Self { window: 200, refused: 50 }
    }
}

/// The fates of the last records.
#[derive(Debug)]
pub(crate) struct Refusals {
    rule: StopRule,
    last: VecDeque<bool>,
    refused: usize,
    broken: Option<usize>,
}

impl Refusals {
    pub(crate) fn new(rule: StopRule) -> Self {
        Self { rule, last: VecDeque::new(), refused: 0, broken: None }
    }

    /// A batch of so many records is settled; `refused` are the indices of those that were refused, in order.
    pub(crate) fn settled(&mut self, records: usize, refused: &[usize]) {
        for index in 0..records {
            let is_refused = refused.binary_search(&index).is_ok();
            self.last.push_back(is_refused);
            self.refused += usize::from(is_refused);
            if self.last.len() > self.rule.window && self.last.pop_front() == Some(true) {
                self.refused -= 1;
            }
            if self.refused > self.rule.refused {
                self.broken = Some(self.broken.unwrap_or(0).max(self.refused));
            }
        }
    }

    /// # Errors
    /// `Invalid` when more were refused than the rule allows.
    pub(crate) fn check(&self) -> Result<()> {
        let Some(refused) = self.broken else { return Ok(()) };
        let message = format!(
            "{refused} of {} records in a row were refused, and the job allows {}: they are in quarantine; \
             look at the reasons before it runs again",
            self.rule.window, self.rule.refused
        );
        Err(Error::new(ErrorKind::Invalid, message).with_code("too_many_refused"))
    }
}

/// The latest versions of the last records of a run.
#[derive(Debug)]
pub(crate) struct Repeats {
    room: usize,
    latest: HashMap<u64, u64>,
    order: VecDeque<u64>,
}

impl Repeats {
    /// Remembers so many records, in 32 bytes each or so.
    pub(crate) fn new(room: usize) -> Self {
        Self { room, latest: HashMap::new(), order: VecDeque::new() }
    }

    /// The indices of the records that are not what was read before already; `None` when all are new. A record
    /// without a key is always new.
    pub(crate) fn fresh(&mut self, batch: &Batch, keys: &[Option<String>]) -> Option<Vec<usize>> {
        // Two records whose bytes cannot be read may look alike.
        if self.room == 0 || batch.unreadable().is_some() {
            return None;
        }
        let mut fresh = Vec::with_capacity(batch.len());
        for ((index, record), key) in batch.iter().enumerate().zip(keys) {
            let known = key.as_ref().is_some_and(|key| {
                let gone = [u8::from(record.change() == Change::Delete)];
                let version = hash(&[record.raw().as_bytes(), &gone]);
                !self.note(hash(&[key.as_bytes()]), version)
            });
            if !known {
                fresh.push(index);
            }
        }
        (fresh.len() < batch.len()).then_some(fresh)
    }

    /// Whether the version is another one than the latest that is known of the record.
    fn note(&mut self, key: u64, version: u64) -> bool {
        if let Some(before) = self.latest.insert(key, version) {
            return before != version;
        }
        self.order.push_back(key);
        if self.order.len() > self.room
            && let Some(oldest) = self.order.pop_front()
        {
            self.latest.remove(&oldest);
        }
        true
    }
}

/// The last pages of a run, by where they ended and what they held.
#[derive(Debug, Default)]
pub(crate) struct Pages {
    page: Option<u64>,
    seen: HashSet<u64>,
    order: VecDeque<u64>,
}

impl Pages {
    /// A batch has come.
    pub(crate) fn batch(&mut self, batch: &Batch) {
        let (first, last) = (batch.get(0), batch.last());
        let text =
            |record: Option<acople_core::Record<'_>>| record.map_or(String::new(), |r| r.raw().to_owned());
        let before = self.page.unwrap_or(0).to_be_bytes();
        let count = batch.len().to_be_bytes();
        self.page = Some(hash(&[&before, &count, text(first).as_bytes(), text(last).as_bytes()]));
    }

    /// The pages since the last checkpoint end here.
    ///
    /// # Errors
    /// `Protocol` when the same pages ended there before: the source turns in a circle.
    pub(crate) fn checkpoint(&mut self, cursor: &Cursor) -> Result<()> {
        let Some(page) = self.page.take() else { return Ok(()) };
        let place = hash(&[cursor.to_json()?.as_bytes(), &page.to_be_bytes()]);
        if !self.seen.insert(place) {
            let message = "the source gave a page and its cursor a second time: it turns in a circle";
            return Err(Error::new(ErrorKind::Protocol, message).with_code("repeated_page"));
        }
        self.order.push_back(place);
        if self.order.len() > PAGES
            && let Some(oldest) = self.order.pop_front()
        {
            self.seen.remove(&oldest);
        }
        Ok(())
    }
}

fn hash(parts: &[&[u8]]) -> u64 {
    let mut hasher = SipHasher13::new();
    for part in parts {
        hasher.write_u64(part.len() as u64);
        hasher.write(part);
    }
    hasher.finish128().h1
}

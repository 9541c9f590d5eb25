//! The most frequent values, roughly (Space-Saving: Metwally, Agrawal, El Abbadi, 2005).

/// Values that are counted at a time.
pub(super) const COUNTED: usize = 64;

/// Bytes of a value that are kept to show it.
pub(super) const SHOWN: usize = 48;

/// Counts of frequent values. Exact while there are at most 64 different ones.
#[derive(Clone, Debug, Default)]
pub(super) struct Top {
    counts: Vec<Counted>,
}

#[derive(Clone, Debug)]
pub(super) struct Counted {
    pub(super) key: u64,
    /// The value, cut.
    pub(super) value: String,
    /// At most so often.
    pub(super) count: u64,
    /// And at least so often less this.
    pub(super) error: u64,
}

impl Top {
    pub(super) fn add(&mut self, key: u64, value: &str) {
        if let Some(at) = self.counts.iter().position(|count| count.key == key) {
            if let Some(count) = self.counts.get_mut(at) {
                count.count += 1;
            }
            // Frequent values move to the front, where they are found soon.
            if at > 0
                && self.counts.get(at - 1).zip(self.counts.get(at)).is_some_and(|(a, b)| a.count < b.count)
            {
                self.counts.swap(at - 1, at);
            }
            return;
        }
        if self.counts.len() < COUNTED {
            self.counts.push(Counted { key, value: cut(value).to_owned(), count: 1, error: 0 });
        } else if let Some(least) = self.counts.iter_mut().min_by_key(|count| count.count) {
            least.key = key;
            least.error = least.count;
            least.count += 1;
            least.value.clear();
            least.value.push_str(cut(value));
        }
    }

    /// Merged as for parallel streams (Cafaro, Pulimeno, Tempesta, 2016): what one side does not count, it may have
    /// seen as often as its least.
    pub(super) fn merge(&mut self, other: &Self) {
        let (mine, theirs) = (self.floor(), other.floor());
        for count in &mut self.counts {
            let (more, error) = match other.counts.iter().find(|theirs| theirs.key == count.key) {
                Some(theirs) => (theirs.count, theirs.error),
                None => (theirs, theirs),
            };
            count.count += more;
            count.error += error;
        }
        for count in &other.counts {
            if !self.counts.iter().any(|known| known.key == count.key) {
                let mut count = count.clone();
                count.count += mine;
                count.error += mine;
                self.counts.push(count);
            }
        }
        self.counts.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.value.cmp(&b.value)));
        self.counts.truncate(COUNTED);
    }

    /// How often a value that is not counted may have come.
    fn floor(&self) -> u64 {
        if self.counts.len() < COUNTED { 0 } else { self.counts.iter().map(|c| c.count).min().unwrap_or(0) }
    }

    /// The most frequent first.
    pub(super) fn most(&self, most: usize) -> Vec<&Counted> {
        let mut counts: Vec<&Counted> = self.counts.iter().collect();
        counts.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.value.cmp(&b.value)));
        counts.truncate(most);
        counts
    }
}

pub(super) fn cut(value: &str) -> &str {
    let end = (0..=SHOWN.min(value.len())).rev().find(|end| value.is_char_boundary(*end));
    value.get(..end.unwrap_or_default()).unwrap_or_default()
}

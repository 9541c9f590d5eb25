//! Member names that were seen before, and which one followed which.
//!
//! The records of a page repeat the same names in the same order. Guessing the next name and comparing a few
//! words costs a fraction of looking for its closing quote, since the position behind it is then known without
//! waiting for the text. A wrong guess costs one comparison.

use super::scan::{self, Fault, Kind};
use super::walk::Child;

/// How a scan gets past the names of members.
pub(super) trait Names {
    /// Passes the name at `at` and its colon, and white space before them.
    fn pass(&mut self, bytes: &[u8], at: usize) -> Result<usize, Fault>;
}

/// Looks at each name anew: for a single value.
pub(super) struct Unknown;

impl Names for Unknown {
    #[inline]
    fn pass(&mut self, bytes: &[u8], at: usize) -> Result<usize, Fault> {
        scan::skip_colon(bytes, scan::skip_key(bytes, scan::skip_space(bytes, at))?.0)
    }
}

/// Learns the names of a page.
#[derive(Clone, Debug)]
pub(super) struct Known {
    names: Vec<Name>,
    /// Places in `names` by hash; 0 where there is none.
    index: Vec<u16>,
    last: u16,
    /// What followed `last` the last time.
    expected: u16,
}

/// A name with its quotes and colon.
#[derive(Clone, Copy, Debug)]
struct Name {
    words: [u64; WORDS],
    masks: [u64; WORDS],
    len: u16,
    /// The name that followed this one the last time.
    next: u16,
    /// The object in which it means `child`.
    node: u32,
    child: Child,
}

const WORDS: usize = 4;
const LONGEST: usize = 8 * WORDS;

/// Names kept, and places in the index; a page with more of them is read at the speed of a single value.
const MANY: usize = 1 << INDEX_BITS;
const INDEX_BITS: u32 = 9;

/// The object in which names mean nothing.
const NOWHERE: u32 = u32::MAX;

impl Default for Known {
    fn default() -> Self {
        // The first one stands for the beginning of the page, and matches no UTF-8.
        let start = Name {
            words: [u64::MAX; WORDS],
            masks: [u64::MAX; WORDS],
            len: 0,
            next: 0,
            node: NOWHERE,
            child: Child::Unwanted,
        };
        Self { names: vec![start], index: vec![0; MANY], last: 0, expected: 0 }
    }
}

impl Known {
    /// Forgets everything but keeps the allocations.
    pub(super) fn reset(&mut self) {
        self.names.truncate(1);
        self.names.iter_mut().for_each(|start| start.next = 0);
        self.index.fill(0);
        self.last = 0;
        self.expected = 0;
    }

    /// If the name at `at` is the expected one in this object: the position behind its colon and the child that
    /// it means.
    #[inline]
    pub(super) fn expect(&mut self, bytes: &[u8], at: usize, node: u32) -> Option<(usize, Child)> {
        let name = self.names.get(usize::from(self.expected))?;
        let block = bytes.get(at..)?.first_chunk::<LONGEST>()?;
        if name.node != node || !name.matches(block) {
            return None;
        }
        self.last = self.expected;
        self.expected = name.next;
        Some((at.saturating_add(usize::from(name.len)), name.child))
    }

    /// Passes a name that came unexpectedly, and remembers it together with what `child` says it means.
    #[inline(never)]
    pub(super) fn learn(
        &mut self,
        bytes: &[u8],
        at: usize,
        node: u32,
        child: impl FnOnce(&[u8], bool) -> Child,
    ) -> Result<(usize, Child), Fault> {
        let (end, kind) = scan::skip_key(bytes, at)?;
        let behind = scan::skip_colon(bytes, end)?;
        let quoted = bytes.get(at..end).unwrap_or_default();
        let name = match bytes.get(at..).and_then(<[u8]>::first_chunk) {
            // Names with escapes could be spelled in other ways, and those with space before the colon are
            // rare: they are looked at anew each time.
            Some(block) if kind == Kind::Text && behind == scan::behind(end) => {
                Name::new(block, behind.saturating_sub(at), node)
            }
            _ => None,
        };
        let Some(mut name) = name else {
            return Ok((behind, child(quoted, kind == Kind::EscapedText)));
        };
        let place = self.index.get(name.hash()).copied().unwrap_or_default();
        let known = self.names.get(usize::from(place)).filter(|known| known.same(&name));
        let (place, child) = if let Some(known) = known {
            (place, known.child)
        } else {
            name.child = child(quoted, false);
            (self.insert(place, name), name.child)
        };
        if let Some(last) = self.names.get_mut(usize::from(self.last)) {
            last.next = place;
        }
        self.last = place;
        self.expected = self.names.get(usize::from(place)).map_or(0, |name| name.next);
        Ok((behind, child))
    }

    /// Puts a name where the index has another one or none, and tells its place.
    fn insert(&mut self, indexed: u16, name: Name) -> u16 {
        if self.names.len() == MANY {
            // The start of the page stands for what finds no room.
            if indexed > 0
                && let Some(old) = self.names.get_mut(usize::from(indexed))
            {
                *old = name;
            }
            return indexed;
        }
        let place = u16::try_from(self.names.len()).unwrap_or_default();
        if let Some(indexed) = self.index.get_mut(name.hash()) {
            *indexed = place;
        }
        self.names.push(name);
        place
    }
}

impl Names for Known {
    #[inline]
    fn pass(&mut self, bytes: &[u8], at: usize) -> Result<usize, Fault> {
        let at = scan::skip_space(bytes, at);
        if let Some((end, _)) = self.expect(bytes, at, NOWHERE) {
            return Ok(end);
        }
        Ok(self.learn(bytes, at, NOWHERE, |_, _| Child::Unwanted)?.0)
    }
}

impl Name {
    /// The first `len` bytes of a block, unless the name is longer.
    fn new(block: &[u8; LONGEST], len: usize, node: u32) -> Option<Self> {
        let len = u16::try_from(len).ok().filter(|len| usize::from(*len) <= LONGEST)?;
        let mut words = split(block);
        let mut masks = [0; WORDS];
        let starts = (0_u32..).step_by(64);
        for ((word, mask), start) in words.iter_mut().zip(&mut masks).zip(starts) {
            let bits = (u32::from(len) * 8).saturating_sub(start);
            *mask = 1_u64.checked_shl(bits).unwrap_or(0).wrapping_sub(1);
            *word &= *mask;
        }
        Some(Self { words, masks, len, next: 0, node, child: Child::Unwanted })
    }

    #[inline]
    fn matches(&self, block: &[u8; LONGEST]) -> bool {
        let block = split(block);
        let differ = |i: usize| {
            let [word, known, mask] =
                [&block, &self.words, &self.masks].map(|w| w.get(i).copied().unwrap_or(0));
            (word ^ known) & mask
        };
        differ(0) | differ(1) == 0 && (self.len <= 16 || differ(2) | differ(3) == 0)
    }

    fn same(&self, other: &Self) -> bool {
        self.words == other.words && self.len == other.len && self.node == other.node
    }

    fn hash(&self) -> usize {
        let mixed = self.words.iter().fold(u64::from(self.node), |hash, word| {
            (hash ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29)
        });
        usize::try_from(mixed >> (u64::BITS - INDEX_BITS)).unwrap_or_default()
    }
}

#[inline]
fn split(block: &[u8; LONGEST]) -> [u64; WORDS] {
    let mut words = [0; WORDS];
    for (word, bytes) in words.iter_mut().zip(block.as_chunks::<8>().0) {
        *word = u64::from_le_bytes(*bytes);
    }
    words
}

//! How good a batch or a run is, in numbers.

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

/// What a check is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// Values are there: `required`, `not_null`.
    Completeness,
    /// Values are what they should be: `type`, `range`, `length`, `pattern`, `one_of`, `fresh`, JSON Schema, and
    /// records that are text at all.
    Validity,
    /// Values occur once: `unique`.
    Uniqueness,
    /// Values agree with others: `exists_in`, `compare`.
    Consistency,
}

impl Part {
    /// All parts.
    pub const ALL: [Self; 4] = [Self::Completeness, Self::Validity, Self::Uniqueness, Self::Consistency];
}

/// The quality of a batch or a run: the weighted share of the checks that passed.
///
/// `value = sum(weight of passed checks) / sum(weight of all checks that applied)`, from 0 to 1; 1 when none applied.
/// Checks of either severity count. Scores add up exactly: that of a run is the sum of its batches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Score {
    pub(crate) records: u64,
    pub(crate) refused: u64,
    pub(crate) warned: u64,
    pub(crate) unchecked: u64,
    checked: [u64; 4],
    passed: [u64; 4],
}

impl Score {
    /// The score, 0 to 1.
    pub fn value(&self) -> f64 {
        share(self.passed.iter().sum(), self.checked.iter().sum())
    }

    /// The score of one part, 0 to 1; 1 when no check of it applied.
    pub fn part(&self, part: Part) -> f64 {
        let at = part as usize;
        let of = |sums: &[u64; 4]| sums.get(at).copied().unwrap_or_default();
        share(of(&self.passed), of(&self.checked))
    }

    /// The share of records that were not refused.
    pub fn accepted(&self) -> f64 {
        share(self.records.saturating_sub(self.refused), self.records)
    }

    /// How many records were looked at; deletions are not.
    pub fn records(&self) -> u64 {
        self.records
    }

    /// How many records were refused.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// How many checks of severity warning failed.
    pub fn warned(&self) -> u64 {
        self.warned
    }

    /// How many checks could not be made: values beyond the keys that `unique` remembers. They do not count in the
    /// score.
    pub fn unchecked(&self) -> u64 {
        self.unchecked
    }

    /// Adds the score of other records.
    pub fn merge(&mut self, other: &Self) {
        self.records += other.records;
        self.refused += other.refused;
        self.warned += other.warned;
        self.unchecked += other.unchecked;
        for (sum, more) in self.checked.iter_mut().zip(other.checked) {
            *sum = sum.saturating_add(more);
        }
        for (sum, more) in self.passed.iter_mut().zip(other.passed) {
            *sum = sum.saturating_add(more);
        }
    }

    pub(crate) fn count(&mut self, part: Part, weight: u32, passed: bool) {
        if let Some(sum) = self.checked.get_mut(part as usize) {
            *sum = sum.saturating_add(u64::from(weight));
        }
        if passed && let Some(sum) = self.passed.get_mut(part as usize) {
            *sum = sum.saturating_add(u64::from(weight));
        }
    }
}

impl Serialize for Score {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_struct("Score", 9)?;
        out.serialize_field("value", &self.value())?;
        out.serialize_field("completeness", &self.part(Part::Completeness))?;
        out.serialize_field("validity", &self.part(Part::Validity))?;
        out.serialize_field("uniqueness", &self.part(Part::Uniqueness))?;
        out.serialize_field("consistency", &self.part(Part::Consistency))?;
        out.serialize_field("records", &self.records)?;
        out.serialize_field("refused", &self.refused)?;
        out.serialize_field("warned", &self.warned)?;
        out.serialize_field("unchecked", &self.unchecked)?;
        out.end()
    }
}

#[allow(clippy::cast_precision_loss)] // a share; nobody sees its sixteenth digit
fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 1.0 } else { part as f64 / whole as f64 }
}

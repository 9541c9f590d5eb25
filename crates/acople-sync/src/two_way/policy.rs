//! Who wins when both sides have changed the same thing.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// One of the two sides of a [`TwoWay`](super::TwoWay).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// The first one, which the forward mapper reads.
    A,
    /// The second one, in whose field names the sync compares.
    B,
}

impl Side {
    /// The other one.
    pub fn other(self) -> Self {
        if self == Self::A { Self::B } else { Self::A }
    }
}

/// The same field of a record, changed on both sides to different values; or a record that one side deleted and
/// the other changed.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct Conflict<'a> {
    /// The field, in the names of side B; `None` when one side has deleted the record.
    pub field: Option<&'a str>,
    /// The value at side A as raw JSON; `None` when it has none, or the record is gone.
    pub a: Option<&'a str>,
    /// The value at side B.
    pub b: Option<&'a str>,
    /// When side A was changed, in milliseconds since 1970, by its own clock.
    pub a_at: Option<i64>,
    /// When side B was changed.
    pub b_at: Option<i64>,
}

impl fmt::Debug for Conflict<'_> {
    /// Without the values, which are a customer's data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Conflict")
            .field("field", &self.field)
            .field("a_at", &self.a_at)
            .field("b_at", &self.b_at)
            .finish_non_exhaustive()
    }
}

/// A rule of the host's own.
pub type Rule = Arc<dyn Fn(&Conflict<'_>) -> Option<Side> + Send + Sync>;

/// Who wins a [`Conflict`]. What no rule decides waits in the review queue.
#[derive(Clone, Default)]
#[non_exhaustive]
pub enum Policy {
    /// Side A.
    SourceWins,
    /// Side B.
    TargetWins,
    /// The side that was changed later, by the times that
    /// [`modified_by`](super::TwoWayBuilder::modified_by) names.
    ///
    /// The times are of two clocks that nobody compares: changes that are less than `skew` apart are not decided.
    /// A record has one time for all of its fields, so a later change of another field counts as well. Nothing is
    /// decided when a side does not say its time.
    NewestWins {
        /// How far apart the two clocks may be.
        skew: Duration,
    },
    /// A policy for some fields, and one for the others and for deleted records.
    PerField {
        /// By the field's name at side B.
        fields: BTreeMap<String, Policy>,
        /// The others.
        otherwise: Box<Policy>,
    },
    /// A rule of the host's own; `None` sends the conflict to the review queue.
    Custom(Rule),
    /// Nobody: all conflicts wait in the review queue.
    #[default]
    Review,
}

impl Policy {
    /// The winner, if the rule knows one.
    pub fn decide(&self, conflict: &Conflict<'_>) -> Option<Side> {
        match self {
            Self::SourceWins => Some(Side::A),
            Self::TargetWins => Some(Side::B),
            Self::NewestWins { skew } => {
                let (a, b) = (conflict.a_at?, conflict.b_at?);
                let apart = Duration::from_millis(a.abs_diff(b));
                (apart > *skew).then_some(if a > b { Side::A } else { Side::B })
            }
            Self::PerField { fields, otherwise } => {
                conflict.field.and_then(|field| fields.get(field)).unwrap_or(otherwise).decide(conflict)
            }
            Self::Custom(rule) => rule(conflict),
            Self::Review => None,
        }
    }
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SourceWins => f.write_str("SourceWins"),
            Self::TargetWins => f.write_str("TargetWins"),
            Self::NewestWins { skew } => f.debug_struct("NewestWins").field("skew", skew).finish(),
            Self::PerField { fields, otherwise } => {
                f.debug_struct("PerField").field("fields", fields).field("otherwise", otherwise).finish()
            }
            Self::Custom(_) => f.write_str("Custom"),
            Self::Review => f.write_str("Review"),
        }
    }
}

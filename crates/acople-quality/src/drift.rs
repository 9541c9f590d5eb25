//! What is done about data that is not as it was agreed.

use serde::{Deserialize, Serialize};

/// What a stream does about schema drift. Whatever it does, each difference is told once a run.
///
/// | policy | new field | missing field | other type | longer text, new value, null |
/// | --- | --- | --- | --- | --- |
/// | `evolve` | kept, agreed | null in its place, agreed | see [`TypeChange`] | kept, agreed |
/// | `ignore` | kept | left out | kept | kept |
/// | `quarantine` | record refused | record refused | record refused | record refused |
/// | `freeze` | the run stops before the batch, for any difference | | | |
///
/// Without an agreed schema the first run agrees to what it sees, or, [described](Self::described), to what the
/// connector says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct DriftPolicy {
    /// What is done.
    pub on: OnDrift,
    /// What `evolve` does about a value of another type.
    pub type_change: TypeChange,
    /// Whether the connector's description is compared with what was agreed before the read.
    pub describe: bool,
}

/// What is done about a difference.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnDrift {
    /// It is agreed to: the schema's version is raised when the read has come to its end.
    #[default]
    Evolve,
    /// It is told and nothing else.
    Ignore,
    /// The records that differ are refused.
    Quarantine,
    /// The run stops.
    Freeze,
}

/// What `evolve` does about a value of a type that was not agreed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TypeChange {
    /// The record is refused. Numbers for whole numbers are no change of type: they are agreed to.
    #[default]
    Refuse,
    /// Both types are agreed to.
    Widen,
    /// The field becomes a text: values of other types are written as text from the first such record on. Only for
    /// fields of the record itself; a record with such a value in an inner object is refused.
    Text,
}

impl DriftPolicy {
    /// A policy that does this.
    pub fn new(on: OnDrift) -> Self {
        Self { on, ..Self::default() }
    }

    /// Sets what `evolve` does about a value of another type.
    pub fn with_type_change(mut self, type_change: TypeChange) -> Self {
        self.type_change = type_change;
        self
    }

    /// Compares the connector's description too, before the read.
    pub fn described(mut self) -> Self {
        self.describe = true;
        self
    }
}

//! What is kept of two linked records: what they agreed on, and the edits that wait.

use std::collections::BTreeMap;
use std::hash::Hasher;

use acople_core::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use siphasher::sip128::{Hasher128, SipHasher13};

use super::Side;

/// The values of the synced fields, as raw JSON; a field without a value is not in it.
pub(super) type Values = BTreeMap<String, String>;

/// What two records were when they last agreed: a hash for each field and side, because a vendor may keep a value
/// in another spelling than it was given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Agreed {
    a: BTreeMap<String, u64>,
    b: BTreeMap<String, u64>,
    /// The write log: our own write, until it has come back once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) wrote_a: Option<Wrote>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) wrote_b: Option<Wrote>,
}

/// A write of ours whose echo has not come yet. It is used once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Wrote {
    /// The fields, and the hash of what was written.
    pub(super) fields: BTreeMap<String, u64>,
    /// How often a value went to and fro because neither side kept it as it was written.
    #[serde(default)]
    pub(super) bounces: u8,
}

/// An edit of one side that is not settled.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Edit {
    /// The record's id on its side.
    pub(super) id: String,
    /// The record is gone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) gone: bool,
    /// All synced fields as they are now.
    #[serde(default)]
    pub(super) values: Values,
    /// When it was made, in milliseconds since 1970, by the side's own clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) at: Option<i64>,
    /// How often a value went to and fro until it came to this edit.
    #[serde(default)]
    pub(super) bounces: u8,
}

/// The edits of a pair that wait to be settled.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Pending {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) a: Option<Edit>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) b: Option<Edit>,
    /// Somebody has decided which side wins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) decided: Option<Side>,
}

impl Pending {
    pub(super) fn edit(&self, side: Side) -> Option<&Edit> {
        if side == Side::A { self.a.as_ref() } else { self.b.as_ref() }
    }

    pub(super) fn set(&mut self, side: Side, edit: Option<Edit>) {
        if side == Side::A {
            self.a = edit;
        } else {
            self.b = edit;
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.a.is_none() && self.b.is_none()
    }
}

impl Agreed {
    pub(super) fn get(&self, side: Side, field: &str) -> u64 {
        let of = if side == Side::A { &self.a } else { &self.b };
        of.get(field).copied().unwrap_or(0)
    }

    pub(super) fn set(&mut self, side: Side, field: &str, hash: u64) {
        let of = if side == Side::A { &mut self.a } else { &mut self.b };
        of.insert(field.to_owned(), hash);
    }

    pub(super) fn wrote(&mut self, side: Side) -> &mut Option<Wrote> {
        if side == Side::A { &mut self.wrote_a } else { &mut self.wrote_b }
    }

    /// Whether values are what the side had when the two agreed.
    pub(super) fn holds(&self, side: Side, fields: &[String], values: &Values) -> bool {
        fields.iter().all(|field| self.get(side, field) == hash(values.get(field)))
    }
}

/// The hash of a value; 0 of none.
pub(super) fn hash(value: Option<&String>) -> u64 {
    let Some(value) = value else { return 0 };
    let mut hasher = SipHasher13::new();
    hasher.write(value.as_bytes());
    hasher.finish128().h1.max(1)
}

pub(super) fn write(note: &impl Serialize) -> Result<String> {
    serde_json::to_string(note)
        .map_err(|e| Error::new(ErrorKind::Internal, "a note cannot be written").with_source(e))
}

pub(super) fn read<T: DeserializeOwned>(note: &str) -> Result<T> {
    serde_json::from_str(note)
        .map_err(|e| Error::new(ErrorKind::Internal, "a link's note is not readable").with_source(e))
}

//! Records in their places: each names the digest of the one before.
//!
//! A record is one line of JSON with the members in alphabetical order, without spaces, all of them present. Its
//! digest is the SHA-256 of the line without the line's end.

use std::time::UNIX_EPOCH;

use aws_lc_rs::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

use acople_core::{Error, ErrorKind, Result};

use crate::hex::hex;
use crate::{Entry, Head};

/// Longest line of a log, in bytes: eight names of 512 characters that are all escaped stay below it.
pub(crate) const MAX_LINE: usize = 64 * 1024;
const VERSION: u32 = 1;

/// One record of a log, as it stands in its line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Record {
    // In alphabetical order: the order of the members is part of the format.
    /// What was done: see [`Action`](crate::Action).
    pub action: String,
    /// Who did it.
    pub actor: String,
    /// When, in milliseconds since 1970 (UTC).
    pub at_ms: u64,
    /// The connection's name.
    pub connection: String,
    /// The connector's id.
    pub connector: String,
    /// What else there is to say.
    pub detail: String,
    /// The field of a secret.
    pub field: String,
    /// The log's own id: records of another log do not belong.
    pub log: String,
    /// How it ended: see [`Outcome`](crate::Outcome).
    pub outcome: String,
    /// The digest of the record before, in hex; 64 zeros for the first.
    pub prev: String,
    /// The record's number, from 1.
    pub seq: u64,
    /// The host's customer.
    pub tenant: String,
    /// The format's version: 1.
    pub v: u32,
}

impl Record {
    /// Reads a line, without its end; `None` when it is not exactly what a record is written as.
    pub fn of(line: &[u8]) -> Option<Self> {
        let record: Self = serde_json::from_slice(line).ok()?;
        (record.v == VERSION && record.line().as_bytes() == line).then_some(record)
    }

    pub(crate) fn follows(&self, chain: &Chain) -> bool {
        self.seq == chain.seq + 1 && self.prev == chain.hash && self.log == chain.log
    }

    /// The record's line, without its end.
    pub fn line(&self) -> String {
        // A struct of texts and numbers always becomes JSON.
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// The end of a log: what the next record is joined to. For sinks of the host's own.
///
/// ```
/// use std::time::SystemTime;
/// use acople_audit::{Action, Chain, Entry, Record};
/// use acople_core::ConnectionKey;
///
/// # fn main() -> acople_core::Result<()> {
/// let mut chain = Chain::begin()?;
/// let connection = ConnectionKey::new("hubspot", "main");
/// let entry = Entry::new(SystemTime::UNIX_EPOCH, "user:alice", Action::CONNECT, &connection);
/// let first = chain.push(&entry)?;
/// let second = chain.push(&entry)?;
/// assert_eq!(Record::of(second.as_bytes()).map(|record| record.seq), Some(2));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    log: String,
    seq: u64,
    hash: String,
}

impl Chain {
    /// A new log, with an id of its own.
    ///
    /// # Errors
    /// `Internal` when the machine has no randomness.
    pub fn begin() -> Result<Self> {
        let mut id = [0; 16];
        aws_lc_rs::rand::fill(&mut id)
            .map_err(|_| Error::new(ErrorKind::Internal, "the machine has no randomness"))?;
        Ok(Self { log: hex(&id), seq: 0, hash: first_prev() })
    }

    /// The log that goes on after a record.
    pub fn after(record: &Record) -> Self {
        Self { log: record.log.clone(), seq: record.seq, hash: hash(record.line().as_bytes()) }
    }

    /// The log's id.
    pub fn log(&self) -> &str {
        &self.log
    }

    /// The number of the last record; 0 before the first.
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// The digest of the last record, in hex.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// The line of the next record, without its end.
    ///
    /// # Errors
    /// `TooLarge` when an entry was made with names beyond every limit: nothing is joined then.
    pub fn push(&mut self, entry: &Entry) -> Result<String> {
        let at = entry.at.duration_since(UNIX_EPOCH).unwrap_or_default();
        let record = Record {
            action: entry.action.as_str().to_owned(),
            actor: entry.actor.clone(),
            at_ms: u64::try_from(at.as_millis()).unwrap_or(u64::MAX),
            connection: entry.connection.connection.clone(),
            connector: entry.connection.connector.clone(),
            detail: entry.detail.clone(),
            field: entry.field.clone(),
            log: self.log.clone(),
            outcome: entry.outcome.as_str().to_owned(),
            prev: self.hash.clone(),
            seq: self.seq + 1,
            tenant: entry.connection.tenant.clone(),
            v: VERSION,
        };
        let line = record.line();
        if line.len() > MAX_LINE {
            return Err(Error::new(ErrorKind::TooLarge, format!("an audit record has {} bytes", line.len())));
        }
        self.seq = record.seq;
        self.hash = hash(line.as_bytes());
        Ok(line)
    }

    /// Whether a head speaks of the last record.
    pub(crate) fn is_at(&self, head: &Head) -> bool {
        head.seq == self.seq && head.hash == self.hash && head.log == self.log
    }
}

/// What the first record has in place of a digest.
pub(crate) fn first_prev() -> String {
    "0".repeat(64)
}

pub(crate) fn hash(line: &[u8]) -> String {
    hex(digest(&SHA256, line).as_ref())
}

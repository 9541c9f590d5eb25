//! What a sandbox has counted.

use std::collections::BTreeMap;

/// Counters of a sandbox since its start or the last reset.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Requests by operation. The names are listed in the documentation of each vendor.
    pub requests: BTreeMap<&'static str, u64>,
    /// Answers by HTTP status, those of hooks included.
    pub answers: BTreeMap<u16, u64>,
    /// Connections cut by a hook.
    pub dropped: u64,
    /// Access tokens given out by the token endpoint.
    pub tokens_issued: u64,
    /// Records sent in pages, lists, reads and searches.
    pub records_out: u64,
    /// Records created through the API.
    pub records_created: u64,
    /// Records updated through the API, those included whose update changed nothing.
    pub records_updated: u64,
    /// Records deleted or archived through the API.
    pub records_deleted: u64,
    /// Records that a write call carried and the vendor refused.
    pub records_refused: u64,
    /// Requests refused because of a rate limit or quota.
    pub throttled: u64,
}

impl Stats {
    /// Requests of one operation.
    pub fn requests_of(&self, operation: &str) -> u64 {
        self.requests.get(operation).copied().unwrap_or(0)
    }

    /// Requests of all operations, token requests included.
    pub fn requests_total(&self) -> u64 {
        self.requests.values().sum()
    }

    /// Answers with one status.
    pub fn answers_with(&self, status: u16) -> u64 {
        self.answers.get(&status).copied().unwrap_or(0)
    }

    /// Records that write calls carried, accepted or not.
    pub fn records_in(&self) -> u64 {
        self.records_created + self.records_updated + self.records_deleted + self.records_refused
    }

    pub(crate) fn add(&mut self, tally: &Tally) {
        self.tokens_issued += tally.tokens_issued;
        self.records_out += tally.records_out;
        self.records_created += tally.created;
        self.records_updated += tally.updated;
        self.records_deleted += tally.deleted;
        self.records_refused += tally.refused;
        self.throttled += tally.throttled;
    }
}

/// What one request adds to the counters.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) tokens_issued: u64,
    pub(crate) records_out: u64,
    pub(crate) created: u64,
    pub(crate) updated: u64,
    pub(crate) deleted: u64,
    pub(crate) refused: u64,
    pub(crate) throttled: u64,
}

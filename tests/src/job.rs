//! What a test tells the process that it starts, and what that process says.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The one argument of the child process, as JSON.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Job {
    /// Syncs the leads of a Salesforce sandbox.
    Leads(Leads),
    /// Syncs records that it makes itself to a destination that drops them.
    Pump {
        /// How many records.
        records: u64,
        /// By how many bytes each of them is padded.
        #[serde(default)]
        bytes: usize,
        /// The store's file.
        store: PathBuf,
    },
    /// Calls a server again and again until it is killed.
    Steady(Steady),
    /// Has the tokens of a connection renewed.
    Tokens(Tokens),
}

/// A worker that shares the tokens of a connection with others, in a store that all of them reach.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Tokens {
    /// Where the tokens are.
    pub store: StoreAt,
    /// The vendor's address.
    pub vendor: String,
    /// The refresh token to begin with.
    pub refresh: String,
    /// What is done with them.
    pub work: TokenWork,
}

/// A store that several processes share.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StoreAt {
    /// In PostgreSQL.
    Postgres {
        /// The address.
        address: String,
        /// The schema.
        schema: String,
    },
    /// In Redis.
    Redis {
        /// The address.
        address: String,
        /// The prefix.
        prefix: String,
    },
}

/// What a worker does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenWork {
    /// At each line of standard input, so many tasks ask for a token at once, in place of the one they had before.
    Ask {
        /// How many.
        tasks: usize,
    },
    /// Renews again and again, until it is killed or there is nothing to renew with.
    Renew,
}

/// Many tasks that call one server through one client.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Steady {
    /// The server's address.
    pub url: String,
    /// How many tasks, each with one call at a time.
    pub tasks: usize,
    /// The vendor's limit that the client keeps, in requests a second.
    pub rate: u32,
}

/// A sync of Salesforce leads.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Leads {
    /// The org's address.
    pub salesforce: String,
    /// An access token of the org.
    pub token: String,
    /// How far incremental runs go back, in seconds.
    pub look_back: u32,
    /// Where the leads go.
    pub to: Destination,
    /// The store's file.
    pub store: PathBuf,
    /// Lists all leads in each run, and deletes at the destination what is gone.
    pub mirror: bool,
    /// Where to stop for good and wait to be killed.
    pub hold: Option<Hold>,
}

/// Where leads go.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Destination {
    /// As contacts, by the ready mapping, upserted by the lead's id.
    HubSpot {
        /// The portal's address.
        url: String,
        /// A private app's token.
        token: String,
    },
    /// As they are, appended to a file of JSON lines in this folder.
    File {
        /// The folder.
        folder: PathBuf,
    },
}

/// The child stops for good when it comes to a point for the `nth` time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// The point.
    pub point: Point,
    /// Counted from 1.
    pub nth: u32,
}

/// A point between two steps of the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Point {
    /// The batch is written, its refused records are not in quarantine yet.
    BeforeQuarantine,
    /// The refused records are in quarantine, nothing else has happened.
    AfterQuarantine,
    /// The batch is settled, the checkpoint is not saved yet.
    BeforeCheckpoint,
    /// The checkpoint is saved, nothing else has happened.
    AfterCheckpoint,
}

/// A line that the child writes to standard output.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "said", rename_all = "snake_case")]
pub enum Said {
    /// A run begins or goes on.
    Started {
        /// Whether it goes on.
        resumed: bool,
    },
    /// A checkpoint is saved that covers so many records.
    Checkpointed {
        /// Read from the source.
        processed: u64,
        /// At the destination.
        synced: u64,
        /// In quarantine.
        refused: u64,
    },
    /// It stands at the point where it was told to.
    Held,
    /// It has opened its store.
    Ready,
    /// Every task has a token: these.
    Tokens {
        /// Each once.
        access: Vec<String>,
    },
    /// The tokens were renewed.
    Renewed,
    /// The run is complete.
    Complete {
        /// Read from the source.
        processed: u64,
        /// The most memory that the process has used, in KiB, where the system tells.
        peak_kib: Option<u64>,
    },
    /// The run stopped.
    Stopped {
        /// Why.
        error: String,
    },
}

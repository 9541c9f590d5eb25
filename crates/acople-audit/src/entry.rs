//! What is recorded of one event.

use std::borrow::Cow;
use std::time::SystemTime;

use acople_core::{ConnectionKey, ErrorKind, printable};

/// Longest name in a record, in characters.
const MAX_NAME: usize = 512;

/// One event, before it has its place in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry {
    /// When it happened.
    pub at: SystemTime,
    /// Who did it, as the host calls them: `user:alice`, `job:nightly`.
    pub actor: String,
    /// What was done.
    pub action: Action,
    /// To which connection; empty names where it was none.
    pub connection: ConnectionKey,
    /// To which field of it, for a secret.
    pub field: String,
    /// How it ended.
    pub outcome: Outcome,
    /// What else there is to say. **No secrets.**
    pub detail: String,
}

impl Entry {
    /// An event that succeeded. Names are made printable and cut to 512 characters.
    pub fn new(at: SystemTime, actor: &str, action: Action, connection: &ConnectionKey) -> Self {
        let connection = ConnectionKey {
            tenant: printable(&connection.tenant, MAX_NAME),
            connector: printable(&connection.connector, MAX_NAME),
            connection: printable(&connection.connection, MAX_NAME),
        };
        Self {
            at,
            actor: printable(actor, MAX_NAME),
            action,
            connection,
            field: String::new(),
            outcome: Outcome::Done,
            detail: String::new(),
        }
    }

    /// Names the field.
    pub fn with_field(mut self, field: &str) -> Self {
        self.field = printable(field, MAX_NAME);
        self
    }

    /// Sets how it ended.
    pub fn with_outcome(mut self, outcome: Outcome) -> Self {
        self.outcome = outcome;
        self
    }

    /// Adds what else there is to say. No secrets: it is in the log for as long as the log is kept.
    pub fn with_detail(mut self, detail: &str) -> Self {
        self.detail = printable(detail, MAX_NAME);
        self
    }
}

/// What was done: a stable lowercase word.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Action(Cow<'static, str>);

impl Action {
    /// A connection got its first tokens.
    pub const CONNECT: Self = Self(Cow::Borrowed("connect"));
    /// Tokens were replaced by newer ones.
    pub const REFRESH: Self = Self(Cow::Borrowed("refresh"));
    /// Tokens were read from the store.
    pub const READ_TOKENS: Self = Self(Cow::Borrowed("read_tokens"));
    /// Tokens were removed: revoked, or the account disconnected.
    pub const REVOKE: Self = Self(Cow::Borrowed("revoke"));
    /// A secret was read.
    pub const READ_SECRET: Self = Self(Cow::Borrowed("read_secret"));
    /// The names of a connection's secrets were listed.
    pub const LIST_SECRETS: Self = Self(Cow::Borrowed("list_secrets"));
    /// A secret was set or replaced.
    pub const CHANGE_SECRET: Self = Self(Cow::Borrowed("change_secret"));
    /// A secret was removed.
    pub const REMOVE_SECRET: Self = Self(Cow::Borrowed("remove_secret"));
    /// A connection waits for a person to connect it again.
    pub const PARK: Self = Self(Cow::Borrowed("park"));
    /// A parked connection works again.
    pub const RESUME: Self = Self(Cow::Borrowed("resume"));
    /// A worker has renewed tokens.
    pub const RENEW: Self = Self(Cow::Borrowed("renew"));
    /// Renewed tokens could not be stored.
    pub const SAVE_FAILED: Self = Self(Cow::Borrowed("save_failed"));
    /// A writer opened the log.
    pub const OPEN_LOG: Self = Self(Cow::Borrowed("open_log"));
    /// A record that a crash had torn was cut off.
    pub const REPAIR_LOG: Self = Self(Cow::Borrowed("repair_log"));
    /// Records could not be written; the detail says how many.
    pub const LOSE_RECORDS: Self = Self(Cow::Borrowed("lose_records"));

    /// An action of the host's own. It is made printable and cut to 64 characters.
    pub fn of_host(word: &str) -> Self {
        Self(Cow::Owned(printable(word, 64)))
    }

    /// The word.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// How an event ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It took effect.
    Done,
    /// There was nothing to read.
    Absent,
    /// It failed. Of the error only the kind is recorded: messages may quote what should not be kept.
    Failed(ErrorKind),
}

impl Outcome {
    /// The outcome as a stable lowercase word: `done`, `absent`, or the kind of the error.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Absent => "absent",
            Self::Failed(kind) => kind.as_str(),
        }
    }
}

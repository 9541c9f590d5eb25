//! What redb reports, and what it means for the store.

use std::io;

use acople_core::{Error, ErrorKind};

/// An error on its way out of a transaction: ours, or one of redb that may end the store's work.
#[derive(Debug)]
pub(crate) enum Fault {
    Own(Error),
    Redb(Box<redb::Error>),
    /// A commit failed: whatever the reason, redb asks for the file to be reopened.
    Commit(Box<redb::Error>),
}

impl From<redb::CommitError> for Fault {
    fn from(error: redb::CommitError) -> Self {
        Self::Commit(Box::new(error.into()))
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Own(error)
    }
}

macro_rules! from_redb {
    ($($error:ty),+ $(,)?) => {$(
        impl From<$error> for Fault {
            fn from(error: $error) -> Self {
                Self::Redb(Box::new(error.into()))
            }
        }
    )+};
}

from_redb!(
    redb::Error,
    redb::StorageError,
    redb::TableError,
    redb::TransactionError,
    redb::CompactionError,
    redb::DatabaseError,
    redb::SetDurabilityError,
);

/// Why the store refuses work.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    message: String,
    /// The disk was full: worth another try by itself once there is room.
    pub(crate) full: bool,
    /// Only an echo of an earlier failure, which explains more.
    pub(crate) echo: bool,
}

impl Failure {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), full: false, echo: false }
    }

    /// What redb's error means; `None` when the store may go on working.
    pub(crate) fn of(error: &redb::Error) -> Option<Self> {
        let (full, echo) = match error {
            redb::Error::Io(e) => (is_full(e), false),
            redb::Error::PreviousIo | redb::Error::LockPoisoned(_) => (false, true),
            redb::Error::Corrupted(_) | redb::Error::Backend(_) | redb::Error::TransactionPoisoned => {
                (false, false)
            }
            _ => return None,
        };
        Some(Self { message: error.to_string(), full, echo })
    }

    /// The error that a caller gets.
    pub(crate) fn error(&self, store: &str) -> Error {
        if self.full {
            return Error::new(
                ErrorKind::Transient,
                format!(
                    "no room on the disk of store {store}: {}; nothing was acknowledged, make room and load again",
                    self.message
                ),
            );
        }
        Error::new(
            ErrorKind::Internal,
            format!("store {store} failed and refuses work until it is reopened: {}", self.message),
        )
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
    )
}

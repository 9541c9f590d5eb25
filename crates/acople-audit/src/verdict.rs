//! What a verifier found.

use std::fmt;

/// What a verifier found out about a log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verdict {
    /// The log's id; empty for a log without a record.
    pub log: String,
    /// How many records are sound: all of them, or those before the damage.
    pub records: u64,
    /// The number of the first record.
    pub first: u64,
    /// The number of the last sound record.
    pub last: u64,
    /// The last record that a good head vouches for; 0 without any. What comes after it is joined to what is
    /// before, but its end could have been cut off or written anew.
    pub covered: u64,
    /// Bytes behind the last whole record: of one that is being written, or that a crash has torn. The next writer
    /// cuts it off and records that.
    pub torn: Option<u64>,
    /// The first damage; `None` when the log is as it was written.
    pub damage: Option<Damage>,
}

/// Where a log is not as it was written, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Damage {
    /// What was done to it.
    pub kind: DamageKind,
    /// The number of the first record that may be bad.
    pub first: u64,
    /// The number of the last record that may be the first bad one: the same as `first` unless the damage is
    /// known only by a head.
    pub last: u64,
    /// The file in which it shows; empty when that is none of the log's.
    pub file: String,
    /// The line in that file, from 1; 0 when it is none.
    pub line: u64,
}

/// What was done to a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DamageKind {
    /// A record was changed, or everything from there on was written anew.
    Edited,
    /// Records are missing.
    Removed,
    /// Records are not in their order.
    Reordered,
    /// A record is there that was not written there.
    Inserted,
    /// The log ends before a record that a head vouches for.
    Truncated,
    /// A head belongs to another log.
    OtherLog,
    /// A head is signed by a key that is none of those given.
    WrongKey,
    /// A head's signature is not good, or its line is no head.
    BadHead,
}

impl Verdict {
    /// Whether the log is as it was written.
    pub fn is_sound(&self) -> bool {
        self.damage.is_none()
    }
}

impl fmt::Display for DamageKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Edited => "edited",
            Self::Removed => "removed",
            Self::Reordered => "reordered",
            Self::Inserted => "inserted",
            Self::Truncated => "truncated",
            Self::OtherLog => "other log",
            Self::WrongKey => "wrong key",
            Self::BadHead => "bad head",
        })
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, last) = (self.first, self.last);
        let between = if first == last { format!("{first}") } else { format!("{first} to {last}") };
        match self.kind {
            DamageKind::Edited if first == last => write!(f, "record {first} was edited")?,
            DamageKind::Edited => write!(f, "a record from {between} was edited, or all from there on")?,
            DamageKind::Removed => write!(f, "record {between} was removed")?,
            DamageKind::Reordered => write!(f, "record {first} is not in its place: records were reordered")?,
            DamageKind::Inserted => write!(f, "a record was inserted in the place of record {first}")?,
            DamageKind::Truncated => write!(f, "the log was truncated: record {between} is gone")?,
            DamageKind::OtherLog => write!(f, "the head of record {first} belongs to another log")?,
            DamageKind::WrongKey => write!(f, "the head of record {first} is signed by another key")?,
            DamageKind::BadHead => write!(f, "the head of record {first} is not one that was signed")?,
        }
        if self.line > 0 {
            write!(f, " (line {} of {})", self.line, self.file)?;
        }
        Ok(())
    }
}

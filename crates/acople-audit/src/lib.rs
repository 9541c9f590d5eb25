#![doc = include_str!("../README.md")]

mod audited;
mod chain;
mod entry;
mod file_heads;
mod file_log;
mod files;
mod head;
mod hex;
mod signing;
mod token_trail;
mod trail;
mod verdict;
mod verifier;

pub use audited::Audited;
pub use chain::{Chain, Record};
pub use entry::{Action, Entry, Outcome};
pub use file_heads::FileHeads;
pub use file_log::{FileLog, FileLogBuilder};
pub use files::{LogFile, log_files};
pub use head::{Head, HeadSink};
pub use signing::{PublicKey, SigningKey};
pub use token_trail::TokenTrail;
pub use trail::{AuditSink, Trail};
pub use verdict::{Damage, DamageKind, Verdict};
pub use verifier::Verifier;

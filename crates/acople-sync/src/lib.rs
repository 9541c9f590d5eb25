#![doc = include_str!("../README.md")]

mod ahead;
mod commit;
mod counterparts;
mod deliver;
mod drift;
mod filter;
mod isolate;
mod job;
mod keys;
mod manage;
mod pause;
mod progress;
mod pump;
mod replay;
mod report;
mod run;
mod state;
mod two_way;
mod vanish;
mod verdict;
mod watch;
mod write;

pub use commit::{Checkpoints, Receipt, Settlement};
pub use drift::{FieldChange, SchemaChange, SchemaPolicy};
pub use filter::QuarantineFilter;
pub use job::{Job, JobBuilder};
pub use manage::{ExportedStates, StateSummary, accept_schema, approve, export, import, state};
pub use pause::PauseCause;
pub use progress::{Observer, Progress, Totals};
pub use replay::Replayed;
pub use report::{End, Report};
pub use two_way::{Conflict, Policy, Rule, Side, SideTotals, TwoWay, TwoWayBuilder, TwoWayReport};
pub use vanish::{DeleteLimit, Deletions};
pub use watch::StopRule;

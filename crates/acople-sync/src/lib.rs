#![doc = include_str!("../README.md")]

mod commit;
mod deliver;
mod job;
mod pause;
mod progress;
mod replay;
mod report;
mod run;
mod state;

pub use commit::{Checkpoints, Receipt, Settlement};
pub use job::{Job, JobBuilder};
pub use pause::PauseCause;
pub use progress::{Observer, Progress, Totals};
pub use replay::Replayed;
pub use report::{End, Report};

#![doc = include_str!("../README.md")]

mod cron;
mod entry;
mod events;
mod jitter;
mod queue;
mod remembered;
mod schedule;
mod scheduler;
#[cfg(feature = "sync")]
mod sync;
mod table;
mod task;

pub use entry::{CatchUp, Entry};
pub use events::{ScheduleEvent, ScheduleObserver};
pub use schedule::Schedule;
pub use scheduler::{Scheduler, SchedulerBuilder};
pub use task::{Next, Task};

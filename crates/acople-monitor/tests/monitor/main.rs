//! What a host sees of its connections at work.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]
// Small numbers, and times in their order.
#![allow(clippy::cast_possible_truncation, clippy::cast_precision_loss, clippy::cast_sign_loss)]
#![allow(clippy::unchecked_time_subtraction)]

mod bounds;
mod concurrency;
mod counting;
mod fixture;
mod health;
mod latency;
mod metrics;
mod printing;
mod probes;
mod retirement;
mod series;

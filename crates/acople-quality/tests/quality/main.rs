//! What a host sees of the quality of its records.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, clippy::float_cmp)]

mod adverse;
mod drifting;
mod fixture;
mod gating;
mod profiling;
mod rules;
mod schemas;
mod scores;
mod syncing;
mod unique;

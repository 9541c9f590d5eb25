//! Syncs between two systems that live: records come, change, go and come back while they are read.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // tests may panic

mod linked;
mod listing;
mod poison;
mod repeats;
mod schema;
mod states;
mod two_way;
mod world;

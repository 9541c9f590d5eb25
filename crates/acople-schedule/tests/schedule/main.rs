//! What a host sees of schedules, through the public API.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod fixture;
mod restarts;
mod running;
mod tenants;
mod times;

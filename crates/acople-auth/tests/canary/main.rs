//! No secret of any provider in anything that leaves the crate: errors, spans, events, signals, metrics, panics.
//!
//! A process of its own: `tracing` decides once for all threads whether a place in the code is of interest to anybody,
//! and has made up its mind when another test came there first with nobody listening. Here a subscriber listens from
//! the start, and so does a hook for panics.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod capture;
mod echo;
mod every_provider;
mod flows;
mod kinds;
mod metered;
mod panics;
#[allow(dead_code)] // other tests need more of it
#[path = "../auth/private_keys.rs"]
mod private_keys;
mod search;
mod token_calls;
mod watched;

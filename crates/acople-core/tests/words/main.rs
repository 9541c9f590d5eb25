//! What the words of the core promise, through the public API.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a test that fails may panic

mod batches;
mod cancelling;
mod configs;
mod cursors;
mod errors;

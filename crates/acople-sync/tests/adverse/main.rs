//! What goes wrong during a run, and what holds all the same, on paused time.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // a test that fails may panic

mod containment;
mod crashes;
mod modes;
mod pauses;
mod unreadable;
mod versions;
mod waits;
mod world;

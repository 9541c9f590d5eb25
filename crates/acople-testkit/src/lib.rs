#![doc = include_str!("../README.md")]

mod clock;
pub mod faults;
pub mod memory;
pub mod sandbox;
mod scripted;
pub mod stores;

pub use clock::FakeClock;
pub use scripted::{Reply, ScriptedTransport, Sent};

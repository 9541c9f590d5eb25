#![doc = include_str!("../README.md")]

mod builder;
mod checkpoints;
mod fault;
mod fence;
mod file;
mod leases;
mod quarantine;
mod record;
mod recover;
mod rewrap;
mod store;
mod tables;
mod tokens;

pub use acople_seal::MasterKey;
pub use builder::RedbStoreBuilder;
pub use rewrap::Rewrap;
pub use store::{Damage, RedbStore};

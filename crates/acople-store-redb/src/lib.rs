#![doc = include_str!("../README.md")]

mod builder;
mod checkpoints;
mod fault;
mod fence;
mod file;
mod identity_map;
mod inventory;
mod leases;
mod quarantine;
mod record;
mod recover;
mod rewrap;
mod secrets;
mod shelf;
mod store;
mod tables;
mod tokens;

pub use acople_seal::{MasterKey, Sealer};
pub use builder::RedbStoreBuilder;
pub use inventory::{KeyUse, SealedRecord};
pub use rewrap::Rewrap;
pub use store::{Damage, RedbStore};

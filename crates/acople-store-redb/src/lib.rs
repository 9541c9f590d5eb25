#![doc = include_str!("../README.md")]

mod builder;
mod checkpoints;
mod fault;
mod file;
mod identity_map;
mod leases;
mod quarantine;
mod record;
mod recover;
mod rewrap;
mod seal;
mod store;
mod tables;
mod tokens;

pub use builder::RedbStoreBuilder;
pub use rewrap::Rewrap;
pub use seal::MasterKey;
pub use store::{Damage, RedbStore};

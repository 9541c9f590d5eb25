#![doc = include_str!("../README.md")]

mod address;
mod builder;
mod checkpoints;
mod connection;
mod fault;
mod keys;
mod leases;
mod names;
mod quarantine;
mod rewrap;
mod schema;
mod secrets;
mod shelf;
mod statements;
mod store;
mod tls;
mod tokens;

pub use acople_seal::MasterKey;
pub use builder::PostgresStoreBuilder;
pub use rewrap::Rewrap;
pub use store::PostgresStore;

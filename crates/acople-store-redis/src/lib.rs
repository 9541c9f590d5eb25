#![doc = include_str!("../README.md")]

mod builder;
mod checkpoints;
mod connection;
mod fault;
mod keys;
mod names;
mod quarantine;
mod rewrap;
mod scripts;
mod secrets;
mod server;
mod shelf;
mod store;
mod tokens;

pub use acople_seal::MasterKey;
pub use builder::RedisStoreBuilder;
pub use rewrap::Rewrap;
pub use store::RedisStore;

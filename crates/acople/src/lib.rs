#![doc = include_str!("../README.md")]

#[cfg(feature = "audit")]
pub use acople_audit as audit;
pub use acople_auth as auth;
pub use acople_core::*;
pub use acople_http as http;
#[cfg(feature = "identity")]
pub use acople_identity as identity;
#[cfg(feature = "map")]
pub use acople_map as map;
#[cfg(feature = "monitor")]
pub use acople_monitor as monitor;
#[cfg(feature = "quality")]
pub use acople_quality as quality;
#[cfg(feature = "resilience")]
pub use acople_resilience as resilience;
#[cfg(feature = "schedule")]
pub use acople_schedule as schedule;
#[cfg(feature = "seal")]
pub use acople_seal as seal;
#[cfg(feature = "store-postgres")]
pub use acople_store_postgres as store_postgres;
#[cfg(feature = "store-redb")]
pub use acople_store_redb as store_redb;
#[cfg(feature = "store-redis")]
pub use acople_store_redis as store_redis;
#[cfg(feature = "sync")]
pub use acople_sync as sync;

mod registry;

pub use registry::*;

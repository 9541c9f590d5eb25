#![doc = include_str!("../README.md")]

pub use acople_auth as auth;
pub use acople_core::*;
pub use acople_http as http;
#[cfg(feature = "map")]
pub use acople_map as map;
#[cfg(feature = "monitor")]
pub use acople_monitor as monitor;
#[cfg(feature = "quality")]
pub use acople_quality as quality;
#[cfg(feature = "resilience")]
pub use acople_resilience as resilience;
#[cfg(feature = "store-redb")]
pub use acople_store_redb as store_redb;
#[cfg(feature = "sync")]
pub use acople_sync as sync;

mod registry;

pub use registry::*;

#![doc = include_str!("../README.md")]

mod cache;
mod cached;
mod fallback;
mod policy;

pub use acople_http::{AnswerCache, CacheScope, Outdated, Subject};
pub use cache::{Cache, CacheLimits, CacheStats};
pub use cached::Cached;
pub use fallback::{FallOver, Fallback, FallbackBuilder, Standby, Standing};
pub use policy::Policy;

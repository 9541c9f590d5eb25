#![doc = include_str!("../README.md")]

mod answer;
mod body;
mod breaker;
mod call;
mod classify;
mod client;
mod deadline;
mod limiter;
mod link;
mod pages;
mod paging;
#[cfg(feature = "reqwest")]
mod reqwest_transport;
mod retry;
mod retry_after;
mod send;
mod walk;
mod write;

pub use answer::{Answer, Download};
pub use body::BodyLimits;
pub use breaker::{Breaker, BreakerConfig, BreakerState};
pub use call::{Call, Repeat};
pub use classify::{Classifier, StatusClassifier, status_error};
pub use client::{Client, ClientBuilder, Timeouts};
pub use deadline::Within;
pub use limiter::{Limits, LocalLimiter};
pub use link::next_link;
pub use pages::{Fetched, Pages};
pub use paging::{Paging, Position};
#[cfg(feature = "reqwest")]
pub use reqwest_transport::{ReqwestTransport, TransportConfig};
pub use retry::RetryPolicy;
pub use retry_after::retry_after;
pub use walk::{Step, Walk};
pub use write::{match_aligned, match_by_id, write_chunks};

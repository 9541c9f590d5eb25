#![doc = include_str!("../README.md")]

mod address;
mod answer;
mod body;
mod breaker;
mod cached;
mod call;
mod changes;
mod classify;
mod client;
mod deadline;
mod destinations;
mod discovery;
mod limiter;
mod limits;
mod link;
mod list;
mod listing;
mod midnight;
mod pace;
mod pages;
mod paging;
mod placed;
mod reading;
mod request;
#[cfg(feature = "reqwest")]
mod reqwest_transport;
mod retry;
mod retry_after;
mod rounds;
mod seconds;
mod send;
mod settings;
mod special_use;
mod stage;
mod verdict;
mod walk;
mod write;

pub use address::{base_url, secure_base, secure_url};
pub use answer::{Answer, Download};
pub use body::BodyLimits;
pub use breaker::{BreakerConfig, BreakerWatch, Breakers, SharedBreakers, Ticket};
pub use cached::{AnswerCache, Asked, CacheScope, Origin, Outdated, Subject};
pub use call::{Call, Repeat};
pub use changes::{Changes, Moment};
pub use classify::{Classifier, StatusClassifier, status_error};
pub use client::{Client, ClientBuilder, Timeouts};
pub use deadline::Within;
pub use destinations::Destinations;
pub use discovery::{gather, visible};
pub use limiter::LocalLimiter;
pub use limits::Limits;
pub use link::next_link;
pub use list::{Fetched, List};
pub use listing::{Listed, walk_list};
pub use midnight::next_midnight;
pub use pages::Pages;
pub use paging::{Paging, Position};
pub use placed::match_placed;
pub use reading::{Carried, Left, Portion, events, place_of};
#[cfg(feature = "reqwest")]
pub use reqwest_transport::{
    ClientIdentity, Pem, Proxy, ReqwestTransport, Resolver, Roots, SystemResolver, TlsConfig, TransportConfig,
};
pub use retry::{Backoff, RetryPolicy, RetryQuota};
pub use retry_after::retry_after;
pub use rounds::write_keyed;
pub use settings::Settings;
pub use special_use::SpecialUse;
pub use walk::{Step, Walk};
pub use write::{match_aligned, match_by_id, write_checked, write_chunks};

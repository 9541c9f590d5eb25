#![doc = include_str!("../README.md")]

mod address;
mod again;
mod answer;
mod body;
mod breaker;
mod cached;
mod call;
mod challenge;
mod changes;
mod charset;
mod classify;
mod client;
mod deadline;
mod destinations;
mod digest;
mod discovery;
mod event_parser;
mod graphql;
#[cfg(feature = "transport")]
mod http_transport;
mod limiting;
mod lines;
mod link;
mod list;
mod listing;
mod multipart;
mod pages;
mod paging;
mod placed;
mod reading;
mod redact;
mod request;
mod resend;
mod resumable;
mod retirement;
mod retry;
mod rounds;
mod seconds;
mod send;
mod server_events;
mod settings;
mod spans;
mod special_use;
mod stage;
mod verdict;
mod walk;
mod write;

pub use address::{base_url, secure_base, secure_url, tenant_base};
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
pub use event_parser::ServerEvent;
pub use graphql::{GraphQl, GraphQlAnswer, GraphQlClassifier, GraphQlError};
#[cfg(feature = "transport")]
pub use http_transport::{
    ClientIdentity, HttpTransport, Pem, Proxy, Resolver, Roots, SystemResolver, TlsConfig, TransportConfig,
};
pub use limiting::{
    GraphqlCost, Limits, LocalLimiter, MetaUsage, RateLimit, Reset, XRateLimit, graphql_cost, meta_usage,
    next_midnight, rate_limit_lesson, rate_limits, reset_in, retry_after, sforce_limit_info, x_rate_limit,
};
pub use lines::Lines;
pub use link::next_link;
pub use list::{Fetched, List};
pub use listing::{Listed, walk_list};
pub use multipart::Multipart;
pub use pages::Pages;
pub use paging::{Paging, Position};
pub use placed::match_placed;
pub use reading::{Carried, Left, Portion, events, place_of};
pub use redact::Redactor;
pub use resend::Written;
pub use resumable::Resumable;
pub use retry::{Backoff, RetryPolicy, RetryQuota};
pub use rounds::write_keyed;
pub use server_events::ServerEvents;
pub use settings::Settings;
pub use special_use::SpecialUse;
pub use walk::{Step, Walk};
pub use write::{match_aligned, match_by_id, write_checked, write_chunks};

//! The sandbox vendors, seen through real sockets as a connector sees them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::panic
)]

mod client;
mod hooks;
mod hubspot;
mod hubspot_access;
mod hubspot_batches;
mod hubspot_search;
mod people;
mod salesforce;
mod salesforce_oauth;
mod salesforce_queries;
mod salesforce_writes;

//! The providers and the token cell, from outside: scripted vendors, paused time.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod chosen;
mod client_keys;
mod clocks;
mod configs;
mod connecting;
mod device;
mod fetching;
mod grants;
mod life;
mod made_tokens;
mod private_keys;
mod refusals;
mod renewal;
mod signing;
mod sigv4;
mod static_credentials;
mod storing;
mod suspended;
mod vendor;
mod what_to_do;
mod workers;

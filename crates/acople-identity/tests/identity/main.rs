//! What the crate promises, through its public API.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod api_keys;
mod attack_tokens;
mod bit_flips;
mod canary;
mod claims;
mod issuer;
mod keys;
mod logins;
mod published;
mod vectors;

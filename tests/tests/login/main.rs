//! People log in and programs bring tokens, at an identity provider that is none of ours.
//!
//! Behind the feature `servers`: needs Node and what tests/identity-provider/install.sh installs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod browser;
mod logins;
mod provider;
mod tokens;

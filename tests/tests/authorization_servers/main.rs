//! OAuth 2 against authorization servers that are not ours: oidc-provider with a user who signs in and consents, the
//! example host in a browser, and oauth2-mock-server for answers that no server should give.
//!
//! Behind the feature `servers`: needs Node and what tests/authorization-server/install.sh installs, the built example
//! `connect_account`, and Chromium with its driver.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
#![allow(unreachable_pub)]

mod browser;
mod callbacks;
mod clients;
mod connecting;
mod connection;
mod device;
mod example;
mod odd_answers;
mod process;
mod renewal;
mod server;
mod user;

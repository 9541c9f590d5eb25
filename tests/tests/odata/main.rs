//! The built command against a real OData server in both versions, and published service descriptions.
//!
//! Behind the feature `servers`: needs Node and what tests/odata-server/install.sh installs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
#![allow(unreachable_pub)]

mod command;
mod metadata;
mod reading;
mod server;
mod syncing;

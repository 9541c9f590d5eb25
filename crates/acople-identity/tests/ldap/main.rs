//! Filters, names, and logins with a directory that is the test itself. A real one is in the tests across crates.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod escaping;
mod fake;
mod logins;
mod start_tls;

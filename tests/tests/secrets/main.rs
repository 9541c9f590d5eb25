//! No secret in anything that is printed, no text of a vendor that forges a line, no request with another tenant's
//! credentials.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
#![allow(unreachable_pub)]

mod answers;
mod canary;
mod configs;
mod connectors;
mod escaping;
#[cfg(target_os = "linux")]
mod memory;
mod metered;
mod tenants;

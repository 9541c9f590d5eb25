//! The cache and the fallback, on paused time with the scripted transport.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // a test that fails may panic

mod bounds;
mod caching;
mod connectors;
mod fake;
mod falling_over;
mod flights;
mod invalidation;
mod listings;
mod revalidation;
mod shop;
mod tenants;

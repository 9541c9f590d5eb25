//! Limits of every kind, the lessons of answers, bodies and batches, through the public API.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // a test that fails may panic

mod answers;
mod basics;
mod kinds;
mod model;
mod terms;
mod throttles;

use std::sync::Arc;
use std::time::Duration;

use acople_core::{Claim, Context, RateLimiter};
use acople_http::{Client, ClientBuilder, LocalLimiter};
use acople_testkit::ScriptedTransport;
use tokio::time::Instant;

fn builder(transport: &ScriptedTransport) -> ClientBuilder {
    Client::builder("https://api.example.com", Arc::new(transport.clone())).unwrap()
}

fn one(bucket: &'static str) -> [Claim; 1] {
    [Claim::one(bucket)]
}

/// Leaves and comes back at once; says how long it waited.
async fn go(limiter: &LocalLimiter, claims: &[Claim]) -> Duration {
    let began = Instant::now();
    drop(limiter.acquire(&Context::new(), claims).await.unwrap());
    began.elapsed()
}

/// The most units in any window.
fn most_in(window: Duration, times: &[Duration]) -> usize {
    let within = |start: &Duration| times.iter().filter(|at| *at >= start && **at < *start + window).count();
    times.iter().map(within).max().unwrap_or(0)
}

//! What goes wrong, and what holds all the same: through the public API, on paused time.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // a test that fails may panic

mod ahead;
mod bodies;
mod breaker;
mod breaker_model;
mod calls;
mod charsets;
mod depth;
mod dropping;
mod events;
mod floor;
mod graphql;
mod limiter;
mod resuming;
mod urls;
mod writes;

use std::sync::Arc;

use acople_http::{Client, ClientBuilder};
use acople_testkit::ScriptedTransport;

fn builder(transport: &ScriptedTransport) -> ClientBuilder {
    Client::builder("https://api.example.com", Arc::new(transport.clone())).unwrap()
}

fn client(transport: &ScriptedTransport) -> Client {
    builder(transport).build()
}

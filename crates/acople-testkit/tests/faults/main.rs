//! The fault server and the proxy, seen through plain sockets.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // a test that fails may panic

mod h2;
mod peer;
mod server;
#[cfg(feature = "tls")]
mod tls;
mod toxics;

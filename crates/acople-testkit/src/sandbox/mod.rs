//! Vendors on the loopback interface: they keep state, follow the vendors' documented behaviour, and can be
//! told to fail at a precise moment.
//!
//! Each vendor is a value that serves HTTP on 127.0.0.1 until it is dropped. Tests prepare and inspect its data
//! through the value, and the connector under test sees only the vendor's API.

mod call;
mod clock;
mod email;
mod encoding;
mod hook;
pub mod hubspot;
mod names;
mod people;
pub mod salesforce;
mod server;
mod stats;
mod tokens;
mod wire;

pub use hook::{Phase, Seen, Then};
pub use hubspot::HubSpot;
pub use people::people;
pub use salesforce::Salesforce;
pub use stats::Stats;

/// A record as the sandbox keeps it: field name to value.
pub type Record = serde_json::Map<String, serde_json::Value>;

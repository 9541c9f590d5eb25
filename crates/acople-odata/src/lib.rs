#![doc = include_str!("../README.md")]
// Nearly all of it works on what a service sends.
#![deny(clippy::arithmetic_side_effects)]

mod abilities;
mod edm;
mod edmx;
mod entity_set;
mod error;
mod literal;
mod mark;
mod moment;
mod options;
mod place;
mod plan;
mod read;
mod schema;
mod service;

pub use entity_set::{Compare, EntitySet, Key, Records};
pub use error::ODataClassifier;
pub use options::{Options, Protocol};
pub use service::{Service, client};

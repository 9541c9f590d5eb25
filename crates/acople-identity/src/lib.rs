#![doc = include_str!("../README.md")]

mod identity;

pub use identity::{Identity, IdentityProvider, Proof};

#![doc = include_str!("../README.md")]

mod identity;
#[cfg(feature = "saml")]
pub mod saml;

pub use identity::{Identity, IdentityProvider, Proof};

#![doc = include_str!("../README.md")]

#[cfg(any(feature = "ldap", feature = "saml"))]
mod der;
mod identity;
#[cfg(feature = "ldap")]
pub mod ldap;
#[cfg(feature = "saml")]
pub mod saml;

pub use identity::{Identity, IdentityProvider, Proof};

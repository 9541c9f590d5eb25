//! Verifies JSON Web Tokens (RFC 7519) by the rules of RFC 8725.
//!
//! The signatures are aws-lc-rs's work; what stands around them is written here and not taken from the crate
//! `jsonwebtoken`, because that crate
//! - asks the machine's clock and takes no other,
//! - picks its cryptography for the whole process, and panics at the first token when two parts of a host have asked
//!   for different ones,
//! - reads claims that are there twice by taking one of them, and passes over `crit`,
//! - brings a second version of base64.

mod algorithm;
mod claims;
mod config;
mod jwk;
mod key;
mod pem;
mod refusal;
mod token;
mod verifier;

pub use algorithm::JwtAlgorithm;
pub use config::JwtConfig;
pub use key::{KeySet, KeySource, VerificationKey};
pub use verifier::{JwtVerifier, VerifiedToken};

#[cfg(feature = "jwks")]
pub(crate) use jwk::{SetFault, key_set};
#[cfg(feature = "oidc")]
pub(crate) use refusal::{refused, shown};

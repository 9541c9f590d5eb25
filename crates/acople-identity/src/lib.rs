#![doc = include_str!("../README.md")]

mod api_keys;
mod identity;
mod json;
#[cfg(feature = "jwks")]
mod jwks;
mod jwt;
#[cfg(feature = "oidc")]
mod oidc;

#[cfg(feature = "oidc")]
pub use acople_auth::PendingConnect;
pub use api_keys::{ApiKeyRecord, ApiKeyRequest, ApiKeyStore, ApiKeys, IssuedApiKey, MemoryApiKeys};
pub use identity::{Identity, IdentityProvider, Proof};
#[cfg(feature = "jwks")]
pub use jwks::{Jwks, JwksConfig};
pub use jwt::{JwtAlgorithm, JwtConfig, JwtVerifier, KeySet, KeySource, VerificationKey, VerifiedToken};
#[cfg(feature = "oidc")]
pub use oidc::{OidcConfig, OidcLogin};

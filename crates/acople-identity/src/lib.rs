#![doc = include_str!("../README.md")]

mod api_keys;
#[cfg(any(feature = "ldap", feature = "saml"))]
mod der;
mod identity;
mod json;
#[cfg(feature = "jwks")]
mod jwks;
mod jwt;
#[cfg(feature = "ldap")]
pub mod ldap;
#[cfg(feature = "oidc")]
mod oidc;
#[cfg(feature = "saml")]
pub mod saml;

#[cfg(feature = "oidc")]
pub use acople_auth::PendingConnect;
pub use api_keys::{ApiKeyRecord, ApiKeyRequest, ApiKeyStore, ApiKeys, IssuedApiKey, MemoryApiKeys};
pub use identity::{Identity, IdentityProvider, Proof};
#[cfg(feature = "jwks")]
pub use jwks::{Jwks, JwksConfig};
pub use jwt::{JwtAlgorithm, JwtConfig, JwtVerifier, KeySet, KeySource, VerificationKey, VerifiedToken};
#[cfg(feature = "oidc")]
pub use oidc::{OidcConfig, OidcLogin};

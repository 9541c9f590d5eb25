//! API keys that the host gives to its own customers.

mod issuing;
mod store;
mod text;

pub use issuing::{ApiKeyRequest, ApiKeys, IssuedApiKey};
pub use store::{ApiKeyRecord, ApiKeyStore, MemoryApiKeys};

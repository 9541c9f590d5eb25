#![doc = include_str!("../README.md")]

mod cipher;
mod envelope;
mod fresh;
mod keyring;
mod master;
mod place;
mod sealer;
mod service;
mod source;
mod token_text;
mod unwrapped;

pub use envelope::key_id;
pub use fresh::FreshKey;
pub use keyring::Keyring;
#[cfg(feature = "keyring")]
pub use keyring_core;
pub use master::{MAX_WRAPS, MasterKey};
pub use place::Place;
pub use sealer::Sealer;
pub use service::{DataKey, KeyService};
#[cfg(feature = "keyring")]
pub use source::KeyringKeys;
pub use source::{EnvironmentKeys, FileKeys, KeySource};
pub use token_text::{token_text, tokens_of_text};

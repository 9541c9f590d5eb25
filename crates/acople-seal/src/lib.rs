#![doc = include_str!("../README.md")]

mod cipher;
mod envelope;
mod keyring;
mod master;
mod place;
mod sealer;
mod token_text;

pub use envelope::key_id;
pub use keyring::Keyring;
pub use master::{MAX_WRAPS, MasterKey};
pub use place::Place;
pub use sealer::Sealer;
pub use token_text::{token_text, tokens_of_text};

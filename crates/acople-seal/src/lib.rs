#![doc = include_str!("../README.md")]

mod cipher;
mod envelope;
mod keyring;
mod master;
mod place;
mod sealer;

pub use envelope::key_id;
pub use keyring::Keyring;
pub use master::{MAX_WRAPS, MasterKey};
pub use place::Place;
pub use sealer::Sealer;

//! Sealing as a store sees it.

use zeroize::Zeroizing;

use acople_core::Result;

use crate::{Keyring, MasterKey, Place};

/// Seals and opens what a store keeps, with keys that may be rotated.
///
/// Cheap to clone. A store opens outside of its transactions, because a key may be out of this process.
#[derive(Clone, Debug)]
pub struct Sealer {
    keys: Keyring,
}

impl Sealer {
    /// Seals with one master key.
    pub fn new(newest: MasterKey) -> Self {
        Self { keys: Keyring::new(newest) }
    }

    /// The master keys of this process: a store counts the uses of the newest one, and recognises all by their
    /// check rows.
    pub fn keyring(&self) -> &Keyring {
        &self.keys
    }

    /// Seals under a fresh data key. The buffer's plaintext is overwritten.
    ///
    /// # Errors
    /// `Config` when there is no key that seals.
    #[allow(clippy::unused_async)] // a key may be elsewhere
    pub async fn seal(&self, place: &Place<'_>, text: Zeroizing<Vec<u8>>) -> Result<Vec<u8>> {
        self.keys.seal(place, text)
    }

    /// Opens what was sealed in that place.
    ///
    /// # Errors
    /// `Config`, naming the key's id, when the key is not here; `Internal` when what was sealed was changed or
    /// comes from another place.
    #[allow(clippy::unused_async)] // a key may be elsewhere
    pub async fn open(&self, place: &Place<'_>, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        self.keys.open(place, sealed)
    }

    /// Whether it is sealed otherwise than [`seal`](Self::seal) would seal it now.
    pub fn needs_rewrap(&self, sealed: &[u8]) -> bool {
        self.keys.needs_rewrap(sealed)
    }
}

impl From<Keyring> for Sealer {
    fn from(keys: Keyring) -> Self {
        Self { keys }
    }
}

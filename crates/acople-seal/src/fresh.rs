//! A key for one record that is about to be written.

use std::fmt;
use std::sync::Arc;

use zeroize::Zeroizing;

use acople_core::{Error, ErrorKind, Result};

use crate::cipher::{cipher, seal_in_place};
use crate::envelope::{UnderService, plain};
use crate::{DataKey, MasterKey, Place};

/// What the associated data says of a text whose data key a service has wrapped.
pub(crate) const SERVICE_TEXT: &str = "text under a service's key";

/// What seals one text: had before a transaction, because a service may have to be asked, and used in it.
pub struct FreshKey(pub(crate) Kind);

pub(crate) enum Kind {
    Master(MasterKey),
    Service { id: Arc<str>, wrapped: Vec<u8>, key: DataKey },
    Plaintext,
}

impl FreshKey {
    /// The master key that will wrap the data key: its use is for the store to count. `None` when a service did, or
    /// nothing is encrypted.
    pub fn master(&self) -> Option<&MasterKey> {
        match &self.0 {
            Kind::Master(key) => Some(key),
            Kind::Service { .. } | Kind::Plaintext => None,
        }
    }

    /// Seals the text. The buffer's plaintext is overwritten. Kind and key of the place are those that the key was
    /// asked for; the generation may be another.
    ///
    /// # Errors
    /// `Internal` when the machine has no randomness, or a service wrapped the key into more than 64 KiB.
    pub fn seal(self, place: &Place<'_>, mut text: Zeroizing<Vec<u8>>) -> Result<Vec<u8>> {
        match self.0 {
            Kind::Master(master) => master.seal(place, text),
            Kind::Service { id, wrapped, key } => {
                let aad = place.aad(SERVICE_TEXT, &id);
                let nonce = seal_in_place(&cipher(key.expose())?, &aad, &mut text)?;
                let envelope = UnderService { key_id: &id, wrapped: &wrapped, nonce: &nonce, text: &text };
                envelope.bytes().ok_or_else(|| {
                    let message = format!("key service {id:?} wraps a key into {} bytes", wrapped.len());
                    Error::new(ErrorKind::Internal, message)
                })
            }
            Kind::Plaintext => Ok(plain(&text)),
        }
    }
}

impl fmt::Debug for FreshKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = match &self.0 {
            Kind::Master(key) => key.id(),
            Kind::Service { id, .. } => id,
            Kind::Plaintext => "plaintext",
        };
        f.debug_struct("FreshKey").field("id", &id).finish_non_exhaustive()
    }
}

//! The master keys that a process has.

use zeroize::Zeroizing;

use acople_core::{Error, ErrorKind, Result};

use crate::envelope::Envelope;
use crate::{MasterKey, Place};

/// Master keys: the newest seals, all open.
///
/// ```
/// use acople_seal::{Keyring, MasterKey, Place};
///
/// # fn main() -> acople_core::Result<()> {
/// let place = Place { kind: "note", key: &["acme"], generation: 0 };
/// let sealed = Keyring::new(MasterKey::new("2025", &[1; 32])?).seal(&place, b"kept".to_vec().into())?;
///
/// let rotated = Keyring::new(MasterKey::new("2026", &[2; 32])?).with_old(MasterKey::new("2025", &[1; 32])?)?;
/// assert_eq!(*rotated.open(&place, &sealed)?, b"kept");
/// assert!(rotated.needs_rewrap(&sealed));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Keyring {
    newest: Option<MasterKey>,
    old: Vec<MasterKey>,
}

impl Keyring {
    /// A keyring of one key, which seals. `Keyring::default()` has none and can do nothing.
    pub fn new(newest: MasterKey) -> Self {
        Self { newest: Some(newest), old: Vec::new() }
    }

    /// Adds a key that only opens.
    ///
    /// # Errors
    /// `Config` when a key of that id is there already.
    pub fn with_old(mut self, key: MasterKey) -> Result<Self> {
        if self.find(key.id()).is_some() {
            return Err(Error::config("master_key", format!("two master keys have the id {:?}", key.id())));
        }
        self.old.push(key);
        Ok(self)
    }

    /// The key that seals.
    pub fn newest(&self) -> Option<&MasterKey> {
        self.newest.as_ref()
    }

    /// All keys, the newest first.
    pub fn keys(&self) -> impl Iterator<Item = &MasterKey> {
        self.newest.iter().chain(&self.old)
    }

    /// Seals with the newest key: one of its [`MAX_WRAPS`](crate::MAX_WRAPS) uses, which the store counts.
    ///
    /// # Errors
    /// `Config` when there is none.
    pub fn seal(&self, place: &Place<'_>, text: Zeroizing<Vec<u8>>) -> Result<Vec<u8>> {
        let newest = self.newest();
        newest.ok_or_else(|| Error::config("master_key", "there is no master key"))?.seal(place, text)
    }

    /// Opens what one of the keys sealed in that place.
    ///
    /// # Errors
    /// `Config`, naming the key's id, when the key is not here; `Internal` when what was sealed was changed or
    /// comes from another place. Never a panic, whatever the bytes are.
    pub fn open(&self, place: &Place<'_>, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        let envelope = Envelope::of(sealed)
            .ok_or_else(|| Error::new(ErrorKind::Internal, "its encryption is damaged"))?;
        let id = envelope.key_id;
        let key = self.find(id).ok_or_else(|| {
            Error::config(
                "master_key",
                format!(
                    "it is encrypted under master key {id:?}, which is not here: bring that key as an old key"
                ),
            )
        })?;
        key.open(place, &envelope).ok_or_else(|| {
            Error::new(
                ErrorKind::Internal,
                format!(
                    "master key {id:?} does not open it: it was changed or comes from another place, \
                     or the key is another one of that name"
                ),
            )
        })
    }

    /// Whether it is sealed with another key than the newest.
    pub fn needs_rewrap(&self, sealed: &[u8]) -> bool {
        crate::key_id(sealed) != self.newest().map(MasterKey::id)
    }

    fn find(&self, id: &str) -> Option<&MasterKey> {
        self.keys().find(|key| key.id() == id)
    }
}

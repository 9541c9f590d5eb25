//! The master keys that a process has.

use zeroize::Zeroizing;

use acople_core::{Error, ErrorKind, Result, Secret};

use crate::envelope::{Envelope, UnderMaster};
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

    /// Reads keys as they stand in a file or a variable: one a line (or between commas), the newest first, each an
    /// id and 32 bytes in Base64. Empty lines, and those that start with `#`, are passed over. A key without an id
    /// is called `default`.
    ///
    /// ```
    /// # fn main() -> acople_core::Result<()> {
    /// let text = acople_core::Secret::from(
    ///     "# rotated in January
    ///      2026-01 c2l4dGVlbiBwbHVzIHNpeHRlZW4gcmFuZG9tIGJ5dGU=
    ///      default dGhpcnR5LXR3byBieXRlcyBvZiByYW5kb21uZXNzISE=",
    /// );
    /// let keys = acople_seal::Keyring::parse(&text)?;
    /// assert_eq!(keys.newest().map(|key| key.id()), Some("2026-01"));
    /// assert_eq!(keys.keys().count(), 2);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `Config`, naming the line but nothing of what is in it, when a key is not so, or there is none.
    pub fn parse(text: &Secret) -> Result<Self> {
        let lines = text.expose().split(['\n', ',']).map(str::trim).enumerate();
        let mut ring = Self::default();
        for (number, line) in lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')) {
            let (id, key) = line.split_once(char::is_whitespace).unwrap_or(("default", line));
            // The id may be a key in the wrong place, and is not repeated.
            let wrong = |what: &str| Error::config("master_key", format!("key {}: {what}", number + 1));
            let key = MasterKey::from_base64(id, &Secret::from(key))
                .map_err(|_| wrong("it is not an id and 32 bytes in Base64, or such bytes alone"))?;
            ring = match ring.newest {
                None => Self::new(key),
                Some(_) => ring.with_old(key).map_err(|_| wrong("another key has the same id"))?,
            };
        }
        match ring.newest {
            Some(_) => Ok(ring),
            None => Err(Error::config("master_key", "there is no key: 32 random bytes in Base64 are needed")),
        }
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
        match Envelope::of(sealed) {
            Some(Envelope::Master(envelope)) => self.open_envelope(place, &envelope),
            Some(Envelope::Service(envelope)) => Err(missing("a service's key", envelope.key_id)),
            _ => Err(Error::new(ErrorKind::Internal, "its encryption is damaged")),
        }
    }

    /// Whether it is sealed with another key than the newest.
    pub fn needs_rewrap(&self, sealed: &[u8]) -> bool {
        !matches!(
            (Envelope::of(sealed), self.newest()),
            (Some(Envelope::Master(envelope)), Some(newest)) if envelope.key_id == newest.id()
        )
    }

    pub(crate) fn open_envelope(
        &self,
        place: &Place<'_>,
        envelope: &UnderMaster<'_>,
    ) -> Result<Zeroizing<Vec<u8>>> {
        let id = envelope.key_id;
        let key = self.find(id).ok_or_else(|| missing("master key", id))?;
        key.open(place, envelope).ok_or_else(|| {
            Error::new(
                ErrorKind::Internal,
                format!(
                    "master key {id:?} does not open it: it was changed or comes from another place, \
                     or the key is another one of that name"
                ),
            )
        })
    }

    fn find(&self, id: &str) -> Option<&MasterKey> {
        self.keys().find(|key| key.id() == id)
    }
}

/// A key that is needed and not here.
pub(crate) fn missing(what: &str, id: &str) -> Error {
    Error::config(
        "master_key",
        format!("it is encrypted under {what} {id:?}, which is not here: bring that key as an old one"),
    )
}

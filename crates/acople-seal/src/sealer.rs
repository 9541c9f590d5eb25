//! Sealing as a store sees it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use zeroize::Zeroizing;

use acople_core::{Error, ErrorKind, Result};

use crate::cipher::{self, cipher};
use crate::envelope::{Envelope, UnderService};
use crate::fresh::{Kind, SERVICE_TEXT};
use crate::keyring::missing;
use crate::unwrapped::{Unwrapped, label};
use crate::{DataKey, FreshKey, KeyService, KeySource, Keyring, MasterKey, Place};

const MAX_SERVICE_ID: usize = 1024;

/// Seals and opens what a store keeps, with keys that may be rotated: master keys in this process, keys of a
/// [`KeyService`] outside of it, or both while one takes over from the other.
///
/// Cheap to clone; clones share the cache. A store opens outside of its transactions, because a service may have to
/// be asked; for a write it asks for a [`FreshKey`] before the transaction and seals in it.
#[derive(Clone, Default)]
pub struct Sealer {
    newest: Newest,
    keys: Keyring,
    services: Vec<Arc<dyn KeyService>>,
    opens_plaintext: bool,
    unwrapped: Option<Arc<Unwrapped>>,
}

/// What seals. Everything that is here opens.
#[derive(Clone, Default)]
enum Newest {
    #[default]
    Nothing,
    Master(MasterKey),
    Service(Arc<dyn KeyService>),
    Plaintext,
}

impl Sealer {
    /// Seals with one master key. `Sealer::default()` has no key and seals nothing.
    pub fn new(newest: MasterKey) -> Self {
        Keyring::new(newest).into()
    }

    /// Seals with the keys that a source has now. To rotate, ask it again and hand the new sealer to the store.
    ///
    /// # Errors
    /// Those of the source.
    pub async fn from_source(source: &dyn KeySource) -> Result<Self> {
        Ok(source.keyring().await?.into())
    }

    /// Seals with a key of the host's key management service, which never enters this process.
    ///
    /// # Errors
    /// `Config` when the key's id is not 1 to 1,024 visible ASCII characters.
    pub fn with_service(service: Arc<dyn KeyService>) -> Result<Self> {
        Self { newest: Newest::Service(service.clone()), ..Self::default() }.with_old_service(service)
    }

    /// Keeps everything **in the clear**, for tests and for stores on a disk that is encrypted and trusted. Nothing
    /// is bound to its place either.
    pub fn insecure_plaintext() -> Self {
        Self { newest: Newest::Plaintext, opens_plaintext: true, ..Self::default() }
    }

    /// Adds master keys that only open.
    ///
    /// # Errors
    /// `Config` when two keys have one id.
    pub fn with_old_keys(mut self, keys: &Keyring) -> Result<Self> {
        self.keys = keys.keys().cloned().try_fold(self.keys, Keyring::with_old)?;
        Ok(self)
    }

    /// Adds a service that only unwraps.
    ///
    /// # Errors
    /// `Config` when two services have one key id, or it is not 1 to 1,024 visible ASCII characters.
    pub fn with_old_service(mut self, service: Arc<dyn KeyService>) -> Result<Self> {
        let id = service.key_id();
        if id.is_empty() || id.len() > MAX_SERVICE_ID || !id.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(Error::config(
                "key_service",
                format!(
                    "the id of a service's key is 1 to {MAX_SERVICE_ID} visible ASCII characters without spaces"
                ),
            ));
        }
        if self.service(id).is_some() {
            return Err(Error::config("key_service", format!("two key services have the key id {id:?}")));
        }
        self.services.push(service);
        Ok(self)
    }

    /// Opens **plaintext**, too: to move a store that had no keys to some. Whoever can write to the store can then
    /// put in what is opened, so leave it out again once everything is sealed anew.
    pub fn insecure_open_plaintext(mut self) -> Self {
        self.opens_plaintext = true;
        self
    }

    /// Keeps up to `limit` data keys that a service has unwrapped, each for `term`, so that it is not asked for
    /// every read. They are in this process's memory for that long, also when the service would refuse by then.
    pub fn with_cache(mut self, limit: usize, term: Duration) -> Self {
        self.unwrapped = Some(Arc::new(Unwrapped::new(limit, term)));
        self
    }

    /// Forgets all data keys that are kept.
    pub fn clear_cache(&self) {
        if let Some(unwrapped) = &self.unwrapped {
            unwrapped.clear();
        }
    }

    /// The master keys of this process: a store recognises them by their check rows.
    pub fn keyring(&self) -> &Keyring {
        &self.keys
    }

    /// Whether there is something that seals.
    pub fn seals(&self) -> bool {
        !matches!(self.newest, Newest::Nothing)
    }

    /// Whether the key of that id is here, a master key's or a service's.
    pub fn has_key(&self, id: &str) -> bool {
        self.keys.keys().any(|key| key.id() == id) || self.service(id).is_some()
    }

    /// A key for one text of that kind and key.
    ///
    /// # Errors
    /// `Config` when there is none that seals; what the service says when it does not wrap.
    pub async fn fresh_key(&self, place: &Place<'_>) -> Result<FreshKey> {
        let kind = match &self.newest {
            Newest::Nothing => return Err(Error::config("master_key", "there is no master key")),
            Newest::Master(key) => Kind::Master(key.clone()),
            Newest::Plaintext => Kind::Plaintext,
            Newest::Service(service) => {
                let (id, key) = (service.key_id(), DataKey::random()?);
                let context = place.context(id);
                let wrapped = service.wrap(&key, &context).await.map_err(|e| of_service(id, e))?;
                if let Some(unwrapped) = &self.unwrapped {
                    unwrapped.put(label(id, &context, &wrapped), key.clone());
                }
                Kind::Service { id: id.into(), wrapped, key }
            }
        };
        Ok(FreshKey(kind))
    }

    /// Seals under a fresh data key. The buffer's plaintext is overwritten.
    ///
    /// # Errors
    /// As [`fresh_key`](Self::fresh_key).
    pub async fn seal(&self, place: &Place<'_>, text: Zeroizing<Vec<u8>>) -> Result<Vec<u8>> {
        self.fresh_key(place).await?.seal(place, text)
    }

    /// Opens what was sealed in that place.
    ///
    /// # Errors
    /// `Config`, naming the key's id, when the key is not here; `Internal` when what was sealed was changed or
    /// comes from another place, or is plaintext; what the service says when it does not unwrap. Never a panic,
    /// whatever the bytes are.
    pub async fn open(&self, place: &Place<'_>, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        match Envelope::of(sealed) {
            Some(Envelope::Master(envelope)) => self.keys.open_envelope(place, &envelope),
            Some(Envelope::Service(envelope)) => self.open_with_service(place, &envelope).await,
            Some(Envelope::Plain(text)) if self.opens_plaintext => Ok(text.to_vec().into()),
            Some(Envelope::Plain(_)) => Err(Error::new(
                ErrorKind::Internal,
                "it is not encrypted, and plaintext is not allowed here: it was put in by another hand",
            )),
            None => Err(Error::new(ErrorKind::Internal, "its encryption is damaged")),
        }
    }

    /// Whether it is sealed otherwise than [`seal`](Self::seal) would seal it now.
    pub fn needs_rewrap(&self, sealed: &[u8]) -> bool {
        match (Envelope::of(sealed), &self.newest) {
            (Some(Envelope::Master(envelope)), Newest::Master(key)) => envelope.key_id != key.id(),
            (Some(Envelope::Service(envelope)), Newest::Service(service)) => {
                envelope.key_id != service.key_id()
            }
            (Some(Envelope::Plain(_)), Newest::Plaintext) => false,
            _ => true,
        }
    }

    async fn open_with_service(
        &self,
        place: &Place<'_>,
        envelope: &UnderService<'_>,
    ) -> Result<Zeroizing<Vec<u8>>> {
        let id = envelope.key_id;
        let service = self.service(id).ok_or_else(|| missing("a service's key", id))?;
        let context = place.context(id);
        let label = label(id, &context, envelope.wrapped);
        let known = self.unwrapped.as_ref().and_then(|unwrapped| unwrapped.get(&label));
        let is_known = known.is_some();
        let key = match known {
            Some(key) => key,
            None => service.unwrap(envelope.wrapped, &context).await.map_err(|e| of_service(id, e))?,
        };
        let aad = place.aad(SERVICE_TEXT, id);
        let text = cipher::open(&cipher(key.expose())?, envelope.nonce, &aad, envelope.text);
        let text = text.ok_or_else(|| {
            Error::new(
                ErrorKind::Internal,
                format!(
                    "key {id:?} of the service does not open it: it was changed or comes from another place"
                ),
            )
        })?;
        // Only what has opened something is worth a place.
        if let Some(unwrapped) = self.unwrapped.as_ref().filter(|_| !is_known) {
            unwrapped.put(label, key);
        }
        Ok(text)
    }

    fn service(&self, id: &str) -> Option<&Arc<dyn KeyService>> {
        self.services.iter().find(|service| service.key_id() == id)
    }
}

impl fmt::Debug for Sealer {
    /// The ids of keys, the newest first.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let newest = match &self.newest {
            Newest::Nothing => None,
            Newest::Master(key) => Some(key.id()),
            Newest::Service(service) => Some(service.key_id()),
            Newest::Plaintext => Some("insecure plaintext"),
        };
        let ids = self.keys.keys().map(MasterKey::id).chain(self.services.iter().map(|s| s.key_id()));
        let old: Vec<&str> = ids.filter(|id| Some(*id) != newest).collect();
        f.debug_struct("Sealer").field("newest", &newest).field("old", &old).finish_non_exhaustive()
    }
}

impl From<MasterKey> for Sealer {
    fn from(key: MasterKey) -> Self {
        Self::new(key)
    }
}

impl From<Keyring> for Sealer {
    fn from(keys: Keyring) -> Self {
        let newest = keys.newest().cloned().map_or(Newest::Nothing, Newest::Master);
        Self { newest, keys, ..Self::default() }
    }
}

/// The kind stays: it says whether to try again.
fn of_service(id: &str, error: Error) -> Error {
    let message = format!("key service {id:?}: {}", error.message());
    error.with_message(message)
}

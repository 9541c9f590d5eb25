//! Keys that wrap data keys, and are in this process.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::aead::{LessSafeKey, NONCE_LEN};
use base64::Engine as _;
use zeroize::Zeroizing;

use acople_core::{Error, ErrorKind, Result, Secret};

use crate::Place;
use crate::cipher::{self, KEY_LEN, cipher, random, seal_in_place};
use crate::envelope::UnderMaster;

/// What one master key may wrap with random nonces: NIST SP 800-38D, section 8.3.
///
/// The store that seals with a key counts, since only it knows of all its processes.
pub const MAX_WRAPS: u64 = 1 << 32;
const MAX_ID: usize = 64;
/// What a key's check row holds under the key.
const CHECK_TEXT: &[u8] = b"acople master key";

/// A key-encryption key: it wraps the data keys of records and encrypts nothing else.
///
/// Keep it outside the store, in the host's secret manager. Its id is stored in the clear with each
/// record, so that rotated keys can be told apart.
#[derive(Clone)]
pub struct MasterKey {
    id: Arc<str>,
    key: Arc<LessSafeKey>,
}

impl MasterKey {
    /// A key of exactly 32 random bytes. The id is 1 to 64 visible ASCII characters, such as `2026-01`;
    /// another key needs another id.
    ///
    /// # Errors
    /// `Config` when the id or the length is not so.
    pub fn new(id: impl Into<String>, bytes: &[u8]) -> Result<Self> {
        let id = id.into();
        if id.is_empty() || id.len() > MAX_ID || !id.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(Error::config(
                "master_key.id",
                "the id of a master key is 1 to 64 visible ASCII characters without spaces",
            ));
        }
        if bytes.len() != KEY_LEN {
            return Err(Error::config(
                "master_key",
                format!("master key {id:?} has {} bytes instead of {KEY_LEN}", bytes.len()),
            ));
        }
        Ok(Self { id: id.into(), key: Arc::new(cipher(bytes)?) })
    }

    /// A key from 32 bytes in standard Base64, as `openssl rand -base64 32` prints them.
    ///
    /// # Errors
    /// `Config` when the text is not that.
    pub fn from_base64(id: impl Into<String>, text: &Secret) -> Result<Self> {
        let bytes = base64::engine::general_purpose::STANDARD.decode(text.expose().trim());
        // The cause is dropped on purpose: it quotes the offending byte.
        let bytes = bytes
            .map(Zeroizing::new)
            .map_err(|_| Error::config("master_key", "the master key is not Base64"))?;
        Self::new(id, &bytes)
    }

    /// The key's name.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Seals `text` under a fresh data key, which this key wraps: one of [`MAX_WRAPS`] uses. The buffer's
    /// plaintext is overwritten.
    ///
    /// # Errors
    /// `Internal` when the machine has no randomness.
    pub fn seal(&self, place: &Place<'_>, mut text: Zeroizing<Vec<u8>>) -> Result<Vec<u8>> {
        let data_key = random::<KEY_LEN>()?;
        let nonce = seal_in_place(&cipher(data_key.as_slice())?, &place.aad("text", &self.id), &mut text)?;
        let mut wrapped = Zeroizing::new(data_key.to_vec());
        let wrap_nonce = seal_in_place(&self.key, &place.aad("wrap", &self.id), &mut wrapped)?;
        let envelope = UnderMaster {
            key_id: &self.id,
            wrap_nonce: &wrap_nonce,
            wrapped: &wrapped,
            nonce: &nonce,
            text: &text,
        };
        envelope.bytes().ok_or_else(|| Error::new(ErrorKind::Internal, "master key id too long"))
    }

    /// A sealed constant by which [`recognises`](Self::recognises) knows the key later: for a store to keep
    /// beside the count of its uses. Making it is a use as well.
    ///
    /// # Errors
    /// `Internal` when the machine has no randomness.
    pub fn check_row(&self) -> Result<Vec<u8>> {
        let mut text = Zeroizing::new(CHECK_TEXT.to_vec());
        let nonce = seal_in_place(&self.key, &self.check_context(), &mut text)?;
        Ok([nonce.as_slice(), &text].concat())
    }

    /// Whether this key made the check row: another key of the same id did not.
    pub fn recognises(&self, check_row: &[u8]) -> bool {
        let Some((nonce, sealed)) = check_row.split_first_chunk::<NONCE_LEN>() else {
            return false;
        };
        cipher::open(&self.key, nonce, &self.check_context(), sealed).is_some_and(|text| *text == *CHECK_TEXT)
    }

    /// `None` when this key did not seal it there.
    pub(crate) fn open(&self, place: &Place<'_>, envelope: &UnderMaster<'_>) -> Option<Zeroizing<Vec<u8>>> {
        let wrap = place.aad("wrap", envelope.key_id);
        let data_key = cipher::open(&self.key, envelope.wrap_nonce, &wrap, envelope.wrapped)?;
        let text = place.aad("text", envelope.key_id);
        cipher::open(&cipher(&data_key).ok()?, envelope.nonce, &text, envelope.text)
    }

    fn check_context(&self) -> Vec<u8> {
        Place { kind: "master key check", key: &[], generation: 0 }.aad("check", &self.id)
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MasterKey").field("id", &self.id).finish_non_exhaustive()
    }
}

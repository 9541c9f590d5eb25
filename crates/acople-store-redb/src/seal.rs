//! Envelope encryption: a fresh data key per record, wrapped by a master key.
//!
//! ```text
//! 1 | length u8, master key's id | nonce | data key under the master key | nonce | text under the data key
//! ```
//!
//! Both are AES-256-GCM with random nonces. The associated data of both names what is sealed, whose it
//! is, its generation and the master key's id, so that a ciphertext opens nowhere but in its place.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use base64::Engine as _;
use zeroize::Zeroizing;

use acople_core::{Error, ErrorKind, Result, Secret};

/// Wraps that one master key may do with random nonces: NIST SP 800-38D, section 8.3.
pub(crate) const MAX_WRAPS: u64 = 1 << 32;
const KEY_LEN: usize = 32;
const TAG_LEN: usize = 16;
const WRAPPED_LEN: usize = KEY_LEN + TAG_LEN;
const VERSION: u8 = 1;
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

    /// A sealed constant, by which the key is recognised later.
    pub(crate) fn check_row(&self) -> Result<Vec<u8>> {
        let nonce = random::<NONCE_LEN>()?;
        let mut text = CHECK_TEXT.to_vec();
        seal_in_place(&self.key, *nonce, &self.check_context(), &mut text)?;
        Ok([nonce.as_slice(), &text].concat())
    }

    /// Whether this key made the check row.
    pub(crate) fn made(&self, check_row: &[u8]) -> bool {
        let Some((nonce, sealed)) = check_row.split_first_chunk::<NONCE_LEN>() else {
            return false;
        };
        let mut sealed = sealed.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let opened = self.key.open_in_place(nonce, Aad::from(self.check_context()), &mut sealed);
        opened.is_ok_and(|text| *text == *CHECK_TEXT)
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

/// Where a sealed text belongs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    pub(crate) kind: &'static str,
    pub(crate) key: &'a [&'a str],
    pub(crate) generation: u64,
}

impl Place<'_> {
    /// Each part with its length, so that no two places give the same bytes.
    fn aad(&self, purpose: &str, key_id: &str) -> Vec<u8> {
        let mut out = Vec::new();
        for part in ["acople", purpose, self.kind, key_id].iter().chain(self.key) {
            out.extend((part.len() as u64).to_be_bytes());
            out.extend(part.as_bytes());
        }
        out.extend(self.generation.to_be_bytes());
        out
    }
}

/// The keys of a store: the newest seals, all open.
#[derive(Clone, Debug)]
pub(crate) struct Keyring {
    newest: Option<MasterKey>,
    old: Vec<MasterKey>,
}

impl Keyring {
    pub(crate) fn new(newest: Option<MasterKey>, old: Vec<MasterKey>) -> Result<Self> {
        let ring = Self { newest, old };
        let mut ids: Vec<&str> = ring.all().map(MasterKey::id).collect();
        ids.sort_unstable();
        let twice = ids.chunk_by(|a, b| a == b).find(|same| same.len() > 1).and_then(|same| same.first());
        match twice {
            Some(id) => Err(Error::config("master_key", format!("two master keys have the id {id:?}"))),
            None => Ok(ring),
        }
    }

    pub(crate) fn newest(&self) -> Option<&MasterKey> {
        self.newest.as_ref()
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &MasterKey> {
        self.newest.iter().chain(&self.old)
    }

    /// The newest key, or the error that says that one is needed.
    pub(crate) fn required(&self, store: &str) -> Result<&MasterKey> {
        self.newest().ok_or_else(|| {
            Error::config(
                "master_key",
                format!("store {store} keeps tokens only encrypted: open it with a master key"),
            )
        })
    }

    pub(crate) fn open(&self, place: &Place<'_>, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        let parts =
            Parts::of(sealed).ok_or_else(|| Error::new(ErrorKind::Internal, "its encryption is damaged"))?;
        let key = self.all().find(|key| *key.id == *parts.key_id).ok_or_else(|| {
            Error::config(
                "master_key",
                format!(
                    "it is encrypted under master key {:?}, which the store was not opened with",
                    parts.key_id
                ),
            )
        })?;
        let refused = || {
            Error::new(
                ErrorKind::Internal,
                format!(
                    "master key {:?} does not open it: it was changed or comes from another place, \
                     or the key is another one of that name",
                    parts.key_id
                ),
            )
        };
        let mut data_key = Zeroizing::new(parts.wrapped.to_vec());
        let data_key = key
            .key
            .open_in_place(
                Nonce::assume_unique_for_key(*parts.wrap_nonce),
                Aad::from(place.aad("wrap", parts.key_id)),
                &mut data_key,
            )
            .map_err(|_| refused())?;
        let mut text = Zeroizing::new(parts.text.to_vec());
        let length = cipher(data_key)?
            .open_in_place(
                Nonce::assume_unique_for_key(*parts.nonce),
                Aad::from(place.aad("text", parts.key_id)),
                &mut text,
            )
            .map_err(|_| refused())?
            .len();
        text.truncate(length);
        Ok(text)
    }
}

/// Seals `text` under a fresh data key that `key` wraps. The buffer's plaintext is overwritten.
pub(crate) fn seal(key: &MasterKey, place: &Place<'_>, mut text: Zeroizing<Vec<u8>>) -> Result<Vec<u8>> {
    let data_key = random::<KEY_LEN>()?;
    let (wrap_nonce, nonce) = (random::<NONCE_LEN>()?, random::<NONCE_LEN>()?);
    // Appending the tag must not move the plaintext: the old place would not be zeroed.
    if text.capacity() < text.len() + TAG_LEN {
        let mut roomy = Zeroizing::new(Vec::with_capacity(text.len() + TAG_LEN));
        roomy.extend_from_slice(&text);
        text = roomy;
    }
    seal_in_place(&cipher(data_key.as_slice())?, *nonce, &place.aad("text", &key.id), &mut text)?;
    let mut wrapped = Zeroizing::new(Vec::with_capacity(WRAPPED_LEN));
    wrapped.extend_from_slice(data_key.as_slice());
    seal_in_place(&key.key, *wrap_nonce, &place.aad("wrap", &key.id), &mut wrapped)?;
    let id_len =
        u8::try_from(key.id.len()).map_err(|_| Error::new(ErrorKind::Internal, "master key id too long"))?;
    let mut out = vec![VERSION, id_len];
    out.extend(key.id.as_bytes());
    out.extend(wrap_nonce.as_slice());
    out.extend(wrapped.as_slice());
    out.extend(nonce.as_slice());
    out.extend(text.as_slice());
    Ok(out)
}

/// The id of the master key that a sealed text needs.
pub(crate) fn key_id(sealed: &[u8]) -> Option<&str> {
    Parts::of(sealed).map(|parts| parts.key_id)
}

/// A number that nobody can have guessed.
pub(crate) fn random_number() -> Result<u64> {
    Ok(u64::from_be_bytes(*random::<8>()?))
}

struct Parts<'a> {
    key_id: &'a str,
    wrap_nonce: &'a [u8; NONCE_LEN],
    wrapped: &'a [u8],
    nonce: &'a [u8; NONCE_LEN],
    text: &'a [u8],
}

impl<'a> Parts<'a> {
    fn of(sealed: &'a [u8]) -> Option<Self> {
        let rest = sealed.strip_prefix(&[VERSION])?;
        let (&id_len, rest) = rest.split_first()?;
        let (id, rest) = rest.split_at_checked(usize::from(id_len))?;
        let (wrap_nonce, rest) = rest.split_first_chunk()?;
        let (wrapped, rest) = rest.split_at_checked(WRAPPED_LEN)?;
        let (nonce, text) = rest.split_first_chunk()?;
        Some(Self { key_id: std::str::from_utf8(id).ok()?, wrap_nonce, wrapped, nonce, text })
    }
}

fn cipher(bytes: &[u8]) -> Result<LessSafeKey> {
    UnboundKey::new(&AES_256_GCM, bytes).map(LessSafeKey::new).map_err(|_| broken("rejects a key"))
}

fn seal_in_place(key: &LessSafeKey, nonce: [u8; NONCE_LEN], aad: &[u8], text: &mut Vec<u8>) -> Result<()> {
    key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(aad), text)
        .map_err(|_| broken("does not encrypt"))
}

fn random<const N: usize>() -> Result<Zeroizing<[u8; N]>> {
    let mut bytes = Zeroizing::new([0; N]);
    aws_lc_rs::rand::fill(bytes.as_mut_slice()).map_err(|_| broken("has no randomness"))?;
    Ok(bytes)
}

fn broken(what: &str) -> Error {
    Error::new(ErrorKind::Internal, format!("the cryptographic library {what}"))
}

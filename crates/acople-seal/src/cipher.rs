//! AES-256-GCM and randomness, from aws-lc.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use zeroize::Zeroizing;

use acople_core::{Error, ErrorKind, Result};

/// Bytes of a key.
pub(crate) const KEY_LEN: usize = 32;
/// Bytes that sealing adds.
pub(crate) const TAG_LEN: usize = 16;

pub(crate) type NonceBytes = [u8; NONCE_LEN];

pub(crate) fn cipher(bytes: &[u8]) -> Result<LessSafeKey> {
    UnboundKey::new(&AES_256_GCM, bytes).map(LessSafeKey::new).map_err(|_| broken("rejects a key"))
}

/// Seals under a fresh nonce, which it gives back. The buffer's plaintext is overwritten.
pub(crate) fn seal_in_place(
    key: &LessSafeKey,
    aad: &[u8],
    text: &mut Zeroizing<Vec<u8>>,
) -> Result<NonceBytes> {
    // Appending the tag must not move the plaintext: the old place would not be zeroed.
    if text.capacity() < text.len() + TAG_LEN {
        let mut roomy = Zeroizing::new(Vec::with_capacity(text.len() + TAG_LEN));
        roomy.extend_from_slice(text);
        *text = roomy;
    }
    let nonce = *random::<NONCE_LEN>()?;
    key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(aad), &mut **text)
        .map_err(|_| broken("does not encrypt"))?;
    Ok(nonce)
}

/// `None` when the text is not what was sealed with this key, nonce and associated data.
pub(crate) fn open(
    key: &LessSafeKey,
    nonce: &NonceBytes,
    aad: &[u8],
    sealed: &[u8],
) -> Option<Zeroizing<Vec<u8>>> {
    let mut text = Zeroizing::new(sealed.to_vec());
    let length =
        key.open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(aad), &mut text).ok()?.len();
    text.truncate(length);
    Some(text)
}

pub(crate) fn random<const N: usize>() -> Result<Zeroizing<[u8; N]>> {
    let mut bytes = Zeroizing::new([0; N]);
    aws_lc_rs::rand::fill(bytes.as_mut_slice()).map_err(|_| broken("has no randomness"))?;
    Ok(bytes)
}

fn broken(what: &str) -> Error {
    Error::new(ErrorKind::Internal, format!("the cryptographic library {what}"))
}

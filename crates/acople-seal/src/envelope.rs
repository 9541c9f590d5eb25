//! What a sealed text looks like.
//!
//! ```text
//! 1 | length u8, master key's id | nonce | data key under the master key | nonce | text under the data key
//! ```

use aws_lc_rs::aead::NONCE_LEN;

use crate::cipher::{KEY_LEN, NonceBytes, TAG_LEN};

const VERSION: u8 = 1;
const WRAPPED_LEN: usize = KEY_LEN + TAG_LEN;

/// The parts of a sealed text.
pub(crate) struct Envelope<'a> {
    pub(crate) key_id: &'a str,
    pub(crate) wrap_nonce: &'a NonceBytes,
    pub(crate) wrapped: &'a [u8],
    pub(crate) nonce: &'a NonceBytes,
    pub(crate) text: &'a [u8],
}

impl<'a> Envelope<'a> {
    pub(crate) fn of(sealed: &'a [u8]) -> Option<Self> {
        let rest = sealed.strip_prefix(&[VERSION])?;
        let (&id_len, rest) = rest.split_first()?;
        let (id, rest) = rest.split_at_checked(usize::from(id_len))?;
        let (wrap_nonce, rest) = rest.split_first_chunk()?;
        let (wrapped, rest) = rest.split_at_checked(WRAPPED_LEN)?;
        let (nonce, text) = rest.split_first_chunk()?;
        Some(Self { key_id: std::str::from_utf8(id).ok()?, wrap_nonce, wrapped, nonce, text })
    }

    /// `None` when the id is too long, which no key's is.
    pub(crate) fn bytes(&self) -> Option<Vec<u8>> {
        let id_len = u8::try_from(self.key_id.len()).ok()?;
        let length = 2 + self.key_id.len() + 2 * NONCE_LEN + self.wrapped.len() + self.text.len();
        let mut out = Vec::with_capacity(length);
        out.extend([VERSION, id_len]);
        out.extend(self.key_id.as_bytes());
        out.extend(self.wrap_nonce);
        out.extend(self.wrapped);
        out.extend(self.nonce);
        out.extend(self.text);
        Some(out)
    }
}

/// The id of the key that a sealed text needs; `None` when it is not a sealed text.
///
/// It is stored in the clear, and nothing vouches for it before the text has been opened.
pub fn key_id(sealed: &[u8]) -> Option<&str> {
    Envelope::of(sealed).map(|envelope| envelope.key_id)
}

//! What a sealed text looks like.
//!
//! ```text
//! 0 | text
//! 1 | length u8, master key's id | nonce | data key under the master key | nonce | text under the data key
//! 2 | length u16, service key's id | length u16, wrapped data key | nonce | text under the data key
//! ```
//!
//! Numbers are big-endian. The first is plaintext, of a sealer that was asked for it by name.

use aws_lc_rs::aead::NONCE_LEN;

use crate::cipher::{KEY_LEN, NonceBytes, TAG_LEN};

const PLAIN: u8 = 0;
const MASTER: u8 = 1;
const SERVICE: u8 = 2;
const WRAPPED_LEN: usize = KEY_LEN + TAG_LEN;

/// A sealed text, taken apart.
pub(crate) enum Envelope<'a> {
    Plain(&'a [u8]),
    Master(UnderMaster<'a>),
    Service(UnderService<'a>),
}

/// The data key is wrapped by a master key.
pub(crate) struct UnderMaster<'a> {
    pub(crate) key_id: &'a str,
    pub(crate) wrap_nonce: &'a NonceBytes,
    pub(crate) wrapped: &'a [u8],
    pub(crate) nonce: &'a NonceBytes,
    pub(crate) text: &'a [u8],
}

/// The data key is wrapped by a key service.
pub(crate) struct UnderService<'a> {
    pub(crate) key_id: &'a str,
    pub(crate) wrapped: &'a [u8],
    pub(crate) nonce: &'a NonceBytes,
    pub(crate) text: &'a [u8],
}

impl<'a> Envelope<'a> {
    pub(crate) fn of(sealed: &'a [u8]) -> Option<Self> {
        let (&version, rest) = sealed.split_first()?;
        match version {
            PLAIN => Some(Self::Plain(rest)),
            MASTER => UnderMaster::of(rest).map(Self::Master),
            SERVICE => UnderService::of(rest).map(Self::Service),
            _ => None,
        }
    }
}

impl<'a> UnderMaster<'a> {
    fn of(rest: &'a [u8]) -> Option<Self> {
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
        out.extend([MASTER, id_len]);
        out.extend(self.key_id.as_bytes());
        out.extend(self.wrap_nonce);
        out.extend(self.wrapped);
        out.extend(self.nonce);
        out.extend(self.text);
        Some(out)
    }
}

impl<'a> UnderService<'a> {
    fn of(rest: &'a [u8]) -> Option<Self> {
        let (id, rest) = part(rest)?;
        let (wrapped, rest) = part(rest)?;
        let (nonce, text) = rest.split_first_chunk()?;
        Some(Self { key_id: std::str::from_utf8(id).ok()?, wrapped, nonce, text })
    }

    /// `None` when the id or the wrapped key has more than 65,535 bytes.
    pub(crate) fn bytes(&self) -> Option<Vec<u8>> {
        let length = 5 + self.key_id.len() + self.wrapped.len() + NONCE_LEN + self.text.len();
        let mut out = Vec::with_capacity(length);
        out.push(SERVICE);
        for part in [self.key_id.as_bytes(), self.wrapped] {
            out.extend(u16::try_from(part.len()).ok()?.to_be_bytes());
            out.extend(part);
        }
        out.extend(self.nonce);
        out.extend(self.text);
        Some(out)
    }
}

/// Plaintext as it is kept.
pub(crate) fn plain(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(1 + text.len());
    out.push(PLAIN);
    out.extend(text);
    out
}

/// The id of the key that a sealed text needs, a master key's or a service's; `None` when it needs none or is
/// not a sealed text.
///
/// It is stored in the clear, and nothing vouches for it before the text has been opened.
pub fn key_id(sealed: &[u8]) -> Option<&str> {
    match Envelope::of(sealed)? {
        Envelope::Plain(_) => None,
        Envelope::Master(envelope) => Some(envelope.key_id),
        Envelope::Service(envelope) => Some(envelope.key_id),
    }
}

fn part(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))
}

//! Where a sealed text belongs.

use aws_lc_rs::digest::{SHA256, digest};

/// Where a sealed text belongs: it opens nowhere else.
///
/// ```
/// use acople_seal::Place;
///
/// let place = Place { kind: "tokens", key: &["acme", "hubspot", "main"], generation: 7 };
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place<'a> {
    /// What it is, such as `tokens`: a constant of the code that seals it.
    pub kind: &'a str,
    /// Whose it is, in the order that the kind has: tenant, connector, connection.
    pub key: &'a [&'a str],
    /// How often it was written. 0 for what has no generations.
    pub generation: u64,
}

impl Place<'_> {
    /// What a key service may bind a data key to: kind and key, but no generation, which is not known before the
    /// text is written. A digest, so that the service learns no names.
    pub(crate) fn context(&self, key_id: &str) -> Vec<u8> {
        digest(&SHA256, &Place { generation: 0, ..*self }.aad("context", key_id)).as_ref().to_vec()
    }

    /// Each part with its length, so that no two places give the same bytes.
    pub(crate) fn aad(&self, purpose: &str, key_id: &str) -> Vec<u8> {
        let mut out = Vec::new();
        for part in ["acople", purpose, self.kind, key_id].iter().chain(self.key) {
            out.extend((part.len() as u64).to_be_bytes());
            out.extend(part.as_bytes());
        }
        out.extend(self.generation.to_be_bytes());
        out
    }
}

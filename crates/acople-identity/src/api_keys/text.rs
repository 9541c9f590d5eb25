//! The text of a key: `prefix_id_secret`, with a checksum at its end.

use acople_core::{Error, ErrorKind, Result, Secret};
use aws_lc_rs::digest::{SHA256, digest};

/// Random bytes of an id: 80 bits are unique among any number of keys that one host makes.
const ID_BYTES: usize = 10;

/// Random bytes of a secret.
const SECRET_BYTES: usize = 32;

/// Bytes of the checksum.
const CHECK_BYTES: usize = 5;

/// Characters of each part in base32.
const ID: usize = 16;
const SECRET: usize = 52;
const CHECK: usize = 8;

/// RFC 4648, 6, in small letters: no letter has to be escaped anywhere, and a double click selects the whole key.
const ALPHABET: [char; 32] = [
    'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k', 'l', 'm', 'n', 'o', 'p', 'q', 'r', 's', 't', 'u',
    'v', 'w', 'x', 'y', 'z', '2', '3', '4', '5', '6', '7',
];

/// A new key: its id and its text.
pub(crate) fn generate(prefix: &str) -> Result<(String, Secret)> {
    let id = random::<ID_BYTES>()?;
    let secret = Secret::from(random::<SECRET_BYTES>()?);
    let body = Secret::from(format!("{prefix}_{id}_{}", secret.expose()));
    let text = Secret::from(format!("{}{}", body.expose(), checksum(body.expose())));
    Ok((id, text))
}

/// The id in a key's text, if it is one that was made with this prefix.
///
/// # Errors
/// What it is instead, to be put behind "the key".
pub(crate) fn id<'a>(text: &'a str, prefix: &str) -> Result<&'a str, &'static str> {
    let parts = text.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('_'));
    let Some((id, secret)) = parts.and_then(|rest| rest.split_once('_')) else {
        return Err("is not one of this service's: it begins otherwise");
    };
    if id.len() != ID || secret.len() != SECRET + CHECK {
        return Err("has the wrong length: was it cut off?");
    }
    if !id.chars().chain(secret.chars()).all(|c| ALPHABET.contains(&c)) {
        return Err("has a character that no key has: was it changed in copying?");
    }
    let Some((body, check)) = text.split_at_checked(text.len() - CHECK) else {
        return Err("has the wrong length: was it cut off?");
    };
    // No secret: whoever has the rest of the key can work it out.
    if checksum(body) != check {
        return Err("has a wrong checksum: a character was changed in copying");
    }
    Ok(id)
}

/// What a store keeps of a key.
///
/// A single SHA-256: slow hashes are for passwords, whose few bits can be tried out; the 256 random bits of a key
/// cannot, however fast the hash. A slow one would cost every call, and let anybody buy that time with wrong keys.
pub(crate) fn hash(text: &str) -> [u8; 32] {
    digest(&SHA256, text.as_bytes()).as_ref().first_chunk().copied().unwrap_or_default()
}

/// 40 bits of a hash over everything before them: tells a key that was leaked from a text that looks like one, without
/// asking anybody.
fn checksum(body: &str) -> String {
    base32(digest(&SHA256, body.as_bytes()).as_ref().get(..CHECK_BYTES).unwrap_or_default())
}

fn random<const N: usize>() -> Result<String> {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes)
        .map_err(|_| Error::new(ErrorKind::Internal, "the system has no random numbers"))?;
    Ok(base32(&bytes))
}

fn base32(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(5) * 8);
    let (mut buffer, mut bits) = (0_u32, 0);
    for byte in bytes {
        buffer = (buffer << 8 | u32::from(*byte)) & 0xFFFF;
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            text.extend(letter(buffer >> bits));
        }
    }
    if bits > 0 {
        text.extend(letter(buffer << (5 - bits)));
    }
    text
}

fn letter(five_bits: u32) -> Option<&'static char> {
    ALPHABET.get((five_bits & 31) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base32_is_that_of_the_standard() {
        // RFC 4648, 10.
        for (bytes, text) in [
            ("", ""),
            ("f", "my"),
            ("fo", "mzxq"),
            ("foo", "mzxw6"),
            ("foob", "mzxw6yq"),
            ("fooba", "mzxw6ytb"),
            ("foobar", "mzxw6ytboi"),
        ] {
            assert_eq!(base32(bytes.as_bytes()), text);
        }
        assert_eq!(base32(&[0xFF; 10]), "7".repeat(16));
    }
}

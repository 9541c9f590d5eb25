//! Digests, keyed and plain, and how they are written.

use aws_lc_rs::{digest, hmac};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use schemars::JsonSchema;
use serde::Deserialize;

/// How a signature is computed.
///
/// The plain digests are no message authentication codes: vendors that use them want the secret inside the
/// text, as `{secret}`. MD5 and SHA-1 are here because some vendors accept nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Algorithm {
    /// HMAC with SHA-1 (RFC 2104).
    HmacSha1,
    /// HMAC with SHA-256.
    HmacSha256,
    /// HMAC with SHA-512.
    HmacSha512,
    /// MD5 (RFC 1321) of the text.
    Md5,
    /// SHA-1 of the text.
    Sha1,
    /// SHA-256 of the text.
    Sha256,
    /// SHA-512 of the text.
    Sha512,
}

impl Algorithm {
    /// Whether the key is part of the computation, and not of the text.
    pub(crate) fn is_keyed(self) -> bool {
        matches!(self, Self::HmacSha1 | Self::HmacSha256 | Self::HmacSha512)
    }

    pub(crate) fn compute(self, key: &[u8], text: &[u8]) -> Vec<u8> {
        let keyed = |algorithm| hmac::sign(&hmac::Key::new(algorithm, key), text).as_ref().to_vec();
        let plain = |algorithm| digest::digest(algorithm, text).as_ref().to_vec();
        match self {
            Self::HmacSha1 => keyed(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY),
            Self::HmacSha256 => keyed(hmac::HMAC_SHA256),
            Self::HmacSha512 => keyed(hmac::HMAC_SHA512),
            Self::Md5 => md5::compute(text).0.to_vec(),
            Self::Sha1 => plain(&digest::SHA1_FOR_LEGACY_USE_ONLY),
            Self::Sha256 => plain(&digest::SHA256),
            Self::Sha512 => plain(&digest::SHA512),
        }
    }
}

/// How the bytes of a signature are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Encoding {
    /// Lowercase hexadecimal.
    #[default]
    Hex,
    /// Base64 with padding.
    Base64,
    /// Base64 for URLs, without padding.
    Base64Url,
}

impl Encoding {
    pub(crate) fn write(self, bytes: &[u8]) -> String {
        match self {
            Self::Hex => hex(bytes),
            Self::Base64 => STANDARD.encode(bytes),
            Self::Base64Url => URL_SAFE_NO_PAD.encode(bytes),
        }
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from(if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 });
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_algorithms_give_their_published_answers() {
        let compute = |algorithm: Algorithm, key: &str, text: &str| {
            Encoding::Hex.write(&algorithm.compute(key.as_bytes(), text.as_bytes()))
        };
        // RFC 2202 and RFC 4231, case 2.
        let (key, text) = ("Jefe", "what do ya want for nothing?");
        assert_eq!(compute(Algorithm::HmacSha1, key, text), "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
        assert_eq!(
            compute(Algorithm::HmacSha256, key, text),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
        assert!(compute(Algorithm::HmacSha512, key, text).starts_with("164b7a7bfcf819e2e395fbe73b56e0a3"));
        // RFC 1321, A.5, and FIPS 180.
        assert_eq!(compute(Algorithm::Md5, "", "abc"), "900150983cd24fb0d6963f7d28e17f72");
        assert_eq!(compute(Algorithm::Sha1, "", "abc"), "a9993e364706816aba3e25717850c26c9cd0d89d");
        assert!(compute(Algorithm::Sha256, "", "abc").starts_with("ba7816bf8f01cfea414140de5dae2223"));
        assert!(compute(Algorithm::Sha512, "", "abc").starts_with("ddaf35a193617abacc417349ae204131"));
    }
}

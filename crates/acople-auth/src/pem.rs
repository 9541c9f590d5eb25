//! Reads private keys from PEM text.

#![deny(clippy::arithmetic_side_effects)]

use acople_core::{Error, Result};
use aws_lc_rs::rsa::KeyPair;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

const FIELD: &str = "private_key_pem";

/// The key of the first private-key block: PKCS#8 (`PRIVATE KEY`) or PKCS#1 (`RSA PRIVATE KEY`).
///
/// Line breaks written as `\n`, as they come out of JSON and environment files, are taken for what
/// they mean.
///
/// # Errors
/// `Config` that says what is wrong with the text and never repeats any of it.
pub(crate) fn rsa_private_key(pem: &str) -> Result<KeyPair> {
    let (label, der) = private_key(pem)?;
    let key = match label.as_str() {
        "PRIVATE KEY" => KeyPair::from_pkcs8(&der),
        "RSA PRIVATE KEY" => KeyPair::from_der(&der),
        _ => return Err(Error::config(FIELD, "the private key is not an RSA key")),
    };
    // The library's reason is dropped: it is made for programmers and names no field.
    key.map_err(|_| {
        Error::config(FIELD, "the private key is not an RSA key of 2048 to 8192 bits, or is damaged")
    })
}

/// The P-256 key of the first private-key block, for ES256: PKCS#8, as in Apple's `.p8` files.
///
/// # Errors
/// As [`rsa_private_key`].
pub(crate) fn p256_private_key(pem: &str) -> Result<EcdsaKeyPair> {
    let (label, der) = private_key(pem)?;
    if label != "PRIVATE KEY" {
        return Err(Error::config(
            FIELD,
            "the private key is not PKCS#8, as .p8 files have it: convert it with openssl pkcs8 -topk8 -nocrypt",
        ));
    }
    EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &der).map_err(|_| {
        Error::config(FIELD, "the private key is not a P-256 key, which ES256 needs, or is damaged")
    })
}

/// Label and DER of the first private-key block.
fn private_key(pem: &str) -> Result<(String, Zeroizing<Vec<u8>>)> {
    let text = Zeroizing::new(pem.replace("\\r", "").replace("\\n", "\n"));
    let (label, body) = private_key_block(&text)?;
    if label.starts_with("ENCRYPTED") || body.contains("ENCRYPTED") {
        return Err(Error::config(FIELD, "the private key is encrypted: decrypt it first"));
    }
    let mut base64 = Zeroizing::new(String::with_capacity(body.len()));
    base64.extend(body.chars().filter(|c| !c.is_whitespace()));
    let der = STANDARD.decode(base64.as_bytes()).map(Zeroizing::new).map_err(|_| {
        Error::config(FIELD, "the private key's PEM text is damaged: its base64 does not decode")
    })?;
    Ok((label.to_owned(), der))
}

/// Label and content of the first block that is a private key.
fn private_key_block(text: &str) -> Result<(&str, &str)> {
    let mut rest = text;
    let mut others = false;
    while let Some((_, after)) = rest.split_once("-----BEGIN ") {
        let Some((label, after)) = after.split_once("-----") else {
            break;
        };
        let Some((body, after)) = after.split_once("-----END ") else {
            break;
        };
        if label.ends_with("PRIVATE KEY") {
            return Ok((label, body));
        }
        others = true;
        rest = after;
    }
    let what = if others {
        "the PEM text holds no private key: is it a certificate or a public key?"
    } else {
        "the private key is not PEM text: it begins with -----BEGIN PRIVATE KEY----- and has an end"
    };
    Err(Error::config(FIELD, what))
}

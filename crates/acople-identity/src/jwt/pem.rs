//! Reads public keys from PEM text.

use acople_core::{Error, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

const FIELD: &str = "public_key_pem";

/// The `SubjectPublicKeyInfo` (RFC 5280, 4.1.2.7) of the first block. Line breaks written as `\n`, as they come out of
/// JSON and environment files, are taken for what they mean.
///
/// # Errors
/// `Config` that says what the text is instead and never repeats any of it.
pub(crate) fn public_key(text: &str) -> Result<Vec<u8>> {
    let text = text.replace("\\r", "").replace("\\n", "\n");
    let fault = |what: &str| Err(Error::config(FIELD, what));
    let Some((label, after)) =
        text.split_once("-----BEGIN ").and_then(|(_, after)| after.split_once("-----"))
    else {
        return fault("the key is not PEM text: it begins with -----BEGIN PUBLIC KEY----- and has an end");
    };
    match label {
        "PUBLIC KEY" => {}
        "CERTIFICATE" => {
            return fault(
                "this is a certificate: take the key out of it with openssl x509 -in FILE -noout -pubkey",
            );
        }
        "RSA PUBLIC KEY" => {
            return fault(
                "this is a PKCS#1 key: convert it with openssl rsa -RSAPublicKey_in -in FILE -pubout",
            );
        }
        label if label.ends_with("PRIVATE KEY") => {
            return fault(
                "this is a private key: only the issuer should have it; take openssl pkey -in FILE -pubout",
            );
        }
        _ => return fault("the PEM text holds no public key"),
    }
    let Some((body, _)) = after.split_once("-----END PUBLIC KEY-----") else {
        return fault("the PEM text has no end: was it cut off?");
    };
    let base64: String = body.chars().filter(|c| !c.is_whitespace()).collect();
    STANDARD.decode(base64).or_else(|_| fault("the PEM text is damaged: its base64 does not decode"))
}

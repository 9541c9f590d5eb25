//! The certificates of an identity provider: containers of the keys that its answers are checked with.

use std::fmt;

use acople_core::{Error, Result};
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::der::Der;

const FIELD: &str = "certificates";

/// Longest certificate, in bytes.
const LARGEST: usize = 64 << 10;

/// A certificate that an identity provider signs with.
///
/// SAML trusts the key that was configured, not the chain above it: names, purposes and the end of validity are not
/// looked at (OASIS, SAML V2.0 Metadata Interoperability Profile, 2.6.1). A key that must no longer count is taken
/// out of the configuration.
#[derive(Clone, PartialEq, Eq)]
pub struct Certificate {
    pub(super) der: Vec<u8>,
    pub(super) key: PublicKey,
}

/// A key, in the form that the verification takes.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum PublicKey {
    Rsa(Vec<u8>),
    P256(Vec<u8>),
    P384(Vec<u8>),
    P521(Vec<u8>),
}

impl Certificate {
    /// The certificates of a text: PEM (RFC 7468), one block or several, or the bare base64 of one, as it stands in a
    /// provider's metadata (`ds:X509Certificate`).
    ///
    /// # Errors
    /// `Config`: there is no certificate in it, it is damaged, or its key is none that answers may be signed with
    /// (RSA of 2,048 bits or more, or an elliptic curve P-256, P-384 or P-521).
    pub fn parse(text: &str) -> Result<Vec<Self>> {
        if !text.contains("-----BEGIN ") {
            return Ok(vec![Self::from_base64(text)?]);
        }
        let mut certificates = Vec::new();
        let mut rest = text;
        while let Some((_, after)) = rest.split_once("-----BEGIN CERTIFICATE-----") {
            let (body, after) = after
                .split_once("-----END CERTIFICATE-----")
                .ok_or_else(|| Error::config(FIELD, "a certificate's PEM text has no end"))?;
            certificates.push(Self::from_base64(body)?);
            rest = after;
        }
        if certificates.is_empty() {
            return Err(Error::config(FIELD, "the PEM text holds no certificate: is it a key?"));
        }
        Ok(certificates)
    }

    fn from_base64(text: &str) -> Result<Self> {
        let text: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        let der = STANDARD
            .decode(text)
            .map_err(|_| Error::config(FIELD, "a certificate is neither PEM nor base64"))?;
        let key = (der.len() <= LARGEST)
            .then(|| subject_key(&der))
            .flatten()
            .ok_or_else(|| Error::config(FIELD, "a certificate is damaged: it does not decode"))??;
        Ok(Self { der, key })
    }
}

impl fmt::Debug for Certificate {
    /// The SHA-256 fingerprint, as consoles show it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Certificate(")?;
        for byte in digest(&SHA256, &self.der).as_ref() {
            write!(f, "{byte:02x}")?;
        }
        f.write_str(")")
    }
}

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OBJECT_IDENTIFIER: u8 = 0x06;
const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;

const RSA_ENCRYPTION: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
const EC_PUBLIC_KEY: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const P384: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x22];
const P521: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x23];

/// `subjectPublicKeyInfo` of a certificate (RFC 5280, 4.1), `None` where the DER does not decode.
fn subject_key(der: &[u8]) -> Option<Result<PublicKey>> {
    let mut certificate = Der(der).expect(SEQUENCE)?;
    let mut tbs = certificate.expect(SEQUENCE)?;
    if tbs.0.first() == Some(&VERSION) {
        tbs.expect(VERSION)?;
    }
    tbs.expect(INTEGER)?; // serialNumber
    for _ in ["signature", "issuer", "validity", "subject"] {
        tbs.expect(SEQUENCE)?;
    }
    let mut info = tbs.expect(SEQUENCE)?;
    let mut algorithm = info.expect(SEQUENCE)?;
    let [0, bits @ ..] = info.expect(BIT_STRING)?.0 else { return None };
    let bits = bits.to_vec();
    let unfit =
        || Err(Error::config(FIELD, "a certificate's key is neither RSA nor on P-256, P-384 or P-521"));
    match algorithm.expect(OBJECT_IDENTIFIER)?.0 {
        RSA_ENCRYPTION => {
            let modulus = Der(&bits).expect(SEQUENCE)?.expect(INTEGER)?.0;
            let modulus = modulus.strip_prefix(&[0]).unwrap_or(modulus);
            if modulus.len() < 256 {
                return Some(Err(Error::config(FIELD, "a certificate's RSA key is shorter than 2,048 bits")));
            }
            Some(Ok(PublicKey::Rsa(bits)))
        }
        EC_PUBLIC_KEY => Some(match algorithm.expect(OBJECT_IDENTIFIER)?.0 {
            P256 => Ok(PublicKey::P256(bits)),
            P384 => Ok(PublicKey::P384(bits)),
            P521 => Ok(PublicKey::P521(bits)),
            _ => unfit(),
        }),
        _ => Some(unfit()),
    }
}

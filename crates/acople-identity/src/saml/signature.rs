//! Verifies the signature that is enveloped in an element (XML Signature Syntax and Processing 1.1), in the one shape
//! that SAML allows (SAML Core, 5.4), and gives what it covers.

use acople_core::{Error, ErrorKind, Result};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{Algorithm, SHA256, SHA384, SHA512, digest};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ECDSA_P521_SHA512_FIXED, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256,
    RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, UnparsedPublicKey, VerificationAlgorithm,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::c14n::Canonical;
use super::certificate::{Certificate, PublicKey};
use super::xml::{Element, broken, parse};

/// The namespace of XML signatures.
pub(super) const DS: &str = "http://www.w3.org/2000/09/xmldsig#";

const EXCLUSIVE: &str = "http://www.w3.org/2001/10/xml-exc-c14n#";
const EXCLUSIVE_WITH_COMMENTS: &str = "http://www.w3.org/2001/10/xml-exc-c14n#WithComments";
const ENVELOPED: &str = "http://www.w3.org/2000/09/xmldsig#enveloped-signature";

/// The last element of `path` as its own signature covers it: read anew from the canonical bytes that were hashed, so
/// that nothing else can be in it. The element is the signature's parent and no other: nothing is looked up by an id.
///
/// # Errors
/// `Reauth` that says why the signature does not count.
pub(super) fn verified(path: &[&Element], certificates: &[Certificate]) -> Result<Element> {
    let element = *path.last().ok_or_else(|| broken("there is no element"))?;
    let signature = element.only(DS, "Signature")?.ok_or_else(|| refused("there is no signature"))?;
    if let Some(odd) = signature.elements().find(|child| {
        !["SignedInfo", "SignatureValue", "KeyInfo"].contains(&child.local.as_str()) || child.namespace != DS
    }) {
        return Err(refused(format!("the signature holds {}, which SAML does not allow", odd.local)));
    }
    let info = required(signature, "SignedInfo")?;
    let reference = required(info, "Reference")?;
    if info.elements().count() != 3 {
        return Err(refused("the signature does not have one reference alone"));
    }

    let value = base64(&required(signature, "SignatureValue")?.text()?)?;
    let how = canonicalization(required(info, "CanonicalizationMethod")?, None)?;
    let mut way = path.to_vec();
    way.extend([signature, info]);
    check_value(&how.bytes(&way), &value, algorithm(required(info, "SignatureMethod")?)?, certificates)?;

    // From here on what SignedInfo says is the provider's word.
    let id = element.attribute("ID").filter(|id| !id.is_empty());
    if id.is_none() || reference.attribute("URI").and_then(|uri| uri.strip_prefix('#')) != id {
        return Err(refused("the signature is about another element"));
    }
    let transforms: Vec<&Element> = required(reference, "Transforms")?.elements().collect();
    let [enveloped, canonical] = transforms.as_slice() else {
        return Err(refused("the signature's transforms are not the two that SAML allows"));
    };
    if ![enveloped, canonical].iter().all(|t| t.is(DS, "Transform")) || algorithm(enveloped)? != ENVELOPED {
        return Err(refused("the signature's transforms are not the two that SAML allows"));
    }
    let how = canonicalization(canonical, Some(signature))?;
    let covered = how.bytes(path);
    let hash = digest(digest_method(algorithm(required(reference, "DigestMethod")?)?)?, &covered);
    let claimed = base64(&required(reference, "DigestValue")?.text()?)?;
    verify_slices_are_equal(hash.as_ref(), &claimed)
        .map_err(|_| refused(format!("the {} was changed after it was signed", element.local)))?;
    // Written out, a short document is longer; it was bounded when it came.
    let read = parse(&covered, usize::MAX)?;
    if (Canonical { without: None, ..how }).bytes(&[&read]) != covered {
        return Err(broken("the signed part does not read as it was written"));
    }
    Ok(read)
}

/// Tries the keys that were configured; a key that comes along with the answer is never looked at.
fn check_value(signed: &[u8], value: &[u8], method: &str, certificates: &[Certificate]) -> Result<()> {
    let mut fits = false;
    for certificate in certificates {
        let Some((algorithm, key)) = verification(method, &certificate.key)? else { continue };
        fits = true;
        if UnparsedPublicKey::new(algorithm, key).verify(signed, value).is_ok() {
            return Ok(());
        }
    }
    Err(refused(if fits {
        "the signature was not made with a key of the configured certificates"
    } else {
        "the signature's algorithm does not go with the keys of the configured certificates"
    }))
}

/// How a key verifies a method's signatures; `None` when the method is for other keys.
fn verification<'k>(
    method: &str,
    key: &'k PublicKey,
) -> Result<Option<(&'static dyn VerificationAlgorithm, &'k [u8])>> {
    // RFC 9231, 2.3.2, 2.3.6 and 2.3.10.
    let (family, name) = method.split_once('#').unwrap_or((method, ""));
    let known = match (family, name) {
        ("http://www.w3.org/2001/04/xmldsig-more" | "http://www.w3.org/2007/05/xmldsig-more", name) => name,
        (DSIG, "rsa-sha1" | "dsa-sha1" | "hmac-sha1") => "sha1",
        _ => "",
    };
    let rsa: Option<&'static dyn VerificationAlgorithm> = match known {
        "rsa-sha256" => Some(&RSA_PKCS1_2048_8192_SHA256),
        "rsa-sha384" => Some(&RSA_PKCS1_2048_8192_SHA384),
        "rsa-sha512" => Some(&RSA_PKCS1_2048_8192_SHA512),
        "sha256-rsa-MGF1" => Some(&RSA_PSS_2048_8192_SHA256),
        "sha384-rsa-MGF1" => Some(&RSA_PSS_2048_8192_SHA384),
        "sha512-rsa-MGF1" => Some(&RSA_PSS_2048_8192_SHA512),
        _ => None,
    };
    let found: Option<(&'static dyn VerificationAlgorithm, &[u8])> = match (known, key) {
        ("ecdsa-sha256", PublicKey::P256(key)) => Some((&ECDSA_P256_SHA256_FIXED, key)),
        ("ecdsa-sha384", PublicKey::P384(key)) => Some((&ECDSA_P384_SHA384_FIXED, key)),
        ("ecdsa-sha512", PublicKey::P521(key)) => Some((&ECDSA_P521_SHA512_FIXED, key)),
        ("ecdsa-sha256" | "ecdsa-sha384" | "ecdsa-sha512", _) => None,
        ("sha1" | "rsa-sha1" | "ecdsa-sha1" | "rsa-md5", _) => {
            return Err(refused("the signature uses SHA-1 or older: set the identity provider to SHA-256"));
        }
        (_, key) => match (rsa, key) {
            (None, _) => return Err(refused("the signature's algorithm is not accepted")),
            (Some(algorithm), PublicKey::Rsa(key)) => Some((algorithm, key)),
            (Some(_), _) => None,
        },
    };
    Ok(found)
}

/// The namespace of XML signatures without its `#`.
const DSIG: &str = "http://www.w3.org/2000/09/xmldsig";

fn digest_method(method: &str) -> Result<&'static Algorithm> {
    match method {
        "http://www.w3.org/2001/04/xmlenc#sha256" => Ok(&SHA256),
        "http://www.w3.org/2001/04/xmldsig-more#sha384" => Ok(&SHA384),
        "http://www.w3.org/2001/04/xmlenc#sha512" => Ok(&SHA512),
        "http://www.w3.org/2000/09/xmldsig#sha1" => {
            Err(refused("the signature uses SHA-1 or older: set the identity provider to SHA-256"))
        }
        _ => Err(refused("the signature's digest is not accepted")),
    }
}

fn canonicalization<'a>(method: &'a Element, without: Option<&'a Element>) -> Result<Canonical<'a>> {
    if ![EXCLUSIVE, EXCLUSIVE_WITH_COMMENTS].contains(&algorithm(method)?) {
        return Err(refused("the signature does not use exclusive canonicalization, which SAML asks for"));
    }
    let inclusive = match method.only(EXCLUSIVE, "InclusiveNamespaces")? {
        Some(list) => list
            .attribute("PrefixList")
            .unwrap_or_default()
            .split_ascii_whitespace()
            .map(|prefix| if prefix == "#default" { "" } else { prefix })
            .collect(),
        None => Vec::new(),
    };
    Ok(Canonical { inclusive, without })
}

fn algorithm(method: &Element) -> Result<&str> {
    method.attribute("Algorithm").ok_or_else(|| broken(format!("{} names no algorithm", method.local)))
}

fn required<'a>(parent: &'a Element, local: &str) -> Result<&'a Element> {
    parent.only(DS, local)?.ok_or_else(|| broken(format!("{} has no {local}", parent.local)))
}

fn base64(text: &str) -> Result<Vec<u8>> {
    let text: String = text.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    STANDARD.decode(text).map_err(|_| broken("the signature is not base64"))
}

/// An answer that does not count, and why.
pub(super) fn refused(message: impl AsRef<str>) -> Error {
    Error::new(ErrorKind::Reauth, message)
}

//! Reads JSON Web Keys (RFC 7517; RFC 7518, 6; RFC 8037, 2).

use aws_lc_rs::signature::ParsedPublicKey;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::algorithm::{JwtAlgorithm, Scheme};
use super::key::{Material, VerificationKey};

const RSA: [JwtAlgorithm; 6] = [
    JwtAlgorithm::Rs256,
    JwtAlgorithm::Rs384,
    JwtAlgorithm::Rs512,
    JwtAlgorithm::Ps256,
    JwtAlgorithm::Ps384,
    JwtAlgorithm::Ps512,
];

/// Bits of an RSA modulus.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// Why a key set cannot be used.
#[cfg(feature = "jwks")]
#[derive(Debug, PartialEq)]
pub(crate) enum SetFault {
    /// Not the JSON that it should be.
    Unreadable(&'static str),
    /// More keys than are taken.
    TooMany(usize),
    /// No key that could be used, and why the first could not.
    NoneFit(Option<String>),
}

/// The keys of a published set (RFC 7517, 5) that verify signatures. Others are passed over: sets hold keys for
/// encryption, and of kinds that came later. Shared secrets are never taken from one.
#[cfg(feature = "jwks")]
pub(crate) fn key_set(text: &[u8], max_keys: usize) -> Result<Vec<VerificationKey>, SetFault> {
    let members = crate::json::object(text).map_err(SetFault::Unreadable)?;
    let Some(Value::Array(published)) = members.get("keys") else {
        return Err(SetFault::Unreadable("has no list of keys"));
    };
    if published.len() > max_keys {
        return Err(SetFault::TooMany(published.len()));
    }
    let mut keys = Vec::with_capacity(published.len());
    let mut first_fault = None;
    for one in published {
        let read = match one {
            Value::Object(members) => key(members, false),
            _ => Err("is not a JSON object".to_owned()),
        };
        match read {
            Ok(key) => keys.push(key),
            Err(fault) => {
                first_fault.get_or_insert(fault);
            }
        }
    }
    if keys.is_empty() { Err(SetFault::NoneFit(first_fault)) } else { Ok(keys) }
}

/// One key.
///
/// # Errors
/// What is wrong, to be put behind "the key".
pub(crate) fn key(members: &Map<String, Value>, secrets: bool) -> Result<VerificationKey, String> {
    if text(members, "use")?.is_some_and(|purpose| purpose != "sig") {
        return Err("is for encryption (its use is not sig)".into());
    }
    match members.get("key_ops") {
        None => {}
        Some(Value::Array(operations)) if operations.iter().any(|one| one == "verify") => {}
        Some(_) => return Err("is not for verifying (its key_ops)".into()),
    }
    let (material, fitting) = match text(members, "kty")?.unwrap_or_default() {
        "RSA" => (rsa(members)?, RSA.to_vec()),
        "EC" => {
            let algorithm = match text(members, "crv")?.unwrap_or_default() {
                "P-256" => JwtAlgorithm::Es256,
                "P-384" => JwtAlgorithm::Es384,
                _ => return Err("is on a curve that is not supported: P-256 and P-384 are".into()),
            };
            (point(members, algorithm)?, vec![algorithm])
        }
        "OKP" if text(members, "crv")? == Some("Ed25519") => {
            (point(members, JwtAlgorithm::EdDsa)?, vec![JwtAlgorithm::EdDsa])
        }
        "OKP" => return Err("is on a curve that is not supported: Ed25519 is".into()),
        "oct" if secrets => {
            let secret = VerificationKey::hmac(&bytes(members, "k")?).map_err(|e| e.message().to_owned())?;
            (secret.material, vec![JwtAlgorithm::Hs256])
        }
        "oct" => return Err("is a secret, which is not to be published".into()),
        _ => return Err("is of a kind (kty) that is not supported: RSA, EC and OKP are".into()),
    };
    let algorithms = match text(members, "alg")? {
        None => fitting,
        // RFC 9864 renames what RFC 8037 calls EdDSA.
        Some("Ed25519") if fitting == [JwtAlgorithm::EdDsa] => fitting,
        Some(name) => match JwtAlgorithm::named(name).filter(|one| fitting.contains(one)) {
            Some(algorithm) => vec![algorithm],
            None => return Err("has an alg that does not fit its kind, or is not supported".into()),
        },
    };
    let id = text(members, "kid")?.map(str::to_owned);
    Ok(VerificationKey { id, algorithms, material })
}

fn rsa(members: &Map<String, Value>) -> Result<Material, String> {
    let unsigned = |bytes: Vec<u8>| bytes.into_iter().skip_while(|byte| *byte == 0).collect::<Vec<u8>>();
    let (n, e) = (unsigned(bytes(members, "n")?), unsigned(bytes(members, "e")?));
    let leading = n.first().map_or(0, |byte| byte.leading_zeros() as usize);
    let bits = (n.len() * 8).saturating_sub(leading);
    if !RSA_BITS.contains(&bits) {
        return Err(format!("is an RSA key of {bits} bits: 2048 to 8192 are taken"));
    }
    // With an exponent of 1 everything is its own signature.
    let is_odd = e.last().is_some_and(|byte| byte % 2 == 1);
    if !is_odd || e == [1] || e.len() > 4 {
        return Err("has an RSA exponent that is not taken: 65537 is usual".into());
    }
    Ok(Material::Rsa { n, e })
}

fn point(members: &Map<String, Value>, algorithm: JwtAlgorithm) -> Result<Material, String> {
    let (scheme, point) = match algorithm.scheme() {
        Scheme::Ec(scheme, size) => {
            let (x, y) = (bytes(members, "x")?, bytes(members, "y")?);
            if x.len() != size || y.len() != size {
                return Err("has coordinates of the wrong length".into());
            }
            // The uncompressed point of SEC 1, 2.3.3.
            (scheme, [&[4][..], &x, &y].concat())
        }
        Scheme::Ed(scheme) => {
            let x = bytes(members, "x")?;
            if x.len() != 32 {
                return Err("has a coordinate of the wrong length".into());
            }
            (scheme, x)
        }
        Scheme::Rsa(_) | Scheme::Hmac => return Err("is no point on a curve".into()),
    };
    ParsedPublicKey::new(scheme, point)
        .map(Material::Parsed)
        .map_err(|_| "is damaged: its point is not on the curve".into())
}

fn text<'a>(members: &'a Map<String, Value>, name: &str) -> Result<Option<&'a str>, String> {
    match members.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(format!("has a member {name} that is not a text")),
    }
}

fn bytes(members: &Map<String, Value>, name: &str) -> Result<Vec<u8>, String> {
    let text = text(members, name)?.ok_or_else(|| format!("has no member {name}"))?;
    URL_SAFE_NO_PAD.decode(text).map_err(|_| format!("has a member {name} that is not base64url"))
}

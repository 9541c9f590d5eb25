//! An issuer of tokens with keys made for the test.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, UNIX_EPOCH};

use acople_core::Secret;
use acople_identity::{JwtAlgorithm, JwtConfig, JwtVerifier, KeySource};
use acople_testkit::FakeClock;
use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
    KeyPair as _, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384,
    RSA_PSS_SHA512,
};
use aws_lc_rs::{hmac, signature};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

pub(crate) const ISSUER: &str = "https://login.example.com/";
pub(crate) const AUDIENCE: &str = "orders-api";
/// What the fake clock begins with.
pub(crate) const NOW: u64 = 1_767_225_600;
pub(crate) const SHARED: &str = "a-shared-secret-with-32-bytes-00";

pub(crate) enum SigningKey {
    Rsa(KeyPair),
    Ec(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
    Shared(&'static str),
}

/// A key for each kind; making RSA keys takes long.
pub(crate) fn rsa() -> &'static SigningKey {
    static KEY: OnceLock<SigningKey> = OnceLock::new();
    KEY.get_or_init(SigningKey::new_rsa)
}

impl SigningKey {
    pub(crate) fn new_rsa() -> Self {
        Self::Rsa(KeyPair::generate(KeySize::Rsa2048).unwrap())
    }

    pub(crate) fn new_p256() -> Self {
        Self::Ec(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap())
    }

    pub(crate) fn new_p384() -> Self {
        Self::Ec(EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap())
    }

    pub(crate) fn new_ed() -> Self {
        Self::Ed(Ed25519KeyPair::generate().unwrap())
    }

    pub(crate) fn sign(&self, algorithm: JwtAlgorithm, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::Rsa(pair) => {
                let encoding: &dyn signature::RsaEncoding = match algorithm {
                    JwtAlgorithm::Rs384 => &RSA_PKCS1_SHA384,
                    JwtAlgorithm::Rs512 => &RSA_PKCS1_SHA512,
                    JwtAlgorithm::Ps256 => &RSA_PSS_SHA256,
                    JwtAlgorithm::Ps384 => &RSA_PSS_SHA384,
                    JwtAlgorithm::Ps512 => &RSA_PSS_SHA512,
                    _ => &RSA_PKCS1_SHA256,
                };
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(encoding, &random, message, &mut signature).unwrap();
                signature
            }
            Self::Ec(pair) => pair.sign(&random, message).unwrap().as_ref().to_vec(),
            Self::Ed(pair) => pair.sign(message).as_ref().to_vec(),
            Self::Shared(secret) => mac(secret.as_bytes(), message),
        }
    }

    /// A token with `alg` put into the header.
    pub(crate) fn token(&self, algorithm: JwtAlgorithm, header: &Value, claims: &Value) -> Secret {
        let mut header = header.clone();
        header["alg"] = algorithm.as_str().into();
        self.compact(algorithm, &header.to_string(), &claims.to_string())
    }

    /// A token of these very texts.
    pub(crate) fn compact(&self, algorithm: JwtAlgorithm, header: &str, payload: &str) -> Secret {
        let message = format!("{}.{}", b64(header), b64(payload));
        let signature = self.sign(algorithm, message.as_bytes());
        Secret::from(format!("{message}.{}", b64(signature)))
    }

    /// The public half as its issuer would publish it.
    pub(crate) fn jwk(&self, kid: &str) -> Value {
        match self {
            Self::Rsa(pair) => {
                // RSAPublicKey of 2048 bits (RFC 8017, A.1.1): 9 bytes before the modulus, an exponent of 65537.
                let der = pair.public_key().as_ref();
                json!({"kty": "RSA", "kid": kid, "n": b64(&der[9..265]), "e": "AQAB"})
            }
            Self::Ec(pair) => {
                let point = &pair.public_key().as_ref()[1..];
                let (x, y) = point.split_at(point.len() / 2);
                let curve = if x.len() == 32 { "P-256" } else { "P-384" };
                json!({"kty": "EC", "kid": kid, "crv": curve, "x": b64(x), "y": b64(y)})
            }
            Self::Ed(pair) => {
                json!({"kty": "OKP", "kid": kid, "crv": "Ed25519", "x": b64(pair.public_key())})
            }
            Self::Shared(secret) => json!({"kty": "oct", "kid": kid, "k": b64(secret)}),
        }
    }

    pub(crate) fn public_der(&self) -> Vec<u8> {
        let der: PublicKeyX509Der<'_> = match self {
            Self::Rsa(pair) => pair.public_key().as_der().unwrap(),
            Self::Ec(pair) => pair.public_key().as_der().unwrap(),
            Self::Ed(pair) => pair.public_key().as_der().unwrap(),
            Self::Shared(_) => panic!("a secret has no public half"),
        };
        der.as_ref().to_vec()
    }

    pub(crate) fn public_pem(&self) -> String {
        let body = STANDARD.encode(self.public_der());
        format!("-----BEGIN PUBLIC KEY-----\n{body}\n-----END PUBLIC KEY-----\n")
    }
}

pub(crate) fn mac(secret: &[u8], message: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message).as_ref().to_vec()
}

pub(crate) fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

pub(crate) fn claims() -> Value {
    json!({"iss": ISSUER, "aud": AUDIENCE, "sub": "u-17", "exp": NOW + 600, "nbf": NOW, "iat": NOW})
}

/// The claims with some of them changed; `null` takes one out.
pub(crate) fn changed(changes: &[(&str, Value)]) -> Value {
    let mut claims = claims();
    for (name, value) in changes {
        claims[*name] = value.clone();
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(*name);
        }
    }
    claims
}

pub(crate) fn config(algorithms: &[JwtAlgorithm]) -> JwtConfig {
    JwtConfig::new(ISSUER, AUDIENCE, algorithms.iter().copied())
}

pub(crate) fn verifier(config: JwtConfig, keys: impl KeySource) -> JwtVerifier {
    JwtVerifier::new(config, keys).unwrap().with_clock(Arc::new(FakeClock::new()))
}

pub(crate) fn clock_at(seconds: u64) -> Arc<FakeClock> {
    Arc::new(FakeClock::at(UNIX_EPOCH + Duration::from_secs(seconds)))
}

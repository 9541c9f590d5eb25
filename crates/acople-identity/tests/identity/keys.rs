//! Keys as hosts and issuers write them.

use acople_core::{ErrorKind, Secret};
use acople_identity::{JwtAlgorithm, KeySet, VerificationKey};
use serde_json::{Value, json};

use crate::issuer::{SHARED, SigningKey, b64, claims, config, rsa, verifier};

/// A good public key of 1024 bits.
const WEAK_PEM: &str = "-----BEGIN PUBLIC KEY-----
MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQCpiSNw6ReDnWZWk2mn56E4lwGn
YCf7grZdmEQG+8rKUQBPa4FEtttSFU3Lw1g8AWor8xiLuaQVLn6a2efuU+NrOpVY
m+2BVINMvzX0WbbZ8G0wPSedpYAw7wf+YzTsbMHq9uDRCIv7DpnFBIAHAl6NSaJm
J6OjGRBdMmanVZtNqQIDAQAB
-----END PUBLIC KEY-----";

fn jwk(value: &Value) -> acople_core::Result<VerificationKey> {
    VerificationKey::jwk(&Secret::from(value.to_string()))
}

fn with(mut key: Value, name: &str, value: Value) -> Value {
    key[name] = value;
    key
}

#[tokio::test]
async fn each_algorithm_verifies_with_its_key_and_no_other_does() {
    let (p256, p384, ed) = (SigningKey::new_p256(), SigningKey::new_p384(), SigningKey::new_ed());
    let shared = SigningKey::Shared(SHARED);
    let signing = |algorithm: JwtAlgorithm| match algorithm {
        JwtAlgorithm::Es256 => &p256,
        JwtAlgorithm::Es384 => &p384,
        JwtAlgorithm::EdDsa => &ed,
        JwtAlgorithm::Hs256 => &shared,
        _ => rsa(),
    };
    for algorithm in JwtAlgorithm::ALL {
        let key = signing(algorithm);
        let mut ways = vec![
            jwk(&key.jwk("k")).unwrap(),
            jwk(&with(key.jwk("k"), "alg", algorithm.as_str().into())).unwrap(),
        ];
        if algorithm != JwtAlgorithm::Hs256 {
            ways.push(VerificationKey::pem(algorithm, &key.public_pem()).unwrap());
            ways.push(VerificationKey::pem(algorithm, &key.public_pem().replace('\n', "\\n")).unwrap());
        }
        for way in ways {
            let of_one_algorithm = way.algorithms().len() == 1;
            let verifier = verifier(config(&JwtAlgorithm::ALL), KeySet::new([way]));
            for other in JwtAlgorithm::ALL {
                let token = signing(other).token(other, &json!({}), &claims());
                let result = verifier.verify(&token).await;
                // An RSA key without an alg is for all algorithms of its kind.
                let fits = other == algorithm
                    || (!of_one_algorithm && std::ptr::eq(signing(other), signing(algorithm)));
                assert_eq!(result.is_ok(), fits, "{algorithm} key, {other} token");
            }
        }
    }
}

#[test]
fn a_pem_text_that_is_no_fitting_public_key_says_what_it_is() {
    let p256 = SigningKey::new_p256();
    let damaged = p256.public_pem().replacen("MF", "!!", 1);
    let cut = p256.public_pem().get(..60).unwrap().to_owned();
    for (algorithm, text, why) in [
        (JwtAlgorithm::Rs256, WEAK_PEM.to_owned(), "2048 to 8192 bits"),
        (JwtAlgorithm::Ps512, p256.public_pem(), "RSA key"),
        (JwtAlgorithm::Es256, rsa().public_pem(), "P-256"),
        (JwtAlgorithm::Es384, p256.public_pem(), "P-384"),
        (JwtAlgorithm::EdDsa, p256.public_pem(), "Ed25519"),
        (JwtAlgorithm::Hs256, p256.public_pem(), "a public key is none"),
        (JwtAlgorithm::Es256, damaged, "base64"),
        (JwtAlgorithm::Es256, cut, "cut off"),
        (JwtAlgorithm::Es256, "CANARY".into(), "not PEM"),
        (JwtAlgorithm::Es256, String::new(), "not PEM"),
        (JwtAlgorithm::Rs256, "-----BEGIN CERTIFICATE-----\nCANARY".into(), "openssl x509"),
        (JwtAlgorithm::Rs256, "-----BEGIN RSA PUBLIC KEY-----\nCANARY".into(), "openssl rsa"),
        (JwtAlgorithm::Rs256, "-----BEGIN PRIVATE KEY-----\nCANARY".into(), "openssl pkey"),
        (JwtAlgorithm::Rs256, "-----BEGIN EC PRIVATE KEY-----\nCANARY".into(), "openssl pkey"),
    ] {
        let error = VerificationKey::pem(algorithm, &text).unwrap_err();
        assert_eq!((error.kind(), error.fields()), (ErrorKind::Config, &["public_key_pem".to_owned()][..]));
        assert!(error.message().contains(why), "{why}: {error}");
        assert!(!format!("{error:?}").contains("CANARY"));
    }
}

#[test]
fn a_shared_secret_is_long_and_no_key_file() {
    let pem = rsa().public_pem();
    let jwk = rsa().jwk("k").to_string();
    for (secret, why) in [
        ("", "0 bytes"),
        ("short", "5 bytes"),
        (SHARED.get(1..).unwrap(), "31 bytes"),
        (&pem, "key file"),
        (&jwk, "key file"),
    ] {
        let error = VerificationKey::secret(&Secret::from(secret)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.message().contains(why), "{error}");
    }
    let key = VerificationKey::secret(&Secret::from(SHARED)).unwrap().with_id("k-1");
    assert_eq!((key.id(), key.algorithms()), (Some("k-1"), &[JwtAlgorithm::Hs256][..]));
    assert!(!format!("{key:?}").contains(SHARED));
}

#[test]
fn auth_13_published_keys_are_held_to_what_they_say() {
    let (p256, p384, ed) =
        (SigningKey::new_p256().jwk("k"), SigningKey::new_p384().jwk("k"), SigningKey::new_ed().jwk("k"));
    let rsa = || rsa().jwk("k");
    jwk(&with(rsa(), "use", "sig".into())).unwrap();
    jwk(&with(rsa(), "key_ops", json!(["verify"]))).unwrap();
    jwk(&with(ed.clone(), "alg", "Ed25519".into())).unwrap();
    // Some issuers write the modulus with a leading zero.
    let n = [vec![0], base64_of(&rsa()["n"])].concat();
    jwk(&with(rsa(), "n", b64(n).into())).unwrap();
    for (key, why) in [
        (with(rsa(), "use", "enc".into()), "encryption"),
        (with(rsa(), "use", 1.into()), "not a text"),
        (with(rsa(), "key_ops", json!(["sign"])), "key_ops"),
        (with(rsa(), "key_ops", json!("verify")), "key_ops"),
        (with(rsa(), "alg", "HS256".into()), "alg"),
        (with(rsa(), "alg", "ES256".into()), "alg"),
        (with(rsa(), "alg", "none".into()), "alg"),
        (with(rsa(), "alg", "RSA-OAEP".into()), "alg"),
        (with(rsa(), "n", b64([0xC1; 128]).into()), "1024 bits"),
        (with(rsa(), "n", b64([0x7F; 256]).into()), "2047 bits"),
        (with(rsa(), "n", b64([0xC1; 1025]).into()), "8200 bits"),
        (with(rsa(), "n", "".into()), "0 bits"),
        (with(rsa(), "n", "a+b/".into()), "base64url"),
        (with(rsa(), "n", json!(null)), "no member n"),
        (with(rsa(), "e", b64([1]).into()), "exponent"),
        (with(rsa(), "e", b64([2]).into()), "exponent"),
        (with(rsa(), "e", b64([0]).into()), "exponent"),
        (with(rsa(), "e", b64([1; 5]).into()), "exponent"),
        (with(p256.clone(), "crv", "P-384".into()), "length"),
        (with(p256.clone(), "crv", "P-521".into()), "curve"),
        (with(p256.clone(), "crv", "secp256k1".into()), "curve"),
        (with(p256.clone(), "x", p256["y"].clone()), "not on the curve"),
        (with(p256.clone(), "x", b64([0; 33]).into()), "length"),
        (with(p256, "alg", "RS256".into()), "alg"),
        (with(p384, "alg", "ES256".into()), "alg"),
        (with(ed.clone(), "crv", "X25519".into()), "curve"),
        (with(ed, "x", b64([1; 31]).into()), "length"),
        (json!({"kty": "oct", "k": b64("short")}), "32 bytes"),
        (json!({"kty": "oct", "alg": "RS256", "k": b64(SHARED)}), "alg"),
        (json!({"kty": "rsa"}), "kind"),
        (json!({}), "kind"),
        (json!([]), "not a JSON object"),
    ] {
        let error = jwk(&key).expect_err(why);
        assert!(error.message().contains(why), "{why}: {error}");
    }
}

fn base64_of(value: &Value) -> Vec<u8> {
    use base64::Engine;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(value.as_str().unwrap()).unwrap()
}

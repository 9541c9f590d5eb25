//! A signed token with one bit changed is never accepted.

use acople_core::Secret;
use acople_identity::{JwtAlgorithm, KeySet, VerificationKey};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proptest::prelude::*;
use serde_json::json;

use crate::issuer::{SHARED, SigningKey, b64, claims, config, verifier};

/// Every algorithm whose signatures take microseconds, or else every bit of every byte would take minutes.
fn fast() -> Vec<(JwtAlgorithm, SigningKey)> {
    vec![
        (JwtAlgorithm::Hs256, SigningKey::Shared(SHARED)),
        (JwtAlgorithm::EdDsa, SigningKey::new_ed()),
        (JwtAlgorithm::Es256, SigningKey::new_p256()),
    ]
}

fn key(key: &SigningKey) -> KeySet {
    KeySet::new([VerificationKey::jwk(&Secret::from(key.jwk("k").to_string())).unwrap()])
}

#[tokio::test]
async fn auth_13_no_bit_of_a_token_can_be_changed() {
    for (algorithm, signing) in fast() {
        let verifier = verifier(config(&JwtAlgorithm::ALL), key(&signing));
        let token = signing.token(algorithm, &json!({"kid": "k"}), &claims());
        verifier.verify(&token).await.unwrap();
        // The text as it stands: seven bits of each character, so that it stays text.
        let text = token.expose().as_bytes();
        for position in 0..text.len() {
            for bit in 0..7 {
                let mut changed = text.to_vec();
                changed[position] ^= 1 << bit;
                let changed = Secret::from(String::from_utf8(changed).unwrap());
                assert!(verifier.verify(&changed).await.is_err(), "{algorithm}: {position}, bit {bit}");
            }
        }
        // What it means: each bit of each decoded part.
        let parts: Vec<Vec<u8>> =
            token.expose().split('.').map(|part| URL_SAFE_NO_PAD.decode(part).unwrap()).collect();
        for part in 0..3 {
            for bit in 0..parts[part].len() * 8 {
                let mut changed = parts.clone();
                changed[part][bit / 8] ^= 1 << (bit % 8);
                let text = changed.iter().map(b64).collect::<Vec<_>>().join(".");
                assert!(
                    verifier.verify(&Secret::from(text)).await.is_err(),
                    "{algorithm}: part {part}, bit {bit}"
                );
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn auth_13_no_text_is_a_token_by_chance_and_none_is_a_panic(text in "[A-Za-z0-9_.=-]{0,200}|.{0,60}") {
        let verifier = verifier(config(&JwtAlgorithm::ALL), key(&SigningKey::Shared(SHARED)));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        prop_assert!(runtime.block_on(verifier.verify(&Secret::from(text))).is_err());
    }

    #[test]
    fn auth_13_parts_of_good_tokens_in_another_order_are_none(picks in prop::array::uniform3(0_usize..6)) {
        let signing = SigningKey::Shared(SHARED);
        let verifier = verifier(config(&JwtAlgorithm::ALL), key(&signing));
        let one = signing.token(JwtAlgorithm::Hs256, &json!({"kid": "k"}), &claims());
        let other = signing.token(JwtAlgorithm::Hs256, &json!({"kid": "k", "n": 2}), &crate::issuer::changed(&[("n", json!(2))]));
        let parts: Vec<&str> = one.expose().split('.').chain(other.expose().split('.')).collect();
        let text = picks.map(|pick| parts[pick]).join(".");
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let taken = runtime.block_on(verifier.verify(&Secret::from(text))).is_ok();
        prop_assert_eq!(taken, picks == [0, 1, 2] || picks == [3, 4, 5]);
    }
}

//! The examples that the standards publish.

use acople_core::{ErrorKind, Secret};
use acople_identity::{JwtAlgorithm, JwtConfig, JwtVerifier, KeySet, VerificationKey};

use serde_json::Value;

use crate::issuer::clock_at;

/// RFC 7515, A.1 to A.3: one payload, three signatures.
const PAYLOAD: &str =
    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
const EXP: u64 = 1_300_819_380;

const HS256: [&str; 3] = [
    r#"{"kty":"oct","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"}"#,
    "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9",
    "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
];
const RS256: [&str; 3] = [
    r#"{"kty":"RSA","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ","e":"AQAB"}"#,
    "eyJhbGciOiJSUzI1NiJ9",
    "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw",
];
const ES256: [&str; 3] = [
    r#"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#,
    "eyJhbGciOiJFUzI1NiJ9",
    "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
];

fn verifier(algorithms: &[JwtAlgorithm], jwk: &str) -> JwtVerifier {
    let mut config = JwtConfig::new("joe", "nobody", algorithms.iter().copied());
    config.any_audience = true;
    let keys = KeySet::new([VerificationKey::jwk(&Secret::from(jwk)).unwrap()]);
    JwtVerifier::new(config, keys).unwrap().with_clock(clock_at(EXP - 1))
}

#[tokio::test]
async fn the_examples_of_rfc_7515_appendix_a_verify() {
    for (algorithm, [jwk, header, signature]) in
        [(JwtAlgorithm::Hs256, HS256), (JwtAlgorithm::Rs256, RS256), (JwtAlgorithm::Es256, ES256)]
    {
        let verifier = verifier(&[algorithm], jwk);
        let token = Secret::from(format!("{header}.{PAYLOAD}.{signature}"));
        let verified = verifier.verify(&token).await.unwrap();
        assert_eq!(verified.algorithm, algorithm);
        assert_eq!(verified.claims["http://example.com/is_root"], true);
        // A minute of leeway after its end it is over.
        let error = verifier.clone().with_clock(clock_at(EXP + 60)).verify(&token).await.unwrap_err();
        assert_eq!(error.code(), Some("token_expired"), "{algorithm}");
        // The signature of another example is none.
        let other = Secret::from(format!("{header}.{PAYLOAD}.{}", HS256[2].replace('d', "e")));
        let error = verifier.verify(&other).await.unwrap_err();
        assert_eq!((error.kind(), error.code()), (ErrorKind::Reauth, Some("signature_invalid")));
    }
}

#[tokio::test]
async fn auth_13_the_unsecured_example_of_rfc_7515_a_5_is_refused() {
    let token = Secret::from(format!("eyJhbGciOiJub25lIn0.{PAYLOAD}."));
    for jwk in [HS256[0], RS256[0], ES256[0]] {
        let error = verifier(&JwtAlgorithm::ALL, jwk).verify(&token).await.unwrap_err();
        assert_eq!(error.code(), Some("algorithm_refused"));
    }
}

#[tokio::test]
async fn the_ed25519_example_of_rfc_8037_a_4_has_a_good_signature() {
    let jwk = r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
    let verifier = verifier(&[JwtAlgorithm::EdDsa], jwk);
    let text = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
    // Its payload is a sentence and no claims, which is found only when the signature is good.
    let error = verifier.verify(&Secret::from(text)).await.unwrap_err();
    assert_eq!(error.message(), "the token's payload is not JSON");
    let error = verifier.verify(&Secret::from(text.replace(".hgyY", ".hgyZ"))).await.unwrap_err();
    assert_eq!(error.code(), Some("signature_invalid"));
}

#[tokio::test]
async fn tokens_made_by_another_library_verify() {
    let file: Value = serde_json::from_str(include_str!("pyjwt.json")).unwrap();
    let mut keys: Vec<VerificationKey> = file["keys"]
        .as_array()
        .unwrap()
        .iter()
        .map(|key| VerificationKey::jwk(&Secret::from(key.to_string())).unwrap())
        .collect();
    keys.push(
        VerificationKey::secret(&Secret::from(file["secret"].as_str().unwrap())).unwrap().with_id("hs"),
    );
    let verifier = crate::issuer::verifier(crate::issuer::config(&JwtAlgorithm::ALL), KeySet::new(keys));
    let tokens = file["tokens"].as_array().unwrap();
    for token in tokens {
        let secret = Secret::from(token["token"].as_str().unwrap());
        let verified = verifier.verify(&secret).await.unwrap();
        assert_eq!(verified.algorithm.as_str(), token["algorithm"]);
        let identity = verifier.identity(&secret).await.unwrap();
        assert_eq!((identity.subject.as_str(), identity.name.as_deref()), ("u-17", Some("Ánn 🔑")));
    }
    assert_eq!(tokens.len(), JwtAlgorithm::ALL.len());
}

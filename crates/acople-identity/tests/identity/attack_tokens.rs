//! Tokens that attackers make.

use acople_core::{ErrorKind, Secret};
use acople_identity::{JwtAlgorithm, JwtVerifier, KeySet, VerificationKey};
use serde_json::{Value, json};

use crate::issuer::{AUDIENCE, NOW, SHARED, SigningKey, b64, changed, claims, config, mac, rsa, verifier};

const RS: JwtAlgorithm = JwtAlgorithm::Rs256;
const ES: JwtAlgorithm = JwtAlgorithm::Es256;

struct Lab {
    p256: SigningKey,
    attacker: SigningKey,
    attacker_p256: SigningKey,
    verifier: JwtVerifier,
}

impl Lab {
    fn new() -> Self {
        let p256 = SigningKey::new_p256();
        let keys = [
            VerificationKey::pem(RS, &rsa().public_pem()).unwrap().with_id("rsa-1"),
            VerificationKey::pem(ES, &p256.public_pem()).unwrap().with_id("ec-1"),
        ];
        let verifier = verifier(config(&[RS, ES]), KeySet::new(keys));
        let (attacker, attacker_p256) = (SigningKey::new_rsa(), SigningKey::new_p256());
        Self { p256, attacker, attacker_p256, verifier }
    }

    async fn code(&self, token: &Secret) -> String {
        refusal(&self.verifier, token).await
    }
}

async fn refusal(verifier: &JwtVerifier, token: &Secret) -> String {
    let error = verifier.identity(token).await.expect_err("an attack succeeded");
    assert_eq!(error.kind(), ErrorKind::Reauth, "{error}");
    error.code().unwrap().to_owned()
}

fn header() -> Value {
    json!({"typ": "JWT", "kid": "rsa-1"})
}

fn with(name: &str, value: Value) -> Value {
    let mut header = header();
    header[name] = value;
    header
}

fn good() -> Secret {
    rsa().token(RS, &header(), &claims())
}

/// header.payload of these texts, and a signature.
fn forged(header: &str, signature: &str) -> Secret {
    Secret::from(format!("{}.{}.{signature}", b64(header), b64(claims().to_string())))
}

#[tokio::test]
async fn auth_13_the_untouched_tokens_are_accepted() {
    let lab = Lab::new();
    for token in [good(), lab.p256.token(ES, &json!({"kid": "ec-1"}), &claims())] {
        let identity = lab.verifier.identity(&token).await.unwrap();
        assert_eq!((identity.issuer.as_str(), identity.subject.as_str()), (crate::issuer::ISSUER, "u-17"));
    }
}

#[tokio::test]
async fn auth_13_no_token_chooses_its_algorithm() {
    let lab = Lab::new();
    let signature = good().expose().rsplit_once('.').unwrap().1.to_owned();
    for alg in
        ["none", "None", "NONE", "nOnE", "", "HS256", "hs256", "rs256", "RS512", "PS256", "ES512", "RS256 "]
    {
        let header = json!({"alg": alg, "kid": "rsa-1"}).to_string();
        for signature in ["", signature.as_str()] {
            let code = lab.code(&forged(&header, signature)).await;
            assert_eq!(code, "algorithm_refused", "{alg}");
        }
    }
    assert_eq!(lab.code(&forged(r#"{"kid":"rsa-1"}"#, &signature)).await, "algorithm_refused");
    for alg in ["null", "256", r#"["RS256"]"#, r#"{"a":"RS256"}"#] {
        let header = format!(r#"{{"alg":{alg},"kid":"rsa-1"}}"#);
        assert_eq!(lab.code(&forged(&header, &signature)).await, "token_malformed", "{alg}");
    }
    // Properly signed, in a way that was not configured.
    for algorithm in [JwtAlgorithm::Rs384, JwtAlgorithm::Rs512, JwtAlgorithm::Ps256] {
        assert_eq!(lab.code(&rsa().token(algorithm, &header(), &claims())).await, "algorithm_refused");
    }
}

#[tokio::test]
async fn auth_13_the_public_key_is_no_shared_secret() {
    let lab = Lab::new();
    let (pem, der) = (rsa().public_pem(), rsa().public_der());
    let jwk = rsa().jwk("rsa-1").to_string();
    let (trimmed, one_line) = (pem.trim().to_owned(), pem.replace('\n', "\\n"));
    let secrets: Vec<&[u8]> =
        vec![pem.as_bytes(), trimmed.as_bytes(), one_line.as_bytes(), &der, jwk.as_bytes(), &[], &[0]];
    // Also where the host takes HS256 of somebody else with a secret of its own.
    let both = verifier(
        config(&[RS, JwtAlgorithm::Hs256]),
        KeySet::new([
            VerificationKey::pem(RS, &pem).unwrap().with_id("rsa-1"),
            VerificationKey::secret(&Secret::from(SHARED)).unwrap().with_id("shared-1"),
        ]),
    );
    for secret in secrets {
        for (kid, in_both) in [("\"rsa-1\"", "key_unknown"), ("\"shared-1\"", "signature_invalid")] {
            let header = format!(r#"{{"alg":"HS256","kid":{kid}}}"#);
            let message = format!("{}.{}", b64(header), b64(claims().to_string()));
            let token = Secret::from(format!("{message}.{}", b64(mac(secret, message.as_bytes()))));
            assert_eq!(lab.code(&token).await, "algorithm_refused");
            assert_eq!(refusal(&both, &token).await, in_both);
        }
        let header = r#"{"alg":"HS256"}"#;
        let message = format!("{}.{}", b64(header), b64(claims().to_string()));
        let token = Secret::from(format!("{message}.{}", b64(mac(secret, message.as_bytes()))));
        assert_eq!(refusal(&both, &token).await, "signature_invalid");
    }
    // The two honest ones are taken.
    both.identity(&good()).await.unwrap();
    let shared =
        SigningKey::Shared(SHARED).token(JwtAlgorithm::Hs256, &json!({"kid": "shared-1"}), &claims());
    both.identity(&shared).await.unwrap();
}

#[tokio::test]
async fn auth_13_no_token_brings_or_chooses_its_key() {
    let lab = Lab::new();
    let sign = |header: &Value| lab.attacker.token(RS, header, &claims());
    // Signed by another key.
    assert_eq!(lab.code(&sign(&header())).await, "signature_invalid");
    assert_eq!(lab.code(&sign(&json!({}))).await, "signature_invalid");
    for kid in ["rsa-2", "", "RSA-1", "rsa-1 ", "../../../dev/null", "' UNION SELECT 'key", "ec-1"] {
        assert_eq!(lab.code(&sign(&with("kid", kid.into()))).await, "key_unknown", "{kid}");
    }
    for kid in [json!(1), json!(["rsa-1"]), json!(null)] {
        assert_eq!(lab.code(&sign(&with("kid", kid))).await, "token_malformed");
    }
    // A good key, for another algorithm.
    let crossed = lab.p256.token(ES, &header(), &claims());
    assert_eq!(lab.code(&crossed).await, "key_unknown");
    // A key of the attacker's own.
    let lenient = JwtVerifier::new(
        config(&[RS, ES]).ignore_key_headers(),
        KeySet::new([VerificationKey::pem(RS, &rsa().public_pem()).unwrap().with_id("rsa-1")]),
    )
    .unwrap()
    .with_clock(crate::issuer::clock_at(NOW));
    for (name, value) in [
        ("jwk", lab.attacker.jwk("rsa-1")),
        ("jku", json!("https://evil.example/jwks.json")),
        ("x5u", json!("https://evil.example/cert.pem")),
        ("x5c", json!(["MIIB"])),
    ] {
        let header = with(name, value);
        assert_eq!(lab.code(&sign(&header)).await, "header_refused", "{name}");
        assert_eq!(lab.code(&rsa().token(RS, &header, &claims())).await, "header_refused", "{name}");
        // An issuer that always sends it: passed over, and never read.
        assert_eq!(refusal(&lenient, &sign(&header)).await, "signature_invalid", "{name}");
        lenient.identity(&rsa().token(RS, &header, &claims())).await.unwrap();
    }
    // Extensions that must be understood.
    for crit in [json!(["exp"]), json!(["b64"]), json!([]), json!("b64")] {
        assert_eq!(lab.code(&rsa().token(RS, &with("crit", crit), &claims())).await, "header_refused");
    }
}

#[tokio::test]
async fn auth_13_what_is_not_exactly_a_token_is_refused() {
    let lab = Lab::new();
    let token = good();
    let parts: Vec<&str> = token.expose().split('.').collect();
    let [header, payload, signature] = parts[..] else { panic!("not three parts") };
    for text in [
        String::new(),
        ".".into(),
        "..".into(),
        "opaque-token-of-another-kind".into(),
        format!("{header}.{payload}"),
        format!("{header}.{payload}.{signature}."),
        format!("{header}.{payload}.{signature}.{signature}"),
        format!("{header}.{payload}.{signature}.{signature}.{signature}"),
        format!("{header}.{payload}.{signature}="),
        format!("{header}.{payload}.{signature}\n"),
        format!(" {header}.{payload}.{signature}"),
        format!("Bearer {header}.{payload}.{signature}"),
        format!("{header}=.{payload}.{signature}"),
        format!("{}.{payload}.{signature}", b64("not JSON")),
        format!("{}.{payload}.{signature}", b64(r#"["RS256"]"#)),
        format!("{}.{payload}.{signature}", b64(r#"{"alg":"RS256","kid":"rsa-1","alg":"RS256"}"#)),
        format!("{}.{payload}.{signature}", b64(r#"{"alg":"none","alg":"RS256","kid":"rsa-1"}"#)),
        format!("{}.{payload}.{signature}", b64(r#"{"alg":"RS256","kid":"a","k\u0069d":"rsa-1"}"#)),
        format!("{}.{payload}.{signature}", b64("[".repeat(5000))),
    ] {
        assert_eq!(lab.code(&Secret::from(text.clone())).await, "token_malformed", "{text:.60}");
    }
    let other = b64(changed(&[("sub", json!("admin"))]).to_string());
    for text in [
        format!("{header}.{payload}."),
        format!("{header}.{payload}.{}", signature.get(..signature.len() - 6).unwrap()),
        format!("{header}.{payload}.{}", b64([0; 256])),
        format!("{header}.{payload}.{}", b64([0xFF; 256])),
        format!("{header}.{other}.{signature}"),
        format!("{header}..{signature}"),
        format!("{header}.{payload}=.{signature}"),
        format!("{}.{payload}.{signature}", b64(r#"{"alg":"RS256","kid":"rsa-1"}"#)),
    ] {
        assert_eq!(lab.code(&Secret::from(text.clone())).await, "signature_invalid", "{text:.60}");
    }
    // ECDSA with a signature of zeros (CVE-2022-21449), and with one in DER.
    let kid = json!({"alg": "ES256", "kid": "ec-1"}).to_string();
    for zeros in [vec![0; 64], vec![0; 63], vec![0x30, 6, 2, 1, 0, 2, 1, 0], Vec::new()] {
        assert_eq!(lab.code(&forged(&kid, &b64(zeros))).await, "signature_invalid");
    }
    assert_eq!(
        lab.code(&lab.attacker_p256.token(ES, &json!({"kid": "ec-1"}), &claims())).await,
        "signature_invalid"
    );
    // Signed by the issuer, and yet ambiguous.
    for payload in [
        format!(
            r#"{{"iss":"x","iss":"https://login.example.com/","aud":"{AUDIENCE}","sub":"u","exp":{}}}"#,
            NOW + 600
        ),
        "not JSON".into(),
        "[]".into(),
        String::new(),
    ] {
        let token = rsa().compact(RS, r#"{"alg":"RS256","kid":"rsa-1"}"#, &payload);
        assert_eq!(lab.code(&token).await, "token_malformed", "{payload}");
    }
}

#[tokio::test]
async fn auth_13_tokens_for_others_of_others_and_of_other_times_are_refused() {
    let lab = Lab::new();
    for (name, value, code) in [
        ("iss", json!("https://login.example.com"), "issuer_refused"),
        ("iss", json!("https://evil.example/"), "issuer_refused"),
        ("iss", json!("HTTPS://LOGIN.EXAMPLE.COM/"), "issuer_refused"),
        ("iss", json!(["https://login.example.com/"]), "issuer_refused"),
        ("iss", json!(null), "claim_missing"),
        ("aud", json!("billing-api"), "audience_refused"),
        ("aud", json!("Orders-API"), "audience_refused"),
        ("aud", json!(["a", "b"]), "audience_refused"),
        ("aud", json!([]), "audience_refused"),
        ("aud", json!([["orders-api"]]), "audience_refused"),
        ("aud", json!({"orders-api": true}), "audience_refused"),
        ("aud", json!(7), "audience_refused"),
        ("aud", json!(null), "claim_missing"),
        ("exp", json!(NOW - 60), "token_expired"),
        ("exp", json!(0), "token_expired"),
        ("exp", json!(1_767_225_539.5), "token_expired"),
        ("exp", json!(NOW.to_string()), "claim_invalid"),
        ("exp", json!(-1), "claim_invalid"),
        ("exp", json!(1e300), "claim_invalid"),
        ("exp", json!(u64::MAX), "claim_invalid"),
        ("exp", json!(true), "claim_invalid"),
        ("exp", json!([NOW + 600]), "claim_invalid"),
        ("exp", json!(null), "claim_missing"),
        ("nbf", json!(NOW + 61), "token_not_yet_valid"),
        ("nbf", json!("soon"), "claim_invalid"),
        ("sub", json!(null), "claim_missing"),
        ("sub", json!(""), "claim_invalid"),
        ("sub", json!(17), "claim_invalid"),
    ] {
        let token = rsa().token(RS, &header(), &changed(&[(name, value.clone())]));
        assert_eq!(lab.code(&token).await, code, "{name} {value}");
    }
    let long = rsa().token(RS, &header(), &changed(&[("pad", json!("x".repeat(16 << 10)))]));
    assert_eq!(lab.code(&long).await, "token_too_large");
}

//! Declared signatures: three vendors' own, and what goes wrong with declarations.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use acople_auth::{
    Algorithm, AppSecretProof, Encoding, KeyForm, OAuth1, OAuth1Keys, Put, RequestSigner, RequestSigning,
    ServerClock, SigningRule, StaticAuth, TimeFormat,
};
use acople_core::{AuthProvider, Context, ErrorKind, Request, Resources, Secret};
use acople_http::{Call, Client, StatusClassifier};
use acople_testkit::{FakeClock, Reply, ScriptedTransport};
use http::{HeaderValue, Method};
use serde_json::json;

const SECRET: &str = "4Vj8eK4rloUd272L48hsrarnUA";

fn clock() -> ServerClock {
    let resources = Resources::new(Arc::new(ScriptedTransport::new([])));
    ServerClock::new(&resources.with_clock(Arc::new(FakeClock::new())))
}

fn signer(id: &str, secret: &str, signing: &RequestSigning) -> RequestSigner {
    RequestSigner::new(id, Secret::from(secret), signing, &clock()).unwrap()
}

async fn signed(
    auth: &dyn AuthProvider,
    method: Method,
    url: &str,
    kind: &'static str,
    body: &str,
) -> Request {
    let mut request = Request::new(method, url.parse().unwrap());
    if !kind.is_empty() {
        request.headers_mut().insert("content-type", HeaderValue::from_static(kind));
    }
    request.set_body(body.to_owned());
    auth.authorize(&Context::new(), &mut request).await.unwrap();
    request
}

fn header(name: &str, value: &str) -> Put {
    Put::Header { name: name.into(), value: value.into() }
}

/// As a config says it, so that the config's spelling is tested with it.
fn declared(signing: serde_json::Value) -> RequestSigning {
    serde_json::from_value(signing).unwrap()
}

fn khipu() -> RequestSigning {
    declared(json!({
        "algorithm": "hmac_sha256",
        "rules": [{
            "text": "{method}&{url_encoded}{&params}",
            "put": [{"header": {"name": "authorization", "value": "{id}:{signature}"}}],
        }],
    }))
}

fn payu() -> RequestSigning {
    declared(json!({
        "algorithm": "md5",
        "rules": [{
            "text": "{secret}~{id}~{json:/transaction/order/referenceCode}\
                     ~{json:/transaction/order/additionalValues/TX_VALUE/value}\
                     ~{json:/transaction/order/additionalValues/TX_VALUE/currency}",
            "put": [{"json": {"pointer": "/transaction/order/signature", "value": "{signature}"}}],
        }],
    }))
}

fn bancard() -> RequestSigning {
    let put = json!([{"json": {"pointer": "/operation/token", "value": "{signature}"}}]);
    declared(json!({
        "algorithm": "md5",
        "rules": [
            {"path": "/single_buy", "put": put, "text":
                "{secret}{json:/operation/shop_process_id}{json:/operation/amount}{json:/operation/currency}"},
            {"path": "/single_buy/confirmations", "put": put,
                "text": "{secret}{json:/operation/shop_process_id}get_confirmation"},
            {"path": "/single_buy/rollback", "put": put,
                "text": "{secret}{json:/operation/shop_process_id}rollback0.00"},
            {"path": "/users/*/cards", "method": "delete", "put": put,
                "text": "{secret}delete_card{json:/operation/user_id}{json:/operation/alias_token}"},
        ],
    }))
}

#[tokio::test]
async fn khipu_signs_method_url_and_sorted_parameters() {
    let auth = signer("4711", "khipu-secret", &khipu());
    let form = "application/x-www-form-urlencoded";
    let url = "https://khipu.com/api/2.0/payments";
    let request =
        signed(&auth, Method::POST, url, form, "subject=Caf%C3%A9+con+leche&amount=1000&currency=CLP").await;
    // This and the next were computed apart, with Python's hmac.
    assert_eq!(
        request.headers()["authorization"],
        "4711:5054a66cd8965d818c4e66ce0cf30efedb62c8e541921c3f547ead71a565394b"
    );
    let request = signed(&auth, Method::GET, "https://khipu.com/api/2.0/banks", "", "").await;
    assert_eq!(
        request.headers()["authorization"],
        "4711:7727b95bfa0a0274f8f485b67f7cafc687483216b8dc8f7d973df9e596163997"
    );
}

#[tokio::test]
async fn payu_has_its_published_digest_inside_the_order() {
    let auth = signer("508029", SECRET, &payu());
    let body = r#"{"command":"SUBMIT_TRANSACTION","transaction":{"order":{"signature":"","referenceCode":"payment_test_00000001","additionalValues":{"TX_VALUE":{"value":100,"currency":"ARS"}}}}}"#;
    let request =
        signed(&auth, Method::POST, "https://sandbox.api.payulatam.com/x", "application/json", body).await;
    let expected = body.replace(r#""signature":"""#, r#""signature":"95d7e92b23cae0cae6a98e34cc54be39""#);
    assert_eq!(std::str::from_utf8(request.body()).unwrap(), expected, "nothing else changes");
    // Signed once more, as a second attempt is.
    let again = signed(&auth, Method::POST, "https://sandbox.api.payulatam.com/x", "", &expected).await;
    assert_eq!(std::str::from_utf8(again.body()).unwrap(), expected);
}

#[tokio::test]
async fn bancard_signs_each_call_by_a_rule_of_its_own() {
    let auth = signer("", "private", &bancard());
    let token = |request: Request| {
        let body: serde_json::Value = serde_json::from_slice(request.body()).unwrap();
        body["operation"]["token"].as_str().unwrap().to_owned()
    };
    let base = "https://vpos.infonet.com.py/vpos/api/0.3";
    let buy = r#"{"operation":{"shop_process_id":54322,"amount":"10330.00","currency":"PYG"}}"#;
    let request = signed(&auth, Method::POST, &format!("{base}/single_buy"), "", buy).await;
    // Computed apart, with Python's hashlib.
    assert_eq!(token(request), "bc9168fe3528686802310eaf16e6d753");
    let back = r#"{"operation":{"shop_process_id":54322}}"#;
    let request = signed(&auth, Method::POST, &format!("{base}/single_buy/rollback"), "", back).await;
    assert_eq!(token(request), "aee83168363e029b724c1d3c9861e911");
    let card = r#"{"operation":{"user_id":9,"alias_token":"t-1"}}"#;
    let request = signed(&auth, Method::DELETE, &format!("{base}/users/9/cards"), "", card).await;
    assert_eq!(token(request), "3d02eb070a098ddb538e3b317d7b8716");

    let mut request = Request::new(Method::POST, format!("{base}/users/9/cards").parse().unwrap());
    let error = auth.authorize(&Context::new(), &mut request).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.message().contains("no rule"), "{error}");
}

#[tokio::test]
async fn a_text_may_hold_time_nonce_headers_and_the_bodys_digest() {
    let rule = SigningRule::new(
        "{method}\n{host}\n{path}\n{query}\n{timestamp}\n{nonce}\n{header:content-type}\n{body:sha256:hex}\n{{{id}}}",
        [
            header("x-timestamp", "{timestamp}"),
            header("x-nonce", "{nonce}"),
            header("x-signature", "v1={signature}"),
            Put::Query { name: "key".into(), value: "{id}".into() },
        ],
    );
    let signing = RequestSigning::new(Algorithm::HmacSha512, [rule])
        .encoding(Encoding::Base64)
        .key(KeyForm::Base64)
        .time(TimeFormat::Rfc3339);
    let auth = signer("id-1", "c2VjcmV0", &signing);
    let url = "https://api.example.com:8443/a%20b?x=1&y=2";
    let request = signed(&auth, Method::PUT, url, "text/plain", "abc").await;
    assert_eq!(request.headers()["x-timestamp"], "2026-01-01T00:00:00Z");
    let nonce = request.headers()["x-nonce"].to_str().unwrap();
    assert_eq!(nonce.len(), 32);
    let text = format!(
        "PUT\napi.example.com:8443\n/a%20b\nx=1&y=2\n2026-01-01T00:00:00Z\n{nonce}\ntext/plain\n\
         ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\n{{id-1}}"
    );
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA512, b"secret");
    let signature = aws_lc_rs::hmac::sign(&key, text.as_bytes());
    let signature = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, signature);
    assert_eq!(request.headers()["x-signature"], format!("v1={signature}"));
    assert_eq!(request.secret_query()[0].1.expose(), "id-1");
    let other = signed(&auth, Method::PUT, url, "text/plain", "abc").await;
    assert_ne!(other.headers()["x-nonce"], request.headers()["x-nonce"]);
}

#[test]
fn a_declaration_that_cannot_work_is_refused_with_the_place_of_its_fault() {
    let rule = |text: &str, put: Put| SigningRule::new(text, [put]);
    let put = || header("x-s", "{signature}");
    let hmac = |rule: SigningRule| RequestSigning::new(Algorithm::HmacSha256, [rule]);
    for (signing, field) in [
        (RequestSigning::new(Algorithm::HmacSha256, []), "rules"),
        (hmac(rule("{methode}", put())), "rules[0].text"),
        (hmac(rule("{method", put())), "rules[0].text"),
        (hmac(rule("method}", put())), "rules[0].text"),
        (hmac(rule("{signature}", put())), "rules[0].text"),
        (hmac(rule("{body:sha3:hex}", put())), "rules[0].text"),
        (hmac(rule("{json:a}", put())), "rules[0].text"),
        (hmac(rule("{body}", header("x s", "{signature}"))), "rules[0].put[0].header.name"),
        (hmac(rule("{body}", header("x-s", "{sig}"))), "rules[0].put[0].value"),
        (
            hmac(rule("{body}", Put::Json { pointer: "t".into(), value: "{signature}".into() })),
            "rules[0].put[0].json.pointer",
        ),
        (RequestSigning::new(Algorithm::Md5, [rule("{body}", put())]), "rules[0].text"),
        (hmac(rule("{body}", put())).key(KeyForm::Base64), "secret"),
    ] {
        let error = RequestSigner::new("", Secret::from("no*base64"), &signing, &clock()).unwrap_err();
        assert_eq!((error.kind(), error.fields()), (ErrorKind::Config, &[field.to_owned()][..]), "{error}");
        assert!(!format!("{error:?}").contains("no*base64"));
    }
}

#[tokio::test]
async fn a_request_that_lacks_what_is_signed_is_invalid_and_is_not_sent() {
    let transport = ScriptedTransport::new([]);
    let auth = signer("508029", SECRET, &payu());
    let client = Client::builder("https://api.example.com", Arc::new(transport.clone()))
        .unwrap()
        .auth(Arc::new(auth))
        .build();
    for body in ["{}", "", "[]", r#"{"transaction":7}"#] {
        let error = client.send(&Context::new(), &Call::post("pay").raw_json(body)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{body}");
        assert_eq!(error.fields(), ["/transaction/order/referenceCode"]);
    }
    assert!(transport.sent().is_empty());
}

#[tokio::test(start_paused = true)]
async fn auth_11_declared_signatures_and_oauth_1_follow_the_vendors_clock() {
    let theirs = 1_767_225_600 + 86_400;
    for oauth in [false, true] {
        let transport = ScriptedTransport::function(move |sent, _| {
            let date = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(theirs));
            let named = sent.header("x-time").map(str::to_owned).or_else(|| {
                let header = sent.header("authorization")?;
                Some(header.split_once("oauth_timestamp=\"")?.1.split('"').next()?.to_owned())
            });
            let good = named.unwrap().parse::<u64>().unwrap().abs_diff(theirs) <= 300;
            if good { Reply::json(200, "{}") } else { Reply::json(401, "{}") }.header("date", &date)
        });
        let resources = Resources::new(Arc::new(transport.clone())).with_clock(Arc::new(FakeClock::new()));
        let clock = ServerClock::new(&resources);
        let rule =
            SigningRule::new("{timestamp}", [header("x-time", "{timestamp}"), header("x-s", "{signature}")]);
        let signing = RequestSigning::new(Algorithm::HmacSha256, [rule]);
        let auth: Arc<dyn AuthProvider> = if oauth {
            Arc::new(OAuth1::new(OAuth1Keys::new("ck", "cs"), &clock).unwrap())
        } else {
            Arc::new(RequestSigner::new("", Secret::from(SECRET), &signing, &clock).unwrap())
        };
        let client = Client::with_resources("https://api.example.com", &resources)
            .unwrap()
            .auth(auth)
            .classifier(clock.classifier(StatusClassifier))
            .build();
        for _ in 0..2 {
            client.send(&Context::new(), &Call::get("list")).await.unwrap();
        }
        assert_eq!(transport.sent().len(), 3, "oauth: {oauth}");
    }
}

#[tokio::test]
async fn oauth_1_in_the_query_is_on_the_wire_only_and_is_replaced_by_the_next_attempt() {
    let auth = OAuth1::new(OAuth1Keys::new("ck_1", "cs_1"), &clock()).unwrap().in_query();
    let url = "http://localhost/wp-json/wc/v3/orders?page=2";
    let mut request = signed(&auth, Method::GET, url, "", "").await;
    auth.authorize(&Context::new(), &mut request).await.unwrap();
    assert_eq!(request.url().query(), Some("page=2"));
    let (_, on_the_wire, headers, _) = request.into_parts();
    let names: Vec<_> = on_the_wire.query_pairs().map(|(name, _)| name.into_owned()).collect();
    assert_eq!(
        names,
        [
            "page",
            "oauth_consumer_key",
            "oauth_nonce",
            "oauth_signature_method",
            "oauth_timestamp",
            "oauth_signature"
        ]
    );
    assert!(headers.is_empty());
}

#[test]
fn oauth_1_names_what_is_missing() {
    let with = |keys: OAuth1Keys| OAuth1::new(keys, &clock());
    let token_alone: OAuth1Keys =
        serde_json::from_value(json!({"consumer_key": "a", "consumer_secret": "b", "token": "c"})).unwrap();
    for (auth, field) in [
        (with(OAuth1Keys::new("", "cs")), "consumer_key"),
        (with(OAuth1Keys::new("ck", "")), "consumer_secret"),
        (with(token_alone), "token_secret"),
        (with(OAuth1Keys::new("ck", "cs")).and_then(|auth| auth.realm("a\"b")), "realm"),
    ] {
        assert_eq!(auth.unwrap_err().fields(), [field]);
    }
}

#[tokio::test]
async fn meta_gets_a_proof_of_the_token_wherever_it_is() {
    // Computed apart, with Python's hmac.
    let proof = "294c307ff2427ed2140908ec13f483ef7f7d7819a8fc32fb535cf6ada2327ab2";
    for inner in [
        StaticAuth::bearer(Secret::from("EAAB-token")),
        StaticAuth::query("access_token", Secret::from("EAAB-token")),
    ] {
        let auth = AppSecretProof::new(Secret::from("app-secret"), Arc::new(inner)).unwrap();
        let request = signed(&auth, Method::GET, "https://graph.facebook.com/v23.0/me", "", "").await;
        let (_, found) = request.secret_query().iter().find(|(name, _)| name == "appsecret_proof").unwrap();
        assert_eq!(found.expose(), proof);
        assert_eq!(request.url().query(), None);
    }
    let nothing = StaticAuth::query("key", Secret::from("k"));
    let auth = AppSecretProof::new(Secret::from("app-secret"), Arc::new(nothing)).unwrap();
    let mut request = Request::new(Method::GET, "https://graph.facebook.com/me".parse().unwrap());
    let error = auth.authorize(&Context::new(), &mut request).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(AppSecretProof::new(Secret::default(), Arc::new(auth)).is_err());
}

#[tokio::test]
async fn sec_01_no_secret_and_no_signature_is_in_any_text() {
    let put = Put::Json { pointer: "/token".into(), value: "{signature}".into() };
    let rule = SigningRule::new("{secret}{body}", [put, header("x-s", "{signature}")]);
    let signing = RequestSigning::new(Algorithm::Sha256, [rule]);
    let proof =
        AppSecretProof::new(Secret::from("canary-app"), Arc::new(StaticAuth::bearer("canary-token".into())));
    let providers: [Arc<dyn AuthProvider>; 6] = [
        Arc::new(signer("", "canary-secret", &signing)),
        Arc::new(proof.unwrap()),
        Arc::new(
            OAuth1::new(OAuth1Keys::new("ck", "canary-cs").with_token("tk", "canary-ts"), &clock()).unwrap(),
        ),
        Arc::new(StaticAuth::json("/key", "canary-json".into())),
        Arc::new(StaticAuth::form("key", "canary-form".into())),
        Arc::new(StaticAuth::headers([(http::HeaderName::from_static("x-a"), "canary-a".into())])),
    ];
    for (number, auth) in providers.into_iter().enumerate() {
        let transport = ScriptedTransport::function(|sent, _| {
            let headers: Vec<_> =
                sent.request.headers().values().map(|v| v.to_str().unwrap().to_owned()).collect();
            let (_, url, _, _) = sent.request.clone().into_parts();
            Reply::json(403, format!("{} {} {url}", sent.body(), headers.join(" ")))
        });
        let client = Client::builder("https://api.example.com", Arc::new(transport.clone()))
            .unwrap()
            .auth(auth.clone())
            .classifier(Echo)
            .build();
        let call = Call::post("write");
        let call = if number == 4 { call.form([("a", "b")]) } else { call.raw_json(r#"{"a":1}"#) };
        let error = client.send(&Context::new(), &call).await.unwrap_err();
        let sent = transport.sent().remove(0);
        let mut texts = format!("{error} {error:?} {auth:?} {client:?}");
        assert!(texts.contains("[redacted]"), "{number}: the vendor's echo was taken over: {texts}");
        texts.push_str(&serde_json::to_string(&error).unwrap());
        assert!(!texts.contains("canary"), "{number}: {texts}");
        if let Some(signature) = sent.header("x-s") {
            assert!(!texts.contains(signature), "{number}: {texts}");
        }
    }
}

/// A classifier that takes the vendor's whole answer for its message.
#[derive(Debug)]
struct Echo;

impl acople_http::Classifier for Echo {
    fn classify(&self, answer: &acople_http::Answer) -> acople_core::Result<()> {
        Err(acople_http::status_error(answer).with_message(String::from_utf8_lossy(answer.body())))
    }
}

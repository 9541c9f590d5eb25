//! Signatures as they are declared, against Python's hmac and hashlib.

use acople::auth::{RequestSigner, RequestSigning};
use acople::{AuthProvider, Context, Request};
use fastrand::Rng;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method};
use serde_json::{Value, json};
use url::Url;

use crate::checker::{agrees, notices};
use crate::requests::{clock, odd_text, pairs, url};

const CASES: u64 = 1_200;

/// The declarations of docs/auth.md, and one with time, method, path and body in every algorithm and spelling.
fn declared(kind: &str, algorithm: &str, encoding: &str) -> RequestSigning {
    let (text, put) = match kind {
        "khipu" => (
            "{method}&{url_encoded}{&params}",
            json!([{"header": {"name": "authorization", "value": "{id}:{signature}"}}]),
        ),
        "payu" => (
            "{secret}~{id}~{json:/transaction/order/referenceCode}\
             ~{json:/transaction/order/additionalValues/TX_VALUE/value}\
             ~{json:/transaction/order/additionalValues/TX_VALUE/currency}",
            json!([{"json": {"pointer": "/transaction/order/signature", "value": "{signature}"}}]),
        ),
        "bancard" => (
            "{secret}{json:/operation/shop_process_id}{json:/operation/amount}{json:/operation/currency}",
            json!([{"json": {"pointer": "/operation/token", "value": "{signature}"}}]),
        ),
        _ => (
            "{timestamp}.{method}.{path}.{body}",
            json!([{"header": {"name": "x-signature", "value": "{timestamp},{signature}"}}]),
        ),
    };
    let rules = json!([{"text": text, "put": put}]);
    serde_json::from_value(json!({"algorithm": algorithm, "encoding": encoding, "rules": rules})).unwrap()
}

#[tokio::test]
async fn declared_signatures_agree_with_pythons_hmac_at_random() {
    let mut cases = Vec::new();
    for seed in 0..CASES {
        let mut rng = Rng::with_seed(seed);
        let kind = ["khipu", "payu", "bancard", "stamped"][rng.usize(0..4)];
        let (algorithm, encoding) = match kind {
            "khipu" => ("hmac_sha256", "hex"),
            "payu" | "bancard" => (["md5", "sha1", "sha256", "sha512"][rng.usize(0..4)], "hex"),
            _ => (
                ["hmac_sha1", "hmac_sha256", "hmac_sha512"][rng.usize(0..3)],
                ["hex", "base64", "base64_url"][rng.usize(0..3)],
            ),
        };
        let secret = format!("s{}", odd_text(&mut rng, 5));
        let amount = format!("{}.{:02}", rng.u32(0..1_000_000), rng.u8(0..100));
        let (content, body) = match kind {
            "khipu" => ("application/x-www-form-urlencoded", pairs(&mut rng, 4)),
            "payu" => (
                "application/json",
                format!(
                    r#"{{"transaction":{{"order":{{"referenceCode":{},"additionalValues":{{"TX_VALUE":{{"value":{amount},"currency":"COP"}}}}}}}}}}"#,
                    json!(odd_text(&mut rng, 4))
                ),
            ),
            "bancard" => (
                "application/json",
                format!(
                    r#"{{"operation":{{"shop_process_id":{},"amount":"{amount}","currency":"PYG"}}}}"#,
                    rng.u32(..)
                ),
            ),
            _ => ("text/plain", odd_text(&mut rng, 8)),
        };
        let mut request = Request::new(Method::POST, url(&mut rng, "https"));
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content));
        request.set_body(body);
        let auth = RequestSigner::new(
            "4711",
            secret.as_str().into(),
            &declared(kind, algorithm, encoding),
            &clock(),
        );
        auth.unwrap().authorize(&Context::new(), &mut request).await.unwrap();
        let (timestamp, signature) = found(kind, &request);
        let (method, url, _, body) = request.into_parts();
        let body = std::str::from_utf8(&body).unwrap();
        cases.push(case(
            kind,
            &url,
            method.as_str(),
            body,
            &json!({
                "algorithm": algorithm, "encoding": encoding, "id": "4711", "secret": secret, "seed": seed,
                "signature": signature, "timestamp": timestamp,
            }),
        ));
    }
    agrees("digest", &cases);
    notices("digest", &cases[..200], |case| {
        case["secret"] = json!(format!("{}x", case["secret"].as_str().unwrap()));
    });
}

/// The time, where one was sent, and the signature.
fn found(kind: &str, request: &Request) -> (Option<String>, String) {
    let header = |name: &str| request.headers()[name].to_str().unwrap().to_owned();
    let body = || -> Value { serde_json::from_slice(request.body()).unwrap() };
    match kind {
        "khipu" => (None, header("authorization").strip_prefix("4711:").unwrap().to_owned()),
        "payu" => (None, body()["transaction"]["order"]["signature"].as_str().unwrap().to_owned()),
        "bancard" => (None, body()["operation"]["token"].as_str().unwrap().to_owned()),
        _ => {
            let header = header("x-signature");
            let (time, signature) = header.split_once(',').unwrap();
            (Some(time.to_owned()), signature.to_owned())
        }
    }
}

fn case(kind: &str, url: &Url, method: &str, body: &str, more: &Value) -> Value {
    let mut case = more.clone();
    case["kind"] = json!(kind);
    case["url"] = json!(url.as_str());
    case["method"] = json!(method);
    case["body"] = json!(body);
    case["form"] = json!(kind == "khipu");
    case
}

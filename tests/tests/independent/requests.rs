//! Signed requests at random: OAuth 1.0a and AWS Signature Version 4.

use std::sync::Arc;

use acople::auth::{AwsKeys, OAuth1, OAuth1Keys, OAuth1Method, Payload, ServerClock, SigV4};
use acople::{AuthProvider, Context, Request, Resources};
use acople_testkit::ScriptedTransport;
use fastrand::Rng;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde_json::{Value, json};
use url::Url;
use url::form_urlencoded::Serializer;

use crate::checker::{agrees, notices};

/// More than the thousand that are asked for.
const CASES: u64 = 1_500;

const METHODS: [Method; 5] = [Method::GET, Method::POST, Method::PUT, Method::DELETE, Method::PATCH];

/// What has gone wrong in signatures before: separators, percent signs, spaces, plus signs, what one standard reserves and
/// another does not, letters of several bytes, and plain text.
const PIECES: [&str; 30] = [
    "a",
    "Z",
    "0",
    "9",
    "-",
    "_",
    ".",
    "~",
    " ",
    "  ",
    "+",
    "%",
    "%20",
    "%2B",
    "&",
    "=",
    "/",
    "?",
    "#",
    "!",
    "*",
    "'",
    "(",
    ")",
    "\u{e9}",
    "\u{f1}o",
    "\u{20ac}",
    "\u{1f680}",
    "a=1&b=2",
    "\"",
];

pub fn clock() -> ServerClock {
    ServerClock::new(&Resources::new(Arc::new(ScriptedTransport::new([]))))
}

pub fn odd_text(rng: &mut Rng, longest: usize) -> String {
    (0..rng.usize(0..=longest)).map(|_| PIECES[rng.usize(0..PIECES.len())]).collect()
}

/// Pairs in which names come twice, values are empty, and names differ by case alone.
pub fn pairs(rng: &mut Rng, most: usize) -> String {
    let mut pairs = Serializer::new(String::new());
    for _ in 0..rng.usize(0..=most) {
        let name = match rng.u8(0..5) {
            0 => "a".to_owned(),
            1 => "A".to_owned(),
            2 => "status[]".to_owned(),
            _ => format!("n{}", odd_text(rng, 3)),
        };
        pairs.append_pair(&name, &odd_text(rng, 4));
    }
    pairs.finish()
}

pub fn url(rng: &mut Rng, scheme: &str) -> Url {
    let hosts =
        ["api.example.com", "API.Example.com:8443", "shop.example.com:443", "localhost:80", "10.0.0.7"];
    let mut url = Url::parse(&format!("{scheme}://{}", hosts[rng.usize(0..hosts.len())])).unwrap();
    {
        let mut path = url.path_segments_mut().unwrap();
        for _ in 0..rng.usize(0..4) {
            path.push(&format!("s{}", odd_text(rng, 3)));
        }
    }
    let query = pairs(rng, 4);
    if !query.is_empty() {
        url.set_query(Some(&query));
    }
    url
}

fn written(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |value: &HeaderValue| value.to_str().unwrap().to_owned();
    headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect()
}

#[tokio::test]
async fn oauth1_agrees_with_oauthlib_on_requests_at_random() {
    let mut cases = Vec::new();
    for seed in 0..CASES {
        let mut rng = Rng::with_seed(seed);
        let scheme = if rng.bool() { "https" } else { "http" };
        let mut request = Request::new(METHODS[rng.usize(0..METHODS.len())].clone(), url(&mut rng, scheme));
        let form = rng.bool();
        if form {
            let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
            request.headers_mut().insert(CONTENT_TYPE, kind);
            request.set_body(pairs(&mut rng, 4));
        } else {
            request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            request.set_body(r#"{"a":1}"#);
        }
        let secret = format!("cs{}", odd_text(&mut rng, 4));
        // oauthlib decodes these two once more when they come in the query.
        let named = |rng: &mut Rng| odd_text(rng, 2).replace('%', "");
        let mut keys = OAuth1Keys::new(format!("ck{}", named(&mut rng)), secret.as_str());
        let token_secret = rng.bool().then(|| format!("ts{}", odd_text(&mut rng, 4)));
        if let Some(secret) = &token_secret {
            keys = keys.with_token(format!("tk{}", named(&mut rng)), secret.as_str());
        }
        let (method, algorithm) = if rng.bool() {
            (OAuth1Method::HmacSha1, "HMAC-SHA1")
        } else {
            (OAuth1Method::HmacSha256, "HMAC-SHA256")
        };
        let mut auth = OAuth1::new(keys, &clock()).unwrap().method(method);
        match rng.u8(0..4) {
            0 => auth = auth.in_query(),
            1 => auth = auth.realm("1234567_SB1").unwrap(),
            _ => {}
        }
        auth.authorize(&Context::new(), &mut request).await.unwrap();
        let (method, url, headers, body) = request.into_parts();
        cases.push(json!({
            "seed": seed, "method": method.as_str(), "url": url.as_str(), "headers": authorization(&headers),
            "form": form, "body": std::str::from_utf8(&body).unwrap(), "algorithm": algorithm,
            "consumer_secret": secret, "token_secret": token_secret,
        }));
    }
    agrees("oauth1", &cases);
    notices("oauth1", &cases[..200], |case| case["consumer_secret"] = json!("another"));
    notices("oauth1", &cases[..200], |case| case["url"] = json!(more(case)));
}

/// oauthlib looks for the name in capitals.
fn authorization(headers: &HeaderMap) -> Value {
    let named: Vec<_> = headers.get("authorization").into_iter().collect();
    named.iter().map(|value| json!(["Authorization", value.to_str().unwrap()])).collect()
}

/// The URL with one more parameter.
fn more(case: &Value) -> String {
    let mut url = Url::parse(case["url"].as_str().unwrap()).unwrap();
    url.query_pairs_mut().append_pair("more", "1");
    url.into()
}

#[tokio::test]
async fn sigv4_agrees_with_botocore_on_requests_at_random() {
    let mut cases = Vec::new();
    for seed in 0..CASES {
        let mut rng = Rng::with_seed(seed);
        let service = ["dynamodb", "ses", "execute-api", "s3", "aoss"][rng.usize(0..5)];
        let mut request = Request::new(METHODS[rng.usize(0..METHODS.len())].clone(), url(&mut rng, "https"));
        for (name, value) in [
            ("x-amz-target", "A.B"),
            ("content-type", "application/json"),
            ("x-spaced", "  a   b  "),
            ("x-empty", ""),
        ] {
            if rng.bool() {
                request.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from_static(value));
            }
        }
        if rng.bool() {
            for value in ["second", "first", "second"] {
                let name = HeaderName::from_static("x-amz-meta-repeated");
                request.headers_mut().append(name, HeaderValue::from_static(value));
            }
        }
        // Not signed, and no reason to differ.
        request.headers_mut().insert("user-agent", HeaderValue::from_static("acople/0"));
        request.set_body(odd_text(&mut rng, 8));
        let secret = format!("sk{}", odd_text(&mut rng, 4));
        let mut keys = AwsKeys::new("AKIDEXAMPLE", secret.as_str());
        let session = rng.bool().then(|| "session/token+==".to_owned());
        if let Some(token) = &session {
            keys = keys.with_session_token(token.as_str());
        }
        let mut auth = SigV4::new(keys, "eu-west-1", service, &clock()).unwrap();
        match rng.u8(0..4) {
            0 => auth = auth.payload(Payload::SignedWithHeader),
            1 => auth = auth.payload(Payload::Unsigned),
            _ => {}
        }
        auth.authorize(&Context::new(), &mut request).await.unwrap();
        let (method, url, headers, body) = request.into_parts();
        cases.push(json!({
            "seed": seed, "method": method.as_str(), "url": url.as_str(), "headers": written(&headers),
            "body": std::str::from_utf8(&body).unwrap(), "service": service, "region": "eu-west-1",
            "access_key": "AKIDEXAMPLE", "secret_key": secret, "session_token": session,
        }));
    }
    agrees("sigv4", &cases);
    notices("sigv4", &cases[..200], |case| case["secret_key"] = json!("another"));
    notices("sigv4", &cases[..200], |case| case["url"] = json!(more(case)));
}

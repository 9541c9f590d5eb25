//! The signer against AWS's published cases, and against a vendor whose clock differs.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use acople_auth::{AwsKeys, Payload, ServerClock, SigV4};
use acople_core::{AuthProvider, Context, ErrorKind, Request, Resources};
use acople_http::{Call, Client, StatusClassifier};
use acople_testkit::{FakeClock, Reply, ScriptedTransport, Sent};
use http::{HeaderName, HeaderValue, Method};

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const HOST: &str = "https://example.amazonaws.com";
const TOKEN: &str = "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeoIYRqTflfKD8YUuwthAx7mSEI/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVXAkiY9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA==";

fn keys() -> AwsKeys {
    AwsKeys::new("AKIDEXAMPLE", SECRET)
}

fn at(time: SystemTime) -> (Resources, ServerClock) {
    let transport = ScriptedTransport::new([]);
    let resources = Resources::new(Arc::new(transport)).with_clock(Arc::new(FakeClock::at(time)));
    let clock = ServerClock::new(&resources);
    (resources, clock)
}

/// The time of the published cases: 2015-08-30T12:36:00Z.
fn published() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_440_938_160)
}

async fn signed(auth: &SigV4, method: Method, target: &str, headers: &[(&str, &str)], body: &str) -> Request {
    let mut request = Request::new(method, format!("{HOST}{target}").parse().unwrap());
    for (name, value) in headers {
        let name: HeaderName = name.parse().unwrap();
        request.headers_mut().append(name, HeaderValue::from_str(value).unwrap());
    }
    request.set_body(body.to_owned());
    auth.authorize(&Context::new(), &mut request).await.unwrap();
    request
}

fn authorization(request: &Request) -> &str {
    request.headers()["authorization"].to_str().unwrap()
}

type Case =
    (&'static str, Method, &'static str, &'static [(&'static str, &'static str)], &'static str, &'static str);

/// From the aws-sig-v4-test-suite: name, request, signature.
fn cases() -> Vec<Case> {
    const FORM: &[(&str, &str)] = &[("Content-Type", "application/x-www-form-urlencoded")];
    const UTF8_FORM: &[(&str, &str)] = &[("Content-Type", "application/x-www-form-urlencoded; charset=utf8")];
    let get = |name, target, signature| (name, Method::GET, target, &[][..], "", signature);
    vec![
        get("get-vanilla", "/", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
        get(
            "get-vanilla-empty-query-key",
            "/?Param1=value1",
            "a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb",
        ),
        get(
            "get-vanilla-query-order-key-case",
            "/?Param2=value2&Param1=value1",
            "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
        ),
        get(
            "get-vanilla-query-unreserved",
            "/?-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz=-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
            "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197",
        ),
        get(
            "get-vanilla-utf8-query",
            "/?ሴ=bar",
            "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04",
        ),
        get(
            "get-unreserved",
            "/-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
            "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f",
        ),
        get(
            "get-relative",
            "/example/..",
            "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
        ),
        (
            "get-header-key-duplicate",
            Method::GET,
            "/",
            &[("My-Header1", "value2"), ("My-Header1", "value2"), ("My-Header1", "value1")],
            "",
            "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea",
        ),
        (
            "get-header-value-trim",
            Method::GET,
            "/",
            &[("My-Header1", " value1"), ("My-Header2", " \"a   b   c\"")],
            "",
            "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
        ),
        (
            "post-vanilla",
            Method::POST,
            "/",
            &[],
            "",
            "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
        ),
        (
            "post-vanilla-query",
            Method::POST,
            "/?Param1=value1",
            &[],
            "",
            "28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11",
        ),
        (
            "post-header-key-sort",
            Method::POST,
            "/",
            &[("My-Header1", "value1")],
            "",
            "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c",
        ),
        (
            "post-header-value-case",
            Method::POST,
            "/",
            &[("My-Header1", "VALUE1")],
            "",
            "cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d",
        ),
        (
            "post-x-www-form-urlencoded",
            Method::POST,
            "/",
            FORM,
            "Param1=value1",
            "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
        ),
        (
            "post-x-www-form-urlencoded-parameters",
            Method::POST,
            "/",
            UTF8_FORM,
            "Param1=value1",
            "1a72ec8f64bd914b0e42e42607c7fbce7fb2c7465f63e3092b3b0d39fa77a6fe",
        ),
    ]
}

#[tokio::test]
async fn the_published_cases_have_their_published_signatures() {
    let (_, clock) = at(published());
    let auth = SigV4::new(keys(), "us-east-1", "service", &clock).unwrap();
    for (name, method, target, headers, body, signature) in cases() {
        let request = signed(&auth, method, target, headers, body).await;
        assert!(authorization(&request).ends_with(&format!("Signature={signature}")), "{name}");
        assert_eq!(request.headers()["x-amz-date"], "20150830T123600Z");
        assert!(request.headers()["authorization"].is_sensitive());
    }
    let request = signed(&auth, Method::GET, "/", &[], "").await;
    assert_eq!(
        authorization(&request),
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
         SignedHeaders=host;x-amz-date, \
         Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"
    );
}

#[tokio::test]
async fn a_session_token_is_sent_and_signed() {
    let (_, clock) = at(published());
    let auth = SigV4::new(keys().with_session_token(TOKEN), "us-east-1", "service", &clock).unwrap();
    let request = signed(&auth, Method::POST, "/", &[], "").await;
    // post-sts-header-before.
    assert!(
        authorization(&request)
            .ends_with("Signature=85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead")
    );
    assert_eq!(request.headers()["x-amz-security-token"], TOKEN);
    assert!(request.headers()["x-amz-security-token"].is_sensitive());
}

#[tokio::test]
async fn s3_names_the_digest_of_the_body_and_encodes_paths_once() {
    // AWS: "Examples: Signature Calculations" of the S3 API reference, GET Object with a Range.
    let keys = AwsKeys::new("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY");
    let (_, clock) = at(UNIX_EPOCH + Duration::from_secs(1_369_353_600));
    let auth = SigV4::new(keys, "us-east-1", "s3", &clock).unwrap();
    let sign =
        |method: Method, target: &'static str, headers: &'static [(&str, &str)], body: &'static str| {
            let auth = auth.clone();
            async move {
                let url = format!("https://examplebucket.s3.amazonaws.com{target}");
                let mut request = Request::new(method, url.parse().unwrap());
                for (name, value) in headers {
                    request.headers_mut().insert(*name, HeaderValue::from_static(value));
                }
                request.set_body(body);
                auth.authorize(&Context::new(), &mut request).await.unwrap();
                authorization(&request).rsplit_once("Signature=").unwrap().1.to_owned()
            }
        };
    assert_eq!(
        sign(Method::GET, "/test.txt", &[("range", "bytes=0-9")], "").await,
        "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
    );
    assert_eq!(
        sign(
            Method::PUT,
            "/test$file.text",
            &[("date", "Fri, 24 May 2013 00:00:00 GMT"), ("x-amz-storage-class", "REDUCED_REDUNDANCY")],
            "Welcome to Amazon S3."
        )
        .await,
        "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"
    );
    assert_eq!(
        sign(Method::GET, "/?lifecycle", &[], "").await,
        "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"
    );
    assert_eq!(
        sign(Method::GET, "/?max-keys=2&prefix=J", &[], "").await,
        "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"
    );
}

#[tokio::test]
async fn an_unsigned_payload_is_named_so() {
    let (_, clock) = at(published());
    let auth = SigV4::new(keys(), "us-east-1", "s3", &clock).unwrap().payload(Payload::Unsigned);
    let one = signed(&auth, Method::PUT, "/object", &[], "one body").await;
    let other = signed(&auth, Method::PUT, "/object", &[], "another").await;
    assert_eq!(one.headers()["x-amz-content-sha256"], "UNSIGNED-PAYLOAD");
    assert_eq!(authorization(&one), authorization(&other));
}

#[tokio::test]
async fn what_proxies_change_is_not_signed_and_signing_again_replaces_the_signature() {
    let (_, clock) = at(published());
    let auth = SigV4::new(keys(), "us-east-1", "service", &clock).unwrap();
    let headers = [("User-Agent", "acople"), ("Accept-Encoding", "gzip"), ("Traceparent", "00-1-2-01")];
    let mut request = signed(&auth, Method::GET, "/?q=a+b", &headers, "").await;
    assert!(authorization(&request).contains("SignedHeaders=host;x-amz-date,"));
    assert_eq!(request.url().query(), Some("q=a%20b"), "a space is spelt in the one way that AWS agrees on");
    let first = authorization(&request).to_owned();
    auth.authorize(&Context::new(), &mut request).await.unwrap();
    assert_eq!(authorization(&request), first);
    assert_eq!(request.headers().get_all("authorization").iter().count(), 1);
}

#[test]
fn what_cannot_be_signed_with_is_named() {
    let (_, clock) = at(published());
    for (keys, region, service, field) in [
        (AwsKeys::new("", SECRET), "us-east-1", "s3", "access_key_id"),
        (AwsKeys::new("AK ID", SECRET), "us-east-1", "s3", "access_key_id"),
        (AwsKeys::new("AKIDEXAMPLE", ""), "us-east-1", "s3", "secret_access_key"),
        (keys(), "", "s3", "region"),
        (keys(), "us-east-1", "s3/x", "service"),
        (keys().with_session_token("a\nb"), "us-east-1", "s3", "session_token"),
    ] {
        let error = SigV4::new(keys, region, service, &clock).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.fields().iter().any(|named| named == field), "{field}: {error:?}");
        assert!(!format!("{error:?}").contains("wJalr"));
    }
}

/// Refuses requests whose time is more than five minutes from its own, as AWS does, and echoes everything.
fn aws(theirs: SystemTime) -> ScriptedTransport {
    ScriptedTransport::function(move |sent: &Sent, _| {
        let time = sent.header("x-amz-date").unwrap();
        let ours = TIMES.iter().find(|(text, _)| *text == time).map_or(0, |(_, seconds)| *seconds);
        let theirs = theirs.duration_since(UNIX_EPOCH).unwrap().as_secs();
        let date = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(theirs));
        let good = ours.abs_diff(theirs) <= 300;
        let body = format!(
            r#"{{"__type":"InvalidSignatureException","message":"Signature expired: {time} {}"}}"#,
            sent.header("authorization").unwrap()
        );
        if good { Reply::json(200, "{}") } else { Reply::json(403, body) }
            .header("date", &date)
            .after(Duration::from_millis(50))
    })
}

/// The times that the tests sign with: what is written, and what it means.
const TIMES: &[(&str, u64)] = &[
    ("20260101T000000Z", 1_767_225_600),
    ("20260102T000000Z", 1_767_312_000),
    ("20251231T000000Z", 1_767_139_200),
];

fn client(transport: &ScriptedTransport, clock: &FakeClock) -> (Client, ServerClock) {
    let resources = Resources::new(Arc::new(transport.clone())).with_clock(Arc::new(clock.clone()));
    let clock = ServerClock::new(&resources);
    let auth = SigV4::new(keys(), "us-east-1", "service", &clock).unwrap();
    let client = Client::with_resources(HOST, &resources)
        .unwrap()
        .auth(Arc::new(auth))
        .classifier(clock.classifier(StatusClassifier))
        .build();
    (client, clock)
}

#[tokio::test(start_paused = true)]
async fn auth_11_a_day_of_skew_costs_one_refusal_and_later_calls_none() {
    for (theirs, ahead) in [(1_767_312_000, 86_400), (1_767_139_200, -86_400)] {
        let transport = aws(UNIX_EPOCH + Duration::from_secs(theirs));
        let (client, clock) = client(&transport, &FakeClock::new());
        for _ in 0..3 {
            client.send(&Context::new(), &Call::get("list")).await.unwrap();
        }
        assert_eq!(clock.ahead(), ahead);
        assert_eq!(transport.sent().len(), 4);
    }
}

#[tokio::test(start_paused = true)]
async fn auth_11_everybody_who_was_signed_by_the_wrong_clock_is_signed_again() {
    let transport = aws(UNIX_EPOCH + Duration::from_secs(1_767_312_000));
    let (client, _) = client(&transport, &FakeClock::new());
    let calls = (0..20).map(|_| {
        let client = client.clone();
        tokio::spawn(async move { client.send(&Context::new(), &Call::get("list")).await })
    });
    for call in calls.collect::<Vec<_>>() {
        call.await.unwrap().unwrap();
    }
    assert_eq!(transport.sent().len(), 40);
}

#[tokio::test(start_paused = true)]
async fn auth_11_a_clock_that_steps_while_running_is_learned_again() {
    let local = FakeClock::new();
    let transport = aws(UNIX_EPOCH + Duration::from_secs(1_767_225_600));
    let (client, clock) = client(&transport, &local);
    client.send(&Context::new(), &Call::get("list")).await.unwrap();
    local.advance(Duration::from_secs(86_400));
    client.send(&Context::new(), &Call::get("list")).await.unwrap();
    assert_eq!((clock.ahead(), transport.sent().len()), (-86_400, 3));
}

#[tokio::test(start_paused = true)]
async fn auth_11_a_refusal_by_a_vendor_of_the_same_time_stands() {
    let date = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(1_767_225_605));
    let transport = ScriptedTransport::function(move |_, _| {
        Reply::json(403, r#"{"message":"the token expired"}"#).header("date", &date)
    });
    let (client, clock) = client(&transport, &FakeClock::new());
    let error = client.send(&Context::new(), &Call::get("list")).await.unwrap_err();
    assert_eq!((error.kind(), clock.ahead(), transport.sent().len()), (ErrorKind::Permission, 0, 1));
}

#[tokio::test(start_paused = true)]
async fn auth_11_a_vendor_that_refuses_every_time_is_asked_twice() {
    let transport = ScriptedTransport::function(|_, n| {
        let day = 86_400 * (n as u64 + 2);
        Reply::json(403, "{}").header("date", &httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(day)))
    });
    let (client, _) = client(&transport, &FakeClock::new());
    client.send(&Context::new(), &Call::get("list")).await.unwrap_err();
    assert_eq!(transport.sent().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn sec_01_no_key_is_in_any_text() {
    let transport = aws(UNIX_EPOCH + Duration::from_secs(1_000_000));
    let (client, _) = client(&transport, &FakeClock::new());
    let error = client.send(&Context::new(), &Call::get("list")).await.unwrap_err();
    let signature =
        transport.sent()[0].header("authorization").unwrap().rsplit('=').next().unwrap().to_owned();
    let (_, clock) = at(published());
    let auth = SigV4::new(keys().with_session_token(TOKEN), "us-east-1", "service", &clock).unwrap();
    let text = format!("{error} {error:?} {client:?} {auth:?} {:?}", keys().with_session_token(TOKEN));
    for secret in [SECRET, TOKEN, &signature] {
        assert!(!text.contains(secret), "{text}");
    }
}

//! The request path, on paused time with the scripted transport.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a test that fails may panic

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use acople_core::{
    AuthProvider, AuthStamp, CancelToken, Context, Error, ErrorKind, Lesson, Meter, Progress, Refresh,
    Request, Result, Secret, WireFault,
};
use acople_http::{Answer, Call, Classifier, Client, ClientBuilder, Repeat, Within, status_error};
use acople_testkit::{FakeClock, Reply, ScriptedTransport};
use async_trait::async_trait;
use http::HeaderName;
use http::header::AUTHORIZATION;

fn builder(transport: &ScriptedTransport) -> ClientBuilder {
    Client::builder("https://api.example.com/base/", Arc::new(transport.clone())).unwrap()
}

fn client(transport: &ScriptedTransport) -> Client {
    builder(transport).build()
}

/// Tokens that count up with every renewal.
#[derive(Debug, Default)]
struct Tokens {
    current: AtomicU64,
    renewals: AtomicU64,
}

#[async_trait]
impl AuthProvider for Tokens {
    async fn authorize(&self, _: &Context, request: &mut Request) -> Result<AuthStamp> {
        let stamp = self.current.load(Ordering::SeqCst);
        request.set_secret_header(AUTHORIZATION, &format!("Bearer secret-token-{stamp}"))?;
        Ok(AuthStamp(stamp))
    }
    async fn refresh(&self, _: &Context, refused: AuthStamp) -> Result<Refresh> {
        let next = refused.0 + 1;
        if self.current.compare_exchange(refused.0, next, Ordering::SeqCst, Ordering::SeqCst).is_ok() {
            self.renewals.fetch_add(1, Ordering::SeqCst);
        }
        Ok(Refresh::Renewed)
    }
}

#[tokio::test(start_paused = true)]
async fn paths_are_encoded_below_the_base_and_spaces_in_queries_become_percent_20() {
    let transport = ScriptedTransport::new([Reply::json(200, "{}")]);
    let call =
        Call::get("read").path(["v1", "a/b?c", "%2e%2e"]).query("q", "SELECT Id FROM A+B").query("$top", 5);
    client(&transport).send(&Context::new(), &call).await.unwrap();
    let sent = transport.sent();
    assert_eq!(sent[0].path_and_query(), "/base/v1/a%2Fb%3Fc/%252e%252e?q=SELECT%20Id%20FROM%20A%2BB&$top=5");
    assert_eq!(sent[0].header("accept"), Some("application/json"));
    assert_eq!(sent[0].header("accept-encoding"), Some("gzip"));
}

#[tokio::test(start_paused = true)]
async fn url_05_a_segment_of_dots_cannot_climb_out_of_its_place() {
    let transport = ScriptedTransport::new([]);
    for dots in [".", ".."] {
        let call = Call::get("read").path(["v1", dots, "admin"]);
        let error = client(&transport).send(&Context::new(), &call).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
    }
    assert_eq!(transport.sent().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_transient_failure_of_a_read_is_tried_again_and_counted() {
    let transport = ScriptedTransport::new([
        Reply::json(503, "{}"),
        Reply::fail(Progress::MaybeSent, WireFault::Reset),
        Reply::json(200, r#"{"n":1}"#),
    ]);
    let meter = Arc::new(Meter::default());
    let cx = Context::new().with_meter(meter.clone());
    let answer = client(&transport).send(&cx, &Call::get("read").path(["x"])).await.unwrap();
    assert_eq!(answer.body(), br#"{"n":1}"#);
    assert_eq!((meter.usage().requests, meter.usage().retries, meter.usage().bytes_received), (3, 2, 9));
}

#[tokio::test(start_paused = true)]
async fn attempts_end_with_the_policy_and_the_error_says_how_many() {
    let transport = ScriptedTransport::function(|_, _| Reply::json(502, "{}"));
    let error = client(&transport).send(&Context::new(), &Call::get("read").path(["x"])).await.unwrap_err();
    assert_eq!((error.kind(), error.status(), error.attempts()), (ErrorKind::Transient, Some(502), 3));
    assert_eq!(error.operation(), Some("read"));
    assert_eq!(transport.sent().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_write_that_may_have_taken_effect_is_never_sent_again() {
    for reply in [
        Reply::fail(Progress::MaybeSent, WireFault::Reset),
        Reply::json(502, "{}"),
        Reply::json(200, r#"{"cut"#).truncated(),
        Reply::hang(),
    ] {
        let transport = ScriptedTransport::function(move |_, _| reply.clone());
        let error =
            client(&transport).send(&Context::new(), &Call::post("create").path(["x"])).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Ambiguous, "{error:?}");
        assert!(!error.outcome_known());
        assert_eq!(transport.sent().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_that_cannot_have_been_processed_is_sent_again() {
    let transport = ScriptedTransport::new([
        Reply::fail(Progress::NotSent, WireFault::Connect),
        Reply::json(429, "{}").header("retry-after", "1"),
        Reply::json(201, "{}"),
    ]);
    client(&transport).send(&Context::new(), &Call::post("create").path(["x"])).await.unwrap();
    assert_eq!(transport.sent().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn an_idempotency_key_makes_a_write_repeatable_and_stays_the_same() {
    let transport =
        ScriptedTransport::new([Reply::fail(Progress::MaybeSent, WireFault::Reset), Reply::json(201, "{}")]);
    let call =
        Call::post("create").path(["x"]).repeat(Repeat::WithKey(HeaderName::from_static("idempotency-key")));
    client(&transport).send(&Context::new().with_idempotency_key("k-1"), &call).await.unwrap();
    let keys: Vec<_> =
        transport.sent().iter().map(|s| s.header("idempotency-key").map(str::to_owned)).collect();
    assert_eq!(keys, [Some("k-1".to_owned()), Some("k-1".to_owned())]);
}

#[tokio::test(start_paused = true)]
async fn rate_01_nothing_leaves_before_retry_after_is_over() {
    let transport = ScriptedTransport::function(|_, n| {
        if n == 0 { Reply::json(429, "{}").header("retry-after", "7") } else { Reply::json(200, "{}") }
    });
    let limits =
        acople_http::Limits::new().rate("app", 1000, Duration::from_secs(1)).class("default", &["app"]);
    let client = builder(&transport).limits(limits).build();
    let (cx, call) = (Context::new(), Call::get("read").path(["x"]));
    client.send(&cx, &call).await.unwrap();
    let second = transport.sent()[1].at;
    assert!(second >= Duration::from_secs(7), "{second:?}");
}

#[tokio::test(start_paused = true)]
async fn a_throttle_pauses_every_caller_of_the_bucket() {
    let transport = ScriptedTransport::function(|_, n| {
        if n == 0 { Reply::json(429, "{}").header("retry-after", "5") } else { Reply::json(200, "{}") }
    });
    let limits =
        acople_http::Limits::new().rate("app", 1000, Duration::from_secs(1)).class("default", &["app"]);
    let client = builder(&transport).limits(limits).build();
    let first = tokio::spawn({
        let client = client.clone();
        async move { client.send(&Context::new(), &Call::get("read").path(["a"])).await }
    });
    tokio::time::sleep(Duration::from_millis(10)).await;
    client.send(&Context::new(), &Call::get("read").path(["b"])).await.unwrap();
    first.await.unwrap().unwrap();
    let sent = transport.sent();
    assert_eq!(sent.len(), 3);
    assert!(sent[1].at >= Duration::from_secs(5) && sent[2].at >= Duration::from_secs(5));
}

#[tokio::test(start_paused = true)]
async fn rate_02_a_date_is_compared_with_the_answers_own_date() {
    for skew in [-600i64, 0, 600] {
        let clock = FakeClock::new();
        let server = acople_core::Clock::now(&clock) + Duration::from_secs(3600);
        let server = if skew < 0 {
            server - Duration::from_secs(600)
        } else {
            server + Duration::from_secs(skew.unsigned_abs())
        };
        let date = httpdate::fmt_http_date(server);
        let until = httpdate::fmt_http_date(server + Duration::from_secs(30));
        let transport = ScriptedTransport::function(move |_, n| match n {
            0 => Reply::json(429, "{}").header("date", &date).header("retry-after", &until),
            _ => Reply::json(200, "{}"),
        });
        let client = builder(&transport).clock(Arc::new(clock)).build();
        client.send(&Context::new(), &Call::get("read").path(["x"])).await.unwrap();
        let waited = transport.sent()[1].at;
        assert!(waited >= Duration::from_secs(30) && waited < Duration::from_secs(31), "{skew}: {waited:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn rate_04_a_wait_beyond_the_deadline_comes_back_at_once() {
    let transport =
        ScriptedTransport::function(|_, _| Reply::json(429, "{}").header("retry-after", "864000"));
    let before = tokio::time::Instant::now();
    let error = client(&transport).send(&Context::new(), &Call::get("read").path(["x"])).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::RateLimited);
    assert_eq!(error.retry_after(), Some(Duration::from_secs(864_000)));
    assert!(before.elapsed() < Duration::from_secs(1));
}

#[test]
fn rate_04_malformed_retry_after_counts_as_absent() {
    let now = std::time::UNIX_EPOCH;
    for value in ["", "-3", "abc", "1e9", "99999999999999999999999", "Mon, 99 Foo 2026"] {
        let mut headers = http::HeaderMap::new();
        headers.insert("retry-after", value.parse().unwrap());
        assert_eq!(acople_http::retry_after(&headers, now), None, "{value:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_breaker_opens_after_failures_and_closes_with_a_good_probe() {
    let transport =
        ScriptedTransport::function(
            |_, n| {
                if n < 20 { Reply::json(500, "{}") } else { Reply::json(200, "{}") }
            },
        );
    let client = builder(&transport).retry(acople_http::RetryPolicy::none()).build();
    let call = Call::get("read").path(["x"]);
    for _ in 0..20 {
        client.send(&Context::new(), &call).await.unwrap_err();
    }
    let error = client.send(&Context::new(), &call).await.unwrap_err();
    assert_eq!(error.code(), Some("breaker_open"));
    assert_eq!(transport.sent().len(), 20, "an open breaker sends nothing");
    tokio::time::sleep(Duration::from_secs(61)).await;
    client.send(&Context::new(), &call).await.unwrap();
    assert_eq!(client.breakers().state("default"), acople_core::BreakerState::Closed);
}

#[tokio::test(start_paused = true)]
async fn refusals_and_throttles_never_open_the_breaker() {
    for status in [400, 401, 404, 429] {
        let transport = ScriptedTransport::function(move |_, _| Reply::json(status, "{}"));
        let client = builder(&transport).retry(acople_http::RetryPolicy::none()).build();
        for _ in 0..50 {
            client.send(&Context::new(), &Call::get("read").path(["x"])).await.unwrap_err();
        }
        assert_eq!(client.breakers().state("default"), acople_core::BreakerState::Closed, "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn refused_credentials_are_renewed_once_and_the_request_signed_again() {
    let transport = ScriptedTransport::function(|sent, _| match sent.header("authorization") {
        Some("Bearer secret-token-0") => Reply::json(401, "{}"),
        _ => Reply::json(200, "{}"),
    });
    let auth = Arc::new(Tokens::default());
    let client = builder(&transport).auth(auth.clone()).build();
    client.send(&Context::new(), &Call::post("create").path(["x"])).await.unwrap();
    assert_eq!(auth.renewals.load(Ordering::SeqCst), 1);
    assert_eq!(transport.sent().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn auth_04_a_second_refusal_ends_the_call() {
    let transport = ScriptedTransport::function(|_, _| Reply::json(401, "{}"));
    let auth = Arc::new(Tokens::default());
    let client = builder(&transport).auth(auth.clone()).build();
    let error = client.send(&Context::new(), &Call::get("read").path(["x"])).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Reauth);
    assert_eq!((transport.sent().len(), auth.renewals.load(Ordering::SeqCst)), (2, 1));
}

/// A vendor that says no inside 200, echoes the token, and calls a daily quota 429.
#[derive(Debug)]
struct Odd;

impl Classifier for Odd {
    fn classify(&self, answer: &Answer) -> Result<()> {
        let text = String::from_utf8_lossy(answer.body()).into_owned();
        if answer.status() == 429 && text.contains("daily") {
            return Err(status_error(answer).with_kind(ErrorKind::QuotaExhausted));
        }
        if !answer.status().is_success() {
            return Err(status_error(answer));
        }
        if text.contains("error") {
            return Err(Error::new(ErrorKind::Invalid, text).with_code("bad"));
        }
        Ok(())
    }
    fn lessons(&self, answer: &Answer, lessons: &mut Vec<Lesson>) {
        if answer.header("x-left") == Some("0") {
            lessons.push(Lesson::Remaining {
                bucket: "app".into(),
                remaining: 0,
                resets_in: Some(Duration::from_secs(9)),
            });
        }
    }
}

#[tokio::test(start_paused = true)]
async fn body_06_the_classifier_sees_successes_too() {
    let transport = ScriptedTransport::new([Reply::json(200, r#"{"error":"no"}"#)]);
    let client = builder(&transport).classifier(Odd).build();
    let error = client.send(&Context::new(), &Call::get("read").path(["x"])).await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Invalid, Some("bad")));
}

#[tokio::test(start_paused = true)]
async fn a_daily_quota_that_comes_as_429_is_not_tried_again() {
    let transport = ScriptedTransport::function(|_, _| Reply::json(429, "daily").header("retry-after", "1"));
    let client = builder(&transport).classifier(Odd).build();
    let error = client.send(&Context::new(), &Call::get("read").path(["x"])).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::QuotaExhausted);
    assert_eq!(transport.sent().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_lesson_that_nothing_is_left_pauses_until_the_reset() {
    let transport = ScriptedTransport::function(|_, _| Reply::json(200, "{}").header("x-left", "0"));
    let limits =
        acople_http::Limits::new().rate("app", 1000, Duration::from_secs(1)).class("default", &["app"]);
    let client = builder(&transport).classifier(Odd).limits(limits).build();
    for _ in 0..2 {
        client.send(&Context::new(), &Call::get("read").path(["x"])).await.unwrap();
    }
    assert!(transport.sent()[1].at >= Duration::from_secs(9));
}

#[tokio::test(start_paused = true)]
async fn sec_03_a_vendor_that_echoes_the_token_does_not_get_it_into_the_error() {
    let transport = ScriptedTransport::new([Reply::json(200, r#"{"error":"bad secret-token-0 here"}"#)]);
    let client = builder(&transport).classifier(Odd).auth(Arc::new(Tokens::default())).build();
    let error = client.send(&Context::new(), &Call::get("read").path(["x"])).await.unwrap_err();
    assert!(!format!("{error} {error:?}").contains("secret-token-0"));
    assert!(error.message().contains("[redacted]"));
}

#[test]
fn sec_02_a_secret_query_parameter_is_on_the_wire_and_nowhere_else() {
    let url = url::Url::parse("https://api.example.com/x?a=1").unwrap();
    let mut request = Request::new(http::Method::GET, url);
    request.set_secret_query("key", Secret::from("canary-123"));
    assert!(!format!("{request:?} {}", request.url()).contains("canary"));
    let (_, on_the_wire, _, _) = request.into_parts();
    assert_eq!(on_the_wire.as_str(), "https://api.example.com/x?a=1&key=canary-123");
}

#[tokio::test(start_paused = true)]
async fn body_05_html_in_a_success_is_an_error_and_not_tried_again() {
    let transport = ScriptedTransport::function(|_, _| {
        Reply::new(200, "<html>login</html>").header("content-type", "text/html")
    });
    let error = client(&transport).send(&Context::new(), &Call::get("read").path(["x"])).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol);
    assert!(error.message().contains("HTML"));
    assert_eq!(transport.sent().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn url_01_redirects_are_not_followed() {
    let transport = ScriptedTransport::new([Reply::new(302, "").header("location", "https://evil.example/")]);
    let error = client(&transport).send(&Context::new(), &Call::get("read").path(["x"])).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol);
    assert_eq!(transport.sent().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn url_03_a_link_to_another_origin_is_refused_before_anything_is_sent() {
    let transport = ScriptedTransport::function(|_, _| Reply::json(200, "{}"));
    let client = client(&transport);
    for link in [
        "https://evil.example/x",
        "//evil.example/x",
        "https://api.example.com@evil.example/x",
        "https://user@api.example.com/x",
        "http://api.example.com/x",
        "https://api.example.com:8443/x",
        "https://api.example.com./x",
        "https://xn--pi-example-com.example/x",
        "javascript:alert(1)",
    ] {
        let error = client.send(&Context::new(), &Call::get("read").link(link)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol, "{link}");
    }
    assert_eq!(transport.sent().len(), 0);
    for link in ["https://API.example.com/next", "/next", "https://api.example.com:443/next"] {
        client.send(&Context::new(), &Call::get("read").link(link)).await.unwrap();
    }
    assert!(transport.sent().iter().all(|s| s.path_and_query() == "/next"));
}

#[tokio::test(start_paused = true)]
async fn a_call_ends_with_the_callers_deadline() {
    let transport = ScriptedTransport::function(|_, _| Reply::hang());
    let started = tokio::time::Instant::now();
    let cx = Context::new().within(Duration::from_secs(3));
    let error = client(&transport).send(&cx, &Call::get("read").path(["x"])).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert_eq!(started.elapsed(), Duration::from_secs(3));
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_call_ends_at_once() {
    let transport = ScriptedTransport::function(|_, _| Reply::hang());
    let cancel = CancelToken::new();
    let cx = Context::new().with_cancel(cancel.clone());
    let client = client(&transport);
    let call = Call::get("read").path(["x"]);
    let work = client.send(&cx, &call);
    let (result, ()) = tokio::join!(work, async {
        tokio::time::sleep(Duration::from_millis(5)).await;
        cancel.cancel();
    });
    assert_eq!(result.unwrap_err().kind(), ErrorKind::Cancelled);
    assert_eq!(client.send(&cx, &call).await.unwrap_err().kind(), ErrorKind::Cancelled);
    assert_eq!(transport.sent().len(), 1);
}

#[test]
fn url_05_a_base_url_is_checked_before_anything_is_sent() {
    let transport = ScriptedTransport::new([]);
    for base in [
        "not a url",
        "ftp://api.example.com",
        "https://user:pw@api.example.com",
        "https://api.example.com/?x=1",
        "https://api.example.com/#x",
        "http://api.example.com",
    ] {
        let error = Client::builder(base, Arc::new(transport.clone())).unwrap_err();
        assert_eq!(
            (error.kind(), error.fields()),
            (ErrorKind::Config, &["base_url".to_owned()][..]),
            "{base}"
        );
        assert!(!error.to_string().contains("pw"));
    }
    assert!(Client::builder("http://127.0.0.1:9", Arc::new(transport)).is_ok());
}

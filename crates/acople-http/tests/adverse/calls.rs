//! What a call's error says, and what the others who share its limits are told.

use std::sync::Arc;
use std::time::Duration;

use acople_core::{
    AuthProvider, AuthStamp, Context, Error, ErrorKind, Lesson, Outcome, Progress, Refresh, Request, Result,
    WireFault,
};
use acople_http::{
    Answer, BodyLimits, Call, Classifier, Client, Limits, RetryPolicy, Timeouts, Within, status_error,
};
use acople_testkit::{Reply, ScriptedTransport};
use async_trait::async_trait;
use tokio::time::Instant;

use super::{builder, client};

async fn fails(client: &Client, call: &Call) -> Error {
    client.send(&Context::new(), call).await.unwrap_err()
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_says_all_went_well_but_cannot_be_read_leaves_a_write_open() {
    let mut small = BodyLimits::default();
    small.bytes = 4;
    for reply in [
        Reply::json(200, r#"{"too":"large"}"#),
        Reply::json(200, "{}").header("content-encoding", "br"),
        Reply::json(200, "no gzip").header("content-encoding", "gzip"),
        Reply::json(200, "{}").header("content-length", "9999"),
        Reply::new(200, "<p>").header("content-type", "text/html"),
    ] {
        let transport = ScriptedTransport::function({
            let reply = reply.clone();
            move |_, _| reply.clone()
        });
        let client = builder(&transport).body_limits(small).build();
        let error = fails(&client, &Call::post("create")).await;
        assert!(matches!(error.kind(), ErrorKind::TooLarge | ErrorKind::Protocol), "{error:?}");
        assert!(!error.outcome_known(), "it took effect, for all that anybody knows: {error:?}");
        assert!(matches!(Outcome::from_call_error(&error), Outcome::Unknown { .. }));
        assert_eq!(transport.sent().len(), 1, "{reply:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_whose_text_cannot_be_read_is_still_a_refusal() {
    for (status, kind) in [(400, ErrorKind::Invalid), (404, ErrorKind::NotFound), (401, ErrorKind::Reauth)] {
        for reply in [
            Reply::new(status, "x").header("content-encoding", "br"),
            Reply::new(status, "x").header("content-encoding", "gzip"),
            Reply::new(status, "x").truncated(),
        ] {
            let transport = ScriptedTransport::function(move |_, _| reply.clone());
            let error = fails(&client(&transport), &Call::post("create")).await;
            assert_eq!((error.kind(), error.status()), (kind, Some(status)));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_that_may_be_repeated_and_fails_in_the_end_has_an_open_outcome() {
    let replies = |replies: Vec<Reply>| ScriptedTransport::new(replies);
    let lost = || Reply::fail(Progress::MaybeSent, WireFault::Reset);
    let unsent = || Reply::fail(Progress::NotSent, WireFault::Connect);
    for (script, kind, known) in [
        (vec![lost(), lost(), lost()], ErrorKind::Transient, false),
        (vec![lost(), unsent(), unsent()], ErrorKind::Transient, false),
        (vec![unsent(), unsent(), unsent()], ErrorKind::Transient, true),
        (vec![Reply::json(502, "{}"), unsent(), unsent()], ErrorKind::Transient, false),
        (vec![Reply::json(503, "{}"), unsent(), unsent()], ErrorKind::Transient, true),
        (vec![lost(), Reply::json(409, "{}")], ErrorKind::Conflict, false),
        (vec![lost(), Reply::json(400, "{}")], ErrorKind::Invalid, true),
    ] {
        let transport = replies(script);
        let error = fails(&client(&transport), &Call::put("replace")).await;
        assert_eq!((error.kind(), error.outcome_known()), (kind, known), "{error:?}");
        assert_eq!(error.attempts() as usize, transport.sent().len());
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_says_how_many_attempts_went_to_the_wire_wherever_it_comes_from() {
    let transport = ScriptedTransport::function(|_, _| Reply::hang());
    let cx = Context::new().within(Duration::from_secs(3));
    let error = client(&transport).send(&cx, &Call::get("read")).await.unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::Timeout, 1));

    // The second attempt waits for the limit until the deadline.
    let limits = Limits::new().rate("app", 1, Duration::from_secs(100)).class("default", &["app"]);
    let transport = ScriptedTransport::function(|_, _| Reply::json(503, "{}"));
    let client = builder(&transport).limits(limits).build();
    let error = fails(&client, &Call::get("read")).await;
    assert_eq!(
        (error.kind(), error.attempts(), error.operation()),
        (ErrorKind::RateLimited, 1, Some("read"))
    );
    assert!(error.retry_after().is_some());
}

#[tokio::test(start_paused = true)]
async fn a_call_whose_deadline_has_passed_is_not_sent() {
    let transport = ScriptedTransport::function(|_, _| Reply::json(200, "{}"));
    let limits = Limits::new().rate("app", 10, Duration::from_secs(1)).class("default", &["app"]);
    let client = builder(&transport).limits(limits).build();
    let cx = Context::new().within(Duration::from_secs(1));
    tokio::time::sleep(Duration::from_secs(1)).await;
    let error = client.send(&cx, &Call::post("create")).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.outcome_known(), error.operation()),
        (ErrorKind::Timeout, true, Some("create"))
    );
    assert!(transport.sent().is_empty());
}

#[tokio::test(start_paused = true)]
async fn limits_beyond_what_a_clock_can_tell_are_none() {
    let transport = ScriptedTransport::function(|_, _| Reply::json(200, "{}"));
    let mut timeouts = Timeouts::default();
    (timeouts.total, timeouts.head) = (Duration::MAX, Duration::MAX);
    let client = builder(&transport).timeouts(timeouts).build();
    client.send(&Context::new().within(Duration::MAX), &Call::get("read")).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn rate_04_an_absurd_retry_after_does_not_break_the_next_call() {
    let seconds = (u64::MAX / 2).to_string();
    let transport =
        ScriptedTransport::function(move |_, _| Reply::json(429, "{}").header("retry-after", &seconds));
    let limits = Limits::new().rate("app", 100, Duration::from_secs(1)).class("default", &["app"]);
    let client = builder(&transport).limits(limits).build();
    assert_eq!(fails(&client, &Call::get("read")).await.kind(), ErrorKind::RateLimited);
    assert_eq!(fails(&client, &Call::get("read")).await.kind(), ErrorKind::QuotaExhausted);
    assert_eq!(transport.sent().len(), 1);
}

/// Says of a throttle which bucket it is about.
#[derive(Debug)]
struct Names;

impl Classifier for Names {
    fn classify(&self, answer: &Answer) -> Result<()> {
        if answer.status().is_success() { Ok(()) } else { Err(status_error(answer)) }
    }
    fn lessons(&self, answer: &Answer, lessons: &mut Vec<Lesson>) {
        if answer.status() == 429 {
            lessons.push(Lesson::Throttled { bucket: Some("search".into()), wait: answer.retry_after() });
        }
    }
}

#[tokio::test(start_paused = true)]
async fn rate_01_a_throttle_of_one_bucket_does_not_pause_the_others_of_its_request() {
    let transport = ScriptedTransport::function(|sent, n| match (sent.path_and_query().as_str(), n) {
        ("/search", 0) => Reply::json(429, "{}").header("retry-after", "30"),
        _ => Reply::json(200, "{}"),
    });
    let limits = Limits::new()
        .rate("app", 100, Duration::from_secs(1))
        .rate("search", 5, Duration::from_secs(1))
        .class("default", &["app"])
        .class("search", &["app", "search"]);
    let client = builder(&transport).limits(limits).classifier(Names).build();
    let search = tokio::spawn({
        let client = client.clone();
        async move { client.send(&Context::new(), &Call::get("search").path(["search"]).class("search")).await }
    });
    tokio::time::sleep(Duration::from_millis(10)).await;
    let began = Instant::now();
    client.send(&Context::new(), &Call::get("read").path(["read"])).await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    search.await.unwrap().unwrap();
    assert!(began.elapsed() >= Duration::from_secs(29));
}

#[tokio::test(start_paused = true)]
async fn rate_03_a_throttle_without_a_wait_pauses_the_others_also_when_it_is_not_tried_again() {
    let transport =
        ScriptedTransport::function(
            |_, n| {
                if n == 0 { Reply::json(429, "{}") } else { Reply::json(200, "{}") }
            },
        );
    let limits = Limits::new().rate("app", 1000, Duration::from_secs(1)).class("default", &["app"]);
    let client = builder(&transport).limits(limits).retry(RetryPolicy::none()).build();
    assert_eq!(fails(&client, &Call::get("read")).await.kind(), ErrorKind::RateLimited);
    client.send(&Context::new(), &Call::get("read")).await.unwrap();
    let pause = transport.sent()[1].at;
    assert!(pause > Duration::ZERO && pause <= Duration::from_secs(2), "{pause:?}");
}

#[tokio::test(start_paused = true)]
async fn a_failure_for_which_no_time_is_left_names_no_wait_of_ours() {
    let transport = ScriptedTransport::function(|_, _| Reply::json(503, "{}").after(Duration::from_secs(2)));
    let mut retry = RetryPolicy::default();
    (retry.base, retry.cap) = (Duration::from_secs(3600), Duration::from_secs(3600));
    let client = builder(&transport).retry(retry).build();
    let cx = Context::new().within(Duration::from_millis(2001));
    let error = client.send(&cx, &Call::get("read")).await.unwrap_err();
    assert_eq!((error.status(), error.retry_after(), error.attempts()), (Some(503), None, 1));
}

/// Fails at what it is told to.
#[derive(Debug)]
struct Broken {
    at_refresh: bool,
}

#[async_trait]
impl AuthProvider for Broken {
    async fn authorize(&self, _: &Context, _: &mut Request) -> Result<AuthStamp> {
        if self.at_refresh {
            return Ok(AuthStamp(0));
        }
        Err(Error::new(ErrorKind::Transient, "the token endpoint is away"))
    }
    async fn refresh(&self, _: &Context, _: AuthStamp) -> Result<Refresh> {
        Err(Error::new(ErrorKind::Transient, "the token endpoint is away"))
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_that_cannot_be_had_ends_the_call_and_does_not_count_against_the_vendor() {
    for (at_refresh, sent) in [(false, 0), (true, 1)] {
        let transport = ScriptedTransport::function(|_, _| Reply::json(401, "{}"));
        let client = builder(&transport).auth(Arc::new(Broken { at_refresh })).build();
        for n in 1..=30 {
            let error = fails(&client, &Call::post("create")).await;
            assert_eq!((error.kind(), error.attempts()), (ErrorKind::Transient, sent), "call {n}");
            assert!(error.outcome_known());
        }
        assert_eq!(client.breakers().state("default"), acople_core::BreakerState::Closed);
    }
}

#[tokio::test(start_paused = true)]
async fn links_are_relative_to_the_page_that_gave_them() {
    let transport = ScriptedTransport::function(|_, _| Reply::json(200, "{}"));
    let base = "https://api.example.com/odata/v4";
    let client = Client::builder(base, Arc::new(transport.clone())).unwrap().build();
    let page = || Call::get("read").path(["sales", "Orders"]).query("$top", 5);
    for (call, link, expected) in [
        (page(), "Orders?$skiptoken=1", "/odata/v4/sales/Orders?$skiptoken=1"),
        (page(), "?page=2", "/odata/v4/sales/Orders?page=2"),
        (page(), "../Other", "/odata/v4/Other"),
        (page(), "/x?y", "/x?y"),
        (page().link("?page=2"), "?page=3", "/odata/v4/sales/Orders?page=3"),
        (Call::get("read"), "Orders?$skiptoken=1", "/odata/v4/Orders?$skiptoken=1"),
    ] {
        client.send(&Context::new(), &call.link(link)).await.unwrap();
        assert_eq!(transport.sent().last().unwrap().path_and_query(), expected, "{link}");
    }
}

//! What no sandbox does: throttles, quotas, broken pages, links that lead away. Scripted, on paused time.

use std::time::Duration;

use acople_core::json::FieldPath;
use acople_core::{
    Batch, Connector, Context, ErrorKind, Outcome, ReadRequest, WriteMode, WriteReport, WriteRequest,
};
use acople_http::Within;
use acople_salesforce::Salesforce;
use acople_testkit::{Reply, ScriptedTransport, Sent};

use super::{described, hear, hear_with, page, scripted};

/// Answers the describe, then by a function of the other requests and their number, from 0.
fn after_describe(answer: impl Fn(&Sent, usize) -> Reply + Send + Sync + 'static) -> ScriptedTransport {
    ScriptedTransport::function(move |sent, number| {
        if number == 0 { Reply::json(200, described()) } else { answer(sent, number - 1) }
    })
}

fn refusal(status: u16, code: &str, message: &str) -> Reply {
    Reply::json(status, format!(r#"[{{"message":"{message}","errorCode":"{code}"}}]"#))
}

fn next(n: usize) -> String {
    format!("/services/data/v67.0/query/01g-{n}")
}

async fn write_one(sf: &Salesforce, mode: WriteMode, key: Option<&str>, records: usize) -> WriteReport {
    let record = |n| format!(r#"{{"Id":"00Q{n:015}","LastName":"x","Ext__c":"{n}"}}"#);
    let batch = Batch::from_records("Lead", (0..records).map(record)).unwrap();
    let key = key.map(|key| FieldPath::parse(key).unwrap());
    sf.write(&Context::new(), WriteRequest::new(mode, batch).with_key(key)).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_throttle_with_retry_after_is_waited_for_and_the_page_comes_once() {
    let transport = after_describe(|_, n| match n {
        0 => Reply::json(200, page(0..2, Some(&next(2)))),
        1 => Reply::json(429, "[]").header("retry-after", "7"),
        _ => Reply::json(200, page(2..4, None)),
    });
    let heard = hear(&scripted(&transport), ReadRequest::full("Lead")).await;
    heard.result.as_ref().unwrap();
    assert_eq!((heard.shape().as_str(), heard.ids().len()), ("BbcbcE", 4));
    let sent = transport.sent();
    assert!(sent[3].at >= sent[2].at + Duration::from_secs(7));
}

#[tokio::test(start_paused = true)]
async fn a_throttle_without_retry_after_is_tried_again_after_a_while() {
    let transport = after_describe(|_, n| match n {
        0 => refusal(429, "SOMETHING", "slow down"),
        _ => Reply::json(200, page(0..1, None)),
    });
    let heard = hear(&scripted(&transport), ReadRequest::full("Lead")).await;
    assert_eq!(heard.ids().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn rate_05_a_403_that_means_the_daily_quota_parks_the_read_and_is_not_asked_again() {
    let transport = after_describe(|_, n| match n {
        0 => Reply::json(200, page(0..2, Some(&next(2)))),
        _ => refusal(403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded."),
    });
    let sf = scripted(&transport);
    let heard = hear(&sf, ReadRequest::full("Lead")).await;
    let error = heard.result.as_ref().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::QuotaExhausted);
    assert!(error.retry_at().is_some() && error.retry_after().is_some());
    assert!(heard.last_checkpoint().is_some(), "what came before is not lost");
    let calls = transport.sent().len();
    let error = sf.check(&Context::new()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::QuotaExhausted);
    assert_eq!(transport.sent().len(), calls, "nobody asks before the pause is over");
}

#[tokio::test(start_paused = true)]
async fn rate_05_the_usage_header_stops_calls_before_the_vendor_does() {
    let transport = after_describe(|_, n| match n {
        0 => Reply::json(200, page(0..2, Some(&next(2)))).header("sforce-limit-info", "api-usage=5000/5000"),
        _ => Reply::json(200, page(2..4, None)),
    });
    let heard = hear(&scripted(&transport), ReadRequest::full("Lead")).await;
    assert_eq!(heard.result.as_ref().unwrap_err().kind(), ErrorKind::QuotaExhausted);
    assert_eq!((heard.ids().len(), transport.sent().len()), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn rate_05_the_tighter_of_two_quotas_counts() {
    for (usage, spent) in [
        ("api-usage=18/5000; per-app-api-usage=250/250(appName=x)", true),
        ("api-usage=5000/5000; per-app-api-usage=1/250(appName=x)", true),
        ("api-usage=5001/5000", true),
        ("api-usage=18/5000", false),
        ("api-usage=18/5000; per-app-api-usage=17/250(appName=x)", false),
        ("something else", false),
        ("api-usage=all/5000", false),
    ] {
        let transport = after_describe(move |_, n| match n {
            0 => Reply::json(200, page(0..2, Some(&next(2)))).header("sforce-limit-info", usage),
            _ => Reply::json(200, page(2..4, None)),
        });
        let heard = hear(&scripted(&transport), ReadRequest::full("Lead")).await;
        assert_eq!(heard.result.is_err(), spent, "{usage}");
    }
}

#[tokio::test(start_paused = true)]
async fn rate_08_too_many_calls_at_once_is_a_matter_of_seconds_not_of_a_day() {
    let transport = after_describe(|_, n| match n {
        0 => refusal(
            403,
            "REQUEST_LIMIT_EXCEEDED",
            "ConcurrentRequests (Concurrent API Requests) Limit exceeded.",
        ),
        _ => Reply::json(200, page(0..1, None)),
    });
    let heard = hear(&scripted(&transport), ReadRequest::full("Lead")).await;
    heard.result.as_ref().unwrap();
    assert_eq!(heard.ids().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn page_02_an_empty_page_is_not_the_end() {
    let transport = after_describe(|_, n| match n {
        0 => Reply::json(200, page(0..2, Some(&next(2)))),
        1 => Reply::json(200, page(0..0, Some(&next(3)))),
        _ => Reply::json(200, page(2..4, None)),
    });
    let heard = hear(&scripted(&transport), ReadRequest::full("Lead")).await;
    heard.result.as_ref().unwrap();
    assert_eq!((heard.shape().as_str(), heard.ids().len()), ("BbcbcE", 4));
}

#[tokio::test(start_paused = true)]
async fn page_01_a_list_that_runs_in_a_circle_ends_with_an_error() {
    let transport = after_describe(|_, n| Reply::json(200, page(n..n + 1, Some(&next(n % 2)))));
    let heard = hear(&scripted(&transport), ReadRequest::full("Lead")).await;
    assert_eq!(heard.result.unwrap_err().kind(), ErrorKind::Protocol);
}

#[tokio::test(start_paused = true)]
async fn url_03_a_next_page_on_another_host_is_refused() {
    for link in [
        "https://evil.example/services/data/v67.0/query/1",
        "//evil.example/x",
        "https://acme.my.salesforce.com@evil.example/",
    ] {
        let transport = after_describe(move |_, n| match n {
            0 => Reply::json(200, page(0..2, Some(link))),
            _ => Reply::json(200, page(2..4, None)),
        });
        let heard = hear(&scripted(&transport), ReadRequest::full("Lead")).await;
        assert_eq!(heard.result.as_ref().unwrap_err().kind(), ErrorKind::Protocol, "{link}");
        assert_eq!(transport.sent().len(), 2, "nothing was sent there");
    }
}

#[tokio::test(start_paused = true)]
async fn a_page_without_its_record_array_is_an_error_and_no_end() {
    let transport = after_describe(|_, _| Reply::json(200, r#"{"totalSize":0,"done":true}"#));
    let heard = hear(&scripted(&transport), ReadRequest::full("Lead")).await;
    assert_eq!(heard.result.as_ref().unwrap_err().kind(), ErrorKind::Protocol);
    assert_eq!(heard.shape(), "B");
}

#[tokio::test(start_paused = true)]
async fn a_page_that_is_no_json_is_an_error_after_the_pages_before_it() {
    let transport = after_describe(|_, n| match n {
        0 => Reply::json(200, page(0..2, Some(&next(2)))),
        _ => Reply::json(200, r#"{"done":true,"records":[{"Id":"#),
    });
    let heard = hear(&scripted(&transport), ReadRequest::full("Lead")).await;
    assert_eq!(heard.result.as_ref().unwrap_err().kind(), ErrorKind::Protocol);
    assert_eq!(heard.shape(), "Bbc");
}

#[tokio::test(start_paused = true)]
async fn body_05_a_login_page_where_json_was_expected_is_an_error() {
    let transport =
        after_describe(|_, _| Reply::new(200, "<html>Log in</html>").header("content-type", "text/html"));
    let heard = hear(&scripted(&transport), ReadRequest::full("Lead")).await;
    let error = heard.result.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol);
    assert!(error.message().contains("HTML"));
}

#[tokio::test(start_paused = true)]
async fn a_last_record_without_an_id_is_an_error_because_nothing_could_go_on_from_it() {
    let transport = after_describe(|_, _| Reply::json(200, r#"{"done":true,"records":[{"Name":"x"}]}"#));
    let heard = hear(&scripted(&transport), ReadRequest::full("Lead")).await;
    let error = heard.result.as_ref().unwrap_err();
    assert_eq!((error.kind(), error.fields()), (ErrorKind::Protocol, &["Id".to_owned()][..]));
}

#[tokio::test(start_paused = true)]
async fn a_static_token_that_is_refused_means_connect_again() {
    let transport = after_describe(|_, _| refusal(401, "INVALID_SESSION_ID", "Session expired or invalid"));
    let heard = hear(&scripted(&transport), ReadRequest::full("Lead")).await;
    let error = heard.result.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Reauth, Some("INVALID_SESSION_ID")));
    assert_eq!(transport.sent().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_session_that_no_new_token_makes_good_is_not_renewed() {
    for message in
        ["This session is not valid for use with the REST API", "Connected app is not attached to Agent"]
    {
        let transport = after_describe(move |_, _| refusal(401, "INVALID_SESSION_ID", message));
        let heard = hear(&scripted(&transport), ReadRequest::full("Lead")).await;
        assert_eq!(heard.result.unwrap_err().kind(), ErrorKind::Permission);
    }
}

#[tokio::test(start_paused = true)]
async fn statuses_and_codes_say_what_to_do() {
    for (status, code, kind) in [
        (400, "MALFORMED_QUERY", ErrorKind::Invalid),
        (400, "QUERY_TIMEOUT", ErrorKind::TooLarge),
        (400, "TXN_SECURITY_METERING_ERROR", ErrorKind::Config),
        (403, "INSUFFICIENT_ACCESS", ErrorKind::Permission),
        (403, "ANYTHING", ErrorKind::Permission),
        (403, "STORAGE_LIMIT_EXCEEDED", ErrorKind::QuotaExhausted),
        (404, "NOT_FOUND", ErrorKind::NotFound),
        (410, "UNSUPPORTED_API_VERSION", ErrorKind::Config),
        (414, "URI_TOO_LONG", ErrorKind::TooLarge),
        (420, "ANYTHING", ErrorKind::Transient),
        (431, "ANYTHING", ErrorKind::TooLarge),
        (500, "UNKNOWN_EXCEPTION", ErrorKind::Transient),
        (503, "SERVER_UNAVAILABLE", ErrorKind::Transient),
    ] {
        let transport = after_describe(move |_, _| refusal(status, code, "words"));
        let error = hear(&scripted(&transport), ReadRequest::full("Lead")).await.result.unwrap_err();
        assert_eq!((error.kind(), error.status(), error.code()), (kind, Some(status), Some(code)));
        assert_eq!(error.message(), "words");
        let expected = if kind == ErrorKind::Transient { 3 } else { 1 };
        assert_eq!(transport.sent().len() - 1, expected, "attempts of {status} {code}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_without_a_body_goes_by_its_status() {
    let transport = after_describe(|_, _| Reply::new(403, ""));
    let error = hear(&scripted(&transport), ReadRequest::full("Lead")).await.result.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Permission, None));
}

#[tokio::test(start_paused = true)]
async fn sec_03_a_token_that_the_vendor_echoes_does_not_reach_the_error() {
    let transport = after_describe(|_, _| refusal(400, "BAD", "what is 00Dtoken!secret"));
    let error = hear(&scripted(&transport), ReadRequest::full("Lead")).await.result.unwrap_err();
    assert!(!format!("{error} {error:?}").contains("secret"), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn write_05_an_answer_with_too_few_results_leaves_the_outcome_unknown() {
    let transport = ScriptedTransport::new([Reply::json(200, r#"[{"id":"1","success":true,"errors":[]}]"#)]);
    let report = write_one(&scripted(&transport), WriteMode::Insert, None, 2).await;
    assert!(report.outcomes().iter().all(|outcome| matches!(outcome, Outcome::Unknown { .. })));
}

#[tokio::test(start_paused = true)]
async fn a_locked_row_is_worth_another_try_and_a_refused_call_was_not_processed() {
    let body =
        r#"[{"success":false,"errors":[{"statusCode":"UNABLE_TO_LOCK_ROW","message":"busy","fields":[]}]}]"#;
    let transport = ScriptedTransport::new([Reply::json(200, body)]);
    let report = write_one(&scripted(&transport), WriteMode::Update, None, 1).await;
    assert_eq!(report.outcomes()[0].error().unwrap().kind(), ErrorKind::Transient);

    // The same for a whole call: refused with 4xx, so a create may be sent again.
    let transport = ScriptedTransport::new([
        refusal(400, "UNABLE_TO_LOCK_ROW", "busy"),
        Reply::json(201, r#"{"id":"00Q1","success":true,"errors":[]}"#),
    ]);
    let id = scripted(&transport)
        .create(&Context::new(), "Lead", &serde_json::json!({"LastName": "x"}))
        .await
        .unwrap();
    assert_eq!((id.as_str(), transport.sent().len()), ("00Q1", 2));
}

#[tokio::test(start_paused = true)]
async fn an_error_that_counts_several_reasons_says_so_and_names_all_fields() {
    let body = r#"[{"success":false,"errors":[
        {"statusCode":"REQUIRED_FIELD_MISSING","message":"missing","fields":["LastName"]},
        {"statusCode":"STRING_TOO_LONG","message":"long","fields":["Company","LastName"]}]}]"#;
    let transport = ScriptedTransport::new([Reply::json(200, body)]);
    let report = write_one(&scripted(&transport), WriteMode::Insert, None, 1).await;
    let error = report.outcomes()[0].error().unwrap();
    assert_eq!((error.message(), error.code()), ("missing (and 1 more)", Some("REQUIRED_FIELD_MISSING")));
    assert_eq!(error.fields(), ["LastName", "Company"]);
}

#[tokio::test(start_paused = true)]
async fn an_external_id_that_several_records_have_is_a_conflict() {
    let transport = ScriptedTransport::new([Reply::json(
        300,
        r#"["/services/data/v67.0/sobjects/Lead/00Q1","/x/00Q2"]"#,
    )]);
    let name = acople_salesforce::soql::Name::new("Ext__c").unwrap();
    let body = serde_json::json!({"LastName": "x"});
    let error = scripted(&transport).upsert(&Context::new(), "Lead", &name, "7", &body).await.unwrap_err();
    assert_eq!((error.kind(), error.status()), (ErrorKind::Conflict, Some(300)));
}

#[tokio::test(start_paused = true)]
async fn a_deadline_ends_a_read_from_a_vendor_that_says_nothing() {
    let transport = after_describe(|_, _| Reply::hang());
    let cx = Context::new().within(Duration::from_secs(20));
    let heard = hear_with(&scripted(&transport), &cx, ReadRequest::full("Lead")).await;
    assert_eq!(heard.result.unwrap_err().kind(), ErrorKind::Timeout);
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_read_stops_with_what_it_has_handed_out() {
    let transport = after_describe(|_, n| Reply::json(200, page(n..n + 1, Some(&next(n)))));
    let cancel = acople_core::CancelToken::new();
    let cx = Context::new().with_cancel(cancel.clone());
    let sf = scripted(&transport);
    let mut events = sf.read(&cx, ReadRequest::full("Lead").with_prefetch(0)).unwrap();
    for _ in 0..3 {
        futures_util::StreamExt::next(&mut events).await.unwrap().unwrap();
    }
    cancel.cancel();
    let error = futures_util::StreamExt::next(&mut events).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
}

#[tokio::test]
async fn net_02_an_unreachable_host_is_transient() {
    use acople_core::{Resources, Secret};
    use acople_salesforce::{Auth, Config};
    // A port that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let config = Config::new(Auth::AccessToken { token: Secret::from("token") })
        .with_base_url(format!("http://127.0.0.1:{port}"));
    let resources: Resources = super::wire();
    let error = Salesforce::new(config, &resources).unwrap().check(&Context::new()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transient);
}

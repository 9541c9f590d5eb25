//! What answers say about limits: headers and bodies as vendors send them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use acople_core::Lesson;
use acople_http::{
    graphql_cost, meta_usage, rate_limit_lesson, rate_limits, reset_in, retry_after, sforce_limit_info,
    x_rate_limit,
};
use http::{HeaderMap, HeaderName, HeaderValue};

fn headers(lines: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        headers.append(name.parse::<HeaderName>().unwrap(), value.parse::<HeaderValue>().unwrap());
    }
    headers
}

/// 2026-01-01T00:00:00Z.
fn new_year() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_767_225_600)
}

#[allow(clippy::unnecessary_wraps)] // what it is compared with is an option
fn seconds(n: u64) -> Option<Duration> {
    Some(Duration::from_secs(n))
}

#[test]
fn rate_04_retry_after_is_a_number_or_a_date_and_anything_else_is_absent() {
    let date = |offset: i64| {
        httpdate::fmt_http_date(
            UNIX_EPOCH + Duration::from_secs(1_767_225_600u64.saturating_add_signed(offset)),
        )
    };
    for (value, wait) in [
        ("7", seconds(7)),
        (" 7 ", seconds(7)),
        ("0", seconds(0)),
        ("-5", None),
        ("+5", None),
        ("", None),
        ("abc", None),
        ("1e9", None),
        ("1.5", None),
        ("864000", seconds(864_000)),
        ("18446744073709551616", None),
        (&date(30), seconds(30)),
        (&date(-30), seconds(0)),
        ("Thu, 32 Jan 2026 00:00:00 GMT", None),
    ] {
        assert_eq!(retry_after(&headers(&[("retry-after", value)]), new_year()), wait, "{value:?}");
    }
}

#[test]
fn rate_06_the_tightest_policy_wins_and_what_is_unknown_is_passed_over() {
    let remaining = |lines: &[(&str, &str)]| match rate_limit_lesson(&headers(lines), "app") {
        Some(Lesson::Remaining { bucket, remaining, resets_in }) if &*bucket == "app" => {
            Some((remaining, resets_in.map(|wait| wait.as_secs())))
        }
        None => None,
        other => panic!("{other:?}"),
    };
    for (name, lines, expected) in [
        ("one policy", vec![("ratelimit", r#""default";r=50;t=30"#)], Some((50, Some(30)))),
        (
            "two policies",
            vec![("ratelimit", r#""burst";r=100;t=60, "day";r=2;t=36000"#)],
            Some((2, Some(36_000))),
        ),
        (
            "on two lines",
            vec![("ratelimit", r#""day";r=900;t=36000"#), ("ratelimit", r#""burst";r=0;t=5"#)],
            Some((0, Some(5))),
        ),
        ("equally tight", vec![("ratelimit", r#""a";r=0;t=5, "b";r=0;t=50"#)], Some((0, Some(50)))),
        (
            "unknown parameters",
            vec![("ratelimit", r#""default";r=7;t=3;pk=:cHNsc2Q=:;new=?1;x="y""#)],
            Some((7, Some(3))),
        ),
        ("a token as its name", vec![("ratelimit", "default;r=7;t=3")], Some((7, Some(3)))),
        (
            "no reset: the policy's window",
            vec![("ratelimit-policy", r#""d";q=100;w=60"#), ("ratelimit", r#""d";r=0"#)],
            Some((0, Some(60))),
        ),
        ("neither", vec![("ratelimit", r#""d";r=9"#)], Some((9, None))),
        (
            "bytes are not calls",
            vec![
                ("ratelimit-policy", r#""b";q=65535;qu="content-bytes";w=10, "r";q=5;qu="requests";w=10"#),
                ("ratelimit", r#""b";r=0;t=9,"r";r=4;t=9"#),
            ],
            Some((4, Some(9))),
        ),
        ("a policy alone", vec![("ratelimit-policy", r#""d";q=100;w=60"#)], None),
        ("negative", vec![("ratelimit", r#""d";r=-1;t=9"#)], None),
        ("not a number", vec![("ratelimit", r#""d";r=1.5;t=9"#)], None),
        ("malformed at its end", vec![("ratelimit", r#""a";r=0;t=5, "b;r=0"#)], None),
        ("an older draft", vec![("ratelimit", "limit=100, remaining=17, reset=30")], Some((17, Some(30)))),
        ("nothing", vec![], None),
        ("empty", vec![("ratelimit", "")], None),
    ] {
        assert_eq!(remaining(&lines), expected, "{name}");
    }
    let told = headers(&[
        ("ratelimit-policy", r#""burst";q=100;w=60,"day";q=5000;w=86400;qu="requests""#),
        ("ratelimit", r#""day";r=12;t=600"#),
    ]);
    let policies = rate_limits(&told);
    assert_eq!(policies.len(), 2);
    assert_eq!(
        (policies[0].name.as_str(), policies[0].quota, policies[0].remaining),
        ("burst", Some(100), None)
    );
    assert_eq!((policies[1].window, policies[1].resets_in), (seconds(86_400), seconds(600)));
}

#[test]
fn rate_05_resets_are_told_apart_by_their_magnitude() {
    for (value, wait) in [
        ("30", seconds(30)),
        ("1.5", Some(Duration::from_millis(1500))),
        ("3600", seconds(3600)),
        ("1767225630", seconds(30)),
        ("1767225630.5", Some(Duration::from_millis(30_500))),
        ("1767225630000", seconds(30)),
        ("1767225600", seconds(0)),
        ("1767220000", seconds(0)),
        ("Thu, 01 Jan 2026 00:00:30 GMT", seconds(30)),
        ("Wed, 31 Dec 2025 00:00:30 GMT", seconds(0)),
        ("500000000", None),
        ("500000000000", None),
        ("99999999999999999999", None),
        ("-30", None),
        ("1e3", None),
        ("1.2.3", None),
        (".", None),
        ("", None),
        ("soon", None),
    ] {
        assert_eq!(reset_in(value, new_year()), wait, "{value:?}");
    }
}

#[test]
fn rate_05_recorded_headers_of_several_vendors() {
    let github = headers(&[
        ("date", "Thu, 01 Jan 2026 00:10:00 GMT"), // ten minutes ahead of us
        ("x-ratelimit-limit", "5000"),
        ("x-ratelimit-remaining", "4987"),
        ("x-ratelimit-reset", "1767229200"),
    ]);
    let discord = headers(&[
        ("x-ratelimit-limit", "5"),
        ("x-ratelimit-remaining", "0"),
        ("x-ratelimit-reset", "1470173023.123"),
        ("x-ratelimit-reset-after", "64.57"),
    ]);
    let twitter = headers(&[
        ("x-rate-limit-limit", "40000"),
        ("x-rate-limit-remaining", "39999"),
        ("x-rate-limit-reset", "1767226200"),
    ]);
    let draft = headers(&[
        ("ratelimit-limit", "100, 100;w=60"),
        ("ratelimit-remaining", "12"),
        ("ratelimit-reset", "50"),
    ]);
    let millis = headers(&[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1767225601500")]);
    for (vendor, headers, limit, remaining, resets_in) in [
        ("GitHub", github, Some(5000), 4987, Duration::from_secs(3000)),
        ("Discord", discord, Some(5), 0, Duration::from_millis(64_570)),
        ("Twitter", twitter, Some(40_000), 39_999, Duration::from_secs(600)),
        ("the older draft", draft, Some(100), 12, Duration::from_secs(50)),
        ("milliseconds", millis, None, 0, Duration::from_millis(1500)),
    ] {
        let found = x_rate_limit(&headers, new_year()).unwrap();
        assert_eq!((found.limit, found.remaining), (limit, Some(remaining)), "{vendor}");
        let off = found.resets_in.unwrap().abs_diff(resets_in);
        assert!(off < Duration::from_millis(1), "{vendor}: {:?}", found.resets_in);
        let lesson = found.lesson("app").unwrap();
        assert!(matches!(lesson, Lesson::Remaining { remaining: r, .. } if r == remaining));
    }
    assert_eq!(x_rate_limit(&headers(&[("x-ratelimit-remaining", "many")]), new_year()), None);
    assert_eq!(x_rate_limit(&HeaderMap::new(), new_year()), None);
}

#[test]
fn rate_05_meta_usage_is_the_highest_percentage_and_the_longest_time() {
    let usage =
        |lines: &[(&str, &str)]| meta_usage(&headers(lines)).map(|usage| (usage.percent, usage.regain));
    let app = ("x-app-usage", r#"{"call_count":28,"total_time":25,"total_cputime":25}"#);
    let business = (
        "x-business-use-case-usage",
        r#"{"66782684":[{"type":"ads_management","call_count":95,"total_cputime":20,"total_time":20,
            "estimated_time_to_regain_access":0,"ads_api_access_tier":"development_access"}],
            "10153848260347724":[{"type":"ads_insights","call_count":100,"total_cputime":23,"total_time":23,
            "estimated_time_to_regain_access":19}]}"#,
    );
    let business = (business.0, business.1.replace('\n', ""));
    let account = (
        "x-ad-account-usage",
        r#"{"acc_id_util_pct":9.67,"reset_time_duration":100,"ads_api_access_tier":"standard_access"}"#,
    );
    assert_eq!(usage(&[app]), Some((28.0, None)));
    assert_eq!(usage(&[(business.0, &business.1)]), Some((100.0, seconds(19 * 60))));
    assert_eq!(usage(&[account]), Some((9.67, None)));
    assert_eq!(usage(&[app, (business.0, &business.1), account]), Some((100.0, seconds(19 * 60))));
    for nothing in [
        "",
        "{",
        "[]",
        "{}",
        "5",
        r#"{"call_count":"28"}"#,
        r#"{"call_count":-1}"#,
        r#"{"a":{"b":{"c":{"call_count":9}}}}"#,
    ] {
        assert_eq!(usage(&[("x-app-usage", nothing)]), None, "{nothing}");
    }
    let deep = "[".repeat(50_000);
    assert_eq!(usage(&[("x-app-usage", &deep)]), None);
}

#[test]
fn rate_05_graphql_costs_and_salesforce_usage() {
    // As Shopify answers to a query that it refused.
    let throttled = br#"{"errors":[{"message":"Throttled","extensions":{"code":"THROTTLED",
        "documentation":"https://shopify.dev/api/usage/rate-limits"}}],"extensions":{"cost":{"requestedQueryCost":70,
        "actualQueryCost":null,"throttleStatus":{"maximumAvailable":1000,"currentlyAvailable":66,"restoreRate":50}}}}"#;
    let cost = graphql_cost(throttled).unwrap();
    assert_eq!((cost.requested, cost.actual, cost.available), (Some(70.0), None, 66.0));
    let mut lessons = Vec::new();
    cost.lessons("graphql", &mut lessons);
    assert_eq!(
        lessons,
        [Lesson::Points { bucket: "graphql".into(), available: 66, capacity: 1000, per_second: 50.0 }]
    );
    for nothing in [
        &b"{}"[..],
        b"",
        b"[]",
        br#"{"extensions":null}"#,
        br#"{"extensions":{"cost":{}}}"#,
        br#"{"extensions":{"cost":{"throttleStatus":{"maximumAvailable":"x"}}}}"#,
    ] {
        assert_eq!(graphql_cost(nothing), None);
    }
    for (value, left) in [
        ("api-usage=1/15000", Some(14_999)),
        ("api-usage=25/5000; per-app-api-usage=17/250(appName=sample-connected-app)", Some(233)),
        ("api-usage=15001/15000", Some(0)),
        ("api-usage=x/15000", None),
        ("api-usage=1", None),
        ("", None),
    ] {
        assert_eq!(sforce_limit_info(value), left, "{value}");
    }
}

#[test]
fn rate_06_no_header_makes_a_parser_panic() {
    let mut random = fastrand::Rng::with_seed(6);
    let pieces = [
        "\"",
        "a",
        ";",
        "r=",
        "t=",
        "0",
        "9",
        "1767225630",
        ",",
        " ",
        "=",
        "(",
        ")",
        ":",
        "?1",
        "@",
        "%\"",
        "-",
        ".",
        "limit",
        "remaining",
        "{",
        "}",
        "[",
        "]",
        "\\",
        "\t",
        "api-usage=",
        "/",
        "call_count",
        "w=60",
        "é",
    ];
    for _ in 0..50_000 {
        let text: String = (0..random.usize(0..12)).map(|_| pieces[random.usize(..pieces.len())]).collect();
        let Ok(value) = HeaderValue::from_bytes(text.as_bytes()) else { continue };
        let mut all = HeaderMap::new();
        for name in
            ["ratelimit", "ratelimit-policy", "retry-after", "x-ratelimit-reset", "x-app-usage", "date"]
        {
            all.append(name.parse::<HeaderName>().unwrap(), value.clone());
        }
        let _ = (rate_limits(&all), rate_limit_lesson(&all, "app"), retry_after(&all, new_year()));
        let _ = (x_rate_limit(&all, new_year()), meta_usage(&all), sforce_limit_info(&text));
        let _ = (reset_in(&text, new_year()), graphql_cost(text.as_bytes()));
    }
}

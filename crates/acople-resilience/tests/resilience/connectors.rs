//! What the fallback does of a connector besides reading.

use std::time::Duration;

use acople_core::{
    ActionCall, Batch, Connector, Context, ErrorKind, Result, WriteMode, WriteReport, WriteRequest,
};
use acople_resilience::{FallOver, Fallback, FallbackBuilder, Standby};
use serde_json::json;

use crate::fake::{Fails, Fake};

fn builder(a: &Fake, b: &Fake) -> FallbackBuilder {
    Fallback::builder("a", a.arc()).then(Standby::new("b", b.arc())).queries(["ask"])
}

async fn write(both: &Fallback) -> Result<WriteReport> {
    let batch = Batch::from_records("leads", [r#"{"id":1}"#]).unwrap();
    both.write(&Context::new(), WriteRequest::new(WriteMode::Upsert, batch)).await
}

async fn query(both: &Fallback) -> Result<String> {
    let output = both.invoke(&Context::new(), ActionCall::new("ask", json!({}))).await?;
    Ok(output.value().as_str().unwrap().to_owned())
}

#[tokio::test(start_paused = true)]
async fn the_rules_say_for_which_errors_the_next_source_is_asked() {
    let passing =
        [ErrorKind::RateLimited, ErrorKind::QuotaExhausted, ErrorKind::Transient, ErrorKind::Timeout];
    let never = [ErrorKind::Cancelled, ErrorKind::Fenced];
    for kind in ErrorKind::ALL {
        for (rules, expected) in [
            (FallOver::default(), passing.contains(&kind)),
            (FallOver::default().not_on(kind), false),
            (FallOver::never(), false),
            (FallOver::never().on(kind), !never.contains(&kind)),
        ] {
            let (a, b) = (Fake::failing("a", Fails::With(kind)), Fake::new("b"));
            let both = builder(&a, &b).rules(rules).build().unwrap();
            let results = [
                query(&both).await.map(drop),
                both.discover(&Context::new()).await.map(drop),
                both.describe(&Context::new(), "leads").await.map(drop),
            ];
            for result in results {
                match result {
                    Ok(()) => assert!(expected, "{kind}"),
                    Err(error) => assert_eq!((error.kind(), expected), (kind, false)),
                }
            }
            assert_eq!(b.asked().is_empty(), !expected, "{kind}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_open_breaker_is_a_reason_of_its_own() {
    for (rules, expected) in [
        (FallOver::default(), true),
        (FallOver::default().on_open_breaker(false), false),
        (FallOver::never().on_open_breaker(true), true),
    ] {
        let (a, b) = (Fake::failing("a", Fails::Breaker), Fake::new("b"));
        assert_eq!(query(&builder(&a, &b).rules(rules).build().unwrap()).await.is_ok(), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn when_all_fail_the_primarys_error_is_given() {
    let (a, b) = (Fake::failing("a", Fails::With(ErrorKind::QuotaExhausted)), Fake::new("b"));
    let c = Fake::new("c");
    let three = builder(&a, &b).then(Standby::new("c", c.arc())).build().unwrap();
    // A standby that cannot help, for a reason of its own, is passed over.
    b.fail(Fails::With(ErrorKind::Reauth), 0);
    assert_eq!(query(&three).await.unwrap(), "c");
    c.fail(Fails::With(ErrorKind::NotFound), 0);
    assert_eq!(query(&three).await.unwrap_err().kind(), ErrorKind::QuotaExhausted);
    // But not once the caller has given up.
    b.fail(Fails::With(ErrorKind::Cancelled), 0);
    b.asked();
    c.asked();
    assert_eq!(query(&three).await.unwrap_err().kind(), ErrorKind::Cancelled);
    assert_eq!((b.asked().as_str(), c.asked().as_str()), ("ask", ""));
}

#[tokio::test(start_paused = true)]
async fn patience_bounds_how_long_a_source_is_waited_for() {
    let (a, b) = (Fake::failing("a", Fails::Never), Fake::new("b"));
    let both = builder(&a, &b).patience(Duration::from_secs(3)).build().unwrap();
    let begun = tokio::time::Instant::now();
    let answer = tokio::time::timeout(Duration::from_secs(60), query(&both)).await;
    assert_eq!(answer.unwrap().unwrap(), "b");
    assert_eq!(begun.elapsed(), Duration::from_secs(3));
    // The last source has all the time that the caller has.
    b.fail(Fails::Never, 0);
    tokio::time::timeout(Duration::from_secs(600), query(&both)).await.unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn changes_go_to_the_primary_alone() {
    let (a, b) = (Fake::new("a"), Fake::new("b"));
    let both = builder(&a, &b).build().unwrap();
    for kind in ErrorKind::ALL {
        a.fail(Fails::With(kind), 0);
        assert_eq!(write(&both).await.unwrap_err().kind(), kind);
        let error = both.invoke(&Context::new(), ActionCall::new("change", json!({}))).await.unwrap_err();
        assert_eq!(error.kind(), kind);
    }
    assert_eq!(b.asked(), "");
}

#[tokio::test(start_paused = true)]
async fn changes_go_on_where_told_and_only_when_nothing_was_written() {
    for (fails, goes_on) in [
        (Fails::With(ErrorKind::Transient), true),
        (Fails::With(ErrorKind::RateLimited), true),
        (Fails::Breaker, true),
        (Fails::Unknown(ErrorKind::Transient), false),
        (Fails::Unknown(ErrorKind::Timeout), false),
        (Fails::With(ErrorKind::Ambiguous), false),
        (Fails::With(ErrorKind::Invalid), false),
    ] {
        let (a, b) = (Fake::failing("a", fails), Fake::new("b"));
        // Not even where the rules for reads would allow it.
        let rules = FallOver::default().on(ErrorKind::Ambiguous);
        let both = builder(&a, &b).rules(rules).writes_to(["a", "b"]).build().unwrap();
        assert_eq!(write(&both).await.is_ok(), goes_on, "{fails:?}");
        let changed = both.invoke(&Context::new(), ActionCall::new("change", json!({}))).await;
        assert_eq!(changed.is_ok(), goes_on, "{fails:?}");
        assert_eq!(b.asked(), if goes_on { "write change" } else { "" });
    }
    // An outcome that is not known is told, whatever came before.
    let (a, b) = (Fake::failing("a", Fails::With(ErrorKind::Transient)), Fake::new("b"));
    b.fail(Fails::With(ErrorKind::Ambiguous), 0);
    let both = builder(&a, &b).writes_to(["a", "b"]).build().unwrap();
    assert_eq!(write(&both).await.unwrap_err().kind(), ErrorKind::Ambiguous);
    let both = builder(&a, &b).writes_to(["b"]).build().unwrap();
    a.asked();
    b.fail(Fails::Not, 0);
    assert_eq!(write(&both).await.unwrap().accepted(), 1);
    assert_eq!(a.asked(), "");
}

#[tokio::test(start_paused = true)]
async fn a_check_reports_every_source_and_fails_when_all_do() {
    let (a, b) = (Fake::new("a"), Fake::new("b"));
    let both = builder(&a, &b).build().unwrap();
    let health = both.check(&Context::new()).await.unwrap();
    assert_eq!((health.summary.as_str(), health.warnings.len()), ("a: there; b: there", 2));
    a.fail(Fails::With(ErrorKind::Reauth), 0);
    let health = both.check(&Context::new()).await.unwrap();
    assert_eq!(health.summary, "b: there");
    assert_eq!(health.warnings, ["degraded: a does not answer: reauth: a failed", "b: old"]);
    b.fail(Fails::With(ErrorKind::Transient), 0);
    assert_eq!(both.check(&Context::new()).await.unwrap_err().kind(), ErrorKind::Reauth);
}

#[tokio::test(start_paused = true)]
async fn health_shows_that_standbys_answer_until_the_primary_does() {
    let (a, b) = (Fake::failing("a", Fails::With(ErrorKind::Transient)), Fake::new("b"));
    let both = builder(&a, &b).build().unwrap();
    assert_eq!(both.standing().degraded, None);
    query(&both).await.unwrap();
    tokio::time::advance(Duration::from_secs(90)).await;
    query(&both).await.unwrap();
    assert_eq!(both.standing().degraded, Some(("b".into(), Duration::from_secs(90))));
    a.fail(Fails::Not, 0);
    let health = both.check(&Context::new()).await.unwrap();
    assert!(health.warnings.contains(&"degraded: b answers for a since 90 s".to_owned()), "{health:?}");
    query(&both).await.unwrap();
    let standing = both.standing();
    assert_eq!((standing.degraded, standing.answered), (None, vec![("a".into(), 1), ("b".into(), 2)]));
}

#[tokio::test(start_paused = true)]
async fn a_catalog_comes_from_the_first_that_has_one_and_promises_no_writes_that_are_not_made() {
    let (a, b) = (Fake::new("a"), Fake::new("b"));
    let both = builder(&a, &b).build().unwrap();
    assert_eq!(both.info().id, "a");
    let describe = async |both: &Fallback| both.describe(&Context::new(), "leads").await.unwrap();
    let catalog = both.discover(&Context::new()).await.unwrap();
    assert!(catalog.stream("a").unwrap().can_write(WriteMode::Upsert));
    assert!(describe(&both).await.can_write(WriteMode::Upsert));
    a.fail(Fails::With(ErrorKind::Transient), 0);
    let catalog = both.discover(&Context::new()).await.unwrap();
    assert!(!catalog.stream("b").unwrap().can_write(WriteMode::Upsert));
    assert!(!describe(&both).await.can_write(WriteMode::Upsert));
    let both = builder(&a, &b).writes_to(["b"]).build().unwrap();
    assert!(describe(&both).await.can_write(WriteMode::Upsert));
}

#[test]
fn what_cannot_be_meant_is_refused() {
    let (a, b) = (Fake::new("a"), Fake::new("b"));
    for (builder, field) in [
        (Fallback::builder("a", a.arc()), "sources"),
        (builder(&a, &b).then(Standby::new("a", b.arc())), "sources"),
        (builder(&a, &b).writes_to(["c"]), "writes_to"),
    ] {
        let error = builder.build().unwrap_err();
        assert_eq!((error.kind(), error.fields()), (ErrorKind::Config, &[field.to_owned()][..]));
    }
}

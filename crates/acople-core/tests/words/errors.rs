//! Errors: what they keep, what they never show.

use std::time::{Duration, SystemTime};

use acople_core::{Error, ErrorKind, Outcome, Progress, TransportError, WireFault};

const SECRET: &str = "sk_live_0123456789abcdefghijklmnop";

#[test]
fn an_error_survives_serde_with_all_its_facts() {
    let error = Error::new(ErrorKind::RateLimited, "slow down")
        .with_operation("list contacts")
        .with_status(429)
        .with_code("SECONDLY")
        .with_request_id("r-1")
        .with_retry_after(Duration::from_millis(1500))
        .with_retry_at(SystemTime::UNIX_EPOCH + Duration::from_secs(60))
        .with_record("#3")
        .with_field("email")
        .with_attempts(3)
        .with_unknown_outcome();
    let text = serde_json::to_string(&error).unwrap();
    let back: Error = serde_json::from_str(&text).unwrap();
    assert_eq!(format!("{back:?}"), format!("{error:?}"));
    assert_eq!(format!("{:?}", error.copy()), format!("{error:?}"));
}

#[test]
fn control_characters_are_escaped_and_long_texts_cut() {
    let error = Error::new(ErrorKind::Invalid, "a\nb\u{1b}[31m\u{202e}c");
    assert_eq!(error.message(), r"a\u{a}b\u{1b}[31m\u{202e}c");
    let long = Error::new(ErrorKind::Invalid, "ä".repeat(10_000));
    assert!(long.message().len() <= 1024 + '…'.len_utf8() && long.message().ends_with('…'));
}

#[test]
fn sec_03_a_secret_is_taken_out_of_every_text() {
    let mut error = Error::new(ErrorKind::Invalid, format!("bad token {SECRET}, {SECRET}"))
        .with_code(SECRET)
        .with_request_id(format!("r-{SECRET}"))
        .with_record(SECRET)
        .with_field(SECRET);
    error.redact(SECRET);
    assert!(!format!("{error} {error:?}").contains(SECRET));
}

#[test]
fn sec_03_the_beginning_of_a_secret_at_which_a_text_was_cut_is_taken_out_too() {
    for filler in 980..1030 {
        let mut error = Error::new(ErrorKind::Invalid, format!("{}{SECRET} and more", "x".repeat(filler)));
        error.redact(SECRET);
        assert!(!error.message().contains("sk_live_"), "cut after {filler}: {}", error.message());
    }
}

#[test]
fn a_request_that_was_seen_leaves_its_outcome_open_even_where_repeating_it_is_harmless() {
    let fault = |progress| TransportError::new(progress, WireFault::Reset, "broken");
    for (progress, repeatable, kind, known) in [
        (Progress::NotSent, false, ErrorKind::Transient, true),
        (Progress::NotSent, true, ErrorKind::Transient, true),
        (Progress::MaybeSent, false, ErrorKind::Ambiguous, false),
        (Progress::MaybeSent, true, ErrorKind::Transient, false),
        (Progress::Answered, true, ErrorKind::Transient, false),
    ] {
        let error = fault(progress).into_error(repeatable);
        assert_eq!((error.kind(), error.outcome_known()), (kind, known), "{progress:?}");
        let unknown = matches!(Outcome::from_call_error(&error), Outcome::Unknown { .. });
        assert_eq!(unknown, !known, "nobody says of such a record that it was not written");
    }
}

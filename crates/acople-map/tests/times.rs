//! Dates and moments between the notations of vendors.
#![allow(clippy::unwrap_used)]

use acople_core::{Batch, ErrorKind, Mapper};
use acople_map::{Lookups, Table};

/// The raw target of a raw source, or the kind of the refusal.
fn convert(spec: &str, raw: &str) -> Result<String, ErrorKind> {
    let table =
        Table::from_yaml(&format!("rules: [{{from: a, to: b, convert: {{datetime: {{{spec}}}}}}}]")).unwrap();
    let mapper = table.compile(&Lookups::new()).unwrap();
    let batch = Batch::from_records("x", [format!(r#"{{"a":{raw}}}"#)]).unwrap();
    let mut mapped = mapper.map(&batch).unwrap();
    if let Some(refusal) = mapped.refused.pop() {
        assert_eq!(refusal.error.fields(), ["a"]);
        let value = raw.trim_matches('"');
        assert!(value.len() < 4 || !refusal.error.message().contains(value), "{}", refusal.error);
        return Err(refusal.error.kind());
    }
    let record = mapped.batch.get(0).unwrap().raw();
    Ok(record.strip_prefix(r#"{"b":"#).unwrap().strip_suffix('}').unwrap().trim_matches('"').to_owned())
}

fn converted(spec: &str, raw: &str) -> String {
    convert(spec, raw).unwrap()
}

#[test]
fn every_variant_of_iso_8601_that_vendors_send_is_read() {
    for text in [
        "2026-01-02T03:04:05.000+0000",
        "2026-01-02T03:04:05Z",
        "2026-01-02T03:04:05+00:00",
        "2026-01-02T03:04:05.000000Z",
        "2026-01-01T19:04:05-08:00",
        "2026-01-02T08:34:05+0530",
        "2026-01-02 03:04:05Z",
        "2026-01-02t03:04:05z",
    ] {
        let raw = format!("\"{text}\"");
        assert_eq!(converted("from: rfc3339, to: rfc3339", &raw), "2026-01-02T03:04:05Z", "{text}");
        assert_eq!(
            converted("from: iso_basic_offset, to: rfc3339_millis", &raw),
            "2026-01-02T03:04:05.000Z",
            "{text}"
        );
        assert_eq!(
            converted("from: rfc3339_millis, to: iso_basic_offset", &raw),
            "2026-01-02T03:04:05.000+0000",
            "{text}"
        );
    }
}

#[test]
fn a_date_alone_is_midnight_and_a_moment_has_its_date_in_the_zone() {
    assert_eq!(converted("from: rfc3339, to: rfc3339", r#""2026-01-02""#), "2026-01-02T00:00:00Z");
    assert_eq!(
        converted("from: date, to: rfc3339, zone: America/Lima", r#""2026-01-02""#),
        "2026-01-02T05:00:00Z"
    );
    assert_eq!(converted("from: rfc3339, to: date", r#""2026-01-02T03:04:05Z""#), "2026-01-02");
    assert_eq!(
        converted("from: rfc3339, to: date, zone: America/Lima", r#""2026-01-02T03:04:05Z""#),
        "2026-01-01"
    );
    assert_eq!(converted("from: date, to: date", r#""2026-01-02""#), "2026-01-02");
    assert_eq!(convert("from: date, to: date", r#""2026-01-02T03:04:05Z""#), Err(ErrorKind::Schema));
}

#[test]
fn epochs_are_read_from_numbers_and_texts() {
    for raw in ["1767225600000", r#""1767225600000""#, "1767225600000.0", "1.7672256e12"] {
        assert_eq!(converted("from: epoch_millis, to: rfc3339", raw), "2026-01-01T00:00:00Z", "{raw}");
    }
    assert_eq!(
        converted("from: epoch_seconds, to: rfc3339_millis", "1767225600"),
        "2026-01-01T00:00:00.000Z"
    );
    assert_eq!(
        converted("from: rfc3339, to: epoch_millis", r#""2026-01-01T00:00:00.1239Z""#),
        "1767225600123"
    );
    assert_eq!(
        converted("from: rfc3339, to: epoch_millis_text", r#""2026-01-01T00:00:00Z""#),
        "1767225600000"
    );
    assert_eq!(
        converted("from: rfc3339, to: epoch_seconds", r#""1969-12-31T23:59:59.5Z""#),
        "-1",
        "cut, not rounded up"
    );
    assert_eq!(convert("from: epoch_seconds, to: rfc3339", "1767225600.5"), Err(ErrorKind::Schema));
    assert_eq!(convert("from: epoch_millis, to: rfc3339", "99999999999999999999"), Err(ErrorKind::Schema));
}

#[test]
fn odata_dates_are_read_with_and_without_an_offset() {
    for text in [
        "/Date(1767225600000+0000)/",
        "/Date(1767225600000)/",
        "/Date(1767225600000-0500)/",
        r"\/Date(1767225600000+0000)\/",
    ] {
        assert_eq!(
            converted("from: odata, to: rfc3339", &format!("\"{text}\"")),
            "2026-01-01T00:00:00Z",
            "{text}"
        );
    }
    assert_eq!(converted("from: odata, to: rfc3339", r#""/Date(-1000)/""#), "1969-12-31T23:59:59Z");
    assert_eq!(
        converted("from: rfc3339, to: odata", r#""2026-01-01T00:00:00Z""#),
        "/Date(1767225600000+0000)/"
    );
    for text in
        ["/Date()/", "/Date(x)/", "Date(1)", "/Date(1+)/", "/Date(1+00:00)/", "/Date(99999999999999999)/"]
    {
        assert_eq!(
            convert("from: odata, to: rfc3339", &format!("\"{text}\"")),
            Err(ErrorKind::Schema),
            "{text}"
        );
    }
}

#[test]
fn patterns_read_and_write() {
    let spec = "from: {pattern: '%d/%m/%Y %H:%M'}, to: rfc3339, zone: '-05:00'";
    assert_eq!(converted(spec, r#""31/12/2025 23:30""#), "2026-01-01T04:30:00Z");
    assert_eq!(converted("from: {pattern: '%d.%m.%Y'}, to: date", r#""02.01.2026""#), "2026-01-02");
    assert_eq!(
        converted("from: {pattern: '%Y-%m-%d %H:%M:%S %z'}, to: rfc3339", r#""2026-01-02 03:04:05 +0100""#),
        "2026-01-02T02:04:05Z"
    );
    assert_eq!(
        converted(
            "from: rfc3339, to: {pattern: '%d/%m/%Y'}, zone: America/Lima",
            r#""2026-01-02T03:04:05Z""#
        ),
        "01/01/2026"
    );
    assert_eq!(convert("from: {pattern: '%d/%m/%Y'}, to: date", r#""31/02/2026""#), Err(ErrorKind::Schema));
}

#[test]
fn body_16_a_local_time_needs_a_zone_and_must_be_one_moment_there() {
    let local = |text: &str, zone: &str| {
        convert(&format!("from: rfc3339, to: rfc3339{zone}"), &format!("\"{text}\""))
    };
    assert_eq!(local("2026-01-02T03:04:05", ""), Err(ErrorKind::Schema));
    assert_eq!(local("2026-01-02T03:04:05", ", zone: Europe/Madrid").unwrap(), "2026-01-02T02:04:05Z");
    assert_eq!(
        local("2026-03-29T02:30:00", ", zone: Europe/Madrid"),
        Err(ErrorKind::Schema),
        "the clock skips it"
    );
    assert_eq!(
        local("2026-10-25T02:30:00", ", zone: Europe/Madrid"),
        Err(ErrorKind::Schema),
        "the clock repeats it"
    );
    assert_eq!(local("2026-10-25T03:30:00", ", zone: Europe/Madrid").unwrap(), "2026-10-25T02:30:00Z");
}

#[test]
fn body_16_the_first_and_the_last_year_and_leap_seconds_are_read_and_no_date_is_refused() {
    let iso = |text: &str| convert("from: rfc3339, to: rfc3339", &format!("\"{text}\""));
    assert_eq!(iso("0001-01-01T00:00:00Z").unwrap(), "0001-01-01T00:00:00Z");
    assert_eq!(iso("9999-12-30T00:00:00Z").unwrap(), "9999-12-30T00:00:00Z");
    assert_eq!(iso("2016-12-31T23:59:60Z").unwrap(), "2016-12-31T23:59:59Z");
    for text in [
        "0000-00-00",
        "0000-00-00T00:00:00Z",
        "0000-01-01T00:00:00Z",
        "2026-02-30",
        "2026-13-01",
        "",
        "now",
        "2026-01-02T03:04:05Z[Europe/Paris]",
    ] {
        assert_eq!(iso(text), Err(ErrorKind::Schema), "{text}");
    }
    assert_eq!(convert("from: rfc3339, to: rfc3339", "true"), Err(ErrorKind::Schema));
}

#[test]
fn body_16_every_notation_of_a_moment_is_read_as_that_moment_or_refused() {
    let moment = Ok("2026-07-01T12:00:00Z".to_owned());
    let refused = || Err(ErrorKind::Schema);
    for (spec, raw, expected) in [
        ("from: epoch_seconds", "1782907200", moment.clone()),
        ("from: epoch_seconds", r#""1782907200""#, moment.clone()),
        ("from: epoch_millis", "1782907200000", moment.clone()),
        ("from: epoch_micros", "1782907200000000", moment.clone()),
        ("from: epoch_micros", r#""1782907200000000""#, moment.clone()),
        ("from: odata", r#""/Date(1782907200000)/""#, moment.clone()),
        ("from: rfc3339", r#""2026-07-01T07:00:00-05:00""#, moment.clone()),
        // The zone counts where the text names none, and nowhere else.
        ("from: rfc3339, zone: Europe/Madrid", r#""2026-07-01T14:00:00""#, moment.clone()),
        ("from: rfc3339, zone: Europe/Madrid", r#""2026-07-01T12:00:00Z""#, moment.clone()),
        ("from: {pattern: '%d/%m/%Y %H:%M'}, zone: America/Lima", r#""01/07/2026 07:00""#, moment),
        // Hours that the clock skips or repeats there, and the same hours where it does neither.
        ("from: rfc3339, zone: America/New_York", r#""2026-03-08T02:30:00""#, refused()),
        ("from: rfc3339, zone: America/New_York", r#""2026-11-01T01:30:00""#, refused()),
        ("from: rfc3339, zone: America/Lima", r#""2026-03-08T02:30:00""#, Ok("2026-03-08T07:30:00Z".into())),
        // The ends of what can be written.
        ("from: rfc3339", r#""0001-01-01T00:00:00Z""#, Ok("0001-01-01T00:00:00Z".into())),
        ("from: rfc3339", r#""0001-01-01T00:00:00+01:00""#, refused()),
        ("from: rfc3339", r#""9999-12-30T22:00:00Z""#, Ok("9999-12-30T22:00:00Z".into())),
        ("from: rfc3339", r#""10000-01-01T00:00:00Z""#, refused()),
        ("from: epoch_micros", "9223372036854775807", refused()),
        ("from: epoch_seconds", "9223372036854775808", refused()),
        ("from: epoch_seconds", "-62135596800", Ok("0001-01-01T00:00:00Z".into())),
        ("from: epoch_seconds", "-62135596801", refused()),
        // A leap second is the last one before it; a clock does not have it anywhere else.
        ("from: rfc3339", r#""2016-12-31T23:59:60Z""#, Ok("2016-12-31T23:59:59Z".into())),
        ("from: rfc3339", r#""2016-12-31T23:59:61Z""#, refused()),
        // What databases write where there is no date.
        ("from: rfc3339", r#""0000-00-00""#, refused()),
        ("from: rfc3339", r#""0000-00-00 00:00:00""#, refused()),
        ("from: date", r#""0000-00-00""#, refused()),
        ("from: {pattern: '%d/%m/%Y'}", r#""00/00/0000""#, refused()),
    ] {
        assert_eq!(convert(&format!("to: rfc3339, {spec}"), raw), expected, "{spec} {raw}");
    }
    let micros = |raw| convert("from: rfc3339, to: epoch_micros", raw).unwrap();
    assert_eq!(micros(r#""2026-07-01T12:00:00.0000019Z""#), "1782907200000001", "cut, not rounded up");
    assert_eq!(micros(r#""1969-12-31T23:59:59.9999995Z""#), "-1");
}

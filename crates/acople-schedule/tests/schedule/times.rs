//! When schedules are due.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use acople_core::ErrorKind;
use acople_schedule::Schedule;
use jiff::Timestamp;
use proptest::prelude::*;

fn time(text: &str) -> SystemTime {
    SystemTime::try_from(text.parse::<Timestamp>().unwrap()).unwrap()
}

/// The next times, in UTC.
fn next(expression: &str, zone: &str, from: &str, count: usize) -> Vec<String> {
    let schedule = Schedule::cron(expression, zone).unwrap();
    let times = std::iter::successors(schedule.after(time(from)), |&last| schedule.after(last));
    times.take(count).map(|time| Timestamp::try_from(time).unwrap().to_string()).collect()
}

#[test]
fn cron_expressions_are_due_when_crontab_says() {
    for (expression, from, expected) in [
        ("*/15 * * * *", "2026-03-01T10:07:00Z", vec!["2026-03-01T10:15:00Z", "2026-03-01T10:30:00Z"]),
        ("0 0 * * *", "2026-12-31T00:00:00Z", vec!["2027-01-01T00:00:00Z"]),
        ("@daily", "2026-12-31T00:00:01Z", vec!["2027-01-01T00:00:00Z"]),
        ("30 9 * * MON-FRI", "2026-09-04T12:00:00Z", vec!["2026-09-07T09:30:00Z", "2026-09-08T09:30:00Z"]),
        ("0 12 29 2 *", "2026-01-01T00:00:00Z", vec!["2028-02-29T12:00:00Z", "2032-02-29T12:00:00Z"]),
        // Either day suffices when both are given.
        ("0 0 1 * MON", "2026-08-01T00:00:00Z", vec!["2026-08-03T00:00:00Z", "2026-08-10T00:00:00Z"]),
        ("59 23 31 12 *", "2026-12-31T23:59:00Z", vec!["2027-12-31T23:59:00Z"]),
    ] {
        assert_eq!(next(expression, "UTC", from, expected.len()), expected, "{expression}");
    }
}

#[test]
fn where_clocks_are_changed_a_fixed_hour_runs_once_and_a_star_runs_in_every_hour_there_is() {
    // Madrid leaves out 2026-03-29 from 02:00 to 03:00, and has 2026-10-25 from 02:00 to 03:00 twice.
    let spring = next("30 2 * * *", "Europe/Madrid", "2026-03-27T12:00:00Z", 3);
    assert_eq!(spring, ["2026-03-28T01:30:00Z", "2026-03-29T01:30:00Z", "2026-03-30T00:30:00Z"]);
    let autumn = next("30 2 * * *", "Europe/Madrid", "2026-10-24T12:00:00Z", 2);
    assert_eq!(autumn, ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]);
    let hours = next("30 * * * *", "Europe/Madrid", "2026-10-24T23:00:00Z", 4);
    let expected =
        ["2026-10-24T23:30:00Z", "2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z", "2026-10-25T02:30:00Z"];
    assert_eq!(hours, expected);
    let hours = next("15 * * * *", "Europe/Madrid", "2026-03-29T00:00:00Z", 3);
    assert_eq!(hours, ["2026-03-29T00:15:00Z", "2026-03-29T01:15:00Z", "2026-03-29T02:15:00Z"]);
    // Half an hour, on the other side of the world.
    let lord_howe = next("45 1 * * *", "Australia/Lord_Howe", "2026-04-04T00:00:00Z", 2);
    assert_eq!(lord_howe, ["2026-04-04T14:45:00Z", "2026-04-05T15:15:00Z"]);
}

#[test]
fn what_is_no_schedule_is_refused_with_the_field() {
    for (expression, zone, field) in [
        ("* * * *", "UTC", "cron"),
        ("61 * * * *", "UTC", "cron"),
        ("every day", "UTC", "cron"),
        ("@reboot", "UTC", "cron"),
        ("0 0 30 2 *", "UTC", "cron"),
        ("0 0 * * *", "Europe/Atlantis", "time_zone"),
    ] {
        let error = Schedule::cron(expression, zone).unwrap_err();
        assert_eq!(
            (error.kind(), error.fields()),
            (ErrorKind::Config, &[field.to_owned()][..]),
            "{expression}"
        );
    }
    assert_eq!(Schedule::every(Duration::ZERO).unwrap_err().fields(), ["every"]);
    assert_eq!(Schedule::by_hand().after(UNIX_EPOCH), None);
}

#[test]
fn periods_go_by_the_clock_and_not_by_the_start() {
    let schedule = Schedule::every(Duration::from_secs(600)).unwrap();
    assert_eq!(schedule.after(time("2026-01-01T10:03:07Z")), Some(time("2026-01-01T10:10:00Z")));
    assert_eq!(schedule.after(time("2026-01-01T10:10:00Z")), Some(time("2026-01-01T10:20:00Z")));
    assert_eq!(
        schedule.after(UNIX_EPOCH - Duration::from_secs(5)),
        Some(UNIX_EPOCH + Duration::from_secs(600))
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Against a walk from minute to minute.
    #[test]
    fn the_next_time_is_the_first_minute_that_fits(
        minute in 0u8..60, step in 1u8..30, hour in 0u8..24, day in 1u8..28, from in 0u64..100_000_000,
        form in 0usize..4,
    ) {
        let expression = match form {
            0 => format!("*/{step} * * * *"),
            1 => format!("{minute} {hour} * * *"),
            2 => format!("{minute} */{} * * *", step.min(12)),
            _ => format!("{minute} {hour} {day} * *"),
        };
        let start = UNIX_EPOCH + Duration::from_secs(1_700_000_000 + from);
        let found = Schedule::cron(&expression, "UTC").unwrap().after(start).unwrap();
        let parsed = cronp::Schedule::<cronp::Vixie>::parse(&expression).unwrap();
        let seconds = start.duration_since(UNIX_EPOCH).unwrap().as_secs();
        let walked = (1..=60 * 24 * 40u64).map(|n| (seconds / 60 + n) * 60).find(|&second| {
            let local = jiff::tz::TimeZone::UTC
                .to_datetime(Timestamp::from_second(i64::try_from(second).unwrap()).unwrap());
            let [month, day, hour, minute] =
                [local.month(), local.day(), local.hour(), local.minute()].map(|n| u8::try_from(n).unwrap());
            let year = u16::try_from(local.year()).unwrap();
            parsed.matches(cronp::CivilDateTime::new(year, month, day, hour, minute, 0).unwrap())
        });
        prop_assert_eq!(found.duration_since(UNIX_EPOCH).unwrap().as_secs(), walked.unwrap(), "{}", expression);
    }
}

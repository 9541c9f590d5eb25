//! The headers `X-RateLimit-*` in the forms in which vendors write them.

#![deny(clippy::arithmetic_side_effects)]

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use acople_core::Lesson;
use http::HeaderMap;
use http::header::DATE;

/// How the names begin. The third is of older drafts of the standard fields.
const PREFIXES: [&str; 3] = ["x-ratelimit-", "x-rate-limit-", "ratelimit-"];

/// A reset that is smaller is a number of seconds from now (some 115 days at most); the next ones up to the bounds
/// are seconds and milliseconds since 1970. What lies between is none of them.
const FROM_NOW: f64 = 1e7;
const EPOCH_SECONDS: std::ops::Range<f64> = 1e9..1e11;
const EPOCH_MILLIS: std::ops::Range<f64> = 1e12..1e14;

/// What an answer's `X-RateLimit-Limit`, `-Remaining` and `-Reset` say.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct XRateLimit {
    /// Units of a whole window.
    pub limit: Option<u64>,
    /// Units left.
    pub remaining: Option<u64>,
    /// Time until the window resets.
    pub resets_in: Option<Duration>,
}

impl XRateLimit {
    /// What it teaches about a bucket.
    pub fn lesson(&self, bucket: impl Into<Arc<str>>) -> Option<Lesson> {
        let (remaining, resets_in) = (self.remaining?, self.resets_in);
        Some(Lesson::Remaining { bucket: bucket.into(), remaining, resets_in })
    }
}

/// Reads `X-RateLimit-Limit`, `-Remaining`, `-Reset` and `-Reset-After`, also spelled `X-Rate-Limit-` and
/// `RateLimit-`. `None` when there are none.
///
/// Points in time are compared with the answer's own `Date`, so that a clock that is off on either side cancels
/// out; `now` stands in where that is missing. A malformed value counts as absent.
pub fn x_rate_limit(headers: &HeaderMap, now: SystemTime) -> Option<XRateLimit> {
    let text = |name: &str| headers.get(name)?.to_str().ok();
    let sent = headers.get(DATE).and_then(|date| date.to_str().ok());
    let sent = sent.and_then(|date| httpdate::parse_http_date(date).ok()).unwrap_or(now);
    PREFIXES.iter().find_map(|prefix| {
        let header = |name: &str| text(&[prefix, name].concat());
        let after = || header("reset-after").and_then(|after| seconds(number(after)?));
        let found = XRateLimit {
            limit: header("limit").and_then(whole),
            remaining: header("remaining").and_then(whole),
            resets_in: after().or_else(|| header("reset").and_then(|reset| reset_in(reset, sent))),
        };
        (found != XRateLimit::default()).then_some(found)
    })
}

/// How long after `sent` a reset is that is written as seconds from now, seconds or milliseconds since 1970 (told
/// apart by their magnitude), or an HTTP date. One that has passed is now.
pub fn reset_in(value: &str, sent: SystemTime) -> Option<Duration> {
    let Some(number) = number(value) else {
        let at = httpdate::parse_http_date(value.trim()).ok()?;
        return Some(at.duration_since(sent).unwrap_or_default());
    };
    let since_epoch = if number < FROM_NOW {
        return seconds(number);
    } else if EPOCH_SECONDS.contains(&number) {
        seconds(number)?
    } else if EPOCH_MILLIS.contains(&number) {
        seconds(number / 1000.0)?
    } else {
        return None;
    };
    let at = UNIX_EPOCH.checked_add(since_epoch)?;
    Some(at.duration_since(sent).unwrap_or_default())
}

/// The first number of a list such as `100, 100;w=60`.
fn whole(value: &str) -> Option<u64> {
    value.split([',', ';']).next()?.trim().parse().ok()
}

/// A number without sign and exponent.
fn number(value: &str) -> Option<f64> {
    let value = value.trim();
    let digits = value.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    if digits { value.parse().ok() } else { None }
}

fn seconds(number: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(number).ok()
}

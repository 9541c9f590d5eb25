//! `Retry-After` in both of its forms.

#![deny(clippy::arithmetic_side_effects)]

use std::time::{Duration, SystemTime};

use http::HeaderMap;
use http::header::{DATE, RETRY_AFTER};

/// How long a `Retry-After` header (RFC 9110, 10.2.3) asks to wait.
///
/// A date is compared with the answer's own `Date`, so that a clock that is off on either side
/// cancels out; `now` stands in where that is missing. A malformed or negative value counts as
/// absent.
pub fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit()) {
        return value.parse().ok().map(Duration::from_secs);
    }
    let at = httpdate::parse_http_date(value).ok()?;
    let sent = headers
        .get(DATE)
        .and_then(|d| d.to_str().ok())
        .and_then(|d| httpdate::parse_http_date(d).ok())
        .unwrap_or(now);
    Some(at.duration_since(sent).unwrap_or(Duration::ZERO))
}

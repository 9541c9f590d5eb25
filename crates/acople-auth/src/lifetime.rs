//! How long a token lives: what vendors write for it, and when to renew.

#![deny(clippy::arithmetic_side_effects)]

use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

/// Longer lifetimes are cut: nobody tests a token's tenth year.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 3600);

/// A token is used for so long even when its answer calls it expired, so that renewals for lack of
/// lifetime are at least this far apart.
const SHORTEST: Duration = Duration::from_secs(1);

/// How long before its end a token is renewed, at most.
const LEAD: Duration = Duration::from_secs(60);

/// The lifetime that `expires_in` tells; `None` when it is absent or not a number: the token is used
/// until it is refused. Zero and negative numbers mean "expired already"; numbers may come as text.
pub(crate) fn expires_in(member: Option<&Value>) -> Option<Duration> {
    let seconds = match member? {
        Value::Number(number) => number.as_f64()?,
        Value::String(text) => text.trim().parse::<f64>().ok()?,
        _ => return None,
    };
    if seconds.is_nan() {
        return None;
    }
    // Clamped first: `Duration` cannot hold negative or infinite seconds.
    Some(Duration::from_secs_f64(seconds.clamp(0.0, LONGEST.as_secs_f64())))
}

/// When a token is renewed and when it is no longer sent, on the monotonic clock.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Span {
    renew_from: Option<Instant>,
    expires: Option<Instant>,
}

impl Span {
    /// The span of a token that came in at `now`. `random` of [0, 1) spreads renewals, so that the
    /// connections of one host do not all renew in the same second.
    pub(crate) fn new(lifetime: Option<Duration>, now: Instant, random: f64) -> Self {
        let Some(lifetime) = lifetime else {
            return Self::default();
        };
        let lifetime = lifetime.clamp(SHORTEST, LONGEST);
        let lead = LEAD
            .min(lifetime.checked_div(10).unwrap_or_default())
            .mul_f64(0.5 + 0.5 * random.clamp(0.0, 1.0));
        // No sooner than a second from now, whatever the lead.
        let early = lifetime.saturating_sub(lead).max(SHORTEST);
        Self { renew_from: now.checked_add(early), expires: now.checked_add(lifetime) }
    }

    /// The span of a token that has ended already.
    pub(crate) fn over(now: Instant) -> Self {
        Self { renew_from: Some(now), expires: Some(now) }
    }

    pub(crate) fn is_over(&self, now: Instant) -> bool {
        self.expires.is_some_and(|at| now >= at)
    }

    pub(crate) fn is_due(&self, now: Instant) -> bool {
        self.renew_from.is_some_and(|at| now >= at)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn auth_10_lifetimes_are_read_leniently() {
        let read = |value: Value| expires_in(Some(&value)).map(|d| d.as_secs());
        assert_eq!(expires_in(None), None);
        assert_eq!(read(json!(1800)), Some(1800));
        assert_eq!(read(json!(" 3599 ")), Some(3599));
        assert_eq!(read(json!(3599.9)), Some(3599));
        assert_eq!(read(json!(0)), Some(0));
        assert_eq!(read(json!(-5)), Some(0));
        assert_eq!(read(json!("-5")), Some(0));
        assert_eq!(read(json!(315_360_000)), Some(LONGEST.as_secs()));
        assert_eq!(read(json!(u64::MAX)), Some(LONGEST.as_secs()));
        assert_eq!(read(json!("1e400")), Some(LONGEST.as_secs()));
        for nothing in [json!(null), json!("soon"), json!("NaN"), json!([]), json!(true)] {
            assert_eq!(read(nothing.clone()), None, "{nothing}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn renewal_leads_by_a_minute_or_a_tenth_of_the_lifetime() {
        let now = Instant::now();
        let seconds = |life: u64, random: f64| {
            let span = Span::new(Some(Duration::from_secs(life)), now, random);
            (
                span.renew_from.map(|at| (at - now).as_secs_f64()),
                span.expires.map(|at| (at - now).as_secs_f64()),
            )
        };
        assert_eq!(seconds(3600, 1.0), (Some(3540.0), Some(3600.0)));
        assert_eq!(seconds(3600, 0.0), (Some(3570.0), Some(3600.0)));
        assert_eq!(seconds(100, 1.0), (Some(90.0), Some(100.0)));
        assert_eq!(seconds(0, 1.0), (Some(1.0), Some(1.0)));
        assert!(!Span::new(None, now, 1.0).is_due(now + LONGEST));
    }
}

//! The standard fields `RateLimit` and `RateLimit-Policy`.

#![deny(clippy::arithmetic_side_effects)]

use std::cmp::Reverse;
use std::sync::Arc;
use std::time::Duration;

use acople_core::Lesson;
use http::HeaderMap;

use crate::limiting::structured::{self, Bare, Member, Parameters, parameter};

/// The unit that buckets count. A policy without a unit counts requests, too.
const REQUESTS: &str = "requests";

/// One policy, as the fields `RateLimit-Policy` and `RateLimit` of an answer describe it
/// ([draft-ietf-httpapi-ratelimit-headers](https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/)).
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct RateLimit {
    /// Its name.
    pub name: String,
    /// Units of a whole window (`q`).
    pub quota: Option<u64>,
    /// The window (`w`).
    pub window: Option<Duration>,
    /// What is counted (`qu`); requests unless told otherwise.
    pub unit: Option<String>,
    /// Units left (`r`). No promise: the vendor may refuse earlier.
    pub remaining: Option<u64>,
    /// Time until there are more (`t`), counted from the answer.
    pub resets_in: Option<Duration>,
}

/// The policies that an answer's `RateLimit` and `RateLimit-Policy` fields tell of. A field that is malformed
/// anywhere counts as absent, unknown parameters are passed over. Reads the dictionary form of older drafts
/// (`limit=100, remaining=50, reset=30`) as well.
///
/// ```
/// let mut headers = http::HeaderMap::new();
/// headers.insert("ratelimit-policy", "\"burst\";q=100;w=60,\"day\";q=5000;w=86400".parse()?);
/// headers.insert("ratelimit", "\"burst\";r=12;t=30".parse()?);
/// let policies = acople_http::rate_limits(&headers);
/// assert_eq!((policies.len(), policies[0].remaining, policies[1].quota), (2, Some(12), Some(5000)));
/// # Ok::<(), http::header::InvalidHeaderValue>(())
/// ```
pub fn rate_limits(headers: &HeaderMap) -> Vec<RateLimit> {
    let mut policies = Vec::new();
    for (name, parameters) in members(&field(headers, "ratelimit-policy")) {
        tell(&mut policies, &name, |policy| {
            policy.quota = count(&parameters, "q");
            policy.window = count(&parameters, "w").map(Duration::from_secs);
            policy.unit = parameter(&parameters, "qu").and_then(text).map(str::to_owned);
        });
    }
    let field = field(headers, "ratelimit");
    let told = members(&field);
    for (name, parameters) in &told {
        tell(&mut policies, name, |policy| {
            policy.remaining = count(parameters, "r");
            policy.resets_in = count(parameters, "t").map(Duration::from_secs);
        });
    }
    if told.is_empty()
        && let Some(old) = older_draft(&field)
    {
        policies.push(old);
    }
    policies
}

/// What the tightest policy of an answer teaches about a bucket that counts requests: the one with the fewest
/// units left, of those the one that resets last.
pub fn rate_limit_lesson(headers: &HeaderMap, bucket: impl Into<Arc<str>>) -> Option<Lesson> {
    let tightest = rate_limits(headers)
        .into_iter()
        .filter(|policy| policy.unit.as_deref().is_none_or(|unit| unit == REQUESTS))
        .filter_map(|policy| Some((policy.remaining?, policy.resets_in.or(policy.window))))
        .min_by_key(|(remaining, resets_in)| (*remaining, Reverse(*resets_in)))?;
    let (remaining, resets_in) = tightest;
    Some(Lesson::Remaining { bucket: bucket.into(), remaining, resets_in })
}

/// All lines of a field as one.
fn field(headers: &HeaderMap, name: &str) -> String {
    let lines: Vec<&str> = headers.get_all(name).iter().filter_map(|line| line.to_str().ok()).collect();
    lines.join(", ")
}

/// The members of a list that are items with a name.
fn members(field: &str) -> Vec<(String, Parameters)> {
    let members = structured::list(field).unwrap_or_default().into_iter();
    members
        .filter_map(|member| match member {
            Member::Item(name, parameters) => Some((text(&name)?.to_owned(), parameters)),
            Member::Inner(..) => None,
        })
        .collect()
}

/// Adds to what is known of a policy.
fn tell(policies: &mut Vec<RateLimit>, name: &str, tell: impl FnOnce(&mut RateLimit)) {
    if let Some(known) = policies.iter_mut().find(|policy| policy.name == name) {
        tell(known);
    } else {
        let mut policy = RateLimit { name: name.to_owned(), ..RateLimit::default() };
        tell(&mut policy);
        policies.push(policy);
    }
}

fn older_draft(field: &str) -> Option<RateLimit> {
    let members = structured::dictionary(field)?;
    let number = |name: &str| match members.iter().find(|(key, _)| key == name)? {
        (_, Member::Item(Bare::Integer(number), _)) => u64::try_from(*number).ok(),
        _ => None,
    };
    let remaining = Some(number("remaining")?);
    let resets_in = number("reset").map(Duration::from_secs);
    Some(RateLimit { quota: number("limit"), remaining, resets_in, ..RateLimit::default() })
}

fn count(parameters: &Parameters, name: &str) -> Option<u64> {
    match parameter(parameters, name)? {
        Bare::Integer(number) => u64::try_from(*number).ok(),
        _ => None,
    }
}

fn text(bare: &Bare) -> Option<&str> {
    match bare {
        Bare::String(text) | Bare::Token(text) => Some(text),
        _ => None,
    }
}

//! Limits that vendors tell as usage: percentages of Meta, calls of Salesforce, points of GraphQL.

#![deny(clippy::arithmetic_side_effects)]

use std::sync::Arc;
use std::time::Duration;

use acople_core::Lesson;
use http::HeaderMap;
use serde::Deserialize;
use serde_json::Value as Json;

/// Members of Meta's usage headers that are percentages.
const PERCENTAGES: [&str; 5] =
    ["call_count", "total_time", "total_cputime", "acc_id_util_pct", "app_id_util_pct"];

/// How much of Meta's limits is used.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct MetaUsage {
    /// The highest of all percentages. Calls fail from 100 on.
    pub percent: f64,
    /// When calls are possible again, once they are not.
    pub regain: Option<Duration>,
}

impl MetaUsage {
    /// What it teaches about a bucket: calls slow down as it nears 100 and stop there.
    pub fn lesson(&self, bucket: impl Into<Arc<str>>) -> Lesson {
        Lesson::Usage { bucket: Some(bucket.into()), percent: self.percent, regain: self.regain }
    }
}

/// Reads `X-App-Usage`, `X-Ad-Account-Usage` and `X-Business-Use-Case-Usage`
/// ([Meta, rate limits](https://developers.facebook.com/docs/graph-api/overview/rate-limiting)): JSON of
/// percentages, in the last of them by business and kind, with the minutes until calls are possible again. The
/// highest percentage and the longest time win.
pub fn meta_usage(headers: &HeaderMap) -> Option<MetaUsage> {
    let mut usage: Option<MetaUsage> = None;
    for name in ["x-app-usage", "x-ad-account-usage", "x-business-use-case-usage"] {
        for value in headers.get_all(name) {
            if let Ok(json) = serde_json::from_slice::<Json>(value.as_bytes()) {
                collect(&json, 3, &mut usage);
            }
        }
    }
    usage
}

/// What is left by Salesforce's `Sforce-Limit-Info: api-usage=18/5000; per-app-api-usage=17/250(appName=x)`: the
/// tighter of the two
/// ([REST API](https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/headers_api_usage.htm)).
pub fn sforce_limit_info(value: &str) -> Option<u64> {
    let left = |part: &str| -> Option<u64> {
        let (used, allowed) = part.split_once("api-usage=")?.1.split_once('/')?;
        let digits = allowed.split(|c: char| !c.is_ascii_digit()).next()?;
        Some(digits.parse::<u64>().ok()?.saturating_sub(used.trim().parse().ok()?))
    };
    value.split([';', ',']).filter_map(left).min()
}

/// What a GraphQL query cost and what is left of the budget: `extensions.cost` as
/// [Shopify](https://shopify.dev/docs/api/usage/limits) writes it.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct GraphqlCost {
    /// Points that were kept back before the query ran.
    pub requested: Option<f64>,
    /// Points that it cost in truth; absent when it did not run.
    pub actual: Option<f64>,
    /// Points of a full budget.
    pub maximum: f64,
    /// Points left.
    pub available: f64,
    /// Points that come back in a second.
    pub restore_rate: f64,
}

impl GraphqlCost {
    /// What it teaches about a bucket of points: the difference to the claim, and the vendor's own count.
    pub fn lessons(&self, bucket: impl Into<Arc<str>>, lessons: &mut Vec<Lesson>) {
        let bucket = bucket.into();
        if let Some(actual) = self.actual {
            lessons.push(Lesson::Cost { bucket: bucket.clone(), units: units(actual.ceil()) });
        }
        lessons.push(Lesson::Points {
            bucket,
            available: units(self.available),
            capacity: u32::try_from(units(self.maximum)).unwrap_or(u32::MAX),
            per_second: self.restore_rate,
        });
    }
}

/// Reads `extensions.cost` of a GraphQL answer; `None` when it has none.
///
/// ```
/// let body = br#"{"data":{},"extensions":{"cost":{"requestedQueryCost":101,"actualQueryCost":46,
///     "throttleStatus":{"maximumAvailable":1000.0,"currentlyAvailable":954,"restoreRate":50.0}}}}"#;
/// let cost = acople_http::graphql_cost(body).unwrap();
/// assert_eq!((cost.actual, cost.available, cost.restore_rate), (Some(46.0), 954.0, 50.0));
/// ```
pub fn graphql_cost(body: &[u8]) -> Option<GraphqlCost> {
    let body: Body = serde_json::from_slice(body).ok()?;
    let Cost { requested, actual, status } = body.extensions?.cost?;
    let Status { maximum, available, restore_rate } = status?;
    Some(GraphqlCost { requested, actual, maximum, available, restore_rate })
}

#[derive(Deserialize)]
struct Body {
    extensions: Option<Extensions>,
}

#[derive(Deserialize)]
struct Extensions {
    cost: Option<Cost>,
}

#[derive(Deserialize)]
struct Cost {
    #[serde(rename = "requestedQueryCost")]
    requested: Option<f64>,
    #[serde(rename = "actualQueryCost")]
    actual: Option<f64>,
    #[serde(rename = "throttleStatus")]
    status: Option<Status>,
}

#[derive(Deserialize)]
struct Status {
    #[serde(rename = "maximumAvailable")]
    maximum: f64,
    #[serde(rename = "currentlyAvailable")]
    available: f64,
    #[serde(rename = "restoreRate")]
    restore_rate: f64,
}

/// The percentages and times of a header: in an object, or in lists of objects by business.
fn collect(json: &Json, depth: u8, usage: &mut Option<MetaUsage>) {
    let Some(depth) = depth.checked_sub(1) else {
        return;
    };
    match json {
        Json::Object(members) => {
            let number = |name: &str| members.get(name).and_then(Json::as_f64).filter(|n| *n >= 0.0);
            let percent = PERCENTAGES.iter().filter_map(|name| number(name)).reduce(f64::max);
            let minutes = number("estimated_time_to_regain_access").map(|minutes| minutes * 60.0);
            let blocked = percent.is_some_and(|percent| percent >= 100.0);
            // Of ad accounts: when the window ends, whether or not it is used up.
            let resets = number("reset_time_duration").filter(|_| blocked);
            let regain = minutes.into_iter().chain(resets).reduce(f64::max).filter(|seconds| *seconds > 0.0);
            let regain = regain.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
            if let Some(percent) = percent {
                let known = usage.get_or_insert(MetaUsage { percent, regain });
                known.percent = known.percent.max(percent);
                known.regain = known.regain.max(regain);
            }
            members.values().for_each(|member| collect(member, depth, usage));
        }
        Json::Array(items) => items.iter().for_each(|item| collect(item, depth, usage)),
        _ => {}
    }
}

/// Whole units; what is no number is none.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // floats saturate, and NaN is 0
fn units(number: f64) -> u64 {
    number as u64
}

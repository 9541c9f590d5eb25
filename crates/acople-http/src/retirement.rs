//! What vendors say beforehand of endpoints that they are going to retire.
//!
//! `Sunset` ([RFC 8594](https://www.rfc-editor.org/rfc/rfc8594)) names the end, `Deprecation`
//! ([RFC 9745](https://www.rfc-editor.org/rfc/rfc9745)) only says that there will be one. `Warning: 299` is older than
//! both and means anything; Salesforce [announces the end of API versions](https://developer.salesforce.com/blogs/2023/05/an-important-update-to-our-legacy-api-retirement-plan)
//! with it, so that its text decides.

use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use acople_core::Signal;
use http::header::WARNING;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::client::Inner;

const SUNSET: HeaderName = HeaderName::from_static("sunset");
const DEPRECATION: HeaderName = HeaderName::from_static("deprecation");

/// Classes that are kept apart. They are texts of the connector's code: there are a few.
const MOST_CLASSES: usize = 64;

/// How often one class is told of. The first announcement counts, and so does a date that was not known or that is
/// brought forward; a vendor whose answers count down says nothing new.
const MOST_TELLINGS: u8 = 4;

/// What has been told of already.
#[derive(Debug, Default)]
pub(crate) struct Retirements(Mutex<Vec<Told>>);

#[derive(Debug)]
struct Told {
    class: &'static str,
    ends: Option<SystemTime>,
    times: u8,
}

/// What an answer's head says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Announced {
    ends: Option<SystemTime>,
}

impl Retirements {
    /// Whether an announcement says something new of its class.
    fn is_news(&self, class: &'static str, ends: Option<SystemTime>) -> bool {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(told) = all.iter_mut().find(|told| told.class == class) else {
            let room = all.len() < MOST_CLASSES;
            if room {
                all.push(Told { class, ends, times: 1 });
            }
            return room;
        };
        let earlier = ends.is_some_and(|ends| told.ends.is_none_or(|known| ends < known));
        if !earlier || told.times >= MOST_TELLINGS {
            return false;
        }
        (told.ends, told.times) = (ends, told.times + 1);
        true
    }
}

impl Inner {
    /// Tells of an announcement in an answer's head, once for a class of endpoints.
    pub(crate) fn heed_retirement(&self, class: &'static str, operation: &'static str, headers: &HeaderMap) {
        if !headers.contains_key(SUNSET)
            && !headers.contains_key(DEPRECATION)
            && !headers.contains_key(WARNING)
        {
            return;
        }
        self.tell_retirement(class, operation, headers);
    }

    #[cold]
    fn tell_retirement(&self, class: &'static str, operation: &'static str, headers: &HeaderMap) {
        let Some(Announced { ends }) = announced(headers) else { return };
        if !self.retirements.is_news(class, ends) {
            return;
        }
        let date = ends.map(httpdate::fmt_http_date);
        tracing::warn!(
            acople.connector = %self.watched.connector,
            acople.operation = operation,
            acople.endpoint.class = class,
            acople.retirement.ends = date.as_deref().unwrap_or("not known yet"),
            "the vendor is going to retire what this connection calls: a newer version of the connector or its API is due",
        );
        if let Some(recorder) = &self.recorder {
            recorder.record(&Signal::Retiring { class, operation, ends });
        }
    }
}

/// Whether the end of an endpoint is announced, and when it comes if that is said in a way that can be read.
fn announced(headers: &HeaderMap) -> Option<Announced> {
    let sunsets = headers.get_all(SUNSET);
    let ends =
        sunsets.iter().filter_map(|value| httpdate::parse_http_date(value.to_str().ok()?.trim()).ok()).min();
    let sunset = sunsets.iter().next().is_some();
    let deprecated = headers.get_all(DEPRECATION).iter().any(is_yes);
    let warned = || headers.get_all(WARNING).iter().any(warns_of_the_end);
    (sunset || deprecated || warned()).then_some(Announced { ends })
}

/// A date in either spelling, now or to come, or the `true` of the drafts; but not a plain "no".
fn is_yes(value: &HeaderValue) -> bool {
    !value.is_empty()
        && !["false", "?0"].iter().any(|no| value.as_bytes().eq_ignore_ascii_case(no.as_bytes()))
}

fn warns_of_the_end(value: &HeaderValue) -> bool {
    let text = String::from_utf8_lossy(value.as_bytes()).to_ascii_lowercase();
    text.trim_start().starts_with("299 ")
        && ["deprecat", "retire", "sunset"].iter().any(|word| text.contains(word))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    fn said(name: HeaderName, values: &[&str]) -> Option<Announced> {
        let values = values.iter().map(|value| (name.clone(), HeaderValue::from_str(value).unwrap()));
        announced(&values.collect())
    }

    #[test]
    fn page_13_the_forms_in_which_an_end_is_announced() {
        let end = Some(Announced { ends: Some(UNIX_EPOCH + Duration::from_secs(1_798_675_199)) });
        let some_day = Some(Announced { ends: None });
        assert_eq!(said(SUNSET, &["Wed, 30 Dec 2026 23:59:59 GMT"]), end);
        assert_eq!(said(SUNSET, &["Thu, 31 Dec 2026 23:59:59 GMT", "Wed, 30 Dec 2026 23:59:59 GMT"]), end);
        // A date that cannot be read is no reason to be silent.
        for unreadable in ["2026-12-30", "", "Fri, 31 Dec 99999 23:59:59 GMT"] {
            assert_eq!(said(SUNSET, &[unreadable]), some_day, "{unreadable}");
        }
        for yes in ["@1688169599", "true", "?1", "Fri, 11 Nov 2022 23:59:59 GMT"] {
            assert_eq!(said(DEPRECATION, &[yes]), some_day, "{yes}");
        }
        for no in ["false", "?0", ""] {
            assert_eq!(said(DEPRECATION, &[no]), None, "{no}");
        }
        assert_eq!(said(WARNING, &[r#"299 - "This API is deprecated and will be removed""#]), some_day);
        assert_eq!(said(WARNING, &[r#"299 - "be nice""#]), None);
        assert_eq!(said(WARNING, &[r#"110 cache "response is stale, retired""#]), None);
    }

    #[test]
    fn what_is_remembered_and_told_is_bounded() {
        let all = Retirements::default();
        let at = |seconds| Some(UNIX_EPOCH + Duration::from_secs(seconds));
        let news = |ends| all.is_news("default", ends);
        assert_eq!(
            [None, None, at(90), at(90), at(99), None].map(news),
            [true, false, true, false, false, false]
        );
        // Brought forward with every answer.
        let told = (1..90).rev().filter(|second| news(at(*second))).count();
        assert_eq!(told, usize::from(MOST_TELLINGS) - 2);
        let classes = (0..1_000).map(|number| &*Box::leak(format!("class {number}").into_boxed_str()));
        assert_eq!(classes.filter(|class| all.is_news(class, None)).count(), MOST_CLASSES - 1);
    }
}

//! Rate limits. They run on real time, as clients do; everything else in the sandbox stands still.

use std::{collections::VecDeque, time::Duration};

use http::StatusCode;
use serde_json::json;
use tokio::time::Instant;

use super::super::call::Answer;

/// A rolling window.
#[derive(Debug)]
struct Window {
    limit: usize,
    length: Duration,
    hits: VecDeque<Instant>,
}

impl Window {
    fn take(&mut self) -> bool {
        let now = Instant::now();
        while self.hits.front().is_some_and(|hit| now.duration_since(*hit) >= self.length) {
            self.hits.pop_front();
        }
        let free = self.hits.len() < self.limit;
        if free {
            self.hits.push_back(now);
        }
        free
    }

    fn remaining(&self) -> usize {
        self.limit.saturating_sub(self.hits.len())
    }
}

/// The limits of an app in a portal; each is off unless set.
#[derive(Debug, Default)]
pub(crate) struct Limits {
    burst: Option<Window>,
    search: Option<Window>,
    daily: Option<u64>,
    used_today: u64,
}

impl Limits {
    pub(crate) fn set_burst(&mut self, limit: usize, length: Duration) {
        self.burst = Some(Window { limit, length, hits: VecDeque::new() });
    }

    pub(crate) fn set_search(&mut self, limit: usize) {
        self.search = Some(Window { limit, length: Duration::from_secs(1), hits: VecDeque::new() });
    }

    pub(crate) fn set_daily(&mut self, limit: Option<u64>) {
        self.daily = limit;
    }

    /// Takes one call from every limit it counts against, or tells which refuses it.
    pub(crate) fn take(&mut self, search: bool, correlation: &str) -> Result<(), Answer> {
        if self.daily.is_some_and(|limit| self.used_today >= limit) {
            return Err(throttled("You have reached your daily limit.", "DAILY", correlation));
        }
        let (window, message, policy) = if search {
            (&mut self.search, "You have reached your secondly limit.", "SECONDLY")
        } else {
            (&mut self.burst, "You have reached your ten_secondly_rolling limit.", "TEN_SECONDLY_ROLLING")
        };
        if window.as_mut().is_some_and(|window| !window.take()) {
            return Err(throttled(message, policy, correlation));
        }
        self.used_today += 1;
        Ok(())
    }

    /// The headers that tell what is left. The daily pair is not for OAuth apps.
    pub(crate) fn mark(&self, mut answer: Answer, oauth: bool) -> Answer {
        if let Some(burst) = &self.burst {
            answer = answer
                .with_header(
                    "X-HubSpot-RateLimit-Interval-Milliseconds",
                    burst.length.as_millis().to_string(),
                )
                .with_header("X-HubSpot-RateLimit-Max", burst.limit.to_string())
                .with_header("X-HubSpot-RateLimit-Remaining", burst.remaining().to_string());
        }
        if let Some(daily) = self.daily.filter(|_| !oauth) {
            let remaining = daily.saturating_sub(self.used_today);
            answer = answer
                .with_header("X-HubSpot-RateLimit-Daily", daily.to_string())
                .with_header("X-HubSpot-RateLimit-Daily-Remaining", remaining.to_string());
        }
        answer
    }
}

fn throttled(message: &str, policy: &str, correlation: &str) -> Answer {
    let body = json!({
        "status": "error",
        "message": message,
        "errorType": "RATE_LIMIT",
        "correlationId": correlation,
        "policyName": policy,
    });
    Answer::json(StatusCode::TOO_MANY_REQUESTS, &body)
}

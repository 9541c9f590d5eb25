//! One kept answer: how long it is good, and how the vendor is asked whether it still is (RFC 9111).

use std::time::SystemTime;

use acople_http::{Answer, CacheScope};
use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG,
    HeaderName, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED, SET_COOKIE, TRANSFER_ENCODING, VARY,
};
use http::{HeaderMap, StatusCode};
use tokio::time::Instant;

/// What an answer takes besides its own bytes: its place in the map and in the books of who was asked for when.
/// An estimate.
const OVERHEAD: usize = 512;

/// Headers of a 304 that say nothing of the answer that is kept (RFC 9111, 3.2).
const OF_THE_MESSAGE: [HeaderName; 7] = [
    CONNECTION,
    CONTENT_ENCODING,
    CONTENT_LENGTH,
    CONTENT_RANGE,
    CONTENT_TYPE,
    SET_COOKIE,
    TRANSFER_ENCODING,
];

/// What may be done with an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Worth {
    /// It belongs to the one who asked.
    Nothing,
    /// It may be kept, and has to be confirmed before each use.
    Confirming,
    /// It may be kept, and given to all who ask.
    Keeping,
}

/// An answer, and since when it is known.
pub(crate) struct Kept {
    /// The generation of its subject in which it was asked for.
    pub(crate) generation: u64,
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
    received_at: SystemTime,
    asked_at: Instant,
    confirm: bool,
}

impl Kept {
    /// An answer to what was asked at that time.
    pub(crate) fn new(answer: &Answer, asked_at: Instant, generation: u64) -> Self {
        let mut headers = answer.headers().clone();
        // A session is of those to whom it was given.
        headers.remove(SET_COOKIE);
        let confirm = wishes(&headers).confirm;
        let (status, received_at) = (answer.status(), answer.received_at());
        let body = Bytes::copy_from_slice(answer.body());
        Self { generation, status, headers, body, received_at, asked_at, confirm }
    }

    /// What may be done with an answer.
    pub(crate) fn worth(answer: &Answer, scope: &CacheScope) -> Worth {
        // A 202 is about work that goes on, a 206 is a part, and so forth.
        let settled = matches!(
            answer.status(),
            StatusCode::OK | StatusCode::NON_AUTHORITATIVE_INFORMATION | StatusCode::NO_CONTENT
        );
        // All headers that a connector sets are part of the key, and those that it does not set are the same for
        // all calls of its connection: other variants need no look.
        let varies = tokens(answer.headers(), &VARY).any(|name| name == "*");
        if !settled || varies {
            return Worth::Nothing;
        }
        if scope.is_despite_no_store() {
            return Worth::Keeping;
        }
        let wishes = wishes(answer.headers());
        if wishes.forget || (wishes.confirm && conditions(answer.headers()).is_empty()) {
            Worth::Nothing
        } else if wishes.confirm {
            Worth::Confirming
        } else {
            Worth::Keeping
        }
    }

    /// Whether it may be given without asking the vendor.
    pub(crate) fn is_fresh(&self, scope: &CacheScope) -> bool {
        (!self.confirm || scope.is_despite_no_store()) && self.asked_at.elapsed() < scope.ttl()
    }

    /// The headers by which the vendor is asked whether it still holds; none when it gave nothing to go by.
    pub(crate) fn conditions(&self) -> HeaderMap {
        conditions(&self.headers)
    }

    /// This answer again, if the vendor's answer to its conditions is that it still holds.
    pub(crate) fn confirmed(&self, answer: &Answer, asked_at: Instant) -> Option<Self> {
        if answer.status() != StatusCode::NOT_MODIFIED {
            return None;
        }
        let mut headers = self.headers.clone();
        for name in answer.headers().keys().filter(|name| !OF_THE_MESSAGE.contains(name)) {
            headers.remove(name);
            for value in answer.headers().get_all(name) {
                headers.append(name, value.clone());
            }
        }
        let confirm = wishes(&headers).confirm;
        let (body, received_at) = (self.body.clone(), answer.received_at());
        Some(Self {
            generation: self.generation,
            status: self.status,
            headers,
            body,
            received_at,
            asked_at,
            confirm,
        })
    }

    /// A copy for somebody who asked.
    pub(crate) fn answer(&self) -> Answer {
        Answer::new(self.status, self.headers.clone(), self.body.to_vec(), self.received_at)
    }

    /// Bytes that it takes.
    pub(crate) fn bytes(&self) -> usize {
        let headers = self.headers.iter().map(|(name, value)| name.as_str().len() + value.len());
        headers.sum::<usize>().saturating_add(self.body.len()).saturating_add(OVERHEAD)
    }
}

/// What the vendor wishes by `Cache-Control`. How long it thinks an answer good is the host's to decide.
struct Wishes {
    /// `no-store`.
    forget: bool,
    /// `no-cache`.
    confirm: bool,
}

fn wishes(headers: &HeaderMap) -> Wishes {
    let (mut forget, mut confirm) = (false, false);
    // Within quotes a comma parts nothing, but at worst that makes the wishes stricter than they are.
    for token in tokens(headers, &CACHE_CONTROL) {
        match token.split('=').next().unwrap_or_default().trim() {
            name if name.eq_ignore_ascii_case("no-store") => forget = true,
            name if name.eq_ignore_ascii_case("no-cache") => confirm = true,
            _ => {}
        }
    }
    Wishes { forget, confirm }
}

fn tokens<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let texts = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    texts.flat_map(|text| text.split(',')).map(str::trim)
}

fn conditions(headers: &HeaderMap) -> HeaderMap {
    let mut conditions = HeaderMap::new();
    for (known, condition) in [(ETAG, IF_NONE_MATCH), (LAST_MODIFIED, IF_MODIFIED_SINCE)] {
        if let Some(value) = headers.get(known) {
            conditions.insert(condition, value.clone());
        }
    }
    conditions
}

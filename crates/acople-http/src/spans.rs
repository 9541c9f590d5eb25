//! The spans of calls and attempts, named as OpenTelemetry's conventions for HTTP clients have it.
//!
//! All of it is kept out of the way of a call that nobody watches: a small request finds the processor's caches cold,
//! and then code that is not run, but lies between what is, costs as much as code that is.

use acople_core::{ErrorKind, Request};
use tracing::level_filters::LevelFilter;
use tracing::{Level, Span, field};

use crate::client::Inner;

/// The span of a call.
pub(crate) fn of_call(inner: &Inner, operation: &'static str) -> Span {
    if is_watched() { call(inner, operation) } else { Span::none() }
}

/// The span of an attempt.
pub(crate) fn of_attempt(request: &Request, number: u32) -> Span {
    if is_watched() { attempt(request, number) } else { Span::none() }
}

/// Says how a call ended.
#[inline(never)]
pub(crate) fn call_ended(span: &Span, attempts: u32, error: Option<ErrorKind>) {
    span.record("acople.attempts", attempts);
    if let Some(kind) = error {
        span.record("error.type", kind.as_str());
    }
}

/// Says how an attempt ended.
#[inline(never)]
pub(crate) fn attempt_ended(span: &Span, status: Option<u16>, error: Option<ErrorKind>) {
    if let Some(status) = status {
        span.record("http.response.status_code", status);
    }
    if let Some(kind) = error {
        span.record("error.type", kind.as_str());
    }
}

fn is_watched() -> bool {
    Level::INFO <= LevelFilter::current()
}

#[inline(never)]
fn call(inner: &Inner, operation: &'static str) -> Span {
    tracing::info_span!(
        "acople.call",
        acople.operation = operation,
        acople.connector = %inner.watched.connector,
        acople.attempts = field::Empty,
        error.type = field::Empty,
    )
}

#[inline(never)]
fn attempt(request: &Request, number: u32) -> Span {
    let url = request.url();
    tracing::info_span!(
        "acople.attempt",
        otel.kind = "client",
        otel.name = request.method().as_str(),
        http.request.method = request.method().as_str(),
        http.request.resend_count = number - 1,
        http.response.status_code = field::Empty,
        server.address = url.host_str().unwrap_or_default(),
        server.port = url.port_or_known_default().unwrap_or_default(),
        url.scheme = url.scheme(),
        error.type = field::Empty,
    )
}

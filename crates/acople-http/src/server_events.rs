//! Streams of server-sent events that survive their connections.

#![deny(clippy::arithmetic_side_effects)]

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use acople_core::{Context, Error, ErrorKind, Result};
use async_stream::stream;
use futures_util::StreamExt;
use futures_util::future::{Either, select};
use futures_util::stream::BoxStream;
use http::header::{ACCEPT, ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_TYPE, HeaderName};
use http::{HeaderMap, HeaderValue, StatusCode};
use tokio::time::Instant;

use crate::event_parser::EventParser;
use crate::{Call, Client, Download, ServerEvent};

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// Longest line or event unless told otherwise, in bytes.
const LONGEST: usize = 16 << 20;

/// The wait before a new connection unless the vendor names one: the standard asks for a few seconds.
const WAIT: Duration = Duration::from_secs(2);

/// A stream of server-sent events (WHATWG HTML, 9.2): opened again behind the last whole event when its
/// connection ends or breaks.
///
/// An event that was cut off is dropped and comes again after the new connection's `Last-Event-ID`. The waits
/// are those that the vendor asks for (`retry:`), and at least those of the client's
/// [`RetryPolicy`](crate::RetryPolicy); so many connections in a row as that allows attempts may bring no event
/// and end sooner than its longest wait, then the stream ends with an error. 204 ends it without one.
///
/// ```
/// use acople_core::Context;
/// use acople_http::{Call, Client, ServerEvents};
/// use futures_util::StreamExt;
///
/// # async fn example(client: Client, last_id: String) -> acople_core::Result<()> {
/// let call = Call::get("watch orders").path(["orders", "events"]);
/// let mut events = ServerEvents::new(&client, &Context::new(), call).after(last_id).open();
/// while let Some(event) = events.next().await {
///     let event = event?;
///     println!("{}: {} bytes", event.event, event.data.len());
/// }
/// # Ok(()) }
/// ```
#[derive(Clone)]
#[must_use = "nothing is asked for before the stream is opened and polled"]
pub struct ServerEvents {
    client: Client,
    cx: Context,
    call: Call,
    after: String,
    longest: usize,
}

impl ServerEvents {
    /// The events that a call brings.
    pub fn new(client: &Client, cx: &Context, call: Call) -> Self {
        let (client, cx) = (client.clone(), cx.clone());
        Self { client, cx, call, after: String::new(), longest: LONGEST }
    }

    /// Goes on behind the event with this id, which a [`ServerEvent`] of an earlier stream named.
    pub fn after(mut self, id: impl Into<String>) -> Self {
        self.after = id.into();
        self
    }

    /// Sets the longest line and the longest event, in bytes; 16 MiB unless told otherwise.
    pub fn longest(mut self, bytes: usize) -> Self {
        self.longest = bytes;
        self
    }

    /// The events. A `Schema` error is one event that is no text, and others follow it; any other error is the
    /// end: `TooLarge` for a line or an event above the limit, and what [`Client::download`] says.
    pub fn open(self) -> BoxStream<'static, Result<ServerEvent>> {
        let Self { client, cx, call, after, longest } = self;
        let policy = client.0.retry;
        stream! {
            let mut parser = EventParser::new(longest, after);
            let mut events = VecDeque::new();
            let mut idle: u32 = 0;
            loop {
                let began = Instant::now();
                let mut brought = false;
                let mut download = match connect(&client, &cx, &call, parser.id()).await {
                    Ok(Some(download)) => download,
                    Ok(None) => return,
                    // The request path has tried it as often as it may.
                    Err(error) => {
                        yield Err(error);
                        return;
                    }
                };
                let end = loop {
                    match live(&cx, download.chunk()).await {
                        Ok(Some(piece)) => {
                            let fed = parser.feed(&piece, &mut events);
                            brought |= !events.is_empty();
                            while let Some(event) = events.pop_front() {
                                yield event;
                            }
                            if let Err(error) = fed {
                                break error;
                            }
                        }
                        Ok(None) => break Error::new(ErrorKind::Transient, "the stream of events ended"),
                        Err(error) => break error,
                    }
                };
                drop(download);
                parser.restart();
                let broken = matches!(
                    end.kind(),
                    ErrorKind::Transient | ErrorKind::Timeout | ErrorKind::Protocol
                );
                idle = if brought || began.elapsed() >= policy.cap { 1 } else { idle.saturating_add(1) };
                if !broken || idle >= policy.attempts.max(2) {
                    yield Err(end.with_operation(call.operation()));
                    return;
                }
                let wait = parser.retry().unwrap_or(WAIT).max(policy.wait(idle, false, fastrand::f64()));
                let late = cx.deadline().is_some_and(|deadline| {
                    Instant::now().checked_add(wait).is_none_or(|until| until.into_std() > deadline)
                });
                if late {
                    yield Err(end.with_retry_after(wait).with_operation(call.operation()));
                    return;
                }
                cx.meter().waited(wait);
                let slept = live(&cx, async {
                    tokio::time::sleep(wait).await;
                    Ok(())
                });
                if let Err(error) = slept.await {
                    yield Err(error);
                    return;
                }
            }
        }
        .boxed()
    }
}

impl fmt::Debug for ServerEvents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerEvents").field("call", &self.call).finish_non_exhaustive()
    }
}

/// A connection behind an event; `None` when the vendor says that there will be no more events.
async fn connect(client: &Client, cx: &Context, call: &Call, id: &str) -> Result<Option<Download>> {
    let mut call = call
        .clone()
        .any_content()
        .header(ACCEPT, HeaderValue::from_static("text/event-stream"))
        // What is packed comes in blocks: an event would wait for the next ones.
        .header(ACCEPT_ENCODING, HeaderValue::from_static("identity"))
        .header(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if !id.is_empty() {
        let id = HeaderValue::from_bytes(id.as_bytes()).map_err(|_| {
            Error::new(ErrorKind::Protocol, "the last event's id has characters that a header cannot carry")
        })?;
        call = call.header(LAST_EVENT_ID, id);
    }
    let download = client.download(cx, &call).await?;
    if download.status() == StatusCode::NO_CONTENT {
        return Ok(None);
    }
    if !is_event_stream(download.headers()) {
        let error = Error::new(ErrorKind::Protocol, "the answer is no stream of events");
        return Err(error.with_status(download.status().as_u16()).with_operation(call.operation()));
    }
    Ok(Some(download.without_floor()))
}

fn is_event_stream(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|value| {
        let media_type = value.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default();
        media_type.trim_ascii().eq_ignore_ascii_case(b"text/event-stream")
    })
}

/// Waits until something is there or the caller gives up.
async fn live<T>(cx: &Context, work: impl Future<Output = Result<T>>) -> Result<T> {
    match select(std::pin::pin!(work), std::pin::pin!(cx.cancelled())).await {
        Either::Left((result, _)) => result,
        Either::Right(_) => Err(Error::new(ErrorKind::Cancelled, "the caller gave up")),
    }
}

//! `profile`: what the fields of a stream are like.

use std::pin::pin;

use acople::quality::Profile;
use acople::{CancelToken, Context, Event, Priority, ReadMode, ReadRequest};
use futures_util::StreamExt;
use futures_util::future::{Either, select};

use crate::args;
use crate::connection;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Out, note, records};
use crate::progress::Line;

/// Reads the stream and prints its profile, also of what was read until somebody stops it.
pub(super) async fn profile(
    args: &args::Profile,
    out: &mut Out,
    json: bool,
    cancel: &CancelToken,
) -> Result<Exit, Failure> {
    let connector = connection::open(&args.connection).await?;
    let mut request = ReadRequest::new(&args.stream, ReadMode::from(args.mode));
    if let Some(fields) = &args.fields {
        request = request.with_fields(fields);
    }
    if let Some(limit) = args.limit {
        request = request.with_limit(limit);
    }
    let cx = Context::new().with_priority(Priority::Batch);
    let mut events = connector.read(&cx, request)?;
    let mut profile = Profile::new();
    if args.no_values {
        profile = profile.without_values();
    }
    for secret in &args.secret {
        profile = profile.with_secret(secret);
    }
    let line = Line::beside_output(&args.stream);
    let mut seen = 0;
    let exit = loop {
        let event = match select(events.next(), pin!(cancel.cancelled())).await {
            Either::Left((event, _)) => event,
            Either::Right(_) => break Exit::Interrupted,
        };
        match event.transpose()? {
            Some(Event::Batch(batch)) => {
                profile.add(&batch);
                seen += batch.len() as u64;
                line.set(seen, 0);
            }
            Some(Event::Warning(text)) => note(&format!("warning: {}", text.replace(['\n', '\r'], " "))),
            Some(_) => {}
            None => break Exit::Success,
        }
    };
    line.clear();
    if exit == Exit::Interrupted {
        note(&format!("interrupted after {}", records(seen)));
    }
    let report = profile.report();
    if json {
        out.pretty(&report)?;
    } else {
        report.to_string().lines().try_for_each(|line| out.line(line))?;
    }
    Ok(exit)
}

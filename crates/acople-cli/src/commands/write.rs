//! `write`: records from standard input, one outcome a line, in order.

use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::pin::pin;
use std::time::Duration;

use acople::json::Value;
use acople::{
    BatchBuilder, CancelToken, Connector, Context, Error, ErrorKind, Outcome, Priority, WriteMode,
    WriteRequest, json,
};
use futures_util::future::{Either, select};
use serde::Serialize;

use crate::args;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::input::{Line, Lines};
use crate::output::{Out, note, records};
use crate::progress;
use crate::{connection, documents};

/// Records and bytes that are written together. The connector cuts them to the vendor's calls.
const RECORDS: usize = 1_000;
const BYTES: usize = 4 << 20;

/// A batch leaves when no further line comes for so long: whoever pipes slowly sees outcomes soon.
const PATIENCE: Duration = Duration::from_millis(200);

pub(super) async fn write(args: &args::Write, out: &mut Out, cancel: &CancelToken) -> Result<Exit, Failure> {
    if args.connection.config.as_deref() == Some(Path::new(documents::STDIN)) {
        return Err(Error::config("--config", "standard input holds the records").into());
    }
    let connector = connection::open(&args.connection).await?;
    let mut work = Work {
        args,
        connector: &*connector,
        cx: Context::new().with_priority(Priority::Batch),
        told: 0,
        refused: 0,
    };
    let line = progress::Line::beside_output(&args.stream);
    let mut lines = Lines::of(io::stdin());
    loop {
        let (batch, end) = gather(&args.stream, &mut lines, cancel).await?;
        // Nothing of a batch was sent when the signal came; its lines have no outcome.
        if cancel.is_cancelled() {
            note(&format!("interrupted after {}", records(work.told)));
            return Ok(Exit::Interrupted);
        }
        let stopped = work.deliver(batch, out).await?;
        out.flush()?;
        line.set(work.told, work.refused);
        if let Some(error) = stopped {
            line.clear();
            note(&format!("stopped after {}; not accepted: {}", records(work.told), work.refused));
            return Err(error.into());
        }
        if end {
            break;
        }
    }
    line.clear();
    if work.refused > 0 {
        note(&format!("not accepted: {} of {}", work.refused, records(work.told)));
        return Ok(Exit::Refused);
    }
    Ok(Exit::Success)
}

/// Lines that are written together.
struct Gathered {
    records: BatchBuilder,
    /// Each line's number, and what is wrong with those that are no record.
    lines: Vec<(u64, Option<Error>)>,
}

/// Reads until a batch is full, the input ends or pauses, or the signal comes; says whether it has ended.
async fn gather(stream: &str, lines: &mut Lines, cancel: &CancelToken) -> Result<(Gathered, bool), Failure> {
    let mut batch = Gathered { records: BatchBuilder::new(stream), lines: Vec::new() };
    while batch.lines.len() < RECORDS && batch.records.bytes() < BYTES {
        let line = if batch.lines.is_empty() {
            match select(pin!(lines.next()), pin!(cancel.cancelled())).await {
                Either::Left((line, _)) => line,
                Either::Right(_) => return Ok((batch, false)),
            }
        } else {
            match tokio::time::timeout(PATIENCE, lines.next()).await {
                Ok(line) => line,
                Err(_) => return Ok((batch, false)),
            }
        };
        let line = line.map_err(|e| Failure::machine("standard input cannot be read", &e))?;
        let Some((number, line)) = line else {
            return Ok((batch, true));
        };
        let error = push(&mut batch.records, line).err();
        batch.lines.push((number, error));
    }
    Ok((batch, false))
}

fn push(records: &mut BatchBuilder, line: Line) -> Result<(), Error> {
    let Line::Text(text) = line else {
        return Err(Error::new(ErrorKind::TooLarge, "the line is longer than 16 MiB"));
    };
    let text = std::str::from_utf8(&text).map_err(|e| {
        let message = format!("invalid UTF-8 at byte {}", e.valid_up_to());
        Error::new(ErrorKind::Schema, message)
    })?;
    let value = json::value(text).map_err(|e| Error::from(e).with_kind(ErrorKind::Schema))?;
    match value {
        Value::Object(record) => records.push_raw(record),
        _ => Err(Error::new(ErrorKind::Schema, "a record is a JSON object")),
    }
}

/// A write and what it has told so far.
struct Work<'a> {
    args: &'a args::Write,
    connector: &'a dyn Connector,
    cx: Context,
    told: u64,
    refused: u64,
}

#[derive(Serialize)]
struct Told<'a> {
    line: u64,
    #[serde(flatten)]
    outcome: &'a Outcome,
}

impl Work<'_> {
    /// Writes a batch and tells its outcomes. Gives the error that would meet the next batch as well.
    async fn deliver(&mut self, batch: Gathered, out: &mut Out) -> Result<Option<Error>, Failure> {
        let records = batch.records.finish()?;
        let mut outcomes: VecDeque<Outcome> = VecDeque::new();
        let mut stopped = None;
        if !records.is_empty() {
            let count = records.len();
            let mode = WriteMode::from(self.args.mode);
            let request = WriteRequest::new(mode, records).with_key(self.args.key.clone());
            match self.connector.write(&self.cx, request).await {
                Ok(report) => outcomes = report.into_outcomes().into(),
                Err(error) => {
                    outcomes = (0..count).map(|_| Outcome::from_call_error(&error)).collect();
                    stopped = Some(error).filter(|error| stops_everything(error.kind()));
                }
            }
        }
        for (line, error) in batch.lines {
            let outcome = match error {
                Some(error) => Outcome::refused(error),
                None => outcomes.pop_front().ok_or_else(lost_count)?,
            };
            out.json(&Told { line, outcome: &outcome })?;
            self.told += 1;
            self.refused += u64::from(!outcome.is_accepted());
            if let Some(error) = outcome.error().filter(|error| stops_the_rest(error.kind())) {
                stopped.get_or_insert_with(|| error.copy());
            }
        }
        Ok(stopped)
    }
}

fn lost_count() -> Error {
    Error::new(ErrorKind::Internal, "the connector lost count of its records")
}

/// Whether the failure of a whole call is about more than the records in it.
fn stops_everything(kind: ErrorKind) -> bool {
    !matches!(
        kind,
        ErrorKind::Invalid
            | ErrorKind::Schema
            | ErrorKind::Conflict
            | ErrorKind::TooLarge
            | ErrorKind::Ambiguous
    )
}

/// Whether the reason why one record was refused holds for those after it.
fn stops_the_rest(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::Reauth
            | ErrorKind::RateLimited
            | ErrorKind::QuotaExhausted
            | ErrorKind::Transient
            | ErrorKind::Timeout
    )
}

//! `read`: records as JSON lines, with a cursor that follows what was printed.

use std::pin::pin;

use acople::json::Writer;
use acople::{Batch, CancelToken, Change, Context, Event, Priority, ReadMode, ReadRequest};
use futures_util::StreamExt;
use futures_util::future::{Either, select};

use crate::args;
use crate::connection;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Out, note, records};
use crate::progress::Line;
use crate::state_file::StateFile;

pub(super) async fn read(args: &args::Read, out: &mut Out, cancel: &CancelToken) -> Result<Exit, Failure> {
    let state = args.state.as_deref().map(StateFile::new).transpose()?;
    let cursor = state.as_ref().map(StateFile::load).transpose()?.flatten();
    let connector = connection::open(&args.connection).await?;
    let mode = ReadMode::from(args.mode);
    let mut request = ReadRequest::new(&args.stream, mode).with_cursor(cursor);
    if let Some(fields) = &args.fields {
        request = request.with_fields(fields);
    }
    if let Some(limit) = args.limit {
        request = request.with_limit(limit);
    }
    let cx = Context::new().with_priority(Priority::Batch);
    let mut events = connector.read(&cx, request)?;
    let mut printed = Printed { changes: args.changes, ..Printed::default() };
    let line = Line::beside_output(&args.stream);
    loop {
        // With a state, a run that is stopped goes on to the next checkpoint: the records up to there would
        // come again otherwise.
        let event = if state.is_some() && printed.uncovered {
            events.next().await
        } else {
            match select(events.next(), pin!(cancel.cancelled())).await {
                Either::Left((event, _)) => event,
                Either::Right(_) => return Ok(interrupted(&printed, state.is_some())),
            }
        };
        match event.transpose()? {
            Some(Event::Batch(mut batch)) => {
                if let Some(unreadable) = batch.unreadable() {
                    unreadable.refused.iter().for_each(|r| note(&format!("warning: left out: {}", r.error)));
                    batch = unreadable.rest;
                }
                printed.print(out, &batch)?;
                out.flush()?;
                line.set(printed.records, 0);
            }
            Some(Event::Checkpoint(cursor)) => {
                if let Some(state) = &state {
                    // Whatever a connector does between batch and checkpoint, what was printed is out.
                    out.flush()?;
                    state.save(&cursor)?;
                }
                printed.uncovered = false;
            }
            Some(Event::Warning(text)) => note(&format!("warning: {}", text.replace(['\n', '\r'], " "))),
            Some(_) => {}
            None => break,
        }
    }
    line.clear();
    let limited = args.limit.is_some_and(|limit| printed.records >= limit);
    if let Some(state) = &state
        && mode == ReadMode::Full
        && !limited
    {
        state.clear()?;
    }
    if printed.deletions > 0 && !args.changes {
        let deletions = printed.deletions;
        note(&format!("note: deletions among the records: {deletions}; --changes marks them"));
    }
    Ok(Exit::Success)
}

fn interrupted(printed: &Printed, resumable: bool) -> Exit {
    let next = if resumable { "; the state goes on from there" } else { "" };
    note(&format!("interrupted after {}{next}", records(printed.records)));
    Exit::Interrupted
}

/// What was printed so far.
#[derive(Debug, Default)]
struct Printed {
    changes: bool,
    records: u64,
    deletions: u64,
    /// Whether there are records after the last checkpoint.
    uncovered: bool,
}

impl Printed {
    fn print(&mut self, out: &mut Out, batch: &Batch) -> Result<(), Failure> {
        for record in batch.iter() {
            let deleted = record.change() == Change::Delete;
            if self.changes {
                let mut line = Writer::with_capacity(record.raw().len() + 40);
                line.begin_object();
                line.key("change");
                line.text(if deleted { "delete" } else { "upsert" });
                line.key("record");
                line.raw(record.raw());
                line.end_object();
                out.record(line.as_str())?;
            } else {
                out.record(record.raw())?;
            }
            self.records += 1;
            self.deletions += u64::from(deleted);
            self.uncovered = true;
        }
        Ok(())
    }
}

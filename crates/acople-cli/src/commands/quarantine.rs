//! `quarantine`: the records that syncs have set aside.

use acople::sync::{Progress, QuarantineFilter, Replayed};
use acople::{CancelToken, Error, ErrorKind, QuarantineStore, Quarantined, Stage};
use serde_json::{Value as Json, json};

use crate::args::{Chosen, Quarantine};
use crate::exit::Exit;
use crate::failure::{Failure, rfc3339};
use crate::output::{Out, note};
use crate::progress::Line;
use crate::store::Store;
use crate::sync_file::SyncFile;

/// Records that are looked at together.
const PAGE: usize = 500;

pub(super) async fn run(
    command: &Quarantine,
    out: &mut Out,
    json: bool,
    cancel: &CancelToken,
) -> Result<Exit, Failure> {
    match command {
        Quarantine::List { chosen, filter } => list(chosen, &filter.into(), out, json).await,
        Quarantine::Show { chosen, id } => show(chosen, id, out).await,
        Quarantine::Replay { chosen, ids, filter } => {
            replay(chosen, ids, &filter.into(), out, json, cancel).await
        }
    }
}

async fn list(
    chosen: &Chosen,
    filter: &QuarantineFilter,
    out: &mut Out,
    json: bool,
) -> Result<Exit, Failure> {
    let file = SyncFile::load(chosen)?;
    let store = file.open_store().await?;
    for sync in file.syncs() {
        let mut pages = Pages::new(sync.name());
        while let Some(page) = pages.next(&store).await? {
            for record in page.iter().filter(|record| filter.matches(record)) {
                if json {
                    out.json(&summary(record)?)?;
                } else {
                    let error = &record.error;
                    let fields = match error.fields() {
                        [] => String::new(),
                        fields => format!(" [{}]", fields.join(", ")),
                    };
                    let at = rfc3339(record.at).unwrap_or_default();
                    out.line(&format!("{}  {at}  {}  {error}{fields}", record.id, stage(record.stage)))?;
                }
            }
            out.flush()?;
        }
    }
    Ok(Exit::Success)
}

async fn show(chosen: &Chosen, id: &str, out: &mut Out) -> Result<Exit, Failure> {
    let file = SyncFile::load(chosen)?;
    let store = file.open_store().await?;
    for sync in file.syncs() {
        let mut pages = Pages::new(sync.name());
        while let Some(page) = pages.next(&store).await? {
            if let Some(found) = page.iter().find(|record| record.id == id) {
                let mut all = summary(found)?;
                // The record is shown as JSON within the JSON; its digits are those that the source sent.
                let record = serde_json::value::RawValue::from_string(found.record.clone());
                if let (Json::Object(all), Err(_)) = (&mut all, &record) {
                    all.insert("record".to_owned(), Json::String(found.record.clone()));
                }
                out.pretty(&Shown { about: all, record: record.ok() })?;
                return Ok(Exit::Success);
            }
        }
    }
    let message = format!("the quarantine has no record {id:?}");
    Err(Error::new(ErrorKind::NotFound, message).into())
}

/// A quarantined record with its text.
#[derive(serde::Serialize)]
struct Shown {
    #[serde(flatten)]
    about: Json,
    #[serde(skip_serializing_if = "Option::is_none")]
    record: Option<Box<serde_json::value::RawValue>>,
}

async fn replay(
    chosen: &Chosen,
    ids: &[String],
    filter: &QuarantineFilter,
    out: &mut Out,
    json: bool,
    cancel: &CancelToken,
) -> Result<Exit, Failure> {
    let file = SyncFile::load(chosen)?;
    let store = file.open_store().await?;
    let mut all = Replayed::default();
    for sync in file.connect(&store)? {
        let name = sync.job.name();
        let line = Line::new(name);
        let observe = |progress: &Progress| {
            if let Progress::Advanced { totals } = progress {
                line.set(totals.processed, totals.refused);
            }
        };
        // The signal ends it between records: those that are not reached stay where they are.
        let choose = |q: &Quarantined| {
            !cancel.is_cancelled() && (ids.is_empty() || ids.contains(&q.id)) && filter.matches(q)
        };
        let done = sync.job.replay(&sync.context, &observe, choose).await?;
        line.clear();
        if json {
            out.json(&json!({"sync": name, "tried": done.tried, "synced": done.synced, "refused": done.refused, "skipped": done.skipped}))?;
        } else {
            out.line(&format!(
                "{name}: {} tried, {} synced, {} refused again, {} skipped",
                done.tried, done.synced, done.refused, done.skipped
            ))?;
        }
        out.flush()?;
        all.tried += done.tried;
        all.refused += done.refused;
    }
    if cancel.is_cancelled() {
        return Ok(Exit::Interrupted);
    }
    if all.tried < ids.len() as u64 {
        note("some of these ids are not in the quarantine: acople quarantine list shows those that are");
        return Ok(Exit::Data);
    }
    Ok(if all.refused > 0 { Exit::Refused } else { Exit::Success })
}

/// What is known of a record, without its content.
fn summary(record: &Quarantined) -> Result<Json, Failure> {
    let error = serde_json::to_value(&record.error)
        .map_err(|e| Error::new(ErrorKind::Internal, "the reason cannot be written").with_source(e))?;
    Ok(json!({
        "id": record.id,
        "sync": record.key.sync,
        "tenant": record.key.tenant,
        "stream": record.key.stream,
        "run": record.run,
        "position": record.position,
        "stage": stage(record.stage),
        "deleted": record.deleted,
        "attempts": record.attempts,
        "at": rfc3339(record.at),
        "error": error,
    }))
}

fn stage(stage: Stage) -> &'static str {
    match stage {
        Stage::Read => "read",
        Stage::Map => "map",
        Stage::Merge => "merge",
        _ => "write",
    }
}

/// A sync's records, page by page.
struct Pages<'a> {
    sync: &'a str,
    after: Option<String>,
}

impl<'a> Pages<'a> {
    fn new(sync: &'a str) -> Self {
        Self { sync, after: None }
    }

    async fn next(&mut self, store: &Store) -> Result<Option<Vec<Quarantined>>, Failure> {
        let page = store.redb.list(Some(self.sync), self.after.as_deref(), PAGE).await?;
        let Some(last) = page.last() else { return Ok(None) };
        self.after = Some(last.id.clone());
        Ok(Some(page))
    }
}

//! `sync`: runs the syncs of a file, one after the other.

use acople::sync::{End, FieldChange, Observer, PauseCause, Progress, Report};
use acople::{CancelToken, Context};
use serde_json::json;

use crate::args::Chosen;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Out, note, records};
use crate::progress::Line;
use crate::sync_file::{Connected, SyncFile};

/// What is wished besides an ordinary run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wish {
    pub(super) approve: bool,
    pub(super) scan_keys: bool,
    pub(super) accept_schema: bool,
}

pub(super) async fn sync(
    chosen: &Chosen,
    wish: Wish,
    out: &mut Out,
    json: bool,
    cancel: &CancelToken,
) -> Result<Exit, Failure> {
    let file = SyncFile::load(chosen)?;
    let store = file.open_store().await?;
    let syncs = file.connect(&store)?;
    let mut exit = Exit::Success;
    for sync in &syncs {
        if cancel.is_cancelled() {
            return Ok(Exit::Interrupted);
        }
        let one = run(sync, chosen, wish, out, json, cancel).await?;
        out.flush()?;
        exit = worse(exit, one);
    }
    Ok(exit)
}

/// One sync does not depend on the others: they run whatever became of it.
async fn run(
    sync: &Connected,
    chosen: &Chosen,
    wish: Wish,
    out: &mut Out,
    json: bool,
    cancel: &CancelToken,
) -> Result<Exit, Failure> {
    let name = sync.job.name();
    let line = Line::new(name);
    let observe = |progress: &Progress| observe(name, &line, progress);
    let cx = sync.context.clone().with_cancel(cancel.clone());
    let result = begin(sync, &cx, wish, &observe).await;
    line.clear();
    let report = match result {
        Ok(report) => report,
        Err(error) => {
            if json {
                out.json(&json!({"sync": name, "end": "stopped", "error": error}))?;
            } else {
                out.line(&format!("{name}: not begun"))?;
            }
            out.flush()?;
            return Ok(Failure::from(error).report());
        }
    };
    if json {
        out.json(&report)?;
    } else {
        tell(out, &report)?;
    }
    out.flush()?;
    Ok(judge(report, chosen))
}

async fn begin(sync: &Connected, cx: &Context, wish: Wish, observe: &dyn Observer) -> acople::Result<Report> {
    if wish.accept_schema {
        sync.job.accept_schema(cx).await?;
    }
    if wish.approve {
        sync.job.approve(cx).await?;
    }
    let scan = wish.scan_keys.then(|| sync.job.key_scan());
    // Where a scan has asked, an ordinary run of an incremental job does not go on with it.
    let approved = wish.approve.then(|| sync.job.key_scan());
    scan.or(approved).as_ref().unwrap_or(&sync.job).run(cx, observe).await
}

fn judge(report: Report, chosen: &Chosen) -> Exit {
    let (success, refused, sync) = (report.is_success(), report.totals.refused, report.sync.clone());
    if refused > 0 {
        let file = chosen.file.display();
        note(&format!("{sync}: in quarantine: {}; acople quarantine list {file}", records(refused)));
    }
    match report.end {
        End::Complete if success => Exit::Success,
        End::Complete => Exit::Refused,
        End::Cancelled => Exit::Interrupted,
        End::Stopped { error } | End::Paused { error, .. } => Failure::from(error).report(),
        _ => Exit::Internal,
    }
}

fn observe(name: &str, line: &Line, progress: &Progress) {
    match progress {
        Progress::Started { run, resumed } => {
            tracing::info!(sync = name, run, resumed, "started");
        }
        Progress::Advanced { totals } => line.set(totals.processed, totals.refused),
        Progress::Checkpointed { totals } => {
            tracing::debug!(sync = name, processed = totals.processed, "checkpoint");
        }
        Progress::Retrying { reason, records } => {
            tracing::warn!(sync = name, records, "trying again: {reason}");
        }
        // Warnings are in the report.
        _ => {}
    }
}

fn tell(out: &mut Out, report: &Report) -> Result<(), Failure> {
    let end = match &report.end {
        End::Complete => "complete",
        End::Cancelled => "interrupted; the next run goes on",
        End::Paused { cause: PauseCause::Credentials, .. } => {
            "paused until the account is connected again; the next run goes on"
        }
        End::Paused { cause: PauseCause::Approval, .. } => "paused until somebody says --approve",
        End::Paused { .. } => "paused; the next run goes on",
        End::Stopped { .. } => "stopped; the next run goes on",
        _ => "ended",
    };
    let resumed = if report.resumed { " (resumed)" } else { "" };
    let totals = &report.totals;
    out.line(&format!("{}: {end}{resumed}", report.sync))?;
    out.line(&format!(
        "  records: {} read, {} synced ({} new), {} refused, {} skipped",
        totals.processed, totals.synced, totals.created, totals.refused, totals.skipped
    ))?;
    if totals.deleted + totals.repeated > 0 {
        out.line(&format!("  of these: {} deleted, {} read twice", totals.deleted, totals.repeated))?;
    }
    if let Some(gone) = &report.deletions {
        out.line(&format!("  gone at the source: {} of {}", gone.gone, gone.known))?;
    }
    for change in &report.schema_changes {
        let what = match &change.what {
            FieldChange::New => "new".to_owned(),
            FieldChange::Missing => "not declared any longer".to_owned(),
            FieldChange::Type { from, to } => format!("{} before, now {to}", from.join(" or ")),
            _ => "changed".to_owned(),
        };
        out.line(&format!("  schema: {}: {what}", change.field))?;
    }
    out.line(&format!(
        "  work: {} requests, {} of them repeated, {} bytes received, {:.1} s",
        report.requests,
        report.retries,
        report.bytes,
        report.duration.as_secs_f64()
    ))?;
    for warning in &report.warnings {
        out.line(&format!("  warning: {warning}"))?;
    }
    Ok(())
}

/// The first sync that did not come to its end decides; one with refused records counts less.
fn worse(exit: Exit, other: Exit) -> Exit {
    match exit {
        Exit::Success => other,
        Exit::Refused if other != Exit::Success => other,
        _ => exit,
    }
}

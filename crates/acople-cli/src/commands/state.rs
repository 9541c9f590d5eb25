//! `state`: what is remembered of syncs.

use acople::sync::{ExportedStates, export, import, state};
use acople::{CheckpointStore, Error};

use crate::args::{Chosen, State};
use crate::documents;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Out;
use crate::sync_file::SyncFile;

pub(super) async fn run(command: &State, out: &mut Out, json: bool) -> Result<Exit, Failure> {
    match command {
        State::Show { chosen } => show(chosen, out, json).await,
        State::Reset { chosen } => reset(chosen, out).await,
        State::Export { chosen } => write(chosen, out).await,
        State::Import { chosen, document, replace } => {
            let document = documents::load(document, "document")?;
            let document: ExportedStates = serde_json::from_value(document)
                .map_err(|e| Error::config("document", format!("these are no exported states: {e}")))?;
            read(chosen, &document, *replace, out).await
        }
    }
}

async fn show(chosen: &Chosen, out: &mut Out, json: bool) -> Result<Exit, Failure> {
    let file = SyncFile::load(chosen)?;
    let store = file.open_store().await?;
    for sync in file.syncs() {
        let key = sync.state_key();
        let found = state(store.redb.as_ref(), &key).await?;
        match (found, json) {
            (Some(found), true) => out.json(&found)?,
            (Some(found), false) => {
                let end = if found.complete { "complete" } else { "not at its end" };
                let totals = &found.totals;
                out.line(&format!(
                    "{} / {}: run {} is {end}; {} read, {} synced, {} refused; {} bytes, written {} times",
                    key.sync,
                    key.stream,
                    found.run,
                    totals.processed,
                    totals.synced,
                    totals.refused,
                    found.bytes,
                    found.generation
                ))?;
                if let Some(waits) = found.deletions.filter(|deletions| !deletions.approved) {
                    out.line(&format!("  waits for approval: delete {} of {}", waits.gone, waits.known))?;
                }
            }
            (None, true) => {
                out.json(&serde_json::json!({"sync": key.sync, "stream": key.stream, "run": null}))?;
            }
            (None, false) => out.line(&format!("{} / {}: has not run yet", key.sync, key.stream))?,
        }
    }
    Ok(Exit::Success)
}

async fn reset(chosen: &Chosen, out: &mut Out) -> Result<Exit, Failure> {
    let file = SyncFile::load(chosen)?;
    let [sync] = file.syncs() else {
        let message = "a file of several syncs is reset one by one: name it";
        return Err(Error::config("--only", message).into());
    };
    let (store, key) = (file.open_store().await?, sync.state_key());
    CheckpointStore::remove(store.redb.as_ref(), &key).await?;
    out.line(&format!("{} / {}: the next run starts from the beginning", key.sync, key.stream))?;
    Ok(Exit::Success)
}

async fn write(chosen: &Chosen, out: &mut Out) -> Result<Exit, Failure> {
    let file = SyncFile::load(chosen)?;
    let store = file.open_store().await?;
    let mut all = export(store.redb.as_ref(), None).await?;
    let keys: Vec<_> = file.syncs().iter().map(crate::sync_file::Sync::state_key).collect();
    all.retain(|key| keys.contains(key));
    out.json(&all)?;
    Ok(Exit::Success)
}

async fn read(
    chosen: &Chosen,
    document: &ExportedStates,
    replace: bool,
    out: &mut Out,
) -> Result<Exit, Failure> {
    let file = SyncFile::load(chosen)?;
    let store = file.open_store().await?;
    let keys: Vec<_> = file.syncs().iter().map(crate::sync_file::Sync::state_key).collect();
    let written = import(store.redb.as_ref(), document, replace, |key| keys.contains(key)).await?;
    out.line(&format!("{written} of {} states are written", document.keys().len()))?;
    Ok(Exit::Success)
}

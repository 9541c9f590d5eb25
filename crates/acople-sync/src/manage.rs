//! Looking at the state of syncs, and changing it by decision: approve, reset, export, import.

use acople_core::{CheckpointStore, Context, Error, ErrorKind, Generation, ReadMode, Result, StateKey};
use serde::{Deserialize, Serialize};
use serde_json::value::Value as Json;

use crate::job::Job;
use crate::state::State;
use crate::{Deletions, Totals};

/// The version of an exported document.
const VERSION: u16 = 1;

/// What is known of one stream of a sync, without its cursor.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct StateSummary {
    /// Whose state it is.
    #[serde(flatten)]
    pub key: StateKey,
    /// The run that wrote it.
    pub run: String,
    /// What that run read.
    pub mode: ReadMode,
    /// Whether that run has come to its end; otherwise the next one goes on with it.
    pub complete: bool,
    /// Whether there is a place to go on from.
    pub has_cursor: bool,
    /// The counts of that run.
    #[serde(flatten)]
    pub totals: Totals,
    /// What waits to be deleted, or for somebody's approval.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deletions: Option<Deletions>,
    /// The version of the known shape of the source's records, if it is watched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema_version: Option<u32>,
    /// How often it was written.
    pub generation: u64,
    /// Its size in bytes.
    pub bytes: usize,
}

/// States as they travel from one store to another: JSON, to be kept as it is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ExportedStates {
    version: u16,
    states: Vec<ExportedState>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct ExportedState {
    #[serde(flatten)]
    key: StateKey,
    state: Json,
}

impl ExportedStates {
    /// Leaves out the states of the keys for which `keep` says no.
    pub fn retain(&mut self, keep: impl Fn(&StateKey) -> bool) {
        self.states.retain(|state| keep(&state.key));
    }

    /// Whose states these are.
    pub fn keys(&self) -> impl ExactSizeIterator<Item = &StateKey> {
        self.states.iter().map(|state| &state.key)
    }
}

/// What is known of one stream of a sync; `None` when nothing is.
///
/// # Errors
/// Those of the store; `Internal` for a state that is damaged or of a newer version.
pub async fn state(store: &dyn CheckpointStore, key: &StateKey) -> Result<Option<StateSummary>> {
    let Some((bytes, generation)) = store.load(key).await? else { return Ok(None) };
    let state = State::decode(&bytes)?;
    Ok(Some(StateSummary {
        key: key.clone(),
        run: state.run,
        mode: state.mode,
        complete: state.complete,
        has_cursor: state.cursor.is_some(),
        totals: state.totals,
        deletions: state.deletions,
        schema_version: state.shape.map(|shape| shape.version),
        generation: generation.0,
        bytes: bytes.len(),
    }))
}

/// Allows the deletions that a run has asked for: the next one goes on with them. Gives what was approved.
///
/// What was gone when the run asked is deleted, and no more than that; a record that has come back since is
/// brought again by the next run that reads it.
///
/// # Errors
/// `Conflict` when no run waits for approval, or it has begun anew since.
pub async fn approve(store: &dyn CheckpointStore, key: &StateKey) -> Result<Deletions> {
    let nothing = || Error::new(ErrorKind::Conflict, "no run of this sync waits for approval");
    let (bytes, generation) = store.load(key).await?.ok_or_else(nothing)?;
    let mut state = State::decode(&bytes)?;
    let waiting = state.deletions.filter(|deletions| !deletions.approved).ok_or_else(nothing)?;
    let approved = Deletions { approved: true, ..waiting };
    state.deletions = Some(approved);
    store.save(key, generation, &state.encode()?).await?;
    Ok(approved)
}

/// Forgets the known shape of the source's records: the next run learns it anew.
///
/// # Errors
/// Those of the store.
pub async fn accept_schema(store: &dyn CheckpointStore, key: &StateKey) -> Result<()> {
    let Some((bytes, generation)) = store.load(key).await? else { return Ok(()) };
    let mut state = State::decode(&bytes)?;
    state.shape = None;
    store.save(key, generation, &state.encode()?).await?;
    Ok(())
}

/// The states of a sync, or of all syncs.
///
/// # Errors
/// Those of the store; `Internal` for a state that is damaged or of a newer version.
pub async fn export(store: &dyn CheckpointStore, sync: Option<&str>) -> Result<ExportedStates> {
    let mut states = Vec::new();
    for key in store.keys(sync).await? {
        let Some((bytes, _)) = store.load(&key).await? else { continue };
        State::decode(&bytes)?;
        let state = serde_json::from_slice(&bytes)
            .map_err(|e| Error::new(ErrorKind::Internal, "a state is not JSON").with_source(e))?;
        states.push(ExportedState { key, state });
    }
    Ok(ExportedStates { version: VERSION, states })
}

/// Writes exported states, of the keys for which `choose` says so, and gives how many. A state that is there
/// already is replaced only when `replace` is set.
///
/// # Errors
/// `Config` for a document of a newer version, and for a state that is no state, before anything is written;
/// `Conflict` for one that is there already, before anything is written.
pub async fn import(
    store: &dyn CheckpointStore,
    document: &ExportedStates,
    replace: bool,
    choose: impl Fn(&StateKey) -> bool,
) -> Result<usize> {
    if document.version > VERSION {
        let message = format!("the document has version {}, this acople knows {VERSION}", document.version);
        return Err(Error::config("version", message));
    }
    let mut planned = Vec::new();
    for exported in document.states.iter().filter(|exported| choose(&exported.key)) {
        let (key, bytes) = (&exported.key, exported.state.to_string().into_bytes());
        let whole = State::decode(&bytes).and_then(|state| state.encode());
        whole.map_err(|e| {
            Error::config("state", format!("of {} / {}: {}", key.sync, key.stream, e.message()))
        })?;
        let generation = match store.load(key).await? {
            Some(_) if !replace => {
                let message = format!("{} / {} has a state already", key.sync, key.stream);
                return Err(Error::new(ErrorKind::Conflict, message));
            }
            Some((_, generation)) => generation,
            None => Generation::default(),
        };
        planned.push((key, generation, bytes));
    }
    for (key, generation, bytes) in &planned {
        store.save(key, *generation, bytes).await?;
    }
    Ok(planned.len())
}

impl Job {
    /// A job that lists the keys of the source's records and deletes at the destination what this one has
    /// brought and is not listed any longer: for sources whose deletions are not visible. It needs
    /// [`delete_vanished`](crate::JobBuilder::delete_vanished), shares this job's state, and never moves its
    /// cursor. Two of them at once, or beside a run, fence each other.
    pub fn key_scan(&self) -> Job {
        let mut plan = (*self.0).clone();
        plan.scan = true;
        plan.mode = ReadMode::Full;
        Job(plan.into())
    }

    /// What is known of the job's stream.
    ///
    /// # Errors
    /// See [`state`].
    pub async fn state(&self, cx: &Context) -> Result<Option<StateSummary>> {
        state(self.0.checkpoints.as_ref(), &self.0.state_key(cx)).await
    }

    /// Allows the deletions that a run has asked for.
    ///
    /// # Errors
    /// See [`approve`].
    pub async fn approve(&self, cx: &Context) -> Result<Deletions> {
        approve(self.0.checkpoints.as_ref(), &self.0.state_key(cx)).await
    }

    /// Takes the shape of the source's records as the next run finds it.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn accept_schema(&self, cx: &Context) -> Result<()> {
        accept_schema(self.0.checkpoints.as_ref(), &self.0.state_key(cx)).await
    }

    /// Forgets where the job is: the next run starts from the beginning, and one that is at work is fenced at its
    /// next commit. Quarantine and links stay.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn reset(&self, cx: &Context) -> Result<()> {
        self.0.checkpoints.remove(&self.0.state_key(cx)).await
    }
}

//! One stream on its way from a source to a destination: what to do, before anything is done.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use acople_core::json::FieldPath;
use acople_core::{
    CheckpointStore, Clock, Connector, Error, IdentityMap, Mapper, QuarantineStore, ReadMode, Result,
    SystemClock, WriteMode,
};

use crate::{DeleteLimit, SchemaPolicy, StopRule};

/// Moves one stream from a source to a destination, one direction.
///
/// A job holds no state of its own: what was done is in the checkpoint store, so a new process with the
/// same job goes on where the last one stopped. See [`Job::run`](crate::Job::run).
#[derive(Clone)]
pub struct Job(pub(crate) Arc<Plan>);

#[derive(Clone)]
pub(crate) struct Plan {
    pub(crate) name: String,
    pub(crate) source: Arc<dyn Connector>,
    pub(crate) source_stream: String,
    pub(crate) destination: Arc<dyn Connector>,
    pub(crate) destination_stream: String,
    pub(crate) mapper: Option<Arc<dyn Mapper>>,
    pub(crate) mode: ReadMode,
    pub(crate) write: WriteMode,
    pub(crate) key: Option<FieldPath>,
    pub(crate) fields: Option<Vec<String>>,
    pub(crate) checkpoints: Arc<dyn CheckpointStore>,
    pub(crate) quarantine: Arc<dyn QuarantineStore>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) tolerated: u64,
    pub(crate) attempts: u32,
    pub(crate) bytes_ahead: usize,
    pub(crate) grace: Duration,
    pub(crate) links: Option<Arc<dyn IdentityMap>>,
    /// Deletes what a complete listing does not have any longer.
    pub(crate) vanished: Option<DeleteLimit>,
    pub(crate) schema: Option<SchemaPolicy>,
    pub(crate) stop: Option<StopRule>,
    pub(crate) repeats: usize,
    /// Reads keys only, to find out what is gone.
    pub(crate) scan: bool,
}

impl Job {
    /// A job. Its name, together with the tenant and the source stream, is the key of its state.
    pub fn builder(name: impl Into<String>) -> JobBuilder {
        JobBuilder {
            name: name.into(),
            source: None,
            destination: None,
            mapper: None,
            mode: ReadMode::Incremental,
            write: WriteMode::Upsert,
            key: None,
            fields: None,
            checkpoints: None,
            quarantine: None,
            clock: Arc::new(SystemClock),
            tolerated: 0,
            attempts: 3,
            bytes_ahead: 32 << 20,
            grace: Duration::from_secs(30),
            links: None,
            vanished: None,
            schema: None,
            stop: None,
            repeats: 16_384,
        }
    }

    /// The job's name.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// What is read.
    pub fn mode(&self) -> ReadMode {
        self.0.mode
    }
}

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job")
            .field("name", &self.0.name)
            .field("source", &self.0.source_stream)
            .field("destination", &self.0.destination_stream)
            .field("mode", &self.0.mode)
            .finish_non_exhaustive()
    }
}

/// Sets up a [`Job`].
#[must_use]
pub struct JobBuilder {
    name: String,
    source: Option<(Arc<dyn Connector>, String)>,
    destination: Option<(Arc<dyn Connector>, String)>,
    mapper: Option<Arc<dyn Mapper>>,
    mode: ReadMode,
    write: WriteMode,
    key: Option<String>,
    fields: Option<Vec<String>>,
    checkpoints: Option<Arc<dyn CheckpointStore>>,
    quarantine: Option<Arc<dyn QuarantineStore>>,
    clock: Arc<dyn Clock>,
    tolerated: u64,
    attempts: u32,
    bytes_ahead: usize,
    grace: Duration,
    links: Option<Arc<dyn IdentityMap>>,
    vanished: Option<DeleteLimit>,
    schema: Option<SchemaPolicy>,
    stop: Option<StopRule>,
    repeats: usize,
}

impl JobBuilder {
    /// Where records come from.
    pub fn source(mut self, connector: Arc<dyn Connector>, stream: impl Into<String>) -> Self {
        self.source = Some((connector, stream.into()));
        self
    }

    /// Where records go.
    pub fn destination(mut self, connector: Arc<dyn Connector>, stream: impl Into<String>) -> Self {
        self.destination = Some((connector, stream.into()));
        self
    }

    /// Turns source records into destination records; without it they pass unchanged.
    pub fn mapper(mut self, mapper: Arc<dyn Mapper>) -> Self {
        self.mapper = Some(mapper);
        self
    }

    /// What is read: incremental unless told otherwise.
    pub fn mode(mut self, mode: ReadMode) -> Self {
        self.mode = mode;
        self
    }

    /// How records are written: as upserts unless told otherwise.
    pub fn write(mut self, mode: WriteMode) -> Self {
        self.write = mode;
        self
    }

    /// The destination's field that finds a record.
    pub fn key(mut self, field: impl Into<String>) -> Self {
        self.key = Some(field.into());
        self
    }

    /// The source fields to ask for; without it those that the mapper reads, or all.
    pub fn fields<S: Into<String>>(mut self, fields: impl IntoIterator<Item = S>) -> Self {
        self.fields = Some(fields.into_iter().map(Into::into).collect());
        self
    }

    /// Where the state is kept.
    pub fn checkpoints(mut self, store: Arc<dyn CheckpointStore>) -> Self {
        self.checkpoints = Some(store);
        self
    }

    /// Where refused records are kept.
    pub fn quarantine(mut self, store: Arc<dyn QuarantineStore>) -> Self {
        self.quarantine = Some(store);
        self
    }

    /// One store for both.
    pub fn store<S: CheckpointStore + QuarantineStore>(self, store: Arc<S>) -> Self {
        self.checkpoints(store.clone()).quarantine(store)
    }

    /// Replaces the clock.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// How many refused records still leave a run a success; none unless told otherwise. Refused records
    /// never stop a run: they are set aside and the rest goes on.
    pub fn tolerate(mut self, refused: u64) -> Self {
        self.tolerated = refused;
        self
    }

    /// How often a record is tried that the destination refuses for the moment, or whose outcome was
    /// lost, before it is set aside.
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts.max(1);
        self
    }

    /// Bytes of records that may be read ahead while the destination works: one batch at most, and none
    /// when the batch at work is larger than this.
    pub fn bytes_ahead(mut self, bytes: usize) -> Self {
        self.bytes_ahead = bytes;
        self
    }

    /// How long a cancelled run may take to finish the batch at work; 30 s unless told otherwise.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// Where it is kept which record of the source is which of the destination. It lets a destination be updated
    /// that does not upsert by a key of ours, and what is gone at the source be deleted.
    pub fn links(mut self, map: Arc<dyn IdentityMap>) -> Self {
        self.links = Some(map);
        self
    }

    /// Deletes at the destination what this job brought and the source does not have any longer, after a listing
    /// that is proven to be complete: every full run, and each [key scan](Job::key_scan). More than the limit
    /// pauses the run until somebody [approves](Job::approve). Needs [`links`](Self::links).
    pub fn delete_vanished(mut self, limit: DeleteLimit) -> Self {
        self.vanished = Some(limit);
        self
    }

    /// What happens when the shape of the source's records changes. Nothing is watched without it.
    pub fn schema_policy(mut self, policy: SchemaPolicy) -> Self {
        self.schema = Some(policy);
        self
    }

    /// Ends a run at its next checkpoint when too many records are refused. Without it they never end a run.
    pub fn stop_rule(mut self, rule: StopRule) -> Self {
        self.stop = Some(rule);
        self
    }

    /// How many of the last records of a run are remembered, so that one that the source gives twice unchanged is
    /// counted and not written again: 16,384 unless told otherwise, in some 800 kB; 0 writes all of them.
    pub fn remember(mut self, records: usize) -> Self {
        self.repeats = records;
        self
    }

    /// The job.
    ///
    /// # Errors
    /// `Config` naming what is missing or wrong. Streams and modes are checked when the job runs.
    pub fn build(self) -> Result<Job> {
        let missing = |field: &str| Error::config(field, format!("a job needs a {field}"));
        if self.name.is_empty() {
            return Err(Error::config("name", "a job needs a name"));
        }
        let (source, source_stream) = self.source.ok_or_else(|| missing("source"))?;
        let (destination, destination_stream) = self.destination.ok_or_else(|| missing("destination"))?;
        let key = match self.key {
            Some(key) => Some(FieldPath::parse(&key).map_err(|e| Error::config("key", e.to_string()))?),
            None => None,
        };
        if self.vanished.is_some() && self.links.is_none() {
            return Err(Error::config("links", "a job that deletes what is gone needs an identity map"));
        }
        Ok(Job(Arc::new(Plan {
            name: self.name,
            source,
            source_stream,
            destination,
            destination_stream,
            mapper: self.mapper,
            mode: self.mode,
            write: self.write,
            key,
            fields: self.fields,
            checkpoints: self.checkpoints.ok_or_else(|| missing("checkpoint store"))?,
            quarantine: self.quarantine.ok_or_else(|| missing("quarantine"))?,
            clock: self.clock,
            tolerated: self.tolerated,
            attempts: self.attempts,
            bytes_ahead: self.bytes_ahead,
            grace: self.grace,
            links: self.links,
            vanished: self.vanished,
            schema: self.schema,
            stop: self.stop,
            repeats: self.repeats,
            scan: false,
        })))
    }
}

impl fmt::Debug for JobBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobBuilder").field("name", &self.name).finish_non_exhaustive()
    }
}

//! Two systems that are kept alike, both ways.

mod merge;
mod note;
mod policy;
mod pull;
mod put;
mod report;
mod review;
mod settle;
mod times;

use std::fmt;
use std::sync::Arc;

use acople_core::json::FieldPath;
use acople_core::{
    CheckpointStore, Clock, Connector, Context, Deletes, Error, IdentityMap, Mapper, Pairing,
    QuarantineStore, ReadMode, Result, StateKey, Stream, SystemClock, WriteMode,
};

use crate::counterparts::Address;

pub use policy::{Conflict, Policy, Rule, Side};
pub use report::{SideTotals, TwoWayReport};

/// Keeps the records of two streams alike: what is changed on one side is written to the other, and what is
/// changed on both is merged field by field against what they last agreed on.
///
/// A run reads what changed on both sides, notes it durably in the identity map, and then settles each pair. Its own
/// writes come back through the feeds and are recognised: by what the two agreed on, by a write log that is used
/// once, and by the mark that a vendor puts on the integration's own changes where
/// [`origin`](TwoWayBuilder::origin) names it.
#[derive(Clone)]
pub struct TwoWay(Arc<Plan>);

struct Plan {
    name: String,
    a: End,
    b: End,
    /// The synced fields, in the names of side B.
    fields: Vec<FieldPath>,
    names: Vec<String>,
    forward: Option<Arc<dyn Mapper>>,
    backward: Option<Arc<dyn Mapper>>,
    policy: Policy,
    match_by: Option<String>,
    links: Arc<dyn IdentityMap>,
    checkpoints: Arc<dyn CheckpointStore>,
    quarantine: Arc<dyn QuarantineStore>,
    clock: Arc<dyn Clock>,
}

/// One side's connector, and how its records are read.
struct End {
    connector: Arc<dyn Connector>,
    stream: String,
    modified: Option<FieldPath>,
    origin: Option<(FieldPath, String)>,
}

/// The two streams as they are described at the start of a run.
struct Streams {
    a: (Stream, Address),
    b: (Stream, Address),
}

impl Streams {
    fn address(&self, side: Side) -> &Address {
        if side == Side::A { &self.a.1 } else { &self.b.1 }
    }
}

impl TwoWay {
    /// A two-way sync. Its name, with the tenant, is the key of what it remembers.
    pub fn builder(name: impl Into<String>) -> TwoWayBuilder {
        TwoWayBuilder {
            name: name.into(),
            a: None,
            b: None,
            fields: Vec::new(),
            modified: [None, None],
            origin: [None, None],
            forward: None,
            backward: None,
            policy: Policy::default(),
            match_by: None,
            links: None,
            checkpoints: None,
            quarantine: None,
            clock: Arc::new(SystemClock),
        }
    }
}

impl fmt::Debug for TwoWay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TwoWay")
            .field("name", &self.0.name)
            .field("a", &self.0.a.stream)
            .field("b", &self.0.b.stream)
            .field("policy", &self.0.policy)
            .finish_non_exhaustive()
    }
}

impl Plan {
    fn end(&self, side: Side) -> &End {
        if side == Side::A { &self.a } else { &self.b }
    }

    /// Where a side's cursor is kept, and (`None`) the fence of those who settle.
    fn state_key(&self, cx: &Context, side: Option<Side>) -> StateKey {
        let (stream, partition) = match side {
            Some(Side::A) => (&self.a.stream, "a"),
            Some(Side::B) => (&self.b.stream, "b"),
            None => (&self.a.stream, "settle"),
        };
        let key = StateKey::new(&self.name, stream).with_partition(partition);
        key.with_tenant(cx.tenant().unwrap_or_default())
    }

    /// The linked records; of `waiting`, the edits that are not settled.
    fn pairing(&self, cx: &Context, waiting: bool) -> Pairing {
        let side = |end: &End| acople_core::Side::new(end.connector.info().id.as_ref(), &end.stream);
        let name = if waiting { format!("{}\u{1f}waiting", self.name) } else { self.name.clone() };
        Pairing::new(name, side(&self.a), side(&self.b)).with_tenant(cx.tenant().unwrap_or_default())
    }

    async fn streams(&self, cx: &Context) -> Result<Streams> {
        let a = self.a.connector.describe(cx, &self.a.stream).await?;
        let b = self.b.connector.describe(cx, &self.b.stream).await?;
        for (field, stream) in [("a", &a), ("b", &b)] {
            let writes = [WriteMode::Insert, WriteMode::Update];
            if !stream.can_read(ReadMode::Incremental) || !writes.iter().all(|mode| stream.can_write(*mode)) {
                let message = format!(
                    "stream {} has to be read incrementally, and to take inserts and updates",
                    stream.name
                );
                return Err(Error::config(field, message));
            }
        }
        let (of_a, of_b) = (Address::of(&a)?, Address::of(&b)?);
        Ok(Streams { a: (a, of_a), b: (b, of_b) })
    }
}

/// Whether a side tells what was deleted.
fn tells_deletions(stream: &Stream) -> bool {
    stream.deletes == Deletes::Tombstones
}

/// Sets up a [`TwoWay`].
#[must_use]
pub struct TwoWayBuilder {
    name: String,
    a: Option<(Arc<dyn Connector>, String)>,
    b: Option<(Arc<dyn Connector>, String)>,
    fields: Vec<String>,
    modified: [Option<String>; 2],
    origin: [Option<(String, String)>; 2],
    forward: Option<Arc<dyn Mapper>>,
    backward: Option<Arc<dyn Mapper>>,
    policy: Policy,
    match_by: Option<String>,
    links: Option<Arc<dyn IdentityMap>>,
    checkpoints: Option<Arc<dyn CheckpointStore>>,
    quarantine: Option<Arc<dyn QuarantineStore>>,
    clock: Arc<dyn Clock>,
}

impl TwoWayBuilder {
    /// The first side. Its records need a key of one field, a change feed, inserts and updates.
    pub fn a(mut self, connector: Arc<dyn Connector>, stream: impl Into<String>) -> Self {
        self.a = Some((connector, stream.into()));
        self
    }

    /// The second side, in whose field names the sync compares.
    pub fn b(mut self, connector: Arc<dyn Connector>, stream: impl Into<String>) -> Self {
        self.b = Some((connector, stream.into()));
        self
    }

    /// The fields that are kept alike, in the names of side B.
    pub fn fields<S: Into<String>>(mut self, fields: impl IntoIterator<Item = S>) -> Self {
        self.fields = fields.into_iter().map(Into::into).collect();
        self
    }

    /// Turns records of side A into those of side B, and back. Records of B that are written to A may hold changed
    /// fields alone: the mapper back has to pass what is there, without defaults for the rest.
    pub fn mappers(mut self, forward: Arc<dyn Mapper>, backward: Arc<dyn Mapper>) -> Self {
        (self.forward, self.backward) = (Some(forward), Some(backward));
        self
    }

    /// Who wins when both sides have changed the same field: the review queue unless told otherwise.
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// The fields, each in the names of its own side, that say when a record was changed.
    pub fn modified_by(mut self, a: impl Into<String>, b: impl Into<String>) -> Self {
        self.modified = [Some(a.into()), Some(b.into())];
        self
    }

    /// The field of a side by which the vendor marks our own changes, and its value then: `LastModifiedById` and the
    /// integration's user. A value that the vendor keeps in another spelling than it was written is told from an
    /// edit by it.
    pub fn origin(mut self, side: Side, field: impl Into<String>, value: impl Into<String>) -> Self {
        let mark = Some((field.into(), value.into()));
        let [a, b] = &mut self.origin;
        *(if side == Side::A { a } else { b }) = mark;
        self
    }

    /// Links two records that are new on both sides when they have the same value in this one of the fields, instead
    /// of creating each at the other side. A process that dies while it creates records doubles none then.
    pub fn match_by(mut self, field: impl Into<String>) -> Self {
        self.match_by = Some(field.into());
        self
    }

    /// Where cursors, links and what waits for review are kept.
    pub fn store<S: CheckpointStore + QuarantineStore + IdentityMap>(mut self, store: Arc<S>) -> Self {
        self.checkpoints = Some(store.clone());
        self.quarantine = Some(store.clone());
        self.links = Some(store);
        self
    }

    /// Replaces the clock.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// The sync.
    ///
    /// # Errors
    /// `Config` naming what is missing or wrong. Streams are checked when it runs.
    pub fn build(self) -> Result<TwoWay> {
        let missing = |field: &str| Error::config(field, format!("a two-way sync needs {field}"));
        let path = |field: &'static str, text: &str| {
            FieldPath::parse(text).map_err(|e| Error::config(field, e.to_string()))
        };
        if self.name.is_empty() {
            return Err(missing("name"));
        }
        let fields = self.fields.iter().map(|text| path("fields", text)).collect::<Result<Vec<_>>>()?;
        if fields.is_empty() {
            return Err(missing("fields"));
        }
        let names: Vec<String> = fields.iter().map(ToString::to_string).collect();
        let match_by = self.match_by.map(|field| path("match_by", &field)).transpose()?;
        let match_by = match_by.map(|path| path.to_string());
        if match_by.as_ref().is_some_and(|field| !names.contains(field)) {
            return Err(Error::config("match_by", "records are matched by one of the synced fields"));
        }
        let end = |side: Option<(Arc<dyn Connector>, String)>,
                   name: &'static str,
                   modified: Option<String>,
                   origin: Option<(String, String)>| {
            let (connector, stream) = side.ok_or_else(|| missing(name))?;
            let modified = modified.map(|text| path("modified_by", &text)).transpose()?;
            let origin = match origin {
                Some((field, value)) => Some((path("origin", &field)?, value)),
                None => None,
            };
            Ok::<End, Error>(End { connector, stream, modified, origin })
        };
        let ([modified_a, modified_b], [origin_a, origin_b]) = (self.modified, self.origin);
        Ok(TwoWay(Arc::new(Plan {
            name: self.name,
            a: end(self.a, "a", modified_a, origin_a)?,
            b: end(self.b, "b", modified_b, origin_b)?,
            fields,
            names,
            forward: self.forward,
            backward: self.backward,
            policy: self.policy,
            match_by,
            links: self.links.ok_or_else(|| missing("store"))?,
            checkpoints: self.checkpoints.ok_or_else(|| missing("store"))?,
            quarantine: self.quarantine.ok_or_else(|| missing("store"))?,
            clock: self.clock,
        })))
    }
}

impl fmt::Debug for TwoWayBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TwoWayBuilder").field("name", &self.name).finish_non_exhaustive()
    }
}

//! The cache itself: answers in memory, within so many bytes.

mod flights;
mod generations;
mod kept;
mod key;
mod stats;

use std::fmt;
use std::sync::Arc;

use acople_core::{CacheUse, ConnectionKey, Result};
use acople_http::{Answer, AnswerCache, Asked, Origin, Outdated, Subject};
use async_trait::async_trait;
use moka::notification::RemovalCause;
use tokio::time::Instant;

use flights::{Flights, Landed, Turn};
use generations::Generations;
use kept::{Kept, Worth};
use key::{Hashed, Key};
use stats::Counters;

pub use stats::CacheStats;

/// How much a [`Cache`] keeps.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct CacheLimits {
    /// Bytes of all answers together: bodies, headers, keys and what it takes to find them.
    pub bytes: u64,
    /// Bytes of one answer. A larger one is passed on and not kept.
    pub answer: usize,
}

impl CacheLimits {
    /// So many bytes altogether, a sixteenth of them for one answer.
    pub fn new(bytes: u64) -> Self {
        Self { bytes, answer: usize::try_from(bytes / 16).unwrap_or(usize::MAX) }
    }

    /// Sets the bytes of one answer.
    pub fn answer(mut self, bytes: usize) -> Self {
        self.answer = bytes;
        self
    }
}

impl Default for CacheLimits {
    /// 64 MiB altogether, 4 MiB for one answer.
    fn default() -> Self {
        Self::new(64 << 20)
    }
}

/// Keeps answers of any number of connections in memory. Cheap to clone; clones are one cache.
///
/// - An answer belongs to a connector, connection and customer, and never meets another's request.
/// - Any number of callers who ask the same at once cause one request. Its error is given to all of them and
///   not kept; where it came of one caller's own deadline or cancellation, the others go on.
/// - A fresh answer is given without a request. An old one is confirmed by `ETag` or `Last-Modified` where the
///   vendor gave one, and asked for anew otherwise.
/// - What is asked for seldom makes room for what is asked for often (TinyLFU).
///
/// Nothing is spawned, nothing outlives the process.
#[derive(Clone)]
pub struct Cache(Arc<Inner>);

struct Inner {
    limits: CacheLimits,
    answers: moka::sync::Cache<Key, Arc<Kept>>,
    generations: Generations,
    flights: Flights,
    hashed: Hashed,
    counters: Arc<Counters>,
}

impl Cache {
    /// An empty cache.
    pub fn new(limits: CacheLimits) -> Self {
        let counters = Arc::new(Counters::default());
        let evicted = counters.clone();
        let answers = moka::sync::Cache::builder()
            .max_capacity(limits.bytes)
            .weigher(|key: &Key, kept: &Arc<Kept>| {
                u32::try_from(key.bytes().saturating_add(kept.bytes())).unwrap_or(u32::MAX)
            })
            .eviction_listener(move |_, _, cause| {
                if cause == RemovalCause::Size {
                    Counters::add(&evicted.evictions);
                }
            })
            .build();
        Self(Arc::new(Inner {
            limits,
            answers,
            generations: Generations::default(),
            flights: Flights::default(),
            hashed: Hashed::new(),
            counters,
        }))
    }

    /// Forgets everything.
    pub fn invalidate_all(&self) {
        self.invalidate(Outdated::All);
    }

    /// Forgets what belongs to a customer, under all connections.
    pub fn invalidate_tenant(&self, tenant: &str) {
        self.invalidate(Outdated::Tenant(tenant));
    }

    /// Forgets what a connection told: for one that was connected to another account, or disconnected.
    pub fn invalidate_connection(&self, connection: &ConnectionKey) {
        self.invalidate(Outdated::Connection(connection));
    }

    /// Forgets what a connection told about one subject: for a webhook that says that a stream has changed.
    pub fn invalidate_subject(&self, connection: &ConnectionKey, subject: &Subject) {
        self.invalidate(Outdated::Subject(connection, subject));
    }

    /// The counters now.
    pub fn stats(&self) -> CacheStats {
        let answers = &self.0.answers;
        answers.run_pending_tasks();
        self.0.counters.snapshot(answers.entry_count(), answers.weighted_size())
    }
}

impl Default for Cache {
    fn default() -> Self {
        Self::new(CacheLimits::default())
    }
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache").field("limits", &self.0.limits).finish_non_exhaustive()
    }
}

#[async_trait]
impl AnswerCache for Cache {
    async fn answer(&self, asked: &Asked<'_>, origin: &dyn Origin) -> Result<(Answer, CacheUse)> {
        let cache = &*self.0;
        let key = cache.hashed.key(asked);
        let places = cache.generations.of(&key);
        loop {
            let generation = cache.generations.now(&places);
            if let Ok(kept) = cache.kept(&key, generation, asked) {
                Counters::add(&cache.counters.hits);
                return Ok((kept.answer(), CacheUse::Hit));
            }
            match cache.flights.join(&key, generation) {
                Turn::Lead(lead) => {
                    // Another may have landed since.
                    let known = match cache.kept(&key, generation, asked) {
                        Ok(kept) => {
                            Counters::add(&cache.counters.hits);
                            return Ok((kept.answer(), CacheUse::Hit));
                        }
                        Err(known) => known,
                    };
                    return match cache.ask(asked, &key, generation, known, origin).await {
                        Ok((answer, found, landed)) => {
                            lead.land(landed);
                            Ok((answer, found))
                        }
                        Err(error) => {
                            lead.land(Landed::Failed(Arc::new(error.copy()), asked.deadline));
                            Err(error)
                        }
                    };
                }
                Turn::Follow(flight) => match flight.landed().await {
                    // The one who asked was dropped: somebody else's turn.
                    None => {}
                    Some(Landed::Shared(kept)) => {
                        Counters::add(&cache.counters.hits);
                        Counters::add(&cache.counters.shared);
                        return Ok((kept.answer(), CacheUse::Hit));
                    }
                    Some(Landed::Private) => {
                        let known = cache.kept(&key, generation, asked).err().flatten();
                        let (answer, found, _) = cache.ask(asked, &key, generation, known, origin).await?;
                        return Ok((answer, found));
                    }
                    Some(Landed::Failed(error, theirs))
                        if flights::came_of_its_asker(&error, theirs, asked.deadline) => {}
                    Some(Landed::Failed(error, _)) => return Err(error.copy()),
                },
            }
        }
    }

    fn invalidate(&self, outdated: Outdated<'_>) {
        self.0.generations.advance(outdated);
        // An old generation is never given again. Of a customer or a connection nothing stays in memory either;
        // a subject's answers go when they are asked for or make room, because writes are frequent.
        match outdated {
            Outdated::Subject(..) => {}
            Outdated::Tenant(tenant) => self
                .0
                .drop_all(|key| key.connection.tenant == tenant || key.tenant.as_deref() == Some(tenant)),
            Outdated::Connection(connection) => self.0.drop_all(|key| *key.connection == *connection),
            _ => self.0.answers.invalidate_all(),
        }
    }
}

impl Inner {
    /// What is kept, when it is fresh; `Err` with what is too old to be given without the vendor's word.
    fn kept(&self, key: &Key, generation: u64, asked: &Asked<'_>) -> Result<Arc<Kept>, Option<Arc<Kept>>> {
        // Of an earlier generation: what the vendor says of its age is not to be trusted either, since a time
        // of modification counts in seconds.
        let kept = self.answers.get(key).filter(|kept| kept.generation == generation).ok_or(None)?;
        if kept.is_fresh(asked.scope) { Ok(kept) } else { Err(Some(kept)) }
    }

    /// Asks the vendor, whether `known` still holds if there is one, and keeps what may be kept.
    async fn ask(
        &self,
        asked: &Asked<'_>,
        key: &Key,
        generation: u64,
        known: Option<Arc<Kept>>,
        origin: &dyn Origin,
    ) -> Result<(Answer, CacheUse, Landed)> {
        let conditions = known.as_ref().map(|known| known.conditions()).unwrap_or_default();
        let asked_at = Instant::now();
        let answer = origin.ask(conditions).await?;
        let confirmed = known.and_then(|known| known.confirmed(&answer, asked_at));
        let found = if confirmed.is_some() { CacheUse::Revalidated } else { CacheUse::Miss };
        Counters::add(if confirmed.is_some() { &self.counters.revalidated } else { &self.counters.misses });
        let answer = confirmed.as_ref().map_or(answer, Kept::answer);
        let worth = Kept::worth(&answer, asked.scope);
        if worth == Worth::Nothing {
            self.forget(key);
            return Ok((answer, found, Landed::Private));
        }
        let kept = Arc::new(confirmed.unwrap_or_else(|| Kept::new(&answer, asked_at, generation)));
        if kept.bytes() > self.limits.answer {
            self.forget(key);
        } else if self.generations.now(&self.generations.of(key)) == generation {
            self.answers.insert(key.clone(), kept.clone());
            // At once, so that the bound holds; it costs little beside the request.
            self.answers.run_pending_tasks();
        }
        let landed = if worth == Worth::Keeping { Landed::Shared(kept) } else { Landed::Private };
        Ok((answer, found, landed))
    }

    fn drop_all(&self, concerned: impl Fn(&Key) -> bool) {
        for (key, _) in &self.answers {
            if concerned(&key) {
                self.answers.invalidate(&*key);
            }
        }
        self.answers.run_pending_tasks();
    }

    /// An answer that is not kept takes the place of one that was.
    fn forget(&self, key: &Key) {
        Counters::add(&self.counters.unkept);
        self.answers.invalidate(key);
    }
}

//! A connector made of several: when one fails, the next answers.

mod begin;
mod rules;
mod standby;
mod tagged;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use acople_core::{
    ActionCall, ActionOutput, Catalog, Connector, ConnectorInfo, Context, Error, ErrorKind, EventStream,
    Health, ReadRequest, Result, Stream, WriteReport, WriteRequest,
};
use async_trait::async_trait;
use futures_util::future::{BoxFuture, join_all};
use tokio::time::Instant;

pub use rules::FallOver;
pub use standby::Standby;

/// A connector made of a primary source and others that stand by: another connection to the vendor, another
/// vendor, a local copy. Cheap to clone.
///
/// - Reads, `discover`, `describe` and the actions that are named as queries fall over, for the errors that
///   [`FallOver`] says. Standbys have the primary's streams under the same names.
/// - A read falls over before its first event only; one that has begun ends with its error. A cursor belongs to
///   the source that made it, and is read on there and nowhere else.
/// - What a standby says is marked by an [`Event::Warning`](acople_core::Event::Warning) at the start, and claims
///   no completeness unless the standby [is the same system](Standby::same_system). A copy older than its
///   [`max_age`](Standby::max_age) is not read.
/// - Writes and other actions go to the primary alone, unless [`writes_to`](FallbackBuilder::writes_to) names
///   others, and never on after an outcome that is not known.
/// - When all fail, the primary's error is the one that is given.
#[derive(Clone)]
pub struct Fallback(Arc<Inner>);

struct Inner {
    /// Who the primary is.
    info: ConnectorInfo,
    /// The primary's name.
    primary: String,
    /// The primary first.
    sources: Vec<Standby>,
    rules: FallOver,
    /// Positions among the sources.
    writes: Vec<usize>,
    queries: BTreeSet<String>,
    patience: Option<Duration>,
    standing: Mutex<Books>,
}

#[derive(Default)]
struct Books {
    served: Vec<u64>,
    /// Since when standbys answer, and which one did last; `None` while the primary does.
    standby: Option<(Instant, usize)>,
}

/// Who answers at present.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Standing {
    /// The sources' names, the primary first, and how many reads, descriptions and queries each has answered.
    pub answered: Vec<(String, u64)>,
    /// Which standby has answered last, and for how long standbys have answered; `None` while the primary does.
    pub degraded: Option<(String, Duration)>,
}

impl Fallback {
    /// Begins with the primary source, under a name of the host's choice. Names are kept in cursors: they never
    /// change.
    pub fn builder(name: impl Into<String>, primary: Arc<dyn Connector>) -> FallbackBuilder {
        let (info, primary) = (primary.info().clone(), Standby::new(name, primary));
        FallbackBuilder {
            info,
            primary: primary.name.clone(),
            sources: vec![primary],
            rules: FallOver::default(),
            writes: None,
            queries: BTreeSet::new(),
            patience: None,
        }
    }

    /// Who answers at present.
    pub fn standing(&self) -> Standing {
        let inner = &*self.0;
        let books = inner.standing.lock().unwrap_or_else(PoisonError::into_inner);
        let answered = inner.sources.iter().zip(&books.served);
        let degraded = books.standby.and_then(|(since, last)| {
            inner.sources.get(last).map(|source| (source.name.clone(), since.elapsed()))
        });
        Standing {
            answered: answered.map(|(source, count)| (source.name.clone(), *count)).collect(),
            degraded,
        }
    }
}

impl fmt::Debug for Fallback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.0.sources.iter().map(|source| &source.name).collect();
        f.debug_struct("Fallback").field("sources", &names).finish_non_exhaustive()
    }
}

/// Sets up a [`Fallback`].
#[derive(Debug)]
pub struct FallbackBuilder {
    info: ConnectorInfo,
    primary: String,
    sources: Vec<Standby>,
    rules: FallOver,
    writes: Option<Vec<String>>,
    queries: BTreeSet<String>,
    patience: Option<Duration>,
}

impl FallbackBuilder {
    /// Adds a source, to be asked after those before it.
    pub fn then(mut self, standby: Standby) -> Self {
        self.sources.push(standby);
        self
    }

    /// Sets for which errors the next source is asked.
    pub fn rules(mut self, rules: FallOver) -> Self {
        self.rules = rules;
        self
    }

    /// Names the sources that writes and actions go to, in this order. The next one is tried only when an error
    /// of the [rules](Self::rules) says that nothing was written.
    pub fn writes_to<S: Into<String>>(mut self, sources: impl IntoIterator<Item = S>) -> Self {
        self.writes = Some(sources.into_iter().map(Into::into).collect());
        self
    }

    /// Names actions that change nothing, which fall over as reads do.
    pub fn queries<S: Into<String>>(mut self, actions: impl IntoIterator<Item = S>) -> Self {
        self.queries.extend(actions.into_iter().map(Into::into));
        self
    }

    /// How long a source may take to answer, or to begin a listing, before it counts as timed out and the next
    /// one is asked. Without it the first has all the time that the caller has.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = Some(patience);
        self
    }

    /// The connector.
    ///
    /// # Errors
    /// `Config` when there is no standby, two sources have one name, or `writes_to` names none of them.
    pub fn build(self) -> Result<Fallback> {
        let names: BTreeSet<&str> = self.sources.iter().map(|source| source.name.as_str()).collect();
        if self.sources.len() < 2 {
            return Err(Error::config("sources", "a fallback needs a source that stands by"));
        }
        if names.len() < self.sources.len() {
            return Err(Error::config("sources", "two sources have the same name"));
        }
        let place = |name: &String| {
            let place = self.sources.iter().position(|source| source.name == *name);
            place.ok_or_else(|| Error::config("writes_to", format!("there is no source {name:?}")))
        };
        let writes = match &self.writes {
            Some(names) => names.iter().map(place).collect::<Result<_>>()?,
            None => vec![0],
        };
        let books = Books { served: vec![0; self.sources.len()], standby: None };
        let (standing, Self { info, primary, sources, rules, queries, patience, .. }) =
            (Mutex::new(books), self);
        let inner = Inner { info, primary, sources, rules, writes, queries, patience, standing };
        Ok(Fallback(Arc::new(inner)))
    }
}

#[async_trait]
impl Connector for Fallback {
    /// Who the primary is.
    fn info(&self) -> &ConnectorInfo {
        &self.0.info
    }

    /// Whether any source answers, with a warning for each that does not, and one while standbys answer.
    async fn check(&self, cx: &Context) -> Result<Health> {
        let sources = &self.0.sources;
        let checks = join_all(sources.iter().map(|source| source.connector.check(cx))).await;
        if checks.iter().all(Result::is_err) {
            let first = checks.into_iter().find_map(Result::err);
            return Err(first.unwrap_or_else(|| Error::new(ErrorKind::Internal, "no source was checked")));
        }
        let (mut parts, mut warnings) = (Vec::new(), Vec::new());
        for (source, check) in sources.iter().zip(checks) {
            let name = &source.name;
            match check {
                Ok(health) => {
                    parts.push(format!("{name}: {}", health.summary));
                    warnings.extend(health.warnings.into_iter().map(|warning| format!("{name}: {warning}")));
                }
                Err(error) => warnings.push(format!("degraded: {name} does not answer: {error}")),
            }
        }
        if let Some((last, since)) = self.standing().degraded {
            let primary = &self.0.primary;
            warnings.push(format!("degraded: {last} answers for {primary} since {} s", since.as_secs()));
        }
        Ok(warnings.into_iter().fold(Health::ok(parts.join("; ")), Health::with_warning))
    }

    /// The catalog of the first source that has one. What is not written to has no write modes.
    async fn discover(&self, cx: &Context) -> Result<Catalog> {
        let (mut catalog, from) = self.0.first(|connector| connector.discover(cx)).await?;
        for stream in &mut catalog.streams {
            self.0.limit_writes(stream, from);
        }
        Ok(catalog)
    }

    async fn describe(&self, cx: &Context, stream: &str) -> Result<Stream> {
        let (mut stream, from) = self.0.first(|connector| connector.describe(cx, stream)).await?;
        self.0.limit_writes(&mut stream, from);
        Ok(stream)
    }

    fn read(&self, cx: &Context, request: ReadRequest) -> Result<EventStream> {
        Inner::read(&self.0, cx, request)
    }

    async fn write(&self, cx: &Context, request: WriteRequest) -> Result<WriteReport> {
        self.0.change(|connector| connector.write(cx, request.clone())).await
    }

    async fn invoke(&self, cx: &Context, call: ActionCall) -> Result<ActionOutput> {
        if self.0.queries.contains(call.name()) {
            return Ok(self.0.first(|connector| connector.invoke(cx, call.clone())).await?.0);
        }
        self.0.change(|connector| connector.invoke(cx, call.clone())).await
    }
}

impl Inner {
    /// What the first source says that can answer, and which it is.
    async fn first<'a, T>(
        &'a self,
        ask: impl Fn(&'a dyn Connector) -> BoxFuture<'a, Result<T>>,
    ) -> Result<(T, usize)> {
        let mut failed = None;
        for (place, source) in self.sources.iter().enumerate() {
            let answer = self.in_time(place, ask(&*source.connector)).await;
            match answer {
                Ok(answer) => {
                    self.answered(place, failed.as_ref());
                    return Ok((answer, place));
                }
                Err(error) if self.goes_on(place, &error) => _ = failed.get_or_insert(error),
                Err(error) => return Err(error),
            }
        }
        Err(failed.unwrap_or_else(none_left))
    }

    /// A change by the first source that takes it.
    async fn change<'a, T>(
        &'a self,
        ask: impl Fn(&'a dyn Connector) -> BoxFuture<'a, Result<T>>,
    ) -> Result<T> {
        let mut failed = None;
        for source in self.writes.iter().filter_map(|place| self.sources.get(*place)) {
            match ask(&*source.connector).await {
                Ok(done) => return Ok(done),
                Err(error) => {
                    let untouched = error.outcome_known() && error.kind() != ErrorKind::Ambiguous;
                    if !(untouched && self.rules.covers(&error)) {
                        // What is not known matters more than why the first was passed over.
                        return Err(if untouched { failed.unwrap_or(error) } else { error });
                    }
                    tracing::warn!(source = source.name, kind = %error.kind(), "a change goes to the next source");
                    failed.get_or_insert(error);
                }
            }
        }
        Err(failed.unwrap_or_else(none_left))
    }

    /// What a source says, within the patience that the next one gives it.
    async fn in_time<T>(&self, place: usize, answer: impl Future<Output = Result<T>>) -> Result<T> {
        match self.patience.filter(|_| place + 1 < self.sources.len()) {
            None => answer.await,
            Some(patience) => tokio::time::timeout(patience, answer).await.unwrap_or_else(|_| {
                Err(Error::new(ErrorKind::Timeout, format!("no answer within {} s", patience.as_secs_f32())))
            }),
        }
    }

    /// Whether the next source is asked after this one's error. The rules are about the primary; a standby that
    /// cannot help in its own way (it lacks the stream, its credentials are finished) is passed over.
    fn goes_on(&self, place: usize, error: &Error) -> bool {
        if place == 0 { self.rules.covers(error) } else { !FallOver::is_final(error) }
    }

    /// Notes who has answered.
    fn answered(&self, place: usize, instead: Option<&Error>) {
        let mut books = self.standing.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = books.served.get_mut(place) {
            *count = count.saturating_add(1);
        }
        if place == 0 {
            books.standby = None;
        } else if let Some(error) = instead {
            let since = books.standby.map_or_else(Instant::now, |(since, _)| since);
            books.standby = Some((since, place));
            drop(books);
            let source = self.sources.get(place).map(|source| source.name.as_str());
            tracing::warn!(source, kind = %error.kind(), "a standby answers for the primary");
        }
    }

    fn limit_writes(&self, stream: &mut Stream, from: usize) {
        if !self.writes.contains(&from) {
            stream.writes.clear();
        }
    }
}

fn none_left() -> Error {
    Error::new(ErrorKind::Config, "no source is there to ask")
}

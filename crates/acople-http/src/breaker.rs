//! Circuit breakers: a vendor that is down is not asked again and again.

mod config;
mod gate;
mod shared;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use acople_core::{BreakerState, Error, ErrorKind, Result};
use tokio::time::Instant;

pub use self::config::BreakerConfig;
use self::gate::{Entry, Gate, Pass};
pub use self::shared::SharedBreakers;

/// What a caller waits who finds all probes on their way: their answers decide.
const PROBING: Duration = Duration::from_secs(1);

/// The circuit breakers of one vendor host: one for each class of calls ([`Call::class`](crate::Call::class)),
/// so that a search that fails does not keep records from being written.
///
/// A breaker opens after too many failures, lets a few probes through after a while, and closes when one of them
/// succeeds. Only faults of the vendor count (transient faults and time-outs); a throttle or a refusal is an
/// answer of a vendor that lives, and a call that is given up says nothing.
///
/// Cheap to clone, and clones are one: share it among the connections of one group of tenants to one host, and
/// no further. Entering and telling a closed breaker each take one short lock and allocate nothing.
///
/// ```
/// use acople_core::{BreakerState, ErrorKind};
/// use acople_http::{BreakerConfig, Breakers};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> acople_core::Result<()> {
/// let breakers = Breakers::new(BreakerConfig::default().with_minimum(2));
/// for _ in 0..2 {
///     breakers.enter("search")?.tell(true); // the call failed
/// }
/// let error = breakers.enter("search").unwrap_err();
/// assert_eq!((error.kind(), error.code()), (ErrorKind::Transient, Some("breaker_open")));
/// assert!(error.retry_after().is_some());
/// assert_eq!(breakers.state("default"), BreakerState::Closed); // other classes go on
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Breakers(Arc<Shared>);

struct Shared {
    config: BreakerConfig,
    classes: Link,
    hooks: Mutex<Vec<Weak<Hook>>>,
}

/// The classes in the order in which they came, never taken away: found without a lock. Names are texts of
/// the connectors' code, a handful.
type Link = OnceLock<Box<Class>>;

struct Class {
    name: &'static str,
    gate: Mutex<Gate>,
    next: Link,
}

type Hook = dyn Fn(&'static str, BreakerState) + Send + Sync;

impl Breakers {
    /// Closed breakers, all with one config.
    pub fn new(config: BreakerConfig) -> Self {
        Self(Arc::new(Shared { config, classes: Link::new(), hooks: Mutex::default() }))
    }

    /// Gives one class a config of its own. What its breaker has counted so far stays.
    pub fn with_class(self, class: &'static str, config: BreakerConfig) -> Self {
        self.0.class(class).gate().config = config;
        self
    }

    /// Asks to make one attempt. The ticket must be told how it went; dropped untold, it counts for nothing
    /// and its probe is free again.
    ///
    /// # Errors
    /// `Transient` with the code `breaker_open` and the time until the breaker is half open.
    pub fn enter(&self, class: &'static str) -> Result<Ticket<'_>> {
        let class = self.0.class(class);
        let (entry, change) = class.gate().enter(Instant::now());
        self.0.changed(class, change);
        match entry {
            Entry::Passed(pass) => Ok(Ticket { shared: &self.0, class, pass: Some(pass) }),
            Entry::Refused { wait } => {
                let message = format!("circuit breaker {} is open: the vendor is failing", class.name);
                Err(Error::new(ErrorKind::Transient, message)
                    .with_code("breaker_open")
                    .with_retry_after(wait.unwrap_or(PROBING)))
            }
        }
    }

    /// What the breaker of a class lets through now; one that nobody has entered is closed.
    pub fn state(&self, class: &str) -> BreakerState {
        let found = self.0.all().find(|known| known.name == class);
        found.map_or(BreakerState::Closed, |class| class.gate().state(Instant::now()))
    }

    /// The classes seen so far, and what their breakers let through now.
    pub fn states(&self) -> Vec<(&'static str, BreakerState)> {
        let now = Instant::now();
        self.0.all().map(|class| (class.name, class.gate().state(now))).collect()
    }

    /// Holds the breaker of a class in a state, whatever happens: open for a vendor's maintenance, closed to
    /// overrule it, half open for a few calls at once. `None` lets go: it begins anew, closed and with nothing
    /// counted. A breaker that only measures refuses nothing when it is held open, either.
    pub fn force(&self, class: &'static str, state: Option<BreakerState>) {
        let class = self.0.class(class);
        let change = class.gate().force(Instant::now(), state);
        self.0.changed(class, change);
    }

    /// Whether others hold it, too.
    fn is_held(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }

    /// Calls `hook` with class and new state at each change, until what this returns is dropped.
    ///
    /// That the time of an open breaker is up shows when the next call comes, and is told then. The hook runs
    /// on the request path, outside of all locks: it neither blocks nor panics. Of two changes at the same
    /// moment the later may be told first; [`state`](Self::state) has the last word.
    pub fn on_change(
        &self,
        hook: impl Fn(&'static str, BreakerState) + Send + Sync + 'static,
    ) -> BreakerWatch {
        let hook: Arc<Hook> = Arc::new(hook);
        let mut hooks = self.0.hooks();
        hooks.retain(|hook| hook.strong_count() > 0);
        hooks.push(Arc::downgrade(&hook));
        BreakerWatch { _hook: hook }
    }
}

impl Default for Breakers {
    fn default() -> Self {
        Self::new(BreakerConfig::default())
    }
}

impl fmt::Debug for Breakers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.states()).finish()
    }
}

/// Keeps a hook of [`Breakers::on_change`] alive.
#[must_use = "the hook is called only until this is dropped"]
pub struct BreakerWatch {
    _hook: Arc<Hook>,
}

impl fmt::Debug for BreakerWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BreakerWatch")
    }
}

/// One attempt that a breaker let through.
#[must_use = "a ticket that is dropped untold counts for nothing"]
pub struct Ticket<'a> {
    shared: &'a Shared,
    class: &'a Class,
    /// `None` once it is told.
    pass: Option<Pass>,
}

impl Ticket<'_> {
    /// Whether the breaker is as it was when the ticket was given: after a long wait it may have opened.
    pub fn stands(&self) -> bool {
        self.pass.as_ref().is_some_and(|pass| self.class.gate().knows(*pass))
    }

    /// Says how the attempt went. `failed` says that the vendor is not well: a transient fault or a time-out,
    /// and neither a throttle nor a refusal.
    pub fn tell(mut self, failed: bool) {
        let Some(pass) = self.pass.take() else { return };
        let change = self.class.gate().tell(Instant::now(), pass, failed);
        self.shared.changed(self.class, change);
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        if let Some(pass) = self.pass.take() {
            self.class.gate().untold(pass);
        }
    }
}

impl fmt::Debug for Ticket<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Ticket").field(&self.class.name).finish()
    }
}

impl Shared {
    fn class(&self, name: &'static str) -> &Class {
        let mut link = &self.classes;
        loop {
            let class = link.get_or_init(|| {
                Box::new(Class { name, gate: Mutex::new(Gate::new(self.config)), next: Link::new() })
            });
            if class.name == name {
                return class;
            }
            link = &class.next;
        }
    }

    fn all(&self) -> impl Iterator<Item = &Class> {
        std::iter::successors(self.classes.get(), |class| class.next.get()).map(|class| &**class)
    }

    fn hooks(&self) -> MutexGuard<'_, Vec<Weak<Hook>>> {
        self.hooks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn changed(&self, class: &Class, change: Option<BreakerState>) {
        let Some(state) = change else { return };
        if state == BreakerState::Open {
            tracing::warn!(class = class.name, "circuit breaker opens");
        } else {
            tracing::info!(class = class.name, ?state, "circuit breaker changes");
        }
        // Taken out of the lock before they are called: a hook may ask for more.
        let hooks: Vec<Arc<Hook>> = self.hooks().iter().filter_map(Weak::upgrade).collect();
        for hook in hooks {
            hook(class.name, state);
        }
    }
}

impl Class {
    fn gate(&self) -> MutexGuard<'_, Gate> {
        // The gate is whole between statements: a panic elsewhere cannot leave it half changed.
        self.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

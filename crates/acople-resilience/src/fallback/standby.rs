//! One source of a fallback.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use acople_core::Connector;

type Age = Arc<dyn Fn(&str) -> Option<Duration> + Send + Sync>;

/// A source that answers when those before it cannot.
#[derive(Clone)]
pub struct Standby {
    pub(super) name: String,
    pub(super) connector: Arc<dyn Connector>,
    age: Option<Age>,
    max_age: Option<Duration>,
    pub(super) same_system: bool,
}

impl Standby {
    /// A source, under a name of the host's choice. Names are kept in cursors: they never change.
    pub fn new(name: impl Into<String>, connector: Arc<dyn Connector>) -> Self {
        Self { name: name.into(), connector, age: None, max_age: None, same_system: false }
    }

    /// Says how old the copy of a stream is: the time since the sync that fills it was last complete. It is asked
    /// before each read and answers from memory; `None`: not known.
    pub fn age(mut self, age: impl Fn(&str) -> Option<Duration> + Send + Sync + 'static) -> Self {
        self.age = Some(Arc::new(age));
        self
    }

    /// Reads nothing older than this, nor anything whose [`age`](Self::age) is not known.
    pub fn max_age(mut self, max_age: Duration) -> Self {
        self.max_age = Some(max_age);
        self
    }

    /// Says that this is the primary's own system, reached in another way: its full listings are as complete as
    /// the primary's.
    pub fn same_system(mut self) -> Self {
        self.same_system = true;
        self
    }

    pub(super) fn age_of(&self, stream: &str) -> Option<Duration> {
        self.age.as_ref().and_then(|age| age(stream))
    }

    /// Whether the copy of a stream is older than what is read.
    pub(super) fn is_too_old(&self, stream: &str) -> bool {
        self.max_age.is_some_and(|most| self.age_of(stream).is_none_or(|age| age > most))
    }
}

impl fmt::Debug for Standby {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Standby")
            .field("name", &self.name)
            .field("connector", &self.connector)
            .field("max_age", &self.max_age)
            .finish_non_exhaustive()
    }
}

//! Named look-ups, inline or supplied by the host.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::hash::BuildHasher;
use std::sync::Arc;

/// A look-up that a host supplies: ids of owners, cost centres, tax codes.
///
/// It is called once per value inside the mapping of a page, so it answers from memory: load what
/// it needs beforehand.
pub trait Lookup: Send + Sync + fmt::Debug + 'static {
    /// The value of a key.
    fn get(&self, key: &str) -> Option<Cow<'_, str>>;

    /// The key of a value, for tables that are inverted.
    fn reverse(&self, _value: &str) -> Option<Cow<'_, str>> {
        None
    }

    /// Whether [`reverse`](Self::reverse) works. A table that needs it does not compile otherwise.
    fn is_reversible(&self) -> bool {
        false
    }
}

impl Lookup for BTreeMap<String, String> {
    fn get(&self, key: &str) -> Option<Cow<'_, str>> {
        BTreeMap::get(self, key).map(|value| Cow::Borrowed(value.as_str()))
    }
}

impl<S: BuildHasher + Send + Sync + 'static> Lookup for HashMap<String, String, S> {
    fn get(&self, key: &str) -> Option<Cow<'_, str>> {
        HashMap::get(self, key).map(|value| Cow::Borrowed(value.as_str()))
    }
}

/// The look-ups that a host supplies to its tables, by name.
///
/// ```
/// use std::collections::HashMap;
/// use acople_map::Lookups;
///
/// let owners = HashMap::from([("005A".to_owned(), "12".to_owned())]);
/// let lookups = Lookups::new().with("owners", owners);
/// assert!(lookups.get("owners").is_some());
/// ```
#[derive(Clone, Debug, Default)]
pub struct Lookups(BTreeMap<String, Arc<dyn Lookup>>);

impl Lookups {
    /// None.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a look-up under a name.
    pub fn with(self, name: impl Into<String>, lookup: impl Lookup) -> Self {
        self.with_shared(name, Arc::new(lookup))
    }

    /// Adds a look-up that others use too.
    pub fn with_shared(mut self, name: impl Into<String>, lookup: Arc<dyn Lookup>) -> Self {
        self.0.insert(name.into(), lookup);
        self
    }

    /// The look-up of a name.
    pub fn get(&self, name: &str) -> Option<&Arc<dyn Lookup>> {
        self.0.get(name)
    }
}

/// A look-up written in a table, with its reverse where no two keys share a value.
#[derive(Debug)]
pub(crate) struct Inline {
    forward: BTreeMap<String, String>,
    backward: Option<BTreeMap<String, String>>,
}

impl Inline {
    pub(crate) fn new(forward: &BTreeMap<String, String>) -> Self {
        let backward: BTreeMap<_, _> =
            forward.iter().map(|(key, value)| (value.clone(), key.clone())).collect();
        let unambiguous = backward.len() == forward.len();
        Self { forward: forward.clone(), backward: unambiguous.then_some(backward) }
    }
}

impl Lookup for Inline {
    fn get(&self, key: &str) -> Option<Cow<'_, str>> {
        self.forward.get(key).map(|value| Cow::Borrowed(value.as_str()))
    }

    fn reverse(&self, value: &str) -> Option<Cow<'_, str>> {
        self.backward.as_ref()?.get(value).map(|key| Cow::Borrowed(key.as_str()))
    }

    fn is_reversible(&self) -> bool {
        self.backward.is_some()
    }
}

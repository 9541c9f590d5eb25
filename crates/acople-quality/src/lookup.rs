//! Where the keys of other streams are found.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use acople_core::json::{FieldPath, Projection};
use acople_core::{Connector, Context, Error, ErrorKind, Event, ReadRequest, Result};
use async_trait::async_trait;
use futures_util::StreamExt;

use crate::key::{Keys, key_of_text};

/// Says which keys exist: asked once per batch with the batch's distinct keys, before the batch is checked.
#[async_trait]
pub trait Lookup: Send + Sync + fmt::Debug + 'static {
    /// For each key, whether it exists, in order.
    ///
    /// # Errors
    /// What keeps it from knowing: the run ends with it.
    async fn exist(&self, cx: &Context, keys: &[String]) -> Result<Vec<bool>>;
}

/// The keys of another stream in memory, each as 128 bits of SipHash: about 36 bytes a key.
///
/// ```
/// use acople_quality::KeySet;
///
/// let users = KeySet::from_keys(["005A", "005B"], 1_000)?;
/// assert!(users.contains("005A") && !users.contains("005C"));
/// # Ok::<(), acople_core::Error>(())
/// ```
#[derive(Clone)]
pub struct KeySet(Keys);

impl KeySet {
    /// A set of keys.
    ///
    /// # Errors
    /// [`ErrorKind::TooLarge`] for more than `limit`: a set of some of them would refuse good records.
    pub fn from_keys<K: AsRef<str>>(keys: impl IntoIterator<Item = K>, limit: usize) -> Result<Self> {
        let mut set = Keys::new(limit);
        for key in keys {
            add(&mut set, key.as_ref())?;
        }
        Ok(Self(set))
    }

    /// Reads a field of another stream whole. Numbers and texts of the same digits are one key.
    ///
    /// # Errors
    /// Those of the read; [`ErrorKind::TooLarge`] for more than `limit` keys.
    pub async fn read(
        connector: &dyn Connector,
        cx: &Context,
        stream: &str,
        field: &FieldPath,
        limit: usize,
    ) -> Result<Self> {
        let request = ReadRequest::full(stream).with_fields([field.to_string()]);
        let projection = Projection::new([field.clone()]);
        let mut set = Keys::new(limit);
        let mut events = connector.read(cx, request)?;
        while let Some(event) = events.next().await {
            let Event::Batch(batch) = event? else { continue };
            let batch = batch.unreadable().map_or(batch, |unreadable| unreadable.rest);
            for row in batch.project(&projection).rows() {
                if let Ok(Some(key)) = row.get(0).scalar_text() {
                    add(&mut set, &key)?;
                }
            }
        }
        Ok(Self(set))
    }

    /// Whether the key is there.
    pub fn contains(&self, key: &str) -> bool {
        self.0.contains(key_of_text(key))
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

fn add(set: &mut Keys, key: &str) -> Result<()> {
    let key = key_of_text(key);
    if set.is_full() && !set.contains(key) {
        return Err(Error::new(ErrorKind::TooLarge, "the look-up has more keys than its limit allows"));
    }
    set.remember(key);
    Ok(())
}

impl fmt::Debug for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeySet({} keys)", self.len())
    }
}

/// The look-ups that rules name.
#[derive(Clone, Debug, Default)]
pub struct Lookups(BTreeMap<String, Source>);

#[derive(Clone, Debug)]
pub(crate) enum Source {
    Set(Arc<KeySet>),
    Ask(Arc<dyn Lookup>),
}

impl Lookups {
    /// None.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds keys that are in memory.
    pub fn with(mut self, name: impl Into<String>, keys: KeySet) -> Self {
        self.0.insert(name.into(), Source::Set(Arc::new(keys)));
        self
    }

    /// Adds something that is asked for each batch.
    pub fn with_asked(mut self, name: impl Into<String>, lookup: Arc<dyn Lookup>) -> Self {
        self.0.insert(name.into(), Source::Ask(lookup));
        self
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Source> {
        self.0.get(name)
    }
}

//! The top-level members of a record, for tables that let them pass through.

use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

use acople_core::json::{self, Text, Value};
use acople_core::{ErrorKind, Result};

/// The members of one record, each name once: the last of several counts. The memory is used again
/// for the next record.
#[derive(Default)]
pub(crate) struct Members<'a> {
    /// In the order sent; `None` where a later member has the same name.
    entries: Vec<Option<(Text<'a>, Value<'a>)>>,
    places: HashMap<Name<'a>, usize>,
}

/// A name as it is compared.
#[derive(PartialEq, Eq, Hash)]
enum Name<'a> {
    Decoded(Cow<'a, str>),
    /// With half of a surrogate pair, which only equals the same spelling.
    Spelled(&'a str),
}

impl<'a> Members<'a> {
    /// Reads a record's members in place of those that were there.
    pub(crate) fn read(&mut self, record: &'a str) -> Result<()> {
        self.entries.clear();
        self.places.clear();
        for member in json::members(record) {
            let (name, value) =
                member.map_err(|error| acople_core::Error::from(error).with_kind(ErrorKind::Schema))?;
            let key = name.decode().map_or(Name::Spelled(name.raw()), Name::Decoded);
            match self.places.entry(key) {
                Entry::Vacant(place) => {
                    place.insert(self.entries.len());
                }
                Entry::Occupied(mut place) => {
                    let earlier = place.insert(self.entries.len());
                    if let Some(entry) = self.entries.get_mut(earlier) {
                        *entry = None;
                    }
                }
            }
            self.entries.push(Some((name, value)));
        }
        Ok(())
    }

    /// The members in the order sent.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Text<'a>, Value<'a>)> + '_ {
        self.entries.iter().flatten().copied()
    }
}

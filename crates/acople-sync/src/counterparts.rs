//! The counterparts of a batch's records at the destination, by the identity map.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap, HashSet};

use acople_core::json::{FieldPath, Writer, members};
use acople_core::{
    BatchBuilder, Change, Error, ErrorKind, IdentityMap, Link, Outcome, Pairing, Record, Result, Stream,
    WriteMode,
};

use crate::write::Portion;

/// The links of a sync, as one run uses them.
#[derive(Clone, Debug)]
pub(crate) struct Links<'a> {
    pub(crate) map: &'a dyn IdentityMap,
    pub(crate) pairing: Pairing,
    /// The run that sees the records.
    pub(crate) run: String,
    /// Whether records are noted before they are written: one that a crash leaves at the destination, and that is
    /// gone at the source before the next run, has to be found.
    pub(crate) announce: bool,
    /// How the destination's own id goes into a record, when records are found by their links.
    pub(crate) address: Option<Address>,
}

/// The destination's key field.
#[derive(Clone, Debug)]
pub(crate) struct Address {
    field: String,
    number: bool,
}

impl Address {
    /// The one field of a stream's key.
    ///
    /// # Errors
    /// `Config` when the key is not one field at the top of the record.
    pub(crate) fn of(stream: &Stream) -> Result<Self> {
        let [path] = stream.key.as_slice() else { return Err(no_single_key(stream)) };
        let [field] = path.segments() else { return Err(no_single_key(stream)) };
        let of_type = stream.schema.pointer(&format!("/properties/{field}/type"));
        let number = matches!(of_type.and_then(|t| t.as_str()), Some("integer" | "number"));
        Ok(Self { field: field.to_string(), number })
    }
}

impl Address {
    /// Writes a record with this id in place of any that it has.
    pub(crate) fn write(&self, writer: &mut Writer, id: &str, record: &str) -> Result<()> {
        writer.begin_object();
        writer.key(&self.field);
        if self.number {
            writer.number_text(id);
        } else {
            writer.text(id);
        }
        for member in members(record) {
            let (name, value) = member?;
            if !name.eq_str(&self.field) {
                writer.raw_key(name);
                writer.raw(value.raw());
            }
        }
        writer.end_object();
        Ok(())
    }

    /// The id that a record has.
    pub(crate) fn read(&self, record: Record<'_>) -> Option<String> {
        let path = FieldPath::from_iter([self.field.as_str()]);
        record.get(&path).ok()?.scalar_text().ok()?.map(Cow::into_owned).filter(|id| !id.is_empty())
    }
}

fn no_single_key(stream: &Stream) -> Error {
    let message = format!(
        "stream {} cannot be upserted, and its records cannot be found by an id of one field either",
        stream.name
    );
    Error::config("write", message)
}

/// The links of the records of one batch, before and after it is written.
pub(crate) struct Counterparts<'a> {
    links: Option<&'a Links<'a>>,
    keys: Vec<Option<String>>,
    known: HashMap<String, Link>,
    gone: BTreeSet<String>,
}

impl<'a> Counterparts<'a> {
    /// The links of the records with these keys.
    pub(crate) async fn load(links: Option<&'a Links<'a>>, keys: Vec<Option<String>>) -> Result<Self> {
        let mut known = HashMap::new();
        if let Some(links) = links {
            let ids: Vec<String> =
                keys.iter().flatten().collect::<HashSet<_>>().into_iter().cloned().collect();
            let found = links.map.by_source(&links.pairing, &ids).await?;
            known.extend(found.into_iter().flatten().map(|link| (link.source.clone(), link)));
        }
        Ok(Self { links, keys, known, gone: BTreeSet::new() })
    }

    /// Notes the records of these origins, if the sync has to find them again after a crash.
    pub(crate) async fn announce(&mut self, origins: impl Iterator<Item = usize>) -> Result<()> {
        let Some(links) = self.links.filter(|links| links.announce) else { return Ok(()) };
        let mut new = Vec::new();
        for origin in origins {
            let Some(key) = self.keys.get(origin).and_then(Option::as_ref) else { continue };
            if !self.known.contains_key(key) {
                let link = Link::new(key.clone(), "").with_seen(links.run.as_str());
                self.known.insert(key.clone(), link.clone());
                new.push(link);
            }
        }
        if new.is_empty() { Ok(()) } else { links.map.put(&links.pairing, &new).await }
    }

    /// The record of this origin never came to the destination.
    pub(crate) fn forget(&mut self, origin: usize) {
        if let Some(key) = self.keys.get(origin).cloned().flatten() {
            self.known.remove(&key);
            self.gone.insert(key);
        }
    }

    /// Whether records are found at the destination by their links.
    pub(crate) fn by_link(&self) -> bool {
        self.links.is_some_and(|links| links.address.is_some())
    }

    /// The key of the source's record at an index.
    pub(crate) fn key(&self, origin: usize) -> Option<&str> {
        self.keys.get(origin)?.as_deref()
    }

    /// How the source's record is written: an upsert that the destination does not have is an update of what is
    /// linked, and an insert of what is not.
    pub(crate) fn mode(&self, origin: usize, wanted: WriteMode) -> WriteMode {
        match wanted {
            WriteMode::Upsert if self.by_link() => {
                if self.target(origin).is_some() {
                    WriteMode::Update
                } else {
                    WriteMode::Insert
                }
            }
            wanted => wanted,
        }
    }

    /// The portion with the destination's ids in its records, and the origins of those that have none.
    pub(crate) fn address(&self, portion: Portion) -> Result<(Portion, Vec<usize>)> {
        let Some(address) = self.links.and_then(|links| links.address.as_ref()) else {
            return Ok((portion, Vec::new()));
        };
        let (mut origins, mut unknown) = (Vec::new(), Vec::new());
        let mut builder = BatchBuilder::new(portion.records.stream());
        for (record, origin) in portion.records.iter().zip(portion.origins) {
            let Some(target) = self.target(origin) else {
                unknown.push(origin);
                continue;
            };
            builder.push(record.change(), |writer| {
                let raw = if record.change() == Change::Delete { "{}" } else { record.raw() };
                address.write(writer, target, raw)?;
                Ok(())
            })?;
            origins.push(origin);
        }
        Ok((Portion { records: builder.finish()?, origins, ..portion }, unknown))
    }

    /// The destination has accepted the source's record.
    ///
    /// # Errors
    /// `Internal` when a record that has to be found again was created without a word on its id.
    pub(crate) fn landed(&mut self, origin: usize, mode: WriteMode, outcome: &Outcome) -> Result<()> {
        let Some(key) = self.keys.get(origin).cloned().flatten() else { return Ok(()) };
        if self.links.is_none() {
            return Ok(());
        }
        if mode == WriteMode::Delete {
            self.known.remove(&key);
            self.gone.insert(key);
            return Ok(());
        }
        self.gone.remove(&key);
        let link = self.known.entry(key).or_insert_with_key(|key| Link::new(key.clone(), ""));
        if let Outcome::Accepted { id: Some(id), .. } = outcome {
            link.target.clone_from(id);
        }
        if link.target.is_empty() && self.by_link() {
            let message = "the destination created a record and did not say its id";
            return Err(Error::new(ErrorKind::Internal, message));
        }
        Ok(())
    }

    /// Keeps what was learned, and that the run has seen all of these records.
    pub(crate) async fn keep(self) -> Result<()> {
        let Some(links) = self.links else { return Ok(()) };
        // A replay is no sight of the source: it leaves the run that saw the record.
        let seen = |link: Link| if links.run.is_empty() { link } else { link.with_seen(links.run.as_str()) };
        let seen: Vec<Link> = self.known.into_values().map(seen).collect();
        if !seen.is_empty() {
            links.map.put(&links.pairing, &seen).await?;
        }
        if !self.gone.is_empty() {
            let gone: Vec<String> = self.gone.into_iter().collect();
            links.map.remove(&links.pairing, &gone).await?;
        }
        Ok(())
    }

    fn target(&self, origin: usize) -> Option<&str> {
        let link = self.known.get(self.key(origin)?)?;
        (!link.target.is_empty()).then_some(link.target.as_str())
    }
}

impl Links<'_> {
    /// Notes that the run has seen the records with these keys. Those without a link are not here yet.
    pub(crate) async fn touch(&self, keys: Vec<Option<String>>) -> Result<()> {
        Counterparts::load(Some(self), keys).await?.keep().await
    }
}

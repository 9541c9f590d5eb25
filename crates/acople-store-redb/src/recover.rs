//! Saving what is whole from a damaged file.
//!
//! Every record names itself and carries its checksum, so the file is searched for records and a new
//! file is made of the newest whole one of each key. Pages that redb has freed but not overwritten
//! still hold older generations: they stand in where the newest is destroyed.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use redb::WriteTransaction;

use acople_core::{Error, ErrorKind, Result};

use crate::fault::Fault;
use crate::file::{beside, io_error, newer, replace};
use crate::identity_map;
use crate::record::{self, Kind, MAGIC, MAX_HEADER};
use crate::secrets::Secrets;
use crate::shelf::Shelf;
use crate::tables::{
    FORMAT, META, META_FORMAT, META_RECOVERED, QUARANTINE, QUARANTINE_BY_SYNC, put_meta, state_table,
};
use crate::tokens::Tokens;

/// How much of the file is searched at once, in bytes.
const WINDOW: usize = 1 << 20;
/// Damaged originals that are kept beside one store before a person has to look.
const MAX_KEPT: u32 = 100;

/// Replaces the damaged file by one that is made of its whole records, and keeps the original.
pub(crate) fn rebuild(path: &Path, cache: usize, why: &str) -> Result<()> {
    let found = scan(path).map_err(|e| io_error(path, "cannot be read", &e))?;
    if found.is_empty() {
        return Err(Error::config(
            "path",
            format!(
                "{} is not an acople store, or nothing of it can be read ({why}); \
                 restore it from a backup, or give the store another path",
                path.display()
            ),
        ));
    }
    let format =
        found.get(&(Group::Meta, vec![META_FORMAT.to_owned()])).map_or(FORMAT, |place| place.generation);
    if format != FORMAT {
        return Err(newer(&path.display().to_string(), format));
    }
    let kept = keep(path)?;
    replace(path, cache, |tx| fill(tx, path, &found, &kept))?;
    tracing::warn!(
        store = %path.display(),
        kept = %kept.display(),
        records = found.len(),
        reason = why,
        "store was damaged and has been rebuilt from its whole records; missing states are errors until the losses are accepted"
    );
    Ok(())
}

/// Which records replace each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Group {
    State,
    Token,
    TokenFloor,
    Secret,
    SecretFloor,
    Quarantine,
    Link,
    Meta,
}

impl Group {
    fn of(kind: Kind) -> Self {
        match kind {
            Kind::State | Kind::StateRemoved => Self::State,
            Kind::Token => Self::Token,
            Kind::TokenFloor | Kind::TokenRemoved => Self::TokenFloor,
            Kind::Secret => Self::Secret,
            Kind::SecretFloor | Kind::SecretRemoved => Self::SecretFloor,
            Kind::Quarantine => Self::Quarantine,
            Kind::Link => Self::Link,
            Kind::Meta => Self::Meta,
        }
    }
}

/// Where the newest whole record of a key is.
#[derive(Clone, Copy, Debug)]
struct Place {
    kind: Kind,
    generation: u64,
    offset: u64,
    length: usize,
}

type Found = BTreeMap<(Group, Vec<String>), Place>;

fn scan(path: &Path) -> io::Result<Found> {
    let mut file = File::open(path)?;
    let size = file.metadata()?.len();
    let mut found = Found::new();
    let mut at = 0;
    while at < size {
        let window = read_at(&mut file, at, WINDOW)?;
        let hit = window.windows(MAGIC.len()).position(|bytes| bytes == MAGIC);
        let Some(hit) = hit else {
            // A mark may straddle the windows' border.
            at += window.len().saturating_sub(MAGIC.len() - 1).max(1) as u64;
            continue;
        };
        let offset = at + hit as u64;
        // Past a whole record, so that what its payload holds is never taken for a record.
        at = offset + add(&mut found, &mut file, offset, size)?.unwrap_or(1);
    }
    Ok(found)
}

/// Notes the record at `offset` if it is whole, and gives its length.
fn add(found: &mut Found, file: &mut File, offset: u64, size: u64) -> io::Result<Option<u64>> {
    let start = read_at(file, offset, MAX_HEADER)?;
    let Some(length) = record::extent(&start).filter(|length| *length as u64 <= size - offset) else {
        return Ok(None);
    };
    let bytes = read_at(file, offset, length)?;
    let Some(record) = record::decode(&bytes) else {
        return Ok(None);
    };
    let place = Place { kind: record.kind, generation: record.generation, offset, length };
    match found.entry((Group::of(record.kind), record.key.iter().map(ToString::to_string).collect())) {
        Entry::Vacant(entry) => {
            entry.insert(place);
        }
        Entry::Occupied(mut entry) if entry.get().generation <= place.generation => {
            entry.insert(place);
        }
        Entry::Occupied(_) => {}
    }
    Ok(Some(length as u64))
}

/// Up to `length` bytes; fewer at the end of the file.
fn read_at(file: &mut File, offset: u64, length: usize) -> io::Result<Vec<u8>> {
    file.seek(SeekFrom::Start(offset))?;
    let mut bytes = Vec::with_capacity(length.min(WINDOW));
    file.take(length as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Copies the damaged original to a name that is still free.
fn keep(path: &Path) -> Result<PathBuf> {
    for number in 1..=MAX_KEPT {
        let kept = beside(path, &format!(".damaged-{number}"));
        let target = match File::options().write(true).create_new(true).open(&kept) {
            Ok(target) => target,
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => continue,
            Err(e) => return Err(io_error(&kept, "cannot be made", &e)),
        };
        fs::copy(path, &kept)
            .and_then(|_| target.sync_all())
            .map_err(|e| io_error(&kept, "cannot be written", &e))?;
        return Ok(kept);
    }
    Err(Error::new(
        ErrorKind::Internal,
        format!(
            "store {} was damaged {MAX_KEPT} times: check the disk, then remove the .damaged files",
            path.display()
        ),
    ))
}

fn fill(tx: &WriteTransaction, path: &Path, found: &Found, kept: &Path) -> Result<(), Fault> {
    let mut file = File::open(path).map_err(|e| io_error(path, "cannot be read", &e))?;
    for ((group, key), place) in found {
        let key: Vec<&str> = key.iter().map(String::as_str).collect();
        let bytes = read_at(&mut file, place.offset, place.length)
            .map_err(|e| io_error(path, "cannot be read", &e))?;
        match (group, key.as_slice()) {
            (Group::State, [tenant, sync, stream, partition]) => {
                tx.open_table(state_table(place.generation))?
                    .insert((*sync, *tenant, *stream, *partition), bytes.as_slice())?;
            }
            (Group::Token, key) => {
                fill_text::<Tokens>(tx, key, place, other(found, Group::TokenFloor, key), &bytes)?;
            }
            (Group::Secret, key) => {
                fill_text::<Secrets>(tx, key, place, other(found, Group::SecretFloor, key), &bytes)?;
            }
            (Group::TokenFloor, key) => {
                fill_floor::<Tokens>(tx, key, place, other(found, Group::Token, key), &bytes)?;
            }
            (Group::SecretFloor, key) => {
                fill_floor::<Secrets>(tx, key, place, other(found, Group::Secret, key), &bytes)?;
            }
            (Group::Quarantine, [id, sync, _]) => {
                tx.open_table(QUARANTINE)?.insert(*id, bytes.as_slice())?;
                tx.open_table(QUARANTINE_BY_SYNC)?.insert((*sync, *id), ())?;
            }
            (Group::Link, _) => identity_map::restore(tx, &key, place.generation, &bytes)?,
            (Group::Meta, [name]) if *name != META_FORMAT && *name != META_RECOVERED => {
                tx.open_table(META)?.insert(*name, bytes.as_slice())?;
            }
            _ => {}
        }
    }
    put_meta(tx, META_RECOVERED, 1, kept.display().to_string().as_bytes())
}

/// What was found of a key in another group.
fn other<'a>(found: &'a Found, group: Group, key: &[&str]) -> Option<&'a Place> {
    found.get(&(group, key.iter().map(ToString::to_string).collect()))
}

fn fill_text<S: Shelf>(
    tx: &WriteTransaction,
    key: &[&str],
    place: &Place,
    floor: Option<&Place>,
    bytes: &[u8],
) -> Result<(), Fault> {
    if floor.is_some_and(|floor| floor.kind == S::REMOVED && floor.generation > place.generation) {
        return Ok(());
    }
    let Some(name) = S::from_parts(key) else { return Ok(()) };
    tx.open_table(S::TEXTS)?.insert(S::row(&name), bytes)?;
    // The floor follows the text that is left, or it could not be used.
    let floor = record::encode(S::FLOOR, place.generation, key, &[])?;
    tx.open_table(S::FLOORS)?.insert(S::row(&name), floor.as_slice())?;
    Ok(())
}

fn fill_floor<S: Shelf>(
    tx: &WriteTransaction,
    key: &[&str],
    place: &Place,
    text: Option<&Place>,
    bytes: &[u8],
) -> Result<(), Fault> {
    let removed = place.kind == S::REMOVED;
    if text.is_some_and(|text| !removed || text.generation >= place.generation) {
        return Ok(());
    }
    let Some(name) = S::from_parts(key) else { return Ok(()) };
    // Without its text, a floor makes loading it an error: it is lost, not absent.
    tx.open_table(S::FLOORS)?.insert(S::row(&name), bytes)?;
    Ok(())
}

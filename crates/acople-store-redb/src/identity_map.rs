//! Links between records of two systems: by source id, with an index by target id.

use std::collections::HashSet;
use std::ops::{Bound, ControlFlow};

use async_trait::async_trait;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use redb::{ReadTransaction, ReadableTable, TableDefinition, TableError, WriteTransaction};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use acople_core::{Error, ErrorKind, IdentityMap, LINK_NOTE_LIMIT, Link, Pairing, Result};
use acople_seal::{FreshKey, MasterKey, Place, Sealer, key_id};

use crate::RedbStore;
use crate::fault::Fault;
use crate::quarantine::{PLAIN, SEALED};
use crate::record::{self, Kind, Record, check_key};
use crate::rewrap::{AT_ONCE, Rewrap, charge};
use crate::store::Inner;

/// Row: the pairing as one text, and the source id.
const LINKS: TableDefinition<'static, (&str, &str), &[u8]> = TableDefinition::new("acople.links");

/// Row: the pairing as one text, and the target id. Value: the source id.
const LINKS_BY_TARGET: TableDefinition<'static, (&str, &str), &str> =
    TableDefinition::new("acople.links_by_target");

/// Bytes of links that one page of a scan holds, but for its last link.
const PAGE_BYTES: usize = 8 << 20;

/// Rows that one step of a rewrap looks at.
const ROWS: usize = 64;

#[async_trait]
impl IdentityMap for RedbStore {
    async fn put(&self, pairing: &Pairing, links: &[Link]) -> Result<()> {
        if links.is_empty() {
            return Ok(());
        }
        for link in links {
            if link.note.len() > LINK_NOTE_LIMIT {
                let message = format!("a link's note is longer than {LINK_NOTE_LIMIT} bytes");
                return Err(Error::new(ErrorKind::TooLarge, message));
            }
            check_key(&key(pairing, link))?;
        }
        // Of several with one source the last one counts; only that one is sealed.
        let mut seen = HashSet::new();
        let mut links: Vec<_> =
            links.iter().rev().filter(|link| seen.insert(link.source.as_str())).cloned().collect();
        links.reverse();
        let keys = fresh_keys(&self.0.sealer(), pairing, &links).await?;
        let pairing = pairing.clone();
        self.write(move |inner, tx| {
            if let Some(master) = keys.first().and_then(|key| key.as_ref()?.master()) {
                charge(tx, inner, master, links.len() as u64)?;
            }
            let name = name(&pairing);
            links.iter().zip(keys).try_for_each(|(link, fresh)| put(tx, &pairing, &name, link, fresh))
        })
        .await
    }

    async fn by_source(&self, pairing: &Pairing, ids: &[String]) -> Result<Vec<Option<Link>>> {
        let (name, ids) = (name(pairing), ids.to_vec());
        let rows = self.read(move |_, tx| {
            let Some(table) = open(tx, LINKS)? else { return Ok(vec![None; ids.len()]) };
            ids.iter().map(|id| find(&table, &name, id)).collect()
        });
        read_all(&self.0, rows.await?).await
    }

    async fn by_target(&self, pairing: &Pairing, ids: &[String]) -> Result<Vec<Option<Link>>> {
        let (name, wanted) = (name(pairing), ids.to_vec());
        let rows = self.read(move |_, tx| {
            let (Some(table), Some(index)) = (open(tx, LINKS)?, open(tx, LINKS_BY_TARGET)?) else {
                return Ok(vec![None; wanted.len()]);
            };
            let find = |id: &String| match index.get((name.as_str(), id.as_str()))? {
                Some(source) => find(&table, &name, source.value()),
                None => Ok(None),
            };
            wanted.iter().map(find).collect()
        });
        let links = read_all(&self.0, rows.await?).await?;
        // After a repair the index may name a source that has another target by now.
        Ok(links.into_iter().zip(ids).map(|(link, id)| link.filter(|link| link.target == *id)).collect())
    }

    async fn scan(&self, pairing: &Pairing, after: Option<&str>, limit: usize) -> Result<Vec<Link>> {
        let (name, after) = (name(pairing), after.map(str::to_owned));
        let rows = self.read(move |_, tx| {
            let Some(table) = open(tx, LINKS)? else { return Ok(Vec::new()) };
            let from = match after.as_deref() {
                Some(after) => Bound::Excluded((name.as_str(), after)),
                None => Bound::Included((name.as_str(), "")),
            };
            let (mut rows, mut bytes) = (Vec::new(), 0);
            for entry in table.range::<(&str, &str)>((from, Bound::Unbounded))?.take(limit) {
                let (row, value) = entry?;
                let (of, source) = row.value();
                if of != name || bytes > PAGE_BYTES {
                    break;
                }
                bytes += value.value().len();
                rows.push(Some((source.to_owned(), value.value().to_vec())));
            }
            Ok(rows)
        });
        Ok(read_all(&self.0, rows.await?).await?.into_iter().flatten().collect())
    }

    async fn remove(&self, pairing: &Pairing, sources: &[String]) -> Result<()> {
        let (name, sources) = (name(pairing), sources.to_vec());
        self.write(move |_, tx| sources.iter().try_for_each(|source| forget(tx, &name, source))).await
    }
}

/// Puts back a link that was found in a damaged file, unless a newer one of its source is there.
pub(crate) fn restore(
    tx: &WriteTransaction,
    key: &[&str],
    generation: u64,
    bytes: &[u8],
) -> Result<(), Fault> {
    let [pairing @ .., source, target] = key else { return Ok(()) };
    let name = joined(pairing);
    let mut table = tx.open_table(LINKS)?;
    let known = table.get((name.as_str(), *source))?.and_then(|row| Some(whole(row.value())?.generation));
    if known.is_some_and(|known| known > generation) {
        return Ok(());
    }
    table.insert((name.as_str(), *source), bytes)?;
    if !target.is_empty() {
        tx.open_table(LINKS_BY_TARGET)?.insert((name.as_str(), *target), *source)?;
    }
    Ok(())
}

impl RedbStore {
    /// One step of a rewrap through the links; gives the last row looked at, `None` at the end.
    pub(crate) async fn rewrap_links(
        &self,
        report: &mut Rewrap,
        after: Option<(String, String)>,
    ) -> Result<Option<(String, String)>> {
        let sealer = self.0.required_sealer()?;
        let rows = self.read(move |_, tx| {
            let Some(table) = open(tx, LINKS)? else { return Ok(Vec::new()) };
            let from = after
                .as_ref()
                .map_or(Bound::Unbounded, |(name, id)| Bound::Excluded((name.as_str(), id.as_str())));
            let mut rows = Vec::new();
            for entry in table.range::<(&str, &str)>((from, Bound::Unbounded))?.take(ROWS) {
                let (row, bytes) = entry?;
                let (name, id) = row.value();
                rows.push(((name.to_owned(), id.to_owned()), bytes.value().to_vec()));
            }
            Ok(rows)
        });
        let rows = rows.await?;
        let last = rows.last().map(|(row, _)| row.clone());
        let mut ready = Vec::new();
        for (row, bytes) in rows {
            let id = row.1.as_str();
            match whole(&bytes) {
                None => report.fail(damaged(&self.0, id, "it is damaged")),
                Some(record) if is_current(&sealer, &record) => report.current += 1,
                Some(record) => match renew(&self.0, &sealer, id, &record).await {
                    Ok((renewed, master)) => ready.push((row, bytes, renewed, master)),
                    Err(error) => report.fail(error),
                },
            }
        }
        let (done, current) = self
            .write(move |inner, tx| {
                let (mut done, mut current) = (0, 0);
                let mut table = tx.open_table(LINKS)?;
                for ((name, id), bytes, renewed, master) in ready {
                    // Written or removed meanwhile, or by an earlier step.
                    if table.get((name.as_str(), id.as_str()))?.is_none_or(|now| now.value() != bytes) {
                        current += 1;
                        continue;
                    }
                    if let Some(master) = &master {
                        charge(tx, inner, master, 1)?;
                    }
                    table.insert((name.as_str(), id.as_str()), renewed.as_slice())?;
                    done += 1;
                }
                Ok((done, current))
            })
            .await?;
        report.done += done;
        report.current += current;
        Ok(last)
    }
}

/// Tells of each link that is sealed: the id of its key, its sync and its source.
pub(crate) fn for_each_sealed(
    tx: &ReadTransaction,
    visit: &mut dyn FnMut(&str, &str, &str) -> ControlFlow<()>,
) -> Result<(), Fault> {
    let Some(table) = open(tx, LINKS)? else { return Ok(()) };
    for entry in table.iter()? {
        let (_, bytes) = entry?;
        let Some(record) = whole(bytes.value()) else { continue };
        if let Some((&SEALED, sealed)) = record.payload.split_first()
            && let Some(key) = key_id(sealed)
            && let [_, sync, .., source, _] = record.key.as_slice()
            && visit(key, sync, source).is_break()
        {
            break;
        }
    }
    Ok(())
}

/// What a link holds besides its two ids.
#[derive(Serialize, Deserialize)]
struct Content {
    seen: String,
    #[serde(default)]
    note: String,
}

fn put(
    tx: &WriteTransaction,
    pairing: &Pairing,
    name: &str,
    link: &Link,
    fresh: Option<FreshKey>,
) -> Result<(), Fault> {
    let before = forget_for(tx, name, link)?;
    let key = key(pairing, link);
    let content = Content { seen: link.seen.clone(), note: link.note.clone() };
    let json = serde_json::to_vec(&content)
        .map_err(|e| Error::new(ErrorKind::Internal, format!("link cannot be written: {e}")))?;
    let json = Zeroizing::new(json);
    let payload = match fresh {
        Some(fresh) => [&[SEALED], fresh.seal(&place(&key), json)?.as_slice()].concat(),
        None => [&[PLAIN], json.as_slice()].concat(),
    };
    // Of two links of one source in a damaged file the later one is known by its number.
    let bytes = record::encode(Kind::Link, before.map_or(0, |n| n.saturating_add(1)), &key, &payload)?;
    tx.open_table(LINKS)?.insert((name, link.source.as_str()), bytes.as_slice())?;
    if !link.target.is_empty() {
        tx.open_table(LINKS_BY_TARGET)?.insert((name, link.target.as_str()), link.source.as_str())?;
    }
    Ok(())
}

/// A key for each link; none when nothing seals.
async fn fresh_keys(sealer: &Sealer, pairing: &Pairing, links: &[Link]) -> Result<Vec<Option<FreshKey>>> {
    if !sealer.seals() {
        return Ok(links.iter().map(|_| None).collect());
    }
    let keys: Vec<_> = links.iter().map(|link| fresh_key(sealer, pairing, link)).collect();
    stream::iter(keys).buffered(AT_ONCE).try_collect().await
}

async fn fresh_key(sealer: &Sealer, pairing: &Pairing, link: &Link) -> Result<Option<FreshKey>> {
    sealer.fresh_key(&place(&key(pairing, link))).await.map(Some)
}

fn is_current(sealer: &Sealer, record: &Record<'_>) -> bool {
    matches!(record.payload.split_first(), Some((&SEALED, sealed)) if !sealer.needs_rewrap(sealed))
}

/// The bytes of the link sealed anew, and the master key whose use is to be counted.
async fn renew(
    inner: &Inner,
    sealer: &Sealer,
    id: &str,
    record: &Record<'_>,
) -> Result<(Vec<u8>, Option<MasterKey>)> {
    let text = content(inner, sealer, id, record).await?;
    let fresh = sealer.fresh_key(&place(&record.key)).await?;
    let master = fresh.master().cloned();
    let payload = [&[SEALED], fresh.seal(&place(&record.key), text)?.as_slice()].concat();
    Ok((record::encode(Kind::Link, record.generation, &record.key, &payload)?, master))
}

/// Forgets what a new link replaces, and gives the number of the one with its source.
fn forget_for(tx: &WriteTransaction, name: &str, link: &Link) -> Result<Option<u64>, Fault> {
    let rival = tx
        .open_table(LINKS_BY_TARGET)?
        .get((name, link.target.as_str()))?
        .map(|source| source.value().to_owned())
        .filter(|source| *source != link.source);
    if let Some(rival) = rival {
        forget(tx, name, &rival)?;
    }
    let before = tx
        .open_table(LINKS)?
        .get((name, link.source.as_str()))?
        .and_then(|row| Some(whole(row.value())?.generation));
    forget(tx, name, &link.source)?;
    Ok(before)
}

fn forget(tx: &WriteTransaction, name: &str, source: &str) -> Result<(), Fault> {
    let mut table = tx.open_table(LINKS)?;
    let Some(bytes) = table.remove((name, source))? else { return Ok(()) };
    let mut index = tx.open_table(LINKS_BY_TARGET)?;
    if let Some(record) = whole(bytes.value()) {
        if let Some(target) = record.key.last().filter(|target| !target.is_empty()) {
            index.remove((name, *target))?;
        }
    } else {
        // Damaged: its target is not known.
        index.retain(|(of, _), other| of != name || other != source)?;
    }
    Ok(())
}

/// A row as it is in the file: the source's id, and the record.
type Raw = Option<(String, Vec<u8>)>;

fn find(
    table: &impl ReadableTable<(&'static str, &'static str), &'static [u8]>,
    name: &str,
    id: &str,
) -> Result<Raw, Fault> {
    Ok(table.get((name, id))?.map(|bytes| (id.to_owned(), bytes.value().to_vec())))
}

async fn read_all(inner: &Inner, rows: Vec<Raw>) -> Result<Vec<Option<Link>>> {
    let sealer = inner.sealer();
    let opened: Vec<_> = rows.iter().map(|row| read(inner, &sealer, row.as_ref())).collect();
    stream::iter(opened).buffered(AT_ONCE).try_collect().await
}

async fn read(inner: &Inner, sealer: &Sealer, row: Option<&(String, Vec<u8>)>) -> Result<Option<Link>> {
    let Some((id, bytes)) = row else { return Ok(None) };
    let record = whole(bytes).ok_or_else(|| damaged(inner, id, "it is damaged"))?;
    let [.., source, target] = record.key.as_slice() else {
        return Err(damaged(inner, id, "its ids are not there"));
    };
    if *source != id {
        return Err(damaged(inner, id, "it is another one's"));
    }
    let json = content(inner, sealer, id, &record).await?;
    let content: Content =
        serde_json::from_slice(&json).map_err(|_| damaged(inner, id, "its content is not understood"))?;
    Ok(Some(Link::new(*source, *target).with_seen(content.seen).with_note(content.note)))
}

async fn content(
    inner: &Inner,
    sealer: &Sealer,
    id: &str,
    record: &Record<'_>,
) -> Result<Zeroizing<Vec<u8>>> {
    match record.payload.split_first() {
        Some((&PLAIN, json)) => Ok(Zeroizing::new(json.to_vec())),
        Some((&SEALED, sealed)) => {
            let text = sealer.open(&place(&record.key), sealed).await;
            text.map_err(|e| damaged(inner, id, e.message()).with_kind(e.kind()))
        }
        _ => Err(damaged(inner, id, "its content is not understood")),
    }
}

fn whole(bytes: &[u8]) -> Option<Record<'_>> {
    record::decode(bytes).filter(|record| record.kind == Kind::Link)
}

fn place<'a>(key: &'a [&'a str]) -> Place<'a> {
    Place { kind: "link", key, generation: 0 }
}

fn parts(pairing: &Pairing) -> [&str; 6] {
    let (source, target) = (&pairing.source, &pairing.target);
    [&pairing.tenant, &pairing.sync, &source.vendor, &source.stream, &target.vendor, &target.stream]
}

/// The key of a link's record.
fn key<'a>(pairing: &'a Pairing, link: &'a Link) -> Vec<&'a str> {
    let ids = [link.source.as_str(), link.target.as_str()];
    parts(pairing).into_iter().chain(ids).collect()
}

/// The pairing as one text: each part with its length, so that no two pairings share one.
fn name(pairing: &Pairing) -> String {
    joined(&parts(pairing))
}

fn joined(parts: &[&str]) -> String {
    let mut name = String::new();
    for part in parts {
        name.push_str(&part.len().to_string());
        name.push(':');
        name.push_str(part);
    }
    name
}

/// A table of a file from before there were links is not there until the first is written.
fn open<K: redb::Key + 'static, V: redb::Value + 'static>(
    tx: &ReadTransaction,
    table: TableDefinition<'_, K, V>,
) -> Result<Option<redb::ReadOnlyTable<K, V>>, Fault> {
    match tx.open_table(table) {
        Ok(table) => Ok(Some(table)),
        Err(TableError::TableDoesNotExist(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn damaged(inner: &Inner, id: &str, why: &str) -> Error {
    Error::new(ErrorKind::Internal, format!("a link in store {} cannot be read: {why}", inner.name))
        .with_record(id)
}

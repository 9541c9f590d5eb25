//! A disk in memory that can be full, fail to sync, lose power and keep only some of what was not synced.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use redb::{Database, StorageBackend};

use acople_core::Result;
use acople_store_redb::{RedbStore, RedbStoreBuilder};

/// Cheap to clone: clones are the same disk.
#[derive(Clone, Debug, Default)]
pub(crate) struct Disk(Arc<Mutex<Content>>);

#[derive(Debug, Default)]
struct Content {
    /// What a reader sees.
    seen: Vec<u8>,
    /// What survives a power cut for sure.
    synced: Vec<u8>,
    /// What may survive.
    pending: Vec<Change>,
    full: bool,
    sync_fails: bool,
    /// Writes and syncs until the power goes.
    power: Option<u64>,
}

#[derive(Clone, Debug)]
enum Change {
    Write(usize, Vec<u8>),
    Length(usize),
}

impl Disk {
    /// Opens a store on the disk.
    pub(crate) async fn open(&self, builder: RedbStoreBuilder) -> Result<RedbStore> {
        let disk = self.clone();
        builder.open_storage("test disk", move || Ok(disk.clone())).await
    }

    /// The disk's content as a redb database.
    pub(crate) fn raw(&self) -> Database {
        Database::builder().create_with_backend(self.clone()).unwrap()
    }

    /// Whether writes that need room fail.
    pub(crate) fn set_full(&self, full: bool) {
        self.content().full = full;
    }

    /// Whether syncs fail.
    pub(crate) fn set_sync_fails(&self, fails: bool) {
        self.content().sync_fails = fails;
    }

    /// Cuts the power after so many writes and syncs.
    pub(crate) fn cut_power_after(&self, operations: u64) {
        self.content().power = Some(operations);
    }

    /// The disk after the power is back: what was synced, and of the rest what `seed` decides, some of
    /// it torn.
    pub(crate) fn after_power_cut(&self, seed: u64) -> Disk {
        let content = self.content();
        let mut random = Random(seed);
        let mut kept = content.synced.clone();
        for change in &content.pending {
            match (random.below(4), change) {
                (0, _) => {}
                (1, Change::Write(offset, data)) => {
                    let sectors = data.len().div_ceil(512) as u64;
                    let torn = usize::try_from(random.below(sectors + 1)).unwrap() * 512;
                    apply(&mut kept, &Change::Write(*offset, data[..torn.min(data.len())].to_vec()));
                }
                (_, change) => apply(&mut kept, change),
            }
        }
        Disk(Arc::new(Mutex::new(Content { seen: kept.clone(), synced: kept, ..Content::default() })))
    }

    fn content(&self) -> MutexGuard<'_, Content> {
        self.0.lock().unwrap()
    }
}

impl Content {
    fn spend(&mut self) -> io::Result<()> {
        match &mut self.power {
            Some(0) => Err(io::Error::other("no power")),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn change(&mut self, change: Change) -> io::Result<()> {
        self.spend()?;
        if self.full {
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        apply(&mut self.seen, &change);
        self.pending.push(change);
        Ok(())
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.content().seen.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let content = self.content();
        let offset = usize::try_from(offset).unwrap();
        let bytes = content.seen.get(offset..offset + out.len());
        out.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.content().change(Change::Length(usize::try_from(len).unwrap()))
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut content = self.content();
        content.spend()?;
        if content.sync_fails {
            return Err(io::Error::other("sync failed"));
        }
        let Content { seen, synced, .. } = &mut *content;
        synced.clone_from(seen);
        content.pending.clear();
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.content().change(Change::Write(usize::try_from(offset).unwrap(), data.to_vec()))
    }
}

/// A small generator: the same numbers in each run.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        // SplitMix64, from Steele, Lea and Flood, "Fast splittable pseudorandom number generators".
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}

fn apply(bytes: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Length(len) => bytes.resize(*len, 0),
        Change::Write(offset, data) => {
            let end = offset + data.len();
            if bytes.len() < end {
                bytes.resize(end, 0);
            }
            bytes[*offset..end].copy_from_slice(data);
        }
    }
}

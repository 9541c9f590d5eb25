//! The file through redb's own API: what an attacker or a broken disk could leave there.

use redb::{Database, ReadableDatabase, TableDefinition};

use aws_lc_rs::digest::{SHA256, digest};

pub(crate) const META: TableDefinition<'static, &str, &[u8]> = TableDefinition::new("acople.meta");
pub(crate) const EVEN: TableDefinition<'static, (&str, &str, &str, &str), &[u8]> =
    TableDefinition::new("acople.states.even");
pub(crate) const ODD: TableDefinition<'static, (&str, &str, &str, &str), &[u8]> =
    TableDefinition::new("acople.states.odd");
pub(crate) const TOKENS: TableDefinition<'static, (&str, &str, &str), &[u8]> =
    TableDefinition::new("acople.tokens");
pub(crate) const QUARANTINE: TableDefinition<'static, &str, &[u8]> =
    TableDefinition::new("acople.quarantine");

const CHECKSUM: usize = 32;

/// Reads the row of a key.
pub(crate) fn get<K: redb::Key + 'static>(
    db: &Database,
    table: TableDefinition<'static, K, &'static [u8]>,
    key: K::SelfType<'_>,
) -> Vec<u8> {
    let tx = db.begin_read().unwrap();
    tx.open_table(table).unwrap().get(key).unwrap().expect("the row is there").value().to_vec()
}

/// Writes the row of a key.
pub(crate) fn set<K: redb::Key + 'static>(
    db: &Database,
    table: TableDefinition<'static, K, &'static [u8]>,
    key: K::SelfType<'_>,
    bytes: &[u8],
) {
    let tx = db.begin_write().unwrap();
    tx.open_table(table).unwrap().insert(key, bytes).unwrap();
    tx.commit().unwrap();
}

/// A record taken apart by the documented layout: head (mark, kind, generation, key) and payload.
pub(crate) fn split(record: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let mut at = 8 + 1 + 8;
    let parts = record[at];
    at += 1;
    for _ in 0..parts {
        at += 4 + length(&record[at..]);
    }
    let payload = at + 4;
    assert_eq!(payload + length(&record[at..]) + CHECKSUM, record.len());
    (record[..at].to_vec(), record[payload..record.len() - CHECKSUM].to_vec())
}

/// The record with that head and payload, and a checksum that is right.
pub(crate) fn join(head: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut record = head.to_vec();
    record.extend(u32::try_from(payload.len()).unwrap().to_be_bytes());
    record.extend(payload);
    let sum = digest(&SHA256, &record);
    record.extend(sum.as_ref());
    record
}

/// The same record at another generation.
pub(crate) fn at_generation(record: &[u8], generation: u64) -> Vec<u8> {
    let (mut head, payload) = split(record);
    head[9..17].copy_from_slice(&generation.to_be_bytes());
    join(&head, &payload)
}

fn length(bytes: &[u8]) -> usize {
    u32::from_be_bytes(bytes[..4].try_into().unwrap()) as usize
}

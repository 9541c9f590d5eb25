//! Refused records: by id, with an index by sync, sealed when the store has a master key.

use async_trait::async_trait;
use redis::cmd;
use zeroize::Zeroizing;

use acople_core::{Error, ErrorKind, QuarantineStore, Quarantined, Result};
use acople_seal::Place;

use crate::RedisStore;
use crate::names::{key, member, parts, single};
use crate::store::Inner;

/// Records that one script writes.
const RECORDS: usize = 128;

/// First byte of a payload whose rest is JSON.
const PLAIN: u8 = 0;
/// First byte of a payload whose rest is the record's place and, behind its length, sealed JSON.
const SEALED: u8 = 1;

#[async_trait]
impl QuarantineStore for RedisStore {
    async fn put(&self, records: &[Quarantined]) -> Result<()> {
        let inner = &*self.0;
        for part in records.chunks(RECORDS) {
            let mut arguments = vec![key(&inner.prefix, "quarantined", b"")];
            for record in part {
                arguments.push(record.id.as_bytes().to_vec());
                arguments.push(record.key.sync.as_bytes().to_vec());
                arguments.push(inner.payload(record).await?);
            }
            inner.change_quarantine(&inner.scripts.quarantine, &arguments).await?;
        }
        Ok(())
    }

    async fn list(&self, sync: Option<&str>, after: Option<&str>, limit: usize) -> Result<Vec<Quarantined>> {
        let inner = &*self.0;
        if limit == 0 {
            return Ok(Vec::new());
        }
        let mut records = Vec::new();
        for (id, payload) in inner.page(sync, after.map(str::as_bytes), limit).await? {
            let id = String::from_utf8(id).map_err(|_| inner.connection.not_understood())?;
            let json = inner.open_payload(&id, &payload).await?;
            records.push(
                serde_json::from_slice(&json).map_err(|_| damaged(inner, &id, "it is not understood"))?,
            );
        }
        Ok(records)
    }

    async fn remove(&self, ids: &[String]) -> Result<()> {
        let inner = &*self.0;
        for part in ids.chunks(RECORDS) {
            let mut arguments = vec![key(&inner.prefix, "quarantined", b"")];
            arguments.extend(part.iter().map(|id| id.as_bytes().to_vec()));
            inner.change_quarantine(&inner.scripts.forget_quarantined, &arguments).await?;
        }
        Ok(())
    }

    async fn count(&self, sync: Option<&str>) -> Result<u64> {
        self.0.connection.command(cmd("ZCARD").arg(self.0.ids(sync))).await
    }
}

impl Inner {
    /// Ids and payloads of a sync, or of all, after an id.
    pub(crate) async fn page(
        &self,
        sync: Option<&str>,
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
        let from = after.map_or_else(|| b"-".to_vec(), |after| [b"(", after].concat());
        let limit = i64::try_from(limit).unwrap_or(i64::MAX).to_string();
        let records = single(&self.prefix, "quarantine");
        self.connection
            .run(&self.scripts.quarantined, &[&self.ids(sync), &records], &[&from, limit.as_bytes()])
            .await
    }

    /// The record as it is stored.
    async fn payload(&self, record: &Quarantined) -> Result<Vec<u8>> {
        let json = serde_json::to_vec(record).map(Zeroizing::new).map_err(|e| {
            Error::new(ErrorKind::Invalid, format!("record cannot be quarantined: {e}"))
                .with_record(&record.id)
        })?;
        let parts = [record.id.as_str(), record.key.sync.as_str(), record.key.tenant.as_str()];
        self.seal_payload(&parts, json).await
    }

    /// `parts`: id, sync, tenant.
    pub(crate) async fn seal_payload(&self, parts: &[&str; 3], json: Zeroizing<Vec<u8>>) -> Result<Vec<u8>> {
        let place_of = member(parts)?;
        if !self.sealer.seals() {
            return Ok([&[PLAIN], json.as_slice()].concat());
        }
        let sealed = self.seal(&place(parts), json).await?;
        let length = u32::try_from(place_of.len()).unwrap_or(u32::MAX).to_be_bytes();
        Ok([&[SEALED], length.as_slice(), &place_of, &sealed].concat())
    }

    pub(crate) async fn open_payload(&self, id: &str, payload: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        match (payload.split_first(), sealed_part(payload)) {
            (Some((&PLAIN, json)), _) => Ok(Zeroizing::new(json.to_vec())),
            (_, Some((parts, sealed))) => {
                let key = parts.each_ref().map(String::as_str);
                if key.first() != Some(&id) {
                    return Err(damaged(self, id, "it is another record"));
                }
                let opened = self.sealer.open(&place(&key), sealed).await;
                opened.map_err(|e| damaged(self, id, e.message()).with_kind(e.kind()))
            }
            _ => Err(damaged(self, id, "it is damaged")),
        }
    }

    async fn change_quarantine(&self, script: &redis::Script, arguments: &[Vec<u8>]) -> Result<()> {
        let (records, syncs) = (single(&self.prefix, "quarantine"), single(&self.prefix, "quarantine-syncs"));
        let arguments: Vec<&[u8]> = arguments.iter().map(Vec::as_slice).collect();
        self.connection.run::<i64>(script, &[&records, &syncs, &self.ids(None)], &arguments).await.map(|_| ())
    }

    fn ids(&self, sync: Option<&str>) -> Vec<u8> {
        match sync {
            Some(sync) => key(&self.prefix, "quarantined", sync.as_bytes()),
            None => single(&self.prefix, "quarantine-ids"),
        }
    }
}

/// Id, sync and tenant of a sealed payload, and what is sealed; `None` when it is plain or damaged.
pub(crate) fn sealed_part(payload: &[u8]) -> Option<([String; 3], &[u8])> {
    let rest = payload.strip_prefix(&[SEALED])?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let (place, sealed) = rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
    Some((parts(place)?, sealed))
}

/// The place of a quarantined record, for the associated data: id, sync, tenant.
fn place<'a>(key: &'a [&'a str]) -> Place<'a> {
    Place { kind: "quarantine", key, generation: 0 }
}

fn damaged(inner: &Inner, id: &str, why: &str) -> Error {
    Error::new(
        ErrorKind::Internal,
        format!(
            "quarantined record in {} cannot be read: {why}; remove it if it cannot be restored",
            inner.connection.name
        ),
    )
    .with_record(id)
}

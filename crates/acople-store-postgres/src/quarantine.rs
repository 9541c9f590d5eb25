//! Refused records: by id, sealed when the store has a master key.

use std::collections::BTreeMap;

use async_trait::async_trait;
use zeroize::Zeroizing;

use acople_core::{Error, ErrorKind, QuarantineStore, Quarantined, Result};
use acople_seal::Place;
use tokio_postgres::Row;

use crate::PostgresStore;
use crate::names::{columns, from_column, to_column};
use crate::schema::get;
use crate::store::Inner;

/// Records that one statement writes.
const ROWS: usize = 256;

#[async_trait]
impl QuarantineStore for PostgresStore {
    async fn put(&self, records: &[Quarantined]) -> Result<()> {
        let inner = &*self.0;
        // One statement cannot write a row twice, and in one order no two of them wait for each other.
        let latest: BTreeMap<&str, &Quarantined> =
            records.iter().map(|record| (record.id.as_str(), record)).collect();
        let latest: Vec<&Quarantined> = latest.into_values().collect();
        for part in latest.chunks(ROWS) {
            inner.put_rows(part).await?;
        }
        Ok(())
    }

    async fn list(&self, sync: Option<&str>, after: Option<&str>, limit: usize) -> Result<Vec<Quarantined>> {
        let inner = &*self.0;
        let after = after.map(to_column);
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = match sync {
            None => inner.connections.query(&inner.statements.quarantined, &[&after, &limit]).await?,
            Some(sync) => {
                let sync = to_column(sync);
                let sql = &inner.statements.quarantined_of_sync;
                inner.connections.query(sql, &[&after, &limit, &sync]).await?
            }
        };
        let mut records = Vec::with_capacity(rows.len());
        for row in &rows {
            records.push(inner.read_quarantined(row).await?);
        }
        Ok(records)
    }

    async fn remove(&self, ids: &[String]) -> Result<()> {
        if ids.is_empty() {
            return Ok(());
        }
        let ids: Vec<_> = ids.iter().map(|id| to_column(id)).collect();
        self.0.connections.query(&self.0.statements.forget_quarantined, &[&ids]).await.map(|_| ())
    }

    async fn count(&self, sync: Option<&str>) -> Result<u64> {
        let inner = &*self.0;
        let rows = match sync {
            None => inner.connections.query(&inner.statements.count_quarantined, &[]).await?,
            Some(sync) => {
                let sql = &inner.statements.count_quarantined_of_sync;
                inner.connections.query(sql, &[&to_column(sync)]).await?
            }
        };
        let count: i64 = rows.first().map_or(Ok(0), |row| get(row, 0))?;
        Ok(u64::try_from(count).unwrap_or(0))
    }
}

/// The place of a quarantined record, for the associated data: id, sync, tenant.
pub(crate) fn place<'a>(key: &'a [&'a str]) -> Place<'a> {
    Place { kind: "quarantine", key, generation: 0 }
}

impl Inner {
    async fn put_rows(&self, records: &[&Quarantined]) -> Result<()> {
        let (mut ids, mut syncs, mut tenants) = (Vec::new(), Vec::new(), Vec::new());
        let (mut sealed, mut payloads) = (Vec::new(), Vec::new());
        for record in records {
            let key = [record.id.as_str(), record.key.sync.as_str(), record.key.tenant.as_str()];
            let [id, sync, tenant] = columns(key)?;
            let json = serde_json::to_vec(record).map(Zeroizing::new).map_err(|e| {
                Error::new(ErrorKind::Invalid, format!("record cannot be quarantined: {e}"))
                    .with_record(&record.id)
            })?;
            let is_sealed = self.sealer.seals();
            payloads.push(if is_sealed { self.seal(&place(&key), json).await? } else { json.to_vec() });
            sealed.push(is_sealed);
            ids.push(id);
            syncs.push(sync);
            tenants.push(tenant);
        }
        self.connections
            .query(&self.statements.quarantine, &[&ids, &syncs, &tenants, &sealed, &payloads])
            .await
            .map(|_| ())
    }

    async fn read_quarantined(&self, row: &Row) -> Result<Quarantined> {
        let text = |column| get(row, column).map(from_column);
        let (id, sync, tenant) = (text(0)?, text(1)?, text(2)?);
        let payload: &[u8] = get(row, 4)?;
        let json = if get(row, 3)? {
            let key = [id.as_str(), &sync, &tenant];
            let opened = self.sealer.open(&place(&key), payload).await;
            opened.map_err(|e| damaged(self, &id, e.message()).with_kind(e.kind()))?
        } else {
            Zeroizing::new(payload.to_vec())
        };
        serde_json::from_slice(&json).map_err(|_| damaged(self, &id, "its content is not understood"))
    }
}

fn damaged(inner: &Inner, id: &str, why: &str) -> Error {
    Error::new(
        ErrorKind::Internal,
        format!(
            "quarantined record in {} cannot be read: {why}; remove it if it cannot be restored",
            inner.connections.name
        ),
    )
    .with_record(id)
}

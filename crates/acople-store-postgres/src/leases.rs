//! Leases of renewals, by the server's clock alone.

use std::time::Duration;

use acople_core::{ConnectionKey, Lease, Result};

use crate::names::{columns, connection_parts, to_column};
use crate::schema::get;
use crate::store::Inner;

/// Longest term: what is longer is cut, so that it fits into a timestamp.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

impl Inner {
    pub(crate) async fn ask_for_lease(
        &self,
        key: &ConnectionKey,
        holder: &str,
        term: Duration,
    ) -> Result<Lease> {
        let [tenant, connector, connection] = columns(connection_parts(key))?;
        let term = term.min(LONGEST);
        let micros = i64::try_from(term.as_micros()).unwrap_or(i64::MAX);
        let rows = self
            .connections
            .query(&self.statements.lease, &[&tenant, &connector, &connection, &to_column(holder), &micros])
            .await?;
        let Some(row) = rows.first() else { return Ok(Lease::Busy(term)) };
        if get(row, 0)? {
            return Ok(Lease::Granted);
        }
        // `None`: it was taken while the statement ran, and so has just begun.
        let left: Option<i64> = get(row, 1)?;
        let left = left.map_or(term, |left| Duration::from_micros(u64::try_from(left).unwrap_or(0)));
        Ok(Lease::Busy(left))
    }

    pub(crate) async fn give_lease_back(&self, key: &ConnectionKey, holder: &str) -> Result<()> {
        let [tenant, connector, connection] = columns(connection_parts(key))?;
        self.connections
            .query(&self.statements.release, &[&tenant, &connector, &connection, &to_column(holder)])
            .await
            .map(|_| ())
    }
}

//! The pool of connections, and statements that outlive the loss of one.

use std::time::Duration;

use acople_core::{Error, Result};
use deadpool_postgres::{Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime};
use tokio::time::{Instant, sleep, timeout};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Config, Row};

use crate::fault::Fault;

/// The first pause before another attempt; it doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);
/// What the server's own time-out has before ours passes: its answer says more.
const GRACE: Duration = Duration::from_secs(1);

/// Values of a statement.
pub(crate) type Params<'a> = &'a [&'a (dyn ToSql + Sync)];

/// A bounded number of connections.
pub(crate) struct Connections {
    pub(crate) pool: Pool,
    /// For messages.
    pub(crate) name: String,
    patience: Duration,
    statement_timeout: Duration,
}

impl Connections {
    pub(crate) fn new(
        config: &Config,
        #[cfg(feature = "tls")] tls: crate::tls::Tls,
        name: String,
        size: usize,
        patience: Duration,
        statement_timeout: Duration,
    ) -> Result<Self> {
        let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        #[cfg(not(feature = "tls"))]
        let tls = tokio_postgres::NoTls;
        let manager = Manager::from_config(config.clone(), tls, recycling);
        let pool = Pool::builder(manager)
            .max_size(size.max(1))
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(statement_timeout))
            .create_timeout(config.get_connect_timeout().copied())
            .build()
            .map_err(|_| Error::config("max_connections", "the pool of connections cannot be made"))?;
        Ok(Self { pool, name, patience, statement_timeout })
    }

    /// Runs one statement that may be run again, and does so until it succeeds, fails for good or the patience is
    /// at its end.
    pub(crate) async fn query(&self, sql: &str, params: Params<'_>) -> Result<Vec<Row>> {
        let give_up = Instant::now() + self.patience;
        let (mut pause, mut unsure) = (FIRST_PAUSE, false);
        loop {
            let fault = match self.attempt(sql, params).await {
                Ok(rows) => return Ok(rows),
                Err(fault) => fault,
            };
            unsure |= fault.unsure;
            // Spread, so that workers that lost the same server do not come back in step.
            let wait = pause.mul_f64(0.5 + 0.5 * fastrand::f64());
            if !fault.passing || Instant::now() + wait >= give_up {
                return Err(fault.error(&self.name, unsure));
            }
            sleep(wait).await;
            pause = LONGEST_PAUSE.min(pause * 2);
        }
    }

    /// A connection for more than one statement: for migrations.
    pub(crate) async fn get(&self) -> Result<Object> {
        let give_up = Instant::now() + self.patience;
        loop {
            let fault = match self.pool.get().await {
                Ok(connection) => return Ok(connection),
                Err(error) => Fault::of_pool(&error),
            };
            if !fault.passing || Instant::now() + LONGEST_PAUSE >= give_up {
                return Err(fault.error(&self.name, false));
            }
            sleep(LONGEST_PAUSE).await;
        }
    }

    /// A statement's error in the words of a caller.
    pub(crate) fn explain(&self, error: &tokio_postgres::Error) -> Error {
        let fault = Fault::of(error);
        let unsure = fault.unsure;
        fault.error(&self.name, unsure)
    }

    async fn attempt(&self, sql: &str, params: Params<'_>) -> Result<Vec<Row>, Fault> {
        let connection = self.pool.get().await.map_err(|e| Fault::of_pool(&e))?;
        let work = async {
            let statement = connection.prepare_cached(sql).await?;
            connection.query(&statement, params).await
        };
        let fault = match timeout(self.statement_timeout + GRACE, work).await {
            Ok(Ok(rows)) => return Ok(rows),
            Ok(Err(error)) => Fault::of(&error),
            Err(_) => Fault::silent(),
        };
        if fault.lost {
            drop(Object::take(connection));
        }
        Err(fault)
    }
}

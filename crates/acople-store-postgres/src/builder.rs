//! Options, and the opening of a store.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use acople_core::{Error, Result, Secret};
use acople_seal::{Keyring, MAX_WRAPS, MasterKey, Sealer};

use crate::address::{self, Session};
use crate::connection::Connections;
use crate::keys::Uses;
use crate::schema;
use crate::shelf::Shelf;
use crate::statements::Statements;
use crate::store::{Inner, PostgresStore};

/// Options of a [`PostgresStore`].
#[derive(Clone)]
#[must_use = "nothing happens before `open`"]
pub struct PostgresStoreBuilder {
    address: Secret,
    password: Option<Secret>,
    schema: String,
    newest: Option<MasterKey>,
    old: Vec<MasterKey>,
    sealer: Option<Sealer>,
    max_state: usize,
    max_connections: usize,
    statement_timeout: Duration,
    patience: Duration,
    wrap_limit: u64,
    pooled: bool,
    accept_loss: bool,
    #[cfg(feature = "tls")]
    roots: Option<String>,
}

impl PostgresStoreBuilder {
    pub(crate) fn new(address: Secret) -> Self {
        Self {
            address,
            password: None,
            schema: "acople".to_owned(),
            newest: None,
            old: Vec::new(),
            sealer: None,
            max_state: 1 << 20,
            max_connections: 8,
            statement_timeout: Duration::from_secs(5),
            patience: Duration::from_secs(15),
            wrap_limit: MAX_WRAPS,
            pooled: false,
            accept_loss: false,
            #[cfg(feature = "tls")]
            roots: None,
        }
    }

    /// The password, when it is not in the address.
    pub fn password(mut self, password: impl Into<Secret>) -> Self {
        self.password = Some(password.into());
        self
    }

    /// The schema that holds the tables: a lowercase letter or `_`, then up to 62 of these and digits. Default
    /// `acople`. It is made when it is not there.
    pub fn schema(mut self, name: impl Into<String>) -> Self {
        self.schema = name.into();
        self
    }

    /// The key that encrypts from now on. Without one, tokens are refused.
    pub fn master_key(mut self, key: MasterKey) -> Self {
        self.newest = Some(key);
        self
    }

    /// A key that only decrypts: records under it move to the newest one with [`PostgresStore::rewrap`] or when
    /// they are next written.
    pub fn old_key(mut self, key: MasterKey) -> Self {
        self.old.push(key);
        self
    }

    /// The keys in one piece, instead of [`master_key`](Self::master_key) and [`old_key`](Self::old_key): from a
    /// source, or of a key management service.
    pub fn keys(mut self, keys: impl Into<Sealer>) -> Self {
        self.sealer = Some(keys.into());
        self
    }

    /// Largest state of one stream, and largest set of tokens, in bytes. Default 1 MiB.
    pub fn max_state_size(mut self, bytes: usize) -> Self {
        self.max_state = bytes;
        self
    }

    /// Connections at the same time, at least 1. Default 8: each waits for one statement at a time.
    pub fn max_connections(mut self, connections: usize) -> Self {
        self.max_connections = connections;
        self
    }

    /// How long one statement may take, and how long it may wait for a lock or for a free connection. Default 5 s.
    pub fn statement_timeout(mut self, time: Duration) -> Self {
        self.statement_timeout = time;
        self
    }

    /// How long a call goes on trying while the server is away, restarts or has a conflict that passes. Default
    /// 15 s; zero: one attempt.
    pub fn patience(mut self, time: Duration) -> Self {
        self.patience = time;
        self
    }

    /// Records that one master key may encrypt before a newer one is demanded. Default, and at most, 2^32: the
    /// bound for random nonces. It is counted in the database, for all processes together.
    pub fn wrap_limit(mut self, records: u64) -> Self {
        self.wrap_limit = records.min(MAX_WRAPS);
        self
    }

    /// Sets nothing on sessions, because a pooler hands them from one client to the next. The server's time-outs
    /// are those of the role then; the store's own hold all the same.
    pub fn behind_pooler(mut self) -> Self {
        self.pooled = true;
        self
    }

    /// Opens a database that may lose acknowledged writes when the machine crashes (`fsync`, `full_page_writes` or
    /// `synchronous_commit` is off): for tests. A rotated refresh token that is lost locks the customer out.
    pub fn accept_loss_on_crash(mut self) -> Self {
        self.accept_loss = true;
        self
    }

    /// Certificates of authorities (PEM) that count beside those of the system.
    #[cfg(feature = "tls")]
    pub fn tls_roots(mut self, pem: impl Into<String>) -> Self {
        self.roots = Some(pem.into());
        self
    }

    /// Connects, makes or migrates the tables, and recognises the master keys.
    ///
    /// # Errors
    /// `Config` when the address, the credentials or a master key are not right, the tables are of a newer version
    /// of this crate, or the server is not durable; `Transient` when it cannot be reached within the patience.
    pub async fn open(self) -> Result<PostgresStore> {
        let quoted = schema::quote(&self.schema)?;
        let sealer = sealer(self.newest, self.old, self.sealer)?;
        let session = Session { statement_timeout: self.statement_timeout, pooled: self.pooled };
        let config = address::parse(&self.address, self.password.as_ref(), &session)?;
        let connections = Connections::new(
            &config,
            #[cfg(feature = "tls")]
            crate::tls::Tls::new(self.roots.as_deref())?,
            format!("PostgreSQL store {:?}", self.schema),
            self.max_connections,
            self.patience,
            self.statement_timeout,
        )?;
        schema::check_server(&connections, self.accept_loss).await?;
        schema::prepare(&connections, &quoted).await?;
        let store = PostgresStore(Arc::new(Inner {
            connections,
            statements: Statements::new(&quoted),
            tokens: Shelf::tokens(&quoted),
            secrets: Shelf::secrets(&quoted),
            sealer,
            uses: Uses::default(),
            max_state: self.max_state,
            wrap_limit: self.wrap_limit,
        }));
        store.0.check_keys().await?;
        Ok(store)
    }
}

impl fmt::Debug for PostgresStoreBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStoreBuilder")
            .field("schema", &self.schema)
            .field("master_key", &self.newest)
            .field("old_keys", &self.old)
            .finish_non_exhaustive()
    }
}

fn sealer(newest: Option<MasterKey>, old: Vec<MasterKey>, whole: Option<Sealer>) -> Result<Sealer> {
    let ring = newest.map_or_else(Keyring::default, Keyring::new);
    let ring = old.into_iter().try_fold(ring, Keyring::with_old)?;
    match whole {
        None => Ok(ring.into()),
        Some(sealer) if ring.keys().next().is_none() => Ok(sealer),
        Some(_) => {
            Err(Error::config("master_key", "give a store its keys in one piece or one by one, not both"))
        }
    }
}

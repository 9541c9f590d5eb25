//! Options, and the opening of a store.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use acople_core::{Error, Result, Secret};
use acople_seal::{Keyring, MAX_WRAPS, MasterKey, Sealer};
use redis::{Client, IntoConnectionInfo};

use crate::connection::Connection;
use crate::keys::Uses;
use crate::scripts::Scripts;
use crate::server;
use crate::store::{Inner, RedisStore};

/// Options of a [`RedisStore`].
#[derive(Clone)]
#[must_use = "nothing happens before `open`"]
pub struct RedisStoreBuilder {
    address: Secret,
    user: Option<String>,
    password: Option<Secret>,
    prefix: String,
    newest: Option<MasterKey>,
    old: Vec<MasterKey>,
    sealer: Option<Sealer>,
    max_state: usize,
    command_timeout: Duration,
    patience: Duration,
    wrap_limit: u64,
    accept_loss: bool,
}

impl RedisStoreBuilder {
    pub(crate) fn new(address: Secret) -> Self {
        Self {
            address,
            user: None,
            password: None,
            prefix: "acople".to_owned(),
            newest: None,
            old: Vec::new(),
            sealer: None,
            max_state: 1 << 20,
            command_timeout: Duration::from_secs(5),
            patience: Duration::from_secs(15),
            wrap_limit: MAX_WRAPS,
            accept_loss: false,
        }
    }

    /// The user, when it is not in the address.
    pub fn user(mut self, user: impl Into<String>) -> Self {
        self.user = Some(user.into());
        self
    }

    /// The password, when it is not in the address.
    pub fn password(mut self, password: impl Into<Secret>) -> Self {
        self.password = Some(password.into());
        self
    }

    /// What all keys of the store begin with: 1 to 64 letters, digits, `-`, `_` and `.`. Default `acople`.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// The key that encrypts from now on. Without one, tokens are refused.
    pub fn master_key(mut self, key: MasterKey) -> Self {
        self.newest = Some(key);
        self
    }

    /// A key that only decrypts: records under it move to the newest one with [`RedisStore::rewrap`] or when they are
    /// next written.
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

    /// How long the answer to one command may take, and the making of a connection. Default 5 s.
    pub fn command_timeout(mut self, time: Duration) -> Self {
        self.command_timeout = time;
        self
    }

    /// How long a call goes on trying while the server is away or restarts. Default 15 s; zero: one attempt.
    pub fn patience(mut self, time: Duration) -> Self {
        self.patience = time;
        self
    }

    /// Records that one master key may encrypt before a newer one is demanded. Default, and at most, 2^32: the
    /// bound for random nonces. It is counted in the server, for all processes together.
    pub fn wrap_limit(mut self, records: u64) -> Self {
        self.wrap_limit = records.min(MAX_WRAPS);
        self
    }

    /// Opens a server that may lose acknowledged writes when it crashes, may evict them, or does not tell: for tests,
    /// and for syncs that may begin anew. A rotated refresh token that is lost locks the customer out.
    pub fn accept_loss_on_crash(mut self) -> Self {
        self.accept_loss = true;
        self
    }

    /// Connects, looks whether the server keeps what it acknowledges, and recognises the master keys.
    ///
    /// # Errors
    /// `Config` when the address, the credentials or a master key are not right, what is stored is of a newer version
    /// of this crate, or the server is not durable; `Transient` when it cannot be reached within the patience.
    pub async fn open(self) -> Result<RedisStore> {
        let word = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
        if self.prefix.is_empty() || self.prefix.len() > 64 || !self.prefix.bytes().all(word) {
            return Err(Error::config("prefix", "a prefix is 1 to 64 letters, digits, `-`, `_` and `.`"));
        }
        let ring = self.newest.clone().map_or_else(Keyring::default, Keyring::new);
        let ring = self.old.iter().cloned().try_fold(ring, Keyring::with_old)?;
        let sealer = match &self.sealer {
            None => ring.into(),
            Some(sealer) if ring.keys().next().is_none() => sealer.clone(),
            Some(_) => {
                let message = "give a store its keys in one piece or one by one, not both";
                return Err(Error::config("master_key", message));
            }
        };
        let connection = Connection::new(
            self.client()?,
            format!("Redis store {:?}", self.prefix),
            self.patience,
            self.command_timeout,
        );
        if !self.accept_loss {
            server::check(&connection).await?;
        }
        server::check_version(&connection, &self.prefix).await?;
        let store = RedisStore(Arc::new(Inner {
            connection,
            scripts: Scripts::new(),
            prefix: self.prefix,
            sealer,
            uses: Uses::default(),
            max_state: self.max_state,
            wrap_limit: self.wrap_limit,
        }));
        store.0.check_keys().await?;
        Ok(store)
    }

    /// The causes of errors are dropped on purpose: they may quote the address, which may hold the password.
    fn client(&self) -> Result<Client> {
        let unusable = |_| {
            Error::config(
                "address",
                "the address is not a URL of Redis, or asks for what this build does not have, such as TLS",
            )
        };
        let mut info = self.address.expose().into_connection_info().map_err(unusable)?;
        if let Some(user) = &self.user {
            info.redis.username = Some(user.clone());
        }
        if let Some(password) = &self.password {
            info.redis.password = Some(password.expose().to_owned());
        }
        Client::open(info).map_err(unusable)
    }
}

impl fmt::Debug for RedisStoreBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStoreBuilder")
            .field("prefix", &self.prefix)
            .field("master_key", &self.newest)
            .field("old_keys", &self.old)
            .finish_non_exhaustive()
    }
}

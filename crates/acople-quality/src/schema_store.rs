//! Where agreed schemas are kept.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use acople_core::{CheckpointStore, Error, ErrorKind, Generation, Result, StateKey};
use async_trait::async_trait;

use crate::AgreedSchema;

/// Keeps the agreed schema of each stream.
#[async_trait]
pub trait SchemaStore: Send + Sync + fmt::Debug + 'static {
    /// The schema of a stream; `None` when none was agreed.
    ///
    /// # Errors
    /// A damaged schema is an error, never "none".
    async fn load(&self, stream: &str) -> Result<Option<AgreedSchema>>;

    /// Keeps a new version.
    ///
    /// # Errors
    /// [`ErrorKind::Fenced`] when somebody else has agreed to another one meanwhile.
    async fn save(&self, stream: &str, schema: &AgreedSchema) -> Result<()>;
}

/// Keeps schemas beside the checkpoints of a sync, under the name `<sync>#schema`.
#[derive(Debug)]
pub struct CheckpointSchemas {
    store: Arc<dyn CheckpointStore>,
    sync: String,
    tenant: String,
    loaded: Mutex<BTreeMap<String, Generation>>,
}

impl CheckpointSchemas {
    /// The schemas of a sync.
    pub fn new(store: Arc<dyn CheckpointStore>, sync: impl AsRef<str>) -> Self {
        let sync = format!("{}#schema", sync.as_ref());
        Self { store, sync, tenant: String::new(), loaded: Mutex::default() }
    }

    /// Names the host's customer.
    pub fn with_tenant(mut self, tenant: impl Into<String>) -> Self {
        self.tenant = tenant.into();
        self
    }

    fn key(&self, stream: &str) -> StateKey {
        StateKey::new(&self.sync, stream).with_tenant(&self.tenant)
    }
}

#[async_trait]
impl SchemaStore for CheckpointSchemas {
    async fn load(&self, stream: &str) -> Result<Option<AgreedSchema>> {
        let Some((bytes, generation)) = self.store.load(&self.key(stream)).await? else { return Ok(None) };
        let schema = serde_json::from_slice(&bytes)
            .map_err(|e| Error::new(ErrorKind::Internal, "the agreed schema is damaged").with_source(e))?;
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner).insert(stream.to_owned(), generation);
        Ok(Some(schema))
    }

    async fn save(&self, stream: &str, schema: &AgreedSchema) -> Result<()> {
        let bytes = serde_json::to_vec(schema)
            .map_err(|e| Error::new(ErrorKind::Internal, "the schema cannot be written").with_source(e))?;
        let loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner).get(stream).copied();
        let generation = self.store.save(&self.key(stream), loaded.unwrap_or_default(), &bytes).await?;
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner).insert(stream.to_owned(), generation);
        Ok(())
    }
}

/// Keeps schemas for the life of the process.
#[derive(Debug, Default)]
pub struct MemorySchemas(Mutex<BTreeMap<String, AgreedSchema>>);

#[async_trait]
impl SchemaStore for MemorySchemas {
    async fn load(&self, stream: &str) -> Result<Option<AgreedSchema>> {
        Ok(self.0.lock().unwrap_or_else(PoisonError::into_inner).get(stream).cloned())
    }

    async fn save(&self, stream: &str, schema: &AgreedSchema) -> Result<()> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(stream.to_owned(), schema.clone());
        Ok(())
    }
}

//! Keys that never enter this process.

use std::fmt;

use async_trait::async_trait;
use zeroize::Zeroizing;

use acople_core::{Error, Result};

use crate::cipher::{KEY_LEN, random};

/// The host's key management service: it wraps and unwraps data keys, and keeps the key that does so.
///
/// Each record costs one `wrap` when it is written and one `unwrap` when it is read, unless the
/// [`Sealer`](crate::Sealer) caches. An implementation limits its own waits, and answers failures with the kind
/// that says what to do: `Transient`, `Timeout` or `RateLimited` when another try may help, `Permission` when the
/// service refuses, `Config` when the key is not there. Neither repeats the data key in its message.
///
/// ```
/// use acople_core::{Error, ErrorKind, Result};
/// use acople_seal::{DataKey, KeyService};
///
/// #[derive(Debug)]
/// struct Kms { client: Client, key: String }
///
/// #[async_trait::async_trait]
/// impl KeyService for Kms {
///     fn key_id(&self) -> &str {
///         &self.key
///     }
///
///     async fn wrap(&self, data_key: &DataKey, context: &[u8]) -> Result<Vec<u8>> {
///         self.client.encrypt(&self.key, data_key.expose(), context).await
///             .map_err(|_| Error::new(ErrorKind::Transient, "encrypt did not answer"))
///     }
///
///     async fn unwrap(&self, wrapped: &[u8], context: &[u8]) -> Result<DataKey> {
///         let bytes = self.client.decrypt(&self.key, wrapped, context).await
///             .map_err(|_| Error::new(ErrorKind::Transient, "decrypt did not answer"))?;
///         DataKey::from_bytes(&bytes)
///     }
/// }
/// # #[derive(Debug)] struct Client;
/// # impl Client {
/// #     async fn encrypt(&self, _: &str, text: &[u8], _: &[u8]) -> std::result::Result<Vec<u8>, ()> { Ok(text.into()) }
/// #     async fn decrypt(&self, _: &str, text: &[u8], _: &[u8]) -> std::result::Result<Vec<u8>, ()> { Ok(text.into()) }
/// # }
/// ```
#[async_trait]
pub trait KeyService: Send + Sync + fmt::Debug + 'static {
    /// The key's name at the service: 1 to 1,024 visible ASCII characters. It is stored in the clear with each
    /// record, so it is the same for as long as the service can unwrap with it.
    fn key_id(&self) -> &str;

    /// Wraps a data key. `context` are 32 bytes that the service binds it to as associated data, if it can: what
    /// was wrapped for one record is then not unwrapped for another. The record's text is bound either way.
    async fn wrap(&self, data_key: &DataKey, context: &[u8]) -> Result<Vec<u8>>;

    /// Unwraps what [`wrap`](Self::wrap) gave for the same context.
    async fn unwrap(&self, wrapped: &[u8], context: &[u8]) -> Result<DataKey>;
}

/// The key of one record: 32 bytes, zeroed on drop, never printed.
#[derive(Clone)]
pub struct DataKey(Zeroizing<[u8; KEY_LEN]>);

impl DataKey {
    /// A key that a service has unwrapped.
    ///
    /// # Errors
    /// `Protocol` when it has not 32 bytes: the service unwrapped something else.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let key = bytes.try_into().map_err(|_| {
            let message = format!("a data key has {} bytes instead of {KEY_LEN}", bytes.len());
            Error::new(acople_core::ErrorKind::Protocol, message)
        })?;
        Ok(Self(Zeroizing::new(key)))
    }

    /// The bytes, for the service alone.
    pub fn expose(&self) -> &[u8; KEY_LEN] {
        &self.0
    }

    pub(crate) fn random() -> Result<Self> {
        random().map(Self)
    }
}

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

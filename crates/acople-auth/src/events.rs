//! What a host is told about the tokens of its connections.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use acople_core::{ConnectionKey, Error};

/// Something that happened to the tokens of a connection.
#[derive(Debug)]
#[non_exhaustive]
pub enum TokenEvent<'a> {
    /// This worker got new tokens, and they are in use.
    Renewed {
        /// Whether the refresh token is another one now.
        rotated: bool,
        /// When the access token ends, if the vendor says it.
        expires_at: Option<SystemTime>,
    },
    /// The account has to be connected again by a person. Told once, until the connection works again.
    Parked {
        /// What the vendor said.
        error: &'a Error,
    },
    /// A parked connection has new tokens and goes on.
    Resumed,
    /// Renewed tokens could not be stored: they are lost if the process ends before a later try.
    SaveFailed {
        /// What the store said.
        error: &'a Error,
        /// How many tries have failed in a row.
        failures: u32,
    },
    /// After failures, the tokens in use are in the store again.
    Saved,
    /// The refresh token ends whatever happens: the account has to be connected again before. Told at each
    /// renewal from a tenth of its lifetime before the end, a week at most.
    RefreshEnds {
        /// The end.
        at: SystemTime,
        /// The time until then; zero when it is over.
        left: Duration,
    },
}

/// Is told what happens to tokens. Implementations neither block nor panic: a renewal waits for them.
pub trait TokenObserver: Send + Sync + fmt::Debug + 'static {
    /// Something happened to the tokens of `connection`.
    fn event(&self, connection: &ConnectionKey, event: &TokenEvent<'_>);
}

/// The observer of all connections that share it: an extension of
/// [`Resources`](acople_core::Resources::with_extension), which connectors pass on.
///
/// ```
/// use std::sync::Arc;
/// use acople_auth::{TokenEvent, TokenEvents, TokenObserver};
/// use acople_core::{ConnectionKey, Resources};
/// # use acople_testkit::ScriptedTransport;
///
/// #[derive(Debug)]
/// struct Alarm;
///
/// impl TokenObserver for Alarm {
///     fn event(&self, connection: &ConnectionKey, event: &TokenEvent<'_>) {
///         if let TokenEvent::Parked { error } = event {
///             eprintln!("{} has to be connected again: {error}", connection.connection);
///         }
///     }
/// }
///
/// # let transport = Arc::new(ScriptedTransport::new([]));
/// let resources = Resources::new(transport).with_extension(TokenEvents(Arc::new(Alarm)));
/// ```
#[derive(Clone, Debug)]
pub struct TokenEvents(pub Arc<dyn TokenObserver>);

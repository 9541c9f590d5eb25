//! Keys that an issuer publishes, kept and renewed.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use acople_core::{Context, Error, ErrorKind, Resources, Result};
use acople_http::{
    BodyLimits, BreakerConfig, Breakers, Call, Client, ClientBuilder, Settings, Timeouts, secure_url,
};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex as Gate;
use tokio::time::Instant;
use url::Url;

use crate::jwt::{SetFault, key_set};
use crate::{KeySource, VerificationKey};

const OPERATION: &str = "fetch the issuer's keys";

/// Nothing that a token says makes the set be fetched more often.
const BETWEEN_FETCHES: Duration = Duration::from_secs(60);

/// How long after a failure those who have no keys at all are told of it before the next fetch.
const AFTER_FAILURE: Duration = Duration::from_secs(10);

/// Callers wait for the keys: a set that is not there soon is not there.
const HEAD: Duration = Duration::from_secs(5);
const TOTAL: Duration = Duration::from_secs(10);

/// Where an issuer publishes its keys, and how long they are kept. Times are in seconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct JwksConfig {
    /// The address: `jwks_uri` of the issuer's metadata.
    pub url: String,
    /// How long keys are used before they are fetched again: so long a key that the issuer has withdrawn counts at
    /// most. 600 unless told otherwise.
    #[serde(default = "fresh")]
    pub fresh_seconds: u64,
    /// How long keys are used beyond that when they cannot be fetched. 3600 unless told otherwise.
    #[serde(default = "stale")]
    pub stale_seconds: u64,
    /// Largest set, in bytes; 256 KiB unless told otherwise.
    #[serde(default = "max_bytes")]
    pub max_bytes: usize,
    /// Most keys in a set; 100 unless told otherwise.
    #[serde(default = "max_keys")]
    pub max_keys: usize,
}

impl JwksConfig {
    /// The set at this address.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            fresh_seconds: fresh(),
            stale_seconds: stale(),
            max_bytes: max_bytes(),
            max_keys: max_keys(),
        }
    }

    /// Sets how long keys are used before they are fetched again.
    pub fn fresh_seconds(mut self, seconds: u64) -> Self {
        self.fresh_seconds = seconds;
        self
    }

    /// Sets how long keys are used beyond that when they cannot be fetched.
    pub fn stale_seconds(mut self, seconds: u64) -> Self {
        self.stale_seconds = seconds;
        self
    }

    /// Sets the size of the largest set, in bytes.
    pub fn max_bytes(mut self, bytes: usize) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// Sets the most keys in a set.
    pub fn max_keys(mut self, keys: usize) -> Self {
        self.max_keys = keys;
        self
    }
}

/// The keys that an issuer publishes (RFC 7517, 5).
///
/// - They are fetched when the first token comes, and again when they are no longer fresh: by one caller, while the
///   others go on with those at hand.
/// - A token that names a key which is not among them has them fetched at once, at most once a minute, however many such
///   tokens come. That is how a new key of the issuer's is found.
/// - When they cannot be fetched, those at hand count for `stale_seconds` more. After that no token is accepted, and
///   the error is that of the fetching.
/// - Keys for encryption, shared secrets, RSA keys of fewer than 2048 bits and kinds that are not supported are passed
///   over.
///
/// Ages are measured on the monotonic clock: a wall clock that is set makes no key older or younger.
///
/// Cheap to clone; clones share the keys.
#[derive(Clone)]
pub struct Jwks(Arc<Inner>);

struct Inner {
    config: JwksConfig,
    url: Url,
    client: Client,
    tenant: String,
    state: Mutex<State>,
    gate: Gate<()>,
}

#[derive(Default)]
struct State {
    set: Option<(Arc<[VerificationKey]>, Instant)>,
    /// When a fetch was last begun.
    tried: Option<Instant>,
    /// Why the last fetch failed, and when, if it did.
    failed: Option<(Error, Instant)>,
}

/// What to do for a caller.
enum Step {
    Use(Arc<[VerificationKey]>),
    /// Fetch if nobody does; these are good meanwhile.
    Renew(Arc<[VerificationKey]>),
    /// Fetch, or wait for whoever does.
    Fetch,
    Fail(Error),
}

impl Jwks {
    /// The keys at an address. Does no I/O. Requests go through the host's transport, with its time-outs and retries;
    /// unless it has set some, a fetch takes 10 s at most.
    ///
    /// # Errors
    /// [`Config`](ErrorKind::Config) that names the field: a URL that is not https (plain http is for this machine
    /// only), a limit of 0.
    pub fn new(config: JwksConfig, resources: &Resources) -> Result<Self> {
        let url = secure_url(&config.url)
            .map_err(|fault| Error::config("url", format!("the address of the key set {fault}")))?;
        for (field, is_zero) in [
            ("fresh_seconds", config.fresh_seconds == 0),
            ("max_bytes", config.max_bytes == 0),
            ("max_keys", config.max_keys == 0),
        ] {
            if is_zero {
                return Err(Error::config(field, "is 0: no key would ever be taken"));
            }
        }
        let client = small_client(&url, config.max_bytes, resources)?.breakers(watching()).build();
        let tenant = resources.tenant.clone();
        let (state, gate) = (Mutex::default(), Gate::default());
        Ok(Self(Arc::new(Inner { config, url, client, tenant, state, gate })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn step(&self, kid: Option<&str>) -> Step {
        let state = self.state();
        let now = Instant::now();
        let fresh = Duration::from_secs(self.0.config.fresh_seconds);
        let usable = fresh.saturating_add(Duration::from_secs(self.0.config.stale_seconds));
        let failure = |state: &State| state.failed.as_ref().map(|(error, _)| error.copy());
        let at_hand = state.set.as_ref().map(|(keys, at)| (keys, now.saturating_duration_since(*at)));
        let Some((keys, age)) = at_hand.filter(|(_, age)| *age < usable) else {
            return match &state.failed {
                Some((error, at)) if now.saturating_duration_since(*at) < AFTER_FAILURE => {
                    Step::Fail(error.copy())
                }
                _ => Step::Fetch,
            };
        };
        let may_fetch =
            state.tried.is_none_or(|tried| now.saturating_duration_since(tried) >= BETWEEN_FETCHES);
        let is_known = keys.iter().any(|key| key.answers_to(kid));
        match (is_known, may_fetch) {
            (true, true) if age >= fresh => Step::Renew(keys.clone()),
            (true, _) => Step::Use(keys.clone()),
            (false, true) => Step::Fetch,
            // Whether the issuer has such a key by now cannot be told.
            (false, false) => failure(&state).map_or_else(|| Step::Use(keys.clone()), Step::Fail),
        }
    }

    /// Fetches the set. The caller holds the gate.
    async fn renew(&self) {
        let begun = Instant::now();
        self.state().tried = Some(begun);
        let result = self.fetch().await;
        let mut state = self.state();
        match result {
            Ok(keys) => {
                state.set = Some((keys.into(), begun));
                state.failed = None;
            }
            Err(error) => state.failed = Some((error, Instant::now())),
        }
    }

    async fn fetch(&self) -> Result<Vec<VerificationKey>> {
        let cx = Context::new().with_tenant(self.0.tenant.as_str());
        let call = Call::get(OPERATION).link(self.0.url.as_str()).uncached();
        let answer = self.0.client.send(&cx, &call).await.map_err(|error| about_host(error, &self.0.url))?;
        let host = self.0.url.host_str().unwrap_or_default();
        key_set(answer.body(), self.0.config.max_keys).map_err(|fault| {
            let (kind, text) = match fault {
                SetFault::Unreadable(fault) => (
                    ErrorKind::Protocol,
                    format!("the key set of {host} {fault}: is this the address of its jwks_uri?"),
                ),
                SetFault::TooMany(count) => {
                    let most = self.0.config.max_keys;
                    (
                        ErrorKind::TooLarge,
                        format!("the key set of {host} has {count} keys, more than max_keys ({most})"),
                    )
                }
                SetFault::NoneFit(fault) => {
                    let why = fault.map(|fault| format!("; the first {fault}")).unwrap_or_default();
                    (
                        ErrorKind::Protocol,
                        format!("the key set of {host} has no key that verifies signatures{why}"),
                    )
                }
            };
            Error::new(kind, text).with_operation(OPERATION)
        })
    }
}

#[async_trait]
impl KeySource for Jwks {
    async fn keys(&self, kid: Option<&str>) -> Result<Arc<[VerificationKey]>> {
        let guard = match self.step(kid) {
            Step::Use(keys) => return Ok(keys),
            Step::Fail(error) => return Err(error),
            Step::Renew(keys) => match self.0.gate.try_lock() {
                Ok(guard) => guard,
                Err(_) => return Ok(keys),
            },
            Step::Fetch => self.0.gate.lock().await,
        };
        // Whoever was here before may have brought them.
        match self.step(kid) {
            Step::Use(keys) => return Ok(keys),
            Step::Fail(error) => return Err(error),
            Step::Renew(_) | Step::Fetch => self.renew().await,
        }
        drop(guard);
        match self.step(kid) {
            Step::Use(keys) | Step::Renew(keys) => Ok(keys),
            Step::Fail(error) => Err(error),
            Step::Fetch => Err(Error::new(ErrorKind::Transient, "the issuer's keys are not to be had now")
                .with_operation(OPERATION)),
        }
    }
}

impl fmt::Debug for Jwks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jwks").field("host", &self.0.url.host_str()).finish_non_exhaustive()
    }
}

/// A client for small documents of an identity provider.
pub(crate) fn small_client(url: &Url, max_bytes: usize, resources: &Resources) -> Result<ClientBuilder> {
    let mut limits = BodyLimits::default();
    limits.bytes = max_bytes;
    // The host's time limits and retries hold here too; the documents are small whatever it allows others.
    let settings = resources.extensions.get::<Settings>().cloned().unwrap_or_default();
    let settings = settings.with_body_limits(limits).without_shared_breakers();
    Ok(Client::with_resources(&url.origin().ascii_serialization(), resources)?
        .connector("identity")
        .timeouts(Timeouts::new(HEAD, TOTAL))
        .settings(settings))
}

/// Breakers for documents that are kept: they are fetched so seldom that nobody has to be spared, and a breaker would
/// only be late to see that they are there again.
pub(crate) fn watching() -> Breakers {
    Breakers::new(BreakerConfig::metrics_only())
}

/// The failure of a fetch. That the identity provider refuses the host says nothing about whoever called the host: it is
/// a matter of configuration.
pub(crate) fn about_host(error: Error, url: &Url) -> Error {
    let kind = match error.kind() {
        ErrorKind::Reauth
        | ErrorKind::Permission
        | ErrorKind::NotFound
        | ErrorKind::Invalid
        | ErrorKind::Conflict => ErrorKind::Config,
        ErrorKind::RateLimited | ErrorKind::QuotaExhausted | ErrorKind::Ambiguous => ErrorKind::Transient,
        kind => kind,
    };
    let text = format!("{} ({})", error.message(), url.host_str().unwrap_or_default());
    error.with_message(text).with_kind(kind)
}

fn fresh() -> u64 {
    600
}

fn stale() -> u64 {
    3600
}

fn max_bytes() -> usize {
    256 << 10
}

fn max_keys() -> usize {
    100
}

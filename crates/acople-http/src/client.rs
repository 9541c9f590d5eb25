//! The client that connectors hold: one per connection, cheap to clone.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use acople_core::{
    AuthProvider, Clock, Context, Monitor, RateLimiter, Recorder, Resources, Result, Signal, SystemClock,
    Transport, Watched,
};
use http::HeaderMap;
use url::Url;

use crate::retirement::Retirements;
use crate::retry::RetryBudget;
use crate::{
    BodyLimits, BreakerWatch, Breakers, Classifier, Limits, LocalLimiter, RetryPolicy, Settings,
    StatusClassifier, base_url,
};

/// What a client is called whose connector did not say.
const UNNAMED: &str = "unnamed";

/// How long a call may take.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Timeouts {
    /// A whole call, waits and retries included. A shorter deadline of the caller wins.
    pub total: Duration,
    /// From sending an attempt to the head of its answer.
    pub head: Duration,
}

impl Timeouts {
    /// `head` from sending an attempt to the head of its answer, `total` for a whole call.
    pub fn new(head: Duration, total: Duration) -> Self {
        Self { total, head }
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { total: Duration::from_secs(60), head: Duration::from_secs(30) }
    }
}

/// Sends logical requests well: breaker, permit, signature, wire, lesson, and again if that may help.
///
/// ```
/// use acople_core::Context;
/// use acople_http::{Call, Client};
/// # async fn example(transport: std::sync::Arc<dyn acople_core::Transport>) -> acople_core::Result<()> {
/// let client = Client::builder("https://api.example.com", transport)?.build();
/// let answer = client.send(&Context::new(), &Call::get("read status").path(["status"])).await?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Client(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) base: Url,
    pub(crate) link_origins: Vec<Url>,
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) auth: Option<Arc<dyn AuthProvider>>,
    pub(crate) limiter: Arc<dyn RateLimiter>,
    pub(crate) limits: Limits,
    pub(crate) classifier: Arc<dyn Classifier>,
    pub(crate) retry: RetryPolicy,
    pub(crate) budget: RetryBudget,
    pub(crate) breakers: Breakers,
    /// Keeps the recorder told of the breakers' changes.
    _told: Option<BreakerWatch>,
    pub(crate) timeouts: Timeouts,
    pub(crate) body: BodyLimits,
    pub(crate) headers: HeaderMap,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) watched: Watched,
    pub(crate) recorder: Option<Arc<dyn Recorder>>,
    pub(crate) retirements: Retirements,
}

impl Client {
    /// A client for a base URL.
    ///
    /// # Errors
    /// `Config` when `base` is no http(s) URL with a host, carries credentials, a query or a fragment,
    /// or is plain http to anything but this machine.
    pub fn builder(base: &str, transport: Arc<dyn Transport>) -> Result<ClientBuilder> {
        Ok(ClientBuilder {
            base: base_url("base_url", base)?,
            link_origins: Vec::new(),
            transport,
            auth: None,
            limiter: None,
            limits: Limits::new(),
            classifier: Arc::new(StatusClassifier),
            retry: RetryPolicy::default(),
            breakers: Breakers::default(),
            timeouts: Timeouts::default(),
            body: BodyLimits::default(),
            headers: HeaderMap::new(),
            clock: Arc::new(SystemClock),
            watched: Watched::new(UNNAMED, ""),
            monitor: None,
            settings: Settings::default(),
        })
    }

    /// A client with what the host lends: transport, clock, limiter, monitor and [`Settings`].
    pub fn with_resources(base: &str, resources: &Resources) -> Result<ClientBuilder> {
        let mut builder = Self::builder(base, resources.transport.clone())?.clock(resources.clock.clone());
        builder.limiter.clone_from(&resources.limiter);
        builder.monitor.clone_from(&resources.monitor);
        builder.watched = builder.watched.of(&resources.connection, &resources.tenant);
        builder.settings = resources.extensions.get::<Settings>().cloned().unwrap_or_default();
        Ok(builder)
    }

    /// The base URL of the connection's config; the auth provider may name another.
    pub fn base(&self) -> &Url {
        &self.0.base
    }

    /// The URL that calls go below: the one that the auth provider names, or else the base URL.
    pub async fn address(&self, cx: &Context) -> Result<Url> {
        match self.0.auth.as_ref().and_then(|auth| auth.endpoint(cx)) {
            Some(endpoint) => endpoint.await,
            None => Ok(self.0.base.clone()),
        }
    }

    /// The clock.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.0.clock
    }

    /// The breakers, for health reports.
    pub fn breakers(&self) -> &Breakers {
        &self.0.breakers
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("host", &self.0.base.host_str().unwrap_or_default())
            .finish_non_exhaustive()
    }
}

/// Sets up a [`Client`]. Everything has a default but the base URL and the transport.
#[derive(Debug)]
pub struct ClientBuilder {
    base: Url,
    link_origins: Vec<Url>,
    transport: Arc<dyn Transport>,
    auth: Option<Arc<dyn AuthProvider>>,
    limiter: Option<Arc<dyn RateLimiter>>,
    limits: Limits,
    classifier: Arc<dyn Classifier>,
    retry: RetryPolicy,
    breakers: Breakers,
    timeouts: Timeouts,
    body: BodyLimits,
    headers: HeaderMap,
    clock: Arc<dyn Clock>,
    watched: Watched,
    monitor: Option<Arc<dyn Monitor>>,
    settings: Settings,
}

impl ClientBuilder {
    /// Names the connector in spans and to the monitor: its id.
    pub fn connector(mut self, id: &'static str) -> Self {
        self.watched.connector = id.into();
        self
    }

    /// Replaces the host's settings.
    pub fn settings(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self
    }

    /// Watches the calls.
    pub fn monitor(mut self, monitor: Arc<dyn Monitor>) -> Self {
        self.monitor = Some(monitor);
        self
    }

    /// Signs requests.
    pub fn auth(mut self, auth: Arc<dyn AuthProvider>) -> Self {
        self.auth = Some(auth);
        self
    }

    /// Declares the vendor's limits. They are enforced by the host's shared limiter if there is one, by
    /// one of this client's own otherwise.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Shares a limiter.
    pub fn limiter(mut self, limiter: Arc<dyn RateLimiter>) -> Self {
        self.limiter = Some(limiter);
        self
    }

    /// Sets the vendor's classifier.
    pub fn classifier(mut self, classifier: impl Classifier) -> Self {
        self.classifier = Arc::new(classifier);
        self
    }

    /// Sets when calls are tried again.
    pub fn retry(mut self, retry: RetryPolicy) -> Self {
        self.retry = retry;
        self
    }

    /// Shares breakers.
    pub fn breakers(mut self, breakers: Breakers) -> Self {
        self.breakers = breakers;
        self
    }

    /// Sets how long calls may take.
    pub fn timeouts(mut self, timeouts: Timeouts) -> Self {
        self.timeouts = timeouts;
        self
    }

    /// Sets the limits of answers' bodies.
    pub fn body_limits(mut self, body: BodyLimits) -> Self {
        self.body = body;
        self
    }

    /// Allows the vendor's links to lead to these origins too, for vendors that serve further pages or files
    /// from another host than the base URL's. The credentials go there as well: constants of the connector
    /// belong here, nothing that an answer said.
    ///
    /// # Errors
    /// `Config` for one to which credentials may not travel: see [`secure_base`](crate::secure_base).
    pub fn link_origins<'a>(mut self, origins: impl IntoIterator<Item = &'a str>) -> Result<Self> {
        for origin in origins {
            self.link_origins.push(base_url("link_origins", origin)?);
        }
        Ok(self)
    }

    /// Adds headers to every request.
    pub fn headers(mut self, headers: HeaderMap) -> Self {
        self.headers.extend(headers);
        self
    }

    /// Replaces the clock.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// The client.
    pub fn build(self) -> Client {
        let limiter = self
            .limiter
            .unwrap_or_else(|| Arc::new(LocalLimiter::with_clock(self.limits.clone(), self.clock.clone())));
        let mut watched = self.watched;
        watched.host = self.base.host_str().map(str::to_owned).unwrap_or_default();
        let recorder = self.monitor.map(|monitor| monitor.watch(&watched));
        let retry = self.settings.retry.unwrap_or(self.retry);
        let breakers = match &self.settings.breakers {
            Some(shared) => shared.of(&watched.host),
            None => self.breakers,
        };
        let told = recorder.clone().map(|recorder| {
            breakers.on_change(move |class, state| recorder.record(&Signal::Breaker { class, state }))
        });
        Client(Arc::new(Inner {
            base: self.base,
            link_origins: self.link_origins,
            transport: self.transport,
            auth: self.auth,
            limiter,
            limits: self.limits,
            classifier: self.classifier,
            retry,
            budget: RetryBudget::new(retry.quota),
            _told: told,
            breakers,
            timeouts: self.settings.timeouts.unwrap_or(self.timeouts),
            body: self.settings.body.unwrap_or(self.body),
            headers: self.headers,
            clock: self.clock,
            watched,
            recorder,
            retirements: Retirements::default(),
        }))
    }
}

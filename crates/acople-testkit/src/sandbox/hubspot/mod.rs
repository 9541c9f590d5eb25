//! A HubSpot portal on the loopback interface: date-versioned and legacy paths.
//!
//! Operations as counted in the statistics: `token`, `list`, `get`, `create`, `update`, `archive`, `batch_create`,
//! `batch_read`, `batch_update`, `batch_upsert`, `batch_archive`, `search`, `associate`, `properties`, `property`,
//! `create_property`, `delete_property`, `schemas`, `schema`, `unknown`.
//!
//! Where the vendor's documents are silent, the sandbox decides: batch updates and upserts refuse single inputs with 207
//! and name them in `context.ids`; `NEQ`, `NOT_IN` and `NOT_CONTAINS_TOKEN` match records without a value; a search has one
//! sort; a list page begins where the last one ended by count, so that archiving during a listing skips rows.

mod batch;
mod errors;
mod limit;
mod oauth;
mod objects;
mod portal;
mod properties;
mod render;
mod schema;
mod search;
mod standard;
mod store;
mod write;

use std::{fmt, io, sync::Arc, time::Duration};

use limit::Limits;
use portal::{Fixed, Portal, SharedPortal};
pub use schema::{ObjectType, Property, PropertyKind};

use super::{
    Record, Seen, Stats, Then,
    clock::{START_MS, ServerClock, civil_text, millis},
    server::{Server, bind},
    tokens::{TokenRules, Tokens},
};

/// The portal's number.
pub const PORTAL_ID: u64 = 62_515;

/// Records that share a timestamp when a test loads them: the size of a batch call.
const LOAD_BATCH: usize = 100;

/// What a client needs to log in. The values are fixed and open only the sandbox.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Credentials {
    /// The app's client id.
    pub client_id: String,
    /// The app's client secret.
    pub client_secret: String,
    /// The refresh token that is good now.
    pub refresh_token: String,
    /// The static token of a private app; it never expires.
    pub private_token: String,
}

/// A running HubSpot portal; it ends when dropped.
pub struct HubSpot {
    portal: Arc<SharedPortal>,
    server: Server,
    url: String,
}

impl HubSpot {
    /// A portal with the default settings.
    pub async fn start() -> io::Result<Self> {
        Self::builder().start().await
    }

    /// Settings for a portal.
    pub fn builder() -> Builder {
        Builder {
            token_uses: None,
            token_lifetime: Duration::from_secs(1_800),
            rotate: false,
            burst: None,
            search: None,
            daily: None,
            search_lag: Duration::ZERO,
            shuffle_seed: None,
            stable_lists: false,
            starts_at_ms: START_MS,
        }
    }

    /// The base of all paths, such as `http://127.0.0.1:34567`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What a client needs to log in, with the refresh token that is good now.
    pub fn credentials(&self) -> Credentials {
        let portal = self.portal.lock();
        Credentials { refresh_token: portal.tokens.newest_refresh().to_owned(), ..portal.credentials.clone() }
    }

    /// An OAuth access token without a call to the token endpoint.
    pub fn access_token(&self) -> String {
        let mut portal = self.portal.lock();
        let now = portal.clock.now();
        portal.tokens.issue(now)
    }

    /// Calls `hook` at each phase of each request, in place of an earlier hook. It may use the sandbox, but should hold it
    /// weakly: the sandbox holds the hook.
    pub fn on_request(&self, hook: impl Fn(&Seen) -> Then + Send + Sync + 'static) {
        self.server.set_hook(Some(Arc::new(hook)));
    }

    /// Takes the hook away.
    pub fn clear_hook(&self) {
        self.server.set_hook(None);
    }

    /// What has been counted so far.
    pub fn stats(&self) -> Stats {
        self.server.stats()
    }

    /// Counts from zero again.
    pub fn reset_stats(&self) {
        self.server.reset_stats();
    }

    /// Creates records from their properties, in batches of 100 that share a timestamp. Gives the ids, in order.
    ///
    /// # Panics
    ///
    /// When the vendor would refuse a record.
    pub fn load(&self, kind: &str, records: impl IntoIterator<Item = Record>) -> Vec<String> {
        let mut portal = self.portal.lock();
        let mut ids = Vec::new();
        for (position, record) in records.into_iter().enumerate() {
            let at_ms = if position % LOAD_BATCH == 0 { portal.clock.tick() } else { portal.clock.now() };
            let outcome = portal.create(kind, &record, at_ms);
            assert!(outcome.is_ok(), "record {position} was refused: {outcome:?}");
            ids.extend(outcome.ok().map(|id| id.to_string()));
        }
        ids
    }

    /// The properties of all unarchived records of a type, in the order of their ids. Properties without a value are absent.
    pub fn records(&self, kind: &str) -> Vec<Record> {
        let portal = self.portal.lock();
        let Some(shelf) = portal.shelf(kind) else {
            return Vec::new();
        };
        shelf.ids(false).iter().filter_map(|id| Some(shelf.get(*id)?.properties.clone())).collect()
    }

    /// The properties of one record, archived or not.
    pub fn record(&self, kind: &str, id: &str) -> Option<Record> {
        let portal = self.portal.lock();
        Some(portal.shelf(kind)?.get(id.parse().ok()?)?.properties.clone())
    }

    /// The properties of the unarchived record with this value in a unique property.
    pub fn find(&self, kind: &str, property: &str, value: &str) -> Option<Record> {
        let portal = self.portal.lock();
        let shelf = portal.shelf(kind)?;
        Some(shelf.get(shelf.find(property, value)?)?.properties.clone())
    }

    /// How many unarchived records a type has.
    pub fn count(&self, kind: &str) -> usize {
        self.portal.lock().shelf(kind).map_or(0, |shelf| shelf.ids(false).len())
    }

    /// Changes a record as a user of the vendor would, with a new timestamp.
    ///
    /// # Panics
    ///
    /// When the vendor would refuse the change.
    pub fn update(&self, kind: &str, id: &str, properties: &Record) {
        let mut portal = self.portal.lock();
        let at_ms = portal.clock.tick();
        let outcome = portal.update(kind, id.parse().unwrap_or(0), properties, at_ms);
        assert!(outcome.is_ok(), "the update of {kind} {id} was refused: {outcome:?}");
    }

    /// Archives a record.
    ///
    /// # Panics
    ///
    /// When there is no such record.
    pub fn archive(&self, kind: &str, id: &str) {
        let mut portal = self.portal.lock();
        let at_ms = portal.clock.tick();
        assert!(portal.archive(kind, id.parse().unwrap_or(0), at_ms), "there is no {kind} {id}");
    }

    /// Links two records both ways.
    ///
    /// # Panics
    ///
    /// When a record is not there.
    pub fn associate(&self, from: (&str, &str), to: (&str, &str)) {
        let outcome = objects::associate(&mut self.portal.lock(), from, to);
        assert!(outcome.is_ok(), "{from:?} and {to:?} can not be linked: {outcome:?}");
    }

    /// Adds a property to a type, or replaces one; records keep their values.
    pub fn add_property(&self, kind: &str, property: Property) {
        self.portal.lock().alter(kind, |object| {
            object.properties.insert(property.name.clone(), property);
        });
    }

    /// Removes a property from a type: writes that name it fail from now on.
    pub fn remove_property(&self, kind: &str, property: &str) {
        self.portal.lock().alter(kind, |object| {
            object.properties.remove(property);
        });
    }

    /// Adds a type of object, or replaces one and its records.
    pub fn add_object_type(&self, kind: ObjectType) {
        self.portal.lock().add_type(kind);
    }

    /// Moves the portal's clock on.
    pub fn advance(&self, by: Duration) {
        self.portal.lock().clock.advance(by);
    }

    /// The portal's time in Unix milliseconds.
    pub fn now_ms(&self) -> i64 {
        self.portal.lock().clock.now()
    }

    /// Ends all OAuth access tokens: they answer 401 from now on.
    pub fn expire_tokens(&self) {
        self.portal.lock().tokens.expire_all();
    }

    /// Takes the app's access away: every refresh token is refused from now on.
    pub fn revoke_grants(&self) {
        self.portal.lock().tokens.revoke_all();
    }

    /// Deletes the portal as far as the token endpoint is concerned: it answers `BAD_HUB`.
    pub fn delete_portal(&self) {
        self.portal.lock().deleted = true;
    }

    /// Sets how many calls a day the account allows, or lifts the limit.
    pub fn set_daily_limit(&self, calls: Option<u64>) {
        self.portal.lock().limits.set_daily(calls);
    }
}

impl fmt::Debug for HubSpot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HubSpot").field("url", &self.url).finish_non_exhaustive()
    }
}

/// Settings for a portal.
#[derive(Debug, Clone)]
pub struct Builder {
    token_uses: Option<u64>,
    token_lifetime: Duration,
    rotate: bool,
    burst: Option<(usize, Duration)>,
    search: Option<usize>,
    daily: Option<u64>,
    search_lag: Duration,
    shuffle_seed: Option<u64>,
    stable_lists: bool,
    starts_at_ms: i64,
}

impl Builder {
    /// Calls that an OAuth access token is good for. Unlimited by default.
    pub fn token_uses(mut self, calls: u64) -> Self {
        self.token_uses = Some(calls);
        self
    }

    /// Time on the portal's clock that an OAuth access token is good for, told as `expires_in`. The default is 30 minutes.
    pub fn token_lifetime(mut self, lifetime: Duration) -> Self {
        self.token_lifetime = lifetime;
        self
    }

    /// Whether each refresh brings a new refresh token and kills the old one. Off by default.
    pub fn rotate_refresh_tokens(mut self, rotate: bool) -> Self {
        self.rotate = rotate;
        self
    }

    /// Calls allowed in a rolling window of real time; the vendor's window is 10 s. Off by default.
    pub fn rate_limit(mut self, calls: usize, window: Duration) -> Self {
        self.burst = Some((calls, window));
        self
    }

    /// Searches allowed in a second of real time; the vendor allows 5. Off by default.
    pub fn search_limit(mut self, per_second: usize) -> Self {
        self.search = Some(per_second);
        self
    }

    /// Calls a day. Off by default.
    pub fn daily_limit(mut self, calls: u64) -> Self {
        self.daily = Some(calls);
        self
    }

    /// How long, on the portal's clock, a write stays unseen by search. None by default.
    pub fn search_lag(mut self, lag: Duration) -> Self {
        self.search_lag = lag;
        self
    }

    /// Gives the results of batches in another order than their inputs, the same for the same seed.
    pub fn shuffle_results(mut self, seed: u64) -> Self {
        self.shuffle_seed = Some(seed);
        self
    }

    /// Whether a list page begins after the last record of the page before, so that nothing is skipped when records are
    /// archived in between. Off by default, as with the vendor.
    pub fn stable_lists(mut self, stable: bool) -> Self {
        self.stable_lists = stable;
        self
    }

    /// Where the portal's clock starts, in Unix milliseconds. The default is 2026-01-02T03:04:05Z.
    pub fn starts_at_ms(mut self, ms: i64) -> Self {
        self.starts_at_ms = ms;
        self
    }

    /// Starts the portal on a free port of 127.0.0.1.
    pub async fn start(self) -> io::Result<HubSpot> {
        let (listener, url) = bind().await?;
        let rules = TokenRules {
            uses: self.token_uses,
            lifetime_ms: Some(millis(self.token_lifetime)),
            sliding: false,
            rotate: self.rotate,
        };
        let mut limits = Limits::default();
        if let Some((calls, window)) = self.burst {
            limits.set_burst(calls, window);
        }
        if let Some(per_second) = self.search {
            limits.set_search(per_second);
        }
        limits.set_daily(self.daily);
        let fixed = Fixed {
            url: url.clone(),
            clock: ServerClock::new(self.starts_at_ms),
            tokens: Tokens::new(rules, "CLiHsandboxaccess", "na1-sandbox-refresh-"),
            token_seconds: self.token_lifetime.as_secs(),
            credentials: Credentials {
                client_id: "5a1e2b3c-sandbox-client".into(),
                client_secret: "7d4f-sandbox-secret".into(),
                refresh_token: String::new(),
                private_token: "pat-na1-sandbox-0001".into(),
            },
            limits,
            stable_lists: self.stable_lists,
            shuffle_seed: self.shuffle_seed,
            search_lag_ms: millis(self.search_lag),
        };
        let portal = Arc::new(SharedPortal::new(Portal::new(fixed, standard::object_types())));
        let server = Server::start(listener, Arc::clone(&portal) as Arc<_>);
        Ok(HubSpot { portal, server, url })
    }
}

/// An instant as the API writes it: `2026-01-02T03:04:05.678Z`.
fn stamp(ms: i64) -> String {
    format!("{}Z", civil_text(ms))
}

/// A calendar day as the API writes it.
fn day_text(ms: i64) -> String {
    civil_text(ms).chars().take(10).collect()
}

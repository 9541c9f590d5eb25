//! A Salesforce org on the loopback interface: REST API versions 31.0 to 68.0.
//!
//! Login host and instance are the same address. Operations as counted in the statistics: `versions`, `token`, `revoke`,
//! `resources`, `limits`, `query`, `query_all`, `query_more`, `sobjects`, `describe`, `deleted`, `updated`, `retrieve`,
//! `create`, `update`, `upsert`, `delete`, `create_collection`, `update_collection`, `upsert_collection`,
//! `delete_collection`, `retrieve_collection`, `unknown`.
//!
//! Where the vendor's documents are silent, the sandbox decides: a record that is changed or deleted while a query is
//! paged shows its new state or is missing from its page; a value of the wrong JSON type refuses the whole request with
//! `JSON_PARSER_ERROR`; an external id that a call names twice refuses every occurrence.

mod collections;
mod describe;
mod errors;
mod filter;
mod id;
mod oauth;
mod org;
mod query;
mod schema;
mod single;
mod soql;
mod standard;
mod store;
mod token;
mod write;

use std::{fmt, io, sync::Arc, time::Duration};

use org::{Org, SharedOrg};
pub use schema::{Field, FieldKind, Object};
use store::{Row, Tables};
use write::Journal;

use super::{
    Record, Seen, Stats, Then,
    clock::{DAY_MS, START_MS, ServerClock, civil_text, millis},
    server::{Server, bind},
    tokens::{TokenRules, Tokens},
};

/// The user that owns and writes everything.
const USER_ID: &str = "0055g0000000001AAA";

/// Records that share a timestamp when a test loads them: the size of a collection call.
const LOAD_BATCH: usize = 200;

/// What a client needs to log in. The values are fixed and open only the sandbox.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Credentials {
    /// The consumer key.
    pub client_id: String,
    /// The consumer secret.
    pub client_secret: String,
    /// The user of the JWT bearer flow.
    pub username: String,
    /// The refresh token that is good now.
    pub refresh_token: String,
}

/// A running Salesforce org; it ends when dropped.
pub struct Salesforce {
    org: Arc<SharedOrg>,
    server: Server,
    url: String,
}

impl Salesforce {
    /// An org with the default settings.
    pub async fn start() -> io::Result<Self> {
        Self::builder().start().await
    }

    /// Settings for an org.
    pub fn builder() -> Builder {
        Builder {
            page_size: 2_000,
            rules: TokenRules { sliding: true, ..TokenRules::default() },
            daily_limit: 1_000_000,
            starts_at_ms: START_MS,
            assertion_now: None,
        }
    }

    /// Login host and instance, such as `http://127.0.0.1:34567`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What a client needs to log in, with the refresh token that is good now.
    pub fn credentials(&self) -> Credentials {
        let org = self.org.lock();
        Credentials { refresh_token: org.tokens.newest_refresh().to_owned(), ..org.credentials.clone() }
    }

    /// An access token without a call to the token endpoint.
    pub fn access_token(&self) -> String {
        let mut org = self.org.lock();
        let now = org.clock.now();
        org.tokens.issue(now)
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

    /// Puts records into an object as if they had always been there: without the checks of the API, in batches of 200
    /// that share a timestamp. `SystemModstamp` and `CreatedDate` may be given. Gives the ids, in order.
    ///
    /// # Panics
    ///
    /// When the object or a field is unknown, or a field can not hold its value.
    pub fn load(&self, object: &str, records: impl IntoIterator<Item = Record>) -> Vec<String> {
        let mut org = self.org.lock();
        let Org { tables, clock, .. } = &mut *org;
        let table = tables.find_mut(object);
        assert!(table.is_some(), "there is no object {object}");
        let mut ids = Vec::new();
        for (position, record) in records.into_iter().enumerate() {
            let Some(table) = tables.find_mut(object) else {
                break;
            };
            let at_ms = if position % LOAD_BATCH == 0 { clock.tick() } else { clock.now() };
            let id = table.new_id();
            let row = write::loaded_row(table.object(), &record, &id, at_ms);
            table.put(&id, row);
            ids.push(id);
        }
        ids
    }

    /// All undeleted records of an object in the order of their ids. Null fields are absent.
    pub fn records(&self, object: &str) -> Vec<Record> {
        let org = self.org.lock();
        let rows = org.tables.find(object).into_iter().flat_map(|table| table.by_id(""));
        rows.filter(|(_, row)| row.deleted_ms.is_none()).map(|(_, row)| row.fields.clone()).collect()
    }

    /// One record, deleted or not.
    pub fn record(&self, object: &str, id: &str) -> Option<Record> {
        let org = self.org.lock();
        let row: &Row = org.tables.find(object)?.get(&id::to_18(id)?)?;
        Some(row.fields.clone())
    }

    /// How many undeleted records an object has.
    pub fn count(&self, object: &str) -> usize {
        self.org.lock().tables.find(object).map_or(0, store::Table::count)
    }

    /// Changes a record as a user of the vendor would, with the checks of the API and a new timestamp.
    ///
    /// # Panics
    ///
    /// When the vendor would refuse the change.
    pub fn update(&self, object: &str, id: &str, fields: &Record) {
        let mut org = self.org.lock();
        let at_ms = org.clock.tick();
        let outcome = org.change(object, id, fields, at_ms, &mut Journal::default());
        assert!(outcome.is_ok(), "the update of {object} {id} was refused: {outcome:?}");
    }

    /// Moves a record to the recycle bin.
    ///
    /// # Panics
    ///
    /// When there is no such record.
    pub fn delete(&self, object: &str, id: &str) {
        let mut org = self.org.lock();
        let at_ms = org.clock.tick();
        let outcome = org.erase(object, id, at_ms, &mut Journal::default());
        assert!(outcome.is_ok(), "the deletion of {object} {id} was refused: {outcome:?}");
    }

    /// Empties the recycle bin and the deletion log, as a busy org does early: what was deleted is gone for good.
    pub fn purge_deleted(&self) {
        let mut org = self.org.lock();
        org.log_since_ms = org.clock.now();
        for table in org.tables.iter_mut() {
            let gone: Vec<String> = table
                .by_id("")
                .filter(|(_, row)| row.deleted_ms.is_some())
                .map(|(id, _)| id.clone())
                .collect();
            for id in gone {
                table.remove(&id);
            }
        }
    }

    /// Adds an object, or replaces one and its records.
    pub fn add_object(&self, object: Object) {
        self.org.lock().tables.add(object);
    }

    /// Adds a field to an object, or replaces one; records keep their values.
    ///
    /// # Panics
    ///
    /// When the object is unknown.
    pub fn add_field(&self, object: &str, field: Field) {
        let mut org = self.org.lock();
        let table = org.tables.find_mut(object);
        assert!(table.is_some(), "there is no object {object}");
        if let Some(table) = table {
            table.alter(|object| object.set_field(field));
        }
    }

    /// Removes a field from an object: queries and writes that name it fail from now on.
    pub fn remove_field(&self, object: &str, field: &str) {
        if let Some(table) = self.org.lock().tables.find_mut(object) {
            table.alter(|object| object.remove_field(field));
        }
    }

    /// Moves the org's clock on.
    pub fn advance(&self, by: Duration) {
        self.org.lock().clock.advance(by);
    }

    /// The org's time in Unix milliseconds.
    pub fn now_ms(&self) -> i64 {
        self.org.lock().clock.now()
    }

    /// Ends all sessions: every access token answers 401 from now on.
    pub fn expire_tokens(&self) {
        self.org.lock().tokens.expire_all();
    }

    /// Takes the app's access away: every refresh token answers `invalid_grant` from now on.
    pub fn revoke_grants(&self) {
        self.org.lock().tokens.revoke_all();
    }

    /// Authorizes the app anew; the new refresh token is in the credentials.
    pub fn grant(&self) {
        self.org.lock().tokens.grant();
    }

    /// Forgets all query locators.
    pub fn expire_locators(&self) {
        self.org.lock().cursors.expire_all();
    }

    /// Sets how many API calls a day the org allows.
    pub fn set_daily_limit(&self, calls: u64) {
        self.org.lock().daily_limit = calls;
    }

    /// API calls counted against the daily limit.
    pub fn api_usage(&self) -> u64 {
        self.org.lock().api_used
    }

    /// Starts a new day: no API call is used up.
    pub fn reset_api_usage(&self) {
        self.org.lock().api_used = 0;
    }
}

impl fmt::Debug for Salesforce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Salesforce").field("url", &self.url).finish_non_exhaustive()
    }
}

/// Settings for an org.
#[derive(Debug, Clone)]
pub struct Builder {
    page_size: usize,
    rules: TokenRules,
    daily_limit: u64,
    starts_at_ms: i64,
    assertion_now: Option<i64>,
}

impl Builder {
    /// Records of a query page, 1 to 2,000. The default is 2,000.
    pub fn page_size(mut self, records: usize) -> Self {
        self.page_size = records;
        self
    }

    /// API calls that an access token is good for. Unlimited by default.
    pub fn token_uses(mut self, calls: u64) -> Self {
        self.rules.uses = Some(calls);
        self
    }

    /// Time on the org's clock that an access token is good for; each use starts it anew. Unlimited by default.
    pub fn token_lifetime(mut self, lifetime: Duration) -> Self {
        self.rules.lifetime_ms = Some(millis(lifetime));
        self
    }

    /// Whether each refresh brings a new refresh token and kills the old one. Off by default.
    pub fn rotate_refresh_tokens(mut self, rotate: bool) -> Self {
        self.rules.rotate = rotate;
        self
    }

    /// API calls a day. The default is 1,000,000.
    pub fn daily_limit(mut self, calls: u64) -> Self {
        self.daily_limit = calls;
        self
    }

    /// Where the org's clock starts, in Unix milliseconds. The default is 2026-01-02T03:04:05Z.
    pub fn starts_at_ms(mut self, ms: i64) -> Self {
        self.starts_at_ms = ms;
        self
    }

    /// The Unix second at which the expiry of JWT assertions is judged. By default it is the machine's time, because
    /// clients sign with theirs.
    pub fn assertions_judged_at(mut self, second: i64) -> Self {
        self.assertion_now = Some(second);
        self
    }

    /// Starts the org on a free port of 127.0.0.1.
    pub async fn start(self) -> io::Result<Salesforce> {
        let (listener, url) = bind().await?;
        let mut tables = Tables::default();
        for object in standard::objects() {
            tables.add(object);
        }
        let org = Org {
            url: url.clone(),
            clock: ServerClock::new(self.starts_at_ms),
            tokens: Tokens::new(self.rules, "00D5g0000000001!AQ0AQ", "5Aep861sandbox"),
            credentials: Credentials {
                client_id: "3MVG9sandboxconsumerkey".into(),
                client_secret: "sandboxconsumersecret".into(),
                username: "integration@sandbox.example".into(),
                refresh_token: String::new(),
            },
            tables,
            cursors: query::Cursors::default(),
            page_size: self.page_size,
            daily_limit: self.daily_limit,
            api_used: 0,
            log_since_ms: self.starts_at_ms - 30 * DAY_MS,
            assertion_now: self.assertion_now,
        };
        let org = Arc::new(SharedOrg::new(org));
        let server = Server::start(listener, Arc::clone(&org) as Arc<_>);
        Ok(Salesforce { org, server, url })
    }
}

/// An instant as the API writes it: `2026-01-02T03:04:05.000+0000`.
fn stamp(ms: i64) -> String {
    format!("{}+0000", civil_text(ms))
}

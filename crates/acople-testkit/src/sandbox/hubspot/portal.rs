//! The portal behind the API: its state, and the way from a path to what it does.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use http::StatusCode;

use super::{
    super::{
        call::{Answer, Call},
        clock::ServerClock,
        server::Vendor,
        stats::Tally,
        tokens::{Tokens, Worth},
    },
    Credentials, batch,
    errors::Refusal,
    limit::Limits,
    oauth, objects, properties,
    schema::ObjectType,
    search::{self, Cache},
    store::{Row, Shelf},
};

/// Bytes of the request's target.
const MAX_TARGET: usize = 16_384;

#[derive(Debug)]
pub(crate) struct Portal {
    pub(crate) url: String,
    pub(crate) clock: ServerClock,
    pub(crate) tokens: Tokens,
    pub(crate) token_seconds: u64,
    pub(crate) credentials: Credentials,
    pub(crate) limits: Limits,
    pub(crate) deleted: bool,
    pub(crate) stable_lists: bool,
    pub(crate) shuffle_seed: Option<u64>,
    pub(crate) search_lag_ms: i64,
    pub(crate) batches: u64,
    /// Counts changes of the data: what was computed from an older version is stale.
    pub(crate) version: u64,
    pub(crate) search_cache: Cache,
    shelves: Vec<Shelf>,
    associations: BTreeMap<(String, u64, String), BTreeSet<u64>>,
    next_id: u64,
    correlations: u64,
}

/// The settings of a portal that do not change while it runs.
#[derive(Debug)]
pub(crate) struct Fixed {
    pub(crate) url: String,
    pub(crate) clock: ServerClock,
    pub(crate) tokens: Tokens,
    pub(crate) token_seconds: u64,
    pub(crate) credentials: Credentials,
    pub(crate) limits: Limits,
    pub(crate) stable_lists: bool,
    pub(crate) shuffle_seed: Option<u64>,
    pub(crate) search_lag_ms: i64,
}

impl Portal {
    pub(crate) fn new(fixed: Fixed, types: Vec<ObjectType>) -> Self {
        let Fixed { url, clock, tokens, token_seconds, credentials, limits, .. } = fixed;
        Self {
            url,
            clock,
            tokens,
            token_seconds,
            credentials,
            limits,
            deleted: false,
            stable_lists: fixed.stable_lists,
            shuffle_seed: fixed.shuffle_seed,
            search_lag_ms: fixed.search_lag_ms,
            batches: 0,
            version: 0,
            search_cache: Cache::default(),
            shelves: types.into_iter().map(Shelf::new).collect(),
            associations: BTreeMap::new(),
            next_id: 51_000,
            correlations: 0,
        }
    }

    pub(crate) fn shelves(&self) -> impl Iterator<Item = &Shelf> {
        self.shelves.iter()
    }

    pub(crate) fn shelf(&self, kind: &str) -> Option<&Shelf> {
        self.shelves.iter().find(|shelf| shelf.kind.answers_to(kind))
    }

    pub(crate) fn known_shelf(&self, kind: &str) -> Result<&Shelf, Refusal> {
        self.shelf(kind)
            .ok_or_else(|| Refusal::validation(format!("Unable to infer object type from: {kind}")))
    }

    pub(crate) fn new_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    /// Stores a record.
    pub(crate) fn store(&mut self, kind: &str, id: u64, row: Row) {
        self.version += 1;
        if let Some(shelf) = self.shelves.iter_mut().find(|shelf| shelf.kind.answers_to(kind)) {
            shelf.put(id, row);
        }
    }

    /// Takes back a record that was just created.
    pub(crate) fn forget(&mut self, kind: &str, id: u64) {
        self.version += 1;
        if let Some(shelf) = self.shelves.iter_mut().find(|shelf| shelf.kind.answers_to(kind)) {
            shelf.remove(id);
        }
    }

    /// Changes a type of object.
    pub(crate) fn alter(&mut self, kind: &str, change: impl FnOnce(&mut ObjectType)) {
        self.version += 1;
        if let Some(shelf) = self.shelves.iter_mut().find(|shelf| shelf.kind.answers_to(kind)) {
            shelf.alter(change);
        }
    }

    /// Adds a type, or replaces one and its records.
    pub(crate) fn add_type(&mut self, kind: ObjectType) {
        self.version += 1;
        self.shelves.retain(|shelf| shelf.kind.name != kind.name);
        self.shelves.push(Shelf::new(kind));
    }

    /// Links two records both ways.
    pub(crate) fn associate(&mut self, from: (&str, u64), to: (&str, u64)) {
        for (one, two) in [(from, to), (to, from)] {
            let key = (one.0.to_owned(), one.1, two.0.to_owned());
            self.associations.entry(key).or_default().insert(two.1);
        }
    }

    pub(crate) fn associated(&self, from: &str, id: u64, to: &str) -> impl Iterator<Item = u64> {
        self.associations.get(&(from.to_owned(), id, to.to_owned())).into_iter().flatten().copied()
    }

    /// The next correlation id.
    pub(crate) fn correlation(&mut self) -> String {
        self.correlations += 1;
        format!("5a9d0b0a-0000-4000-8000-{:012x}", self.correlations)
    }

    /// Checks the credentials, then the limits.
    fn admit(&mut self, call: &Call, search: bool) -> Result<bool, Answer> {
        let correlation = self.correlation();
        let oauth = match call.bearer() {
            Some(token) if token == self.credentials.private_token => false,
            Some(token) => match self.tokens.spend(token, self.clock.now()) {
                Worth::Good => true,
                Worth::Expired => {
                    let message = "The OAuth token used to make this call expired.";
                    let refusal = Refusal::new(StatusCode::UNAUTHORIZED, "EXPIRED_AUTHENTICATION", message);
                    return Err(refusal.answer(&correlation));
                }
                Worth::Unknown => return Err(unauthorized(&correlation)),
            },
            None => return Err(unauthorized(&correlation)),
        };
        self.limits.take(search, &correlation)?;
        Ok(oauth)
    }

    fn dispatch(&mut self, call: &Call, route: &Route<'_>, tally: &mut Tally) -> Result<Answer, Refusal> {
        match (route.operation, route.rest.as_slice()) {
            ("list", [kind]) => objects::list(self, call, kind, tally),
            ("get", [kind, id]) => objects::get(self, call, kind, id, tally),
            ("create", [kind]) => objects::create(self, call, kind, tally),
            ("update", [kind, id]) => objects::update(self, call, kind, id, tally),
            ("archive", [kind, id]) => objects::archive(self, kind, id, tally),
            ("associate", [kind, id, _, to, to_id]) => objects::associate(self, (kind, id), (to, to_id)),
            ("search", [kind, _]) => search::search(self, call, kind, tally),
            ("batch_create", [kind, ..]) => batch::create(self, call, kind, tally),
            ("batch_read", [kind, ..]) => batch::read(self, call, kind, tally),
            ("batch_update", [kind, ..]) => batch::update(self, call, kind, tally),
            ("batch_upsert", [kind, ..]) => batch::upsert(self, call, kind, tally),
            ("batch_archive", [kind, ..]) => batch::archive(self, call, kind, tally),
            ("properties", [kind]) => properties::list(self, kind),
            ("property", [kind, name]) => properties::get(self, kind, name),
            ("create_property", [kind]) => properties::create(self, call, kind),
            ("delete_property", [kind, name]) => properties::delete(self, kind, name),
            ("schemas", _) => Ok(properties::schemas(self)),
            ("schema", [kind]) => properties::schema(self, kind),
            _ => Err(Refusal::missing()),
        }
    }
}

fn unauthorized(correlation: &str) -> Answer {
    let message = "Authentication credentials not found or invalid.";
    Refusal::new(StatusCode::UNAUTHORIZED, "INVALID_AUTHENTICATION", message).answer(correlation)
}

/// The portal as the server sees it.
#[derive(Debug)]
pub(crate) struct SharedPortal(Mutex<Portal>);

impl SharedPortal {
    pub(crate) fn new(portal: Portal) -> Self {
        Self(Mutex::new(portal))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Portal> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Vendor for SharedPortal {
    fn operation(&self, call: &Call) -> &'static str {
        Route::of(call).operation
    }

    fn handle(&self, call: &Call, tally: &mut Tally) -> Answer {
        let mut portal = self.lock();
        if call.path.len() + call.query.len() > MAX_TARGET {
            let refusal =
                Refusal::new(StatusCode::URI_TOO_LONG, "URI_TOO_LONG", "the request's URL is too long");
            return refusal.answer(&portal.correlation());
        }
        let route = Route::of(call);
        match route.operation {
            "token" => return oauth::token(&mut portal, call, tally),
            "unknown" => return Refusal::missing().answer(&portal.correlation()),
            _ => {}
        }
        let search = route.operation == "search";
        let (answer, oauth) = match portal.admit(call, search) {
            Ok(oauth) => {
                let answer = portal.dispatch(call, &route, tally);
                (answer.unwrap_or_else(|refusal| refusal.answer(&portal.correlation())), oauth)
            }
            Err(answer) => {
                if answer.status == StatusCode::TOO_MANY_REQUESTS {
                    tally.throttled += 1;
                }
                (answer, true)
            }
        };
        // Search tells nothing about its limit.
        if search { answer } else { portal.limits.mark(answer, oauth) }
    }
}

/// What a path means, in either style.
struct Route<'c> {
    operation: &'static str,
    rest: Vec<&'c str>,
}

impl<'c> Route<'c> {
    fn of(call: &'c Call) -> Self {
        let segments = call.segments();
        let method = call.method.as_str();
        let (operation, rest) = match segments.as_slice() {
            ["oauth", version, "token"] if method == "POST" && is_version(version, &["v1", "v3"]) => {
                ("token", &[][..])
            }
            ["crm", "objects", version, rest @ ..] if is_version(version, &[]) => {
                (object_call(method, rest), rest)
            }
            ["crm", "v3" | "v4", "objects", rest @ ..] => (object_call(method, rest), rest),
            ["crm", "properties", version, rest @ ..] if is_version(version, &[]) => {
                (property_call(method, rest), rest)
            }
            ["crm", "v3", "properties", rest @ ..] => (property_call(method, rest), rest),
            ["crm-object-schemas", version, "schemas", rest @ ..] if is_version(version, &["v3"]) => {
                (schema_call(method, rest), rest)
            }
            ["crm", "v3", "schemas", rest @ ..] => (schema_call(method, rest), rest),
            _ => ("unknown", &[][..]),
        };
        Self { operation, rest: rest.to_vec() }
    }
}

fn object_call(method: &str, rest: &[&str]) -> &'static str {
    match (method, rest) {
        ("GET", [_]) => "list",
        ("POST", [_]) => "create",
        ("POST", [_, "search"]) => "search",
        ("GET", [_, _]) => "get",
        ("PATCH", [_, _]) => "update",
        ("DELETE", [_, _]) => "archive",
        ("POST", [_, "batch", "create"]) => "batch_create",
        ("POST", [_, "batch", "read"]) => "batch_read",
        ("POST", [_, "batch", "update"]) => "batch_update",
        ("POST", [_, "batch", "upsert"]) => "batch_upsert",
        ("POST", [_, "batch", "archive"]) => "batch_archive",
        ("PUT", [_, _, "associations", _, _]) => "associate",
        _ => "unknown",
    }
}

fn property_call(method: &str, rest: &[&str]) -> &'static str {
    match (method, rest) {
        ("GET", [_]) => "properties",
        ("GET", [_, _]) => "property",
        ("POST", [_]) => "create_property",
        ("DELETE", [_, _]) => "delete_property",
        _ => "unknown",
    }
}

fn schema_call(method: &str, rest: &[&str]) -> &'static str {
    match (method, rest) {
        ("GET", []) => "schemas",
        ("GET", [_]) => "schema",
        _ => "unknown",
    }
}

/// A dated version such as `2026-03` or `2026-09-beta`, or one of the legacy names.
fn is_version(text: &str, legacy: &[&str]) -> bool {
    let dated = text.strip_suffix("-beta").unwrap_or(text);
    let (year, month) = dated.split_once('-').unwrap_or_default();
    let digits =
        |text: &str, length: usize| text.len() == length && text.bytes().all(|byte| byte.is_ascii_digit());
    legacy.contains(&text) || (digits(year, 4) && digits(month, 2))
}

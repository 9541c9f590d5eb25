//! The org behind the API: its state, and the way from a path to what it does.

use std::sync::{Mutex, MutexGuard, PoisonError};

use http::StatusCode;
use serde_json::{Map, Value, json};

use super::{
    super::{
        call::{Answer, Call},
        clock::ServerClock,
        server::Vendor,
        stats::Tally,
        tokens::{Tokens, Worth},
    },
    Credentials, collections, describe,
    errors::{error, not_found},
    oauth,
    query::{self, Cursors},
    single,
    store::Tables,
};

/// Versions that the vendor has retired end before this one.
const OLDEST_VERSION: u32 = 31;
const NEWEST_VERSION: u32 = 68;
/// Bytes of the request's target and headers together.
const MAX_HEAD: usize = 16_384;

#[derive(Debug)]
pub(crate) struct Org {
    pub(crate) url: String,
    pub(crate) clock: ServerClock,
    pub(crate) tokens: Tokens,
    pub(crate) credentials: Credentials,
    pub(crate) tables: Tables,
    pub(crate) cursors: Cursors,
    pub(crate) page_size: usize,
    pub(crate) daily_limit: u64,
    pub(crate) api_used: u64,
    pub(crate) log_since_ms: i64,
    pub(crate) assertion_now: Option<i64>,
}

impl Org {
    /// The name, as the schema writes it, of a field that upserts may use.
    pub(crate) fn key_field(&self, object: &str, name: &str) -> Result<String, Answer> {
        let table = self.tables.find(object).ok_or_else(not_found)?;
        match table.object().find(name) {
            Some(field) if field.external_id || field.name == "Id" => Ok(field.name.clone()),
            _ => {
                let message = format!("{name} does not match an External ID or Salesforce Id of {object}");
                Err(error(StatusCode::BAD_REQUEST, "INVALID_FIELD", &message))
            }
        }
    }

    fn api(
        &mut self,
        call: &Call,
        operation: &str,
        version: &str,
        rest: &[&str],
        tally: &mut Tally,
    ) -> Answer {
        match version.strip_prefix('v').and_then(|text| text.strip_suffix(".0")?.parse::<u32>().ok()) {
            Some(number) if number < OLDEST_VERSION => {
                return error(
                    StatusCode::GONE,
                    "UNSUPPORTED_API_VERSION",
                    "this version of the API is retired",
                );
            }
            Some(number) if number <= NEWEST_VERSION => {}
            _ => return not_found(),
        }
        if let Err(answer) = self.admit(call) {
            if answer.status == StatusCode::FORBIDDEN {
                tally.throttled += 1;
            }
            return answer.with_header("Sforce-Limit-Info", self.usage());
        }
        let answer = self.dispatch(call, operation, version, rest, tally);
        answer.with_header("Sforce-Limit-Info", self.usage())
    }

    /// Checks the session, then the quota, and takes one call from it.
    fn admit(&mut self, call: &Call) -> Result<(), Answer> {
        let Some(token) = call.bearer() else {
            return Err(error(StatusCode::UNAUTHORIZED, "INVALID_AUTH_HEADER", "INVALID_HEADER_TYPE"));
        };
        if self.tokens.spend(token, self.clock.now()) != Worth::Good {
            return Err(error(StatusCode::UNAUTHORIZED, "INVALID_SESSION_ID", "Session expired or invalid"));
        }
        if self.api_used >= self.daily_limit {
            let message = "TotalRequests Limit exceeded.";
            return Err(error(StatusCode::FORBIDDEN, "REQUEST_LIMIT_EXCEEDED", message));
        }
        self.api_used += 1;
        Ok(())
    }

    fn dispatch(
        &mut self,
        call: &Call,
        operation: &str,
        version: &str,
        rest: &[&str],
        tally: &mut Tally,
    ) -> Answer {
        match (operation, rest) {
            ("resources", _) => resources(version),
            ("limits", _) => self.limits(),
            ("query", _) => query::run(self, call, version, false, tally),
            ("query_all", _) => query::run(self, call, version, true, tally),
            ("query_more", [_, locator]) => query::more(self, locator, version, tally),
            ("sobjects", _) => self.object_list(version),
            ("describe", [_, object, ..]) => match self.tables.find(object) {
                Some(table) => Answer::json(StatusCode::OK, &describe::object(table.object(), version)),
                None => not_found(),
            },
            ("deleted", [_, object, ..]) => single::deleted(self, call, object),
            ("updated", [_, object, ..]) => single::updated(self, call, object),
            ("retrieve", [_, object, id]) => single::retrieve(self, call, object, id, version, tally),
            ("retrieve", [_, object, key, value]) => {
                single::retrieve_by_key(self, call, (object, key, value), version, tally)
            }
            ("create", [_, object]) => single::create(self, call, object, tally),
            ("update", [_, object, id]) => single::update(self, call, object, id, tally),
            ("delete", [_, object, id]) => single::delete(self, object, id, tally),
            ("upsert", [_, object, key, value]) => {
                single::upsert(self, call, (object, key, value), version, tally)
            }
            ("create_collection", _) => collections::create(self, call, tally),
            ("update_collection", _) => collections::update(self, call, tally),
            ("delete_collection", _) => collections::delete(self, call, tally),
            ("upsert_collection", [_, _, object, key]) => collections::upsert(self, call, object, key, tally),
            ("retrieve_collection", [_, _, object]) => {
                collections::retrieve(self, call, object, version, tally)
            }
            _ => not_found(),
        }
    }

    fn usage(&self) -> String {
        format!("api-usage={}/{}", self.api_used, self.daily_limit)
    }

    fn limits(&self) -> Answer {
        let remaining = self.daily_limit.saturating_sub(self.api_used);
        let body = json!({
            "DailyApiRequests": {"Max": self.daily_limit, "Remaining": remaining},
            "DailyBulkApiBatches": {"Max": 15_000, "Remaining": 15_000},
            "DataStorageMB": {"Max": 1_024, "Remaining": 1_000},
        });
        Answer::json(StatusCode::OK, &body)
    }

    fn object_list(&self, version: &str) -> Answer {
        let objects: Vec<Value> =
            self.tables.iter().map(|table| describe::summary(table.object(), version)).collect();
        Answer::json(StatusCode::OK, &json!({"encoding": "UTF-8", "maxBatchSize": 200, "sobjects": objects}))
    }
}

/// The org as the server sees it.
#[derive(Debug)]
pub(crate) struct SharedOrg(Mutex<Org>);

impl SharedOrg {
    pub(crate) fn new(org: Org) -> Self {
        Self(Mutex::new(org))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Org> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Vendor for SharedOrg {
    fn operation(&self, call: &Call) -> &'static str {
        let segments = call.segments();
        match (call.method.as_str(), segments.as_slice()) {
            ("GET", ["services", "data"]) => "versions",
            ("POST", ["services", "oauth2", "token"]) => "token",
            ("POST", ["services", "oauth2", "revoke"]) => "revoke",
            (method, ["services", "data", _, rest @ ..]) => operation(method, rest),
            _ => "unknown",
        }
    }

    fn handle(&self, call: &Call, tally: &mut Tally) -> Answer {
        if call.head_bytes() > MAX_HEAD {
            return error(StatusCode::URI_TOO_LONG, "URI_TOO_LONG", "the request's head is too long");
        }
        let operation = self.operation(call);
        let mut org = self.lock();
        match (operation, call.segments().as_slice()) {
            ("versions", _) => versions(),
            ("token", _) => oauth::token(&mut org, call, tally),
            ("revoke", _) => oauth::revoke(&mut org, call),
            (operation, ["services", "data", version, rest @ ..]) => {
                org.api(call, operation, version, rest, tally)
            }
            _ => not_found(),
        }
    }
}

fn operation(method: &str, rest: &[&str]) -> &'static str {
    match (method, rest) {
        ("GET", []) => "resources",
        ("GET", ["limits"]) => "limits",
        ("GET", ["query"]) => "query",
        ("GET", ["queryAll"]) => "query_all",
        ("GET", ["query" | "queryAll", _]) => "query_more",
        ("GET", ["sobjects"]) => "sobjects",
        ("GET", ["sobjects", _, "describe"]) => "describe",
        ("GET", ["sobjects", _, "deleted"]) => "deleted",
        ("GET", ["sobjects", _, "updated"]) => "updated",
        ("GET", ["sobjects", _, _] | ["sobjects", _, _, _]) => "retrieve",
        ("POST", ["sobjects", _]) => "create",
        ("PATCH", ["sobjects", _, _]) => "update",
        ("PATCH", ["sobjects", _, _, _]) => "upsert",
        ("DELETE", ["sobjects", _, _]) => "delete",
        ("POST", ["composite", "sobjects"]) => "create_collection",
        ("PATCH", ["composite", "sobjects"]) => "update_collection",
        ("DELETE", ["composite", "sobjects"]) => "delete_collection",
        ("PATCH", ["composite", "sobjects", _, _]) => "upsert_collection",
        ("POST", ["composite", "sobjects", _]) => "retrieve_collection",
        _ => "unknown",
    }
}

/// `GET /services/data/`: three versions a year, the newest being Winter '27.
fn versions() -> Answer {
    let all: Vec<Value> = (OLDEST_VERSION..=NEWEST_VERSION)
        .map(|number| {
            // Version 30 was Spring '14.
            let (season, year) = match number % 3 {
                0 => ("Spring", number / 3 + 4),
                1 => ("Summer", number / 3 + 4),
                _ => ("Winter", number / 3 + 5),
            };
            json!({
                "label": format!("{season} '{year}"),
                "url": format!("/services/data/v{number}.0"),
                "version": format!("{number}.0"),
            })
        })
        .collect();
    Answer::json(StatusCode::OK, &Value::Array(all))
}

fn resources(version: &str) -> Answer {
    let names = ["composite", "limits", "query", "queryAll", "sobjects"];
    let links: Map<String, Value> = names
        .iter()
        .map(|name| ((*name).to_owned(), json!(format!("/services/data/{version}/{name}"))))
        .collect();
    Answer::json(StatusCode::OK, &Value::Object(links))
}

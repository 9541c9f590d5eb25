//! Batches of up to 100 records: writes with an outcome for each, and reads by key.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use acople_core::json::{Envelope, FieldPath, Projection, Row, Value, Writer};
use acople_core::{
    Batch, BatchLimits, Context, Error, ErrorKind, Outcome, Result, WriteMode, WriteReport, WriteRequest,
};
use acople_http::{Answer, Call, match_by_id, match_placed, write_keyed};
use serde_json::{Value as Json, json};

use crate::HubSpot;
use crate::catalog::{is_contacts, upsert_keys};
use crate::error::RecordError;

/// The largest call: 100 inputs are HubSpot's limit; the bytes are ours, a body that is larger is cut.
pub(crate) const LIMITS: BatchLimits = BatchLimits { records: 100, bytes: 2 << 20 };

/// How the records of one write are sent.
struct Plan {
    mode: WriteMode,
    /// The last part of the path.
    action: &'static str,
    operation: &'static str,
    /// The property by which records are found; without one, their id.
    by: Option<String>,
    /// Where a record's key is.
    key: FieldPath,
    /// Whether a record was new, where the action alone tells.
    created: Option<bool>,
}

impl Plan {
    fn new(mode: WriteMode, by: Option<String>) -> Result<Self> {
        let (action, operation, created) = match mode {
            WriteMode::Insert => ("create", "create objects", Some(true)),
            WriteMode::Upsert if by.is_some() => ("upsert", "upsert objects", None),
            // HubSpot makes up ids: what has one exists.
            WriteMode::Update | WriteMode::Upsert => ("update", "update objects", Some(false)),
            WriteMode::Delete => ("archive", "archive objects", None),
            _ => return Err(Error::config("mode", "HubSpot cannot write in this mode")),
        };
        let key = by.as_ref().map_or_else(|| path(["id"]), |name| path(["properties", name]));
        Ok(Self { mode, action, operation, by, key, created })
    }

    /// A record's key, its properties, its associations.
    fn columns(&self) -> Projection {
        Projection::new([self.key.clone(), path(["properties"]), path(["associations"])])
    }

    /// The key of a record, or why it cannot be sent.
    fn key_of(&self, row: &Row<'_>) -> Result<Option<String>> {
        let refused = |what: &str, field: String| {
            Err(Error::new(ErrorKind::Invalid, what).with_field(field).with_operation(self.operation))
        };
        if self.mode != WriteMode::Delete && !matches!(row.get(1), Value::Object(_)) {
            return refused("the record has no properties object", "properties".to_owned());
        }
        if self.mode == WriteMode::Insert {
            return Ok(None);
        }
        // Text that is no Unicode is no key either.
        match row.get(0).scalar_text().ok().flatten().filter(|key| !key.trim().is_empty()) {
            Some(key) => Ok(Some(key.into_owned())),
            None => refused("the record has no value for its key", self.key.to_string()),
        }
    }

    fn keys(&self, batch: &Batch) -> Vec<Result<Option<String>>> {
        batch.project(&self.columns()).rows().map(|row| self.key_of(&row)).collect()
    }

    /// Two keys that HubSpot takes for one are the same text after this.
    fn normal(&self, key: &str) -> String {
        // HubSpot keeps e-mail addresses in lower case and answers with them so; other unique values that
        // differ in case alone are kept apart to be on the safe side.
        if self.by.is_some() { key.trim().to_lowercase() } else { key.to_owned() }
    }

    /// The body of a call, and the key of each of its records.
    fn body(&self, batch: &Batch) -> Result<(String, Vec<String>)> {
        let mut keys = Vec::with_capacity(batch.len());
        let mut body = Writer::with_capacity(batch.iter().map(|r| r.raw().len() + 64).sum());
        body.begin_object();
        body.key("inputs");
        body.begin_array();
        for (index, row) in batch.project(&self.columns()).rows().enumerate() {
            let key = self.key_of(&row)?;
            body.begin_object();
            if let Some(key) = &key {
                body.key("id");
                body.text(key);
            }
            if self.mode != WriteMode::Delete {
                if let Some(by) = &self.by {
                    body.key("idProperty");
                    body.text(by);
                }
                body.key("properties");
                body.raw(row.get(1).raw());
                if let (WriteMode::Insert, Value::Array(associations)) = (self.mode, row.get(2)) {
                    body.key("associations");
                    body.raw(associations);
                }
                // With it HubSpot takes the good records and names the bad ones; without it one bad record
                // spoils the batch.
                body.key("objectWriteTraceId");
                body.text(&index.to_string());
            }
            body.end_object();
            keys.push(self.normal(&key.unwrap_or_default()));
        }
        body.end_array();
        body.end_object();
        Ok((body.into_string(), keys))
    }

    /// One outcome for each key. HubSpot gives results in any order: they are told apart by trace id, then
    /// by the record's key.
    fn outcomes(&self, keys: &[String], results: &Batch, errors: Vec<RecordError>) -> Vec<Outcome> {
        let by_key: HashMap<&str, usize> = keys.iter().enumerate().map(|(at, key)| (&**key, at)).collect();
        let traced = |trace: &str| trace.parse().ok().filter(|at| *at < keys.len());
        let keyed = |key: &str| by_key.get(&*self.normal(key)).copied();
        let columns = [path(["id"]), path(["new"]), path(["objectWriteTraceId"]), self.key.clone()];
        let cells = results.project(&Projection::new(columns));
        let results = cells.rows().map(|row| {
            let text = |column| row.get(column).scalar_text().ok().flatten();
            let place = text(2).and_then(|trace| traced(&trace)).or_else(|| keyed(&text(3)?));
            let created = self.created.or(row.get(1).as_bool());
            (place, Outcome::Accepted { id: text(0).map(Cow::into_owned), created })
        });
        let errors = errors.into_iter().map(|refusal| {
            let mut places: Vec<usize> = refusal.traces.iter().filter_map(|trace| traced(trace)).collect();
            if places.is_empty() {
                places = refusal.ids.iter().filter_map(|id| keyed(id)).collect();
            }
            (places, refusal.error.with_operation(self.operation))
        });
        match_placed(keys.len(), results, errors)
    }
}

impl HubSpot {
    /// Writes a batch of any size.
    pub(crate) async fn write_batch(&self, cx: &Context, request: &WriteRequest) -> Result<WriteReport> {
        let by = match (request.mode(), request.key()) {
            (WriteMode::Upsert, None) if is_contacts(request.stream()) => Some("email".to_owned()),
            (WriteMode::Upsert, None) => return Err(self.no_key(cx, request.stream()).await),
            (WriteMode::Insert, _) | (_, None) => None,
            (_, Some(path)) => property(path)?,
        };
        let (plan, batch) = (&Plan::new(request.mode(), by)?, request.batch());
        // HubSpot refuses a batch that names a record twice.
        let keys = plan.keys(batch).into_iter().map(|key| Ok(key?.map(|key| plan.normal(&key))));
        write_keyed(batch, LIMITS, keys, |part| async move {
            match &plan.by {
                Some(by) if plan.mode == WriteMode::Delete => self.archive_by(cx, plan, by, &part).await,
                _ => self.send_records(cx, plan, &part).await,
            }
        })
        .await
    }

    /// Sends the records of one call.
    async fn send_records(&self, cx: &Context, plan: &Plan, part: &Batch) -> Result<Vec<Outcome>> {
        if part.is_empty() {
            return Ok(Vec::new());
        }
        let (body, keys) = plan.body(part)?;
        let path = self.path("objects", part.stream());
        let mut call = Call::post(plan.operation).path(path).path(["batch", plan.action]).raw_json(body);
        if plan.mode != WriteMode::Insert {
            call = call.repeatable();
        }
        let answer = self.send(cx, &call).await?;
        if plan.mode == WriteMode::Delete && answer.body().trim_ascii().is_empty() {
            return Ok(keys.into_iter().map(|id| Outcome::accepted(id, None)).collect());
        }
        let redactor = answer.redactor();
        // Something was written: an answer that cannot be read leaves open what.
        answered(part.stream(), answer)
            .map(|(results, errors)| redactor.outcomes(plan.outcomes(&keys, &results, errors)))
            .map_err(|e| e.with_kind(ErrorKind::Ambiguous).with_operation(plan.operation))
    }

    /// Archives the records of one call by a property: HubSpot archives by id alone, so the ids are looked up
    /// first. What is not there (any more) counts as done.
    async fn archive_by(&self, cx: &Context, plan: &Plan, by: &str, part: &Batch) -> Result<Vec<Outcome>> {
        let keys = plan.keys(part).into_iter().filter_map(Result::transpose).collect::<Result<Vec<_>>>()?;
        let inputs: Vec<Json> = keys.iter().map(|key| json!({ "id": key })).collect();
        let ask = json!({ "idProperty": by, "properties": [by], "inputs": inputs });
        let (found, gone) = self.fetch(cx, part.stream(), &ask).await?;
        let normal = |keys: &[String]| keys.iter().map(|key| plan.normal(key)).collect::<Vec<_>>();
        let (keys, gone) = (normal(&keys), normal(&gone));
        let mut wanted: HashSet<&str> = keys.iter().map(String::as_str).collect();
        // A contact is also found by its former addresses: then it is another one that was asked for.
        let mut known = Vec::new();
        for (at, record) in found.iter().enumerate() {
            let key = record.get(&plan.key)?.scalar_text()?.map(|key| plan.normal(&key));
            known.extend(key.filter(|key| wanted.remove(key.as_str())).map(|key| (at, key)));
        }
        let found = found.select(known.iter().map(|(at, _)| *at));
        let archived = self.send_records(cx, &Plan::new(WriteMode::Delete, None)?, &found).await?;
        let missing = wanted.into_iter().map(|key| {
            let error = Error::new(ErrorKind::Conflict, "HubSpot does not say which record has this value");
            let error = error.with_operation(plan.operation).with_field(plan.key.to_string());
            let is_gone = gone.iter().any(|gone| gone == key);
            let done = is_gone.then_some(Outcome::Accepted { id: None, created: None });
            (key.to_owned(), done.unwrap_or_else(|| Outcome::refused(error)))
        });
        Ok(match_by_id(&keys, known.into_iter().map(|(_, key)| key).zip(archived).chain(missing)))
    }

    /// The records that the `inputs` of a body ask for, and the keys of those that are not there.
    ///
    /// # Errors
    /// `Protocol` when the answer leaves records out without a word: they would pass for deleted.
    pub(crate) async fn fetch(&self, cx: &Context, object: &str, ask: &Json) -> Result<(Batch, Vec<String>)> {
        let call = Call::post("read objects").path(self.path("objects", object)).path(["batch", "read"]);
        let answer = self.send(cx, &call.json(ask)?.repeatable()).await?;
        let (found, errors) = answered(object, answer).map_err(|e| e.with_operation("read objects"))?;
        let (mut told, mut gone) = (found.len(), Vec::new());
        for RecordError { error, ids, .. } in errors {
            if error.kind() != ErrorKind::NotFound {
                return Err(error.with_operation("read objects"));
            }
            told += ids.len().max(1);
            gone.extend(ids);
        }
        let asked = ask.get("inputs").and_then(Json::as_array).map_or(0, Vec::len);
        if told < asked {
            let message = format!("{} of {asked} records were left out", asked - told);
            return Err(Error::new(ErrorKind::Protocol, message).with_operation("read objects"));
        }
        Ok((found, gone))
    }

    /// The error of an upsert without a key: says which ones there are.
    async fn no_key(&self, cx: &Context, object: &str) -> Error {
        let keys = self.properties(cx, object).await.map(|properties| upsert_keys(object, &properties));
        let which = match keys {
            Ok(keys) if keys.is_empty() => "the object has no property with unique values, use id".to_owned(),
            Ok(keys) => format!("{}, or id", keys.join(", ")),
            Err(_) => "a property with unique values, or id".to_owned(),
        };
        Error::config("key", format!("an upsert needs a key: {which}"))
    }
}

/// A batch's answer: its results, and what went wrong with single records.
fn answered(object: &str, answer: Answer) -> Result<(Batch, Vec<RecordError>)> {
    let page = answer.into_page()?;
    let split = Envelope::new(&[path(["results"])]).with(path(["errors"])).split(&page)?;
    let errors: Option<Vec<Json>> = split.extra(&page, 0).parse()?;
    let errors = errors.into_iter().flatten().map(RecordError::new).collect();
    Ok((Batch::new(object, page, split.records), errors))
}

/// The property that a key names; `None` for the id.
fn property(key: &FieldPath) -> Result<Option<String>> {
    let name = match key.segments() {
        [id] if &**id == "id" => return Ok(None),
        [name] => name,
        [properties, name] if &**properties == "properties" => name,
        _ => return Err(Error::config("key", "is neither id nor a property (properties.email)")),
    };
    Ok((&**name != "hs_object_id").then(|| name.to_string()))
}

fn path<const N: usize>(segments: [&str; N]) -> FieldPath {
    segments.into_iter().collect()
}

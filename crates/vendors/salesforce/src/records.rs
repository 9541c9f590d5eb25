//! The typed side: single records.

use acople_core::json::Writer;
use acople_core::{Context, Error, ErrorKind, Result};
use acople_http::{Answer, Call};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value as Json;

use crate::Salesforce;
use crate::describe::object_name;
use crate::soql::Name;
use crate::write::{Saved, is_one_of};

/// What an upsert did.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Upserted {
    /// The record's id, if the vendor says it: answers without a body do not.
    pub id: Option<String>,
    /// Whether it is new.
    pub created: bool,
}

impl Salesforce {
    /// Gets one record with all its fields.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when there is no such record.
    pub async fn get<T: DeserializeOwned>(&self, cx: &Context, object: &str, id: &str) -> Result<T> {
        self.record(cx, Call::get("get record"), object, &[id]).await?.json()
    }

    /// Creates a record and gives its id.
    pub async fn create(&self, cx: &Context, object: &str, record: &impl Serialize) -> Result<String> {
        let call = Call::post("create record").raw_json(body(record, &["attributes", "Id"])?);
        let answer = self.record(cx, call, object, &[]).await?;
        let saved: Saved = answer.json().map_err(|e| e.with_kind(ErrorKind::Ambiguous))?;
        saved.id.ok_or_else(|| Error::new(ErrorKind::Ambiguous, "the vendor gave no id for the new record"))
    }

    /// Changes the fields that `record` has.
    pub async fn update(&self, cx: &Context, object: &str, id: &str, record: &impl Serialize) -> Result<()> {
        let call = Call::patch("update record").raw_json(body(record, &["attributes", "Id"])?).repeatable();
        self.record(cx, call, object, &[id]).await.map(drop)
    }

    /// Creates or changes the record whose external id field has this value.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] when several records have the value.
    pub async fn upsert(
        &self,
        cx: &Context,
        object: &str,
        field: &Name,
        value: &str,
        record: &impl Serialize,
    ) -> Result<Upserted> {
        // The key stands in the path, and the vendor refuses it in the body.
        let body = body(record, &["attributes", "Id", field.as_str()])?;
        let call = Call::patch("upsert record").raw_json(body).repeatable();
        let answer = self.record(cx, call, object, &[field.as_str(), value]).await?;
        let created = answer.status() == http::StatusCode::CREATED;
        if answer.body().is_empty() {
            return Ok(Upserted { id: None, created });
        }
        let saved: Saved = answer.json()?;
        Ok(Upserted { id: saved.id, created: saved.created.unwrap_or(created) })
    }

    /// Moves a record to the recycle bin.
    pub async fn delete(&self, cx: &Context, object: &str, id: &str) -> Result<()> {
        self.record(cx, Call::delete("delete record"), object, &[id]).await.map(drop)
    }

    /// The org's limits and what is left of them: name to `{"Max", "Remaining"}`.
    pub async fn limits(&self, cx: &Context) -> Result<Json> {
        self.send(cx, Call::get("get limits"), &["limits"]).await?.json()
    }

    /// Sends a call to an object or to one of its records.
    async fn record(&self, cx: &Context, call: Call, object: &str, rest: &[&str]) -> Result<Answer> {
        let object = object_name(object)?;
        // An empty id would make the path that of the whole object.
        if rest.contains(&"") {
            return Err(Error::new(ErrorKind::Invalid, "the record's id is empty").with_field("Id"));
        }
        self.send(cx, call, &[&["sobjects", object.as_str()], rest].concat()).await
    }
}

fn body(record: &impl Serialize, left_out: &[&str]) -> Result<String> {
    let text = serde_json::to_string(record)
        .map_err(|e| Error::new(ErrorKind::Invalid, "the record cannot be written as JSON").with_source(e))?;
    let mut writer = Writer::with_capacity(text.len());
    writer.begin_object();
    writer
        .members(&text, |name| !is_one_of(name, left_out))
        .map_err(|e| Error::from(e).with_kind(ErrorKind::Schema))?;
    writer.end_object();
    Ok(writer.into_string())
}

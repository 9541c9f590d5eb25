//! Writing: collections of up to 200 records, each with an outcome of its own.
//!
//! See [sObject Collections](https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/resources_composite_sobjects_collections.htm).
//! Calls answer 200 even when every record was refused.

use std::borrow::Cow;

use acople_core::json::{self, FieldPath, Writer};
use acople_core::{
    Batch, BatchLimits, Context, Error, ErrorKind, Outcome, Record, Result, WriteMode, WriteReport,
    WriteRequest,
};
use acople_http::{Call, match_aligned, write_checked};
use serde::Deserialize;

use crate::Salesforce;
use crate::describe::object_name;
use crate::error::{Refusal, record_error};
use crate::soql::Name;

/// The largest collection: 200 records are the vendor's limit, the bytes are ours.
pub(crate) const COLLECTION: BatchLimits = BatchLimits { records: 200, bytes: 4 << 20 };

/// What became of one record.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Saved {
    pub(crate) id: Option<String>,
    success: bool,
    pub(crate) created: Option<bool>,
    errors: Vec<Refusal>,
}

enum Verb {
    Insert,
    Update,
    /// By an external id.
    Upsert(Name),
    Delete,
}

/// Writes a batch.
pub(crate) async fn write(sf: &Salesforce, cx: &Context, request: &WriteRequest) -> Result<WriteReport> {
    let object = &object_name(request.stream())?;
    let verb = &Verb::of(request)?;
    write_checked(
        request.batch(),
        COLLECTION,
        |record| verb.check(record),
        |part| async move {
            let answer = sf.0.client.send(cx, &verb.call(sf, object, &part)?).await?;
            // Something was written and nobody knows what: not a reason to write it again.
            let saved = answer.json::<Vec<Saved>>().map_err(|e| e.with_kind(ErrorKind::Ambiguous))?;
            let outcomes = match_aligned(part.len(), saved, |_, saved| verb.outcome(saved))?;
            Ok(answer.redactor().outcomes(outcomes))
        },
    )
    .await
}

impl Verb {
    fn of(request: &WriteRequest) -> Result<Self> {
        let wrong = |message| Error::config("key", message);
        let key = request.key().map(FieldPath::to_string).filter(|key| !key.eq_ignore_ascii_case("Id"));
        match (request.mode(), key) {
            (WriteMode::Insert, _) => Ok(Self::Insert),
            (WriteMode::Update, None) => Ok(Self::Update),
            (WriteMode::Delete, None) => Ok(Self::Delete),
            (WriteMode::Update | WriteMode::Delete, Some(_)) => {
                Err(wrong("records are updated and deleted by their Id: use an upsert, or map the Id"))
            }
            (WriteMode::Upsert, None) => {
                Err(wrong("name the external id field by which the upsert finds records"))
            }
            (WriteMode::Upsert, Some(key)) => object_name(&key)
                .map(Self::Upsert)
                .map_err(|_| wrong("an upsert goes by an external id field of the object itself")),
            _ => Err(Error::config("mode", "this way of writing is not known here")),
        }
    }

    /// Whether a record can be sent: without its key an upsert would create it again and again.
    fn check(&self, record: Record<'_>) -> Result<()> {
        match self {
            Self::Insert => Ok(()),
            Self::Update | Self::Delete => id_of(record).map(drop),
            Self::Upsert(key) => present(record, key.as_str()).map(drop),
        }
    }

    fn call(&self, sf: &Salesforce, object: &Name, part: &Batch) -> Result<Call> {
        let collection = |call| sf.data(call, &["composite", "sobjects"]);
        let call = match self {
            Self::Delete => {
                let ids = part.iter().map(id_of).collect::<Result<Vec<_>>>()?.join(",");
                let call = collection(Call::delete("delete records"));
                return Ok(call.query("ids", ids).query("allOrNone", "false"));
            }
            Self::Insert => collection(Call::post("insert records")),
            Self::Update => collection(Call::patch("update records")).repeatable(),
            Self::Upsert(key) => {
                collection(Call::patch("upsert records")).path([object.as_str(), key.as_str()]).repeatable()
            }
        };
        let left_out: &[&str] =
            if matches!(self, Self::Update) { &["attributes"] } else { &["attributes", "Id"] };
        let mut writer = Writer::with_capacity(part.bytes().min(COLLECTION.bytes) + part.len() * 48);
        writer.begin_object();
        writer.key("allOrNone");
        writer.bool(false);
        writer.key("records");
        writer.begin_array();
        for record in part.iter() {
            writer.begin_object();
            writer.key("attributes");
            writer.raw(&format!(r#"{{"type":"{object}"}}"#));
            writer.members(record.raw(), |name| !is_one_of(name, left_out))?;
            writer.end_object();
        }
        writer.end_array();
        writer.end_object();
        Ok(call.raw_json(writer.into_string()))
    }

    fn outcome(&self, saved: Saved) -> Outcome {
        let created = match self {
            Self::Insert => Some(true),
            Self::Update => Some(false),
            Self::Upsert(_) => saved.created,
            Self::Delete => None,
        };
        // A deletion that was repeated, or that somebody else was quicker with: the record is gone as asked.
        let gone = matches!(self, Self::Delete)
            && saved.errors.first().is_some_and(|error| error.code() == "ENTITY_IS_DELETED");
        if saved.success || gone {
            return Outcome::Accepted { id: saved.id, created };
        }
        Outcome::refused(record_error(&saved.errors))
    }
}

/// Whether a member is one of these: the vendor's names ignore case.
pub(crate) fn is_one_of(name: &str, others: &[&str]) -> bool {
    others.iter().any(|other| other.eq_ignore_ascii_case(name))
}

/// A record's id. Ids go into a list that commas part: nothing else may stand there.
fn id_of(record: Record<'_>) -> Result<String> {
    let id = present(record, "Id")?;
    if id.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return Ok(id);
    }
    Err(Error::new(ErrorKind::Invalid, "not an id of Salesforce").with_code("MALFORMED_ID").with_field("Id"))
}

/// The value of a field that a record needs to be written.
fn present(record: Record<'_>, field: &str) -> Result<String> {
    let value = json::get_ignoring_case(record.raw(), field).and_then(|value| value.scalar_text());
    let text = value.map_err(|e| Error::from(e).with_kind(ErrorKind::Schema))?;
    let missing = "the record has no value by which it could be found";
    text.filter(|text| !text.is_empty()).map(Cow::into_owned).ok_or_else(|| {
        Error::new(ErrorKind::Invalid, missing).with_code("MISSING_ARGUMENT").with_field(field)
    })
}

//! What the org says of its objects, and what that means for the catalog.

use std::time::Duration;

use acople_core::{
    Context, Deletes, Error, ErrorKind, FieldSchema, ReadMode, Result, Stream, WriteMode, record_schema,
};
use acople_http::Call;
use serde::Deserialize;

use crate::soql::Name;
use crate::write::COLLECTION;
use crate::{Config, Salesforce};

/// Changes become visible five to ten minutes late at worst.
const READ_LAG: Duration = Duration::from_secs(600);

/// The fields that grow with changes, the best first.
const CURSORS: [&str; 3] = ["SystemModstamp", "LastModifiedDate", "CreatedDate"];

/// The field that marks tombstones.
pub(crate) const DELETED: &str = "IsDeleted";

/// The field of a deleted [lead, contact, account or case](https://developer.salesforce.com/docs/atlas.en-us.object_reference.meta/object_reference/sforce_api_objects_lead.htm)
/// that names the record into which it was merged.
pub(crate) const MASTER: &str = "MasterRecordId";

/// A part of the vendor's description: one line a member.
macro_rules! description {
    ($(#[$doc:meta])* $type:ident { $($(#[$attr:meta])* $field:ident: $kind:ty, $text:literal;)* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Deserialize)]
        #[serde(rename_all = "camelCase")]
        #[non_exhaustive]
        #[allow(clippy::struct_excessive_bools)] // the vendor's own flags
        pub struct $type {
            $(#[doc = $text] $(#[$attr])* pub $field: $kind,)*
        }
    };
}

description! {
    /// An object as [`sobjects/`](https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/resources_describeGlobal.htm)
    /// lists it and
    /// [describe](https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/resources_sobject_describe.htm)
    /// describes it. `fields` is empty in the list.
    ObjectDescription {
        name: String, "The API name.";
        label: Option<String>, "The name for people.";
        #[serde(default)] custom: bool, "Whether the org made it.";
        #[serde(default)] queryable: bool, "Whether it can be queried.";
        #[serde(default)] createable: bool, "Whether this user may create records.";
        #[serde(default)] updateable: bool, "Whether this user may change records.";
        #[serde(default)] deletable: bool, "Whether this user may delete records.";
        #[serde(default)] fields: Vec<FieldDescription>, "The fields that this user sees.";
    }
}

description! {
    /// A field of an object.
    FieldDescription {
        name: String, "The API name.";
        label: Option<String>, "The name for people.";
        #[serde(rename = "type")] kind: String, "The vendor's type: `string`, `picklist`, `currency` and so on.";
        #[serde(default)] length: u64, "Most characters; 0 where that means nothing.";
        #[serde(default = "yes")] nillable: bool, "Whether it may be null.";
        #[serde(default)] createable: bool, "Whether it can be set in new records.";
        #[serde(default)] updateable: bool, "Whether it can be changed.";
        #[serde(default)] external_id: bool, "Whether upserts can find records by it.";
        #[serde(default = "yes")] filterable: bool, "Whether conditions can use it.";
        #[serde(default = "yes")] sortable: bool, "Whether results can be sorted by it.";
        relationship_name: Option<String>, "The name that leads to the other record in queries.";
        #[serde(default)] reference_to: Vec<String>, "The objects that it may refer to.";
    }
}

pub(crate) fn yes() -> bool {
    true
}

impl FieldDescription {
    /// Whether reads ask for it unless told otherwise: compounds are there in their parts, and the content of
    /// files comes from an address of its own.
    fn is_plain(&self) -> bool {
        !matches!(self.kind.as_str(), "address" | "location" | "base64" | "complexvalue")
    }

    fn schema(&self) -> FieldSchema {
        let (kind, format) = match self.kind.as_str() {
            "boolean" => ("boolean", None),
            "int" | "long" => ("integer", None),
            "double" | "currency" | "percent" => ("number", None),
            "datetime" => ("string", Some("date-time")),
            format @ ("date" | "time" | "email") => ("string", Some(format)),
            _ => ("string", None),
        };
        FieldSchema::new(&[kind])
            .nullable(self.nillable)
            .format(format)
            .max_length((kind == "string").then_some(self.length))
            .title(self.label.as_deref())
            .read_only(!self.createable && !self.updateable)
            .with("x-salesforce-type", self.kind.as_str())
            .with("x-salesforce-reference-to", self.reference_to.as_slice())
    }
}

impl ObjectDescription {
    /// A field by its name in any case: the vendor's names ignore it.
    pub fn field(&self, name: &str) -> Option<&FieldDescription> {
        self.fields.iter().find(|field| field.name.eq_ignore_ascii_case(name))
    }

    /// The field that grows with every change.
    pub(crate) fn cursor(&self) -> Option<&'static str> {
        let usable = |name: &&str| self.field(name).is_some_and(|field| field.filterable && field.sortable);
        CURSORS.into_iter().find(usable)
    }

    /// The fields of a read: those asked for, or all plain ones, as the schema spells them, `Id` first.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] with the field that the object does not have. Left out silently, its column
    /// would be emptied at the destination.
    pub(crate) fn selection(&self, wanted: Option<&[String]>, also: &[&str]) -> Result<Vec<Name>> {
        let mut names = vec![Name::new("Id")?];
        let asked = wanted.into_iter().flatten().map(String::as_str);
        let asked = asked.filter(|name| *name != "attributes" && !name.starts_with("attributes."));
        let plain = self.fields.iter().filter(|field| wanted.is_none() && field.is_plain());
        let plain = plain.map(|field| Name::new(&field.name));
        for name in plain.chain(asked.map(|name| self.known(name))).chain(also.iter().map(|n| Name::new(n))) {
            let name = name?;
            if !names.iter().any(|other| other.as_str().eq_ignore_ascii_case(name.as_str())) {
                names.push(name);
            }
        }
        Ok(names)
    }

    /// A field, or a path that begins with one of the object's relationships.
    fn known(&self, name: &str) -> Result<Name> {
        let checked = Name::new(name)?;
        let leads_on = |first: &str| {
            let mut names = self.fields.iter().filter_map(|field| field.relationship_name.as_deref());
            names.any(|name| name.eq_ignore_ascii_case(first))
        };
        let field = match name.split_once('.') {
            Some((first, _)) if leads_on(first) => return Ok(checked),
            // A part of a compound comes with the whole.
            Some((first, _)) => self.field(first).filter(|field| !field.is_plain()),
            None => self.field(name),
        };
        let Some(field) = field else {
            let message = format!("{} has no such field, or this user does not see it", self.name);
            return Err(Error::new(ErrorKind::Invalid, message).with_code("INVALID_FIELD").with_field(name));
        };
        Name::new(&field.name)
    }

    /// The object as a stream of the catalog.
    pub(crate) fn stream(&self, config: &Config) -> Stream {
        let plain = self.fields.iter().filter(|field| field.is_plain());
        let attributes = ("attributes".to_owned(), FieldSchema::new(&["object"]).read_only(true));
        let schemas = plain.map(|field| (field.name.clone(), field.schema()));
        let keys = self.fields.iter().filter(|field| field.external_id).map(|field| field.name.as_str());
        let writes = [
            (WriteMode::Insert, self.createable),
            (WriteMode::Update, self.updateable),
            (WriteMode::Upsert, self.createable && self.updateable && keys.clone().next().is_some()),
            (WriteMode::Delete, self.deletable),
        ];
        let mut stream = Stream::new(&self.name)
            .schema(record_schema(std::iter::once(attributes).chain(schemas), &["Id"]))
            .key(["Id"])
            .writes(writes.into_iter().filter_map(|(mode, allowed)| allowed.then_some(mode)))
            .upsert_keys(keys)
            .batch(COLLECTION.records, COLLECTION.bytes);
        stream.label.clone_from(&self.label);
        let Some(cursor) = self.cursor() else { return stream.reads([ReadMode::Full]) };
        if config.deletions && self.field(DELETED).is_some() {
            stream = stream.deletes(Deletes::Tombstones);
            if self.field(MASTER).is_some() {
                stream = stream.merged_into(MASTER);
            }
        }
        stream.cursor(cursor).reads([ReadMode::Full, ReadMode::Incremental]).lag(READ_LAG, config.look_back())
    }
}

impl Salesforce {
    /// Lists the objects that this user sees, without their fields.
    pub async fn objects(&self, cx: &Context) -> Result<Vec<ObjectDescription>> {
        #[derive(Deserialize)]
        struct Listed {
            sobjects: Vec<ObjectDescription>,
        }
        let answer = self.send(cx, Call::get("list objects"), &["sobjects"]).await?;
        Ok(answer.json::<Listed>()?.sobjects)
    }

    /// Describes one object.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when there is no such object or this user does not see it.
    pub async fn describe_object(&self, cx: &Context, object: &str) -> Result<ObjectDescription> {
        let name = object_name(object)?;
        let resource = ["sobjects", name.as_str(), "describe"];
        match self.send(cx, Call::get("describe object"), &resource).await {
            Err(error) if error.kind() == ErrorKind::NotFound => Err(error.with_field(object)),
            answer => answer?.json(),
        }
    }
}

/// An object's name, which has no path.
pub(crate) fn object_name(object: &str) -> Result<Name> {
    match Name::new(object) {
        Ok(name) if !object.contains('.') => Ok(name),
        _ => Err(Error::config("stream", "not the API name of an object")),
    }
}

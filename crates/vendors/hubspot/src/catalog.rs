//! What an account offers: its objects, their properties, and what can be done with them.

use std::collections::HashSet;

use acople_core::{
    Catalog, Context, Deletes, FieldSchema, Listing, ReadMode, Result, Stream, WriteMode, record_schema,
};
use acople_http::{Call, gather, visible};
use futures_util::{StreamExt, stream};
use serde::Deserialize;
use serde_json::{Value as Json, json};

use crate::HubSpot;
use crate::batch::LIMITS;

/// Objects that are described at the same time.
const DESCRIBED: usize = 4;

/// The objects that every account has.
const STANDARD: [&str; 4] = ["contacts", "companies", "deals", "tickets"];

/// The property that says when a record of an object was changed.
pub(crate) fn changed_property(object: &str) -> &'static str {
    if is_contacts(object) { "lastmodifieddate" } else { "hs_lastmodifieddate" }
}

/// Whether a name means the contacts: by plural, singular or type id.
pub(crate) fn is_contacts(object: &str) -> bool {
    matches!(object, "contacts" | "contact" | "0-1")
}

/// One property of an object, as HubSpot describes it.
#[derive(Deserialize)]
pub(crate) struct Property {
    pub(crate) name: String,
    #[serde(flatten)]
    facts: Json,
}

impl Property {
    fn text(&self, fact: &str) -> Option<&str> {
        self.facts.get(fact)?.as_str()
    }

    fn is(&self, fact: &str) -> bool {
        self.facts.pointer(fact) == Some(&Json::Bool(true))
    }

    /// JSON Schema of the property's value: always a text or null, whatever it means.
    fn schema(&self) -> FieldSchema {
        let kind = self.text("type").unwrap_or("string");
        let schema = FieldSchema::new(&["string", "null"])
            .format((kind == "date").then_some("date").or((kind == "datetime").then_some("date-time")))
            .title(self.text("label"))
            .description(self.text("description"))
            .read_only(self.is("/calculated") || self.is("/modificationMetadata/readOnlyValue"))
            .with("x-hubspot-type", kind)
            .with("x-hubspot-field-type", self.text("fieldType"));
        let options = self.facts.get("options").and_then(Json::as_array).into_iter().flatten();
        let option = |o: &Json| Some(json!({ "const": o.get("value")?.as_str()?, "title": o.get("label") }));
        let mut options: Vec<Json> = options.filter_map(option).collect();
        if options.is_empty() {
            return schema;
        }
        if self.text("fieldType") == Some("checkbox") {
            // Several values in one text, with semicolons between them.
            return schema.with("x-hubspot-options", options);
        }
        options.extend([json!({ "type": "null" }), json!({ "const": "" })]);
        schema.with("oneOf", options)
    }
}

impl HubSpot {
    /// The properties of an object.
    pub(crate) async fn properties(&self, cx: &Context, object: &str) -> Result<Vec<Property>> {
        let call = Call::get("list properties").path(self.path("properties", object));
        self.list(cx, object)?.fetch(call, None).await?.batch.typed().collect()
    }

    /// The objects that the account has defined itself: type id and name for people.
    pub(crate) async fn custom_objects(&self, cx: &Context) -> Result<Vec<(String, String)>> {
        let call = Call::get("list object schemas").path(match self.0.config.api_version.as_str() {
            "v3" => ["crm", "v3", "schemas"],
            release => ["crm-object-schemas", release, "schemas"],
        });
        let schemas = self.list(cx, "schemas")?.fetch(call, None).await?.batch;
        let object = |schema: Json| {
            let text = |at: &str| schema.pointer(at).and_then(Json::as_str);
            let id = text("/objectTypeId").or_else(|| text("/fullyQualifiedName"))?;
            Some((id.to_owned(), text("/labels/plural").unwrap_or(id).to_owned()))
        };
        schemas.typed().filter_map(|schema| schema.map(object).transpose()).collect()
    }

    /// The catalog. Objects that the credentials may not see are left out, unless the config names them.
    pub(crate) async fn catalog(&self, cx: &Context) -> Result<Catalog> {
        let custom = visible(self.custom_objects(cx).await)?.unwrap_or_default();
        let standard = STANDARD.into_iter().map(|object| (object.to_owned(), None, false));
        let named = self.0.config.objects.iter().map(|object| (object.clone(), None, true));
        let custom = custom.into_iter().map(|(object, label)| (object, Some(label), false));
        let mut seen = HashSet::new();
        let all = standard.chain(named).chain(custom).filter(|object| seen.insert(object.0.clone()));
        let all: Vec<_> = all.collect();
        let described = stream::iter(all).map(|(object, label, named)| async move {
            let described = self.stream(cx, &object, label).await;
            if named { described.map(Ok) } else { visible(described) }
        });
        gather(described.buffered(DESCRIBED)).await
    }

    /// One object, as it is now.
    pub(crate) async fn stream(&self, cx: &Context, object: &str, label: Option<String>) -> Result<Stream> {
        let properties = self.properties(cx, object).await?;
        let unique = upsert_keys(object, &properties);
        let mut stream = Stream::new(object)
            .schema(schema(&properties))
            .key(["id"])
            .cursor(&format!("properties.{}", changed_property(object)))
            .reads([ReadMode::Full, ReadMode::Incremental])
            .writes([WriteMode::Insert, WriteMode::Update, WriteMode::Upsert, WriteMode::Delete])
            .upsert_keys(["id"].into_iter().chain(unique.iter().map(String::as_str)))
            .batch(LIMITS.records, LIMITS.bytes)
            .deletes(Deletes::Invisible)
            .lag(self.0.config.look_back(), self.0.config.look_back())
            .listing(Listing::Shifting);
        stream.label = label;
        Ok(stream)
    }
}

/// The properties by which an upsert can find a record, as paths.
pub(crate) fn upsert_keys(object: &str, properties: &[Property]) -> Vec<String> {
    // The e-mail address is unique among contacts although its description does not say so.
    let email = is_contacts(object).then_some("email");
    let unique = properties.iter().filter(|p| p.is("/hasUniqueValue")).map(|p| p.name.as_str());
    // The id is known as a unique property too, but the vendor refuses upserts by it.
    let unique = unique.filter(|name| *name != "hs_object_id" && Some(*name) != email);
    email.into_iter().chain(unique).map(|name| format!("properties.{name}")).collect()
}

fn schema(properties: &[Property]) -> Json {
    let field = |kind| FieldSchema::new(&[kind]).read_only(true);
    let date = || field("string").format(Some("date-time")).into();
    let values = record_schema(properties.iter().map(|p| (p.name.as_str(), p.schema())), &[]);
    let about = [("createdAt", date()), ("updatedAt", date()), ("archived", field("boolean").into())];
    let members = [("id", field("string").into()), ("properties", values)].into_iter().chain(about);
    record_schema(members, &["id", "properties"])
}

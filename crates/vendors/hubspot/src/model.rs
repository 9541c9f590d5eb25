//! The typed API: records of one object, one at a time, with the properties that people use. Values of
//! properties are texts, as HubSpot sends them.

use std::collections::{BTreeMap, HashMap};
use std::marker::PhantomData;
use std::sync::Arc;

use acople_core::json::{self, FieldPath};
use acople_core::{Context, Error, Result};
use acople_http::Call;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::config::check_object;
use crate::{HubSpot, Search};

/// A record: its id, its properties, and what HubSpot keeps about it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Object<P> {
    /// HubSpot's id.
    pub id: String,
    /// The properties that were asked for.
    pub properties: P,
    /// When the record was created, ISO 8601.
    pub created_at: Option<String>,
    /// When the record was changed, ISO 8601.
    pub updated_at: Option<String>,
    /// Whether the record is in the recycle bin.
    #[serde(default)]
    pub archived: bool,
}

/// A type for the properties of an object. Implement it for a struct of your own to ask for other
/// properties than the ready-made types do.
///
/// ```
/// #[derive(serde::Deserialize)]
/// struct Score {
///     hubspotscore: Option<String>,
/// }
///
/// impl acople_hubspot::Model for Score {
///     const PROPERTIES: &'static [&'static str] = &["hubspotscore"];
/// }
/// ```
pub trait Model: DeserializeOwned + Send {
    /// The properties to ask for; empty: HubSpot's default ones.
    const PROPERTIES: &'static [&'static str];
}

/// Properties by name, whatever HubSpot sends.
pub type Properties = BTreeMap<String, Option<String>>;

impl Model for Properties {
    const PROPERTIES: &'static [&'static str] = &[];
}

/// The records of one object, with their properties as a `P`.
#[derive(Clone, Debug)]
pub struct Objects<P = Properties> {
    hub: HubSpot,
    object: Arc<str>,
    properties: PhantomData<fn() -> P>,
}

/// One page of what a search found.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Found<P> {
    /// How many records there are in all, as far as the index knows.
    pub total: u64,
    /// The records of this page.
    pub results: Vec<Object<P>>,
    /// Where the next page begins, for [`Search::after`]; `None` on the last one.
    pub after: Option<String>,
}

impl HubSpot {
    /// The records of any object: `contacts`, `2-123456`, `p_name`.
    pub fn objects<P: Model>(&self, object: impl Into<Arc<str>>) -> Objects<P> {
        Objects { hub: self.clone(), object: object.into(), properties: PhantomData }
    }
}

impl<P: Model> Objects<P> {
    /// The record with an id.
    ///
    /// # Errors
    /// `NotFound` when there is none.
    pub async fn get(&self, cx: &Context, id: &str) -> Result<Object<P>> {
        self.find(cx, id, None).await
    }

    /// The record with a value of a property whose values are unique, such as a contact's `email`.
    ///
    /// # Errors
    /// `NotFound` when there is none.
    pub async fn get_by(&self, cx: &Context, property: &str, value: &str) -> Result<Object<P>> {
        self.find(cx, value, Some(property)).await
    }

    /// Creates a record. What `properties` leaves out keeps its default.
    ///
    /// # Errors
    /// `Conflict` when a unique value is taken, `Invalid` with the fields that HubSpot refuses, `Ambiguous`
    /// when the answer was lost: look for the record before creating it again.
    pub async fn create(&self, cx: &Context, properties: &impl Serialize) -> Result<Object<P>> {
        let call = Call::post("create object").path(self.path()?);
        self.hub.send(cx, &call.json(&HashMap::from([("properties", properties)]))?).await?.json()
    }

    /// Changes properties of a record. What `properties` leaves out stays as it is; an empty text clears.
    ///
    /// # Errors
    /// `NotFound` when there is no such record, `Invalid` with the fields that HubSpot refuses.
    pub async fn update(&self, cx: &Context, id: &str, properties: &impl Serialize) -> Result<Object<P>> {
        let call = self.one(Call::patch("update object"), id)?.repeatable();
        self.hub.send(cx, &call.json(&HashMap::from([("properties", properties)]))?).await?.json()
    }

    /// Puts a record into the recycle bin, where it stays for 90 days.
    pub async fn archive(&self, cx: &Context, id: &str) -> Result<()> {
        let call = self.one(Call::delete("archive object"), id)?.any_content();
        self.hub.send(cx, &call).await.map(drop)
    }

    /// One page of a search.
    ///
    /// # Errors
    /// `Config` for more filters than HubSpot takes.
    pub async fn search(&self, cx: &Context, search: &Search) -> Result<Found<P>> {
        search.check()?;
        let object = check_object("object", &self.object)?;
        let call = self.hub.search_call(object, &search.clone().select_if_none(P::PROPERTIES))?;
        let page = self.hub.send(cx, &call).await?.into_page()?;
        let at = |path: &str| json::get(page.as_str(), &FieldPath::parse(path)?);
        let total = at("total")?.parse::<Option<u64>>()?.unwrap_or_default();
        Ok(Found { total, results: at("results")?.parse()?, after: at("paging.next.after")?.parse()? })
    }

    async fn find(&self, cx: &Context, key: &str, property: Option<&str>) -> Result<Object<P>> {
        let mut call = self.one(Call::get("get object"), key)?;
        if let Some(property) = property {
            call = call.query("idProperty", property);
        }
        if !P::PROPERTIES.is_empty() {
            call = call.query("properties", P::PROPERTIES.join(","));
        }
        self.hub.send(cx, &call).await?.json()
    }

    fn path(&self) -> Result<[&str; 4]> {
        Ok(self.hub.path("objects", check_object("object", &self.object)?))
    }

    fn one(&self, call: Call, id: &str) -> Result<Call> {
        if id.is_empty() {
            // Without it the path would mean all records.
            return Err(Error::config("id", "is empty"));
        }
        Ok(call.path(self.path()?).path([id]))
    }
}

/// A struct of optional texts, those that every object has among them, and the way to its records.
macro_rules! model {
    ($plural:ident $name:ident $about:literal $($field:ident $doc:literal)*) => {
        impl HubSpot {
            #[doc = concat!("The ", stringify!($plural), ".")]
            pub fn $plural(&self) -> Objects<$name> {
                self.objects(stringify!($plural))
            }
        }

        model! { @all $name $about $($field $doc)*
            hubspot_owner_id "Id of the user who owns the record."
            createdate "When the record was created."
        }
    };
    (@all $name:ident $about:literal $($field:ident $doc:literal)*) => {
        #[doc = $about]
        #[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[non_exhaustive]
        pub struct $name {
            $(
                #[doc = $doc]
                #[serde(skip_serializing_if = "Option::is_none")]
                pub $field: Option<String>,
            )*
        }

        impl Model for $name {
            const PROPERTIES: &'static [&'static str] = &[$(stringify!($field)),*];
        }
    };
}

model! { contacts Contact "A person."
    email "The e-mail address, unique in the account; HubSpot keeps it in lower case."
    firstname "Given name."
    lastname "Family name."
    phone "Telephone."
    mobilephone "Mobile telephone."
    company "Name of the employer, as text."
    jobtitle "Title of the job."
    website "Web site."
    address "Street and number."
    city "City."
    state "State or region."
    zip "Postal code."
    country "Country."
    lifecyclestage "Stage in the life of a customer: `subscriber`, `lead`, `customer` ..."
    hs_lead_status "Status as a lead: `NEW`, `OPEN` ..."
    lastmodifieddate "When the record was changed."
}

model! { companies Company "A company."
    name "Name."
    domain "Internet domain; not unique."
    phone "Telephone."
    industry "Industry, one of HubSpot's list."
    description "What it does."
    address "Street and number."
    city "City."
    state "State or region."
    zip "Postal code."
    country "Country."
    numberofemployees "How many work there."
    annualrevenue "Yearly revenue."
    lifecyclestage "Stage in the life of a customer."
    hs_lastmodifieddate "When the record was changed."
}

model! { deals Deal "A deal."
    dealname "Name."
    amount "Amount in the deal's currency, with the digits that were entered."
    deal_currency_code "Currency, ISO 4217."
    pipeline "The pipeline's id."
    dealstage "The stage's id within the pipeline."
    closedate "When it is expected to close, or closed."
    dealtype "`newbusiness` or `existingbusiness`."
    description "What it is about."
    hs_lastmodifieddate "When the record was changed."
}

model! { tickets Ticket "A support ticket."
    subject "What it is about."
    content "The text."
    hs_pipeline "The pipeline's id."
    hs_pipeline_stage "The stage's id within the pipeline."
    hs_ticket_priority "`LOW`, `MEDIUM`, `HIGH`, `URGENT`."
    hs_ticket_category "Category, one of the account's list."
    source_type "Where it came from."
    closed_date "When it was closed."
    hs_lastmodifieddate "When the record was changed."
}

//! The object types that every sandbox portal starts with: the properties people sync.

use super::schema::{ObjectType, Property, PropertyKind};

const STAGES: [&str; 5] = ["subscriber", "lead", "opportunity", "customer", "other"];
const LEAD_STATUS: [&str; 6] =
    ["NEW", "OPEN", "IN_PROGRESS", "ATTEMPTED_TO_CONTACT", "CONNECTED", "UNQUALIFIED"];
const INDUSTRIES: [&str; 5] =
    ["BANKING", "CONSTRUCTION", "COMPUTER_SOFTWARE", "EDUCATION_MANAGEMENT", "FARMING"];

pub(crate) fn object_types() -> Vec<ObjectType> {
    vec![contacts(), companies(), deals(), tickets(), products(), equipment()]
}

fn contacts() -> ObjectType {
    let object = ObjectType::standard("0-1", "contacts", "contact", "lastmodifieddate")
        .shows(&["email", "firstname", "lastname"])
        .defined(Property::text("email").unique().email())
        .defined(Property::enumeration("lifecyclestage", STAGES))
        .defined(Property::enumeration("hs_lead_status", LEAD_STATUS))
        .defined(Property::new("annualrevenue", PropertyKind::Number))
        .defined(Property::new("numemployees", PropertyKind::Number))
        .defined(Property::new("date_of_birth", PropertyKind::Date))
        .defined(Property::new("hs_email_optout", PropertyKind::Boolean))
        .defined(Property::text("hs_full_name_or_email").read_only());
    texts(
        object,
        &[
            "firstname",
            "lastname",
            "phone",
            "mobilephone",
            "company",
            "jobtitle",
            "website",
            "address",
            "city",
            "state",
            "zip",
            "country",
            "industry",
            "leadsource",
            "hubspot_owner_id",
            "message",
        ],
    )
}

fn companies() -> ObjectType {
    let object = ObjectType::standard("0-2", "companies", "company", "hs_lastmodifieddate")
        .shows(&["domain", "name"])
        .defined(Property::enumeration("industry", INDUSTRIES))
        .defined(Property::enumeration("lifecyclestage", STAGES))
        .defined(Property::new("annualrevenue", PropertyKind::Number))
        .defined(Property::new("numberofemployees", PropertyKind::Number));
    texts(
        object,
        &[
            "name",
            "domain",
            "phone",
            "website",
            "address",
            "city",
            "state",
            "zip",
            "country",
            "description",
            "type",
        ],
    )
}

fn deals() -> ObjectType {
    let object = ObjectType::standard("0-3", "deals", "deal", "hs_lastmodifieddate")
        .shows(&["amount", "closedate", "dealname", "dealstage", "pipeline"])
        .defined(Property::new("amount", PropertyKind::Number))
        .defined(Property::new("closedate", PropertyKind::DateTime))
        .defined(Property::enumeration(
            "dealstage",
            ["appointmentscheduled", "qualifiedtobuy", "contractsent", "closedwon", "closedlost"],
        ));
    texts(object, &["dealname", "pipeline", "dealtype", "description", "hubspot_owner_id"])
}

fn tickets() -> ObjectType {
    let object = ObjectType::standard("0-5", "tickets", "ticket", "hs_lastmodifieddate")
        .shows(&["content", "hs_pipeline", "hs_pipeline_stage", "hs_ticket_priority", "subject"])
        .defined(Property::enumeration("hs_ticket_priority", ["LOW", "MEDIUM", "HIGH"]));
    texts(object, &["subject", "content", "hs_pipeline", "hs_pipeline_stage"])
}

fn products() -> ObjectType {
    let object = ObjectType::standard("0-7", "products", "product", "hs_lastmodifieddate")
        .shows(&["description", "name", "price"])
        .defined(Property::new("price", PropertyKind::Number));
    texts(object, &["name", "description", "hs_sku"])
}

/// The example of a custom object.
fn equipment() -> ObjectType {
    ObjectType::custom("2-123456", "equipment")
        .shows(&["name", "serial_number"])
        .property(Property::text("name"))
        .property(Property::text("serial_number").unique())
        .property(Property::new("purchased", PropertyKind::Date))
        .property(Property::new("price", PropertyKind::Number))
        .required("name")
}

fn texts(object: ObjectType, names: &[&str]) -> ObjectType {
    names.iter().fold(object, |object, name| object.defined(Property::text(*name)))
}

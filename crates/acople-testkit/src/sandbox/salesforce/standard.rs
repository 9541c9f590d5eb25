//! The objects that every sandbox org starts with: the fields people sync, with the vendor's lengths.

use serde_json::{Value, json};

use super::{
    super::Record,
    schema::{Field, FieldKind, Object},
};

const LEAD_SOURCES: [&str; 5] = ["Web", "Phone Inquiry", "Partner Referral", "Purchased List", "Other"];
const INDUSTRIES: [&str; 8] = [
    "Agriculture",
    "Banking",
    "Construction",
    "Consulting",
    "Education",
    "Healthcare",
    "Manufacturing",
    "Technology",
];
const RATINGS: [&str; 3] = ["Hot", "Warm", "Cold"];

pub(crate) fn objects() -> Vec<Object> {
    vec![lead(), contact(), account(), opportunity(), case(), invoice()]
}

fn lead() -> Object {
    let object = person(Object::new("Lead", "00Q"))
        .field(Field::text("Company", 255).required())
        .field(Field::text("Title", 128))
        .field(Field::new("Website", FieldKind::Url))
        .field(Field::picklist("LeadSource", LEAD_SOURCES))
        .field(
            Field::picklist(
                "Status",
                [
                    "Open - Not Contacted",
                    "Working - Contacted",
                    "Closed - Converted",
                    "Closed - Not Converted",
                ],
            )
            .required()
            .default_value("Open - Not Contacted"),
        )
        .field(Field::picklist("Industry", INDUSTRIES))
        .field(Field::picklist("Rating", RATINGS))
        .field(Field::new("AnnualRevenue", FieldKind::Currency(0)))
        .field(Field::new("NumberOfEmployees", FieldKind::Int))
        .field(Field::new("IsConverted", FieldKind::Boolean).read_only())
        .field(Field::new("AnnualSpend__c", FieldKind::Currency(2)))
        .field(Field::new("Score__c", FieldKind::Double(2)))
        .field(Field::new("ConsentDate__c", FieldKind::Date))
        .field(Field::new("LastWebVisit__c", FieldKind::DateTime))
        .field(Field::text("LegacyKey__c", 40).external_id())
        .field(
            Field::text("DisplayName__c", 1_300)
                .formula(|row| json!(format!("{} ({})", text(row, "Name"), text(row, "Company")))),
        );
    hubspot_id(address(object, ""))
}

fn contact() -> Object {
    let object = person(Object::new("Contact", "003"))
        .field(Field::reference("AccountId", "Account", "Account"))
        .field(Field::text("Title", 128))
        .field(Field::text("Department", 80))
        .field(Field::new("Birthdate", FieldKind::Date))
        .field(Field::picklist("LeadSource", LEAD_SOURCES));
    hubspot_id(address(object, "Mailing"))
}

fn account() -> Object {
    let object = Object::new("Account", "001")
        .field(Field::text("Name", 255).required())
        .field(Field::reference("ParentId", "Account", "Parent"))
        .field(Field::new("Phone", FieldKind::Phone))
        .field(Field::new("Website", FieldKind::Url))
        .field(Field::text("AccountNumber", 40))
        .field(Field::picklist(
            "Type",
            ["Prospect", "Customer - Direct", "Customer - Channel", "Partner", "Other"],
        ))
        .field(Field::picklist("Industry", INDUSTRIES))
        .field(Field::picklist("Rating", RATINGS))
        .field(Field::new("AnnualRevenue", FieldKind::Currency(0)))
        .field(Field::new("NumberOfEmployees", FieldKind::Int))
        .field(Field::new("Description", FieldKind::LongTextArea))
        .field(Field::new(
            "Tier__c",
            FieldKind::Picklist {
                values: ["Gold", "Silver", "Bronze"].map(str::to_owned).into(),
                restricted: true,
            },
        ))
        .field(Field::text("QuickBooks_Id__c", 40).external_id().unique());
    hubspot_id(address(object, "Billing"))
}

fn opportunity() -> Object {
    hubspot_id(
        Object::new("Opportunity", "006")
            .field(Field::text("Name", 120).required())
            .field(Field::reference("AccountId", "Account", "Account"))
            .field(
                Field::picklist(
                    "StageName",
                    ["Prospecting", "Qualification", "Proposal", "Closed Won", "Closed Lost"],
                )
                .required(),
            )
            .field(Field::new("CloseDate", FieldKind::Date).required())
            .field(Field::new("Amount", FieldKind::Currency(2)))
            .field(Field::new("Probability", FieldKind::Double(0)))
            .field(Field::picklist("LeadSource", LEAD_SOURCES))
            .field(Field::new("Description", FieldKind::LongTextArea)),
    )
}

fn case() -> Object {
    hubspot_id(
        Object::new("Case", "500")
            .field(Field::text("Subject", 255))
            .field(Field::reference("AccountId", "Account", "Account"))
            .field(Field::reference("ContactId", "Contact", "Contact"))
            .field(
                Field::picklist("Status", ["New", "Working", "Escalated", "Closed"])
                    .required()
                    .default_value("New"),
            )
            .field(Field::picklist("Priority", ["High", "Medium", "Low"]).default_value("Medium"))
            .field(Field::picklist("Origin", ["Phone", "Email", "Web"]))
            .field(Field::new("SuppliedEmail", FieldKind::Email))
            .field(Field::new("Description", FieldKind::LongTextArea)),
    )
}

fn invoice() -> Object {
    Object::new("Invoice__c", "a00")
        .field(Field::text("Name", 80).required())
        .field(Field::reference("Account__c", "Account", "Account__r"))
        .field(Field::new("Amount__c", FieldKind::Currency(2)))
        .field(Field::new("DueDate__c", FieldKind::Date))
        .field(Field::new("Paid__c", FieldKind::Boolean))
        .field(Field::text("InvoiceNumber__c", 40).external_id().unique().required())
}

fn person(object: Object) -> Object {
    object
        .field(Field::text("LastName", 80).required())
        .field(Field::text("FirstName", 40))
        .field(Field::picklist("Salutation", ["Mr.", "Ms.", "Dr.", "Prof."]).length(40))
        .field(Field::text("Name", 121).formula(|row| {
            let names = [text(row, "FirstName"), text(row, "LastName")];
            json!(names.into_iter().filter(|name| !name.is_empty()).collect::<Vec<_>>().join(" "))
        }))
        .field(Field::new("Email", FieldKind::Email))
        .field(Field::new("Phone", FieldKind::Phone))
        .field(Field::new("MobilePhone", FieldKind::Phone))
        .field(Field::new("HasOptedOutOfEmail", FieldKind::Boolean))
        .field(Field::new("DoNotCall", FieldKind::Boolean))
        .field(Field::new("Description", FieldKind::LongTextArea))
}

fn address(object: Object, prefix: &str) -> Object {
    let formula = match prefix {
        "" => |row: &Record| compound(row, ""),
        "Mailing" => |row: &Record| compound(row, "Mailing"),
        _ => |row: &Record| compound(row, "Billing"),
    };
    object
        .field(Field::new(format!("{prefix}Street"), FieldKind::TextArea))
        .field(Field::text(format!("{prefix}City"), 40))
        .field(Field::text(format!("{prefix}State"), 80))
        .field(Field::text(format!("{prefix}PostalCode"), 20))
        .field(Field::text(format!("{prefix}Country"), 80))
        .field(Field::new(format!("{prefix}Address"), FieldKind::Address).formula(formula))
}

fn hubspot_id(object: Object) -> Object {
    object.field(Field::text("HubSpot_Id__c", 40).external_id().unique())
}

fn compound(row: &Record, prefix: &str) -> Value {
    let parts =
        ["Street", "City", "State", "PostalCode", "Country"].map(|part| row.get(&format!("{prefix}{part}")));
    if parts.iter().all(Option::is_none) {
        return Value::Null;
    }
    let [street, city, state, postal_code, country] = parts;
    json!({"street": street, "city": city, "state": state, "postalCode": postal_code, "country": country})
}

fn text<'r>(row: &'r Record, field: &str) -> &'r str {
    row.get(field).and_then(Value::as_str).unwrap_or_default()
}

//! What the org tells about its objects and fields.

use serde_json::{Value, json};

use super::schema::{Field, FieldKind, Object};

/// One line of the object list.
pub(crate) fn summary(object: &Object, version: &str) -> Value {
    let base = format!("/services/data/{version}/sobjects/{}", object.name);
    json!({
        "name": object.name,
        "label": object.label,
        "labelPlural": format!("{}s", object.label),
        "keyPrefix": object.key_prefix,
        "custom": object.is_custom(),
        "createable": true,
        "updateable": true,
        "deletable": true,
        "queryable": true,
        "replicateable": true,
        "retrieveable": true,
        "searchable": true,
        "undeletable": true,
        "urls": {
            "sobject": base,
            "describe": format!("{base}/describe"),
            "rowTemplate": format!("{base}/{{ID}}"),
        },
    })
}

/// The full description of an object.
pub(crate) fn object(object: &Object, version: &str) -> Value {
    let mut description = summary(object, version);
    let fields: Vec<Value> = object.fields().iter().map(field).collect();
    if let Some(map) = description.as_object_mut() {
        map.insert("fields".into(), Value::Array(fields));
        map.insert("childRelationships".into(), json!([]));
        map.insert("recordTypeInfos".into(), json!([]));
    }
    description
}

fn field(field: &Field) -> Value {
    let (kind, soap) = types(field);
    let (precision, scale) = match field.kind {
        FieldKind::Double(scale) | FieldKind::Currency(scale) => (18, scale),
        _ => (0, 0),
    };
    let (values, restricted) = match &field.kind {
        FieldKind::Picklist { values, restricted } => (values.as_slice(), *restricted),
        _ => (&[][..], false),
    };
    let (reference_to, relationship) = match &field.kind {
        FieldKind::Reference { to, relationship } => (vec![to.as_str()], Some(relationship.as_str())),
        _ => (Vec::new(), None),
    };
    let picklist: Vec<Value> = values
        .iter()
        .map(|value| {
            let default = field.default.as_ref().and_then(Value::as_str) == Some(value);
            json!({"active": true, "defaultValue": default, "label": value, "validFor": null, "value": value})
        })
        .collect();
    let never_null = field.required
        || matches!(field.kind, FieldKind::Id | FieldKind::Boolean)
        || matches!(field.name.as_str(), "CreatedDate" | "LastModifiedDate" | "SystemModstamp" | "OwnerId");
    json!({
        "name": field.name,
        "label": field.label,
        "type": kind,
        "soapType": soap,
        "length": field.length,
        "byteLength": field.length * 3,
        "precision": precision,
        "scale": scale,
        "digits": if field.kind == FieldKind::Int { 8 } else { 0 },
        "nillable": !never_null,
        "createable": field.writable,
        "updateable": field.writable,
        "calculated": field.formula.is_some() && field.is_custom(),
        "defaultedOnCreate": field.default.is_some() || field.kind == FieldKind::Boolean || field.kind == FieldKind::Id,
        "defaultValue": field.default,
        "custom": field.is_custom(),
        "externalId": field.external_id,
        "unique": field.unique,
        "idLookup": field.external_id || field.kind == FieldKind::Id,
        "caseSensitive": false,
        "nameField": field.name == "Name",
        "filterable": field.is_filterable(),
        "sortable": field.is_filterable(),
        "groupable": field.is_filterable(),
        "restrictedPicklist": restricted,
        "picklistValues": picklist,
        "referenceTo": reference_to,
        "relationshipName": relationship,
    })
}

fn types(field: &Field) -> (&'static str, &'static str) {
    match field.kind {
        FieldKind::Id => ("id", "tns:ID"),
        FieldKind::Text => ("string", "xsd:string"),
        FieldKind::TextArea | FieldKind::LongTextArea => ("textarea", "xsd:string"),
        FieldKind::Email => ("email", "xsd:string"),
        FieldKind::Phone => ("phone", "xsd:string"),
        FieldKind::Url => ("url", "xsd:string"),
        FieldKind::Picklist { .. } => ("picklist", "xsd:string"),
        FieldKind::Boolean => ("boolean", "xsd:boolean"),
        FieldKind::Int => ("int", "xsd:int"),
        FieldKind::Double(_) => ("double", "xsd:double"),
        FieldKind::Currency(_) => ("currency", "xsd:double"),
        FieldKind::Date => ("date", "xsd:date"),
        FieldKind::DateTime => ("datetime", "xsd:dateTime"),
        FieldKind::Reference { .. } => ("reference", "tns:ID"),
        FieldKind::Address => ("address", "urn:address"),
    }
}

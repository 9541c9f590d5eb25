//! Properties, and the schemas of custom objects.

use http::StatusCode;
use serde_json::{Value, json};

use super::{
    super::call::{Answer, Call},
    errors::Refusal,
    objects::json,
    portal::Portal,
    schema::Property,
};

/// `GET properties/{type}`
pub(crate) fn list(portal: &Portal, kind: &str) -> Result<Answer, Refusal> {
    let properties: Vec<Value> =
        portal.known_shelf(kind)?.kind.properties.values().map(Property::describe).collect();
    Ok(Answer::json(StatusCode::OK, &json!({"results": properties})))
}

/// `GET properties/{type}/{name}`
pub(crate) fn get(portal: &Portal, kind: &str, name: &str) -> Result<Answer, Refusal> {
    let property = portal.known_shelf(kind)?.kind.properties.get(name).ok_or_else(Refusal::missing)?;
    Ok(Answer::json(StatusCode::OK, &property.describe()))
}

/// `POST properties/{type}`
pub(crate) fn create(portal: &mut Portal, call: &Call, kind: &str) -> Result<Answer, Refusal> {
    let property = Property::from_json(&json(call)?).map_err(Refusal::validation)?;
    if portal.known_shelf(kind)?.kind.properties.contains_key(&property.name) {
        let message = format!("A property named '{}' already exists.", property.name);
        return Err(Refusal::new(StatusCode::CONFLICT, "OBJECT_ALREADY_EXISTS", message));
    }
    let description = property.describe();
    portal.alter(kind, |object| {
        object.properties.insert(property.name.clone(), property);
    });
    Ok(Answer::json(StatusCode::CREATED, &description))
}

/// `DELETE properties/{type}/{name}`
pub(crate) fn delete(portal: &mut Portal, kind: &str, name: &str) -> Result<Answer, Refusal> {
    let property = portal.known_shelf(kind)?.kind.properties.get(name).ok_or_else(Refusal::missing)?;
    if property.hubspot_defined {
        return Err(Refusal::validation("properties of HubSpot can not be archived"));
    }
    portal.alter(kind, |object| drop(object.properties.remove(name)));
    Ok(Answer::empty(StatusCode::NO_CONTENT))
}

/// `GET schemas`
pub(crate) fn schemas(portal: &Portal) -> Answer {
    let custom = portal.shelves().filter(|shelf| shelf.kind.is_custom());
    let results: Vec<Value> = custom.map(|shelf| shelf.kind.describe()).collect();
    Answer::json(StatusCode::OK, &json!({"results": results}))
}

/// `GET schemas/{type}`
pub(crate) fn schema(portal: &Portal, kind: &str) -> Result<Answer, Refusal> {
    let shelf = portal.shelf(kind).ok_or_else(Refusal::missing)?;
    Ok(Answer::json(StatusCode::OK, &shelf.kind.describe()))
}

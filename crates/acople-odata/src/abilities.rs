//! What an entity set allows: by which fields it can be paged, and which of them tells the last change.

use std::collections::BTreeSet;
use std::time::Duration;

use acople_core::json::FieldPath;
use acople_core::{Error, ErrorKind, Result};

use crate::edm::{EntitySet, Model, Property};
use crate::literal::Primitive;
use crate::{Options, Protocol};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// What the metadata and the options say about reading an entity set.
pub(crate) struct Abilities<'a> {
    pub(crate) keys: Vec<&'a Property>,
    pub(crate) change: Option<&'a Property>,
    /// Whether pages can be asked for by key.
    pub(crate) keyset: bool,
    /// Whether the keys can be sorted by.
    pub(crate) sorted: bool,
}

pub(crate) fn abilities<'a>(model: &'a Model, set: &EntitySet, options: &Options) -> Abilities<'a> {
    let keys = model.keys(&set.type_name);
    let sorted = !keys.is_empty() && keys.iter().all(|key| set.can_sort(key));
    let ordered = keys.iter().all(|key| set.can_filter(key) && key.primitive().is_ordered(options.protocol));
    // More than one key needs `or`, which OData 2.0 services cannot be trusted with.
    let keyset = options.keyset && sorted && ordered && (keys.len() == 1 || options.protocol == Protocol::V4);
    let properties = model.properties(&set.type_name);
    let usable = |p: &Property| set.can_filter(p) && set.can_sort(p) && p.primitive().is_change_field();
    let change = match options.change_fields.get(&set.name) {
        Some(name) => properties.iter().find(|p| p.name == *name && usable(p)),
        None => options.change_names.iter().find_map(|name| {
            let named = |p: &Property| p.name.eq_ignore_ascii_case(name) && p.primitive().is_temporal();
            properties.iter().find(|p| named(p) && usable(p))
        }),
    };
    Abilities { keys, change: change.copied(), keyset, sorted }
}

/// Checks that the fields of `change_fields` exist and can be filtered and sorted by.
pub(crate) fn check_change_fields(model: &Model, options: &Options) -> Result<()> {
    for (set_name, field) in &options.change_fields {
        let path = format!("change_fields.{set_name}");
        let Some(set) = model.set(set_name) else {
            return Err(Error::config(path, "the service has no such entity set"));
        };
        if abilities(model, set, options).change.is_none() {
            let message = format!("{field} is no field that this set can be filtered and sorted by");
            return Err(Error::config(path, message));
        }
    }
    Ok(())
}

/// The `$select` of the fields asked for, with those that the listing needs. The service's own names only.
pub(crate) fn select(
    model: &Model,
    set: &EntitySet,
    fields: &[String],
    keys: &[&Property],
    change: Option<&Property>,
) -> Result<String> {
    let properties = model.properties(&set.type_name);
    let mut names: Vec<&str> = keys.iter().copied().chain(change).map(|p| p.name.as_str()).collect();
    for field in fields {
        let path = FieldPath::parse(field)
            .map_err(|e| Error::from(e).with_kind(ErrorKind::Config).with_field(field))?;
        let first = path.segments().first().map(|s| &**s).unwrap_or_default();
        let Some(property) = properties.iter().find(|p| p.name == first) else {
            return Err(Error::config(field, format!("{} has no such field", set.name)));
        };
        names.push(&property.name);
    }
    let mut seen = BTreeSet::new();
    names.retain(|name| seen.insert(*name));
    Ok(names.join(","))
}

/// How far an incremental read goes back: a day at least where a field shows days only.
pub(crate) fn look_back(change: &Property, options: &Options) -> Duration {
    match change.primitive() {
        Primitive::Date => options.look_back.max(DAY),
        primitive if primitive.is_temporal() => options.look_back,
        _ => Duration::ZERO,
    }
}

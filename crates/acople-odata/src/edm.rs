//! The entity data model of a service: what its `$metadata` says, in the shape of both versions.

use std::collections::BTreeMap;

use crate::Protocol;
use crate::literal::Primitive;

/// Base types followed from a type before the model is taken for a circle.
const LONGEST_CHAIN: usize = 32;

#[derive(Debug, Default)]
pub(crate) struct Model {
    pub(crate) sets: Vec<EntitySet>,
    /// Entity and complex types by qualified name.
    pub(crate) types: BTreeMap<String, StructuredType>,
    /// Members of enumerations by qualified name; `None` where several may be set at once.
    pub(crate) enums: BTreeMap<String, Option<Vec<String>>>,
}

#[derive(Debug)]
#[allow(clippy::struct_excessive_bools)] // each is an annotation of its own
pub(crate) struct EntitySet {
    pub(crate) name: String,
    pub(crate) type_name: String,
    pub(crate) label: Option<String>,
    /// False when the set can only be reached from another one, or only with a filter.
    pub(crate) readable: bool,
    pub(crate) topable: bool,
    pub(crate) filterable: bool,
    pub(crate) sortable: bool,
    pub(crate) unfilterable: Vec<String>,
    pub(crate) unsortable: Vec<String>,
}

#[derive(Debug, Default)]
pub(crate) struct StructuredType {
    pub(crate) base: Option<String>,
    pub(crate) keys: Vec<String>,
    pub(crate) properties: Vec<Property>,
}

#[derive(Clone, Debug)]
#[allow(clippy::struct_excessive_bools)] // each is a facet of its own
pub(crate) struct Property {
    pub(crate) name: String,
    /// Qualified; without `Collection(...)` around it.
    pub(crate) type_name: String,
    pub(crate) collection: bool,
    pub(crate) nullable: bool,
    pub(crate) max_length: Option<u32>,
    pub(crate) precision: Option<u32>,
    pub(crate) label: Option<String>,
    pub(crate) filterable: bool,
    pub(crate) sortable: bool,
    /// `sap:display-format="Date"`: an `Edm.DateTime` whose time is always midnight.
    pub(crate) date_only: bool,
}

impl Property {
    pub(crate) fn primitive(&self) -> Primitive {
        match Primitive::named(&self.type_name) {
            _ if self.collection => Primitive::Other,
            Primitive::DateTime if self.date_only => Primitive::Date,
            primitive => primitive,
        }
    }

    /// Whether JSON shows the value to its last digit. OData 2.0 writes times in milliseconds, and
    /// services keep finer ones unless their precision says otherwise.
    pub(crate) fn is_exact(&self, protocol: Protocol) -> bool {
        protocol == Protocol::V4
            || !matches!(self.primitive(), Primitive::DateTime | Primitive::DateTimeOffset)
            || self.precision.is_some_and(|digits| digits <= 3)
    }
}

impl EntitySet {
    pub(crate) fn new(name: String, type_name: String) -> Self {
        Self {
            name,
            type_name,
            label: None,
            readable: true,
            topable: true,
            filterable: true,
            sortable: true,
            unfilterable: Vec::new(),
            unsortable: Vec::new(),
        }
    }

    pub(crate) fn can_filter(&self, property: &Property) -> bool {
        self.filterable && property.filterable && !self.unfilterable.contains(&property.name)
    }

    pub(crate) fn can_sort(&self, property: &Property) -> bool {
        self.sortable && property.sortable && !self.unsortable.contains(&property.name)
    }
}

impl Model {
    pub(crate) fn set(&self, name: &str) -> Option<&EntitySet> {
        self.sets.iter().find(|set| set.name == name)
    }

    /// The type and its base types, the innermost base first.
    fn chain(&self, type_name: &str) -> Vec<&StructuredType> {
        let mut chain = Vec::new();
        let mut next = self.types.get(type_name);
        while let Some(found) = next
            && chain.len() < LONGEST_CHAIN
        {
            chain.push(found);
            next = found.base.as_ref().and_then(|base| self.types.get(base));
        }
        chain.reverse();
        chain
    }

    /// The properties of a type, inherited ones first.
    pub(crate) fn properties(&self, type_name: &str) -> Vec<&Property> {
        self.chain(type_name).into_iter().flat_map(|t| &t.properties).collect()
    }

    /// The key's properties, wherever in the chain of base types the key is declared.
    pub(crate) fn keys(&self, type_name: &str) -> Vec<&Property> {
        let chain = self.chain(type_name);
        let names = chain.iter().map(|t| &t.keys).find(|keys| !keys.is_empty());
        let properties = self.properties(type_name);
        let found: Option<Vec<&Property>> = names
            .into_iter()
            .flatten()
            .map(|name| properties.iter().find(|p| p.name == *name).copied())
            .collect();
        // A key inside a complex property is not one that a record shows by name.
        found.unwrap_or_default()
    }
}

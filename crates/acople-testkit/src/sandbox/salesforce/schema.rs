//! Objects and fields, as describe tells them.

use std::collections::HashMap;

use serde_json::Value;

use super::super::Record;

/// What a field holds.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum FieldKind {
    /// The record's own id.
    Id,
    /// One line of text.
    Text,
    /// Several lines of text, up to 255 characters.
    TextArea,
    /// Several lines of text that queries can not filter or sort by.
    LongTextArea,
    /// An e-mail address.
    Email,
    /// A phone number, unchecked.
    Phone,
    /// A web address, unchecked.
    Url,
    /// One of a list of values; `restricted` refuses others.
    Picklist {
        /// The values offered.
        values: Vec<String>,
        /// Whether other values are refused.
        restricted: bool,
    },
    /// True or false, never null.
    Boolean,
    /// A whole number.
    Int,
    /// A number with this many decimal places.
    Double(u8),
    /// An amount with this many decimal places.
    Currency(u8),
    /// A calendar day, `2026-01-02`.
    Date,
    /// An instant in UTC with milliseconds, `2026-01-02T03:04:05.000+0000`.
    DateTime,
    /// The id of a record of another object.
    Reference {
        /// The other object; one that the sandbox does not have is not checked.
        to: String,
        /// The name that leads to the other record in queries.
        relationship: String,
    },
    /// A compound of address fields.
    Address,
}

pub(crate) type Formula = fn(&Record) -> Value;

/// A field of an object.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts, as describe tells them")]
pub struct Field {
    pub(crate) name: String,
    pub(crate) label: String,
    pub(crate) kind: FieldKind,
    pub(crate) length: usize,
    pub(crate) required: bool,
    pub(crate) external_id: bool,
    pub(crate) unique: bool,
    pub(crate) writable: bool,
    pub(crate) default: Option<Value>,
    pub(crate) formula: Option<Formula>,
}

impl Field {
    /// A field that may be written, may be null, and has the usual length of its kind.
    pub fn new(name: impl Into<String>, kind: FieldKind) -> Self {
        let name = name.into();
        let length = match &kind {
            FieldKind::Id | FieldKind::Reference { .. } => 18,
            FieldKind::Text | FieldKind::TextArea | FieldKind::Url | FieldKind::Picklist { .. } => 255,
            FieldKind::LongTextArea => 32_000,
            FieldKind::Email => 80,
            FieldKind::Phone => 40,
            _ => 0,
        };
        let label = name.trim_end_matches("__c").replace('_', " ");
        Self {
            name,
            label,
            kind,
            length,
            required: false,
            external_id: false,
            unique: false,
            writable: true,
            default: None,
            formula: None,
        }
    }

    /// A line of text of at most `length` characters.
    pub fn text(name: impl Into<String>, length: usize) -> Self {
        Self::new(name, FieldKind::Text).length(length)
    }

    /// A list of values, open to others.
    pub fn picklist<'v>(name: impl Into<String>, values: impl IntoIterator<Item = &'v str>) -> Self {
        let values = values.into_iter().map(str::to_owned).collect();
        Self::new(name, FieldKind::Picklist { values, restricted: false })
    }

    /// The id of a record of another object.
    pub fn reference(
        name: impl Into<String>,
        to: impl Into<String>,
        relationship: impl Into<String>,
    ) -> Self {
        Self::new(name, FieldKind::Reference { to: to.into(), relationship: relationship.into() })
    }

    /// The most characters the field takes.
    pub fn length(mut self, characters: usize) -> Self {
        self.length = characters;
        self
    }

    /// Refuses records without a value.
    pub fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// Lets upserts find records by this field.
    pub fn external_id(mut self) -> Self {
        self.external_id = true;
        self
    }

    /// Refuses a value that another record has; the comparison ignores case.
    pub fn unique(mut self) -> Self {
        self.unique = true;
        self
    }

    /// Refuses every attempt to write the field.
    pub fn read_only(mut self) -> Self {
        self.writable = false;
        self
    }

    /// The value of new records that bring none.
    pub fn default_value(mut self, value: impl Into<Value>) -> Self {
        self.default = Some(value.into());
        self
    }

    /// Computes the field from the others at each write.
    pub(crate) fn formula(mut self, formula: Formula) -> Self {
        self.formula = Some(formula);
        self.read_only()
    }

    pub(crate) fn is_custom(&self) -> bool {
        self.name.ends_with("__c")
    }

    /// Whether records are found by this field: kept in an index.
    pub(crate) fn is_key(&self) -> bool {
        self.external_id || self.unique
    }

    pub(crate) fn is_text(&self) -> bool {
        matches!(
            self.kind,
            FieldKind::Text
                | FieldKind::TextArea
                | FieldKind::LongTextArea
                | FieldKind::Email
                | FieldKind::Phone
                | FieldKind::Url
                | FieldKind::Picklist { .. }
        )
    }

    pub(crate) fn is_number(&self) -> bool {
        matches!(self.kind, FieldKind::Int | FieldKind::Double(_) | FieldKind::Currency(_))
    }

    pub(crate) fn is_filterable(&self) -> bool {
        !matches!(self.kind, FieldKind::LongTextArea | FieldKind::Address)
    }
}

/// An object: a table of records.
#[derive(Debug, Clone)]
pub struct Object {
    pub(crate) name: String,
    pub(crate) label: String,
    pub(crate) key_prefix: String,
    fields: Vec<Field>,
    positions: HashMap<String, usize>,
}

impl Object {
    /// An object with the system fields that every object has. `key_prefix` are the three characters its ids begin with.
    pub fn new(name: impl Into<String>, key_prefix: impl Into<String>) -> Self {
        let name = name.into();
        let object = Self {
            label: name.trim_end_matches("__c").replace('_', " "),
            name,
            key_prefix: key_prefix.into(),
            fields: Vec::new(),
            positions: HashMap::new(),
        };
        object
            .field(Field::new("Id", FieldKind::Id).read_only())
            .field(Field::new("IsDeleted", FieldKind::Boolean).read_only())
            .field(Field::new("CreatedDate", FieldKind::DateTime).read_only())
            .field(Field::reference("CreatedById", "User", "CreatedBy").read_only())
            .field(Field::new("LastModifiedDate", FieldKind::DateTime).read_only())
            .field(Field::reference("LastModifiedById", "User", "LastModifiedBy").read_only())
            .field(Field::new("SystemModstamp", FieldKind::DateTime).read_only())
            .field(Field::reference("OwnerId", "User", "Owner").default_value(super::USER_ID))
    }

    /// With one more field, or with a field of that name replaced.
    pub fn field(mut self, field: Field) -> Self {
        self.set_field(field);
        self
    }

    pub(crate) fn set_field(&mut self, field: Field) {
        let known = self.positions.get(&field.name.to_lowercase()).copied();
        if let Some(old) = known.and_then(|position| self.fields.get_mut(position)) {
            *old = field;
        } else {
            self.fields.push(field);
        }
        self.index();
    }

    pub(crate) fn remove_field(&mut self, name: &str) {
        self.fields.retain(|field| !field.name.eq_ignore_ascii_case(name));
        self.index();
    }

    /// Names as they are written and in lower case: most callers write them as the schema does.
    fn index(&mut self) {
        self.positions.clear();
        for (position, field) in self.fields.iter().enumerate() {
            self.positions.insert(field.name.to_lowercase(), position);
            self.positions.insert(field.name.clone(), position);
        }
    }

    /// A field by name, in any case.
    pub(crate) fn find(&self, name: &str) -> Option<&Field> {
        let position = self.positions.get(name).or_else(|| self.positions.get(&name.to_lowercase()))?;
        self.fields.get(*position)
    }

    /// The reference field whose relationship has this name.
    pub(crate) fn find_relationship(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| {
            matches!(&field.kind, FieldKind::Reference { relationship, .. } if relationship.eq_ignore_ascii_case(name))
        })
    }

    pub(crate) fn fields(&self) -> &[Field] {
        &self.fields
    }

    pub(crate) fn is_custom(&self) -> bool {
        self.name.ends_with("__c")
    }
}

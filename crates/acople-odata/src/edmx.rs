//! Reads `$metadata`: EDMX 1.0 with SAP's annotations, the usual ones of OData 2.0, and 4.0 with vocabularies.
//!
//! Only predefined entities are resolved, a document type is refused, and size, depth and number of
//! elements are bounded: the document comes from outside.

use acople_core::{Error, ErrorKind, Result};
use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, XmlVersion};

use crate::Protocol;
use crate::edm::{EntitySet, Model, Property, StructuredType};
use crate::service::speaks;

const MAX_BYTES: usize = 32 << 20;
const MAX_DEPTH: usize = 64;
const MAX_ELEMENTS: usize = 1_000_000;

/// The model that a metadata document describes.
///
/// # Errors
/// `Protocol` when it is no metadata, `Config` on `protocol` when it is of the other version, `TooLarge`
/// beyond the bounds.
pub(crate) fn parse(text: &str, protocol: Protocol) -> Result<Model> {
    if text.len() > MAX_BYTES {
        return Err(Error::new(ErrorKind::TooLarge, "the metadata is larger than 32 MiB"));
    }
    let mut reader = Reader::from_str(text);
    let mut parser = Parser { protocol, ..Parser::default() };
    let mut elements: usize = 0;
    loop {
        let event = reader.read_event().map_err(|e| broken(reader.error_position()).with_source(e))?;
        match event {
            Event::Start(start) => {
                parser.open(&start)?;
                elements = elements.saturating_add(1);
            }
            Event::Empty(start) => {
                parser.open(&start)?;
                parser.close()?;
                elements = elements.saturating_add(1);
            }
            Event::End(_) => parser.close()?,
            Event::Text(text) => parser.text.push_str(&text.xml10_content()),
            Event::DocType(_) => {
                return Err(Error::new(ErrorKind::Protocol, "the metadata has a document type: refused"));
            }
            Event::Eof => break,
            _ => {}
        }
        if elements > MAX_ELEMENTS {
            return Err(Error::new(ErrorKind::TooLarge, "the metadata has more than a million elements"));
        }
    }
    parser.finish()
}

fn broken(position: u64) -> Error {
    Error::new(ErrorKind::Protocol, format!("the metadata is not well-formed XML at byte {position}"))
}

/// An annotation as it was found: its target is perhaps declared later.
struct Note {
    target: String,
    term: String,
    /// The member of the annotation's record; empty for the annotation itself.
    member: String,
    value: String,
}

#[derive(Default)]
struct Parser {
    protocol: Protocol,
    model: Model,
    /// Local names of the elements that are open.
    path: Vec<String>,
    aliases: Vec<(String, String)>,
    namespace: String,
    schemas: usize,
    structured: Option<(String, StructuredType)>,
    enumeration: Option<(String, Vec<String>, bool)>,
    /// What the annotations that are open now are about, the innermost last.
    targets: Vec<String>,
    terms: Vec<String>,
    members: Vec<String>,
    notes: Vec<Note>,
    text: String,
}

impl Parser {
    fn open(&mut self, start: &BytesStart<'_>) -> Result<()> {
        if self.path.len() >= MAX_DEPTH {
            return Err(Error::new(
                ErrorKind::TooLarge,
                format!("the metadata nests {MAX_DEPTH} levels deep"),
            ));
        }
        let name = start.local_name().as_ref().to_owned();
        let parent = self.path.last().map(String::as_str).unwrap_or_default();
        let attributes = Attributes::read(start)?;
        self.text.clear();
        match name.as_str() {
            "Edmx" => self.version(&attributes)?,
            "Schema" => {
                self.schemas = self.schemas.saturating_add(1);
                self.namespace = attributes.text("Namespace");
                if let Some(alias) = attributes.get("Alias") {
                    self.aliases.push((alias.to_owned(), self.namespace.clone()));
                }
            }
            "EntityType" | "ComplexType" => {
                let found = StructuredType {
                    base: attributes.get("BaseType").map(str::to_owned),
                    ..StructuredType::default()
                };
                self.structured = Some((self.qualified(&attributes.text("Name")), found));
            }
            "PropertyRef" if parent == "Key" => {
                if let Some((_, found)) = &mut self.structured {
                    found.keys.push(attributes.text("Name"));
                }
            }
            "Property" => {
                if let Some((type_name, found)) = &mut self.structured {
                    let property = property(&attributes);
                    self.targets.push(format!("{type_name}/{}", property.name));
                    found.properties.push(property);
                } else {
                    self.targets.push(String::new());
                }
            }
            "EnumType" => {
                let flags = attributes.get("IsFlags") == Some("true");
                self.enumeration = Some((self.qualified(&attributes.text("Name")), Vec::new(), flags));
            }
            "Member" => {
                if let Some((_, members, _)) = &mut self.enumeration {
                    members.push(attributes.text("Name"));
                }
            }
            "EntitySet" => {
                let set = entity_set(&attributes);
                self.targets.push(format!("/{}", set.name));
                self.model.sets.push(set);
            }
            "Annotations" => self.targets.push(attributes.text("Target")),
            "Annotation" => {
                self.terms.push(attributes.text("Term"));
                self.note("", &attributes);
            }
            "PropertyValue" => {
                let member = attributes.text("Property");
                self.note(&member, &attributes);
                self.members.push(member);
            }
            _ => {}
        }
        self.path.push(name);
        Ok(())
    }

    fn close(&mut self) -> Result<()> {
        let Some(name) = self.path.pop() else {
            return Err(broken(0));
        };
        match name.as_str() {
            "EntityType" | "ComplexType" => {
                if let Some((name, found)) = self.structured.take() {
                    self.model.types.insert(name, found);
                }
            }
            "EnumType" => {
                if let Some((name, members, flags)) = self.enumeration.take() {
                    self.model.enums.insert(name, (!flags).then_some(members));
                }
            }
            "Property" | "EntitySet" | "Annotations" => {
                self.targets.pop();
            }
            "Annotation" => {
                self.terms.pop();
            }
            "PropertyValue" => {
                self.members.pop();
            }
            "PropertyPath" => {
                let member = self.members.last().cloned().unwrap_or_default();
                let value = std::mem::take(&mut self.text).trim().to_owned();
                self.push_note(member, value);
            }
            _ => {}
        }
        Ok(())
    }

    fn version(&self, attributes: &Attributes) -> Result<()> {
        let found = match attributes.text("Version").split('.').next() {
            Some("1") => Protocol::V2,
            Some("4") => Protocol::V4,
            _ => return Err(Error::new(ErrorKind::Protocol, "metadata of an unknown version")),
        };
        if found == self.protocol { Ok(()) } else { Err(speaks(found)) }
    }

    fn qualified(&self, name: &str) -> String {
        format!("{}.{name}", self.namespace)
    }

    fn note(&mut self, member: &str, attributes: &Attributes) {
        if let Some(value) = attributes.get("String").or_else(|| attributes.get("Bool")) {
            self.push_note(member.to_owned(), value.to_owned());
        }
    }

    fn push_note(&mut self, member: String, value: String) {
        if let (Some(target), Some(term)) = (self.targets.last(), self.terms.last()) {
            // The vocabulary's alias is the document's choice; the term's own name is not.
            let term = term.rsplit('.').next().unwrap_or_default();
            if matches!(
                term,
                "Label" | "FilterRestrictions" | "SortRestrictions" | "TopSupported" | "ReadRestrictions"
            ) {
                let (target, term) = (target.clone(), term.to_owned());
                self.notes.push(Note { target, term, member, value });
            }
        }
    }

    fn finish(mut self) -> Result<Model> {
        if !self.path.is_empty() {
            return Err(Error::new(ErrorKind::Protocol, "the metadata ends early"));
        }
        if self.schemas == 0 {
            return Err(Error::new(ErrorKind::Protocol, "no OData metadata at this address"));
        }
        self.resolve_names();
        for note in std::mem::take(&mut self.notes) {
            self.apply(&note);
        }
        Ok(self.model)
    }

    /// Replaces aliases by namespaces, and completes names that have neither.
    fn resolve_names(&mut self) {
        let (aliases, namespace) = (&self.aliases, &self.namespace);
        let full = |name: &str| -> String {
            match name.rsplit_once('.') {
                None => format!("{namespace}.{name}"),
                Some((left, right)) => aliases
                    .iter()
                    .find(|(alias, _)| alias == left)
                    .map_or_else(|| name.to_owned(), |(_, namespace)| format!("{namespace}.{right}")),
            }
        };
        for set in &mut self.model.sets {
            set.type_name = full(&set.type_name);
        }
        for found in self.model.types.values_mut() {
            found.base = found.base.as_deref().map(full);
            for property in &mut found.properties {
                property.type_name = full(&property.type_name);
            }
        }
        for note in &mut self.notes {
            note.target = match note.target.split_once('/') {
                Some((left, right)) if !left.is_empty() => format!("{}/{right}", full(left)),
                _ => note.target.clone(),
            };
        }
    }

    fn apply(&mut self, note: &Note) {
        let Some((left, right)) = note.target.split_once('/') else {
            return;
        };
        if let Some(found) = self.model.types.get_mut(left) {
            if note.term == "Label"
                && let Some(property) = found.properties.iter_mut().find(|p| p.name == right)
            {
                property.label = Some(note.value.clone());
            }
            return;
        }
        let Some(set) = self.model.sets.iter_mut().find(|set| set.name == right) else {
            return;
        };
        let no = note.value == "false";
        match (note.term.as_str(), note.member.as_str()) {
            ("Label", "") => set.label = Some(note.value.clone()),
            ("TopSupported", "") if no => set.topable = false,
            ("ReadRestrictions", "Readable") if no => set.readable = false,
            ("FilterRestrictions", "RequiresFilter") if note.value == "true" => set.readable = false,
            ("FilterRestrictions", "Filterable") if no => set.filterable = false,
            ("FilterRestrictions", "NonFilterableProperties") => set.unfilterable.push(note.value.clone()),
            ("SortRestrictions", "Sortable") if no => set.sortable = false,
            ("SortRestrictions", "NonSortableProperties") => set.unsortable.push(note.value.clone()),
            _ => {}
        }
    }
}

fn property(attributes: &Attributes) -> Property {
    let declared = attributes.text("Type");
    let inner = declared.strip_prefix("Collection(").and_then(|t| t.strip_suffix(')'));
    let collection = inner.is_some() || attributes.get("CollectionKind").is_some_and(|kind| kind != "None");
    Property {
        name: attributes.text("Name"),
        type_name: inner.unwrap_or(&declared).to_owned(),
        collection,
        nullable: attributes.get("Nullable") != Some("false"),
        max_length: attributes.number("MaxLength"),
        precision: attributes.number("Precision"),
        label: attributes.get("label").map(str::to_owned),
        filterable: attributes.get("filterable") != Some("false"),
        sortable: attributes.get("sortable") != Some("false"),
        date_only: attributes.get("display-format") == Some("Date"),
    }
}

fn entity_set(attributes: &Attributes) -> EntitySet {
    let mut set = EntitySet::new(attributes.text("Name"), attributes.text("EntityType"));
    set.label = attributes.get("label").map(str::to_owned);
    set.readable =
        attributes.get("addressable") != Some("false") && attributes.get("requires-filter") != Some("true");
    set.topable = attributes.get("topable") != Some("false");
    set
}

/// The attributes of an element by local name.
struct Attributes(Vec<(String, String)>);

impl Attributes {
    fn read(start: &BytesStart<'_>) -> Result<Self> {
        let mut found = Vec::new();
        for attribute in start.attributes() {
            let attribute = attribute.map_err(|e| {
                Error::new(ErrorKind::Protocol, "the metadata has a broken attribute").with_source(e)
            })?;
            let value = attribute.normalized_value(XmlVersion::Implicit1_0).map_err(|e| {
                Error::new(ErrorKind::Protocol, "the metadata has an unknown entity").with_source(e)
            })?;
            found.push((attribute.key.local_name().as_ref().to_owned(), value.into_owned()));
        }
        Ok(Self(found))
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    fn text(&self, name: &str) -> String {
        self.get(name).unwrap_or_default().to_owned()
    }

    /// A facet's number; `Max` and the like are none.
    fn number(&self, name: &str) -> Option<u32> {
        self.get(name)?.parse().ok()
    }
}

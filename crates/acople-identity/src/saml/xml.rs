//! Reads XML into a small tree, and refuses what makes XML dangerous.
//!
//! No document type, so no entities but the five predefined ones and nothing fetched; no comments and no processing
//! instructions, because two readers that disagree on them read two different names out of one signed element; bounds
//! on size, depth, elements, attributes and namespaces. UTF-8 only.

use acople_core::{Error, ErrorKind, Result};
use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::{Reader, XmlVersion};

const MAX_DEPTH: usize = 32;
const MAX_ELEMENTS: usize = 10_000;
const MAX_ATTRIBUTES: usize = 64;
const MAX_NAMESPACES: usize = 64;
/// Canonical form writes a namespace out again and again: a long one would make much of little.
const MAX_NAMESPACE_BYTES: usize = 512;

const XML_NAMESPACE: &str = "http://www.w3.org/XML/1998/namespace";
const XMLNS_NAMESPACE: &str = "http://www.w3.org/2000/xmlns/";

/// An element with everything in it.
#[derive(Debug, Default)]
pub(super) struct Element {
    /// Empty for none.
    pub(super) prefix: String,
    pub(super) local: String,
    /// Empty for none.
    pub(super) namespace: String,
    /// The namespaces that this element declares: prefix (empty for the default) and URI.
    pub(super) declared: Vec<(String, String)>,
    pub(super) attributes: Vec<Attribute>,
    pub(super) children: Vec<Node>,
}

#[derive(Debug)]
pub(super) struct Attribute {
    pub(super) prefix: String,
    pub(super) local: String,
    pub(super) namespace: String,
    pub(super) value: String,
}

#[derive(Debug)]
pub(super) enum Node {
    Element(Element),
    Text(String),
}

impl Element {
    pub(super) fn is(&self, namespace: &str, local: &str) -> bool {
        self.namespace == namespace && self.local == local
    }

    /// The value of an attribute without a namespace.
    pub(super) fn attribute(&self, local: &str) -> Option<&str> {
        self.attributes.iter().find(|a| a.namespace.is_empty() && a.local == local).map(|a| a.value.as_str())
    }

    pub(super) fn elements(&self) -> impl Iterator<Item = &Self> {
        self.children.iter().filter_map(|node| match node {
            Node::Element(element) => Some(element),
            Node::Text(_) => None,
        })
    }

    pub(super) fn named<'a>(&'a self, namespace: &'a str, local: &'a str) -> impl Iterator<Item = &'a Self> {
        self.elements().filter(move |element| element.is(namespace, local))
    }

    /// The only child of a name, if there is one.
    ///
    /// # Errors
    /// `Protocol` when there are more.
    pub(super) fn only(&self, namespace: &str, local: &str) -> Result<Option<&Self>> {
        let mut found = self.elements().filter(|element| element.is(namespace, local));
        let first = found.next();
        if found.next().is_some() {
            return Err(broken(format!("{} has more than one {local}", self.local)));
        }
        Ok(first)
    }

    /// The text of an element that holds nothing else.
    ///
    /// # Errors
    /// `Protocol` when there are elements in it.
    pub(super) fn text(&self) -> Result<String> {
        let mut text = String::new();
        for node in &self.children {
            match node {
                Node::Text(part) => text.push_str(part),
                Node::Element(_) => return Err(broken(format!("{} holds elements, not text", self.local))),
            }
        }
        Ok(text)
    }

    /// Calls `visit` with every element of the tree and its parent.
    pub(super) fn walk<'a>(
        &'a self,
        visit: &mut dyn FnMut(&'a Self, Option<&'a Self>) -> Result<()>,
    ) -> Result<()> {
        fn step<'a>(
            element: &'a Element,
            parent: Option<&'a Element>,
            visit: &mut dyn FnMut(&'a Element, Option<&'a Element>) -> Result<()>,
        ) -> Result<()> {
            visit(element, parent)?;
            element.elements().try_for_each(|child| step(child, Some(element), visit))
        }
        step(self, None, visit)
    }
}

/// The root of a document.
///
/// # Errors
/// `Protocol` for what is no XML or forbidden, `TooLarge` beyond a bound.
pub(super) fn parse(bytes: &[u8], max_bytes: usize) -> Result<Element> {
    if bytes.len() > max_bytes {
        return Err(too_large(format!("the document is larger than {max_bytes} bytes")));
    }
    let text = std::str::from_utf8(bytes).map_err(|_| broken("the document is not UTF-8"))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if !text.chars().all(is_char) {
        return Err(broken("the document has characters that XML does not allow"));
    }
    let mut reader = Reader::from_str(text);
    let mut builder = Builder::default();
    let mut first = true;
    loop {
        let event = reader.read_event().map_err(|_| broken("the document is not well-formed XML"))?;
        match event {
            Event::Start(start) => builder.open(&start)?,
            Event::Empty(start) => {
                builder.open(&start)?;
                builder.close()?;
            }
            Event::End(_) => builder.close()?,
            Event::Text(text) => builder.text(&text.xml10_content())?,
            Event::CData(text) => builder.text(&text.xml10_content())?,
            Event::GeneralRef(reference) => builder.text(resolve(&reference)?.encode_utf8(&mut [0; 4]))?,
            Event::Decl(declaration) if first => {
                let is_utf8 = match declaration.encoding() {
                    None => true,
                    Some(Ok(name)) => name.eq_ignore_ascii_case("utf-8"),
                    Some(Err(_)) => false,
                };
                if !is_utf8 || !declaration.version().is_ok_and(|version| version == "1.0") {
                    return Err(broken("the document is not XML 1.0 in UTF-8"));
                }
            }
            Event::Decl(_) => return Err(broken("the document has an XML declaration inside")),
            Event::DocType(_) => return Err(broken("the document has a document type (DTD): refused")),
            Event::Comment(_) => return Err(broken("the document has a comment: refused")),
            Event::PI(_) => return Err(broken("the document has a processing instruction: refused")),
            Event::Eof => break,
        }
        first = false;
    }
    builder.finish()
}

#[derive(Default)]
struct Builder {
    root: Option<Element>,
    /// Elements whose end has not come yet.
    open: Vec<Element>,
    /// Namespaces in scope, the innermost last.
    scope: Vec<(String, String)>,
    elements: usize,
}

impl Builder {
    fn open(&mut self, start: &BytesStart<'_>) -> Result<()> {
        self.elements += 1;
        if self.elements > MAX_ELEMENTS {
            return Err(too_large(format!("the document has more than {MAX_ELEMENTS} elements")));
        }
        if self.open.len() >= MAX_DEPTH {
            return Err(too_large(format!("the document nests more than {MAX_DEPTH} levels deep")));
        }
        if self.open.is_empty() && self.root.is_some() {
            return Err(broken("the document has two roots"));
        }
        let (prefix, local) = split(start.name().as_ref())?;
        let mut element = Element { prefix, local, ..Element::default() };
        for attribute in start.attributes() {
            let attribute =
                attribute.map_err(|_| broken("the document has a damaged or doubled attribute"))?;
            if element.attributes.len() + element.declared.len() >= MAX_ATTRIBUTES {
                return Err(too_large(format!("an element has more than {MAX_ATTRIBUTES} attributes")));
            }
            if attribute.value.contains('<') {
                return Err(broken("an attribute has a < in it"));
            }
            let value = attribute
                .normalized_value(XmlVersion::Explicit1_0)
                .map_err(|_| broken("an attribute uses an entity that XML does not predefine: refused"))?
                .into_owned();
            if !value.chars().all(is_char) {
                return Err(broken("an attribute has characters that XML does not allow"));
            }
            match split(attribute.key.as_ref())? {
                (prefix, local) if prefix.is_empty() && local == "xmlns" => {
                    declare(&mut element, String::new(), value)?;
                }
                (prefix, local) if prefix == "xmlns" => declare(&mut element, local, value)?,
                (prefix, local) => {
                    element.attributes.push(Attribute { prefix, local, namespace: String::new(), value });
                }
            }
        }
        self.scope.extend(element.declared.iter().cloned());
        if self.scope.len() > MAX_NAMESPACES {
            return Err(too_large(format!("more than {MAX_NAMESPACES} namespaces are in scope")));
        }
        element.namespace = self.namespace(&element.prefix)?;
        for attribute in &mut element.attributes {
            // A default namespace does not reach attributes (Namespaces in XML 1.0, 6.2).
            if !attribute.prefix.is_empty() {
                attribute.namespace = self.namespace(&attribute.prefix)?;
            }
        }
        for (at, attribute) in element.attributes.iter().enumerate() {
            let others = element.attributes.iter().skip(at + 1);
            if others.clone().any(|o| o.local == attribute.local && o.namespace == attribute.namespace) {
                return Err(broken("an element has an attribute twice"));
            }
        }
        self.open.push(element);
        Ok(())
    }

    fn close(&mut self) -> Result<()> {
        let element = self.open.pop().ok_or_else(|| broken("the document closes what it did not open"))?;
        self.scope.truncate(self.scope.len().saturating_sub(element.declared.len()));
        match self.open.last_mut() {
            Some(parent) => parent.children.push(Node::Element(element)),
            None => self.root = Some(element),
        }
        Ok(())
    }

    fn text(&mut self, part: &str) -> Result<()> {
        match self.open.last_mut() {
            Some(parent) => {
                if let Some(Node::Text(text)) = parent.children.last_mut() {
                    text.push_str(part);
                } else {
                    parent.children.push(Node::Text(part.to_owned()));
                }
                Ok(())
            }
            None if part.chars().all(|c| matches!(c, ' ' | '\t' | '\r' | '\n')) => Ok(()),
            None => Err(broken("the document has text outside its root")),
        }
    }

    fn namespace(&self, prefix: &str) -> Result<String> {
        if prefix == "xml" {
            return Ok(XML_NAMESPACE.to_owned());
        }
        match in_scope(&self.scope, prefix) {
            Some(uri) => Ok(uri.to_owned()),
            None if prefix.is_empty() => Ok(String::new()),
            None => Err(broken("the document uses a prefix that it does not declare")),
        }
    }

    fn finish(self) -> Result<Element> {
        match self.root {
            Some(root) if self.open.is_empty() => Ok(root),
            _ => Err(broken("the document ends too early")),
        }
    }
}

/// What a prefix stands for among declarations, the innermost last.
pub(super) fn in_scope<'a>(scope: &'a [(String, String)], prefix: &str) -> Option<&'a str> {
    scope.iter().rev().find(|(declared, _)| declared == prefix).map(|(_, uri)| uri.as_str())
}

fn declare(element: &mut Element, prefix: String, uri: String) -> Result<()> {
    let reserved = prefix == "xml" || prefix == "xmlns" || uri == XML_NAMESPACE || uri == XMLNS_NAMESPACE;
    if reserved || (!prefix.is_empty() && uri.is_empty()) {
        return Err(broken("the document declares a namespace that it must not"));
    }
    if uri.len() > MAX_NAMESPACE_BYTES {
        return Err(too_large(format!("a namespace has more than {MAX_NAMESPACE_BYTES} bytes")));
    }
    element.declared.push((prefix, uri));
    Ok(())
}

/// Prefix and local part of a name.
fn split(name: &str) -> Result<(String, String)> {
    let (prefix, local) = name.split_once(':').unwrap_or(("", name));
    if (name.contains(':') && !is_name(prefix)) || !is_name(local) {
        return Err(broken("the document has a name that XML does not allow"));
    }
    Ok((prefix.to_owned(), local.to_owned()))
}

/// Whether a text is a name without a colon; stricter than the standard for letters beyond Unicode's.
fn is_name(text: &str) -> bool {
    let mut chars = text.chars();
    chars.next().is_some_and(|c| c.is_alphabetic() || c == '_')
        && chars.all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.'))
}

fn resolve(reference: &BytesRef<'_>) -> Result<char> {
    if reference.is_char_ref() {
        return match reference.resolve_char_ref() {
            Ok(Some(c)) if is_char(c) => Ok(c),
            _ => Err(broken("the document refers to a character that XML does not allow")),
        };
    }
    match &**reference {
        "amp" => Ok('&'),
        "lt" => Ok('<'),
        "gt" => Ok('>'),
        "quot" => Ok('"'),
        "apos" => Ok('\''),
        _ => Err(broken("the document uses an entity that XML does not predefine: refused")),
    }
}

/// `Char` of XML 1.0.
fn is_char(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..)
}

pub(super) fn broken(message: impl AsRef<str>) -> Error {
    Error::new(ErrorKind::Protocol, message)
}

fn too_large(message: impl AsRef<str>) -> Error {
    Error::new(ErrorKind::TooLarge, message)
}

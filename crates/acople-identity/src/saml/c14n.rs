//! Exclusive XML Canonicalization 1.0 (<https://www.w3.org/TR/xml-exc-c14n/>) of one element.
//!
//! The tree has neither comments nor processing instructions, so the forms with and without comments are the same.

use std::collections::BTreeSet;

use super::xml::{Element, Node, in_scope};

/// What is written of an element, and how.
pub(super) struct Canonical<'a> {
    /// Prefixes that are written as inclusive canonicalization writes them (`InclusiveNamespaces`, section 2.1);
    /// the empty one stands for the default namespace.
    pub(super) inclusive: Vec<&'a str>,
    /// A child that is left out, with all in it: the signature of the element itself.
    pub(super) without: Option<&'a Element>,
}

impl Canonical<'_> {
    /// The bytes of the last element of `path`, which leads there from the root.
    pub(super) fn bytes(&self, path: &[&Element]) -> Vec<u8> {
        let Some((element, ancestors)) = path.split_last() else { return Vec::new() };
        let mut writer = Writer {
            how: self,
            scope: ancestors.iter().flat_map(|ancestor| ancestor.declared.iter().cloned()).collect(),
            rendered: Vec::new(),
            out: String::new(),
        };
        writer.element(element);
        writer.out.into_bytes()
    }
}

struct Writer<'a> {
    how: &'a Canonical<'a>,
    /// Declarations in scope, the innermost last.
    scope: Vec<(String, String)>,
    /// Declarations that were written, the innermost last.
    rendered: Vec<(String, String)>,
    out: String,
}

impl Writer<'_> {
    fn element(&mut self, element: &Element) {
        let (scope, rendered) = (self.scope.len(), self.rendered.len());
        self.scope.extend(element.declared.iter().cloned());
        let name = qualified(&element.prefix, &element.local);
        self.out.push('<');
        self.out.push_str(&name);
        self.namespaces(element);
        let mut attributes: Vec<_> = element.attributes.iter().collect();
        attributes.sort_by(|a, b| (&a.namespace, &a.local).cmp(&(&b.namespace, &b.local)));
        for attribute in attributes {
            self.attribute(&qualified(&attribute.prefix, &attribute.local), &attribute.value);
        }
        self.out.push('>');
        for node in &element.children {
            match node {
                Node::Text(text) => self.text(text),
                Node::Element(child) if self.how.without.is_some_and(|left| std::ptr::eq(left, child)) => {}
                Node::Element(child) => self.element(child),
            }
        }
        self.out.push_str("</");
        self.out.push_str(&name);
        self.out.push('>');
        self.scope.truncate(scope);
        self.rendered.truncate(rendered);
    }

    /// Declares what the element's own name and its attributes use, and the inclusive prefixes, unless an element
    /// around it has said the same.
    fn namespaces(&mut self, element: &Element) {
        let used =
            element.attributes.iter().map(|attribute| attribute.prefix.as_str()).filter(|p| !p.is_empty());
        let mut prefixes: BTreeSet<&str> = used.chain([element.prefix.as_str()]).collect();
        prefixes.extend(self.how.inclusive.iter().filter(|prefix| in_scope(&self.scope, prefix).is_some()));
        prefixes.remove("xml");
        let mut declared = Vec::new();
        for prefix in prefixes {
            let uri = in_scope(&self.scope, prefix).unwrap_or_default();
            if in_scope(&self.rendered, prefix).unwrap_or_default() != uri {
                declared.push((prefix.to_owned(), uri.to_owned()));
            }
        }
        for (prefix, uri) in &declared {
            let name = if prefix.is_empty() { "xmlns".to_owned() } else { format!("xmlns:{prefix}") };
            self.attribute(&name, uri);
        }
        self.rendered.extend(declared);
    }

    fn attribute(&mut self, name: &str, value: &str) {
        self.out.push(' ');
        self.out.push_str(name);
        self.out.push_str("=\"");
        for c in value.chars() {
            match c {
                '&' => self.out.push_str("&amp;"),
                '<' => self.out.push_str("&lt;"),
                '"' => self.out.push_str("&quot;"),
                '\t' => self.out.push_str("&#x9;"),
                '\n' => self.out.push_str("&#xA;"),
                '\r' => self.out.push_str("&#xD;"),
                c => self.out.push(c),
            }
        }
        self.out.push('"');
    }

    fn text(&mut self, text: &str) {
        for c in text.chars() {
            match c {
                '&' => self.out.push_str("&amp;"),
                '<' => self.out.push_str("&lt;"),
                '>' => self.out.push_str("&gt;"),
                '\r' => self.out.push_str("&#xD;"),
                c => self.out.push(c),
            }
        }
    }
}

fn qualified(prefix: &str, local: &str) -> String {
    if prefix.is_empty() { local.to_owned() } else { format!("{prefix}:{local}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::saml::xml::parse;

    fn of_child(text: &str, inclusive: Vec<&str>) -> String {
        let root = parse(text.as_bytes(), 1 << 20).unwrap();
        let child = root.elements().next().unwrap();
        String::from_utf8(Canonical { inclusive, without: None }.bytes(&[&root, child])).unwrap()
    }

    /// Sections 2.2 and 2.3 of the recommendation: what stands around an element does not change its form.
    #[test]
    fn the_example_of_the_recommendation_has_one_form_in_both_surroundings() {
        let one = r#"<n0:local xmlns:n0="foo:bar" xmlns:n3="ftp://example.org"><n1:elem2 xmlns:n1="http://example.net" xml:lang="en"><n3:stuff xmlns:n3="ftp://example.org"></n3:stuff></n1:elem2></n0:local>"#;
        let other = r#"<n2:pdu xmlns:n1="http://example.com" xmlns:n2="http://foo.example" xml:lang="fr" xml:space="retain"><n1:elem2 xmlns:n1="http://example.net" xml:lang="en"><n3:stuff xmlns:n3="ftp://example.org"/></n1:elem2></n2:pdu>"#;
        let form = r#"<n1:elem2 xmlns:n1="http://example.net" xml:lang="en"><n3:stuff xmlns:n3="ftp://example.org"></n3:stuff></n1:elem2>"#;
        assert_eq!(of_child(one, vec![]), form);
        assert_eq!(of_child(other, vec![]), form);
    }

    #[test]
    fn an_inclusive_prefix_is_written_where_it_is_in_scope() {
        let text = r#"<a xmlns="urn:d" xmlns:x="urn:x"><x:b t="q:name" xmlns:q="urn:q"><c/></x:b></a>"#;
        assert_eq!(of_child(text, vec![]), r#"<x:b xmlns:x="urn:x" t="q:name"><c xmlns="urn:d"></c></x:b>"#);
        assert_eq!(
            of_child(text, vec!["q", "", "gone"]),
            r#"<x:b xmlns="urn:d" xmlns:q="urn:q" xmlns:x="urn:x" t="q:name"><c></c></x:b>"#
        );
    }

    #[test]
    fn a_default_namespace_is_taken_back_only_where_one_was_written() {
        let text = r#"<a xmlns="urn:d"><b><c xmlns=""><d/></c></b></a>"#;
        assert_eq!(of_child(text, vec![]), r#"<b xmlns="urn:d"><c xmlns=""><d></d></c></b>"#);
        assert_eq!(of_child(r#"<a xmlns="urn:d"><c xmlns=""><d/></c></a>"#, vec![]), "<c><d></d></c>");
    }

    #[test]
    fn attributes_are_sorted_by_namespace_and_all_is_escaped_as_the_recommendation_says() {
        let text = "<a><b z='1' xmlns:y='urn:a' y:c='2' a='&#9;&#10;&#13;&quot;&lt;&amp;>\n'>&#13;&gt;\r\n<![CDATA[<&]]></b></a>";
        assert_eq!(
            of_child(text, vec![]),
            "<b xmlns:y=\"urn:a\" a=\"&#x9;&#xA;&#xD;&quot;&lt;&amp;> \" z=\"1\" y:c=\"2\">&#xD;&gt;\n&lt;&amp;</b>"
        );
    }
}

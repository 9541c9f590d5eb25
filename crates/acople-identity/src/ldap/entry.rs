//! Entries that were found, read without trusting their form.

use std::fmt::Write;

use ldap3::ResultEntry;
use ldap3::asn1::{PL, StructureTag};

const SEARCH_RESULT_ENTRY: u64 = 4;

/// An entry: its name and what was asked for of it.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) dn: String,
    attributes: Vec<(String, Vec<Vec<u8>>)>,
    /// How much it holds.
    pub(super) bytes: usize,
}

impl Entry {
    /// `None` for what is no entry, such as a reference to another directory.
    pub(super) fn read(found: ResultEntry) -> Option<Self> {
        let tag = found.0;
        if tag.id != SEARCH_RESULT_ENTRY {
            return None;
        }
        let mut parts = constructed(tag)?.into_iter();
        let dn = text(parts.next()?)?;
        let mut attributes = Vec::new();
        let mut bytes = dn.len();
        for attribute in constructed(parts.next()?)? {
            let mut parts = constructed(attribute)?.into_iter();
            let name = text(parts.next()?)?;
            let values: Vec<_> = constructed(parts.next()?)?.into_iter().filter_map(primitive).collect();
            bytes += name.len() + values.iter().map(Vec::len).sum::<usize>();
            attributes.push((name, values));
        }
        Some(Self { dn, attributes, bytes })
    }

    /// The values of an attribute as text; those of `objectGUID` in the form that Windows shows.
    pub(super) fn values(&self, name: &str) -> Vec<String> {
        let found = self.attributes.iter().find(|(present, _)| present.eq_ignore_ascii_case(name));
        let values = found.map(|(_, values)| values.as_slice()).unwrap_or_default();
        values
            .iter()
            .filter_map(|value| {
                if name.eq_ignore_ascii_case("objectGUID") {
                    guid(value)
                } else {
                    String::from_utf8(value.clone()).ok()
                }
            })
            .collect()
    }

    pub(super) fn first(&self, name: &str) -> Option<String> {
        self.values(name).into_iter().next().filter(|value| !value.is_empty())
    }
}

/// The first three groups are little-endian ([MS-DTYP], 2.3.4).
fn guid(value: &[u8]) -> Option<String> {
    const ORDER: [usize; 16] = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];
    if value.len() != ORDER.len() {
        return None;
    }
    let mut text = String::new();
    for (at, from) in ORDER.into_iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        write!(text, "{:02x}", value.get(from)?).ok()?;
    }
    Some(text)
}

fn constructed(tag: StructureTag) -> Option<Vec<StructureTag>> {
    match tag.payload {
        PL::C(parts) => Some(parts),
        PL::P(_) => None,
    }
}

fn primitive(tag: StructureTag) -> Option<Vec<u8>> {
    match tag.payload {
        PL::P(bytes) => Some(bytes),
        PL::C(_) => None,
    }
}

fn text(tag: StructureTag) -> Option<String> {
    String::from_utf8(primitive(tag)?).ok()
}

#[cfg(test)]
mod tests {
    use super::guid;

    #[test]
    fn a_guid_reads_as_windows_shows_it() {
        let bytes: Vec<u8> = (0..16).collect();
        assert_eq!(guid(&bytes).unwrap(), "03020100-0504-0706-0809-0a0b0c0d0e0f");
        assert_eq!(guid(&bytes[1..]), None);
    }
}

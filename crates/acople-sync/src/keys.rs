//! The source's key: what makes two versions of a record one record.

use std::hash::Hasher;

use acople_core::json::{FieldPath, Projection, Writer};
use acople_core::{Batch, StateKey};
use siphasher::sip128::{Hasher128, SipHasher13};

/// Ends each part of a key's text. JSON has no such character outside of escapes.
const END: char = '\u{1f}';

/// The key fields of a stream.
#[derive(Debug)]
pub(crate) struct Keys(Projection);

impl Keys {
    pub(crate) fn new(fields: &[FieldPath]) -> Self {
        Self(Projection::new(fields.iter().cloned()))
    }

    /// The key of each record as one text; `None` where a part of it is missing.
    pub(crate) fn texts(&self, batch: &Batch) -> Vec<Option<String>> {
        let cells = batch.project(&self.0);
        let columns = self.0.len();
        let text = |row: acople_core::json::Row<'_>| {
            let mut key = String::new();
            for column in 0..columns {
                let value = row.get(column);
                if value.is_missing() || value.is_null() {
                    return None;
                }
                key.push_str(value.raw());
                key.push(END);
            }
            (columns > 0).then_some(key)
        };
        cells.rows().map(text).collect()
    }

    /// The quarantine's id of each record.
    pub(crate) fn ids(&self, of: &StateKey, batch: &Batch) -> Vec<String> {
        ids(of, batch, &self.texts(batch))
    }

    /// Writes a record that has nothing but the key of this text.
    pub(crate) fn write_record(&self, key: &str, writer: &mut Writer) {
        let fields: Vec<(&[Box<str>], &str)> =
            self.0.paths().iter().map(FieldPath::segments).zip(key.split_terminator(END)).collect();
        write_object(&fields, writer);
    }
}

/// The quarantine's id of each record, given its key; one without a key goes by its text.
pub(crate) fn ids(of: &StateKey, batch: &Batch, keys: &[Option<String>]) -> Vec<String> {
    batch.iter().zip(keys).map(|(record, key)| id(of, key.as_deref().unwrap_or(record.raw()))).collect()
}

/// Writes an object of raw values by their paths.
pub(crate) fn write_object(fields: &[(&[Box<str>], &str)], writer: &mut Writer) {
    writer.begin_object();
    let mut written: Vec<&str> = Vec::new();
    for (path, value) in fields {
        let Some((name, rest)) = path.split_first() else { continue };
        if written.contains(&&**name) {
            continue;
        }
        written.push(name);
        writer.key(name);
        if rest.is_empty() {
            writer.raw(value);
        } else {
            let inner: Vec<(&[Box<str>], &str)> = fields
                .iter()
                .filter_map(|(path, value)| {
                    let (other, rest) = path.split_first()?;
                    (other == name).then_some((rest, *value))
                })
                .collect();
            write_object(&inner, writer);
        }
    }
    writer.end_object();
}

/// The quarantine's id of a record. Stable over releases and machines: it is stored.
pub(crate) fn id(of: &StateKey, identity: &str) -> String {
    let mut hasher = SipHasher13::new();
    for part in [&of.tenant, &of.sync, &of.stream, &of.partition] {
        hasher.write_u64(part.len() as u64);
        hasher.write(part.as_bytes());
    }
    hasher.write(identity.as_bytes());
    format!("{:032x}", hasher.finish128().as_u128())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_made_of_its_key_and_has_the_same_key() {
        let fields = ["id", "org.unit", "org.name"].map(|field| FieldPath::parse(field).unwrap());
        let keys = Keys::new(&fields);
        let text = r#"{"x":1,"org":{"name":"a\"b","unit":12345678901234567890},"id":"7"}"#;
        let batch = Batch::from_records("things", [text]).unwrap();
        let key = keys.texts(&batch).remove(0).unwrap();
        let mut writer = Writer::new();
        keys.write_record(&key, &mut writer);
        let made = writer.into_string();
        assert_eq!(made, r#"{"id":"7","org":{"unit":12345678901234567890,"name":"a\"b"}}"#);
        assert_eq!(keys.texts(&Batch::from_records("things", [made]).unwrap()), [Some(key)]);
    }
}

//! A profile to read: as JSON through serde, as a table through `Display`.

use std::fmt;

use acople_core::printable;
use serde::Serialize;

use crate::agreed::FieldType;
use crate::moment::Moment;

/// What a stream's fields are like.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ProfileReport {
    /// Records looked into.
    pub records: u64,
    /// Deletions, which are not.
    pub deletions: u64,
    /// Records that are no text or were refused, which are not either.
    pub unreadable: u64,
    /// Values of fields beyond the limit of fields.
    pub beyond: u64,
    /// The fields in the order of their pointers, level by level.
    pub fields: Vec<FieldReport>,
}

/// What one field is like.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct FieldReport {
    /// The field, as a JSON pointer.
    pub field: String,
    /// Values that are not null.
    pub values: u64,
    /// Nulls.
    pub nulls: u64,
    /// Records (or outer objects) without the field.
    pub missing: u64,
    /// Different values; an estimate within 1.6 % (one standard error), all but exact below 1,000.
    pub distinct: u64,
    /// Values by type.
    pub types: Types,
    /// Texts by form.
    pub forms: Forms,
    /// Characters of texts, elements of lists.
    pub lengths: Lengths,
    /// The least number by its digits, or the earliest date or time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min: Option<String>,
    /// The greatest number, or the latest date or time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<String>,
    /// The most frequent values, cut at 48 bytes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub top: Vec<TopValue>,
}

/// A frequent value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct TopValue {
    /// The value, cut at 48 bytes.
    pub value: String,
    /// At most so often.
    pub count: u64,
    /// At least so often less this; 0: the count is exact.
    pub error: u64,
}

/// Values by type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Types {
    /// `true` and `false`.
    pub boolean: u64,
    /// Numbers without a fraction.
    pub integer: u64,
    /// Numbers with one.
    pub number: u64,
    /// Texts.
    pub text: u64,
    /// Lists.
    pub array: u64,
    /// Objects.
    pub object: u64,
}

/// Texts by form.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Forms {
    /// No characters.
    pub empty: u64,
    /// Days (ISO 8601).
    pub date: u64,
    /// Days with a time (ISO 8601).
    pub date_time: u64,
    /// E-mail addresses, by their look.
    pub email: u64,
    /// Numbers.
    pub number: u64,
    /// UUIDs (RFC 9562).
    pub uuid: u64,
    /// Web addresses, by their scheme.
    pub url: u64,
}

/// Lengths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Lengths {
    /// How many there were.
    pub count: u64,
    /// The least.
    pub min: u64,
    /// The most.
    pub max: u64,
    /// All together.
    pub sum: u64,
}

impl ProfileReport {
    /// A field by its JSON pointer.
    pub fn field(&self, pointer: &str) -> Option<&FieldReport> {
        self.fields.iter().find(|field| field.field == pointer)
    }
}

impl Types {
    pub(super) fn count(&mut self, kind: FieldType) {
        let count = match kind {
            FieldType::Boolean => &mut self.boolean,
            FieldType::Integer => &mut self.integer,
            FieldType::Number => &mut self.number,
            FieldType::Text => &mut self.text,
            FieldType::Array => &mut self.array,
            FieldType::Object => &mut self.object,
        };
        *count += 1;
    }

    pub(super) fn all(&self) -> u64 {
        self.boolean + self.integer + self.number + self.text + self.array + self.object
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.boolean += other.boolean;
        self.integer += other.integer;
        self.number += other.number;
        self.text += other.text;
        self.array += other.array;
        self.object += other.object;
    }
}

impl Forms {
    pub(super) fn count(&mut self, text: &str, moment: Option<Moment>) {
        let count = match moment {
            Some(Moment::Day(_)) => &mut self.date,
            Some(Moment::Instant(_)) => &mut self.date_time,
            None if text.is_empty() => &mut self.empty,
            None if crate::decimal::is_number(text) => &mut self.number,
            None if is_uuid(text) => &mut self.uuid,
            None if text.starts_with("https://") || text.starts_with("http://") => &mut self.url,
            None if is_email(text) => &mut self.email,
            None => return,
        };
        *count += 1;
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.empty += other.empty;
        self.date += other.date;
        self.date_time += other.date_time;
        self.email += other.email;
        self.number += other.number;
        self.uuid += other.uuid;
        self.url += other.url;
    }
}

impl Lengths {
    pub(super) fn count(&mut self, length: u64) {
        self.merge(&Self { count: 1, min: length, max: length, sum: length });
    }

    pub(super) fn merge(&mut self, other: &Self) {
        if other.count == 0 {
            return;
        }
        self.min = if self.count == 0 { other.min } else { self.min.min(other.min) };
        self.max = self.max.max(other.max);
        self.count += other.count;
        self.sum = self.sum.saturating_add(other.sum);
    }
}

/// One `@` with something before it and a dot behind it, and no space: what people mean, not RFC 5322.
fn is_email(text: &str) -> bool {
    text.len() <= 254
        && !text.contains(char::is_whitespace)
        && text.split_once('@').is_some_and(|(local, domain)| {
            let dot = domain.split_once('.').is_some_and(|(host, rest)| !host.is_empty() && !rest.is_empty());
            !local.is_empty() && dot && !domain.contains('@') && !domain.ends_with('.')
        })
}

fn is_uuid(text: &str) -> bool {
    let dash = |at: usize| matches!(at, 8 | 13 | 18 | 23);
    text.len() == 36
        && text.bytes().enumerate().all(|(at, b)| if dash(at) { b == b'-' } else { b.is_ascii_hexdigit() })
}

impl fmt::Display for ProfileReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} records", self.records)?;
        for (count, what) in [
            (self.deletions, "deletions"),
            (self.unreadable, "unreadable"),
            (self.beyond, "values of further fields"),
        ] {
            if count > 0 {
                write!(f, ", {count} {what}")?;
            }
        }
        writeln!(f)?;
        let cell = |text: &str, most: usize| printable(text, most);
        let header =
            ["field", "values", "nulls", "missing", "distinct", "types", "min", "max", "most frequent"];
        let mut rows: Vec<Vec<String>> = vec![header.map(str::to_owned).to_vec()];
        for field in &self.fields {
            let top: Vec<String> =
                field.top.iter().take(3).map(|t| format!("{} ({})", cell(&t.value, 24), t.count)).collect();
            rows.push(vec![
                cell(&field.field, 48),
                field.values.to_string(),
                field.nulls.to_string(),
                field.missing.to_string(),
                field.distinct.to_string(),
                types(field),
                cell(field.min.as_deref().unwrap_or_default(), 32),
                cell(field.max.as_deref().unwrap_or_default(), 32),
                top.join(", "),
            ]);
        }
        let width =
            |at: usize| rows.iter().filter_map(|r| r.get(at)).map(|c| c.chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..header.len()).map(width).collect();
        for row in &rows {
            let mut line = String::new();
            for (at, (cell, width)) in row.iter().zip(&widths).enumerate() {
                let room = " ".repeat(width - cell.chars().count());
                // Counts stand on the right.
                let (before, after) =
                    if (1..=4).contains(&at) { (room.as_str(), "") } else { ("", room.as_str()) };
                line.extend([before, cell, after, "  "]);
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

fn types(field: &FieldReport) -> String {
    let (types, forms) = (&field.types, &field.forms);
    let named = [
        (types.boolean, "boolean"),
        (types.integer, "integer"),
        (types.number, "number"),
        (types.text, "text"),
        (types.array, "array"),
        (types.object, "object"),
        (forms.date, "date"),
        (forms.date_time, "date-time"),
        (forms.email, "email"),
        (forms.uuid, "uuid"),
        (forms.url, "url"),
        (forms.number, "digits"),
        (forms.empty, "empty"),
    ];
    named.iter().filter(|(count, _)| *count > 0).map(|(_, name)| *name).collect::<Vec<_>>().join("|")
}

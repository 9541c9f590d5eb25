use std::borrow::Cow;
use std::fmt::{self, Write as _};
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Error;

/// Where a field is in a record.
///
/// Written with dots (`Account.Name`, `lines.0.sku`), or as a JSON pointer (RFC 6901) where a name holds
/// a dot or is empty (`/a.b/c`, with `~0` for `~` and `~1` for `/`). Digits index arrays. The empty path
/// is the whole value.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct FieldPath {
    segments: Vec<Box<str>>,
}

impl FieldPath {
    /// Reads either notation; a leading `/` makes it a pointer.
    pub fn parse(text: &str) -> Result<Self, Error> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        let segments = match text.strip_prefix('/') {
            Some(pointer) => pointer.split('/').map(unescape).collect::<Result<_, _>>()?,
            None => text.split('.').map(named).collect::<Result<_, _>>()?,
        };
        Ok(Self { segments })
    }

    /// The names and indices from the outside in.
    pub fn segments(&self) -> &[Box<str>] {
        &self.segments
    }

    /// Descends by one name or index, taken as it is.
    pub fn push(&mut self, segment: impl Into<Box<str>>) {
        self.segments.push(segment.into());
    }

    /// Whether this is the empty path, which means the whole value.
    pub fn is_root(&self) -> bool {
        self.segments.is_empty()
    }

    fn dotted(&self) -> bool {
        self.segments.iter().all(|segment| !segment.is_empty() && !segment.contains('.'))
            && !self.segments.first().is_some_and(|first| first.starts_with('/'))
    }
}

/// The position that a segment means in an array: digits without leading zeros, as in RFC 6901.
pub(super) fn array_index(segment: &str) -> Option<u32> {
    let canonical =
        segment.bytes().all(|byte| byte.is_ascii_digit()) && (segment == "0" || !segment.starts_with('0'));
    if canonical { segment.parse().ok() } else { None }
}

fn named(segment: &str) -> Result<Box<str>, Error> {
    if segment.is_empty() {
        return Err(Error::InvalidPath { problem: "empty segment; write such names as a JSON pointer" });
    }
    Ok(segment.into())
}

fn unescape(segment: &str) -> Result<Box<str>, Error> {
    let mut pieces = segment.split('~');
    let mut name = String::from(pieces.next().unwrap_or_default());
    for piece in pieces {
        let (escaped, rest) = match piece.split_at_checked(1) {
            Some(("0", rest)) => ('~', rest),
            Some(("1", rest)) => ('/', rest),
            _ => {
                return Err(Error::InvalidPath { problem: "`~` is followed by neither 0 nor 1" });
            }
        };
        name.push(escaped);
        name.push_str(rest);
    }
    Ok(name.into())
}

impl<S: Into<Box<str>>> FromIterator<S> for FieldPath {
    /// Takes each segment as it is, without reading dots or slashes in it.
    fn from_iter<I: IntoIterator<Item = S>>(segments: I) -> Self {
        Self { segments: segments.into_iter().map(Into::into).collect() }
    }
}

impl fmt::Display for FieldPath {
    /// Dotted where that reads back to the same path, otherwise as a pointer.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.dotted() {
            for (i, segment) in self.segments.iter().enumerate() {
                if i > 0 {
                    f.write_char('.')?;
                }
                f.write_str(segment)?;
            }
            return Ok(());
        }
        for segment in &self.segments {
            f.write_char('/')?;
            for letter in segment.chars() {
                match letter {
                    '~' => f.write_str("~0")?,
                    '/' => f.write_str("~1")?,
                    other => f.write_char(other)?,
                }
            }
        }
        Ok(())
    }
}

impl fmt::Debug for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FieldPath({self})")
    }
}

impl FromStr for FieldPath {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::parse(text)
    }
}

impl Serialize for FieldPath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for FieldPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for FieldPath {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "FieldPath".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "A field by name, nested with dots (Account.Name), or a JSON pointer (/a.b/0)",
        })
    }
}

use super::names::Unknown;
use super::path::array_index;
use super::scan::{self, Fault, Kind, Next};
use super::{Error, FieldPath, Text, Value, members};

/// The one value that a text holds, checked throughout.
pub fn value(text: &str) -> Result<Value<'_>, Error> {
    let found = root(text)?;
    Ok(Value::new(found.kind, text.get(found.start..found.end).unwrap_or_default()))
}

/// One field of a text that is checked throughout: [`Value::Missing`] when it is not there, the last one
/// when there are several.
pub fn get<'a>(text: &'a str, path: &FieldPath) -> Result<Value<'a>, Error> {
    let mut found = root(text)?;
    for (depth, segment) in (1..).zip(path.segments()) {
        found = match found.kind {
            Kind::Object => member(text, found.start, depth, segment)?,
            Kind::Array => element(text, found.start, depth, segment)?,
            _ => return Ok(Value::Missing),
        };
    }
    Ok(Value::new(found.kind, text.get(found.start..found.end).unwrap_or_default()))
}

/// One member of an object whose names ignore ASCII case, as some vendors' do; otherwise as [`get`] with a path
/// of one segment.
pub fn get_ignoring_case<'a>(text: &'a str, name: &str) -> Result<Value<'a>, Error> {
    let mut found = Value::Missing;
    if let Value::Object(object) = value(text)? {
        for member in members(object) {
            let (other, value) = member?;
            if other.eq_str(name) || other.decode().is_ok_and(|other| other.eq_ignore_ascii_case(name)) {
                found = value;
            }
        }
    }
    Ok(found)
}

/// Where a value lies in a text of any size.
#[derive(Clone, Copy, Default)]
struct Found {
    kind: Kind,
    start: usize,
    end: usize,
}

fn root(text: &str) -> Result<Found, Fault> {
    let bytes = text.as_bytes();
    let start = scan::skip_space(bytes, 0);
    let (end, kind) = scan::skip_value(bytes, start, 0, &mut Unknown)?;
    scan::finish(bytes, end)?;
    Ok(Found { kind, start, end })
}

fn member(text: &str, open: usize, depth: u32, name: &str) -> Result<Found, Fault> {
    let bytes = text.as_bytes();
    let mut last = Found::default();
    let mut next = scan::first_member(bytes, scan::behind(open));
    while let Next::Item(at) = next {
        let key = scan::skip_space(bytes, at);
        let (key_end, spelling) = scan::skip_key(bytes, key)?;
        let start = scan::skip_space(bytes, scan::skip_colon(bytes, key_end)?);
        let (end, kind) = scan::skip_value(bytes, start, depth, &mut Unknown)?;
        let quoted = text.get(key..key_end).unwrap_or_default();
        if Text::new(quoted, spelling == Kind::EscapedText).eq_str(name) {
            last = Found { kind, start, end };
        }
        next = scan::next_member(bytes, end)?;
    }
    Ok(last)
}

fn element(text: &str, open: usize, depth: u32, index: &str) -> Result<Found, Fault> {
    let Some(index) = array_index(index) else {
        return Ok(Found::default());
    };
    let bytes = text.as_bytes();
    let mut count: u32 = 0;
    let mut next = scan::first_element(bytes, scan::behind(open));
    while let Next::Item(at) = next {
        let start = scan::skip_space(bytes, at);
        let (end, kind) = scan::skip_value(bytes, start, depth, &mut Unknown)?;
        if count == index {
            return Ok(Found { kind, start, end });
        }
        count = count.saturating_add(1);
        next = scan::next_element(bytes, end)?;
    }
    Ok(Found::default())
}

//! Reads and sets one member of a JSON body and leaves every other byte alone: digits, order and spaces of a
//! body are part of what is signed.

#![deny(clippy::arithmetic_side_effects)]

use std::collections::BTreeMap;
use std::ops::Range;

use serde_json::value::RawValue;

/// Where the value stands that a pointer (RFC 6901, objects only) names.
fn place(body: &[u8], pointer: &str) -> Option<Range<usize>> {
    let mut at = 0..body.len();
    for name in pointer.strip_prefix('/')?.split('/') {
        let members: BTreeMap<String, &RawValue> = serde_json::from_slice(body.get(at)?).ok()?;
        let value = members.get(&unescaped(name))?.get();
        let start = (value.as_ptr() as usize).checked_sub(body.as_ptr() as usize)?;
        at = start..start.checked_add(value.len())?;
    }
    Some(at)
}

/// The value's text: a string without its quotes, everything else as it is written.
pub(crate) fn read(body: &[u8], pointer: &str) -> Option<String> {
    let raw = std::str::from_utf8(body.get(place(body, pointer)?)?).ok()?;
    if raw.starts_with('"') { serde_json::from_str(raw).ok() } else { Some(raw.to_owned()) }
}

/// The body with a string in that place. A member that is missing is added to its object, as the first.
pub(crate) fn set(body: &[u8], pointer: &str, text: &str) -> Option<Vec<u8>> {
    let value = serde_json::to_string(text).ok()?;
    if let Some(at) = place(body, pointer) {
        return Some([body.get(..at.start)?, value.as_bytes(), body.get(at.end..)?].concat());
    }
    let (parent, name) = pointer.rsplit_once('/')?;
    let object = if parent.is_empty() { 0..body.len() } else { place(body, parent)? };
    let members: BTreeMap<String, &RawValue> = serde_json::from_slice(body.get(object.clone())?).ok()?;
    let brace = body.get(object.clone())?.iter().position(|&byte| byte == b'{')?;
    let (before, behind) = body.split_at_checked(object.start.checked_add(brace)?.checked_add(1)?)?;
    let member = serde_json::to_string(&unescaped(name)).ok()?;
    let comma: &[u8] = if members.is_empty() { b"" } else { b"," };
    Some([before, member.as_bytes(), b":", value.as_bytes(), comma, behind].concat())
}

fn unescaped(name: &str) -> String {
    name.replace("~1", "/").replace("~0", "~")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_with_the_digits_that_are_written() {
        let body = br#" {"a": {"amount": 100.00, "id":"x\"y", "k/2": true}, "n": null} "#;
        assert_eq!(read(body, "/a/amount").as_deref(), Some("100.00"));
        assert_eq!(read(body, "/a/id").as_deref(), Some("x\"y"));
        assert_eq!(read(body, "/a/k~12").as_deref(), Some("true"));
        for missing in ["", "/", "a", "/a/none", "/n/x", "/a/amount/x"] {
            assert_eq!(read(body, missing), None, "{missing}");
        }
        assert_eq!(read(b"[1]", "/0"), None);
        assert_eq!(read(b"{broken", "/a"), None);
    }

    #[test]
    fn setting_a_member_leaves_the_rest_as_it_was() {
        let set = |body: &str, pointer: &str| {
            set(body.as_bytes(), pointer, "s\"1").map(|body| String::from_utf8(body).unwrap())
        };
        assert_eq!(set(r#"{"t": "", "n": 1.00}"#, "/t").unwrap(), r#"{"t": "s\"1", "n": 1.00}"#);
        assert_eq!(set(r#"{"o":{"n":1.00}}"#, "/o/t").unwrap(), r#"{"o":{"t":"s\"1","n":1.00}}"#);
        assert_eq!(set("{ }", "/t").unwrap(), r#"{"t":"s\"1" }"#);
        for bad in ["[]", "", "7", "{", "{\"a\":1"] {
            assert_eq!(set(bad, "/t"), None, "{bad}");
        }
        assert_eq!(set("{}", "/o/t"), None);
    }
}

//! JSON objects whose members are unambiguous.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// The object that the text is. A member that is there twice, at any depth, is refused: of two readers one takes the
/// first and the other the last (RFC 8725, 2.4; RFC 7515, 4).
///
/// # Errors
/// What is wrong, to be put behind the thing's name, without repeating any of it.
pub(crate) fn object(text: &[u8]) -> Result<Map<String, Value>, &'static str> {
    let twice = Cell::new(false);
    let mut parser = serde_json::Deserializer::from_slice(text);
    if Unique(&twice).deserialize(&mut parser).is_err() {
        return Err(if twice.get() { "has a member twice" } else { "is not JSON" });
    }
    match serde_json::from_slice(text) {
        Ok(Value::Object(members)) => Ok(members),
        Ok(_) => Err("is not a JSON object"),
        Err(_) => Err("is not JSON"),
    }
}

/// Walks through a value and fails at the first member that its object has already.
#[derive(Clone, Copy)]
struct Unique<'a>(&'a Cell<bool>);

impl<'de> DeserializeSeed<'de> for Unique<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Unique<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items.next_element_seed(self)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let mut seen = BTreeSet::new();
        while let Some(name) = members.next_key::<String>()? {
            if !seen.insert(name) {
                self.0.set(true);
                return Err(A::Error::custom("a member is there twice"));
            }
            members.next_value_seed(self)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_that_are_there_twice_are_found_however_deep_and_however_written() {
        for text in [
            r#"{"a":1,"a":2}"#,
            r#"{"a":1,"\u0061":2}"#,
            r#"{"x":{"a":1,"a":1}}"#,
            r#"{"x":[1,{"a":1,"b":2,"a":3}]}"#,
        ] {
            assert_eq!(object(text.as_bytes()), Err("has a member twice"), "{text}");
        }
        let text = r#"{"a":{"a":[{"a":1},{"a":-2.5e3}]},"b":null,"c":"a","d":18446744073709551615}"#;
        assert_eq!(object(text.as_bytes()).unwrap().len(), 4);
    }

    #[test]
    fn what_is_no_object_is_refused() {
        let deep = "[".repeat(100_000);
        for text in ["", "{", "{} {}", "{\"a\":1}x", "{'a':1}", "\u{feff}{}", deep.as_str()] {
            assert_eq!(object(text.as_bytes()), Err("is not JSON"), "{text:.20}");
        }
        assert_eq!(object(b"{\"a\":\"\xff\"}"), Err("is not JSON"));
        assert_eq!(object(b"[{}]"), Err("is not a JSON object"));
    }
}

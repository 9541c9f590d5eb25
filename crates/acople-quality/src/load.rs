//! Reading rules from text, with errors that name the place.

use std::fmt;
use std::marker::PhantomData;

use acople_core::{Error, Result};
use serde::Deserialize;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer, StrDeserializer};
use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::Rules;

pub(crate) fn yaml(text: &str) -> Result<Rules> {
    let mut options = serde_saphyr::Options::default();
    // `no` is a country as often as a truth value; a quoted excerpt would span lines.
    options.strict_booleans = true;
    options.with_snippet = false;
    let mut track = serde_path_to_error::Track::new();
    serde_saphyr::with_deserializer_from_str_with_options(text, options, |parser| {
        Rules::deserialize(serde_path_to_error::Deserializer::new(parser, &mut track))
    })
    .map_err(|error| failure("yaml", &track.path().to_string(), &error.to_string()))
}

pub(crate) fn json(text: &str) -> Result<Rules> {
    // Serde also reads a struct from a list, by position; that is no format to offer.
    if text.trim_start().starts_with('[') {
        return Err(failure("json", ".", "an object is expected"));
    }
    let mut parser = serde_json::Deserializer::from_str(text);
    let rules: Rules = serde_path_to_error::deserialize(&mut parser)
        .map_err(|error| failure("json", &error.path().to_string(), &error.inner().to_string()))?;
    parser.end().map_err(|error| failure("json", ".", &error.to_string()))?;
    Ok(rules)
}

fn failure(format: &str, place: &str, message: &str) -> Error {
    if place == "." {
        Error::config("rules", format!("rules are not valid {format}: {message}"))
    } else {
        Error::config(place, format!("rules are not valid {format}: {place}: {message}"))
    }
}

/// For `skip_serializing_if`.
pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Tells `null` from an absent attribute.
pub(crate) fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// A list, or a single item without the brackets.
pub(crate) fn one_or_many<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    deserializer.deserialize_any(OneOrMany(PhantomData))
}

struct OneOrMany<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for OneOrMany<T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("one item or a list of items")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Vec<T>, E> {
        T::deserialize(StrDeserializer::new(text)).map(|one| vec![one])
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Vec<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(|one| vec![one])
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Vec<T>, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(seq))
    }
}

//! Percent-encoding as signatures want it: everything but RFC 3986's unreserved characters.

#![deny(clippy::arithmetic_side_effects)]

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode, percent_decode_str, percent_encode};

const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
const RESERVED_IN_PATH: &AsciiSet = &RESERVED.remove(b'/');

/// Encodes one name or value.
pub(crate) fn encode(text: &[u8]) -> String {
    percent_encode(text, RESERVED).to_string()
}

/// Encodes a path, slashes left alone.
pub(crate) fn encode_path(path: &[u8]) -> String {
    percent_encode(path, RESERVED_IN_PATH).to_string()
}

/// What a path on the wire stands for.
pub(crate) fn decode_path(path: &str) -> Vec<u8> {
    percent_decode_str(path).collect()
}

/// The pairs of a query or form, decoded and encoded again, so that every spelling of a pair is the same. A `+`
/// is a space.
pub(crate) fn encoded_pairs(text: &[u8]) -> Vec<(String, String)> {
    let one = |part: &[u8]| {
        let spaced: Cow<'_, [u8]> = if part.contains(&b'+') {
            part.iter().map(|&byte| if byte == b'+' { b' ' } else { byte }).collect()
        } else {
            part.into()
        };
        encode(&percent_decode(&spaced).collect::<Vec<u8>>())
    };
    text.split(|&byte| byte == b'&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let mut halves = pair.splitn(2, |&byte| byte == b'=');
            (one(halves.next().unwrap_or_default()), one(halves.next().unwrap_or_default()))
        })
        .collect()
}

/// Sorted by name, then value, by their bytes: `a=1&b=2`.
pub(crate) fn joined(mut pairs: Vec<(String, String)>) -> String {
    pairs.sort_unstable();
    let mut text = String::new();
    for (name, value) in &pairs {
        if !text.is_empty() {
            text.push('&');
        }
        text.push_str(name);
        text.push('=');
        text.push_str(value);
    }
    text
}

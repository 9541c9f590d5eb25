//! Names of keys in Redis: bytes, in which every part has its length before it.
//!
//! The prefix is a hash tag, so that all keys of a store are in one slot of a cluster and a script may use several.

use acople_core::{ConnectionKey, Error, ErrorKind, Result, StateKey};

/// Longest key of a record, all parts together, in bytes.
const MAX_KEY: usize = 16 * 1024;

/// The key of one thing of a store.
pub(crate) fn key(prefix: &str, kind: &str, member: &[u8]) -> Vec<u8> {
    let mut out = format!("{{{prefix}}}:{kind}:").into_bytes();
    out.extend(member);
    out
}

/// The key of something that a store has once.
pub(crate) fn single(prefix: &str, kind: &str) -> Vec<u8> {
    format!("{{{prefix}}}:{kind}").into_bytes()
}

/// Parts as one text, and apart again by [`parts`].
pub(crate) fn member(parts: &[&str]) -> Result<Vec<u8>> {
    if parts.iter().map(|part| part.len()).sum::<usize>() > MAX_KEY {
        return Err(Error::new(
            ErrorKind::TooLarge,
            format!("names of a stored record are longer than {MAX_KEY} bytes"),
        ));
    }
    let mut out = Vec::new();
    for part in parts {
        out.extend(part.len().to_string().as_bytes());
        out.push(b':');
        out.extend(part.as_bytes());
    }
    Ok(out)
}

/// The parts of a member; `None` when it is none, or has another number of them.
pub(crate) fn parts<const N: usize>(bytes: &[u8]) -> Option<[String; N]> {
    all_parts(bytes)?.try_into().ok()
}

/// The parts of a member, however many they are.
pub(crate) fn all_parts(mut bytes: &[u8]) -> Option<Vec<String>> {
    let mut parts = Vec::new();
    while !bytes.is_empty() {
        let colon = bytes.iter().position(|byte| *byte == b':')?;
        let (length, rest) = bytes.split_at_checked(colon)?;
        let length: usize = std::str::from_utf8(length).ok()?.parse().ok()?;
        let (part, rest) = rest.get(1..)?.split_at_checked(length)?;
        parts.push(std::str::from_utf8(part).ok()?.to_owned());
        bytes = rest;
    }
    Some(parts)
}

/// The parts of a state's key.
pub(crate) fn state_parts(key: &StateKey) -> [&str; 4] {
    [&key.sync, &key.tenant, &key.stream, &key.partition]
}

/// The parts of a connection's key.
pub(crate) fn connection_parts(key: &ConnectionKey) -> [&str; 3] {
    [&key.tenant, &key.connector, &key.connection]
}

/// A state's key in a message: empty parts are left out.
pub(crate) fn describe_state(key: &StateKey) -> String {
    let mut text = format!("sync {:?} stream {:?}", key.sync, key.stream);
    for (name, part) in [("partition", &key.partition), ("tenant", &key.tenant)] {
        if !part.is_empty() {
            text = format!("{text} {name} {part:?}");
        }
    }
    text
}

/// A connection's key in a message.
pub(crate) fn describe_connection(key: &ConnectionKey) -> String {
    let tenant = if key.tenant.is_empty() { String::new() } else { format!(" tenant {:?}", key.tenant) };
    format!("connector {:?} connection {:?}{tenant}", key.connector, key.connection)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::{member, parts};

    proptest! {
        #[test]
        fn parts_come_back_as_they_were(a in ".{0,12}", b in "[0-9:]{0,6}", c in "[\0:0-9]{0,6}") {
            let joined = member(&[&a, &b, &c]).unwrap();
            prop_assert_eq!(parts::<3>(&joined), Some([a, b, c]));
            prop_assert_eq!(parts::<2>(&joined), None);
        }

        #[test]
        fn no_bytes_are_a_reason_to_panic(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = parts::<3>(&bytes);
        }
    }
}

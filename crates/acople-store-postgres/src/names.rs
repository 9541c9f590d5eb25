//! Names as PostgreSQL keeps them.
//!
//! PostgreSQL's `text` holds every character but U+0000. That one becomes U+0001 U+0001 and U+0001 becomes
//! U+0001 U+0002, which keeps any two texts apart and their order by bytes as it was.

use std::borrow::Cow;

use acople_core::{ConnectionKey, Error, ErrorKind, Result, StateKey};

/// Longest key of a row, all parts together, in bytes: an index entry has room for 2,704.
const MAX_KEY: usize = 2000;

/// A text as it goes into a column.
pub(crate) fn to_column(text: &str) -> Cow<'_, str> {
    if !text.contains(['\0', '\u{1}']) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    for char in text.chars() {
        match char {
            '\0' => out.push_str("\u{1}\u{1}"),
            '\u{1}' => out.push_str("\u{1}\u{2}"),
            other => out.push(other),
        }
    }
    Cow::Owned(out)
}

/// A text as it comes out of a column.
pub(crate) fn from_column(column: String) -> String {
    if !column.contains('\u{1}') {
        return column;
    }
    let mut out = String::with_capacity(column.len());
    let mut chars = column.chars();
    while let Some(char) = chars.next() {
        match char {
            '\u{1}' => out.push(if chars.next() == Some('\u{1}') { '\0' } else { '\u{1}' }),
            other => out.push(other),
        }
    }
    out
}

/// The parts of a key as they go into columns.
pub(crate) fn columns<const N: usize>(parts: [&str; N]) -> Result<[Cow<'_, str>; N]> {
    let columns = parts.map(to_column);
    check(&columns)?;
    Ok(columns)
}

/// The same for a key of any number of parts.
pub(crate) fn columns_of<'a>(parts: &[&'a str]) -> Result<Vec<Cow<'a, str>>> {
    let columns: Vec<_> = parts.iter().map(|part| to_column(part)).collect();
    check(&columns)?;
    Ok(columns)
}

fn check(columns: &[Cow<'_, str>]) -> Result<()> {
    if columns.iter().map(|column| column.len()).sum::<usize>() > MAX_KEY {
        return Err(Error::new(
            ErrorKind::TooLarge,
            format!("names of a stored record are longer than {MAX_KEY} bytes"),
        ));
    }
    Ok(())
}

/// The parts of a state's key, in the order of its index.
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
    use proptest::prelude::*;

    use super::{columns, from_column, to_column};

    fn texts() -> impl Strategy<Value = String> {
        proptest::collection::vec(prop_oneof!["[\0\u{1}\u{2}]", any::<char>().prop_map(String::from)], 0..12)
            .prop_map(|parts| parts.concat())
    }

    proptest! {
        #[test]
        fn every_text_comes_back_as_it_was(text in texts()) {
            let column = to_column(&text).into_owned();
            prop_assert!(!column.contains('\0'));
            prop_assert_eq!(from_column(column), text);
        }

        #[test]
        fn columns_have_the_order_of_their_texts(a in texts(), b in texts()) {
            prop_assert_eq!(to_column(&a).as_bytes().cmp(to_column(&b).as_bytes()), a.as_bytes().cmp(b.as_bytes()));
        }
    }

    #[test]
    fn names_that_no_index_can_hold_are_refused() {
        assert!(columns([&"x".repeat(1_000), &"y".repeat(1_000)]).is_ok());
        let error = columns([&"x".repeat(1_001), &"y".repeat(1_000)]).err().map(|e| e.kind());
        assert_eq!(error, Some(acople_core::ErrorKind::TooLarge));
    }
}

//! Stream names as file names, one for one, and none that leaves the folder.

use std::fmt::Write;

use acople_core::{Error, Result};

use crate::config::Format;

/// Longest file name that every common file system takes, in bytes.
const LONGEST: usize = 255;

/// Device names of Windows, which are no files whatever their extension.
const DEVICES: [&str; 4] = ["con", "prn", "aux", "nul"];

/// The file name of a stream. Characters that mean something to a file system are written as `%2F`, so that
/// two streams never share a file.
///
/// # Errors
/// `Config` when the name is empty or too long.
pub(crate) fn file_name(stream: &str, format: Format) -> Result<String> {
    if stream.is_empty() {
        return Err(Error::config("stream", "a stream has a name"));
    }
    let mut name = String::with_capacity(stream.len() + 6);
    let last = stream.len();
    for (at, c) in stream.char_indices() {
        let first = at == 0;
        let edge = first || at + c.len_utf8() == last;
        let special = c.is_control()
            || matches!(c, '/' | '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|' | '%')
            || (c == ' ' && edge)
            || (first && (c == '.' || is_device(stream)));
        if special {
            let mut bytes = [0; 4];
            for byte in c.encode_utf8(&mut bytes).bytes() {
                // Writing to a String does not fail.
                let _ = write!(name, "%{byte:02X}");
            }
        } else {
            name.push(c);
        }
    }
    name.push_str(extension(format));
    if name.len() > LONGEST {
        return Err(Error::config(
            "stream",
            format!("the name makes a file name longer than {LONGEST} bytes"),
        ));
    }
    Ok(name)
}

/// What every file of a format ends in.
pub(crate) fn extension(format: Format) -> &'static str {
    match format {
        Format::JsonLines => ".jsonl",
        Format::Csv => ".csv",
    }
}

/// The stream of a file name of this format, if it is one of ours.
pub(crate) fn stream_name(file: &str, format: Format) -> Option<String> {
    let stem = file.strip_suffix(extension(format))?;
    let mut bytes = Vec::with_capacity(stem.len());
    let mut rest = stem.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digits = [rest.next()?, rest.next()?];
            bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    let stream = String::from_utf8(bytes).ok()?;
    // A name that we would write otherwise belongs to somebody else.
    (file_name(&stream, format).ok()? == file).then_some(stream)
}

fn is_device(stream: &str) -> bool {
    let stem = stream.split('.').next().unwrap_or_default().trim_end().to_ascii_lowercase();
    let numbered = ["com", "lpt"].iter().any(|port| {
        stem.strip_prefix(port).is_some_and(|n| n.len() == 1 && n.bytes().all(|b| b.is_ascii_digit()))
    });
    numbered || DEVICES.contains(&stem.as_str())
}

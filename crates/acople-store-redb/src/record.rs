//! The one shape of everything in the file: a record that names itself and carries its checksum.
//!
//! ```text
//! "acople" 0x1e | version 1 | kind | generation u64 | parts u8 | (length u32, text)* | length u32 | payload | SHA-256
//! ```
//!
//! Numbers are big-endian; the checksum covers all bytes before it. Because a record holds its own
//! key and generation, it is recognised wherever its bytes are found: a file whose index is damaged
//! is rebuilt from its records (see `recover`), and a record under another's key is noticed.

use aws_lc_rs::digest::{SHA256, digest};

use acople_core::{Error, ErrorKind, Result};

/// What every record starts with. The unit separator keeps it from occurring in ordinary text.
pub(crate) const MAGIC: [u8; 8] = *b"acople\x1e\x01";
/// Longest key of a record, all parts together, in bytes.
pub(crate) const MAX_KEY: usize = 16 * 1024;
/// Longest possible header, in bytes: what must be read to know a record's length.
pub(crate) const MAX_HEADER: usize = MAGIC.len() + 1 + 8 + 1 + 255 * 4 + MAX_KEY + 4;
const CHECKSUM: usize = 32;

/// What a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The state of a stream. Key: tenant, sync, stream, partition.
    State,
    /// A state was removed; the generation fences writers that do not know yet.
    StateRemoved,
    /// Sealed tokens. Key: tenant, connector, connection.
    Token,
    /// The generation that the tokens must have.
    TokenFloor,
    /// The tokens were removed at this generation.
    TokenRemoved,
    /// A quarantined record. Key: id, sync, tenant.
    Quarantine,
    /// Two records that are one. Key: tenant, sync, source vendor and stream, target vendor and stream, source id,
    /// target id.
    Link,
    /// Facts about the store itself. Key: their name.
    Meta,
    /// A sealed secret. Key: tenant, connector, connection, field.
    Secret,
    /// The generation that the secret must have.
    SecretFloor,
    /// The secret was removed at this generation.
    SecretRemoved,
}

impl Kind {
    fn code(self) -> u8 {
        match self {
            Self::State => 1,
            Self::StateRemoved => 2,
            Self::Token => 3,
            Self::TokenFloor => 4,
            Self::TokenRemoved => 5,
            Self::Quarantine => 6,
            Self::Meta => 7,
            Self::Secret => 8,
            Self::SecretFloor => 9,
            Self::SecretRemoved => 10,
            Self::Link => 11,
        }
    }

    fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            1 => Self::State,
            2 => Self::StateRemoved,
            3 => Self::Token,
            4 => Self::TokenFloor,
            5 => Self::TokenRemoved,
            6 => Self::Quarantine,
            7 => Self::Meta,
            8 => Self::Secret,
            9 => Self::SecretFloor,
            10 => Self::SecretRemoved,
            11 => Self::Link,
            _ => return None,
        })
    }
}

/// A record read from its bytes.
#[derive(Debug)]
pub(crate) struct Record<'a> {
    pub(crate) kind: Kind,
    pub(crate) generation: u64,
    pub(crate) key: Vec<&'a str>,
    pub(crate) payload: &'a [u8],
}

/// The bytes of a record.
pub(crate) fn encode(kind: Kind, generation: u64, key: &[&str], payload: &[u8]) -> Result<Vec<u8>> {
    check_key(key)?;
    let parts =
        u8::try_from(key.len()).map_err(|_| too_large("key of a stored record has too many parts"))?;
    let length = length_of(payload)?;
    let key_len: usize = key.iter().map(|part| part.len() + 4).sum();
    let mut out = Vec::with_capacity(MAGIC.len() + 14 + key_len + payload.len() + CHECKSUM);
    out.extend(MAGIC);
    out.push(kind.code());
    out.extend(generation.to_be_bytes());
    out.push(parts);
    for part in key {
        out.extend(length_of(part.as_bytes())?.to_be_bytes());
        out.extend(part.as_bytes());
    }
    out.extend(length.to_be_bytes());
    out.extend(payload);
    let sum = digest(&SHA256, &out);
    out.extend(sum.as_ref());
    Ok(out)
}

/// Refuses keys that are too long to be stored.
pub(crate) fn check_key(key: &[&str]) -> Result<()> {
    if key.iter().map(|part| part.len()).sum::<usize>() > MAX_KEY {
        return Err(too_large(&format!("names of a stored record are longer than {MAX_KEY} bytes")));
    }
    Ok(())
}

/// Reads a record; `None` when any bit of it is not as it was written.
pub(crate) fn decode(bytes: &[u8]) -> Option<Record<'_>> {
    let (body, sum) = bytes.split_at_checked(bytes.len().checked_sub(CHECKSUM)?)?;
    if digest(&SHA256, body).as_ref() != sum {
        return None;
    }
    let (header, payload) = header(body)?;
    if payload.len() != header.payload {
        return None;
    }
    Some(Record { kind: header.kind, generation: header.generation, key: header.key, payload })
}

/// Kind, generation and key without the checksum's word for them: for listings, which would
/// otherwise read every payload.
pub(crate) fn peek(bytes: &[u8]) -> Option<(Kind, u64, Vec<&str>)> {
    let (header, _) = header(bytes)?;
    Some((header.kind, header.generation, header.key))
}

/// How many bytes the record has that starts here, if one does.
pub(crate) fn extent(start: &[u8]) -> Option<usize> {
    let (header, rest) = header(start)?;
    (start.len() - rest.len()).checked_add(header.payload)?.checked_add(CHECKSUM)
}

struct Header<'a> {
    kind: Kind,
    generation: u64,
    key: Vec<&'a str>,
    payload: usize,
}

fn header(bytes: &[u8]) -> Option<(Header<'_>, &[u8])> {
    let rest = bytes.strip_prefix(&MAGIC)?;
    let (&kind, rest) = rest.split_first()?;
    let (generation, rest) = rest.split_first_chunk::<8>()?;
    let (&parts, mut rest) = rest.split_first()?;
    let mut key = Vec::new();
    let mut key_len = 0;
    for _ in 0..parts {
        let (part, after) = text(rest)?;
        key_len += part.len();
        if key_len > MAX_KEY {
            return None;
        }
        key.push(part);
        rest = after;
    }
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let header = Header {
        kind: Kind::from_code(kind)?,
        generation: u64::from_be_bytes(*generation),
        key,
        payload: usize::try_from(u32::from_be_bytes(*length)).ok()?,
    };
    Some((header, rest))
}

fn text(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (text, rest) = rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
    Some((std::str::from_utf8(text).ok()?, rest))
}

fn length_of(bytes: &[u8]) -> Result<u32> {
    u32::try_from(bytes.len()).map_err(|_| too_large("a stored record is longer than 4 GiB"))
}

fn too_large(message: &str) -> Error {
    Error::new(ErrorKind::TooLarge, message)
}

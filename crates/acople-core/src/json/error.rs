use super::MAX_DEPTH;

/// Why a text could not be read. Messages carry positions and paths, never record content.
///
/// Offsets are bytes from the start of the text that was given; for a [`Page`](super::Page) they count
/// after its byte-order mark.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The text does not follow RFC 8259.
    #[error("invalid JSON at byte {offset}: {problem}")]
    Syntax {
        /// The byte at which the grammar is broken.
        offset: usize,
        /// What is wrong there.
        problem: &'static str,
    },
    /// Arrays and objects are nested [`MAX_DEPTH`] deep.
    #[error("JSON nested {MAX_DEPTH} levels deep at byte {offset}")]
    TooDeep {
        /// The bracket that is one too many.
        offset: usize,
    },
    /// The page is larger than a [`Span`](super::Span) can address.
    #[error("a page of {len} bytes exceeds the limit of {limit}", limit = u32::MAX)]
    TooLarge {
        /// Its size in bytes.
        len: usize,
    },
    /// The bytes are not UTF-8.
    #[error("invalid UTF-8 at byte {offset}")]
    InvalidUtf8 {
        /// The first byte that does not belong.
        offset: usize,
    },
    /// A text holds half of a surrogate pair, which no Rust string can carry.
    #[error("unpaired surrogate in a text")]
    UnpairedSurrogate,
    /// The answer has no member where its records should be. Not the same as an empty page.
    #[error("no record array at {path}")]
    MissingRecords {
        /// The path looked up, or all candidates, comma separated.
        path: String,
    },
    /// The answer has something else than an array or `null` where its records should be.
    #[error("the records at {path} are not an array")]
    RecordsNotArray {
        /// The candidate that was present.
        path: String,
    },
    /// A field path has an empty segment, or a `~` that RFC 6901 does not know.
    #[error("invalid field path: {problem}")]
    InvalidPath {
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A value is JSON, but not of the type asked for.
    #[error("the value does not have the form asked for, noticed at line {line}, column {column}")]
    Mismatch {
        /// Line within the value's own text, from 1.
        line: usize,
        /// Column within that line, from 1.
        column: usize,
    },
}

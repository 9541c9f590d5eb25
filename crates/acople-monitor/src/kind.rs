//! Error kinds as places in an array, and what each says about the vendor.

use acople_core::ErrorKind;

/// The kinds that are told apart; a kind that is newer than this crate counts as `other`.
const KINDS: [ErrorKind; 18] = ErrorKind::ALL;

/// How many places there are.
pub(crate) const PLACES: usize = KINDS.len() + 1;

/// The place of a kind.
pub(crate) fn place(kind: ErrorKind) -> usize {
    KINDS.iter().position(|known| *known == kind).unwrap_or(KINDS.len())
}

/// The kind of a place; `None` for `other`.
pub(crate) fn at(place: usize) -> Option<ErrorKind> {
    KINDS.get(place).copied()
}

/// The word of a place.
pub(crate) fn word(place: usize) -> &'static str {
    at(place).map_or(crate::names::OTHER, ErrorKind::as_str)
}

/// What the end of a call says about the vendor: `Some(true)` that it works, `Some(false)` that it does not,
/// `None` nothing.
pub(crate) fn verdict(error: Option<ErrorKind>) -> Option<bool> {
    use ErrorKind as K;
    match error {
        // It looked at the request and said no: that is what it is there for.
        None | Some(K::Invalid | K::NotFound | K::Permission | K::Conflict | K::CursorExpired) => Some(true),
        Some(K::Transient | K::Timeout | K::Ambiguous | K::Protocol | K::Internal) => Some(false),
        // Limits, the caller's wishes and our own refusals.
        Some(_) => None,
    }
}

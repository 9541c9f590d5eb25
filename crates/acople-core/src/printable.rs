//! Texts of others, fit for logs and terminals.

#![deny(clippy::arithmetic_side_effects)]

/// The text with everything escaped that would break a line, move a cursor, change colours or reorder what is shown,
/// and cut with an ellipsis where it is longer than `limit` bytes (log injection, CWE-117; Unicode Technical Report
/// 36, 2.5).
///
/// ```
/// let text = acople_core::printable("name\u{1b}[31m\nlevel=error", 12);
/// assert_eq!(text, "name\\u{1b}[3…");
/// ```
pub fn printable(text: &str, limit: usize) -> String {
    let mut out = String::with_capacity(text.len().min(limit));
    for c in text.chars() {
        if out.len().saturating_add(c.len_utf8()) > limit {
            out.push('…');
            break;
        }
        // Line and paragraph separators break lines, and bidirectional overrides reorder what a terminal shows, as
        // control characters do.
        if c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}') {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    out
}

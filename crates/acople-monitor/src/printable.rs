//! Texts of others, fit for logs and terminals.

/// Longest name shown, in bytes.
const LIMIT: usize = 128;

/// Escapes control characters and what reorders a terminal's text, and bounds the length.
pub(crate) fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len().min(LIMIT));
    for c in text.chars() {
        if out.len() + c.len_utf8() > LIMIT {
            out.push('…');
            break;
        }
        if c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    out
}

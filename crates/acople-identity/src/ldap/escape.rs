//! The two functions by which values get into filters and names.

/// A value for the inside of a filter (RFC 4515, 3): whatever is not a plain printable character is written as a
/// backslash and two hexadecimal digits, byte by byte.
pub(super) fn filter_value(value: &[u8]) -> String {
    let mut out = String::with_capacity(value.len());
    for &byte in value {
        if matches!(byte, b' '..=b'~') && !matches!(byte, b'*' | b'(' | b')' | b'\\') {
            out.push(char::from(byte));
        } else {
            hex(&mut out, byte);
        }
    }
    out
}

/// A value for the inside of a distinguished name (RFC 4514, 2.4).
pub(super) fn dn_value(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    let last = value.len().saturating_sub(1);
    for (at, c) in value.char_indices() {
        match c {
            '"' | '+' | ',' | ';' | '<' | '=' | '>' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            '#' if at == 0 => out.push_str("\\#"),
            ' ' if at == 0 || at == last => out.push_str("\\ "),
            // Only the zero byte must be; the others would be invisible in logs.
            '\0'..='\x1f' | '\x7f' => hex(&mut out, u8::try_from(c).unwrap_or_default()),
            c => out.push(c),
        }
    }
    out
}

fn hex(out: &mut String, byte: u8) {
    const DIGITS: [char; 16] =
        ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    out.push('\\');
    for digit in [byte >> 4, byte & 15] {
        out.extend(DIGITS.get(usize::from(digit)));
    }
}

//! Base64 and percent escapes: what paths, Basic headers, assertions and opaque page tokens are written in.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Standard base64 with padding (RFC 4648, section 4).
pub(crate) fn base64_encode(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let mut group = 0_u32;
        for position in 0..3 {
            group = group << 8 | u32::from(chunk.get(position).copied().unwrap_or(0));
        }
        for position in 0..4_usize {
            if position > chunk.len() {
                out.push('=');
            } else {
                let index = (group >> (18 - 6 * position)) & 63;
                out.push(char::from(ALPHABET.get(index as usize).copied().unwrap_or(b'=')));
            }
        }
    }
    out
}

/// Base64 in either alphabet, padded or not (RFC 4648, sections 4 and 5).
pub(crate) fn base64_decode(text: &str) -> Option<Vec<u8>> {
    let text = text.trim_end_matches('=');
    let mut out = Vec::with_capacity(text.len() * 3 / 4);
    let (mut group, mut bits) = (0_u32, 0_u32);
    for byte in text.bytes() {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return None,
        };
        group = group << 6 | u32::from(value);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            out.push(u8::try_from(group >> bits & 0xff).ok()?);
        }
    }
    // Six left-over bits are a lone character: no byte ends there.
    (bits < 6).then_some(out)
}

/// Percent escapes of a path segment; `+` stays a plus sign.
pub(crate) fn percent_decode(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let high = char::from(bytes.next()?).to_digit(16)?;
            let low = char::from(bytes.next()?).to_digit(16)?;
            out.push(u8::try_from(high << 4 | low).ok()?);
        } else {
            out.push(byte);
        }
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_reads_what_it_wrote() {
        for text in ["", "2", "ab", "abc", "any carnal pleas"] {
            let encoded = base64_encode(text.as_bytes());
            assert_eq!(encoded.len() % 4, 0);
            assert_eq!(base64_decode(&encoded).unwrap(), text.as_bytes());
        }
        assert_eq!(base64_encode(b"2"), "Mg==");
        assert_eq!(base64_decode("_-8"), base64_decode("/+8="));
        assert_eq!(base64_decode("A"), None);
        assert_eq!(base64_decode("A*=="), None);
    }

    #[test]
    fn percent_escapes_are_undone_and_half_ones_refused() {
        assert_eq!(percent_decode("a%40b.c+d").as_deref(), Some("a@b.c+d"));
        assert_eq!(percent_decode("%4"), None);
        assert_eq!(percent_decode("%ff"), None);
    }
}

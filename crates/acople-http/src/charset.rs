//! The text of answers: byte-order marks and declared charsets.

#![deny(clippy::arithmetic_side_effects)]

use std::borrow::Cow;

use acople_core::{Error, ErrorKind, Result};
use encoding_rs::{DecoderResult, Encoding, UTF_16BE, UTF_16LE};
use http::HeaderMap;
use http::header::CONTENT_TYPE;

/// Stands for a sequence that its charset does not know: no UTF-8 holds this byte, so that whoever checks the
/// text finds it like any other byte that does not belong.
const MALFORMED: u8 = 0xff;

/// A body in UTF-8, as far as it is text. A body that is UTF-8 already is given back as it is.
///
/// A byte-order mark counts more than what the header says (WHATWG Encoding, 4.2). Without both, and for
/// `us-ascii`, the body is UTF-8 (RFC 8259, 8.1). The mark of UTF-8 is left in its place.
///
/// # Errors
/// `Protocol` for a charset that is not known.
pub(crate) fn utf8<'a>(headers: &HeaderMap, body: impl Into<Cow<'a, [u8]>>) -> Result<Cow<'a, [u8]>> {
    let body = body.into();
    Ok(match encoding(headers, &body)? {
        Some(encoding) => Cow::Owned(decode(encoding, &body)),
        None => body,
    })
}

/// The body's encoding; `None`: UTF-8.
fn encoding(headers: &HeaderMap, body: &[u8]) -> Result<Option<&'static Encoding>> {
    match body {
        [0xef, 0xbb, 0xbf, ..] => return Ok(None),
        [0xfe, 0xff, ..] => return Ok(Some(UTF_16BE)),
        [0xff, 0xfe, ..] => return Ok(Some(UTF_16LE)),
        _ => {}
    }
    let Some(label) = headers.get(CONTENT_TYPE).and_then(|value| charset(value.as_bytes())) else {
        return Ok(None);
    };
    if ["utf-8", "utf8", "us-ascii", "ascii"].iter().any(|same| label.eq_ignore_ascii_case(same.as_bytes())) {
        return Ok(None);
    }
    match Encoding::for_label_no_replacement(label) {
        Some(encoding) if encoding == encoding_rs::UTF_8 => Ok(None),
        Some(encoding) => Ok(Some(encoding)),
        None => Err(Error::new(ErrorKind::Protocol, "the answer's charset is not known")),
    }
}

/// The `charset` of a media type (RFC 9110, 8.3.2).
fn charset(media_type: &[u8]) -> Option<&[u8]> {
    media_type.split(|byte| *byte == b';').skip(1).find_map(|parameter| {
        let at = parameter.iter().position(|byte| *byte == b'=')?;
        let (name, value) = parameter.split_at_checked(at)?;
        let value = value.get(1..)?.trim_ascii();
        let value = value.strip_prefix(b"\"").and_then(|v| v.strip_suffix(b"\"")).unwrap_or(value);
        name.trim_ascii().eq_ignore_ascii_case(b"charset").then_some(value)
    })
}

fn decode(encoding: &'static Encoding, body: &[u8]) -> Vec<u8> {
    let mut decoder = encoding.new_decoder_with_bom_removal();
    let (mut text, mut piece) = (Vec::with_capacity(body.len()), [0; 4096]);
    let mut rest = body;
    loop {
        let (result, read, written) = decoder.decode_to_utf8_without_replacement(rest, &mut piece, true);
        text.extend_from_slice(piece.get(..written).unwrap_or_default());
        rest = rest.get(read..).unwrap_or_default();
        match result {
            DecoderResult::InputEmpty => return text,
            DecoderResult::OutputFull => {}
            DecoderResult::Malformed(..) => text.push(MALFORMED),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_charset_is_found_among_parameters() {
        for (media_type, expected) in [
            ("application/json", None),
            ("application/json;charset=utf-8", Some("utf-8")),
            ("text/csv; header=present; Charset = \"ISO-8859-1\"", Some("ISO-8859-1")),
            ("text/csv; charset=", Some("")),
            ("charset=utf-16", None),
            (";;=;charset", None),
        ] {
            assert_eq!(charset(media_type.as_bytes()), expected.map(str::as_bytes), "{media_type}");
        }
    }
}

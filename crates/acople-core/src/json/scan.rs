//! The one scanner: everything that reads JSON here goes through [`skip_value`] and its parts.
//!
//! Functions take the bytes and a position and return the next position, so that both stay in registers.
//! The bytes are those of a `str`: UTF-8 is not checked again, and every position returned lies next to an
//! ASCII byte, so cutting the text there is always valid.

use super::Error;
use super::names::Names;

/// Arrays and objects that are open at the same time stay below this number.
pub const MAX_DEPTH: u32 = 128;

/// What a value is, as far as its first bytes and the scan of its text tell.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Kind {
    #[default]
    Missing,
    Null,
    False,
    True,
    Number,
    /// A text without backslashes.
    Text,
    /// A text with at least one backslash.
    EscapedText,
    Array,
    Object,
}

/// A scanning error: two words, so that results stay cheap to pass.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fault {
    problem: Problem,
    offset: usize,
}

#[derive(Clone, Copy, Debug)]
enum Problem {
    End,
    Value,
    Number,
    Key,
    Colon,
    ArrayEnd,
    ObjectEnd,
    Control,
    Escape,
    Trailing,
    Object,
    Array,
    TooDeep,
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        let problem = match fault.problem {
            Problem::TooDeep => return Self::TooDeep { offset: fault.offset },
            Problem::End => "unexpected end",
            Problem::Value => "expected a value",
            Problem::Number => "invalid number",
            Problem::Key => "expected a member name in quotes",
            Problem::Colon => "expected a colon",
            Problem::ArrayEnd => "expected a comma or ]",
            Problem::ObjectEnd => "expected a comma or }",
            Problem::Control => "control character in a text",
            Problem::Escape => "invalid escape in a text",
            Problem::Object => "expected an object",
            Problem::Array => "expected an array",
            Problem::Trailing => "characters after the value",
        };
        Self::Syntax { offset: fault.offset, problem }
    }
}

/// Passes white space.
#[inline]
pub(super) fn skip_space(bytes: &[u8], at: usize) -> usize {
    match bytes.get(at) {
        // Vendors send compact JSON: one comparison and on.
        Some(byte) if *byte > b' ' => at,
        _ => skip_long_space(bytes, at),
    }
}

#[inline(never)]
fn skip_long_space(bytes: &[u8], at: usize) -> usize {
    const INDENTATION: u32 = u32::from_ne_bytes([b' '; 4]);
    let mut rest = bytes.get(at..).unwrap_or_default();
    while let [b' ' | b'\n' | b'\r' | b'\t', tail @ ..] = rest {
        rest = tail;
        while let Some((block, tail)) = rest.split_first_chunk()
            && u32::from_ne_bytes(*block) == INDENTATION
        {
            rest = tail;
        }
    }
    before(bytes, rest)
}

/// The position at which the rest of a text starts.
#[inline]
fn before(bytes: &[u8], rest: &[u8]) -> usize {
    bytes.len().saturating_sub(rest.len())
}

/// The position behind the byte at `at`.
#[inline]
pub(super) fn behind(at: usize) -> usize {
    at.saturating_add(1)
}

/// Nothing but white space may follow the value of a whole text.
pub(super) fn finish(bytes: &[u8], at: usize) -> Result<(), Fault> {
    let at = skip_space(bytes, at);
    if at < bytes.len() { fault(Problem::Trailing, bytes, at) } else { Ok(()) }
}

/// Enters a container whose bracket is at `at`, and tells the depth inside.
#[inline]
pub(super) fn descend(depth: u32, at: usize) -> Result<u32, Fault> {
    let inside = depth.saturating_add(1);
    if inside >= MAX_DEPTH { Err(Fault { problem: Problem::TooDeep, offset: at }) } else { Ok(inside) }
}

/// Finds the bracket with which a whole text must start, and tells the position behind it.
pub(super) fn open(bytes: &[u8], bracket: u8) -> Result<usize, Fault> {
    let at = skip_space(bytes, 0);
    let problem = if bracket == b'{' { Problem::Object } else { Problem::Array };
    if bytes.get(at) == Some(&bracket) { Ok(behind(at)) } else { fault(problem, bytes, at) }
}

/// What follows an element or a member.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// The container goes on behind this position, perhaps after white space.
    Item(usize),
    /// The container ended before this position.
    End(usize),
}

/// The beginning of an array, behind its bracket.
#[inline]
pub(super) fn first_element(bytes: &[u8], at: usize) -> Next {
    let at = skip_space(bytes, at);
    if bytes.get(at) == Some(&b']') { Next::End(behind(at)) } else { Next::Item(at) }
}

/// Passes the comma or bracket behind an element.
#[inline]
pub(super) fn next_element(bytes: &[u8], at: usize) -> Result<Next, Fault> {
    next_item(bytes, at, b']', Problem::ArrayEnd)
}

/// The beginning of an object, behind its brace.
#[inline]
pub(super) fn first_member(bytes: &[u8], at: usize) -> Next {
    let at = skip_space(bytes, at);
    if bytes.get(at) == Some(&b'}') { Next::End(behind(at)) } else { Next::Item(at) }
}

/// Passes the comma or brace behind a member.
#[inline]
pub(super) fn next_member(bytes: &[u8], at: usize) -> Result<Next, Fault> {
    next_item(bytes, at, b'}', Problem::ObjectEnd)
}

#[inline]
fn next_item(bytes: &[u8], at: usize, close: u8, problem: Problem) -> Result<Next, Fault> {
    match bytes.get(at) {
        Some(b',') => Ok(Next::Item(behind(at))),
        Some(byte) if *byte == close => Ok(Next::End(behind(at))),
        _ => next_spaced_item(bytes, at, close, problem),
    }
}

#[inline(never)]
fn next_spaced_item(bytes: &[u8], at: usize, close: u8, problem: Problem) -> Result<Next, Fault> {
    let at = skip_space(bytes, at);
    match bytes.get(at) {
        Some(b',') => Ok(Next::Item(behind(at))),
        Some(byte) if *byte == close => Ok(Next::End(behind(at))),
        _ => fault(problem, bytes, at),
    }
}

/// Passes a member's name including its quotes.
#[inline]
pub(super) fn skip_key(bytes: &[u8], at: usize) -> Result<(usize, Kind), Fault> {
    if bytes.get(at) == Some(&b'"') { skip_text(bytes, behind(at)) } else { fault(Problem::Key, bytes, at) }
}

/// Passes the colon behind a name, and the white space before it.
#[inline]
pub(super) fn skip_colon(bytes: &[u8], at: usize) -> Result<usize, Fault> {
    let at = skip_space(bytes, at);
    if bytes.get(at) == Some(&b':') { Ok(behind(at)) } else { fault(Problem::Colon, bytes, at) }
}

/// Passes the value that starts at `at`, checking its grammar, with `depth` containers open around it.
#[inline]
pub(super) fn skip_value(
    bytes: &[u8],
    at: usize,
    depth: u32,
    names: &mut impl Names,
) -> Result<(usize, Kind), Fault> {
    // Most values are texts: that much belongs into the caller's loop.
    if bytes.get(at) == Some(&b'"') {
        skip_text(bytes, behind(at))
    } else {
        skip_other(bytes, at, depth, names)
    }
}

#[inline(never)]
fn skip_other(bytes: &[u8], at: usize, depth: u32, names: &mut impl Names) -> Result<(usize, Kind), Fault> {
    match bytes.get(at) {
        Some(b'{') => Ok((skip_container(bytes, at, depth, names)?, Kind::Object)),
        Some(b'[') => Ok((skip_container(bytes, at, depth, names)?, Kind::Array)),
        _ => skip_scalar(bytes, at),
    }
}

/// Passes an array or object without recursion: the open containers are bits of one integer.
#[inline(never)]
fn skip_container(
    bytes: &[u8],
    mut at: usize,
    mut depth: u32,
    names: &mut impl Names,
) -> Result<usize, Fault> {
    const { assert!(MAX_DEPTH <= u128::BITS) };
    let outside = depth;
    // The lowest bit is the innermost container: 1 for an object.
    let mut objects: u128 = 0;
    loop {
        if objects & 1 == 1 {
            at = names.pass(bytes, at)?;
        }
        at = skip_space(bytes, at);
        match bytes.get(at) {
            Some(b'"') => at = skip_text(bytes, behind(at))?.0,
            Some(b'{') => {
                let inside = descend(depth, at)?;
                match first_member(bytes, behind(at)) {
                    Next::Item(key) => {
                        (at, depth) = (key, inside);
                        objects = objects << 1 | 1;
                        continue;
                    }
                    Next::End(end) => at = end,
                }
            }
            Some(b'[') => {
                let inside = descend(depth, at)?;
                match first_element(bytes, behind(at)) {
                    Next::Item(element) => {
                        (at, depth) = (element, inside);
                        objects <<= 1;
                        continue;
                    }
                    Next::End(end) => at = end,
                }
            }
            _ => at = skip_scalar(bytes, at)?.0,
        }
        // A value ended here, and perhaps the containers that it was the last part of.
        while depth > outside {
            let next = if objects & 1 == 1 { next_member(bytes, at)? } else { next_element(bytes, at)? };
            match next {
                Next::Item(item) => {
                    at = item;
                    break;
                }
                Next::End(end) => at = end,
            }
            objects >>= 1;
            depth = depth.saturating_sub(1);
        }
        if depth == outside {
            return Ok(at);
        }
    }
}

/// Passes the rest of a text whose opening quote lies before `at`.
#[inline]
fn skip_text(bytes: &[u8], at: usize) -> Result<(usize, Kind), Fault> {
    let at = skip_plain(bytes, at);
    if bytes.get(at) == Some(&b'"') { Ok((behind(at), Kind::Text)) } else { skip_escaped_text(bytes, at) }
}

#[inline(never)]
fn skip_escaped_text(bytes: &[u8], mut at: usize) -> Result<(usize, Kind), Fault> {
    loop {
        match bytes.get(at) {
            Some(b'"') => return Ok((behind(at), Kind::EscapedText)),
            Some(b'\\') => at = skip_escape(bytes, behind(at))?,
            _ => return fault(Problem::Control, bytes, at),
        }
        at = skip_plain(bytes, at);
    }
}

/// Passes what follows a backslash. Surrogates are not paired here: the text is kept as it was sent.
fn skip_escape(bytes: &[u8], at: usize) -> Result<usize, Fault> {
    match bytes.get(at) {
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(behind(at)),
        Some(b'u') => match bytes.get(behind(at)..).and_then(<[u8]>::first_chunk::<4>) {
            Some(digits) if digits.iter().all(u8::is_ascii_hexdigit) => Ok(at.saturating_add(5)),
            _ => fault(Problem::Escape, bytes, at),
        },
        _ => fault(Problem::Escape, bytes, at),
    }
}

/// The next quote, backslash or control character, or the end.
// Kept out of its callers, where its constants would compete for registers.
#[inline(never)]
pub(super) fn skip_plain(bytes: &[u8], at: usize) -> usize {
    const ONES: u64 = u64::from_ne_bytes([0x01; 8]);
    const HIGH: u64 = u64::from_ne_bytes([0x80; 8]);
    const TWOS: u64 = ONES * 0x02;
    const BELOW: u64 = ONES * 0x21;
    const BACKSLASHES: u64 = ONES * 0x5c;

    let mut rest = bytes.get(at..).unwrap_or_default();
    while let Some((block, tail)) = rest.split_first_chunk::<8>() {
        let word = u64::from_le_bytes(*block);
        // `"` is 0x22: with bit 1 flipped it joins the control characters below 0x21, and 0x20 and 0x21
        // move out of the way. A subtraction borrows only above a hit, and the first hit is what counts.
        let quotes = (word ^ TWOS).wrapping_sub(BELOW);
        let escapes = (word ^ BACKSLASHES).wrapping_sub(ONES);
        let hits = (quotes | escapes) & !word & HIGH;
        if hits != 0 {
            return before(bytes, rest).saturating_add((hits.trailing_zeros() / 8) as usize);
        }
        rest = tail;
    }
    while let [first, tail @ ..] = rest
        && !matches!(first, b'"' | b'\\' | 0..0x20)
    {
        rest = tail;
    }
    before(bytes, rest)
}

#[inline]
fn skip_scalar(bytes: &[u8], at: usize) -> Result<(usize, Kind), Fault> {
    match bytes.get(at) {
        Some(b'-' | b'0'..=b'9') => Ok((skip_number(bytes, at)?, Kind::Number)),
        Some(b'n') => Ok((skip_word(bytes, at, b"null")?, Kind::Null)),
        Some(b't') => Ok((skip_word(bytes, at, b"true")?, Kind::True)),
        Some(b'f') => Ok((skip_word(bytes, at, b"false")?, Kind::False)),
        _ => fault(Problem::Value, bytes, at),
    }
}

#[inline]
fn skip_word(bytes: &[u8], at: usize, word: &[u8]) -> Result<usize, Fault> {
    let end = at.saturating_add(word.len());
    if bytes.get(at..end) == Some(word) { Ok(end) } else { fault(Problem::Value, bytes, at) }
}

#[inline]
fn skip_number(bytes: &[u8], start: usize) -> Result<usize, Fault> {
    let mut at = if bytes.get(start) == Some(&b'-') { behind(start) } else { start };
    match bytes.get(at) {
        Some(b'0') => at = behind(at),
        Some(b'1'..=b'9') => at = skip_digits(bytes, behind(at)),
        _ => return fault(Problem::Number, bytes, at),
    }
    if bytes.get(at) == Some(&b'.') {
        at = skip_some_digits(bytes, behind(at))?;
    }
    if matches!(bytes.get(at), Some(b'e' | b'E')) {
        let sign = behind(at);
        let signed = matches!(bytes.get(sign), Some(b'+' | b'-'));
        at = skip_some_digits(bytes, if signed { behind(sign) } else { sign })?;
    }
    Ok(at)
}

#[inline]
fn skip_digits(bytes: &[u8], mut at: usize) -> usize {
    while bytes.get(at).is_some_and(u8::is_ascii_digit) {
        at = behind(at);
    }
    at
}

#[inline]
fn skip_some_digits(bytes: &[u8], at: usize) -> Result<usize, Fault> {
    let end = skip_digits(bytes, at);
    if end == at { fault(Problem::Number, bytes, at) } else { Ok(end) }
}

#[cold]
#[inline(never)]
fn fault<T>(problem: Problem, bytes: &[u8], at: usize) -> Result<T, Fault> {
    let problem = if at >= bytes.len() { Problem::End } else { problem };
    Err(Fault { problem, offset: at.min(bytes.len()) })
}

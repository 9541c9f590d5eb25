use std::borrow::Cow;
use std::fmt;

use super::Error;

/// A JSON text, as it was sent.
///
/// Two of them are equal when they were sent in the same spelling; [`Text::eq_str`] compares the meaning.
/// `Debug` prints the length only.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Text<'a> {
    quoted: &'a str,
    escaped: bool,
}

impl<'a> Text<'a> {
    pub(super) fn new(quoted: &'a str, escaped: bool) -> Self {
        Self { quoted, escaped }
    }

    /// The characters between the quotes, escapes as they were sent.
    pub fn raw(&self) -> &'a str {
        let open = self.quoted.strip_prefix('"').unwrap_or_default();
        open.strip_suffix('"').unwrap_or_default()
    }

    /// The JSON text with its quotes.
    pub fn quoted(&self) -> &'a str {
        self.quoted
    }

    /// Whether [`raw`](Self::raw) and the decoded text differ.
    pub fn has_escapes(&self) -> bool {
        self.escaped
    }

    /// The text that is meant; borrowed unless it has escapes.
    ///
    /// Half of a surrogate pair is [`Error::UnpairedSurrogate`], never a replacement character: two
    /// different texts must not become one.
    pub fn decode(&self) -> Result<Cow<'a, str>, Error> {
        let raw = self.raw();
        if !self.escaped {
            return Ok(Cow::Borrowed(raw));
        }
        let mut text = String::with_capacity(raw.len());
        for piece in Pieces(raw) {
            match piece {
                Piece::Plain(run) => text.push_str(run),
                Piece::Escaped(letter) => text.push(letter),
                Piece::Unpaired => return Err(Error::UnpairedSurrogate),
            }
        }
        Ok(Cow::Owned(text))
    }

    /// Whether the text means `other`; byte for byte after decoding, without Unicode normalisation.
    pub fn eq_str(&self, other: &str) -> bool {
        if !self.escaped {
            return self.raw() == other;
        }
        let mut left = other;
        for piece in Pieces(self.raw()) {
            let rest = match piece {
                Piece::Plain(run) => left.strip_prefix(run),
                Piece::Escaped(letter) => left.strip_prefix(letter),
                Piece::Unpaired => None,
            };
            let Some(rest) = rest else { return false };
            left = rest;
        }
        left.is_empty()
    }

    /// Bytes of the decoded text, without decoding it. Half of a surrogate pair counts three.
    pub fn decoded_len(&self) -> usize {
        if !self.escaped {
            return self.raw().len();
        }
        Pieces(self.raw())
            .map(|piece| match piece {
                Piece::Plain(run) => run.len(),
                Piece::Escaped(letter) => letter.len_utf8(),
                Piece::Unpaired => 3,
            })
            .sum()
    }
}

impl fmt::Debug for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Text({} bytes)", self.raw().len())
    }
}

enum Piece<'a> {
    Plain(&'a str),
    Escaped(char),
    Unpaired,
}

/// A scanned text cut at its escapes.
struct Pieces<'a>(&'a str);

impl<'a> Iterator for Pieces<'a> {
    type Item = Piece<'a>;

    fn next(&mut self) -> Option<Piece<'a>> {
        if self.0.is_empty() {
            return None;
        }
        let (run, rest) = match memchr::memchr(b'\\', self.0.as_bytes()) {
            Some(at) => self.0.split_at_checked(at)?,
            None => (self.0, ""),
        };
        if run.is_empty() {
            let (piece, rest) = escape(rest)?;
            self.0 = rest;
            return Some(piece);
        }
        self.0 = rest;
        Some(Piece::Plain(run))
    }
}

/// Decodes the escape that `text` starts with. The scanner has passed it, so `None` does not occur.
fn escape(text: &str) -> Option<(Piece<'_>, &str)> {
    let rest = text.strip_prefix('\\')?;
    let (letter, rest) = rest.split_at_checked(1)?;
    let letter = match letter {
        "b" => '\u{8}',
        "f" => '\u{c}',
        "n" => '\n',
        "r" => '\r',
        "t" => '\t',
        "u" => return unicode(rest),
        other => other.chars().next()?,
    };
    Some((Piece::Escaped(letter), rest))
}

fn unicode(text: &str) -> Option<(Piece<'_>, &str)> {
    let (first, rest) = code_unit(text)?;
    if let Some(letter) = letter([first]) {
        return Some((Piece::Escaped(letter), rest));
    }
    if let Some((second, rest)) = rest.strip_prefix("\\u").and_then(code_unit)
        && let Some(letter) = letter([first, second])
    {
        return Some((Piece::Escaped(letter), rest));
    }
    Some((Piece::Unpaired, rest))
}

/// The one letter that code units of UTF-16 stand for.
fn letter<const N: usize>(units: [u16; N]) -> Option<char> {
    let mut letters = char::decode_utf16(units);
    let letter = letters.next()?.ok()?;
    letters.next().is_none().then_some(letter)
}

fn code_unit(text: &str) -> Option<(u16, &str)> {
    let (digits, rest) = text.split_at_checked(4)?;
    Some((u16::from_str_radix(digits, 16).ok()?, rest))
}

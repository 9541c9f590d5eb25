//! Structured field values (RFC 9651), as far as fields of answers need them: parsing, no serialising.
//!
//! A field that breaks the grammar anywhere is no field at all (RFC 9651, 4.2): everything here says `None` then.

#![deny(clippy::arithmetic_side_effects)]

/// A bare item.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Bare {
    Integer(i64),
    /// In thousandths, which is all that the format can say.
    Decimal(i64),
    String(String),
    Token(String),
    /// As it stands between its colons: base64.
    Bytes(String),
    Boolean(bool),
    /// Seconds since 1970.
    Date(i64),
    Display(String),
}

/// Parameters, each name once: the last one holds.
pub(crate) type Parameters = Vec<(String, Bare)>;

/// A member of a list or a dictionary.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Member {
    Item(Bare, Parameters),
    Inner(Vec<(Bare, Parameters)>, Parameters),
}

/// A field that is one item.
#[cfg(test)]
pub(crate) fn item(text: &str) -> Option<(Bare, Parameters)> {
    let mut parser = Parser::new(text)?;
    let item = parser.item()?;
    parser.end()?;
    Some(item)
}

/// A field that is a list. Several lines of it are joined by commas first.
pub(crate) fn list(text: &str) -> Option<Vec<Member>> {
    let mut parser = Parser::new(text)?;
    let mut members = Vec::new();
    while !parser.is_at_end() {
        members.push(parser.member()?);
        parser.comma()?;
    }
    Some(members)
}

/// A field that is a dictionary, each name once: the last one holds.
pub(crate) fn dictionary(text: &str) -> Option<Vec<(String, Member)>> {
    let mut parser = Parser::new(text)?;
    let mut members = Vec::new();
    while !parser.is_at_end() {
        let key = parser.key()?;
        let member = if parser.eat(b'=') {
            parser.member()?
        } else {
            Member::Item(Bare::Boolean(true), parser.parameters()?)
        };
        set(&mut members, key, member);
        parser.comma()?;
    }
    Some(members)
}

/// The value of a parameter.
pub(crate) fn parameter<'a>(parameters: &'a Parameters, name: &str) -> Option<&'a Bare> {
    parameters.iter().find(|(key, _)| key == name).map(|(_, value)| value)
}

fn set<T>(members: &mut Vec<(String, T)>, key: String, value: T) {
    match members.iter_mut().find(|(known, _)| *known == key) {
        Some((_, known)) => *known = value,
        None => members.push((key, value)),
    }
}

struct Parser<'a> {
    text: &'a [u8],
}

impl<'a> Parser<'a> {
    fn new(text: &'a str) -> Option<Self> {
        text.is_ascii().then(|| Self { text: text.trim_matches(' ').as_bytes() })
    }

    fn is_at_end(&self) -> bool {
        self.text.is_empty()
    }

    #[cfg(test)]
    fn end(&self) -> Option<()> {
        self.is_at_end().then_some(())
    }

    fn peek(&self) -> Option<u8> {
        self.text.first().copied()
    }

    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.text.split_first()?;
        self.text = rest;
        Some(*first)
    }

    fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        if found {
            let _ = self.next();
        }
        found
    }

    /// What comes next of a kind.
    fn take_while(&mut self, kind: impl Fn(u8) -> bool) -> &'a str {
        let end = self.text.iter().position(|byte| !kind(*byte)).unwrap_or(self.text.len());
        let (taken, rest) = self.text.split_at(end);
        self.text = rest;
        // All of it is ASCII.
        std::str::from_utf8(taken).unwrap_or_default()
    }

    /// A comma and another member, or the end.
    fn comma(&mut self) -> Option<()> {
        let blank = |byte| byte == b' ' || byte == b'\t';
        self.take_while(blank);
        if self.is_at_end() {
            return Some(());
        }
        (self.next()? == b',').then_some(())?;
        self.take_while(blank);
        // A comma at the end announces what does not come.
        (!self.is_at_end()).then_some(())
    }

    fn member(&mut self) -> Option<Member> {
        if !self.eat(b'(') {
            let (bare, parameters) = self.item()?;
            return Some(Member::Item(bare, parameters));
        }
        let mut items = Vec::new();
        loop {
            self.take_while(|byte| byte == b' ');
            if self.eat(b')') {
                return Some(Member::Inner(items, self.parameters()?));
            }
            items.push(self.item()?);
            matches!(self.peek()?, b' ' | b')').then_some(())?;
        }
    }

    fn item(&mut self) -> Option<(Bare, Parameters)> {
        Some((self.bare()?, self.parameters()?))
    }

    fn parameters(&mut self) -> Option<Parameters> {
        let mut parameters = Vec::new();
        while self.eat(b';') {
            self.take_while(|byte| byte == b' ');
            let key = self.key()?;
            let value = if self.eat(b'=') { self.bare()? } else { Bare::Boolean(true) };
            set(&mut parameters, key, value);
        }
        Some(parameters)
    }

    fn key(&mut self) -> Option<String> {
        matches!(self.peek()?, b'a'..=b'z' | b'*').then_some(())?;
        let kind = |byte: u8| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-' | b'.' | b'*')
        };
        Some(self.take_while(kind).to_owned())
    }

    fn bare(&mut self) -> Option<Bare> {
        match self.peek()? {
            b'-' | b'0'..=b'9' => self.number(),
            b'"' => self.string(),
            b'*' | b'a'..=b'z' | b'A'..=b'Z' => {
                let kind = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~:/".contains(&byte);
                Some(Bare::Token(self.take_while(kind).to_owned()))
            }
            b':' => self.bytes(),
            b'?' => {
                let _ = self.next();
                match self.next()? {
                    b'1' => Some(Bare::Boolean(true)),
                    b'0' => Some(Bare::Boolean(false)),
                    _ => None,
                }
            }
            b'@' => {
                let _ = self.next();
                match self.number()? {
                    Bare::Integer(seconds) => Some(Bare::Date(seconds)),
                    _ => None,
                }
            }
            b'%' => self.display(),
            _ => None,
        }
    }

    fn number(&mut self) -> Option<Bare> {
        let negative = self.eat(b'-');
        let signed = |number: i64| if negative { number.checked_neg() } else { Some(number) };
        let whole = self.take_while(|byte| byte.is_ascii_digit());
        if whole.is_empty() || whole.len() > 15 {
            return None;
        }
        let number: i64 = whole.parse().ok()?;
        if !self.eat(b'.') {
            return signed(number).map(Bare::Integer);
        }
        let fraction = self.take_while(|byte| byte.is_ascii_digit());
        if whole.len() > 12 || fraction.is_empty() || fraction.len() > 3 {
            return None;
        }
        let thousandths: i64 = format!("{fraction:0<3}").parse().ok()?;
        signed(number.checked_mul(1000)?.checked_add(thousandths)?).map(Bare::Decimal)
    }

    fn string(&mut self) -> Option<Bare> {
        let _ = self.next();
        let mut text = String::new();
        loop {
            match self.next()? {
                b'"' => return Some(Bare::String(text)),
                b'\\' => match self.next()? {
                    escaped @ (b'"' | b'\\') => text.push(char::from(escaped)),
                    _ => return None,
                },
                byte @ 0x20..=0x7e => text.push(char::from(byte)),
                _ => return None,
            }
        }
    }

    fn bytes(&mut self) -> Option<Bare> {
        let _ = self.next();
        let text = self.take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'='));
        // Padding stands at the end; that there is none is forgiven (RFC 9651, 4.2.7).
        let digits = text.trim_end_matches('=');
        if !self.eat(b':') || digits.contains('=') || digits.len() % 4 == 1 {
            return None;
        }
        Some(Bare::Bytes(text.to_owned()))
    }

    fn display(&mut self) -> Option<Bare> {
        let _ = self.next();
        (self.next()? == b'"').then_some(())?;
        let mut text = Vec::new();
        loop {
            match self.next()? {
                b'"' => return String::from_utf8(text).ok().map(Bare::Display),
                b'%' => {
                    // Small letters only (RFC 9651, 4.2.10).
                    let mut digit = || match self.next()? {
                        b'A'..=b'F' => None,
                        byte => u8::try_from(char::from(byte).to_digit(16)?).ok(),
                    };
                    text.push(digit()? << 4 | digit()?);
                }
                byte @ 0x20..=0x7e => text.push(byte),
                _ => return None,
            }
        }
    }
}

#[cfg(test)]
#[path = "structured_tests.rs"]
mod tests;

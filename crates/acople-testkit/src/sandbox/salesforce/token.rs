//! The words of a query.

use std::{fmt, iter::Peekable, str::Chars};

use super::soql::{Malformed, Op};

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Token {
    /// A name or a keyword; names may have dots.
    Word(String),
    /// A text in quotes, and how LIKE understands it.
    Text {
        value: String,
        pattern: Vec<Glyph>,
    },
    /// A number, a day or an instant: what begins with a digit or a sign.
    Bare(String),
    Op(Op),
    Comma,
    Open,
    Close,
}

/// One place of a LIKE pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Glyph {
    Char(char),
    /// `_`
    One,
    /// `%`
    Any,
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Word(text) | Self::Bare(text) => f.write_str(text),
            Self::Text { value, .. } => write!(f, "'{value}'"),
            Self::Op(op) => write!(f, "{op:?}"),
            Self::Comma => f.write_str(","),
            Self::Open => f.write_str("("),
            Self::Close => f.write_str(")"),
        }
    }
}

/// Splits a query into its words.
pub(crate) fn tokens(text: &str) -> Result<Vec<Token>, Malformed> {
    let mut out = Vec::new();
    let mut chars = text.chars().peekable();
    while let Some(&first) = chars.peek() {
        if first.is_whitespace() {
            chars.next();
        } else if first.is_ascii_alphabetic() || first == '_' {
            out.push(Token::Word(run(&mut chars, |c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.'))));
        } else if first.is_ascii_digit() || matches!(first, '+' | '-') {
            out.push(Token::Bare(run(&mut chars, |c| {
                c.is_ascii_alphanumeric() || matches!(c, '.' | ':' | '+' | '-')
            })));
        } else {
            chars.next();
            out.push(match first {
                '\'' => quoted(&mut chars)?,
                ',' => Token::Comma,
                '(' => Token::Open,
                ')' => Token::Close,
                '=' => Token::Op(Op::Eq),
                '!' if chars.next_if_eq(&'=').is_some() => Token::Op(Op::Ne),
                '<' if chars.next_if_eq(&'>').is_some() => Token::Op(Op::Ne),
                '<' if chars.next_if_eq(&'=').is_some() => Token::Op(Op::Le),
                '<' => Token::Op(Op::Lt),
                '>' if chars.next_if_eq(&'=').is_some() => Token::Op(Op::Ge),
                '>' => Token::Op(Op::Gt),
                other => return Err(Malformed(format!("unexpected token: {other}"))),
            });
        }
    }
    Ok(out)
}

fn run(chars: &mut Peekable<Chars<'_>>, belongs: impl Fn(char) -> bool) -> String {
    let mut word = String::new();
    while let Some(c) = chars.next_if(|c| belongs(*c)) {
        word.push(c);
    }
    word
}

/// A text after its opening quote.
fn quoted(chars: &mut Peekable<Chars<'_>>) -> Result<Token, Malformed> {
    let (mut value, mut pattern) = (String::new(), Vec::new());
    loop {
        let c = chars.next().ok_or_else(|| Malformed("a text in quotes does not end".into()))?;
        let (c, glyph) = match c {
            '\'' => return Ok(Token::Text { value, pattern }),
            '\\' => {
                let plain = escaped(chars)?;
                (plain, Glyph::Char(plain))
            }
            '%' => ('%', Glyph::Any),
            '_' => ('_', Glyph::One),
            c => (c, Glyph::Char(c)),
        };
        value.push(c);
        pattern.push(glyph);
    }
}

fn escaped(chars: &mut Peekable<Chars<'_>>) -> Result<char, Malformed> {
    let bad = || Malformed("invalid escape in a text".into());
    match chars.next().ok_or_else(bad)? {
        'n' | 'N' => Ok('\n'),
        'r' | 'R' => Ok('\r'),
        't' | 'T' => Ok('\t'),
        'b' | 'B' => Ok('\u{8}'),
        'f' | 'F' => Ok('\u{c}'),
        plain @ ('"' | '\'' | '\\' | '_' | '%') => Ok(plain),
        'u' => {
            let mut code = 0;
            for _ in 0..4 {
                code = code << 4 | chars.next().and_then(|c| c.to_digit(16)).ok_or_else(bad)?;
            }
            char::from_u32(code).ok_or_else(bad)
        }
        _ => Err(bad()),
    }
}

//! The query language, as text and as a tree: a subset of SOQL without sub-queries and aggregates.
//!
//! `SELECT a, b.c | COUNT() FROM t [WHERE ..] [ORDER BY ..] [LIMIT n] [OFFSET n]`. As in the original, AND and OR may
//! not stand side by side without parentheses.

use super::{
    super::clock::{is_day, parse_instant},
    token::{Glyph, Token, tokens},
};

/// Parentheses and negations may nest this deep.
const MAX_DEPTH: usize = 50;

/// A query that has been read.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Query {
    pub(crate) select: Select,
    pub(crate) from: String,
    pub(crate) filter: Option<Expr>,
    pub(crate) order: Vec<Order>,
    pub(crate) limit: Option<usize>,
    pub(crate) offset: usize,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Select {
    Count,
    Fields(Vec<String>),
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Expr {
    And(Vec<Expr>),
    Or(Vec<Expr>),
    Not(Box<Expr>),
    Compare { field: String, op: Op, value: Literal },
    In { field: String, negated: bool, values: Vec<Literal> },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Op {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    Like,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Literal {
    Null,
    Bool(bool),
    Number(f64),
    Text { value: String, pattern: Vec<Glyph> },
    Day(String),
    Instant(i64),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Order {
    pub(crate) field: String,
    pub(crate) descending: bool,
    pub(crate) nulls_last: bool,
}

/// Why a text is no query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Malformed(pub(crate) String);

/// Reads a query.
pub(crate) fn parse(text: &str) -> Result<Query, Malformed> {
    let mut parser = Parser { tokens: tokens(text)?, position: 0 };
    let query = parser.query()?;
    match parser.peek() {
        None => Ok(query),
        Some(token) => Err(unexpected(Some(token))),
    }
}

struct Parser {
    tokens: Vec<Token>,
    position: usize,
}

impl Parser {
    fn query(&mut self) -> Result<Query, Malformed> {
        self.keyword("SELECT")?;
        let select = self.select()?;
        self.keyword("FROM")?;
        let from = self.word()?;
        let filter = if self.take_keyword("WHERE") { Some(self.condition(0)?) } else { None };
        let order = if self.take_keyword("ORDER") {
            self.keyword("BY")?;
            self.order()?
        } else {
            Vec::new()
        };
        let limit = if self.take_keyword("LIMIT") { Some(self.count()?) } else { None };
        let offset = if self.take_keyword("OFFSET") { self.count()? } else { 0 };
        Ok(Query { select, from, filter, order, limit, offset })
    }

    fn select(&mut self) -> Result<Select, Malformed> {
        let first = self.word()?;
        if first.eq_ignore_ascii_case("COUNT") && self.take(&Token::Open) {
            self.expect(&Token::Close)?;
            return Ok(Select::Count);
        }
        let mut fields = vec![first];
        while self.take(&Token::Comma) {
            fields.push(self.word()?);
        }
        Ok(Select::Fields(fields))
    }

    fn order(&mut self) -> Result<Vec<Order>, Malformed> {
        let mut order = Vec::new();
        loop {
            let field = self.word()?;
            let descending = self.take_keyword("DESC");
            if !descending {
                self.take_keyword("ASC");
            }
            let mut nulls_last = false;
            if self.take_keyword("NULLS") {
                nulls_last = self.take_keyword("LAST");
                if !nulls_last {
                    self.keyword("FIRST")?;
                }
            }
            order.push(Order { field, descending, nulls_last });
            if !self.take(&Token::Comma) {
                return Ok(order);
            }
        }
    }

    fn condition(&mut self, depth: usize) -> Result<Expr, Malformed> {
        if depth > MAX_DEPTH {
            return Err(Malformed("the condition is nested too deep".into()));
        }
        let first = self.unit(depth)?;
        let all = if self.at_keyword("AND") {
            true
        } else if self.at_keyword("OR") {
            false
        } else {
            return Ok(first);
        };
        let (this, other) = if all { ("AND", "OR") } else { ("OR", "AND") };
        let mut parts = vec![first];
        while self.take_keyword(this) {
            parts.push(self.unit(depth)?);
        }
        if self.at_keyword(other) {
            return Err(unexpected(self.peek()));
        }
        Ok(if all { Expr::And(parts) } else { Expr::Or(parts) })
    }

    fn unit(&mut self, depth: usize) -> Result<Expr, Malformed> {
        if self.take_keyword("NOT") {
            if depth > MAX_DEPTH {
                return Err(Malformed("the condition is nested too deep".into()));
            }
            return Ok(Expr::Not(Box::new(self.unit(depth + 1)?)));
        }
        if self.take(&Token::Open) {
            let inner = self.condition(depth + 1)?;
            self.expect(&Token::Close)?;
            return Ok(inner);
        }
        let field = self.word()?;
        if self.take_keyword("IN") {
            return Ok(Expr::In { field, negated: false, values: self.list()? });
        }
        if self.take_keyword("NOT") {
            self.keyword("IN")?;
            return Ok(Expr::In { field, negated: true, values: self.list()? });
        }
        let op = if self.take_keyword("LIKE") {
            Op::Like
        } else {
            match self.next() {
                Some(Token::Op(op)) => op,
                other => return Err(unexpected(other.as_ref())),
            }
        };
        let value = self.literal()?;
        if op == Op::Like && !matches!(value, Literal::Text { .. }) {
            return Err(Malformed("LIKE needs a text in quotes".into()));
        }
        Ok(Expr::Compare { field, op, value })
    }

    fn list(&mut self) -> Result<Vec<Literal>, Malformed> {
        self.expect(&Token::Open)?;
        let mut values = vec![self.literal()?];
        while self.take(&Token::Comma) {
            values.push(self.literal()?);
        }
        self.expect(&Token::Close)?;
        Ok(values)
    }

    fn literal(&mut self) -> Result<Literal, Malformed> {
        match self.next() {
            Some(Token::Text { value, pattern }) => Ok(Literal::Text { value, pattern }),
            Some(Token::Word(word)) => match word.to_ascii_lowercase().as_str() {
                "null" => Ok(Literal::Null),
                "true" => Ok(Literal::Bool(true)),
                "false" => Ok(Literal::Bool(false)),
                _ => Err(Malformed(format!("unexpected token: {word}"))),
            },
            Some(Token::Bare(text)) => {
                if is_day(&text) {
                    Ok(Literal::Day(text))
                } else if let Some(instant) = text.contains('T').then(|| parse_instant(&text)).flatten() {
                    Ok(Literal::Instant(instant))
                } else if let Some(number) = number(&text) {
                    Ok(Literal::Number(number))
                } else {
                    Err(Malformed(format!("unexpected token: {text}")))
                }
            }
            other => Err(unexpected(other.as_ref())),
        }
    }

    fn count(&mut self) -> Result<usize, Malformed> {
        match self.next() {
            Some(Token::Bare(text)) => {
                text.parse().map_err(|_| Malformed(format!("unexpected token: {text}")))
            }
            other => Err(unexpected(other.as_ref())),
        }
    }

    fn word(&mut self) -> Result<String, Malformed> {
        match self.next() {
            Some(Token::Word(word)) => Ok(word),
            other => Err(unexpected(other.as_ref())),
        }
    }

    fn keyword(&mut self, keyword: &str) -> Result<(), Malformed> {
        if self.take_keyword(keyword) { Ok(()) } else { Err(unexpected(self.peek())) }
    }

    fn take_keyword(&mut self, keyword: &str) -> bool {
        let found = self.at_keyword(keyword);
        if found {
            self.position += 1;
        }
        found
    }

    fn at_keyword(&self, keyword: &str) -> bool {
        matches!(self.peek(), Some(Token::Word(word)) if word.eq_ignore_ascii_case(keyword))
    }

    fn take(&mut self, token: &Token) -> bool {
        let found = self.peek() == Some(token);
        if found {
            self.position += 1;
        }
        found
    }

    fn expect(&mut self, token: &Token) -> Result<(), Malformed> {
        if self.take(token) { Ok(()) } else { Err(unexpected(self.peek())) }
    }

    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.position)
    }

    fn next(&mut self) -> Option<Token> {
        let token = self.tokens.get(self.position).cloned();
        self.position += 1;
        token
    }
}

/// A decimal number; the words that `f64` also reads are not SOQL.
fn number(text: &str) -> Option<f64> {
    let digits =
        text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'+' | b'-' | b'e' | b'E'));
    digits.then(|| text.parse().ok()).flatten()
}

fn unexpected(token: Option<&Token>) -> Malformed {
    Malformed(match token {
        Some(token) => format!("unexpected token: {token}"),
        None => "unexpected end of the query".into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(condition: &str) -> Expr {
        parse(&format!("SELECT Id FROM Lead WHERE {condition}")).unwrap().filter.unwrap()
    }

    fn text_of(condition: &str) -> String {
        match filter(condition) {
            Expr::Compare { value: Literal::Text { value, .. }, .. } => value,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_whole_query_is_read() {
        let query = parse(
            "select Id, Account.Name from Contact where (A = 1 or B != null) and not C in ('x', 'y') \
             order by SystemModstamp asc, Id desc nulls last limit 5 offset 2",
        )
        .unwrap();
        assert_eq!(query.select, Select::Fields(vec!["Id".into(), "Account.Name".into()]));
        assert_eq!((query.limit, query.offset), (Some(5), 2));
        assert!(query.order[1].descending && query.order[1].nulls_last);
        let Some(Expr::And(parts)) = query.filter else { panic!() };
        assert!(matches!(parts[0], Expr::Or(_)));
        assert!(matches!(parts[1], Expr::Not(_)));
        assert_eq!(parse("SELECT COUNT() FROM Lead").unwrap().select, Select::Count);
    }

    #[test]
    fn escapes_in_texts_are_undone() {
        assert_eq!(text_of(r"Name = 'O\'Brien \\ \n\t\u00e9'"), "O'Brien \\ \n\t\u{e9}");
        assert_eq!(text_of("Name = ''"), "");
        assert_eq!(text_of("Name = 'a\" OR 1 = 1 --'"), "a\" OR 1 = 1 --");
    }

    #[test]
    fn literals_keep_their_kind() {
        for (text, expected) in [
            ("2026-01-02", Literal::Day("2026-01-02".into())),
            ("2026-01-02T03:04:05.000Z", Literal::Instant(1_767_323_045_000)),
            ("2026-01-02T04:04:05.000+01:00", Literal::Instant(1_767_323_045_000)),
            ("-12.5", Literal::Number(-12.5)),
            ("TRUE", Literal::Bool(true)),
            ("null", Literal::Null),
        ] {
            let Expr::Compare { value, .. } = filter(&format!("X >= {text}")) else { panic!() };
            assert_eq!(value, expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_query_is_refused() {
        for text in [
            "",
            "SELECT",
            "SELECT Id",
            "SELECT Id FROM",
            "SELECT FROM Lead",
            "SELECT Id, FROM Lead",
            "SELECT Id FROM Lead WHERE",
            "SELECT Id FROM Lead WHERE A",
            "SELECT Id FROM Lead WHERE A = ",
            "SELECT Id FROM Lead WHERE A = 'x",
            "SELECT Id FROM Lead WHERE A = x",
            r"SELECT Id FROM Lead WHERE A = '\q'",
            "SELECT Id FROM Lead WHERE A = 1 AND B = 2 OR C = 3",
            "SELECT Id FROM Lead WHERE (A = 1",
            "SELECT Id FROM Lead WHERE A IN ()",
            "SELECT Id FROM Lead WHERE A LIKE 5",
            "SELECT Id FROM Lead WHERE A = 2026-13-45",
            "SELECT Id FROM Lead ORDER Id",
            "SELECT Id FROM Lead LIMIT x",
            "SELECT Id FROM Lead LIMIT 1 LIMIT 2",
            "SELECT Id FROM Lead; DROP TABLE Lead",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
        let deep = format!("SELECT Id FROM Lead WHERE {}A = 1{}", "(".repeat(9_000), ")".repeat(9_000));
        assert!(parse(&deep).is_err());
        assert!(parse(&format!("SELECT Id FROM Lead WHERE {} A = 1", "NOT ".repeat(9_000))).is_err());
    }
}

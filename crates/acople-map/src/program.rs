//! A compiled table: columns to project, rows to evaluate, objects to open.

use std::collections::HashSet;

use acople_core::json::FieldPath;

use crate::steps::{Scalar, Step};
use crate::{Constant, Nulls, TooLong};

/// A compiled direction of a table.
#[derive(Debug)]
pub(crate) struct Program {
    /// The source fields, each once; rows and tests name them by index.
    pub(crate) columns: Vec<FieldPath>,
    pub(crate) when: Vec<Test>,
    pub(crate) rows: Vec<Row>,
    /// The members of the target object, in the order in which the rules name them.
    pub(crate) nodes: Vec<Node>,
    /// Top-level members that are not copied, where others are.
    pub(crate) pass_through: Option<HashSet<Box<str>>>,
    /// Whether any row is part of the key.
    pub(crate) keyed: bool,
}

/// A compiled rule.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) source: Source,
    /// The source fields as they are named in messages.
    pub(crate) names: Vec<String>,
    pub(crate) steps: Vec<Step>,
    pub(crate) default: Option<Constant>,
    pub(crate) when: Vec<Test>,
    pub(crate) required: bool,
    pub(crate) empty_is_null: bool,
    pub(crate) nulls: Nulls,
    pub(crate) max_length: Option<(usize, TooLong)>,
    pub(crate) split: Option<Pieces>,
}

/// Where a row's value comes from.
#[derive(Debug)]
pub(crate) enum Source {
    /// Columns; the first with a value counts.
    Fields(Vec<usize>),
    /// A converted constant.
    Constant(Scalar<'static>),
    /// Columns joined to a text.
    Join { columns: Vec<usize>, separator: String },
}

/// How a text is cut.
#[derive(Debug)]
pub(crate) struct Pieces {
    pub(crate) separator: String,
    pub(crate) count: usize,
    pub(crate) from_end: bool,
}

impl Pieces {
    /// One piece of a text; `None` where it is not there or empty.
    pub(crate) fn get<'t>(&self, text: &'t str, piece: usize) -> Option<&'t str> {
        let part = if self.from_end {
            // Counted from the end, so that a lone piece is the last.
            text.rsplitn(self.count, self.separator.as_str()).nth(self.count.checked_sub(piece + 1)?)
        } else {
            text.splitn(self.count, self.separator.as_str()).nth(piece)
        };
        part.filter(|part| !part.is_empty())
    }
}

/// A compiled condition.
#[derive(Debug)]
pub(crate) struct Test {
    pub(crate) column: usize,
    pub(crate) check: Check,
}

/// What a condition asks. Values are texts; `None` is null.
#[derive(Debug)]
pub(crate) enum Check {
    OneOf(Vec<Option<String>>),
    NoneOf(Option<String>),
    Exists(bool),
}

/// A member of the target object.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) name: Box<str>,
    pub(crate) body: Body,
    /// Whether anything in it is part of the key.
    pub(crate) key: bool,
}

#[derive(Debug)]
pub(crate) enum Body {
    /// The value of a row, or a piece of it; `rule` is the index in the table.
    Value {
        row: usize,
        piece: usize,
        rule: usize,
    },
    Object(Vec<Node>),
}

//! From a table to a program.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use acople_core::json::FieldPath;

use crate::check::Problems;
use crate::datetime::Notation;
use crate::lookup::{Inline, Lookup};
use crate::program::{Body, Check, Node, Pieces, Program, Row, Source, Test};
use crate::steps::{Scalar, Step};
use crate::{Condition, Constant, Convert, Direction, Lookups, Rule, Table, TooLong};

/// Deepest target path. Vendors' records are flat or two deep.
const DEEPEST: usize = 16;

/// One direction of a table: what is compiled.
pub(crate) struct Side<'a> {
    rules: Vec<(usize, &'a Rule)>,
    when: (&'static str, &'a [Condition]),
    drop: (&'static str, &'a [String]),
    table: &'a Table,
}

impl<'a> Side<'a> {
    pub(crate) fn of(table: &'a Table, direction: Direction, read_only: bool) -> Self {
        let backward = direction == Direction::Backward;
        let rules = table.rules.iter().enumerate().filter(|(_, rule)| {
            (rule.direction == Direction::Backward) == backward && (read_only || !rule.read_only)
        });
        let (when, drop) = if backward {
            (("when_back", table.when_back.as_slice()), ("drop_back", table.drop_back.as_slice()))
        } else {
            (("when", table.when.as_slice()), ("drop", table.drop.as_slice()))
        };
        Self { rules: rules.collect(), when, drop, table }
    }
}

/// Compiles one side. Without `lookups`, those that the table does not hold are taken on trust.
/// The program is of use only when no problem was found.
pub(crate) fn build(side: &Side<'_>, lookups: Option<&Lookups>, problems: &mut Problems) -> Program {
    let mut builder = Builder {
        table: side.table,
        lookups,
        inline: HashMap::new(),
        columns: Vec::new(),
        nodes: Vec::new(),
        problems,
    };
    let when = builder.tests(side.when.0, side.when.1);
    let rows: Vec<Row> =
        side.rules.iter().enumerate().map(|(row, (index, rule))| builder.row(row, *index, rule)).collect();
    let pass_through = builder.pass_through(side);
    let Builder { columns, nodes, .. } = builder;
    let keyed = nodes.iter().any(|node| node.key);
    Program { columns, when, rows, nodes, pass_through, keyed }
}

struct Builder<'a, 'p> {
    table: &'a Table,
    lookups: Option<&'a Lookups>,
    inline: HashMap<&'a str, Arc<dyn Lookup>>,
    columns: Vec<FieldPath>,
    nodes: Vec<Node>,
    problems: &'p mut Problems,
}

impl<'a> Builder<'a, '_> {
    fn row(&mut self, row: usize, index: usize, rule: &'a Rule) -> Row {
        let place = format!("rules[{index}]");
        self.shape(&place, rule);
        let steps = self.steps(&place, &rule.convert);
        let source = self.source(&place, rule, steps.as_deref());
        self.targets(&place, row, index, rule);
        let max_length = rule.max_length.map(|length| {
            let length = usize::try_from(length).unwrap_or(usize::MAX);
            for (attribute, constant) in [("constant", &rule.constant), ("default", &rule.default)] {
                if let Some(Constant::Text(text)) = constant
                    && text.chars().count() > length
                {
                    self.problems.add(format!("{place}.{attribute}"), "is longer than `max_length`");
                }
            }
            (length, rule.too_long)
        });
        Row {
            source,
            names: rule.sources().into_iter().map(str::to_owned).collect(),
            steps: steps.unwrap_or_default(),
            default: rule.default.clone(),
            when: self.tests(&format!("{place}.when"), &rule.when),
            required: rule.required,
            empty_is_null: rule.empty_is_null.unwrap_or(self.table.empty_is_null),
            nulls: rule.nulls.unwrap_or(self.table.nulls),
            max_length,
            split: rule.split.as_ref().map(|split| Pieces {
                separator: split.separator.clone(),
                count: split.to.len(),
                from_end: split.from_end,
            }),
        }
    }

    /// Which attributes a rule may have together.
    fn shape(&mut self, place: &str, rule: &Rule) {
        let sources = [rule.from.is_some(), rule.constant.is_some(), rule.join.is_some()];
        let targets = [rule.to.is_some(), rule.split.is_some()];
        let one = |given: &[bool]| given.iter().filter(|given| **given).count() == 1;
        let constant = rule.constant.is_some();
        let faults = [
            (!one(&sources), "", "needs exactly one source: `from`, `constant` or `join`"),
            (!one(&targets), "", "needs exactly one target: `to` or `split`"),
            (rule.split.is_some() && rule.from.is_none(), ".split", "needs `from`"),
            (!rule.fallback.is_empty() && rule.from.is_none(), ".fallback", "needs `from`"),
            (constant && rule.required, ".required", "means nothing for a constant"),
            (constant && rule.default.is_some(), ".default", "means nothing for a constant"),
            (
                rule.required && rule.default.is_some(),
                ".default",
                "is never used, because the field is required",
            ),
            (
                rule.split.is_some() && rule.default.is_some(),
                ".default",
                "cannot be split: give each target its own rule",
            ),
            (rule.key && rule.read_only, ".read_only", "contradicts `key`"),
            (rule.max_length == Some(0), ".max_length", "is 0"),
            (
                rule.max_length.is_none() && rule.too_long != TooLong::Refuse,
                ".too_long",
                "needs `max_length`",
            ),
            (rule.join.as_ref().is_some_and(|join| join.from.is_empty()), ".join.from", "is empty"),
            (rule.split.as_ref().is_some_and(|split| split.to.is_empty()), ".split.to", "is empty"),
            (
                rule.split.as_ref().is_some_and(|split| split.separator.is_empty()),
                ".split.separator",
                "is empty",
            ),
        ];
        for (wrong, attribute, message) in faults {
            if wrong {
                self.problems.add(format!("{place}{attribute}"), message);
            }
        }
    }

    fn source(&mut self, place: &str, rule: &'a Rule, steps: Option<&[Step]>) -> Source {
        if let Some(join) = &rule.join {
            let columns = self.list(&format!("{place}.join.from"), &join.from);
            return Source::Join { columns, separator: join.separator.clone() };
        }
        if let Some(constant) = &rule.constant {
            let mut value = Scalar::constant(constant).into_owned();
            for (index, step) in steps.unwrap_or_default().iter().enumerate() {
                match step.apply(value.borrowed()).map(Scalar::into_owned) {
                    Ok(converted) => value = converted,
                    Err(fault) => {
                        self.problems
                            .add(format!("{place}.constant"), format!("{} (step {index})", fault.message));
                        break;
                    }
                }
            }
            return Source::Constant(value);
        }
        let mut columns = Vec::new();
        if let Some(from) = &rule.from {
            columns.extend(self.column(&format!("{place}.from"), from));
        }
        columns.extend(self.list(&format!("{place}.fallback"), &rule.fallback));
        Source::Fields(columns)
    }

    fn targets(&mut self, place: &str, row: usize, rule: usize, spec: &Rule) {
        let to = spec.to.iter().map(|to| (format!("{place}.to"), to));
        let split = spec.split.iter().flat_map(|split| &split.to).enumerate();
        let split = split.map(|(piece, to)| (format!("{place}.split.to[{piece}]"), to));
        for (piece, (place, to)) in to.chain(split).enumerate() {
            let Some(path) = self.path(&place, to) else {
                continue;
            };
            let names = path.segments();
            if names.iter().any(|name| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit())) {
                self.problems.add(place, format!("`{to}` names an element of a list, which is not written"));
            } else if names.len() > DEEPEST {
                self.problems.add(place, format!("is deeper than {DEEPEST} levels"));
            } else if let Err(message) =
                insert(&mut self.nodes, names, Body::Value { row, piece, rule }, spec.key)
            {
                self.problems.add(place, format!("`{to}` {message}"));
            }
        }
    }

    /// The compiled conversions; `None` when a look-up is taken on trust.
    fn steps(&mut self, place: &str, converts: &'a [Convert]) -> Option<Vec<Step>> {
        let mut steps = Vec::with_capacity(converts.len());
        let mut complete = true;
        for (index, convert) in converts.iter().enumerate() {
            match self.step(&format!("{place}.convert[{index}]"), convert) {
                Some(step) => steps.push(step),
                None => complete = false,
            }
        }
        complete.then_some(steps)
    }

    fn step(&mut self, place: &str, convert: &'a Convert) -> Option<Step> {
        Some(match convert {
            Convert::String => Step::String,
            Convert::Integer => Step::Integer,
            Convert::Decimal => Step::Decimal,
            Convert::Boolean => Step::Boolean,
            Convert::NumberToText => Step::NumberToText,
            Convert::TextToNumber => Step::TextToNumber,
            Convert::BooleanToText => Step::BooleanToText,
            Convert::TextToBoolean => Step::TextToBoolean,
            Convert::Lower => Step::Lower,
            Convert::Upper => Step::Upper,
            Convert::Trim => Step::Trim,
            Convert::Datetime(times) => match Notation::new(times) {
                Ok(notation) => Step::Datetime(Box::new(notation)),
                Err((attribute, message)) => {
                    self.problems.add(format!("{place}.datetime.{attribute}"), message);
                    return None;
                }
            },
            Convert::Values(values) => Step::Values {
                map: values.map.iter().map(|(key, value)| (key.clone(), value.clone())).collect(),
                otherwise: values.otherwise.clone(),
            },
            Convert::Lookup(spec) => {
                let place = format!("{place}.lookup.table");
                let lookup = match self.lookup(&spec.table) {
                    Some(lookup) => lookup,
                    None if self.lookups.is_none() => return None,
                    None => {
                        let message =
                            format!("`{}` is neither in `lookups` nor supplied by the host", spec.table);
                        self.problems.add(place, message);
                        return None;
                    }
                };
                if spec.reverse && !lookup.is_reversible() {
                    self.problems.add(place, format!("`{}` cannot be looked up in reverse", spec.table));
                }
                Step::Lookup { lookup, reverse: spec.reverse, otherwise: spec.otherwise.clone() }
            }
        })
    }

    fn lookup(&mut self, name: &'a str) -> Option<Arc<dyn Lookup>> {
        let Some(entries) = self.table.lookups.get(name) else {
            return self.lookups.and_then(|lookups| lookups.get(name)).cloned();
        };
        let inline = self.inline.entry(name).or_insert_with(|| Arc::new(Inline::new(entries)));
        Some(Arc::clone(inline))
    }

    fn tests(&mut self, place: &str, conditions: &[Condition]) -> Vec<Test> {
        let mut tests = Vec::with_capacity(conditions.len());
        for (index, condition) in conditions.iter().enumerate() {
            let place = format!("{place}[{index}]");
            let text = |constant: &Constant| constant.text().map(std::borrow::Cow::into_owned);
            let checks: Vec<Check> = [
                condition.equals.as_ref().map(|value| Check::OneOf(vec![text(value)])),
                condition.not_equals.as_ref().map(|value| Check::NoneOf(text(value))),
                condition.one_of.as_ref().map(|values| Check::OneOf(values.iter().map(text).collect())),
                condition.exists.map(Check::Exists),
                condition.missing.map(|missing| Check::Exists(!missing)),
            ]
            .into_iter()
            .flatten()
            .collect();
            let column = self.column(&format!("{place}.field"), &condition.field);
            match (column, <[Check; 1]>::try_from(checks)) {
                (Some(column), Ok([check])) => tests.push(Test { column, check }),
                (_, Err(_)) => self.problems.add(
                    place,
                    "needs exactly one test: `equals`, `not_equals`, `one_of`, `exists` or `missing`",
                ),
                (None, Ok(_)) => {}
            }
        }
        tests
    }

    fn pass_through(&mut self, side: &Side<'_>) -> Option<HashSet<Box<str>>> {
        let mut known = HashSet::new();
        let (place, drop) = side.drop;
        for (index, field) in drop.iter().enumerate() {
            let place = format!("{place}[{index}]");
            let Some(path) = self.path(&place, field) else {
                continue;
            };
            if side.table.pass_through && path.segments().len() > 1 {
                self.problems
                    .add(&place, "is nested: where members pass through, only whole ones are left out");
            }
            if let Some((rule, _)) =
                side.rules.iter().find(|(_, rule)| rule.sources().contains(&field.as_str()))
            {
                self.problems.add(place, format!("`{field}` is read by rules[{rule}]"));
            }
            known.extend(path.segments().first().cloned());
        }
        if !side.table.pass_through {
            return None;
        }
        // Read-only rows are left out of the program, and their fields are still known.
        for rule in &side.table.rules {
            let paths = rule.sources().into_iter().filter_map(|path| FieldPath::parse(path).ok());
            if (rule.direction == Direction::Backward) == (place == "drop_back") {
                known.extend(paths.filter_map(|path: FieldPath| path.segments().first().cloned()));
                let targets = rule.to.iter().chain(rule.split.iter().flat_map(|split| &split.to));
                let targets = targets.filter_map(|path| FieldPath::parse(path).ok());
                known.extend(targets.filter_map(|path| path.segments().first().cloned()));
            }
        }
        Some(known)
    }

    fn list(&mut self, place: &str, fields: &[String]) -> Vec<usize> {
        fields
            .iter()
            .enumerate()
            .filter_map(|(index, field)| self.column(&format!("{place}[{index}]"), field))
            .collect()
    }

    fn column(&mut self, place: &str, field: &str) -> Option<usize> {
        let path = self.path(place, field)?;
        Some(self.columns.iter().position(|column| *column == path).unwrap_or_else(|| {
            self.columns.push(path);
            self.columns.len() - 1
        }))
    }

    fn path(&mut self, place: &str, text: &str) -> Option<FieldPath> {
        match FieldPath::parse(text) {
            Ok(path) if !path.is_root() => Some(path),
            Ok(_) => {
                self.problems.add(place, "is empty");
                None
            }
            Err(error) => {
                self.problems.add(place, format!("`{text}` is no path: {error}"));
                None
            }
        }
    }
}

/// Puts a value into the tree of target members, so that every object is opened once.
fn insert(nodes: &mut Vec<Node>, names: &[Box<str>], value: Body, key: bool) -> Result<(), String> {
    let Some((name, rest)) = names.split_first() else {
        return Ok(());
    };
    let Some(node) = nodes.iter_mut().find(|node| *node.name == **name) else {
        let mut body = value;
        for inner in rest.iter().rev() {
            body = Body::Object(vec![Node { name: inner.clone(), body, key }]);
        }
        nodes.push(Node { name: name.clone(), body, key });
        return Ok(());
    };
    node.key |= key;
    match &mut node.body {
        Body::Value { rule, .. } if rest.is_empty() => Err(format!("is already the target of rules[{rule}]")),
        Body::Value { rule, .. } => {
            Err(format!("needs an object at `{name}`, which rules[{rule}] makes a value"))
        }
        Body::Object(inner) if !rest.is_empty() => insert(inner, rest, value, key),
        Body::Object(inner) => {
            let rule = first_rule(inner).map_or_else(String::new, |rule| format!(" by rules[{rule}]"));
            Err(format!("is a value here and made an object{rule}"))
        }
    }
}

fn first_rule(nodes: &[Node]) -> Option<usize> {
    nodes.iter().find_map(|node| match &node.body {
        Body::Value { rule, .. } => Some(*rule),
        Body::Object(inner) => first_rule(inner),
    })
}

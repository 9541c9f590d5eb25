//! From rules to what runs.

use std::fmt;
use std::sync::Arc;

use acople_core::json::{FieldPath, Projection};
use acople_core::{Error, Result};
use regex::RegexBuilder;

use crate::check::{Bound, Test};
use crate::finding::pointer;
use crate::lookup::Source;
use crate::{Check, Condition, Lookups, Range, Relation, Rule, Rules, Severity};

/// Largest compiled pattern and largest cache of its automaton, in bytes.
const PATTERN_SIZE: usize = 1 << 20;

/// Deepest nesting of a pattern.
const PATTERN_DEPTH: u32 = 50;

/// Most rules of one stream.
const RULES: usize = 1_000;

/// Largest weight of a rule.
const WEIGHT: u32 = 1_000;

/// Rules compiled, with what they look up. Cheap to clone; [`Inspector`](crate::Inspector)s share it.
#[derive(Clone)]
pub struct Checks {
    pub(crate) compiled: Arc<Compiled>,
    #[cfg(feature = "schema")]
    pub(crate) schema: Option<crate::Schema>,
}

pub(crate) struct Compiled {
    pub(crate) name: String,
    pub(crate) rules: Vec<CompiledRule>,
    pub(crate) projection: Projection,
    pub(crate) sources: Vec<(usize, Source)>,
    /// How many sets of keys an inspector needs.
    pub(crate) slots: usize,
    pub(crate) excerpt: u16,
}

pub(crate) struct CompiledRule {
    pub(crate) name: Option<String>,
    pub(crate) pointer: String,
    pub(crate) column: usize,
    pub(crate) tests: Vec<Test>,
    pub(crate) when: Vec<(usize, Condition)>,
    pub(crate) severity: Severity,
    pub(crate) weight: u32,
    pub(crate) secret: bool,
}

impl Checks {
    /// No rules: everything passes.
    pub fn none() -> Self {
        Self::of(Compiled {
            name: String::new(),
            rules: Vec::new(),
            projection: Projection::new([]),
            sources: Vec::new(),
            slots: 0,
            excerpt: Rules::default().excerpt,
        })
    }

    fn of(compiled: Compiled) -> Self {
        Self {
            compiled: Arc::new(compiled),
            #[cfg(feature = "schema")]
            schema: None,
        }
    }

    pub(crate) fn new(rules: &Rules, lookups: &Lookups) -> Result<Self> {
        if rules.rules.len() > RULES {
            return Err(Error::config("rules", format!("more than {RULES} rules")));
        }
        let mut builder = Builder { lookups, columns: Vec::new(), sources: Vec::new(), slots: 0 };
        let compiled = rules.rules.iter().enumerate().map(|(at, rule)| builder.rule(at, rule));
        let compiled: Vec<CompiledRule> = compiled.collect::<Result<_>>()?;
        Ok(Self::of(Compiled {
            name: rules.name.clone(),
            rules: compiled,
            projection: Projection::new(builder.columns),
            sources: builder.sources,
            slots: builder.slots,
            excerpt: rules.excerpt,
        }))
    }

    /// Also validates each record against a JSON Schema: one check of part validity and weight 1.
    #[cfg(feature = "schema")]
    pub fn with_schema(mut self, schema: crate::Schema) -> Self {
        self.schema = Some(schema);
        self
    }

    /// The fields that the checks read, so that a read that asks for some fields asks for these too.
    pub fn fields(&self) -> Vec<FieldPath> {
        #[allow(unused_mut)] // only schemas add to it
        let mut fields = self.compiled.projection.paths().to_vec();
        #[cfg(feature = "schema")]
        if let Some(schema) = &self.schema {
            fields.extend(schema.fields().iter().map(|name| [name.as_str()].into_iter().collect()));
        }
        fields
    }
}

struct Builder<'a> {
    lookups: &'a Lookups,
    columns: Vec<FieldPath>,
    sources: Vec<(usize, Source)>,
    slots: usize,
}

impl Builder<'_> {
    fn rule(&mut self, at: usize, rule: &Rule) -> Result<CompiledRule> {
        let place = |attribute: &str| format!("rules[{at}].{attribute}");
        let (column, path) = self.column(&place("field"), &rule.field)?;
        if rule.weight.get() > WEIGHT {
            return Err(Error::config(place("weight"), format!("the weight is above {WEIGHT}")));
        }
        if rule.check.is_empty() {
            return Err(Error::config(place("check"), "a rule has at least one check"));
        }
        let tests = rule.check.iter().enumerate();
        let tests = tests
            .map(|(nth, check)| self.test(&format!("rules[{at}].check[{nth}]"), column, check))
            .collect::<Result<Vec<Test>>>()?;
        let when = rule.when.iter().map(|condition| {
            let (column, _) = self.column(&place("when"), &condition.field)?;
            let tests = [condition.equals.is_some(), condition.not_equals.is_some()];
            let tests = tests.into_iter().chain([condition.one_of.is_some(), condition.exists.is_some()]);
            if tests.filter(|given| *given).count() != 1 {
                return Err(Error::config(place("when"), "a condition has exactly one test"));
            }
            Ok((column, condition.clone()))
        });
        Ok(CompiledRule {
            name: rule.name.clone(),
            pointer: pointer(&path),
            column,
            tests,
            when: when.collect::<Result<_>>()?,
            severity: rule.severity,
            weight: rule.weight.get(),
            secret: rule.secret,
        })
    }

    fn column(&mut self, place: &str, field: &str) -> Result<(usize, FieldPath)> {
        let path = FieldPath::parse(field).map_err(|error| Error::config(place, error.to_string()))?;
        let known = self.columns.iter().position(|known| *known == path);
        let column = known.unwrap_or_else(|| {
            self.columns.push(path.clone());
            self.columns.len() - 1
        });
        Ok((column, path))
    }

    fn test(&mut self, place: &str, column: usize, check: &Check) -> Result<Test> {
        Ok(match check {
            Check::Required => Test::Required,
            Check::NotNull => Test::NotNull,
            Check::Type(kinds) if kinds.is_empty() => {
                return Err(Error::config(place, "a type check names at least one type"));
            }
            Check::Type(kinds) => Test::Type(kinds.clone()),
            Check::Unique(unique) => {
                let mut columns = vec![column];
                for field in &unique.with {
                    columns.push(self.column(place, field)?.0);
                }
                self.slots += 1;
                let (scope, keys, beyond) = (unique.scope, unique.keys, unique.beyond);
                Test::Unique { slot: self.slots - 1, columns, scope, keys, beyond }
            }
            Check::Range(range) => Test::Range(bounds(place, range)?),
            Check::Length(length) => {
                if length.min.zip(length.max).is_some_and(|(min, max)| min > max) {
                    return Err(Error::config(place, "the least length is above the most"));
                }
                Test::Length(*length)
            }
            Check::Pattern(pattern) => {
                let regex = RegexBuilder::new(pattern)
                    .size_limit(PATTERN_SIZE)
                    .dfa_size_limit(PATTERN_SIZE)
                    .nest_limit(PATTERN_DEPTH)
                    .build();
                Test::Pattern(regex.map_err(|error| Error::config(place, pattern_problem(&error)))?)
            }
            Check::OneOf(values) => Test::OneOf(values.clone()),
            Check::ExistsIn(name) => {
                let Some(source) = self.lookups.get(name) else {
                    return Err(Error::config(place, format!("there is no look-up {name:?}")));
                };
                self.sources.push((column, source.clone()));
                Test::ExistsIn { source: self.sources.len() - 1, name: name.clone() }
            }
            Check::Compare(compare) => {
                let (other, path) = self.column(place, &compare.to)?;
                Test::Compare { is: compare.is, column: other, name: pointer(&path) }
            }
            Check::Fresh(fresh) => Test::Fresh(*fresh),
        })
    }
}

fn bounds(place: &str, range: &Range) -> Result<Vec<(Relation, Bound, String)>> {
    let given = [
        (Relation::AtLeast, &range.min),
        (Relation::AtMost, &range.max),
        (Relation::Greater, &range.above),
        (Relation::Less, &range.below),
    ];
    let mut bounds = Vec::new();
    for (relation, scalar) in given {
        let Some(scalar) = scalar else { continue };
        let bound = Bound::read(scalar)
            .ok_or_else(|| Error::config(place, "a bound is a number, a date or a date with a time"))?;
        bounds.push((relation, bound, scalar.text().unwrap_or_default().into_owned()));
    }
    let kind = |bound: &Bound| matches!(bound, Bound::Number(_));
    let mixed = bounds.iter().any(|(_, bound, _)| bounds.first().is_some_and(|b| kind(&b.1) != kind(bound)));
    if bounds.is_empty() || mixed {
        return Err(Error::config(place, "a range has bounds, all numbers or all dates"));
    }
    Ok(bounds)
}

/// What is wrong with a pattern, on one line.
fn pattern_problem(error: &regex::Error) -> String {
    match error {
        regex::Error::CompiledTooBig(limit) => format!("the pattern takes more than {limit} bytes compiled"),
        other => {
            let text = other.to_string();
            format!("no valid pattern: {}", text.lines().last().unwrap_or_default().trim())
        }
    }
}

impl fmt::Debug for Checks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rules = self.compiled.rules.len();
        f.debug_struct("Checks")
            .field("name", &self.compiled.name)
            .field("rules", &rules)
            .finish_non_exhaustive()
    }
}

//! The compiled mapper: one projection of a page, then record by record.

use std::fmt;
use std::sync::Arc;

use acople_core::json::{FieldPath, Projection, Value};
use acople_core::{Batch, BatchBuilder, ErrorKind, Mapped, Mapper, Refusal, Result};

use crate::check::Problems;
use crate::compile::{Side, build};
use crate::evaluate::View;
use crate::members::Members;
use crate::program::{Body, Node, Program};
use crate::{Direction, Lookups, Table};

/// A compiled [`Table`]. Cloning shares it.
#[derive(Clone)]
pub struct TableMapper(Arc<Inner>, bool);

struct Inner {
    name: String,
    stream: Option<Arc<str>>,
    /// Without the rows that the target refuses to be written.
    writable: Compiled,
    /// With them; `None` when there are none.
    full: Option<Compiled>,
}

struct Compiled {
    program: Program,
    projection: Projection,
    targets: Vec<(String, Vec<String>)>,
}

impl TableMapper {
    pub(crate) fn new(table: &Table, lookups: &Lookups) -> Result<Self> {
        let mut problems = Problems::default();
        // The whole side first: two rows with one target are wrong even if one is read-only.
        let full = build(&Side::of(table, Direction::Forward, true), Some(lookups), &mut problems);
        problems.into_result()?;
        let read_only =
            table.rules.iter().any(|rule| rule.read_only && rule.direction != Direction::Backward);
        let (writable, full) = if read_only {
            let mut problems = Problems::default();
            let writable = build(&Side::of(table, Direction::Forward, false), Some(lookups), &mut problems);
            problems.into_result()?;
            (writable, Some(full))
        } else {
            (full, None)
        };
        Ok(Self(
            Arc::new(Inner {
                name: table.name.clone(),
                stream: table.to_stream.as_deref().map(Arc::from),
                writable: Compiled::new(writable),
                full: full.map(Compiled::new),
            }),
            false,
        ))
    }

    /// Whether the rows marked `read_only` are written too: for comparing the two sides, not for
    /// writing, which the target would refuse.
    pub fn with_read_only_fields(mut self, written: bool) -> Self {
        self.1 = written;
        self
    }

    /// The table's name.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The source fields behind a target field, so that a destination's refusal can be told in the
    /// source's words. A target is also found by its end: HubSpot names `email` in an error where the
    /// record has `properties.email`.
    pub fn sources_of(&self, target: &str) -> &[String] {
        let compiled = self.0.full.as_ref().unwrap_or(&self.0.writable);
        let ends = |path: &str| path.strip_suffix(target).is_some_and(|start| start.ends_with('.'));
        let exact = compiled.targets.iter().find(|(path, _)| path == target);
        let found = exact.or_else(|| compiled.targets.iter().find(|(path, _)| ends(path)));
        found.map_or(&[], |(_, sources)| sources)
    }

    fn compiled(&self) -> &Compiled {
        match &self.0.full {
            Some(full) if self.1 => full,
            _ => &self.0.writable,
        }
    }
}

impl Mapper for TableMapper {
    fn map(&self, batch: &Batch) -> Result<Mapped> {
        let Compiled { program, projection, .. } = self.compiled();
        let cells = batch.project(projection);
        let stream = self.0.stream.clone().unwrap_or_else(|| Arc::from(batch.stream()));
        let mut out = BatchBuilder::new(stream);
        let mut origins = Vec::with_capacity(batch.len());
        let mut refused = Vec::new();
        let mut skipped = 0;
        let mut members = Members::default();
        for (index, record) in batch.iter().enumerate() {
            let row = cells.row(index);
            let cell = |column| row.map_or(Value::Missing, |row| row.get(column));
            let view = View::new(program, cell, record);
            if view.is_skipped() {
                skipped += 1;
                continue;
            }
            match out.push(record.change(), |writer| view.write(writer, &mut members)) {
                Ok(()) => origins.push(index),
                // The page itself is too large: no fault of the record.
                Err(error) if error.kind() == ErrorKind::TooLarge => return Err(error),
                Err(error) => refused.push(Refusal { index, error }),
            }
        }
        Ok(Mapped { batch: out.finish()?, origins, refused, skipped })
    }

    fn fields(&self) -> Option<Vec<FieldPath>> {
        let program = &self.compiled().program;
        program.pass_through.is_none().then(|| program.columns.clone())
    }
}

impl fmt::Debug for TableMapper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TableMapper")
            .field("name", &self.0.name)
            .field("rows", &self.compiled().program.rows.len())
            .field("read_only_fields", &self.1)
            .finish_non_exhaustive()
    }
}

impl Compiled {
    fn new(program: Program) -> Self {
        let projection = Projection::new(program.columns.clone());
        let mut targets = Vec::new();
        list_targets(&program, &program.nodes, &FieldPath::default(), &mut targets);
        Self { program, projection, targets }
    }
}

fn list_targets(
    program: &Program,
    nodes: &[Node],
    above: &FieldPath,
    targets: &mut Vec<(String, Vec<String>)>,
) {
    for node in nodes {
        let mut path = above.clone();
        path.push(node.name.clone());
        match &node.body {
            Body::Object(inner) => list_targets(program, inner, &path, targets),
            Body::Value { row, .. } => {
                targets.extend(program.rows.get(*row).map(|row| (path.to_string(), row.names.clone())));
            }
        }
    }
}

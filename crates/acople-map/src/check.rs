//! Collecting what is wrong with a table: all of it at once.

use acople_core::{Error, ErrorKind, Result};

use crate::compile::{Side, build};
use crate::{Direction, Table};

/// What was found, each with its place.
#[derive(Debug, Default)]
pub(crate) struct Problems(Vec<(String, String)>);

impl Problems {
    pub(crate) fn add(&mut self, place: impl Into<String>, message: impl Into<String>) {
        self.0.push((place.into(), message.into()));
    }

    pub(crate) fn into_result(self) -> Result<()> {
        if self.0.is_empty() {
            return Ok(());
        }
        let text: Vec<String> = self.0.iter().map(|(place, message)| format!("{place} {message}")).collect();
        let error = Error::new(ErrorKind::Config, text.join("; "));
        Err(self.0.into_iter().fold(error, |error, (place, _)| error.with_field(place)))
    }
}

/// Checks both directions; look-ups that only the host knows are taken on trust.
pub(crate) fn check(table: &Table) -> Result<()> {
    let mut problems = Problems::default();
    build(&Side::of(table, Direction::Backward, true), None, &mut problems);
    build(&Side::of(table, Direction::Forward, true), None, &mut problems);
    problems.into_result()
}

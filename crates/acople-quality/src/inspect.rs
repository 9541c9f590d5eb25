//! One run's inspector: it looks at batch after batch and remembers what it has to.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use acople_core::json::{Cells, Row, Value};
use acople_core::{
    Batch, Change, Clock, Context, Error, ErrorKind, Record, Refusal, Result, SystemClock, Unreadable,
};
use serde::Serialize;

use crate::check::{Test, same};
use crate::compile::CompiledRule;
use crate::finding::{Finding, excerpt, refusal};
use crate::key::{Keys, Seen, key_of, key_of_text};
use crate::lookup::Source;
use crate::{Beyond, Checks, Part, Scope, Score, Severity};

/// Checks the batches of one run.
///
/// Deletions pass unchecked: they hold little more than their key. Records that are no text are refused as
/// before and count as invalid.
///
/// ```
/// use acople_core::Batch;
/// use acople_quality::{Check, Inspector, Lookups, Rule, Rules};
///
/// let rules = Rules::new("contacts").with_rule(Rule::new("email", Check::Required));
/// let mut inspector = Inspector::new(rules.compile(&Lookups::new())?);
///
/// let batch = Batch::from_records("contacts", [r#"{"email":"a@example.com"}"#, r#"{"email":null}"#])?;
/// let inspection = inspector.inspect(&batch)?;
/// assert_eq!(inspection.passed().len(), 1);
/// assert_eq!(inspection.refused()[0].error.fields(), ["/email"]);
/// assert_eq!(inspector.score().value(), 0.5);
/// # Ok::<(), acople_core::Error>(())
/// ```
pub struct Inspector {
    checks: Checks,
    clock: Arc<dyn Clock>,
    uniques: Vec<Keys>,
    /// What the look-ups answered for the batch that comes next.
    answers: Vec<HashMap<u128, bool>>,
    score: Score,
    warnings: Vec<u64>,
}

/// What became of a batch.
#[derive(Debug)]
pub struct Inspection {
    batch: Batch,
    /// The quality of the batch.
    pub score: Score,
    /// The rules of severity warning that records of the batch failed.
    pub warnings: Vec<Warning>,
}

/// A rule of severity warning and how many records failed it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Warning {
    /// The field, as a JSON pointer.
    pub field: String,
    /// The rule's name, or that of its check.
    pub rule: String,
    /// How many records.
    pub records: u64,
}

impl Inspection {
    /// The whole batch with the refused records marked ([`Batch::with_refused`]): a sync passes on the others and
    /// puts these into quarantine.
    pub fn into_batch(self) -> Batch {
        self.batch
    }

    /// As [`into_batch`](Self::into_batch).
    pub fn batch(&self) -> &Batch {
        &self.batch
    }

    /// The records that passed.
    pub fn passed(&self) -> Batch {
        self.batch.unreadable().map_or_else(|| self.batch.clone(), |unreadable| unreadable.rest)
    }

    /// The records that did not, with their reasons.
    pub fn refused(&self) -> Vec<Refusal> {
        self.batch.unreadable().map(|unreadable| unreadable.refused).unwrap_or_default()
    }
}

impl Inspector {
    /// An inspector of a run that begins.
    pub fn new(checks: Checks) -> Self {
        let mut uniques: Vec<Keys> = vec![Keys::default(); checks.compiled.slots];
        for test in checks.compiled.rules.iter().flat_map(|rule| &rule.tests) {
            if let Test::Unique { slot, keys, .. } = test
                && let Some(set) = uniques.get_mut(*slot)
            {
                *set = Keys::new(*keys);
            }
        }
        let answers = vec![HashMap::new(); checks.compiled.sources.len()];
        let warnings = vec![0; checks.compiled.rules.len()];
        Self { checks, clock: Arc::new(SystemClock), uniques, answers, score: Score::default(), warnings }
    }

    /// Replaces the clock that `fresh` asks.
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// The score of the run so far.
    pub fn score(&self) -> &Score {
        &self.score
    }

    /// The warnings of the run so far, one a rule that some record failed.
    pub fn warnings(&self) -> Vec<Warning> {
        named(&self.checks, &self.warnings)
    }

    /// Asks the look-ups about the keys of the batch that is inspected next. Needed only with
    /// [`Lookups::with_asked`](crate::Lookups::with_asked).
    ///
    /// # Errors
    /// Those of the look-ups.
    pub async fn prepare(&mut self, cx: &Context, batch: &Batch) -> Result<()> {
        for ((column, source), answers) in self.checks.compiled.sources.iter().zip(&mut self.answers) {
            answers.clear();
            let Source::Ask(lookup) = source else { continue };
            let keys: HashSet<String> = {
                let cells = batch.project(&self.checks.compiled.projection);
                let texts = cells.rows().filter_map(|row| row.get(*column).scalar_text().ok().flatten());
                texts.map(std::borrow::Cow::into_owned).collect()
            };
            let keys: Vec<String> = keys.into_iter().collect();
            let exist = lookup.exist(cx, &keys).await?;
            if exist.len() != keys.len() {
                return Err(Error::new(ErrorKind::Internal, "a look-up lost count of its keys"));
            }
            answers.extend(keys.iter().map(|key| key_of_text(key)).zip(exist));
        }
        Ok(())
    }

    /// Checks a batch.
    ///
    /// # Errors
    /// [`ErrorKind::TooLarge`] when a `unique` check that is to stop then has more keys than it may remember. Bad
    /// records are no error.
    pub fn inspect(&mut self, batch: &Batch) -> Result<Inspection> {
        let now = self.clock.now();
        let mut score = Score::default();
        let mut warnings = vec![0; self.warnings.len()];
        let (rest, places, mut refused) = match batch.unreadable() {
            Some(Unreadable { rest, places, refused }) => (rest, Some(places), refused),
            None => (batch.clone(), None, Vec::new()),
        };
        for _ in &refused {
            score.records += 1;
            score.count(Part::Validity, 1, false);
        }
        for test in self.checks.compiled.rules.iter().flat_map(|rule| &rule.tests) {
            if let Test::Unique { slot, scope: Scope::Batch, .. } = test
                && let Some(keys) = self.uniques.get_mut(*slot)
            {
                keys.clear();
            }
        }
        let cells: Cells = rest.project(&self.checks.compiled.projection);
        for (at, (record, row)) in rest.iter().zip(cells.rows()).enumerate() {
            if record.change() == Change::Delete {
                continue;
            }
            score.records += 1;
            let findings = self.record(record, row, now, &mut score, &mut warnings)?;
            if !findings.is_empty() {
                let index = places.as_ref().and_then(|places| places.get(at).copied()).unwrap_or(at);
                refused.push(Refusal { index, error: refusal(index, &findings) });
            }
        }
        score.refused = u64::try_from(refused.len()).unwrap_or(u64::MAX);
        self.score.merge(&score);
        for (sum, more) in self.warnings.iter_mut().zip(&warnings) {
            *sum += more;
        }
        let warnings = named(&self.checks, &warnings);
        Ok(Inspection { batch: batch.clone().with_refused(refused), score, warnings })
    }

    /// The checks of severity error that a record fails.
    fn record(
        &mut self,
        record: Record<'_>,
        row: Row<'_>,
        now: SystemTime,
        score: &mut Score,
        warnings: &mut [u64],
    ) -> Result<Vec<Finding>> {
        let compiled = &self.checks.compiled;
        let mut findings = Vec::new();
        #[cfg(feature = "schema")]
        if let Some(schema) = &self.checks.schema {
            let found = schema.findings(record.raw(), compiled.excerpt);
            score.count(Part::Validity, 1, found.is_empty());
            findings.extend(found);
        }
        #[cfg(not(feature = "schema"))]
        let _ = record;
        // Keys are remembered of records that pass: one that is refused is no reason to refuse the next.
        let mut keys: Vec<(usize, u128)> = Vec::new();
        for (rule, warned) in compiled.rules.iter().zip(warnings.iter_mut()) {
            if !rule.applies(row) {
                continue;
            }
            let value = row.get(rule.column);
            let mut failed = false;
            for test in &rule.tests {
                let passed = match test {
                    Test::Unique { slot, columns, beyond, .. } => {
                        let Some(key) = key_of(columns.iter().map(|column| row.get(*column))) else {
                            continue;
                        };
                        match self.uniques.get(*slot).map_or(Seen::Unknown, |keys| keys.look(key)) {
                            Seen::New => {
                                keys.push((*slot, key));
                                Some(true)
                            }
                            Seen::Before => Some(false),
                            Seen::Unknown if *beyond == Beyond::Stop => return Err(too_many(&rule.pointer)),
                            Seen::Unknown => None,
                        }
                    }
                    Test::ExistsIn { source, .. } => match self.exists(*source, &value) {
                        Existence::NotApplicable => continue,
                        Existence::Unknown => None,
                        Existence::Known(exists) => Some(exists),
                    },
                    test => match test.passes(&value, row, now) {
                        Some(passed) => Some(passed),
                        None => continue,
                    },
                };
                let Some(passed) = passed else {
                    score.unchecked += 1;
                    continue;
                };
                score.count(test.part(), rule.weight, passed);
                if passed {
                    continue;
                }
                if rule.severity == Severity::Warning {
                    score.warned += 1;
                    failed = true;
                } else {
                    findings.push(rule.finding(test, &value, compiled.excerpt));
                }
            }
            *warned += u64::from(failed);
        }
        if findings.is_empty() {
            for (slot, key) in keys {
                if let Some(known) = self.uniques.get_mut(slot) {
                    known.remember(key);
                }
            }
        }
        Ok(findings)
    }

    fn exists(&self, source: usize, value: &Value<'_>) -> Existence {
        let key = match value.scalar_text() {
            Ok(Some(key)) => key,
            Ok(None) if value.is_missing() || value.is_null() => return Existence::NotApplicable,
            // A container, or half of a surrogate pair, is no key of anything.
            _ => return Existence::Known(false),
        };
        match self.checks.compiled.sources.get(source) {
            Some((_, Source::Set(keys))) => Existence::Known(keys.contains(&key)),
            Some((_, Source::Ask(_))) => {
                let answers = self.answers.get(source);
                let answer = answers.and_then(|answers| answers.get(&key_of_text(&key)));
                answer.map_or(Existence::Unknown, |exists| Existence::Known(*exists))
            }
            None => Existence::Unknown,
        }
    }
}

enum Existence {
    NotApplicable,
    Unknown,
    Known(bool),
}

impl CompiledRule {
    fn applies(&self, row: Row<'_>) -> bool {
        self.when.iter().all(|(column, condition)| {
            let value = row.get(*column);
            if let Some(fixed) = &condition.equals {
                same(&value, fixed)
            } else if let Some(fixed) = &condition.not_equals {
                !same(&value, fixed)
            } else if let Some(fixed) = &condition.one_of {
                fixed.iter().any(|fixed| same(&value, fixed))
            } else {
                condition.exists == Some(!value.is_missing() && !value.is_null())
            }
        })
    }

    fn finding(&self, test: &Test, value: &Value<'_>, limit: u16) -> Finding {
        Finding {
            pointer: self.pointer.clone(),
            rule: self.name.clone().unwrap_or_else(|| test.name().to_owned()),
            expected: test.expected(),
            found: excerpt(value, limit, self.secret),
        }
    }
}

fn named(checks: &Checks, counts: &[u64]) -> Vec<Warning> {
    let rules = checks.compiled.rules.iter().zip(counts).filter(|(_, count)| **count > 0);
    let name = |rule: &CompiledRule| {
        let names: Vec<&str> = rule.tests.iter().map(Test::name).collect();
        rule.name.clone().unwrap_or_else(|| names.join(", "))
    };
    rules.map(|(r, count)| Warning { field: r.pointer.clone(), rule: name(r), records: *count }).collect()
}

fn too_many(pointer: &str) -> Error {
    Error::new(ErrorKind::TooLarge, "more keys than the check `unique` may remember").with_field(pointer)
}

impl fmt::Debug for Inspector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inspector")
            .field("checks", &self.checks)
            .field("score", &self.score)
            .finish_non_exhaustive()
    }
}

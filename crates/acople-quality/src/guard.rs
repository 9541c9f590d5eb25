//! One run under a drift policy: finds what differs, record by record, and does what the policy says.

use std::collections::{BTreeMap, BTreeSet};

use acople_core::json::{FieldPath, Value, members, value};
use acople_core::{Batch, BatchBuilder, Change, Error, ErrorKind, Refusal, Result};

use crate::agreed::{FIELDS, below};
use crate::differ::{Found, look_at};
use crate::{AgreedSchema, Drift, DriftKind, DriftPolicy, FieldShape, FieldType, OnDrift, TypeChange};

/// Most fields that are followed in all, and most differences that are told.
const TOTAL: usize = 5_000;

pub(crate) struct Guard {
    policy: DriftPolicy,
    agreed: AgreedSchema,
    /// There was nothing agreed: whatever comes is agreed to.
    learning: Option<Learning>,
    /// Names of the record's own fields that the read asked for; `None`: all.
    asked: Option<BTreeSet<String>>,
    told: BTreeSet<Drift>,
    changed: bool,
    fields: usize,
}

/// How often the record's own fields came, to tell those that always come.
#[derive(Default)]
struct Learning {
    records: u64,
    seen: BTreeMap<String, u64>,
}

/// What is changed in one record's own fields.
#[derive(Default)]
struct Edits {
    nulls: Vec<String>,
    texts: BTreeSet<String>,
}

impl Edits {
    fn is_empty(&self) -> bool {
        self.nulls.is_empty() && self.texts.is_empty()
    }
}

/// A batch after the guard, and what it found for the first time.
pub(crate) struct Guarded {
    pub(crate) batch: Batch,
    pub(crate) drifts: Vec<Drift>,
}

impl Guard {
    pub(crate) fn new(policy: DriftPolicy, agreed: Option<AgreedSchema>, asked: Option<&[String]>) -> Self {
        let own = |field: &String| {
            let path = FieldPath::parse(field).ok()?;
            path.segments().first().map(ToString::to_string)
        };
        let learning = agreed.is_none().then(Learning::default);
        let agreed = agreed.unwrap_or_default();
        let fields = agreed.fields.values().map(count).sum();
        Self {
            policy,
            agreed,
            learning,
            asked: asked.map(|fields| fields.iter().filter_map(own).collect()),
            told: BTreeSet::new(),
            changed: false,
            fields,
        }
    }

    /// Compares what the connector says; without anything agreed, agrees to it.
    ///
    /// # Errors
    /// [`ErrorKind::Schema`] under the policy `freeze`.
    pub(crate) fn describe(&mut self, now: AgreedSchema) -> Result<Vec<Drift>> {
        if now.fields.is_empty() {
            return Ok(Vec::new());
        }
        if self.learning.take().is_some() {
            self.fields = now.fields.values().map(count).sum();
            self.agreed = now;
            self.changed = true;
            return Ok(Vec::new());
        }
        let mut drifts = self.agreed.compare(&now);
        drifts.retain(|drift| self.is_asked(own_name(&drift.field)));
        if self.policy.on == OnDrift::Freeze && !drifts.is_empty() {
            return Err(frozen(&drifts));
        }
        if self.policy.on == OnDrift::Evolve {
            for drift in &drifts {
                self.evolve_described(drift, &now);
            }
        }
        Ok(drifts
            .into_iter()
            .filter(|drift| self.told.len() < TOTAL && self.told.insert(drift.clone()))
            .collect())
    }

    /// Looks at a batch and does what the policy says.
    ///
    /// # Errors
    /// [`ErrorKind::Schema`] with the code `quality.drift` under the policy `freeze`.
    pub(crate) fn guard(&mut self, batch: &Batch) -> Result<Guarded> {
        let mut refused = batch.unreadable().map(|unreadable| unreadable.refused).unwrap_or_default();
        let skip: BTreeSet<usize> = refused.iter().map(|refusal| refusal.index).collect();
        let mut edits: BTreeMap<usize, Edits> = BTreeMap::new();
        let mut drifts = Vec::new();
        for (index, record) in batch.iter().enumerate() {
            if skip.contains(&index) || record.change() == Change::Delete {
                continue;
            }
            let Ok(Value::Object(object)) = value(record.raw()) else { continue };
            if let Some(learning) = &mut self.learning {
                learning.records += 1;
            }
            let mut edit = Edits::default();
            let mut found = Vec::new();
            self.look(object, &mut found, &mut edit)?;
            if !found.is_empty() {
                if self.policy.on == OnDrift::Freeze && self.learning.is_none() {
                    return Err(frozen(&found.into_iter().map(|found| found.drift).collect::<Vec<_>>()));
                }
                if let Some(error) = self.settle(&found, &mut edit) {
                    refused.push(Refusal { index, error: error.with_record(format!("#{index}")) });
                    edit = Edits::default();
                }
                if self.learning.is_none() {
                    let told = &mut self.told;
                    drifts.extend(
                        found
                            .into_iter()
                            .map(|f| f.drift)
                            .filter(|d| told.len() < TOTAL && told.insert(d.clone())),
                    );
                }
            }
            if !edit.is_empty() {
                edits.insert(index, edit);
            }
        }
        let batch = if edits.is_empty() { batch.clone() } else { rewrite(batch, &edits)? };
        Ok(Guarded { batch: batch.with_refused(refused), drifts })
    }

    /// The schema to store once the read has come to its end; `None`: as it was.
    pub(crate) fn finish(mut self) -> Option<AgreedSchema> {
        if let Some(learning) = &self.learning {
            for (name, seen) in &learning.seen {
                if let Some(shape) = self.agreed.fields.get_mut(name) {
                    shape.always = *seen == learning.records;
                }
            }
            self.changed = learning.records > 0;
        }
        self.changed.then(|| {
            self.agreed.version = self.agreed.version.saturating_add(1);
            self.agreed
        })
    }

    fn is_asked(&self, name: &str) -> bool {
        self.asked.as_ref().is_none_or(|asked| asked.contains(name))
    }

    /// Finds what differs in a record, and which nulls and texts stand in for what was agreed.
    fn look(&mut self, object: &str, found: &mut Vec<Found>, edits: &mut Edits) -> Result<()> {
        let mut seen: BTreeSet<String> = BTreeSet::new();
        let fills = self.agreed.fields.values().any(|shape| shape.always || shape.filled);
        for member in members(object) {
            let (name, value) = member?;
            let Ok(name) = name.decode() else { continue };
            if let Some(learning) = &mut self.learning
                && (learning.seen.contains_key(name.as_ref()) || learning.seen.len() < FIELDS)
                && seen.insert(name.to_string())
            {
                *learning.seen.entry(name.to_string()).or_default() += 1;
            } else if fills {
                seen.insert(name.to_string());
            }
            look_at(&self.agreed.fields, &name, &value, &mut Vec::new(), found)?;
        }
        if self.policy.on == OnDrift::Evolve && self.policy.type_change == TypeChange::Text {
            // Agreed to before: done again, and told no more.
            found.retain(|found| {
                let changed = matches!(found.drift.change, DriftKind::TypeChanged { .. });
                let [name] = found.path.as_slice() else { return true };
                let made = changed && self.agreed.fields.get(name).is_some_and(|shape| shape.made_text);
                if made {
                    edits.texts.insert(name.clone());
                }
                !made
            });
        }
        if fills && self.learning.is_none() {
            for (name, shape) in &self.agreed.fields {
                let missing = (shape.always || shape.filled) && !seen.contains(name);
                if !missing || !self.is_asked(name) {
                    continue;
                }
                if shape.filled && self.policy.on == OnDrift::Evolve {
                    edits.nulls.push(name.clone());
                } else if !shape.filled {
                    let drift = Drift { field: below("", name), change: DriftKind::MissingField };
                    found.push(Found { drift, path: vec![name.clone()], shape: FieldShape::default() });
                }
            }
        }
        Ok(())
    }

    /// Does what the policy says about a record's differences; the error refuses the record.
    fn settle(&mut self, found: &[Found], edits: &mut Edits) -> Option<Error> {
        if self.learning.is_some() {
            for found in found {
                self.agree(found, TypeChange::Widen);
            }
            return None;
        }
        match self.policy.on {
            OnDrift::Ignore => None,
            OnDrift::Quarantine | OnDrift::Freeze => Some(refusal(found)),
            OnDrift::Evolve => {
                let (changed, others): (Vec<&Found>, Vec<&Found>) =
                    found.iter().partition(|f| matches!(f.drift.change, DriftKind::TypeChanged { .. }));
                let text =
                    self.policy.type_change == TypeChange::Text && changed.iter().all(|f| f.path.len() == 1);
                if !changed.is_empty() && self.policy.type_change != TypeChange::Widen && !text {
                    return Some(refusal(changed));
                }
                for found in changed {
                    self.agree(found, self.policy.type_change);
                    if let (true, Some(name)) = (text, found.path.first()) {
                        edits.texts.insert(name.clone());
                    }
                }
                for found in others {
                    self.agree(found, self.policy.type_change);
                    if let (DriftKind::MissingField, Some(name)) = (&found.drift.change, found.path.first()) {
                        edits.nulls.push(name.clone());
                    }
                }
                None
            }
        }
    }

    /// Agrees to a difference.
    fn agree(&mut self, found: &Found, type_change: TypeChange) {
        if found.drift.change == DriftKind::NewField {
            let added = count(&found.shape);
            if self.fields + added > TOTAL {
                return;
            }
            if let Some((name, above)) = found.path.split_last()
                && let Some(fields) = fields_at(&mut self.agreed.fields, above)
                && fields.len() < FIELDS
            {
                fields.insert(name.clone(), found.shape.clone());
                self.fields += added;
                self.changed = true;
            }
            return;
        }
        let Some((name, above)) = found.path.split_last() else { return };
        let Some(shape) = fields_at(&mut self.agreed.fields, above).and_then(|fields| fields.get_mut(name))
        else {
            return;
        };
        let before = shape.clone();
        match &found.drift.change {
            DriftKind::MissingField => (shape.always, shape.filled) = (false, true),
            DriftKind::TypeChanged { .. } if type_change == TypeChange::Text => {
                shape.types = BTreeSet::from([FieldType::Text]);
                shape.made_text = true;
            }
            DriftKind::TypeChanged { .. } | DriftKind::Widened { .. } => {
                shape.types.extend(found.shape.types.iter().copied());
                if shape.types.contains(&FieldType::Number) {
                    shape.types.remove(&FieldType::Integer);
                }
            }
            DriftKind::Nullable => shape.nullable = true,
            DriftKind::LongerText { to, .. } => shape.max_length = Some(*to),
            DriftKind::NewValue => {
                if let (Some(values), Some(new)) = (&mut shape.values, &found.shape.values)
                    && values.len() < FIELDS
                {
                    values.extend(new.iter().cloned());
                }
            }
            _ => {}
        }
        self.changed |= *shape != before;
    }

    /// Agrees to what a description says, as far as data may come that differs.
    fn evolve_described(&mut self, drift: &Drift, now: &AgreedSchema) {
        let path: Vec<String> = path_of(&drift.field);
        let Some((name, above)) = path.split_last() else { return };
        let described = fields_of(&now.fields, above).and_then(|fields| fields.get(name));
        let found =
            Found { drift: drift.clone(), path: path.clone(), shape: described.cloned().unwrap_or_default() };
        match &drift.change {
            // Of another type the values decide: until one comes, nothing changes.
            DriftKind::TypeChanged { .. }
            | DriftKind::Narrowed { .. }
            | DriftKind::NotNullable
            | DriftKind::ShorterText { .. }
            | DriftKind::ValueGone => {}
            _ => self.agree(&found, self.policy.type_change),
        }
    }
}

fn count(shape: &FieldShape) -> usize {
    1 + shape.fields.values().map(count).sum::<usize>()
}

fn fields_at<'a>(
    fields: &'a mut BTreeMap<String, FieldShape>,
    path: &[String],
) -> Option<&'a mut BTreeMap<String, FieldShape>> {
    path.iter().try_fold(fields, |fields, name| fields.get_mut(name).map(|shape| &mut shape.fields))
}

fn fields_of<'a>(
    fields: &'a BTreeMap<String, FieldShape>,
    path: &[String],
) -> Option<&'a BTreeMap<String, FieldShape>> {
    path.iter().try_fold(fields, |fields, name| fields.get(name).map(|shape| &shape.fields))
}

fn path_of(pointer: &str) -> Vec<String> {
    let path = FieldPath::parse(pointer).unwrap_or_default();
    path.segments().iter().map(ToString::to_string).collect()
}

fn own_name(pointer: &str) -> &str {
    pointer.split('/').nth(1).unwrap_or_default()
}

/// The batch with what stands in for what was agreed.
fn rewrite(batch: &Batch, edits: &BTreeMap<usize, Edits>) -> Result<Batch> {
    let mut out = BatchBuilder::new(batch.stream());
    for (index, record) in batch.iter().enumerate() {
        out.push(record.change(), |writer| {
            let Some(edits) = edits.get(&index) else {
                writer.raw(record.raw());
                return Ok(());
            };
            writer.begin_object();
            for member in members(record.raw()) {
                let (name, value) = member?;
                let as_text = name.decode().is_ok_and(|name| edits.texts.contains(name.as_ref()));
                writer.raw_key(name);
                if as_text && !value.is_null() && value.as_text().is_none() {
                    writer.text(value.raw());
                } else {
                    writer.raw(value.raw());
                }
            }
            for name in &edits.nulls {
                writer.key(name);
                writer.raw("null");
            }
            writer.end_object();
            Ok(())
        })?;
    }
    out.finish()
}

fn refusal<'a>(found: impl IntoIterator<Item = &'a Found>) -> Error {
    let drifts: Vec<&Drift> = found.into_iter().map(|found| &found.drift).collect();
    told(&drifts, "the record is not as agreed")
}

fn frozen(drifts: &[Drift]) -> Error {
    told(&drifts.iter().collect::<Vec<_>>(), "the schema is frozen and has changed").with_operation("schema")
}

fn told(drifts: &[&Drift], what: &str) -> Error {
    let first = drifts.first().map(ToString::to_string).unwrap_or_default();
    let more = match drifts.len() {
        0 | 1 => String::new(),
        all => format!("; and {} more", all - 1),
    };
    let error = Error::new(ErrorKind::Schema, format!("{what}: {first}{more}")).with_code("quality.drift");
    drifts.iter().take(10).fold(error, |error, drift| error.with_field(drift.field.as_str()))
}

//! The writes of a page of pairs to one side.

use acople_core::json::Writer;
use acople_core::{
    Batch, BatchBuilder, Change, Error, ErrorKind, Mapped, Outcome, Result, Stage, WriteMode, WriteRequest,
};

use super::merge::Action;
use super::policy::Side;
use super::report::Cycle;
use super::settle::{Failure, Kind, Pair};
use crate::deliver::check;
use crate::isolate::{isolate, lost_count, may_be_one_record};
use crate::keys::write_object;
use crate::write::{Call, Portion};

/// One side that is written to.
struct Target<'a> {
    cycle: &'a Cycle<'a>,
    side: Side,
}

impl Call for Target<'_> {
    async fn call(&self, portion: &Portion, open: &[usize]) -> Result<Vec<Outcome>> {
        let part = portion.records.select(open.iter().copied());
        let connector = &self.cycle.plan.end(self.side).connector;
        let report = connector.write(self.cycle.cx, WriteRequest::new(portion.mode, part)).await?;
        Ok(report.into_outcomes())
    }
}

impl Cycle<'_> {
    /// Writes what the pairs have to write to a side in one way.
    ///
    /// # Errors
    /// What is not about single records: pairs without a failure may not have been reached then.
    pub(super) async fn write(&mut self, side: Side, kind: Kind, pairs: &mut [Pair]) -> Result<()> {
        let wanted =
            |pair: &Pair| pair.failed.is_none() && pair.merged.action(side).is_some_and(|a| kind.is(a));
        let chosen: Vec<usize> =
            pairs.iter().enumerate().filter(|(_, pair)| wanted(pair)).map(|(index, _)| index).collect();
        if chosen.is_empty() {
            return Ok(());
        }
        let (records, origins) = self.records(side, kind, pairs, &chosen)?;
        let mode = match kind {
            Kind::Insert => WriteMode::Insert,
            Kind::Update => WriteMode::Update,
            Kind::Delete => WriteMode::Delete,
        };
        let portion = Portion { records, origins, mode, key: None };
        let outcomes = self.call(side, &portion).await?;
        // Those that the mapper leaves out on purpose are done as well.
        for index in chosen.iter().filter(|index| !portion.origins.contains(index)) {
            if let Some(pair) = pairs.get_mut(*index) {
                pair.merged.clear(side);
            }
        }
        let mut stop = None;
        for (index, outcome) in portion.origins.iter().zip(outcomes) {
            let Some(pair) = pairs.get_mut(*index) else { continue };
            pair.merged.clear(side);
            let totals = self.counts.side(side);
            match outcome {
                Outcome::Accepted { id, .. } => match (kind, id) {
                    (Kind::Insert, Some(id)) => {
                        totals.inserted += 1;
                        pair.set_id(side, id);
                    }
                    (Kind::Insert, None) => {
                        let message = "the record was created without a word on its id";
                        pair.failed =
                            Some(Failure::Refused(Stage::Write, Error::new(ErrorKind::Internal, message)));
                    }
                    (Kind::Update, _) => totals.updated += 1,
                    (Kind::Delete, _) => totals.deleted += 1,
                },
                Outcome::Refused { error } if kind == Kind::Delete && error.kind() == ErrorKind::NotFound => {
                }
                // Repeating an insert could double the record.
                Outcome::Unknown { error } if kind == Kind::Insert => {
                    pair.failed = Some(Failure::Refused(Stage::Write, error.with_kind(ErrorKind::Ambiguous)));
                }
                Outcome::Unknown { .. } => pair.failed = Some(Failure::Later),
                Outcome::Refused { error } => {
                    if let Err(error) = pair.fail(error) {
                        stop = Some(error);
                    }
                }
                _ => {
                    pair.failed = Some(Failure::Later);
                    let message = "a two-way sync does not follow jobs of the other side's own";
                    stop = Some(Error::new(ErrorKind::Internal, message));
                }
            }
        }
        stop.map_or(Ok(()), Err)
    }

    async fn call(&self, side: Side, portion: &Portion) -> Result<Vec<Outcome>> {
        let open: Vec<usize> = (0..portion.records.len()).collect();
        if open.is_empty() {
            return Ok(Vec::new());
        }
        let target = Target { cycle: self, side };
        match target.call(portion, &open).await {
            Ok(outcomes) if outcomes.len() == open.len() => Ok(outcomes),
            Ok(_) => Err(lost_count()),
            Err(error) if matches!(error.kind(), ErrorKind::Permission | ErrorKind::NotFound) => Err(error),
            Err(error) if may_be_one_record(&error, portion.mode, true) => {
                let found =
                    if open.len() > 1 { isolate(&target, portion, &open, &error, true).await? } else { None };
                match found {
                    Some(outcomes) => Ok(outcomes),
                    None if error.status() == Some(500) => Err(error),
                    None => Ok(open.iter().map(|_| Outcome::from_call_error(&error)).collect()),
                }
            }
            // Whether it took effect nobody knows: each insert of it is set aside.
            Err(error) if portion.mode == WriteMode::Insert && !error.outcome_known() => {
                Ok(open.iter().map(|_| Outcome::from_call_error(&error)).collect())
            }
            Err(error) => Err(error),
        }
    }

    /// The records as the side takes them, and the pairs that they belong to.
    fn records(
        &self,
        side: Side,
        kind: Kind,
        pairs: &mut [Pair],
        chosen: &[usize],
    ) -> Result<(Batch, Vec<usize>)> {
        let stream = self.plan.end(side).stream.as_str();
        let mut builder = BatchBuilder::new(stream);
        for index in chosen {
            let action = pairs.get(*index).and_then(|pair| pair.merged.action(side));
            builder.push(Change::Upsert, |writer| {
                self.write_values(action, writer);
                Ok(())
            })?;
        }
        let plain = builder.finish()?;
        let mapped = match self.plan.backward.as_ref().filter(|_| side == Side::A && kind != Kind::Delete) {
            Some(mapper) => mapper.map(&plain)?,
            None => Mapped::unchanged(&plain),
        };
        check(&plain, &mapped)?;
        for refusal in mapped.refused {
            if let Some(pair) = chosen.get(refusal.index).and_then(|index| pairs.get_mut(*index)) {
                pair.failed = Some(Failure::Refused(Stage::Map, refusal.error));
            }
        }
        let origins: Vec<usize> =
            mapped.origins.iter().filter_map(|index| chosen.get(*index).copied()).collect();
        if kind == Kind::Insert {
            return Ok((mapped.batch.with_stream(stream), origins));
        }
        let change = if kind == Kind::Delete { Change::Delete } else { Change::Upsert };
        let mut builder = BatchBuilder::new(stream);
        for (record, index) in mapped.batch.iter().zip(&origins) {
            let id = pairs.get(*index).map_or("", |pair| pair.id(side));
            builder.push(change, |writer| self.streams.address(side).write(writer, id, record.raw()))?;
        }
        Ok((builder.finish()?, origins))
    }

    /// The values of an action, as a record of side B.
    fn write_values(&self, action: Option<&Action>, writer: &mut Writer) {
        let path = |name: &String| {
            let paths = self.plan.names.iter().zip(&self.plan.fields);
            paths.into_iter().find(|(other, _)| *other == name).map(|(_, path)| path.segments())
        };
        let fields: Vec<(&[Box<str>], &str)> = match action {
            Some(Action::Insert(values)) => {
                values.iter().filter_map(|(name, value)| Some((path(name)?, value.as_str()))).collect()
            }
            Some(Action::Update(changed)) => changed
                .iter()
                .filter_map(|(name, value)| Some((path(name)?, value.as_deref().unwrap_or("null"))))
                .collect(),
            Some(Action::Delete) | None => Vec::new(),
        };
        write_object(&fields, writer);
    }
}

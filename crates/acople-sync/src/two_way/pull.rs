//! Reading what changed on one side, and noting it durably.

use std::collections::{BTreeMap, HashMap};
use std::pin::pin;

use acople_core::{
    Batch, Change, Error, ErrorKind, Event, LINK_NOTE_LIMIT, Link, Mapped, Quarantined, ReadMode,
    ReadRequest, Result, Stage, StateKey,
};
use futures_util::StreamExt;
use futures_util::future::{Either, select};

use super::note::{self, Agreed, Edit, Pending, Values, hash};
use super::policy::Side;
use super::report::Cycle;
use super::times;
use crate::commit::{Checkpoints, Settlement};
use crate::deliver::check;
use crate::keys;
use crate::state::State;

/// The largest edit, in bytes of JSON: two of them wait in one note.
const EDIT_BYTES: usize = LINK_NOTE_LIMIT / 2 - 1_024;

/// Begins the row of a record that has no counterpart at side A. Ids do not begin like this.
pub(super) const ONLY_B: char = '\u{1e}';

impl Cycle<'_> {
    /// Reads one side's feed to its end. False: the run was cancelled.
    pub(super) async fn pull(&mut self, side: Side) -> Result<bool> {
        match self.pull_from(side, false).await {
            Err(error) if error.kind() == ErrorKind::CursorExpired => {
                self.warn(format!(
                    "side {side:?} does not know the cursor any longer: it is read anew, and what was deleted there \
                     meanwhile is not known"
                ));
                self.pull_from(side, true).await
            }
            ended => ended,
        }
    }

    async fn pull_from(&mut self, side: Side, anew: bool) -> Result<bool> {
        let plan = self.plan;
        let key = plan.state_key(self.cx, Some(side));
        let (old, generation) = match plan.checkpoints.load(&key).await? {
            Some((bytes, generation)) => (Some(State::decode(&bytes)?), generation),
            None => (None, acople_core::Generation::default()),
        };
        let mut state = State::begin(self.run.clone(), ReadMode::Incremental, old);
        if anew {
            state.cursor = None;
        }
        let request = ReadRequest::incremental(&plan.end(side).stream)
            .with_prefetch(0)
            .with_cursor(state.cursor.clone());
        let mut checkpoints = Checkpoints::new(plan.checkpoints.clone(), key, generation, state);
        let mut events = plan.end(side).connector.read(self.cx, request)?;
        let mut open = Settlement::of(0).receipt()?;
        loop {
            let next = match select(pin!(events.next()), pin!(self.cancel.cancelled())).await {
                Either::Left((next, _)) => next,
                Either::Right(_) => return Ok(false),
            };
            match next.transpose()? {
                Some(Event::Batch(batch)) => open = open.join(self.take(side, &batch).await?.receipt()?),
                Some(Event::Checkpoint(cursor)) => {
                    checkpoints.commit(cursor, open).await?;
                    open = Settlement::of(0).receipt()?;
                }
                Some(Event::Warning(text)) => self.warn(text),
                Some(_) => {}
                None => break,
            }
        }
        checkpoints.finish(open).await?;
        Ok(true)
    }

    /// Notes the changes of one batch.
    async fn take(&mut self, side: Side, batch: &Batch) -> Result<Settlement> {
        let mut settlement = Settlement::of(batch.len());
        self.counts.side(side).read += batch.len() as u64;
        let mut refused: Vec<(usize, Stage, Error)> = Vec::new();
        for broken in batch.unreadable().into_iter().flat_map(|unreadable| unreadable.refused) {
            refused.push((broken.index, Stage::Read, broken.error));
        }
        let values = self.values(side, batch, &mut refused)?;
        let address = self.streams.address(side);
        let end = self.plan.end(side);
        // Of several versions of a record the last one counts.
        let mut latest: BTreeMap<String, (Edit, bool)> = BTreeMap::new();
        for (index, record) in batch.iter().enumerate() {
            if refused.iter().any(|(other, ..)| *other == index) {
                continue;
            }
            let gone = record.change() == Change::Delete;
            let Some(id) = address.read(record).filter(|id| !id.starts_with(ONLY_B)) else {
                let error = Error::new(ErrorKind::Schema, "the record has no id");
                refused.push((index, Stage::Read, error));
                continue;
            };
            let values = if gone { Some(Values::new()) } else { values.get(&index).cloned() };
            // What the mapper leaves out on purpose is no change.
            let Some(values) = values else { continue };
            let time = |path| record.get(path).ok().and_then(|value| times::millis(&value));
            let at = end.modified.as_ref().and_then(time);
            let ours = end.origin.as_ref().is_some_and(|(path, mark)| {
                let value = record.get(path).ok().and_then(|value| value.scalar_text().ok().flatten());
                value.as_deref() == Some(mark.as_str())
            });
            let edit = Edit { id: id.clone(), gone, values, at, bounces: 0 };
            if note::write(&edit)?.len() > EDIT_BYTES {
                let message = format!("the synced fields of a record may have {EDIT_BYTES} bytes");
                refused.push((index, Stage::Read, Error::new(ErrorKind::TooLarge, message)));
                continue;
            }
            latest.insert(id, (edit, ours));
        }
        if self.quarantined {
            // A version that can be read takes the place of one that could not.
            let key = self.plan.state_key(self.cx, Some(side));
            let ids: Vec<String> = latest.keys().map(|id| refusal_id(&key, id)).collect();
            self.plan.quarantine.remove(&ids).await?;
        }
        self.note(side, latest).await?;
        if !refused.is_empty() {
            self.set_aside(side, batch, &refused).await?;
            settlement.quarantined(refused.len());
        }
        settlement.skipped(batch.len() - refused.len());
        Ok(settlement)
    }

    /// The synced fields of each record, by its index, in the names of side B.
    fn values(
        &self,
        side: Side,
        batch: &Batch,
        refused: &mut Vec<(usize, Stage, Error)>,
    ) -> Result<HashMap<usize, Values>> {
        let bad = |index: &usize| refused.iter().any(|(other, ..)| other == index);
        let there = |index: &usize| batch.get(*index).is_some_and(|r| r.change() != Change::Delete);
        let places: Vec<usize> = (0..batch.len()).filter(|index| there(index) && !bad(index)).collect();
        let part = batch.select(places.iter().copied());
        let mapped = match self.plan.forward.as_ref().filter(|_| side == Side::A) {
            Some(mapper) => mapper.map(&part)?,
            None => Mapped::unchanged(&part),
        };
        check(&part, &mapped)?;
        for refusal in mapped.refused {
            let index = places.get(refusal.index).copied().unwrap_or(refusal.index);
            refused.push((index, Stage::Map, refusal.error));
        }
        let mut all = HashMap::new();
        for (record, origin) in mapped.batch.iter().zip(mapped.origins) {
            let mut values = Values::new();
            for (name, path) in self.plan.names.iter().zip(&self.plan.fields) {
                let value = record.get(path)?;
                if !value.is_missing() && !value.is_null() {
                    values.insert(name.clone(), value.raw().to_owned());
                }
            }
            all.insert(places.get(origin).copied().unwrap_or(origin), values);
        }
        Ok(all)
    }

    /// Compares what came with what the two sides agreed on, and keeps what is new.
    async fn note(&mut self, side: Side, latest: BTreeMap<String, (Edit, bool)>) -> Result<()> {
        let (linked, waiting) = (self.plan.pairing(self.cx, false), self.plan.pairing(self.cx, true));
        let map = &self.plan.links;
        let ids: Vec<String> = latest.keys().cloned().collect();
        let links = match side {
            Side::A => map.by_source(&linked, &ids).await?,
            Side::B => map.by_target(&linked, &ids).await?,
        };
        let names: Vec<String> =
            ids.iter().zip(&links).map(|(id, link)| row_name(side, id, link.as_ref())).collect();
        let rows = map.by_source(&waiting, &names).await?;
        let (mut relinked, mut put, mut remove) = (Vec::new(), Vec::new(), Vec::new());
        for (((_, (mut edit, ours)), link), (name, row)) in
            latest.into_iter().zip(links).zip(names.into_iter().zip(rows))
        {
            let mut pending: Pending = match &row {
                Some(row) => note::read(&row.note)?,
                None => Pending::default(),
            };
            let mut echo = edit.gone && link.is_none();
            if let Some(link) = link {
                let mut agreed: Agreed = note::read(&link.note)?;
                let logged = agreed.wrote(side).take();
                if let Some(wrote) = &logged
                    && !edit.gone
                {
                    edit.bounces = compare(side, &mut agreed, wrote, &edit, ours);
                }
                echo = !edit.gone && agreed.holds(side, &self.plan.names, &edit.values);
                if logged.is_some() {
                    relinked.push(link.with_note(note::write(&agreed)?));
                }
            }
            let totals = self.counts.side(side);
            totals.echoes += u64::from(echo);
            totals.edits += u64::from(!echo);
            let at = self.match_place(side, &edit);
            pending.set(side, (!echo).then_some(edit));
            if pending.is_empty() {
                remove.push(name);
                continue;
            }
            let text = note::write(&pending)?;
            // The place of another record is not taken from it.
            let at = match at {
                Some(at) => match map.by_target(&waiting, std::slice::from_ref(&at)).await?.pop().flatten() {
                    Some(other) if other.source != name => String::new(),
                    _ if put.iter().any(|link: &Link| link.target == at) => String::new(),
                    _ => at,
                },
                None => String::new(),
            };
            put.push(Link::new(name, at).with_note(text));
        }
        map.put(&linked, &relinked).await?;
        map.put(&waiting, &put).await?;
        map.remove(&waiting, &remove).await
    }

    /// Where a record that is new on its side waits for the one that is new on the other.
    fn match_place(&self, side: Side, edit: &Edit) -> Option<String> {
        let value = edit.values.get(self.plan.match_by.as_ref()?)?;
        Some(match_place(side, value))
    }

    async fn set_aside(
        &mut self,
        side: Side,
        batch: &Batch,
        refused: &[(usize, Stage, Error)],
    ) -> Result<()> {
        let key = self.plan.state_key(self.cx, Some(side));
        let at = self.plan.clock.now();
        let address = self.streams.address(side);
        let mut aside = Vec::new();
        for (index, stage, error) in refused {
            let Some(record) = batch.get(*index) else { continue };
            let name = address.read(record).unwrap_or_else(|| record.raw().to_owned());
            aside.push(Quarantined {
                id: refusal_id(&key, &name),
                key: key.clone(),
                run: self.run.clone(),
                position: *index as u64,
                stage: *stage,
                error: error.copy(),
                record: record.raw().to_owned(),
                deleted: record.change() == Change::Delete,
                attempts: 1,
                at,
            });
        }
        self.counts.refused += aside.len() as u64;
        self.quarantined = true;
        self.plan.quarantine.put(&aside).await
    }
}

/// Holds a record that came back against what was written. Gives how often its values went to and fro.
fn compare(side: Side, agreed: &mut Agreed, wrote: &note::Wrote, edit: &Edit, ours: bool) -> u8 {
    let mut bounces = 0;
    for (field, written) in &wrote.fields {
        let now = hash(edit.values.get(field));
        if now == *written {
            continue;
        }
        if ours {
            // Nobody has touched it since: this is how the vendor keeps the value.
            agreed.set(side, field, now);
        } else {
            bounces = wrote.bounces.saturating_add(1);
        }
    }
    bounces
}

/// The quarantine's id of a record that could not be read; a pair that waits for review has another.
fn refusal_id(key: &StateKey, record: &str) -> String {
    keys::id(key, &format!("read {record}"))
}

/// The row under which the edits of a record wait.
fn row_name(side: Side, id: &str, link: Option<&Link>) -> String {
    match (side, link) {
        (_, Some(link)) => link.source.clone(),
        (Side::A, None) => id.to_owned(),
        (Side::B, None) => format!("{ONLY_B}{id}"),
    }
}

/// The place of a value among the records of one side that wait.
pub(super) fn match_place(side: Side, value: &str) -> String {
    let side = if side == Side::A { 'a' } else { 'b' };
    format!("{side}{value}")
}

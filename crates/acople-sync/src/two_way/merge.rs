//! The three-way merge of one pair of records: two edits, and what both sides last agreed on.

use super::note::{Agreed, Edit, Pending, Values, Wrote, hash};
use super::policy::{Conflict, Policy, Side};

/// How often a value may go to and fro, run after run, before the two are left to differ. People who edit one field on
/// both sides by turns look the same, but not for so long.
const BOUNCES: u8 = 6;

/// What has to be done for a pair.
#[derive(Debug, Default)]
pub(super) struct Merged {
    pub(super) to_a: Option<Action>,
    pub(super) to_b: Option<Action>,
    /// What the two agree on when that is done; `None`: there is no pair any longer.
    pub(super) agreed: Option<Agreed>,
    /// Fields on which both sides had changed, and a rule decided.
    pub(super) decided: u64,
    /// What waits for review: fields, or `None` for the record as a whole.
    pub(super) undecided: Vec<Option<String>>,
    /// A value that neither side keeps as it is written: the two are left to differ.
    pub(super) bounced: bool,
}

/// A write to one side.
#[derive(Debug)]
pub(super) enum Action {
    /// Creates the record, with all values.
    Insert(Values),
    /// Changes these fields; one without a value is cleared.
    Update(Vec<(String, Option<String>)>),
    Delete,
}

impl Merged {
    pub(super) fn action(&self, side: Side) -> Option<&Action> {
        if side == Side::A { self.to_a.as_ref() } else { self.to_b.as_ref() }
    }

    /// The write to this side is done.
    pub(super) fn clear(&mut self, side: Side) {
        self.set(side, None);
    }

    fn set(&mut self, side: Side, action: Option<Action>) {
        if side == Side::A {
            self.to_a = action;
        } else {
            self.to_b = action;
        }
    }
}

/// Merges the edits of a pair. `agreed` is `None` for records that were not linked yet.
pub(super) fn merge(
    fields: &[String],
    agreed: Option<&Agreed>,
    pending: &Pending,
    policy: &Policy,
) -> Merged {
    let gone = |side: Side| pending.edit(side).is_some_and(|edit| edit.gone);
    match (gone(Side::A), gone(Side::B)) {
        (true, true) => Merged::default(),
        (true, false) => deleted(Side::A, agreed, pending, policy, fields),
        (false, true) => deleted(Side::B, agreed, pending, policy, fields),
        (false, false) => match (agreed, &pending.a, &pending.b) {
            (None, Some(edit), None) => created(Side::A, edit, fields),
            (None, None, Some(edit)) => created(Side::B, edit, fields),
            _ => changed(fields, agreed, pending, policy),
        },
    }
}

/// A record that is new on one side.
fn created(side: Side, edit: &Edit, fields: &[String]) -> Merged {
    let mut merged = Merged::default();
    let mut agreed = Agreed::default();
    for field in fields {
        let hash = hash(edit.values.get(field));
        agreed.set(Side::A, field, hash);
        agreed.set(Side::B, field, hash);
    }
    *agreed.wrote(side.other()) = Some(log(fields, &agreed, side.other(), 0));
    merged.set(side.other(), Some(Action::Insert(edit.values.clone())));
    merged.agreed = Some(agreed);
    merged
}

/// A record that one side has deleted.
fn deleted(
    side: Side,
    agreed: Option<&Agreed>,
    pending: &Pending,
    policy: &Policy,
    fields: &[String],
) -> Merged {
    let mut merged = Merged::default();
    let other = side.other();
    let Some(edit) = pending.edit(other) else {
        // The other side has not changed it.
        if agreed.is_some() {
            merged.set(other, Some(Action::Delete));
        }
        return merged;
    };
    let at = |side: Side| pending.edit(side).and_then(|edit| edit.at);
    let conflict = Conflict { field: None, a: None, b: None, a_at: at(Side::A), b_at: at(Side::B) };
    match pending.decided.or_else(|| policy.decide(&conflict)) {
        Some(winner) if winner == side => {
            merged.decided = 1;
            merged.set(other, Some(Action::Delete));
            merged
        }
        Some(_) => Merged { decided: 1, ..created(other, edit, fields) },
        None => {
            merged.undecided.push(None);
            merged
        }
    }
}

fn changed(fields: &[String], agreed: Option<&Agreed>, pending: &Pending, policy: &Policy) -> Merged {
    let mut merged = Merged::default();
    let mut next = agreed.cloned().unwrap_or_default();
    let (mut to_a, mut to_b) = (Vec::new(), Vec::new());
    let edit = |side: Side| pending.edit(side);
    let bounces = [Side::A, Side::B].into_iter().filter_map(edit).map(|edit| edit.bounces).max().unwrap_or(0);
    for field in fields {
        let value = |side: Side| edit(side).map(|edit| edit.values.get(field));
        let is_new = |side: Side| value(side).is_some_and(|value| hash(value) != next.get(side, field));
        let (a, b) = (value(Side::A).flatten(), value(Side::B).flatten());
        let differ = hash(a) != hash(b);
        let both = value(Side::A).is_some() && value(Side::B).is_some();
        let winner = match (is_new(Side::A), is_new(Side::B)) {
            _ if both && differ && pending.decided.is_some() => pending.decided,
            (false, false) => continue,
            (true, false) => Some(Side::A),
            (false, true) => Some(Side::B),
            (true, true) if !differ => {
                next.set(Side::A, field, hash(a));
                next.set(Side::B, field, hash(b));
                continue;
            }
            // Two records that were not linked before: a value wins over none.
            (true, true) if agreed.is_none() && (a.is_none() || b.is_none()) => {
                Some(if b.is_none() { Side::A } else { Side::B })
            }
            (true, true) => {
                let at = |side: Side| edit(side).and_then(|edit| edit.at);
                let conflict = Conflict {
                    field: Some(field),
                    a: a.map(String::as_str),
                    b: b.map(String::as_str),
                    a_at: at(Side::A),
                    b_at: at(Side::B),
                };
                let winner = policy.decide(&conflict);
                merged.decided += u64::from(winner.is_some());
                if winner.is_none() {
                    // The two are left to differ: whichever side changes it next decides.
                    merged.undecided.push(Some(field.clone()));
                    next.set(Side::A, field, hash(a));
                    next.set(Side::B, field, hash(b));
                }
                winner
            }
        };
        let Some(winner) = winner else { continue };
        let value = if winner == Side::A { a } else { b };
        next.set(winner, field, hash(value));
        if bounces >= BOUNCES {
            merged.bounced = true;
            merged.undecided.push(Some(field.clone()));
            continue;
        }
        next.set(winner.other(), field, hash(value));
        let to = if winner == Side::A { &mut to_b } else { &mut to_a };
        to.push((field.clone(), value.cloned()));
    }
    for (side, written) in [(Side::A, to_a), (Side::B, to_b)] {
        if written.is_empty() {
            continue;
        }
        let names: Vec<String> = written.iter().map(|(field, _)| field.clone()).collect();
        *next.wrote(side) = Some(log(&names, &next, side, bounces));
        merged.set(side, Some(Action::Update(written)));
    }
    merged.agreed = Some(next);
    merged
}

fn log(fields: &[String], agreed: &Agreed, side: Side, bounces: u8) -> Wrote {
    let fields = fields.iter().map(|field| (field.clone(), agreed.get(side, field))).collect();
    Wrote { fields, bounces }
}

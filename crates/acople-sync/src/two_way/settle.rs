//! Settling the edits that wait: merging each pair, writing to both sides, and agreeing anew.

use acople_core::{Error, ErrorKind, Link, Quarantined, Result, Stage};

use super::merge::{Action, Merged, merge};
use super::note::{self, Agreed, Pending};
use super::policy::Side;
use super::pull::{ONLY_B, match_place};
use super::report::{Cycle, is_about_the_record};
use super::review::Review;
use crate::keys;

/// Pairs that are settled together.
const PAGE: usize = 100;

/// A pair at work.
pub(super) struct Pair {
    /// The rows that are settled with it.
    rows: Vec<String>,
    link: Option<Link>,
    pending: Pending,
    pub(super) merged: Merged,
    pub(super) a: String,
    pub(super) b: String,
    pub(super) failed: Option<Failure>,
}

/// Why a pair is not settled.
pub(super) enum Failure {
    /// It is refused.
    Refused(Stage, Error),
    /// The next run tries it again.
    Later,
}

impl Pair {
    pub(super) fn id(&self, side: Side) -> &str {
        if side == Side::A { &self.a } else { &self.b }
    }

    pub(super) fn set_id(&mut self, side: Side, id: String) {
        if side == Side::A {
            self.a = id;
        } else {
            self.b = id;
        }
    }
}

impl Cycle<'_> {
    /// Settles everything that waits. False: the run was cancelled.
    pub(super) async fn settle(&mut self) -> Result<bool> {
        let waiting = self.plan.pairing(self.cx, true);
        let mut after: Option<String> = None;
        loop {
            if self.cancel.is_cancelled() {
                return Ok(false);
            }
            let rows = self.plan.links.scan(&waiting, after.as_deref(), PAGE).await?;
            let Some(last) = rows.last() else { return Ok(true) };
            after = Some(last.source.clone());
            self.hold().await?;
            let mut pairs = self.pairs(rows).await?;
            let mut broken = None;
            'writes: for side in [Side::A, Side::B] {
                for kind in [Kind::Insert, Kind::Update, Kind::Delete] {
                    if let Err(error) = self.write(side, kind, &mut pairs).await {
                        broken = Some(error);
                        break 'writes;
                    }
                }
            }
            if broken.is_some() {
                // What was not reached is done by the next run; what was, is kept first.
                let unreached = pairs.iter_mut().filter(|pair| pair.failed.is_none() && pair.is_open());
                unreached.for_each(|pair| pair.failed = Some(Failure::Later));
            }
            self.keep(pairs).await?;
            if let Some(error) = broken {
                return Err(error);
            }
        }
    }

    /// Merges the rows of a page.
    async fn pairs(&mut self, rows: Vec<Link>) -> Result<Vec<Pair>> {
        let (linked, waiting) = (self.plan.pairing(self.cx, false), self.plan.pairing(self.cx, true));
        let ids: Vec<String> = rows.iter().map(|row| row.source.clone()).collect();
        let links = self.plan.links.by_source(&linked, &ids).await?;
        let mut pairs: Vec<Pair> = Vec::new();
        for (row, link) in rows.into_iter().zip(links) {
            if pairs.iter().any(|pair| pair.rows.contains(&row.source)) {
                continue;
            }
            let mut pending: Pending = note::read(&row.note)?;
            let mut names = vec![row.source.clone()];
            if link.is_none()
                && let Some(mate) = self.mate(&waiting, &row.source, &pending).await?
            {
                let theirs: Pending = note::read(&mate.note)?;
                pending = Pending {
                    a: pending.a.or(theirs.a),
                    b: pending.b.or(theirs.b),
                    decided: pending.decided,
                };
                names.push(mate.source);
            }
            let id = |side: Side| pending.edit(side).map(|edit| edit.id.clone());
            let a = link.as_ref().map(|link| link.source.clone()).or_else(|| id(Side::A));
            let b = link.as_ref().map(|link| link.target.clone()).or_else(|| id(Side::B));
            let agreed: Option<Agreed> = link.as_ref().map(|link| note::read(&link.note)).transpose()?;
            let merged = merge(&self.plan.names, agreed.as_ref(), &pending, &self.plan.policy);
            let (a, b) = (a.unwrap_or_default(), b.unwrap_or_default());
            pairs.push(Pair { rows: names, link, pending, merged, a, b, failed: None });
        }
        Ok(pairs)
    }

    /// The record that is new on the other side and has the same value in the field that matches.
    async fn mate(
        &self,
        waiting: &acople_core::Pairing,
        row: &str,
        pending: &Pending,
    ) -> Result<Option<Link>> {
        let Some(field) = &self.plan.match_by else { return Ok(None) };
        let side = if row.starts_with(ONLY_B) { Side::B } else { Side::A };
        let Some(value) = pending.edit(side).and_then(|edit| edit.values.get(field)) else { return Ok(None) };
        let place = match_place(side.other(), value);
        let found = self.plan.links.by_target(waiting, &[place]).await?.pop().flatten();
        let Some(mate) = found.filter(|mate| mate.source.starts_with(ONLY_B) != row.starts_with(ONLY_B))
        else {
            return Ok(None);
        };
        // One of side A that has a counterpart already waits for that one.
        let linked = self.plan.pairing(self.cx, false);
        let taken = self.plan.links.by_source(&linked, std::slice::from_ref(&mate.source)).await?;
        Ok(taken.first().is_some_and(Option::is_none).then_some(mate))
    }

    /// Keeps what a page of pairs has come to.
    async fn keep(&mut self, pairs: Vec<Pair>) -> Result<()> {
        let (linked, waiting) = (self.plan.pairing(self.cx, false), self.plan.pairing(self.cx, true));
        let (mut links, mut unlinked, mut done) = (Vec::new(), Vec::new(), Vec::new());
        let (mut aside, mut settled) = (Vec::new(), Vec::new());
        for pair in pairs {
            let name = pair.rows.first().cloned().unwrap_or_default();
            let review = keys::id(&self.plan.state_key(self.cx, Some(Side::A)), &name);
            match pair.failed {
                Some(Failure::Later) => {
                    self.counts.deferred += 1;
                    continue;
                }
                Some(Failure::Refused(stage, error)) => {
                    self.counts.refused += 1;
                    aside.push(self.review(review, &name, &pair.pending, Vec::new(), stage, error)?);
                    done.extend(pair.rows);
                    continue;
                }
                None => {}
            }
            self.counts.decided += pair.merged.decided;
            self.counts.bounced += u64::from(pair.merged.bounced);
            if pair.merged.undecided.is_empty() {
                settled.push(review);
            } else {
                self.counts.queued += pair.merged.undecided.len() as u64;
                let error = undecided(&pair.merged.undecided);
                let fields = pair.merged.undecided;
                aside.push(self.review(review, &name, &pair.pending, fields, Stage::Merge, error)?);
            }
            let old = pair.link.map(|link| link.source);
            match pair.merged.agreed {
                Some(agreed) if !pair.a.is_empty() && !pair.b.is_empty() => {
                    unlinked.extend(old.filter(|old| *old != pair.a));
                    links.push(
                        Link::new(pair.a, pair.b).with_seen(&self.run).with_note(note::write(&agreed)?),
                    );
                }
                _ => unlinked.extend(old),
            }
            done.extend(pair.rows);
        }
        // In this order a crash in between leaves rows that are settled once more, to the same end.
        self.plan.quarantine.put(&aside).await?;
        self.plan.links.remove(&linked, &unlinked).await?;
        self.plan.links.put(&linked, &links).await?;
        self.plan.quarantine.remove(&settled).await?;
        self.plan.links.remove(&waiting, &done).await
    }

    fn review(
        &self,
        id: String,
        of: &str,
        pending: &Pending,
        fields: Vec<Option<String>>,
        stage: Stage,
        error: Error,
    ) -> Result<Quarantined> {
        let review = Review { of: of.to_owned(), fields, pending: pending.clone() };
        Ok(Quarantined {
            id,
            key: self.plan.state_key(self.cx, Some(Side::A)),
            run: self.run.clone(),
            position: 0,
            stage,
            error,
            record: note::write(&review)?,
            deleted: false,
            attempts: 1,
            at: self.plan.clock.now(),
        })
    }
}

fn undecided(fields: &[Option<String>]) -> Error {
    let message = "both sides have changed the record, and no rule decides between them";
    let error = Error::new(ErrorKind::Conflict, message).with_code("two_way_conflict");
    fields.iter().flatten().take(20).fold(error, Error::with_field)
}

/// The kinds of writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Insert,
    Update,
    Delete,
}

impl Kind {
    pub(super) fn is(self, action: &Action) -> bool {
        matches!(
            (self, action),
            (Self::Insert, Action::Insert(_))
                | (Self::Update, Action::Update(_))
                | (Self::Delete, Action::Delete)
        )
    }
}

impl Pair {
    /// Whether it has anything to be written.
    fn is_open(&self) -> bool {
        self.merged.to_a.is_some() || self.merged.to_b.is_some()
    }

    /// What became of its write to one side.
    pub(super) fn fail(&mut self, error: Error) -> Result<()> {
        if is_about_the_record(&error) {
            self.failed = Some(Failure::Refused(Stage::Write, error));
            return Ok(());
        }
        self.failed = Some(Failure::Later);
        match error.kind() {
            ErrorKind::Transient
            | ErrorKind::Timeout
            | ErrorKind::RateLimited
            | ErrorKind::Protocol
            | ErrorKind::NotFound => Ok(()),
            _ => Err(error),
        }
    }
}

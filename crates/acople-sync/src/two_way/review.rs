//! The review queue: conflicts that no rule decides, and what somebody says about them.

use acople_core::{Context, Error, ErrorKind, Link, Quarantined, Result, Stage};
use serde::{Deserialize, Serialize};

use super::note::{self, Pending};
use super::policy::Side;
use super::{TwoWay, note::Edit};

/// Records that are looked at together.
const PAGE: usize = 500;

/// What is kept of a pair that waits for review, as the quarantined record's text.
#[derive(Serialize, Deserialize)]
pub(super) struct Review {
    /// The row under which its edits waited.
    pub(super) of: String,
    /// The fields that nobody could decide; none of them: the record as a whole.
    pub(super) fields: Vec<Option<String>>,
    pub(super) pending: Pending,
}

impl TwoWay {
    /// Decides a pair that waits for review, or one that a side has refused: the next run makes the other side like
    /// this one. Edits that came since take part with their newer values.
    ///
    /// # Errors
    /// `NotFound` for an id that is not in this sync's quarantine; those of the store.
    pub async fn resolve(&self, cx: &Context, id: &str, winner: Side) -> Result<()> {
        let found = self.find(id).await?;
        let review: Review = serde_json::from_str(&found.record).map_err(|e| {
            let message = "the record was refused before it was paired: it comes again when it is changed";
            Error::new(ErrorKind::Conflict, message).with_source(e)
        })?;
        let (plan, waiting) = (&*self.0, self.0.pairing(cx, true));
        let row = plan.links.by_source(&waiting, std::slice::from_ref(&review.of)).await?.pop().flatten();
        let (newer, place) = match &row {
            Some(row) => (note::read::<Pending>(&row.note)?, row.target.clone()),
            None => (Pending::default(), String::new()),
        };
        let fresh =
            |newer: Option<Edit>, old: Option<Edit>| newer.or(old).map(|edit| Edit { bounces: 0, ..edit });
        let pending = Pending {
            a: fresh(newer.a, review.pending.a),
            b: fresh(newer.b, review.pending.b),
            decided: Some(winner),
        };
        let link = Link::new(review.of, place).with_note(note::write(&pending)?);
        plan.links.put(&waiting, &[link]).await
    }

    /// What waits for review, in pages of the quarantine: conflicts after the one with the id `after`.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn reviews(&self, after: Option<&str>) -> Result<Vec<Quarantined>> {
        let mut after = after.map(str::to_owned);
        loop {
            let page = self.0.quarantine.list(Some(&self.0.name), after.as_deref(), PAGE).await?;
            let Some(last) = page.last() else { return Ok(Vec::new()) };
            after = Some(last.id.clone());
            let found: Vec<Quarantined> = page.into_iter().filter(|q| q.stage == Stage::Merge).collect();
            if !found.is_empty() {
                return Ok(found);
            }
        }
    }

    async fn find(&self, id: &str) -> Result<Quarantined> {
        let mut after: Option<String> = None;
        loop {
            let page = self.0.quarantine.list(Some(&self.0.name), after.as_deref(), PAGE).await?;
            let Some(last) = page.last() else {
                return Err(Error::new(ErrorKind::NotFound, "nothing with this id waits for review"));
            };
            after = Some(last.id.clone());
            if let Some(found) = page.into_iter().find(|record| record.id == id) {
                return Ok(found);
            }
        }
    }
}

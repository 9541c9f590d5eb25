//! Keeps the books of incremental reads: what was seen, where a run stands, where the next one starts.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use acople_core::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

/// A point in the order of changes, from which a read can look back.
pub trait Moment: Ord + Clone {
    /// The point that lies this long before, or the same one where the order is not that of time.
    fn back(&self, by: Duration) -> Self;
}

/// Unix milliseconds.
impl Moment for i64 {
    fn back(&self, by: Duration) -> Self {
        self.saturating_sub(millis(by))
    }
}

/// Where reading of changes stands, within a run and between runs: the state of an incremental read's cursor.
///
/// `P` is the connector's place in the middle of a run (the last id, or time and id), `T` the vendor's notion
/// of when a record was changed: Unix milliseconds, or any other [`Moment`].
///
/// Vendors show changes late: one that is older than the newest one known may still appear. A run therefore
/// starts `look_back` behind the newest change, until that change has been known for a whole look-back and
/// a run that began afterwards has read the distance again. From then on nothing older can come, the next
/// run starts at the newest change itself, and a quiet stream is not read anew for ever. Vendor's times are
/// compared with each other only, as our clock's are: neither has to be right.
///
/// A run that lasts, because it is long, waits or was interrupted, reads on while changes come in: what was
/// still invisible when it passed may lie further behind the newest change that it met than the look-back. The
/// next run therefore goes back by that time as well, once.
///
/// ```
/// use std::time::{Duration, UNIX_EPOCH};
/// use acople_http::Changes;
///
/// # fn main() -> acople_core::Result<()> {
/// let (now, look_back) = (UNIX_EPOCH + Duration::from_secs(90_000), Duration::from_secs(600));
/// let mut run = Changes::<String>::begin(None, "updated_at", now)?;
/// assert_eq!(run.from(), None); // everything
/// run.saw(5_000_000);
/// run.pass("last-id".into()); // here a checkpoint keeps `run`
/// run.finish(look_back, now); // and here the last one
///
/// let next = Changes::begin(Some(run), "updated_at", now)?;
/// assert_eq!(next.from(), Some(&(5_000_000 - 600_000)));
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Changes<P, T = i64> {
    /// The field that tells when a record was changed.
    field: String,
    /// The newest change known when the run began. Never goes back.
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    newest: Option<T>,
    /// Our clock, in Unix milliseconds, when the run ended that saw it first; `None` once it is settled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    seen_at: Option<i64>,
    /// Where runs start. Never goes back.
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    from: Option<T>,
    /// In the middle of a run: our clock when it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    began_at: Option<i64>,
    /// In the middle of a run: the newest change of it.
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    high: Option<T>,
    /// In the middle of a run: where it goes on.
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    place: Option<P>,
}

impl<P, T: Moment> Changes<P, T> {
    /// Begins a run behind the last one, or goes on with one that was interrupted; without a state, the first
    /// run. `field` is the field that tells when a record was changed, `now` our clock.
    ///
    /// # Errors
    /// [`ErrorKind::CursorExpired`] when the state counts by another field.
    pub fn begin(state: Option<Self>, field: &str, now: SystemTime) -> Result<Self> {
        let mut this = state.unwrap_or_else(|| Self {
            field: field.to_owned(),
            newest: None,
            seen_at: None,
            from: None,
            began_at: None,
            high: None,
            place: None,
        });
        if this.field != field {
            let message = format!("the cursor counts by {}, the stream is now read by {field}", this.field);
            return Err(Error::new(ErrorKind::CursorExpired, message));
        }
        this.began_at.get_or_insert_with(|| unix(now));
        Ok(this)
    }

    /// The earliest change that the run reads, included; `None`: all of them.
    pub fn from(&self) -> Option<&T> {
        self.from.as_ref()
    }

    /// Whether the run may leave out what changed at [`from`](Self::from) exactly: that was read completely.
    pub fn is_settled(&self) -> bool {
        self.newest.is_some() && self.seen_at.is_none()
    }

    /// The newest change that the run has [seen](Self::saw).
    pub fn high(&self) -> Option<&T> {
        self.high.as_ref()
    }

    /// Where an interrupted run goes on.
    pub fn place(&self) -> Option<&P> {
        self.place.as_ref()
    }

    /// Takes note of a change. Its order among the others does not matter.
    pub fn saw(&mut self, at: T) {
        self.high = self.high.take().max(Some(at));
    }

    /// Takes note of where the run goes on behind the records that were handed out.
    pub fn pass(&mut self, place: P) {
        self.place = Some(place);
    }

    /// Ends a run that has read everything, and settles where the next one starts.
    pub fn finish(&mut self, look_back: Duration, now: SystemTime) {
        let ended = unix(now);
        let began = self.began_at.take().unwrap_or(ended);
        if let Some(seen) = self.seen_at
            && began.saturating_sub(seen) >= millis(look_back)
        {
            self.seen_at = None;
            self.from = self.from.take().max(self.newest.clone());
        }
        self.place = None;
        // The newest change that was there when the run began, at least; what came later may have been passed.
        let mut there = self.newest.clone();
        let high = self.high.take();
        if high > self.newest {
            let lasted = Duration::from_millis(ended.saturating_sub(began).try_into().unwrap_or(0));
            there = there.max(high.as_ref().map(|high| high.back(lasted)));
            self.newest = high;
            self.seen_at = Some(ended);
        }
        let behind = there.map(|there| there.back(look_back));
        self.from = self.from.take().max(behind);
    }
}

/// serde's own default asks that the type within has one, too.
fn none<T>() -> Option<T> {
    None
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

fn unix(time: SystemTime) -> i64 {
    millis(time.duration_since(UNIX_EPOCH).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOK_BACK: Duration = Duration::from_secs(600);

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn run(state: Option<Changes<u32>>, begins: u64, seen: Option<i64>) -> Changes<u32> {
        let mut run = Changes::begin(state, "changed", at(begins)).unwrap();
        if let Some(change) = seen {
            run.saw(change);
        }
        run.finish(LOOK_BACK, at(begins));
        run
    }

    #[test]
    fn page_06_a_run_looks_back_until_nothing_late_can_come() {
        let first = run(None, 10_000, Some(5_000_000));
        assert_eq!((first.from(), first.is_settled()), (Some(&4_400_000), false));
        let soon = run(Some(first), 10_599, Some(5_000_000));
        assert_eq!((soon.from(), soon.is_settled()), (Some(&4_400_000), false));
        let settled = run(Some(soon), 10_600, Some(5_000_000));
        assert_eq!((settled.from(), settled.is_settled()), (Some(&5_000_000), true));
        let quiet = run(Some(settled), 20_000, None);
        assert_eq!((quiet.from(), quiet.is_settled()), (Some(&5_000_000), true));
        // A new change unsettles, but what was complete before it stays so.
        let news = run(Some(quiet.clone()), 30_000, Some(6_000_000));
        assert_eq!((news.from(), news.is_settled()), (Some(&5_400_000), false));
        let near = run(Some(quiet), 30_000, Some(5_100_000));
        assert_eq!((near.from(), near.is_settled()), (Some(&5_000_000), false));
    }

    #[test]
    fn a_run_that_began_too_early_settles_nothing_however_late_it_ends() {
        let first = run(None, 10_000, Some(5_000_000));
        let mut long = Changes::begin(Some(first), "changed", at(10_100)).unwrap();
        long.finish(LOOK_BACK, at(99_999));
        assert!(!long.is_settled());
        // Nor does one that was interrupted and goes on later.
        let mut interrupted = Changes::begin(Some(long), "changed", at(10_100)).unwrap();
        interrupted.pass(7);
        let mut resumed = Changes::begin(Some(interrupted), "changed", at(99_999)).unwrap();
        assert_eq!(resumed.place(), Some(&7));
        resumed.finish(LOOK_BACK, at(99_999));
        assert!(!resumed.is_settled() && resumed.place().is_none());
    }

    #[test]
    fn page_06_a_run_that_lasted_is_followed_by_one_that_goes_back_by_that_time_as_well() {
        // At the beginning the newest change was at most 4,700 s: it took 300 s to get to 5,000 s.
        let mut first = Changes::<u32>::begin(None, "changed", at(10_000)).unwrap();
        first.saw(5_000_000);
        first.finish(LOOK_BACK, at(10_300));
        assert_eq!(first.from(), Some(&(5_000_000 - 300_000 - 600_000)));
        // Interrupted, and taken up a day later: what came meanwhile is read again.
        let mut next = Changes::begin(Some(first), "changed", at(10_800)).unwrap();
        next.saw(6_000_000);
        next.pass(7);
        let mut next = Changes::begin(Some(next), "changed", at(10_800 + 86_400)).unwrap();
        next.saw(90_000_000);
        next.finish(LOOK_BACK, at(10_800 + 86_400));
        // But not behind what was there when it began: that was known to be 5,000 s old.
        assert_eq!(next.from(), Some(&(5_000_000 - 600_000)));
        let mut quick = Changes::begin(Some(next), "changed", at(97_300)).unwrap();
        assert_eq!((quick.newest, quick.from), (Some(90_000_000), Some(4_400_000)));
        quick.finish(LOOK_BACK, at(97_400));
        assert_eq!(quick.from(), Some(&(90_000_000 - 600_000)), "once");
    }

    #[test]
    fn state_10_neither_an_old_change_nor_a_clock_set_back_moves_anything_back() {
        let first = run(None, 10_000, Some(5_000_000));
        let older = run(Some(first), 5, Some(1_000));
        assert_eq!(older.from(), Some(&4_400_000));
        let mut mixed = Changes::<u32>::begin(None, "changed", at(1)).unwrap();
        for change in [3, 9, 4] {
            mixed.saw(change);
        }
        assert_eq!(mixed.high(), Some(&9));
    }

    #[test]
    fn a_state_that_counts_by_another_field_has_expired() {
        let first = run(None, 10_000, Some(5_000_000));
        let error = Changes::begin(Some(first), "created", at(1)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::CursorExpired);
    }

    #[test]
    fn a_state_survives_its_text_in_the_middle_of_a_run_and_between_runs() {
        let mut run: Changes<u32> = Changes::begin(None, "changed", at(10)).unwrap();
        for _ in 0..2 {
            let text = serde_json::to_string(&run).unwrap();
            assert_eq!(serde_json::from_str::<Changes<u32>>(&text).unwrap(), run, "{text}");
            run.saw(5);
            run.pass(7);
        }
        run.finish(LOOK_BACK, at(20));
        assert_eq!(
            serde_json::to_string(&run).unwrap(),
            r#"{"field":"changed","newest":5,"seen_at":20000,"from":-609995}"#
        );
    }

    #[test]
    fn an_order_that_is_not_of_time_has_nothing_to_look_back_to() {
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
        struct Sequence(u64);
        impl Moment for Sequence {
            fn back(&self, _: Duration) -> Self {
                self.clone()
            }
        }
        let mut run = Changes::<(), Sequence>::begin(None, "sequence", at(1)).unwrap();
        run.saw(Sequence(17));
        run.finish(LOOK_BACK, at(1));
        assert_eq!((run.from(), run.is_settled()), (Some(&Sequence(17)), false));
    }
}

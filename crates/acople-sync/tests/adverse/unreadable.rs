//! Records with bytes that are no text.

use std::sync::Arc;

use acople_core::json::{Envelope, FieldPath, Page};
use acople_core::{
    Batch, Context, ErrorKind, Event, Mapped, Mapper, QuarantineStore, Refusal, Result, Stage,
};
use acople_testkit::memory::MemoryStore;

use crate::world::{Source, Target, cursor, job, ok};

/// Five records, of which the second and the fourth are no text.
fn broken() -> Batch {
    let text = b"[{\"id\":\"1\",\"value\":\"a\"},{\"id\":\"2\",\"value\":\"\xff\"},{\"id\":\"3\",\"value\":\"bad\"},\
                  {\"id\":\"\xc3\",\"value\":\"d\"},{\"id\":\"5\",\"value\":\"e?\"}]";
    let page = Page::from_bytes_marked(text.to_vec()).unwrap();
    let split = Envelope::new(&[FieldPath::default()]).split(&page).unwrap();
    Batch::new("things", page, split.records)
}

/// Refuses what is bad, and must never see what is no text.
#[derive(Debug)]
struct Strict;

impl Mapper for Strict {
    fn map(&self, batch: &Batch) -> Result<Mapped> {
        assert!(batch.unreadable().is_none());
        let (bad, good): (Vec<_>, Vec<_>) =
            (0..batch.len()).partition(|index| batch.get(*index).unwrap().raw().contains("bad"));
        let refusal = |index| Refusal { index, error: acople_core::Error::new(ErrorKind::Schema, "bad") };
        let refused = bad.into_iter().map(refusal).collect();
        Ok(Mapped { batch: batch.select(good.clone()), origins: good, refused, skipped: 0 })
    }
}

#[tokio::test(start_paused = true)]
async fn body_08_records_that_are_no_text_go_to_quarantine_and_the_others_to_the_destination() {
    for mapped in [false, true] {
        let source = Source::new(|_, _| vec![Ok(Event::Batch(broken())), Ok(Event::Checkpoint(cursor(1)))]);
        let (target, store) = (Target::new(|_, sent| Ok(ok(sent))), Arc::new(MemoryStore::new()));
        let mut job = job(&source, &target, &store).tolerate(3);
        if mapped {
            job = job.mapper(Arc::new(Strict));
        }
        let job = job.build().unwrap();
        let report = job.run(&Context::new(), &()).await.unwrap();
        assert!(report.is_success(), "{report:?}");

        let kept: Vec<String> = target.kept.lock().unwrap().keys().cloned().collect();
        assert_eq!(kept, if mapped { &["1", "5"][..] } else { &["1", "3", "5"] });
        let aside = store.list(None, None, 10).await.unwrap();
        let mut aside: Vec<_> = aside.iter().map(|q| (q.position, q.stage, q.error.kind())).collect();
        aside.sort_by_key(|(position, ..)| *position);
        let mut expected = vec![(1, Stage::Read, ErrorKind::Schema), (3, Stage::Read, ErrorKind::Schema)];
        if mapped {
            expected.insert(1, (2, Stage::Map, ErrorKind::Schema));
        }
        assert_eq!(aside, expected);

        // What is kept of such a record is not the record: a replay does not write it.
        let before = target.calls().len();
        let replayed = job.replay(&Context::new(), &(), |_| true).await.unwrap();
        assert_eq!(replayed.tried, u64::from(mapped));
        assert_eq!(target.calls().len(), before);
    }
}

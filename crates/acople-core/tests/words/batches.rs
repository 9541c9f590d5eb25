//! Batches: records keep their text, their order and their deletions.

use acople_core::json::{FieldPath, Writer};
use acople_core::{
    Batch, BatchBuilder, Change, Error, ErrorKind, Outcome, Record, Refusal, Result, WriteReport,
};

fn texts(batch: &Batch) -> Vec<(&str, Change)> {
    batch.iter().map(|record| (record.raw(), record.change())).collect()
}

fn number(n: u32) -> impl FnOnce(&mut Writer) -> Result<()> {
    move |writer| {
        writer.number_text(&n.to_string());
        Ok(())
    }
}

#[test]
fn a_selection_keeps_deletions_order_and_repeats() {
    let batch = Batch::from_records("s", ["0", "1", "2", "3"]).unwrap().with_deletions([false, true, true]);
    let (gone, there) = (Change::Delete, Change::Upsert);
    assert_eq!(texts(&batch), [("0", there), ("1", gone), ("2", gone), ("3", there)]);
    let picked = batch.select([3, 2, 2, 99, 0]);
    assert_eq!(texts(&picked), [("3", there), ("2", gone), ("2", gone), ("0", there)]);
    assert_eq!(texts(&picked.select([1])), [("2", gone)]);
    assert_eq!(texts(&batch.select([0, 3])), [("0", there), ("3", there)]);
    assert_eq!(texts(&batch.clone().with_deletions([])).iter().filter(|(_, c)| *c == gone).count(), 0);
    assert_eq!(texts(&batch.select([0, 1]).with_deletions([true; 9])), [("0", gone), ("1", gone)]);
    assert_eq!((batch.get(4).is_none(), batch.select([]).is_empty()), (true, true));
}

#[test]
fn a_record_that_cannot_be_written_leaves_no_trace() {
    let mut builder = BatchBuilder::new("s");
    for (index, fails) in [true, false, true, true, false, true].into_iter().enumerate() {
        let result = builder.push(Change::Delete, |writer| {
            writer.begin_object();
            writer.key("half");
            if fails {
                return Err(Error::new(ErrorKind::Schema, "no"));
            }
            writer.number_text(&index.to_string());
            writer.end_object();
            Ok(())
        });
        assert_eq!(result.is_err(), fails);
    }
    assert_eq!(builder.push_raw("{").unwrap_err().kind(), ErrorKind::Schema);
    assert_eq!(builder.push_raw("1 2").unwrap_err().kind(), ErrorKind::Schema);
    let batch = builder.finish().unwrap();
    assert_eq!(texts(&batch), [(r#"{"half":1}"#, Change::Delete), (r#"{"half":4}"#, Change::Delete)]);
}

#[test]
fn a_record_without_text_is_refused_wherever_it_stands() {
    for before in 0..2 {
        let mut builder = BatchBuilder::new("s");
        for n in 0..before {
            builder.push(Change::Upsert, number(n)).unwrap();
        }
        let error = builder.push(Change::Upsert, |_| Ok(())).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Internal);
        builder.push(Change::Upsert, number(7)).unwrap();
        let batch = builder.finish().unwrap();
        assert_eq!(texts(&batch).last(), Some(&("7", Change::Upsert)));
        assert_eq!(batch.len(), before as usize + 1);
    }
}

#[test]
fn a_record_that_does_not_fit_its_type_is_named_without_its_value() {
    #[derive(Debug, serde::Deserialize)]
    struct Typed {
        #[allow(dead_code)]
        age: u8,
    }
    let batch = Batch::from_records("s", [r#"{"age":7}"#, r#"{"age":"canary"}"#, "{}"]).unwrap();
    let typed: Vec<Result<Typed>> = batch.typed().collect();
    assert!(typed[0].is_ok());
    let error = typed[1].as_ref().unwrap_err();
    assert_eq!(
        (error.kind(), error.fields(), error.record()),
        (ErrorKind::Schema, &["age".into()][..], Some("#1"))
    );
    assert!(!format!("{error:?}").contains("canary"));
    assert!(batch.get(2).unwrap().get(&FieldPath::parse("age").unwrap()).unwrap().is_missing());
    assert!(!format!("{batch:?} {:?}", batch.get(1)).contains("canary"));
}

#[test]
fn write_04_a_report_has_one_outcome_a_record() {
    let outcomes = |n| (0..n).map(|_| Outcome::accepted("x", None)).collect::<Vec<_>>();
    assert!(WriteReport::new(2, outcomes(2)).unwrap().is_complete());
    for wrong in [0, 1, 3] {
        assert_eq!(WriteReport::new(2, outcomes(wrong)).unwrap_err().kind(), ErrorKind::Internal);
    }
}

#[test]
fn a_refused_record_stays_in_its_batch_and_comes_out_apart() {
    let refusal = |index| Refusal { index, error: Error::new(ErrorKind::Schema, format!("no {index}")) };
    let batch = Batch::from_records("s", ["0", "1", "2", "3"]).unwrap().with_deletions([true, false, true]);
    assert!(batch.unreadable().is_none());
    let marked = batch.clone().with_refused([refusal(2), refusal(0), refusal(9)]);
    assert_eq!(marked.len(), 4);
    let apart = marked.unreadable().unwrap();
    assert_eq!(apart.places, [1, 3]);
    assert_eq!(apart.rest.iter().map(Record::raw).collect::<Vec<_>>(), ["1", "3"]);
    assert!(apart.rest.unreadable().is_none());
    let told = |batch: &Batch| -> Vec<(usize, String)> {
        let apart = batch.unreadable().unwrap();
        apart.refused.iter().map(|r| (r.index, r.error.message().to_owned())).collect()
    };
    assert_eq!(told(&marked), [(0, "no 0".to_owned()), (2, "no 2".to_owned())]);
    // A selection takes the marks along, to where the records are then.
    assert_eq!(told(&marked.select([3, 2])), [(1, "no 2".to_owned())]);
    assert_eq!(told(&marked.clone().with_stream("t")).len(), 2);
    assert!(marked.with_refused([]).unreadable().is_none());
}

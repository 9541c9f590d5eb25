//! Texts that stores must not touch.

use acople_core::{
    CheckpointStore, Error, ErrorKind, Generation, QuarantineStore, Quarantined, Stage, StateKey,
};
use acople_store_redb::RedbStore;
use acople_testkit::memory::MemoryStore;
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn body_12_any_text_comes_back_byte_for_byte_from_every_store(
        texts in prop::collection::vec("[\0a\"\\\\é\u{65}\u{301}\u{200b}\u{202e}\u{feff}🚀]{0,9}|.{0,9}", 4),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (redb, memory) = (RedbStore::in_memory().unwrap(), MemoryStore::new());
        let quarantines: [&dyn QuarantineStore; 2] = [&redb, &memory];
        let checkpoints: [&dyn CheckpointStore; 2] = [&redb, &memory];
        for (quarantine, checkpoint) in quarantines.into_iter().zip(checkpoints) {
            let key = StateKey::new(format!("s{}", texts[0]), "contacts").with_tenant(format!("t{}", texts[1]));
            let record = Quarantined {
                id: format!("i{}", texts[2]),
                key: key.clone(),
                run: texts[3].clone(),
                position: 1,
                stage: Stage::Map,
                error: Error::new(ErrorKind::Schema, "no"),
                record: format!(r#"{{"half":"\ud800","text":{}}}"#, serde_json::to_string(&texts).unwrap()),
                deleted: false,
                attempts: 2,
                at: std::time::UNIX_EPOCH,
            };
            let (back, state) = runtime.block_on(async {
                quarantine.put(std::slice::from_ref(&record)).await.unwrap();
                checkpoint.save(&key, Generation(0), texts[3].as_bytes()).await.unwrap();
                let listed = quarantine.list(Some(&key.sync), None, 10).await.unwrap();
                (listed, checkpoint.load(&key).await.unwrap())
            });
            prop_assert_eq!(back.len(), 1);
            prop_assert_eq!((&back[0].id, &back[0].key, &back[0].run), (&record.id, &record.key, &record.run));
            prop_assert_eq!(&back[0].record, &record.record);
            prop_assert_eq!(state.unwrap().0, texts[3].as_bytes());
        }
    }
}

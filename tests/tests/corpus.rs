//! The corpora of the fuzz targets, replayed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
#![allow(unreachable_pub, clippy::pedantic)]

#[path = "../../fuzz/src/bodies.rs"]
mod bodies;

use std::path::Path;

#[test]
fn every_input_of_the_corpora_keeps_the_promises() {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz"));
    for (name, body) in bodies::TARGETS {
        assert!(root.join(format!("fuzz_targets/{name}.rs")).is_file(), "{name} has no target");
        let mut inputs: Vec<_> =
            std::fs::read_dir(root.join("corpus").join(name)).unwrap().map(|e| e.unwrap().path()).collect();
        inputs.sort();
        assert!(inputs.len() >= 5, "{name} has {} inputs", inputs.len());
        for input in inputs {
            let data = std::fs::read(&input).unwrap();
            let kept = std::panic::catch_unwind(|| body(&data)).is_ok();
            assert!(kept, "{}", input.display());
        }
    }
    let targets = std::fs::read_dir(root.join("fuzz_targets")).unwrap().count();
    assert_eq!(targets, bodies::TARGETS.len(), "a target without a body");
}

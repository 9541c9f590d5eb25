//! A secret that is dropped is gone from the process's memory.

use std::fs::File;
use std::os::unix::fs::FileExt;

use acople::Secret;

/// Long enough that what the allocator writes at the ends of a freed block leaves most of it alone.
const LEN: usize = 4096;

/// How many bytes of the text are still there after `drop`.
fn left<T>(held: T, text: impl Fn(&T) -> &str) -> usize {
    // Linux shows a process its own memory without a line of unsafe code. Nothing may be allocated between the drop and
    // the look, or it would get the very same place.
    let memory = File::open("/proc/self/mem").unwrap();
    let mut bytes = vec![0; LEN];
    let address = text(&held).as_ptr().addr() as u64;
    assert!(text(&held).bytes().all(|b| b == b'Z') && text(&held).len() == LEN);
    drop(held);
    memory.read_exact_at(&mut bytes, address).unwrap();
    bytes.into_iter().filter(|b| *b == b'Z').count()
}

#[test]
fn sec_04_a_dropped_secret_leaves_no_copy_behind() {
    let text = "Z".repeat(LEN);
    // That this test can fail: an ordinary text stays where it was.
    assert!(
        left(text.clone(), |text| text) > LEN / 2,
        "the memory of a dropped text was given back or overwritten"
    );
    assert_eq!(left(Secret::from(text.as_str()), Secret::expose), 0);
    let secret = Secret::from(text.as_str());
    assert_eq!(left(secret.clone(), Secret::expose), 0, "a clone");
    let read: Secret = serde_json::from_value(serde_json::json!(text)).unwrap();
    assert_eq!(left(read, Secret::expose), 0, "read from a config");
    assert_eq!(secret.expose().len(), LEN);
}

//! Sealing through the public API, with everything an attacker or a broken disk could hand in.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod masters;
mod services;
mod sources;

use acople_seal::{MasterKey, Place};

const PLACE: Place<'static> = Place { kind: "tokens", key: &["acme", "hubspot", "main"], generation: 7 };

fn master(id: &str) -> MasterKey {
    let mut bytes = [7; 32];
    bytes[..id.len()].copy_from_slice(id.as_bytes());
    MasterKey::new(id, &bytes).unwrap()
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

//! Master keys in this process: places, rotation, damage.

use std::collections::BTreeSet;

use proptest::prelude::*;

use acople_core::ErrorKind;
use acople_seal::{Keyring, MasterKey, Place, key_id};

use crate::{PLACE, contains, master};

#[test]
fn sec_05_a_sealed_text_shows_its_key_id_and_nothing_of_the_text() {
    let sealed = Keyring::new(master("2026")).seal(&PLACE, b"CANARY refresh token".to_vec().into()).unwrap();
    assert!(contains(&sealed, "2026"));
    for text in ["CANARY", "refresh", "acme", "hubspot"] {
        assert!(!contains(&sealed, text), "{text} is in the clear");
    }
    assert_eq!(key_id(&sealed), Some("2026"));
}

#[test]
fn sec_06_a_sealed_text_opens_in_no_place_but_its_own() {
    let keys = Keyring::new(master("k"));
    let sealed = keys.seal(&PLACE, b"text".to_vec().into()).unwrap();
    assert_eq!(*keys.open(&PLACE, &sealed).unwrap(), b"text");
    for place in [
        Place { kind: "secret", ..PLACE },
        Place { generation: 6, ..PLACE },
        Place { generation: 8, ..PLACE },
        Place { key: &["other", "hubspot", "main"], ..PLACE },
        Place { key: &["acme", "hubspot"], ..PLACE },
        Place { key: &["acme", "hubspot", "main", ""], ..PLACE },
        // Parts that would be one text if they were joined.
        Place { key: &["acme", "hubspo", "tmain"], ..PLACE },
        Place { key: &["", "acme", "hubspotmain"], ..PLACE },
    ] {
        let error = keys.open(&place, &sealed).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Internal, "{place:?}");
        assert!(error.message().contains("comes from another place"), "{error}");
    }
}

#[test]
fn sec_07_the_newest_key_seals_and_all_open() {
    let before = Keyring::new(master("one")).seal(&PLACE, b"text".to_vec().into()).unwrap();
    let keys = Keyring::new(master("two")).with_old(master("one")).unwrap();
    assert_eq!(*keys.open(&PLACE, &before).unwrap(), b"text");
    assert!(keys.needs_rewrap(&before));
    let after = keys.seal(&PLACE, b"text".to_vec().into()).unwrap();
    assert_eq!(key_id(&after), Some("two"));
    assert!(!keys.needs_rewrap(&after));
}

#[test]
fn sec_07_a_missing_key_is_named_and_a_wrong_one_of_its_name_is_told_apart() {
    let sealed = Keyring::new(master("lost")).seal(&PLACE, b"text".to_vec().into()).unwrap();
    let error = Keyring::new(master("other")).open(&PLACE, &sealed).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.message().contains("\"lost\"") && error.message().contains("is not here"), "{error}");
    let wrong = MasterKey::new("lost", &[9; 32]).unwrap();
    let error = Keyring::new(wrong).open(&PLACE, &sealed).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Internal);
    assert!(error.message().contains("another one of that name"), "{error}");
}

#[test]
fn sec_07_a_key_recognises_its_own_check_row_alone() {
    let row = master("k").check_row().unwrap();
    assert!(master("k").recognises(&row));
    assert!(!MasterKey::new("k", &[9; 32]).unwrap().recognises(&row));
    for length in 0..row.len() {
        assert!(!master("k").recognises(&row[..length]));
    }
}

#[test]
fn sec_07_two_keys_of_one_id_are_refused() {
    let error = Keyring::new(master("k")).with_old(MasterKey::new("k", &[9; 32]).unwrap()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.message().contains("\"k\""), "{error}");
}

#[test]
fn sec_08_no_nonce_and_no_data_key_comes_twice() {
    let keys = Keyring::new(master("k"));
    // Behind version, id and its length: nonce, wrapped key, nonce.
    let (mut seen, rounds) = (BTreeSet::new(), 2_000);
    for _ in 0..rounds {
        let sealed = keys.seal(&PLACE, b"text".to_vec().into()).unwrap();
        for part in [&sealed[3..15], &sealed[15..63], &sealed[63..75]] {
            assert!(seen.insert(part.to_vec()), "came twice");
        }
    }
    assert_eq!(seen.len(), 3 * rounds);
}

#[test]
fn sec_07_every_flipped_bit_and_every_cut_is_refused() {
    let keys = Keyring::new(master("k"));
    let sealed = keys.seal(&PLACE, b"text".to_vec().into()).unwrap();
    for length in 0..sealed.len() {
        assert!(keys.open(&PLACE, &sealed[..length]).is_err(), "cut to {length}");
    }
    for at in 0..sealed.len() {
        for bit in 0..8 {
            let mut changed = sealed.clone();
            changed[at] ^= 1 << bit;
            assert!(keys.open(&PLACE, &changed).is_err(), "bit {bit} of byte {at}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn sec_07_any_bytes_are_an_error_and_never_a_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
        headed in any::<bool>(),
    ) {
        let keys = Keyring::new(master("k"));
        let bytes = if headed { [&[1, 1, b'k'][..], &bytes].concat() } else { bytes };
        prop_assert!(keys.open(&PLACE, &bytes).is_err());
        let _ = key_id(&bytes);
        prop_assert!(!master("k").recognises(&bytes));
    }

    #[test]
    fn any_text_comes_back(text in proptest::collection::vec(any::<u8>(), 0..2_000)) {
        let keys = Keyring::new(master("k"));
        let sealed = keys.seal(&PLACE, text.clone().into()).unwrap();
        prop_assert_eq!(&*keys.open(&PLACE, &sealed).unwrap(), &text);
    }
}

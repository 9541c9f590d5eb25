//! What a verifier says of heads, keys and beginnings.

use acople_audit::{Chain, DamageKind, Head, PublicKey, Verifier};

use crate::{at, entry, log_of, signing_key, verifier, verify};

#[test]
fn sec_10_a_wrong_key_is_told_apart_from_a_changed_log() {
    let (lines, heads) = log_of(20, 5);
    let log = [lines.concat().into_bytes()];
    let wrong = Verifier::new([signing_key(2).public_key().clone()]);
    let wrong = heads.iter().cloned().fold(wrong, Verifier::with_head);
    let verdict = verify(&wrong, &log);
    let damage = verdict.damage.unwrap();
    assert_eq!((damage.kind, damage.first, verdict.covered), (DamageKind::WrongKey, 5, 0));
    // Both keys, while one takes over from the other.
    let both = Verifier::new([signing_key(2).public_key().clone(), signing_key(1).public_key().clone()]);
    let both = heads.iter().cloned().fold(both, Verifier::with_head);
    assert!(verify(&both, &log).is_sound());
}

#[test]
fn sec_10_a_changed_head_is_no_head() {
    let (lines, heads) = log_of(20, 5);
    let text: String = heads.iter().map(|head| head.line() + "\n").collect();
    let log = [lines.concat().into_bytes()];
    let with =
        |text: &[u8]| verify(&Verifier::new([signing_key(1).public_key().clone()]).with_heads(text), &log);
    assert!(with(text.as_bytes()).is_sound());
    for at in 0..text.len() {
        let mut changed = text.clone().into_bytes();
        changed[at] ^= 1;
        let verdict = with(&changed);
        // The end of a file of heads may be torn: what is lost with it is only the newest head.
        if verdict.is_sound() {
            assert!(verdict.covered < 20 && at == text.len() - 1, "byte {at} of the heads: {verdict:?}");
        }
    }
}

#[test]
fn sec_10_the_head_of_another_log_is_told() {
    let (lines, _) = log_of(20, 5);
    let (_, others) = log_of(20, 5);
    let verdict = verify(&verifier(&others), &[lines.concat().into_bytes()]);
    assert_eq!(verdict.damage.unwrap().kind, DamageKind::OtherLog);
}

#[test]
fn what_comes_after_the_last_head_is_sound_and_not_covered() {
    let (mut lines, heads) = log_of(20, 5);
    let verdict = verify(&verifier(&heads[..2]), &[lines.concat().into_bytes()]);
    assert!(verdict.is_sound());
    assert_eq!((verdict.records, verdict.covered, verdict.last), (20, 10, 20));
    let torn = lines.last_mut().unwrap();
    torn.truncate(30);
    let verdict = verify(&verifier(&heads[..2]), &[lines.concat().into_bytes()]);
    assert!(verdict.is_sound(), "a writer may be at it");
    assert_eq!((verdict.last, verdict.torn), (19, Some(30)));
}

#[test]
fn a_log_whose_oldest_files_were_put_away_is_verified_from_a_head_on() {
    let (lines, heads) = log_of(20, 5);
    let rest = [lines[10..].concat().into_bytes()];
    let verdict = verify(&verifier(&heads).since(11), &rest);
    assert!(verdict.is_sound(), "{verdict:?}");
    assert_eq!((verdict.first, verdict.records), (11, 10));
    for (since, records) in [(None, &lines[10..]), (Some(10), &lines[10..]), (Some(13), &lines[12..])] {
        let verifier = since.into_iter().fold(verifier(&heads), Verifier::since);
        let damage = verify(&verifier, &[records.concat().into_bytes()]).damage.unwrap();
        assert_eq!((damage.kind, damage.first), (DamageKind::Removed, 1), "{since:?}");
    }
}

#[test]
fn an_empty_log_is_sound_unless_a_head_knows_better() {
    let (_, heads) = log_of(20, 20);
    assert!(verify(&verifier(&[]), &[]).is_sound());
    assert!(verify(&verifier(&[]), &[Vec::new()]).is_sound());
    let damage = verify(&verifier(&heads), &[]).damage.unwrap();
    assert_eq!((damage.kind, damage.first, damage.last), (DamageKind::Truncated, 1, 20));
    assert!(damage.to_string().contains("record 1 to 20"), "{damage}");
}

#[test]
fn the_damage_is_told_with_its_place() {
    let (mut lines, heads) = log_of(20, 5);
    lines[6] = lines[6].replace("alice", "mallory");
    let files = [lines[..5].concat().into_bytes(), lines[5..].concat().into_bytes()];
    let damage = verify(&verifier(&heads), &files).damage.unwrap();
    assert_eq!(damage.to_string(), "record 7 was edited (line 2 of file 1)");
}

#[test]
fn keys_are_checked_and_never_printed() {
    for text in ["", "CANARY", "AQEB"] {
        let error = acople_audit::SigningKey::from_base64(&text.into()).unwrap_err();
        assert!(!format!("{error:?}").contains("CANARY"));
        assert!(PublicKey::from_base64(text).is_err());
    }
    let key = signing_key(7);
    assert_eq!(&PublicKey::from_base64(&key.public_key().to_base64()).unwrap(), key.public_key());
    assert!(!format!("{key:?}").contains("BwcHBwcH"), "the seed is printed");
    let mut chain = Chain::begin().unwrap();
    chain.push(&entry(1)).unwrap();
    let head = Head::sign(&chain, at(0), &key);
    assert!(head.verify(key.public_key()).is_ok() && head.verify(signing_key(8).public_key()).is_err());
    assert_eq!(Head::of(head.line().as_bytes()), Some(head));
}

//! Many changes to a sound log, each of which has to be found, and told rightly.

use acople_audit::DamageKind::{self, Edited, Inserted, Removed, Reordered, Truncated};
use acople_audit::{Chain, Head, Record};

use crate::{entry, log_of, verifier, verify};

const RECORDS: usize = 24;
const MUTATIONS: u64 = 12_000;

/// A change, what may be said of it, and where.
struct Mutation {
    files: Vec<Vec<u8>>,
    kinds: Vec<DamageKind>,
    /// The number of the first record that is bad.
    first: usize,
    what: String,
}

/// Lines in three files.
fn in_files(lines: &[String]) -> Vec<Vec<u8>> {
    lines.chunks(RECORDS.div_ceil(3)).map(|lines| lines.concat().into_bytes()).collect()
}

/// Whole lines in these bytes.
fn lines_of(bytes: &[u8]) -> usize {
    bytes.split(|byte| *byte == b'\n').count() - 1
}

/// The log with everything from `from` (0 is the first) joined anew after that record was changed.
fn rewritten(lines: &[String], from: usize) -> Vec<String> {
    let mut changed = lines.to_vec();
    for at in from..lines.len() {
        let mut record = Record::of(lines[at].trim_end().as_bytes()).unwrap();
        if at == from {
            "user:mallory".clone_into(&mut record.actor);
        } else {
            let before = Record::of(changed[at - 1].trim_end().as_bytes()).unwrap();
            Chain::after(&before).hash().clone_into(&mut record.prev);
        }
        changed[at] = record.line() + "\n";
    }
    changed
}

fn mutate(random: &mut fastrand::Rng, lines: &[String], foreign: &[String]) -> Mutation {
    let n = lines.len();
    let mut changed = lines.to_vec();
    let mutation = |changed: Vec<String>, kinds: &[DamageKind], first: usize, what: String| Mutation {
        files: in_files(&changed),
        kinds: kinds.to_vec(),
        first,
        what,
    };
    match random.u8(0..12) {
        0 | 1 => {
            let at = random.usize(..n);
            let mut bytes = changed[at].clone().into_bytes();
            let byte = random.usize(..bytes.len() - 1);
            let bit = random.u8(..8);
            bytes[byte] ^= 1 << bit;
            let mut files = in_files(lines);
            let per_file = RECORDS.div_ceil(3);
            let offset: usize = lines[at / per_file * per_file..at].iter().map(String::len).sum();
            files[at / per_file][offset..offset + bytes.len()].copy_from_slice(&bytes);
            Mutation {
                files,
                kinds: vec![Edited],
                first: at + 1,
                what: format!("bit {bit} of byte {byte} of line {at}"),
            }
        }
        2 => {
            let count = random.usize(1..6);
            let at = random.usize(..n - count);
            changed.drain(at..at + count);
            mutation(changed, &[Removed], at + 1, format!("{count} lines from {at} removed"))
        }
        3 => {
            let (one, other) = (random.usize(..n), random.usize(..n));
            changed.swap(one, other);
            mutation(changed, &[Reordered], one.min(other) + 1, format!("lines {one} and {other} swapped"))
        }
        4 => {
            let (from, to) = (random.usize(..n), random.usize(..n));
            let line = changed.remove(from);
            changed.insert(to, line);
            mutation(changed, &[Reordered], from.min(to) + 1, format!("line {from} moved to {to}"))
        }
        5 => {
            let (from, to) = (random.usize(..n), random.usize(..=n));
            changed.insert(to, lines[from].clone());
            // Of two lines that are the same, either is the one too many.
            let first = if to == from || to == from + 1 { from + 2 } else { to + 1 };
            mutation(changed, &[Inserted], first, format!("line {from} again at {to}"))
        }
        6 => {
            let to = random.usize(..n);
            let what = match random.u8(..4) {
                0 => "\n".to_owned(),
                1 => "not a record\n".to_owned(),
                2 => foreign[random.usize(..foreign.len())].clone(),
                // Joined as it should be.
                _ => match to.checked_sub(1) {
                    None => Chain::begin().unwrap().push(&entry(99)).unwrap() + "\n",
                    Some(before) => {
                        let before = Record::of(lines[before].trim_end().as_bytes()).unwrap();
                        Chain::after(&before).push(&entry(99)).unwrap() + "\n"
                    }
                },
            };
            changed.insert(to, what.clone());
            mutation(changed, &[Inserted, Reordered], to + 1, format!("{what:?} put in at {to}"))
        }
        7 => {
            let all = lines.concat().len();
            let keep = random.usize(..all);
            let (mut left, mut files, mut whole) = (keep, Vec::new(), 0);
            for file in in_files(lines) {
                let part = file[..left.min(file.len())].to_vec();
                left -= part.len();
                whole += lines_of(&part);
                files.push(part);
            }
            Mutation { files, kinds: vec![Truncated], first: whole + 1, what: format!("cut to {keep} bytes") }
        }
        8 => {
            let from = random.usize(..n);
            mutation(rewritten(lines, from), &[Edited], from + 1, format!("written anew from {from}"))
        }
        9 => {
            let mut files = in_files(lines);
            let gone = random.usize(..files.len());
            let first: usize = lines_of(&files[..gone].concat()) + 1;
            files.remove(gone);
            Mutation { files, kinds: vec![Removed, Truncated], first, what: format!("file {gone} removed") }
        }
        10 => {
            let mut files = in_files(lines);
            let (one, other) = (random.usize(..files.len()), random.usize(..files.len()));
            files.swap(one, other);
            let first = lines_of(&files[..one.min(other)].concat()) + 1;
            Mutation {
                files,
                kinds: vec![Reordered],
                first,
                what: format!("files {one} and {other} swapped"),
            }
        }
        _ => {
            // The end of one file is cut off, and the others stay.
            let mut files = in_files(lines);
            let cut = random.usize(..files.len() - 1);
            let keep = random.usize(..files[cut].len());
            files[cut].truncate(keep);
            let first = lines_of(&files[..=cut].concat()) + 1;
            Mutation { files, kinds: vec![Removed, Edited], first, what: format!("file {cut} cut to {keep}") }
        }
    }
}

#[test]
fn sec_10_every_edit_truncation_insertion_and_reordering_is_found_and_named() {
    let (lines, heads) = log_of(RECORDS as u64, 6);
    let (foreign, _) = log_of(RECORDS as u64, 6);
    let verifier = verifier(&heads);
    let original = in_files(&lines);
    let sound = verify(&verifier, &original);
    assert!(sound.is_sound() && sound.covered == RECORDS as u64, "{sound:?}");

    let mut random = fastrand::Rng::with_seed(10);
    let (mut tried, mut by_kind) = (0, std::collections::HashMap::new());
    while tried < MUTATIONS {
        let Mutation { files, kinds, first, what } = mutate(&mut random, &lines, &foreign);
        if files.concat() == original.concat() {
            continue;
        }
        tried += 1;
        let verdict = verify(&verifier, &files);
        let damage = verdict.damage.unwrap_or_else(|| panic!("{what} was not found"));
        assert!(kinds.contains(&damage.kind), "{what} is told as {damage:?}, not {kinds:?}");
        let first = first as u64;
        assert!(damage.first <= first && first <= damage.last, "{what}: {damage:?} does not name {first}");
        // Only what a head alone gives away is told as a range, and only between two heads.
        let is_range = matches!(damage.kind, Edited) && damage.first != damage.last;
        assert!(!is_range || damage.last - damage.first < 6, "{what}: {damage:?}");
        *by_kind.entry(damage.kind).or_insert(0) += 1;
    }
    assert_eq!(by_kind.len(), 5, "{by_kind:?}");
}

#[test]
fn sec_10_without_heads_everything_is_found_but_a_lost_or_rewritten_end() {
    let (lines, _) = log_of(RECORDS as u64, 6);
    let (foreign, _) = log_of(RECORDS as u64, 6);
    let verifier = verifier(&[]);
    let mut random = fastrand::Rng::with_seed(11);
    let original = in_files(&lines);
    let (mut found, mut missed) = (0, 0);
    for _ in 0..3_000 {
        let Mutation { files, first, what, .. } = mutate(&mut random, &lines, &foreign);
        if files.concat() == original.concat() {
            continue;
        }
        if verify(&verifier, &files).is_sound() {
            missed += 1;
            let is_end =
                what.starts_with("cut") || what.starts_with("written anew") || first >= RECORDS * 2 / 3;
            assert!(is_end, "{what} was not found");
        } else {
            found += 1;
        }
    }
    assert!(missed > 0 && found > 2 * missed, "{found} found, {missed} missed");
}

#[test]
fn sec_10_forged_heads_do_not_cover_a_rewritten_log() {
    let (lines, heads) = log_of(RECORDS as u64, 6);
    let rewritten = rewritten(&lines, 14);
    let last = Record::of(rewritten[RECORDS - 1].trim_end().as_bytes()).unwrap();
    // Signed by a key of the forger's, under the name of the real one.
    let mut forged = Head::sign(&Chain::after(&last), crate::at(0), &crate::signing_key(2));
    forged.key = crate::signing_key(1).public_key().id();
    let verdict = verify(&verifier(&[forged.clone()]), &in_files(&rewritten));
    assert_eq!(verdict.damage.unwrap().kind, DamageKind::BadHead);
    let verdict = verify(&verifier(&heads).with_head(forged), &in_files(&rewritten));
    let damage = verdict.damage.unwrap();
    assert!(damage.kind == Edited && damage.first <= 15 && 15 <= damage.last, "{damage:?}");
}

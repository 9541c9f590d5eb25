//! Finds the first record of a log that is not as it was written.

mod lines;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use acople_core::Result;

use crate::chain::{first_prev, hash};
use crate::files::io_error;
use crate::{Chain, Damage, DamageKind, Head, PublicKey, Record, Verdict, log_files};
use lines::{Line, Lines};

/// Verifies logs against public keys and the heads that were kept elsewhere.
///
/// Without heads it finds what breaks the chain: changed, missing, moved and foreign records. Heads find what does not:
/// an end that was cut off, and records that were written anew together with all that follow.
#[derive(Clone, Debug, Default)]
pub struct Verifier {
    keys: Vec<PublicKey>,
    /// By the number of the record. Of two that contradict each other, one is found bad.
    heads: BTreeMap<u64, Vec<Head>>,
    bad_head: Option<Damage>,
    /// The number of the oldest record that was not put away.
    since: Option<u64>,
}

/// The record before, and what it was joined to.
struct Before {
    chain: Chain,
    prev: String,
    file: String,
    line: u64,
}

impl Verifier {
    /// Trusts heads that one of these keys has signed.
    pub fn new(keys: impl IntoIterator<Item = PublicKey>) -> Self {
        Self { keys: keys.into_iter().collect(), ..Self::default() }
    }

    /// Adds heads, one a line. The first that is none, or that none of the keys has signed, becomes the verdict if the
    /// log itself is sound.
    pub fn with_heads(mut self, lines: &[u8]) -> Self {
        for (number, line) in lines.split(|byte| *byte == b'\n').enumerate().filter(|(_, l)| !l.is_empty()) {
            // A line that a crash has torn is no head, and nobody was told that it was kept.
            if number > 0 && !lines.ends_with(b"\n") && lines.ends_with(line) {
                break;
            }
            match Head::of(line) {
                Some(head) => self.add(head, number as u64 + 1),
                None => self.refuse(DamageKind::BadHead, 0, number as u64 + 1),
            }
        }
        self
    }

    /// Adds one head.
    pub fn with_head(mut self, head: Head) -> Self {
        self.add(head, 0);
        self
    }

    /// Accepts a log that begins with that record, because older files were put away. A head has to vouch for the
    /// record before it.
    pub fn since(mut self, seq: u64) -> Self {
        self.since = Some(seq);
        self
    }

    /// Verifies the log in a folder, or one file of it.
    ///
    /// # Errors
    /// When it cannot be read. What is wrong with it is in the verdict.
    pub fn verify(&self, path: impl AsRef<Path>) -> Result<Verdict> {
        let mut files = Vec::new();
        for file in log_files(path)? {
            let open = File::open(&file.path).map_err(|e| io_error(&file.path, "cannot be read", &e))?;
            files.push((file.path.display().to_string(), open));
        }
        self.verify_files(files)
    }

    /// Verifies a log of files that are named and in the order of their records.
    ///
    /// # Errors
    /// When one cannot be read.
    pub fn verify_files<R: Read>(&self, files: impl IntoIterator<Item = (String, R)>) -> Result<Verdict> {
        let mut lines = Lines::new(files.into_iter());
        let mut verdict = Verdict::default();
        verdict.damage = self.walk(&mut lines, &mut verdict)?;
        if verdict.damage.is_none() {
            verdict.damage = self.missing_end(&verdict).or_else(|| self.bad_head.clone());
        }
        Ok(verdict)
    }

    fn walk<R: Read, I: Iterator<Item = (String, R)>>(
        &self,
        lines: &mut Lines<I, R>,
        verdict: &mut Verdict,
    ) -> Result<Option<Damage>> {
        let mut before: Option<Before> = None;
        while let Some(line) = lines.next()? {
            if !line.complete && lines.peek()?.is_none() {
                verdict.torn = Some(line.text.len() as u64);
                break;
            }
            let record = Record::of(&line.text).filter(|_| line.complete);
            let Some(record) = record.filter(|record| self.belongs(record, before.as_ref())) else {
                return Ok(Some(self.classify(&line, before.as_ref(), lines)?));
            };
            let chain = Chain::after(&record);
            if let Some(damage) = self.contradicted(&chain, &line, verdict, lines)? {
                return Ok(Some(damage));
            }
            if before.is_none() {
                verdict.first = record.seq;
                verdict.log.clone_from(&record.log);
            }
            verdict.records += 1;
            verdict.last = record.seq;
            if self.heads.contains_key(&record.seq) {
                verdict.covered = record.seq;
            }
            before = Some(Before { chain, prev: record.prev, file: line.file, line: line.number });
        }
        Ok(None)
    }

    /// Whether a record may stand here: after the one before, or at the beginning.
    fn belongs(&self, record: &Record, before: Option<&Before>) -> bool {
        match before {
            Some(before) => record.follows(&before.chain),
            // Older files may have been put away: a head then vouches for what they ended with.
            None => {
                (record.seq == 1 && record.prev == first_prev())
                    || (self.since == Some(record.seq) && self.vouches(record))
            }
        }
    }

    fn vouches(&self, record: &Record) -> bool {
        let heads = record.seq.checked_sub(1).and_then(|seq| self.heads.get(&seq));
        heads.is_some_and(|heads| heads.iter().any(|h| h.hash == record.prev && h.log == record.log))
    }

    /// What a head says against a record that is joined to the one before.
    fn contradicted<R: Read, I: Iterator<Item = (String, R)>>(
        &self,
        chain: &Chain,
        line: &Line,
        verdict: &Verdict,
        lines: &mut Lines<I, R>,
    ) -> Result<Option<Damage>> {
        let heads = self.heads.get(&chain.seq()).into_iter().flatten();
        let Some(head) = heads.into_iter().find(|head| !chain.is_at(head)) else { return Ok(None) };
        if head.log != chain.log() {
            return Ok(Some(at(DamageKind::OtherLog, head.seq, head.seq, line)));
        }
        // Where the next record still names what the head does, this one alone was changed.
        let next = lines.peek()?.and_then(|next| Record::of(&next.text));
        if next.as_ref().is_some_and(|next| Chain::after(next).is_at(head)) {
            return Ok(Some(at(DamageKind::Inserted, head.seq, head.seq, line)));
        }
        let alone = next.is_some_and(|next| next.prev == head.hash);
        let first = if alone { head.seq } else { verdict.covered.max(verdict.first.saturating_sub(1)) + 1 };
        Ok(Some(at(DamageKind::Edited, first, head.seq, line)))
    }

    /// What happened to a line that does not belong where it stands.
    fn classify<R: Read, I: Iterator<Item = (String, R)>>(
        &self,
        line: &Line,
        before: Option<&Before>,
        lines: &mut Lines<I, R>,
    ) -> Result<Damage> {
        let (seq, joint) =
            before.map_or_else(|| (1, first_prev()), |b| (b.chain.seq() + 1, b.chain.hash().to_owned()));
        let next = lines.peek()?.and_then(|next| Record::of(&next.text));
        let next_belongs = next.as_ref().is_some_and(|next| self.belongs(next, before));
        let Some(record) = Record::of(&line.text).filter(|_| line.complete) else {
            let kind = if next_belongs { DamageKind::Inserted } else { DamageKind::Edited };
            return Ok(at(kind, seq, seq, line));
        };
        if next_belongs && record.seq <= seq {
            return Ok(at(DamageKind::Inserted, seq, seq, line));
        }
        // Everything else of it is right.
        if record.prev == joint {
            return Ok(at(DamageKind::Edited, seq, seq, line));
        }
        if record.seq > seq {
            let (wanted_comes, itself_comes) = lines.rest_has(seq, record.seq)?;
            return Ok(match (wanted_comes, next_belongs && itself_comes) {
                (true, true) => at(DamageKind::Inserted, seq, seq, line),
                (true, false) => at(DamageKind::Reordered, seq, seq, line),
                (false, _) => at(DamageKind::Removed, seq, record.seq - 1, line),
            });
        }
        let own = hash(&line.text);
        let is_joined = next.as_ref().is_some_and(|next| next.prev == own);
        let Some(before) = before else { return Ok(at(DamageKind::Edited, seq, seq, line)) };
        if record.seq < seq {
            // Of two for one place, the one that the next is joined to was there first.
            if record.seq + 1 == seq && record.prev == before.prev && is_joined {
                return Ok(before.at(DamageKind::Inserted));
            }
            return Ok(at(DamageKind::Inserted, seq, seq, line));
        }
        // This one names another digest of the one before: either of the two was changed.
        let vouched = |seq: u64, hash: &str| {
            self.heads.get(&seq).is_some_and(|heads| heads.iter().any(|head| head.hash == hash))
        };
        if is_joined || vouched(seq, &own) {
            return Ok(before.at(DamageKind::Edited));
        }
        if next.is_some() || vouched(seq - 1, before.chain.hash()) {
            return Ok(at(DamageKind::Edited, seq, seq, line));
        }
        Ok(at(DamageKind::Edited, seq - 1, seq, line))
    }

    fn missing_end(&self, verdict: &Verdict) -> Option<Damage> {
        let (newest, heads) = self.heads.last_key_value()?;
        if let Some(head) = heads.iter().find(|head| !verdict.log.is_empty() && head.log != verdict.log) {
            return Some(of_head(DamageKind::OtherLog, head.seq, 0));
        }
        (*newest > verdict.last).then(|| Damage {
            kind: DamageKind::Truncated,
            first: verdict.last + 1,
            last: *newest,
            file: String::new(),
            line: 0,
        })
    }

    fn add(&mut self, head: Head, line: u64) {
        let Some(key) = self.keys.iter().find(|key| key.id() == head.key) else {
            return self.refuse(DamageKind::WrongKey, head.seq, line);
        };
        if head.verify(key).is_err() {
            return self.refuse(DamageKind::BadHead, head.seq, line);
        }
        self.heads.entry(head.seq).or_default().push(head);
    }

    fn refuse(&mut self, kind: DamageKind, seq: u64, line: u64) {
        self.bad_head.get_or_insert_with(|| of_head(kind, seq, line));
    }
}

impl Before {
    fn at(&self, kind: DamageKind) -> Damage {
        let seq = self.chain.seq();
        Damage { kind, first: seq, last: seq, file: self.file.clone(), line: self.line }
    }
}

fn at(kind: DamageKind, first: u64, last: u64, line: &Line) -> Damage {
    Damage { kind, first, last, file: line.file.clone(), line: line.number }
}

fn of_head(kind: DamageKind, seq: u64, line: u64) -> Damage {
    Damage { kind, first: seq, last: seq, file: "the heads".to_owned(), line }
}

//! Verifying and showing audit logs.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use acople::audit::{PublicKey, Record, Verdict, Verifier, log_files};
use acople::{Error, ErrorKind};
use jiff::Timestamp;
use serde_json::json;

use crate::args::Audit;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Out, note, records};

/// Longest file of a public key, in bytes.
const MAX_KEY: u64 = 4096;

pub(crate) fn run(command: &Audit, out: &mut Out, json: bool) -> Result<Exit, Failure> {
    match command {
        Audit::Verify { path, heads, public_key, since } => {
            let keys = public_key.iter().map(|text| key(text)).collect::<Result<Vec<_>, _>>()?;
            let mut verifier = Verifier::new(keys);
            if let Some(path) = heads {
                let heads = std::fs::read(path);
                let heads = heads.map_err(|e| unreadable("--heads", path, &e))?;
                verifier = verifier.with_heads(&heads);
            }
            if let Some(seq) = since {
                verifier = verifier.since(*seq);
            }
            let verdict = verifier.verify(path)?;
            if json {
                out.json(&as_json(&verdict))?;
            } else {
                tell(&verdict, heads.is_some(), out)?;
            }
            Ok(if verdict.is_sound() { Exit::Success } else { Exit::Data })
        }
        Audit::Show { path, tenant, actor, action } => {
            let wanted = |record: &Record| {
                tenant.as_ref().is_none_or(|tenant| *tenant == record.tenant)
                    && actor.as_ref().is_none_or(|actor| *actor == record.actor)
                    && action.as_ref().is_none_or(|action| *action == record.action)
            };
            show(path, wanted, out, json)
        }
    }
}

fn tell(verdict: &Verdict, with_heads: bool, out: &mut Out) -> Result<(), Failure> {
    if let Some(damage) = &verdict.damage {
        out.line(&format!("damaged: {damage}"))?;
        return out.line(&format!("{} before it are sound", records(verdict.records)));
    }
    out.line(&format!("sound: {}, {} to {}", records(verdict.records), verdict.first, verdict.last))?;
    if verdict.covered < verdict.last {
        let since = verdict.covered.max(verdict.first.saturating_sub(1)) + 1;
        out.line(&format!(
            "no head vouches for records {since} to {}: their end may be missing",
            verdict.last
        ))?;
    }
    if let Some(bytes) = verdict.torn {
        out.line(&format!("{bytes} bytes at the end are no whole record: a writer is at it, or was killed"))?;
    }
    if !with_heads {
        note("a log without --heads can have lost its end or been written anew");
    }
    Ok(())
}

fn as_json(verdict: &Verdict) -> serde_json::Value {
    let damage = verdict.damage.as_ref().map(|damage| {
        json!({
            "kind": damage.kind.to_string(),
            "first": damage.first,
            "last": damage.last,
            "file": damage.file,
            "line": damage.line,
        })
    });
    json!({
        "sound": verdict.is_sound(),
        "log": verdict.log,
        "records": verdict.records,
        "first": verdict.first,
        "last": verdict.last,
        "covered": verdict.covered,
        "torn": verdict.torn,
        "damage": damage,
    })
}

fn show(path: &Path, wanted: impl Fn(&Record) -> bool, out: &mut Out, json: bool) -> Result<Exit, Failure> {
    let mut strange = 0;
    for file in log_files(path)? {
        let source = File::open(&file.path).map_err(|e| unreadable("PATH", &file.path, &e))?;
        for line in BufReader::new(source).split(b'\n') {
            let line = line.map_err(|e| unreadable("PATH", &file.path, &e))?;
            match Record::of(&line) {
                None => strange += 1,
                Some(record) if !wanted(&record) => {}
                Some(record) if json => out.record(&record.line())?,
                Some(record) => out.line(&text(&record))?,
            }
        }
    }
    if strange == 0 {
        return Ok(Exit::Success);
    }
    note(&format!("{strange} lines are no records: verify the log"));
    Ok(Exit::Data)
}

/// A record for people: what is empty is left out.
fn text(record: &Record) -> String {
    let at = i64::try_from(record.at_ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
    let at = at.map_or_else(|| record.at_ms.to_string(), |at| at.to_string());
    let mut text = format!("{} {at} {} {}", record.seq, record.actor, record.action);
    for (name, value) in [
        ("tenant", &record.tenant),
        ("connector", &record.connector),
        ("connection", &record.connection),
        ("field", &record.field),
    ] {
        if !value.is_empty() {
            let _ = write!(text, " {name}={value}");
        }
    }
    let detail = if record.detail.is_empty() { String::new() } else { format!(" ({})", record.detail) };
    format!("{text}: {}{detail}", record.outcome)
}

/// The key itself, or the file that holds it.
fn key(text: &str) -> Result<PublicKey, Failure> {
    if let Ok(key) = PublicKey::from_base64(text) {
        return Ok(key);
    }
    let path = Path::new(text);
    let about = std::fs::metadata(path).map_err(|e| unreadable("--public-key", path, &e))?;
    if about.len() > MAX_KEY {
        return Err(Error::config("--public-key", format!("{text} is too large for a key")).into());
    }
    let file = std::fs::read_to_string(path).map_err(|e| unreadable("--public-key", path, &e))?;
    let key = PublicKey::from_base64(&file);
    key.map_err(|e| Error::config("--public-key", format!("{text}: {}", e.message())).into())
}

fn unreadable(field: &str, path: &Path, error: &std::io::Error) -> Failure {
    let message = format!("{} cannot be read: {error}", path.display());
    Error::new(ErrorKind::Config, message).with_field(field).into()
}

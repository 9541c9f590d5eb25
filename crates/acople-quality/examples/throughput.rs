//! How many records a second pass through rules, a schema and a profile: run it optimised.
#![allow(clippy::print_stdout, clippy::indexing_slicing)]
#![allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]

use acople_core::{Batch, Result};
use acople_quality::{Checks, Inspector, Lookups, Profile, Rules, Schema};
use serde_json::json;
use tokio::time::Instant;

/// Records of one page.
const PAGE: u64 = 1_000;

/// Pages of one run: all their records differ.
const PAGES: u64 = 100;

fn main() -> Result<()> {
    let pages: Vec<Batch> = (0..PAGES).map(page).collect::<Result<_>>()?;
    let rules = |unique: &str| {
        Rules::from_yaml(&format!(
            r"
rules:
  - {{ field: id, check: [required{unique}] }}
  - {{ field: email, check: [required, {{ pattern: '^[^@\s]+@[^@\s]+$' }}] }}
  - {{ field: amount, check: {{ range: {{ min: 0, max: 1000000 }} }} }}
  - {{ field: status, check: {{ one_of: [open, working, closed] }} }}
  - {{ field: created, check: {{ type: date_time }} }}
  - {{ field: name, check: {{ length: {{ min: 1, max: 80 }} }} }}
  - {{ field: starts, check: {{ compare: {{ is: at_most, to: ends }} }} }}
"
        ))?
        .compile(&Lookups::new())
    };
    let schema = Schema::new(&json!({
        "type": "object",
        "required": ["id", "email"],
        "properties": {
            "id": {"type": "string"},
            "email": {"type": "string", "pattern": r"^[^@\s]+@[^@\s]+$"},
            "amount": {"type": "number", "minimum": 0, "maximum": 1_000_000},
            "status": {"enum": ["open", "working", "closed"]},
            "name": {"type": "string", "minLength": 1, "maxLength": 80},
        },
    }))?;

    let (plain, unique) = (rules("")?, rules(", { unique: {} }")?);
    measure("seven rules, nine checks", &pages, || inspecting(plain.clone()))?;
    measure("the same and `unique`", &pages, || inspecting(unique.clone()))?;
    measure("JSON Schema of five fields", &pages, || inspecting(Checks::none().with_schema(schema.clone())))?;
    measure("profile of all fields", &pages, || {
        let mut profile = Profile::new();
        move |page: &Batch| {
            profile.add(page);
            Ok(())
        }
    })
}

fn inspecting(checks: Checks) -> impl FnMut(&Batch) -> Result<()> {
    let mut inspector = Inspector::new(checks);
    move |page| inspector.inspect(page).map(drop)
}

/// The best of five runs, each of which begins anew.
fn measure<W: FnMut(&Batch) -> Result<()>>(what: &str, pages: &[Batch], begin: impl Fn() -> W) -> Result<()> {
    let mut best = 0.0_f64;
    for _ in 0..5 {
        let mut work = begin();
        let started = Instant::now();
        for page in pages {
            work(page)?;
        }
        best = best.max((PAGES * PAGE) as f64 / started.elapsed().as_secs_f64());
    }
    println!("| {what} | {} |", best as u64);
    Ok(())
}

/// A page of records of twelve fields.
fn page(nth: u64) -> Result<Batch> {
    let record = |n: u64| {
        format!(
            r#"{{"id":"00Q{n:015}","email":"person{n}@example.com","name":"Person Number {n}","amount":{}.{:02},"status":"{}","created":"2026-01-{:02}T10:{:02}:00.000Z","starts":"2026-01-01","ends":"2026-02-{:02}","city":"Berlin","tags":["a","b"],"owner":{{"id":"005{:06}"}},"note":null}}"#,
            n * 37 % 900_000,
            n % 100,
            ["open", "working", "closed"][(n % 3) as usize],
            n % 28 + 1,
            n % 60,
            n % 28 + 1,
            n % 50,
        )
    };
    Batch::from_records("leads", (nth * PAGE..(nth + 1) * PAGE).map(record))
}

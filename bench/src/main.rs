//! Does the work of a bulk client through acople, for measurements. See README.md.
//!
//! `acople-bench BASE_URL N SCENARIO SINK OUT` does N units of work and prints, as its last line,
//! `{"records":N,"bytes":B,"sum":S}`. It fails when the vendor did not confirm all of them.

mod host;
mod ingest;
mod ping;
mod read;
mod sink;
mod write;

use std::error::Error as StdError;
use std::io::Write as _;

use host::Host;
use sink::Kind;

/// Anything that stops a run.
pub(crate) type Failure = Box<dyn StdError + Send + Sync>;

/// What a run did.
#[derive(Default)]
pub(crate) struct Tally {
    /// Units that the vendor sent or confirmed.
    pub(crate) records: u64,
    /// Bytes of answers' bodies.
    pub(crate) bytes: u64,
    /// What was made of the records' fields.
    pub(crate) sum: i128,
}

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [base, units, scenario, sink, out] = arguments.as_slice() else {
        return Err("usage: acople-bench BASE_URL N SCENARIO SINK OUT".into());
    };
    let units: u64 = units.parse().map_err(|_| "N is a whole number")?;
    let sink = Kind::parse(sink, out)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let tally = runtime.block_on(run(scenario, &Host::new(base)?, units, &sink))?;
    if tally.records != units {
        return Err(format!("{units} units were asked for, {} were done", tally.records).into());
    }
    let Tally { records, bytes, sum } = tally;
    writeln!(std::io::stdout(), r#"{{"records":{records},"bytes":{bytes},"sum":{sum}}}"#)?;
    Ok(())
}

async fn run(scenario: &str, host: &Host, units: u64, sink: &Kind) -> Result<Tally, Failure> {
    match scenario {
        "sf-read" => read::salesforce(host, sink).await,
        "hs-read" => read::hubspot(host, sink).await,
        "hs-write" => write::hubspot(host, units).await,
        "ping-1" => ping::ping(host, units, 1).await,
        "ping-64" => ping::ping(host, units, 64).await,
        "ingest" => ingest::ingest(host, units).await,
        other => Err(format!("no such scenario: {other}").into()),
    }
}

//! Salesforce leads become HubSpot contacts: a first sync, an incremental one, and one that is killed half way and
//! goes on.
//!
//! `cargo run --example quickstart` needs nothing but Rust: both vendors run on the loopback interface. With
//! `SALESFORCE_*` and `HUBSPOT_*` variables set, the same program talks to real accounts instead; it writes nothing
//! there unless it is given `--write`. See `accounts.rs` for the variables.

#![allow(clippy::print_stdout, clippy::disallowed_methods)] // a program that talks to a person and reads its settings

mod accounts;
mod dry_run;
mod proof;
mod sandbox;
mod sync;

use std::error::Error;

use accounts::Accounts;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        // The process that is killed in the third run: it is this program again.
        ["worker", store] => sync::worker(&Accounts::from_worker_environment()?, store.as_ref()).await,
        [] | ["--write"] => match Accounts::from_environment()? {
            Some(accounts) => sync::real(&accounts, !arguments.is_empty()).await,
            None => sandbox::tour().await,
        },
        _ => Err("usage: quickstart [--write]".into()),
    }
}

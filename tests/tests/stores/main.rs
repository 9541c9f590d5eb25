//! The stores that several processes share, against the real servers.
//!
//! Behind the feature `servers`: needs what tests/stores-install.sh installs.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
#![allow(unreachable_pub)]
// Servers and processes live by the system's clock, and what a run saw is worth a line.
#![allow(clippy::disallowed_methods, clippy::print_stdout, clippy::print_stderr)]

mod cut;
mod kills;
mod postgres;
mod postgres_server;
mod races;
mod redis;
mod redis_server;
mod restart;
mod sealed;
mod vendor;
mod workers;

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use acople::store_postgres::MasterKey;
use acople_core::{ConnectionKey, Error, ErrorKind, Quarantined, Result, Secret, Stage, StateKey, TokenSet};

/// The key that all tests use, and the child.
fn key(id: &str) -> MasterKey {
    let mut bytes = [7; 32];
    if id != "k" {
        bytes[..id.len()].copy_from_slice(id.as_bytes());
    }
    MasterKey::new(id, &bytes).unwrap()
}

fn connection() -> ConnectionKey {
    ConnectionKey::new("hubspot", "main").with_tenant("acme")
}

fn tokens(access: &str, refresh: &str) -> TokenSet {
    TokenSet {
        access: Secret::from(access),
        refresh: Some(Secret::from(refresh)),
        expires_at: Some(SystemTime::UNIX_EPOCH + Duration::from_secs(1_900_000_000)),
        endpoint: None,
        extra: BTreeMap::new(),
    }
}

fn quarantined(sync: &str, id: &str, record: &str) -> Quarantined {
    Quarantined {
        id: id.to_owned(),
        key: StateKey::new(sync, "contacts"),
        run: "run-1".to_owned(),
        position: 3,
        stage: Stage::Map,
        error: Error::new(ErrorKind::Schema, "not a date"),
        record: record.to_owned(),
        deleted: false,
        attempts: 1,
        at: SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000),
    }
}

fn kind<T: std::fmt::Debug>(result: Result<T>) -> ErrorKind {
    result.unwrap_err().kind()
}

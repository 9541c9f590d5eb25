//! What the server has to promise, and the version of what is in it.

use std::collections::HashMap;

use acople_core::{Error, ErrorKind, Result};
use redis::cmd;

use crate::connection::Connection;
use crate::names::single;

/// The version of the keys. Raised when an older reader would misread them.
const VERSION: u32 = 1;

/// Refuses a server that does not keep what it acknowledges.
pub(crate) async fn check(connection: &Connection) -> Result<()> {
    let refuse = |why: &str| {
        Error::config(
            "address",
            format!("{}: {why}: change that, or accept it with `accept_loss_on_crash`", connection.name),
        )
    };
    let mut settings: HashMap<String, String> = HashMap::new();
    for name in ["appendonly", "appendfsync", "maxmemory", "maxmemory-policy"] {
        let told: Result<HashMap<String, String>> =
            connection.command(cmd("CONFIG").arg("GET").arg(name)).await;
        match told {
            Ok(told) => settings.extend(told),
            Err(error) if error.is_retryable() => return Err(error),
            Err(_) => return Err(refuse("the server does not tell whether it keeps what it acknowledges")),
        }
    }
    let is = |name: &str, value: &str| settings.get(name).is_some_and(|found| found == value);
    if !is("appendonly", "yes") || !is("appendfsync", "always") {
        return Err(refuse(
            "the server may lose what it acknowledges, because it does not have `appendonly yes` and \
             `appendfsync always`",
        ));
    }
    if !is("maxmemory", "0") && !is("maxmemory-policy", "noeviction") {
        return Err(refuse("the server may evict what it keeps: its `maxmemory-policy` is not `noeviction`"));
    }
    Ok(())
}

/// Marks an empty store, and refuses one of a newer version.
pub(crate) async fn check_version(connection: &Connection, prefix: &str) -> Result<()> {
    let name = single(prefix, "version");
    let _: i64 = connection.command(cmd("SETNX").arg(&name).arg(VERSION)).await?;
    let found: String = connection.command(cmd("GET").arg(&name)).await?;
    match found.parse::<u32>() {
        Ok(VERSION) => Ok(()),
        Ok(newer) => Err(Error::new(
            ErrorKind::Config,
            format!(
                "{}: it has version {newer}, and this program knows up to {VERSION}: use a newer program",
                connection.name
            ),
        )),
        Err(_) => Err(connection.not_understood()),
    }
}

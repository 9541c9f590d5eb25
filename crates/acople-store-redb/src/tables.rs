//! The tables of the file.

use redb::{ReadableTable, TableDefinition, WriteTransaction};

use acople_core::{Error, ErrorKind, Result};

use crate::fault::Fault;
use crate::record::{self, Kind};

/// The layout of the tables and of their records. Raised when an older reader would misread it.
pub(crate) const FORMAT: u64 = 1;

/// A state's key: sync first, so that the states of a sync are neighbours. Then tenant, stream,
/// partition.
pub(crate) type StateRow = (&'static str, &'static str, &'static str, &'static str);
/// A connection's key: tenant, connector, connection.
pub(crate) type TokenRow = (&'static str, &'static str, &'static str);

/// A secret's key: tenant, connector, connection, field.
pub(crate) type SecretRow = (&'static str, &'static str, &'static str, &'static str);

pub(crate) type StateTable = TableDefinition<'static, StateRow, &'static [u8]>;

pub(crate) const META: TableDefinition<'static, &str, &[u8]> = TableDefinition::new("acople.meta");
/// Even and odd generations live in two tables and so on different pages: damage to one page leaves
/// the generation before it.
pub(crate) const STATES: [StateTable; 2] =
    [TableDefinition::new("acople.states.even"), TableDefinition::new("acople.states.odd")];
pub(crate) const TOKENS: TableDefinition<'static, TokenRow, &[u8]> = TableDefinition::new("acople.tokens");
/// The generation that each row of [`TOKENS`] must have: an old row that was pasted back does not.
pub(crate) const TOKEN_FLOORS: TableDefinition<'static, TokenRow, &[u8]> =
    TableDefinition::new("acople.token_floors");
pub(crate) const SECRETS: TableDefinition<'static, SecretRow, &[u8]> = TableDefinition::new("acople.secrets");
/// The generation that each row of [`SECRETS`] must have.
pub(crate) const SECRET_FLOORS: TableDefinition<'static, SecretRow, &[u8]> =
    TableDefinition::new("acople.secret_floors");
pub(crate) const QUARANTINE: TableDefinition<'static, &str, &[u8]> =
    TableDefinition::new("acople.quarantine");
/// Sync and id of each row of [`QUARANTINE`].
pub(crate) const QUARANTINE_BY_SYNC: TableDefinition<'static, (&str, &str), ()> =
    TableDefinition::new("acople.quarantine_by_sync");

/// Row of [`META`] whose generation is the file's format.
pub(crate) const META_FORMAT: &str = "format";
/// Row of [`META`] that is there after a recovery, until the losses are accepted. Its payload is the
/// path of the damaged original.
pub(crate) const META_RECOVERED: &str = "recovered";

/// Where the state of a generation is.
pub(crate) fn state_table(generation: u64) -> StateTable {
    let [even, odd] = STATES;
    if generation.is_multiple_of(2) { even } else { odd }
}

/// Makes all tables and the format mark.
pub(crate) fn create_all(tx: &WriteTransaction) -> Result<(), Fault> {
    for table in STATES {
        tx.open_table(table)?;
    }
    tx.open_table(TOKENS)?;
    tx.open_table(TOKEN_FLOORS)?;
    tx.open_table(SECRETS)?;
    tx.open_table(SECRET_FLOORS)?;
    tx.open_table(QUARANTINE)?;
    tx.open_table(QUARANTINE_BY_SYNC)?;
    put_meta(tx, META_FORMAT, FORMAT, &[])
}

/// Writes one row of [`META`].
pub(crate) fn put_meta(tx: &WriteTransaction, name: &str, number: u64, payload: &[u8]) -> Result<(), Fault> {
    let bytes = record::encode(Kind::Meta, number, &[name], payload)?;
    tx.open_table(META)?.insert(name, bytes.as_slice())?;
    Ok(())
}

/// Reads one row of [`META`]: its number and its payload.
pub(crate) fn get_meta(
    table: &impl ReadableTable<&'static str, &'static [u8]>,
    name: &str,
) -> Result<Option<(u64, Vec<u8>)>, Fault> {
    let Some(row) = table.get(name)? else {
        return Ok(None);
    };
    let record = record::decode(row.value()).filter(|r| r.kind == Kind::Meta && r.key == [name]);
    let record = record
        .ok_or_else(|| Error::new(ErrorKind::Internal, format!("the store's own row {name:?} is damaged")))?;
    Ok(Some((record.generation, record.payload.to_vec())))
}

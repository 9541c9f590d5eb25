//! Sealed texts under names: each tied to the generation that a second table remembers.

use std::borrow::Cow;

use tokio_postgres::types::ToSql;
use zeroize::Zeroizing;

use acople_core::{Error, ErrorKind, Generation, Result};
use acople_seal::Place;

use crate::checkpoints::{generation, next_generation};
use crate::names::columns_of;
use crate::schema::get;
use crate::store::Inner;

/// The statements of one kind of sealed text. Names come first; the numbers of what follows depend on how many names
/// there are.
#[derive(Debug)]
pub(crate) struct Shelf {
    /// What it is, for the associated data.
    pub(crate) kind: &'static str,
    remedy: &'static str,
    load: String,
    generation: String,
    begin: String,
    go_on: String,
    mark_removed: String,
    delete: String,
    pub(crate) after: String,
    pub(crate) rewrap: String,
}

/// A name, and what it names in a message.
#[derive(Clone, Copy)]
pub(crate) struct Named<'a> {
    pub(crate) parts: &'a [&'a str],
    pub(crate) what: &'a str,
}

impl Shelf {
    pub(crate) fn tokens(schema: &str) -> Self {
        let names = &["tenant", "connector", "connection"];
        let remedy = "if they cannot be restored, remove them and connect again";
        Self::new(
            "tokens",
            remedy,
            names,
            &format!("{schema}.tokens"),
            &format!("{schema}.token_generations"),
        )
    }

    pub(crate) fn secrets(schema: &str) -> Self {
        let names = &["tenant", "connector", "connection", "field"];
        let remedy = "if it cannot be restored, remove it and set it again";
        Self::new(
            "secret",
            remedy,
            names,
            &format!("{schema}.secrets"),
            &format!("{schema}.secret_generations"),
        )
    }

    fn new(kind: &'static str, remedy: &'static str, names: &[&str], texts: &str, floors: &str) -> Self {
        let n = names.len();
        let key = names.join(", ");
        let numbered = |form: &dyn Fn(usize, &str) -> String, with: &str| {
            names.iter().enumerate().map(|(i, name)| form(i + 1, name)).collect::<Vec<_>>().join(with)
        };
        let values = numbered(&|i, _| format!("${i}::text"), ", ");
        let is = numbered(&|i, name| format!("{name} = ${i}::text"), " AND ");
        let (from, next, sealed) = (n + 1, n + 2, n + 3);
        let put = format!(
            "INSERT INTO {texts} ({key}, generation, sealed)
             SELECT {values}, ${next}::bigint, ${sealed}::bytea FROM turn
             ON CONFLICT ({key}) DO UPDATE SET generation = excluded.generation, sealed = excluded.sealed
             RETURNING generation"
        );
        Self {
            kind,
            remedy,
            load: format!(
                "SELECT g.generation, t.generation, t.sealed FROM {floors} g LEFT JOIN {texts} t USING ({key})
                 WHERE {is} AND g.live"
            ),
            generation: format!("SELECT generation, live FROM {floors} WHERE {is}"),
            // From: the generation at which it was removed, 0 when it never was there.
            begin: format!(
                "WITH turn AS (
                     INSERT INTO {floors} AS g ({key}, generation, live) VALUES ({values}, ${next}::bigint, true)
                     ON CONFLICT ({key}) DO UPDATE SET generation = excluded.generation, live = true
                     WHERE NOT g.live AND g.generation = ${from}::bigint RETURNING 1
                 ) {put}"
            ),
            go_on: format!(
                "WITH turn AS (
                     UPDATE {floors} SET generation = ${next}::bigint
                     WHERE {is} AND live AND generation = ${from}::bigint RETURNING 1
                 ) {put}"
            ),
            mark_removed: format!(
                "UPDATE {floors} SET generation = generation + 1, live = false WHERE {is} AND live"
            ),
            // What was saved after the removal has a higher generation, and stays.
            delete: format!(
                "DELETE FROM {texts} t WHERE {is} AND t.generation <
                     (SELECT g.generation FROM {floors} g WHERE {is} AND NOT g.live)"
            ),
            after: format!(
                "SELECT generation, sealed, {key} FROM {texts}
                 WHERE ${from}::bool OR ({key}) > ({values}) ORDER BY {key} LIMIT ${next}::bigint"
            ),
            rewrap: format!(
                "UPDATE {texts} SET sealed = ${next}::bytea
                 WHERE {is} AND generation = ${from}::bigint AND sealed = ${sealed}::bytea RETURNING 1"
            ),
        }
    }
}

impl Inner {
    pub(crate) async fn load_sealed(
        &self,
        shelf: &Shelf,
        named: &Named<'_>,
    ) -> Result<Option<(Zeroizing<Vec<u8>>, Generation)>> {
        self.must_seal()?;
        let names = columns_of(named.parts)?;
        let rows = self.connections.query(&shelf.load, &params(&names)).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let current = generation(get(row, 0)?)?;
        let (Some(found), Some(sealed)) = (get::<Option<i64>>(row, 1)?, get::<Option<&[u8]>>(row, 2)?) else {
            return Err(self.damaged(shelf, named, "nothing is there of what has to be"));
        };
        let found = generation(found)?;
        if found != current {
            let why = format!("what is there is of generation {} instead of {}", found.0, current.0);
            return Err(self.damaged(shelf, named, &why));
        }
        let place = Place { kind: shelf.kind, key: named.parts, generation: current.0 };
        let opened = self.sealer.open(&place, sealed).await;
        let text = opened.map_err(|e| self.damaged(shelf, named, e.message()).with_kind(e.kind()))?;
        Ok(Some((text, current)))
    }

    pub(crate) async fn save_sealed(
        &self,
        shelf: &Shelf,
        named: &Named<'_>,
        expected: Generation,
        text: Zeroizing<Vec<u8>>,
    ) -> Result<Generation> {
        let names = columns_of(named.parts)?;
        self.must_seal()?;
        if text.len() > self.max_state {
            return Err(Error::new(
                ErrorKind::TooLarge,
                format!(
                    "{}: {} bytes, more than the store's limit of {}",
                    named.what,
                    text.len(),
                    self.max_state
                ),
            ));
        }
        let fenced = |actual: i64| {
            let (what, expected) = (named.what, expected.0);
            Error::new(
                ErrorKind::Fenced,
                format!("{what}: at generation {actual}, not {expected}: somebody else wrote since"),
            )
        };
        let (sql, from) = if expected == Generation(0) {
            match self.sealed_generation(shelf, &names).await? {
                (live, true) => return Err(fenced(live)),
                (removed, false) => (&shelf.begin, removed),
            }
        } else {
            (&shelf.go_on, i64::try_from(expected.0).map_err(|_| fenced(0))?)
        };
        let next = next_generation(from)?;
        let saved = generation(next)?;
        let place = Place { kind: shelf.kind, key: named.parts, generation: saved.0 };
        let sealed = self.seal(&place, text).await?;
        let mut values = params(&names);
        values.extend([&from as &(dyn ToSql + Sync), &next, &sealed]);
        if self.connections.query(sql, &values).await?.is_empty() {
            // When the connection was lost after the commit, the second attempt finds the first one's work.
            match self.sealed_generation(shelf, &names).await? {
                (current, true) if current == next => {}
                (current, live) => return Err(fenced(if live { current } else { 0 })),
            }
        }
        Ok(saved)
    }

    pub(crate) async fn remove_sealed(&self, shelf: &Shelf, parts: &[&str]) -> Result<()> {
        let names = columns_of(parts)?;
        for sql in [&shelf.mark_removed, &shelf.delete] {
            self.connections.query(sql, &params(&names)).await?;
        }
        Ok(())
    }

    /// The error of a sealed text that cannot be used.
    pub(crate) fn damaged(&self, shelf: &Shelf, named: &Named<'_>, why: &str) -> Error {
        let (what, store, remedy) = (named.what, &self.connections.name, shelf.remedy);
        Error::new(ErrorKind::Internal, format!("{what} in {store} cannot be used: {why}; {remedy}"))
    }

    /// The generation of a text, or the one at which it was removed, 0 when it never was there; and whether it is
    /// there.
    async fn sealed_generation(&self, shelf: &Shelf, names: &[Cow<'_, str>]) -> Result<(i64, bool)> {
        let rows = self.connections.query(&shelf.generation, &params(names)).await?;
        rows.first().map_or(Ok((0, false)), |row| Ok((get(row, 0)?, get(row, 1)?)))
    }
}

/// Names as the first values of a statement.
pub(crate) fn params<'a>(names: &'a [Cow<'_, str>]) -> Vec<&'a (dyn ToSql + Sync)> {
    names.iter().map(|name| name as &(dyn ToSql + Sync)).collect()
}

//! Sealed texts under names: each tied to the generation that a second key remembers.

use zeroize::Zeroizing;

use acople_core::{Error, ErrorKind, Generation, Result};
use acople_seal::Place;

use crate::names::{key, member, single};
use crate::store::{At, Inner, next_generation};

/// One kind of sealed text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shelf {
    /// Under tenant, connector, connection.
    Tokens,
    /// Under tenant, connector, connection, field.
    Secrets,
}

impl Shelf {
    /// What it is, for the associated data.
    pub(crate) fn kind(self) -> &'static str {
        match self {
            Self::Tokens => "tokens",
            Self::Secrets => "secret",
        }
    }

    /// The key that lists all names.
    pub(crate) fn members(self, prefix: &str) -> Vec<u8> {
        single(prefix, if self == Self::Tokens { "connections" } else { "secrets" })
    }

    /// The key of a text.
    pub(crate) fn text(self, prefix: &str, member: &[u8]) -> Vec<u8> {
        key(prefix, self.kind(), member)
    }

    fn remedy(self) -> &'static str {
        match self {
            Self::Tokens => "if they cannot be restored, remove them and connect again",
            Self::Secrets => "if it cannot be restored, remove it and set it again",
        }
    }
}

/// A name, and what it names in a message.
#[derive(Clone, Copy)]
pub(crate) struct Named<'a> {
    pub(crate) shelf: Shelf,
    pub(crate) parts: &'a [&'a str],
    pub(crate) what: &'a str,
}

/// The key that lists the fields of a connection.
pub(crate) fn fields_of(prefix: &str, connection: &[&str]) -> Result<Vec<u8>> {
    Ok(key(prefix, "secret-fields", &member(connection)?))
}

impl Inner {
    pub(crate) async fn load_sealed(
        &self,
        named: &Named<'_>,
    ) -> Result<Option<(Zeroizing<Vec<u8>>, Generation)>> {
        self.must_seal()?;
        let (at, found, sealed) = self.stored(&Keys::new(self, named)?).await?;
        let At::Live(current) = at else { return Ok(None) };
        if found != current.to_string() {
            let why = match found.as_str() {
                "" => "nothing is there of what has to be".to_owned(),
                _ => format!("what is there is of generation {found:?} instead of {current}"),
            };
            return Err(self.damaged(named, &why));
        }
        let place = Place { kind: named.shelf.kind(), key: named.parts, generation: current };
        let opened = self.sealer.open(&place, &sealed).await;
        let text = opened.map_err(|e| self.damaged(named, e.message()).with_kind(e.kind()))?;
        Ok(Some((text, Generation(current))))
    }

    pub(crate) async fn save_sealed(
        &self,
        named: &Named<'_>,
        expected: Generation,
        text: Zeroizing<Vec<u8>>,
    ) -> Result<Generation> {
        let keys = Keys::new(self, named)?;
        self.must_seal()?;
        if text.len() > self.max_state {
            return Err(self.too_large(named.what, text.len()));
        }
        let fenced = |actual: &str| {
            let (what, expected) = (named.what, expected.0);
            let message =
                format!("{what}: at generation {actual}, not {expected}: somebody else wrote since");
            Error::new(ErrorKind::Fenced, message)
        };
        let from = if expected == Generation(0) {
            match self.stored(&keys).await?.0 {
                At::Live(generation) => return Err(fenced(&generation.to_string())),
                removed @ At::Removed(_) => removed,
            }
        } else {
            At::Live(expected.0)
        };
        let Ok(next) = next_generation(from.number()) else {
            return Err(fenced("another one"));
        };
        let place = Place { kind: named.shelf.kind(), key: named.parts, generation: next };
        let sealed = self.seal(&place, text).await?;
        let (from, next_text) = (from.text(), next.to_string());
        let in_the_way: String = self
            .connection
            .run(
                &self.scripts.save_sealed,
                &keys.all(),
                &[from.as_bytes(), next_text.as_bytes(), &sealed, &keys.member, &keys.in_connection],
            )
            .await?;
        if in_the_way.is_empty() { Ok(Generation(next)) } else { Err(fenced(&in_the_way)) }
    }

    pub(crate) async fn remove_sealed(&self, named: &Named<'_>) -> Result<()> {
        let keys = Keys::new(self, named)?;
        let script = &self.scripts.remove_sealed;
        self.connection
            .run::<i64>(script, &keys.all(), &[&keys.member, &keys.in_connection])
            .await
            .map(|_| ())
    }

    /// The error of a sealed text that cannot be used.
    pub(crate) fn damaged(&self, named: &Named<'_>, why: &str) -> Error {
        let (what, store, remedy) = (named.what, &self.connection.name, named.shelf.remedy());
        Error::new(ErrorKind::Internal, format!("{what} in {store} cannot be used: {why}; {remedy}"))
    }

    /// The generation that a text must have, the one that it has, and it.
    async fn stored(&self, keys: &Keys) -> Result<(At, String, Vec<u8>)> {
        let (at, found, sealed): (String, String, Vec<u8>) =
            self.connection.run(&self.scripts.load_sealed, &[&keys.generation, &keys.text], &[]).await?;
        let at = At::of(&at).ok_or_else(|| self.connection.not_understood())?;
        Ok((at, found, sealed))
    }
}

/// The keys that hold a text and list it.
struct Keys {
    member: Vec<u8>,
    in_connection: Vec<u8>,
    generation: Vec<u8>,
    text: Vec<u8>,
    members: Vec<u8>,
    of_connection: Vec<u8>,
}

impl Keys {
    fn new(inner: &Inner, named: &Named<'_>) -> Result<Self> {
        let (prefix, shelf) = (&inner.prefix, named.shelf);
        let member = member(named.parts)?;
        let members = shelf.members(prefix);
        let (of_connection, in_connection) = match (shelf, named.parts.split_last()) {
            (Shelf::Secrets, Some((field, connection))) => {
                (fields_of(prefix, connection)?, field.as_bytes().to_vec())
            }
            // Tokens are listed once.
            _ => (members.clone(), member.clone()),
        };
        let generation =
            key(prefix, if shelf == Shelf::Tokens { "generation" } else { "secret-generation" }, &member);
        Ok(Self {
            generation,
            text: shelf.text(prefix, &member),
            member,
            in_connection,
            members,
            of_connection,
        })
    }

    fn all(&self) -> [&[u8]; 4] {
        [&self.generation, &self.text, &self.members, &self.of_connection]
    }
}

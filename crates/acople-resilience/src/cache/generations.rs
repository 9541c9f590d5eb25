//! Which answers are still true: when what they are about was last said to be outdated.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::{PoisonError, RwLock};

use acople_http::Outdated;

use super::key::Key;

/// How many customers, connections and subjects are remembered as outdated. Beyond that everything is outdated
/// and the book begins anew: the memory does not grow with customers and streams.
const BOOK: usize = 1 << 16;

/// Numbers what is said to be outdated, and remembers the last number of each customer, connection and subject.
///
/// An answer is of the generation of the largest number that concerns it. It is true as long as that stays.
#[derive(Default)]
pub(crate) struct Generations {
    book: RwLock<Book>,
    hasher: RandomState,
}

#[derive(Default)]
struct Book {
    last: u64,
    all: u64,
    /// By hashes under a key of this process: two with one hash would be outdated together, which harms nothing.
    numbers: HashMap<u64, u64>,
}

/// Where a key is in the book: its two customers, its connection, its subject.
pub(crate) struct Places([u64; 4]);

#[derive(Hash)]
enum Level {
    Tenant,
    Connection,
    Subject,
}

impl Generations {
    /// What concerns a key.
    pub(crate) fn of(&self, key: &Key) -> Places {
        Places([
            self.place(&(Level::Tenant, key.connection.tenant.as_str())),
            self.place(&(Level::Tenant, key.tenant.as_deref().unwrap_or_default())),
            self.place(&(Level::Connection, &*key.connection)),
            self.place(&(Level::Subject, &*key.connection, &key.subject)),
        ])
    }

    /// The generation now.
    pub(crate) fn now(&self, places: &Places) -> u64 {
        // The book is whole between statements.
        let book = self.book.read().unwrap_or_else(PoisonError::into_inner);
        let numbers = places.0.iter().filter_map(|place| book.numbers.get(place)).copied();
        numbers.fold(book.all, u64::max)
    }

    /// Begins a new generation of what is outdated.
    pub(crate) fn advance(&self, outdated: Outdated<'_>) {
        let place = match outdated {
            Outdated::Tenant(tenant) => Some(self.place(&(Level::Tenant, tenant))),
            Outdated::Connection(connection) => Some(self.place(&(Level::Connection, connection))),
            Outdated::Subject(connection, subject) => {
                Some(self.place(&(Level::Subject, connection, subject)))
            }
            _ => None,
        };
        let mut book = self.book.write().unwrap_or_else(PoisonError::into_inner);
        book.last += 1;
        let number = book.last;
        match place {
            Some(place) if book.numbers.len() < BOOK || book.numbers.contains_key(&place) => {
                book.numbers.insert(place, number);
            }
            _ => {
                book.all = number;
                book.numbers.clear();
            }
        }
    }

    fn place(&self, of: &impl Hash) -> u64 {
        self.hasher.hash_one(of)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use acople_core::ConnectionKey;
    use acople_http::Subject;

    use super::*;

    #[test]
    fn a_full_book_outdates_everything_and_no_generation_comes_twice() {
        let (generations, connection) = (Generations::default(), ConnectionKey::new("shop", "default"));
        let key = Key::of(Arc::new(connection.clone()), Subject::stream("leads"));
        let (places, mut before) = (generations.of(&key), 0);
        for round in 0..3 {
            generations.advance(Outdated::Subject(&connection, &Subject::stream("leads")));
            let told = generations.now(&places);
            assert!(told > before, "round {round}");
            for other in 0..BOOK {
                generations.advance(Outdated::Tenant(&other.to_string()));
            }
            before = generations.now(&places);
            assert!(before > told, "round {round}");
            assert!(generations.book.read().unwrap().numbers.len() <= BOOK);
        }
    }
}

//! One request for all who ask the same at once.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use acople_core::{Error, ErrorKind};
use tokio::sync::watch;
use tokio::time::Instant;

use super::kept::Kept;
use super::key::Key;

/// A key in a generation: who asks after something was outdated does not wait for an answer from before.
type Route = (Key, u64);

/// The requests that are on their way.
#[derive(Default)]
pub(crate) struct Flights(Mutex<HashMap<Route, Flight>>);

/// What became of a request, for those who wait for it.
#[derive(Clone)]
pub(crate) enum Landed {
    /// An answer for all.
    Shared(Arc<Kept>),
    /// An answer that only the one who asked may have.
    Private,
    /// An error, and the deadline of the one who asked.
    Failed(Arc<Error>, Instant),
}

/// Whether one asks or waits.
pub(crate) enum Turn<'a> {
    Lead(Lead<'a>),
    Follow(Flight),
}

/// A request that somebody else sends.
#[derive(Clone)]
pub(crate) struct Flight(watch::Receiver<Option<Landed>>);

/// The duty to send the request. Dropped without having landed, it passes to one of those who wait.
pub(crate) struct Lead<'a> {
    flights: &'a Flights,
    route: Route,
    told: watch::Sender<Option<Landed>>,
}

impl Flights {
    pub(crate) fn join(&self, key: &Key, generation: u64) -> Turn<'_> {
        match self.lock().entry((key.clone(), generation)) {
            Entry::Occupied(flight) => Turn::Follow(flight.get().clone()),
            Entry::Vacant(place) => {
                let (told, waiting) = watch::channel(None);
                let route = place.key().clone();
                place.insert(Flight(waiting));
                Turn::Lead(Lead { flights: self, route, told })
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Route, Flight>> {
        // The map is whole between statements.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lead<'_> {
    /// Tells all who wait.
    pub(crate) fn land(self, landed: Landed) {
        self.told.send_replace(Some(landed));
    }
}

impl Drop for Lead<'_> {
    fn drop(&mut self) {
        self.flights.lock().remove(&self.route);
    }
}

impl Flight {
    /// What became of it; `None` when the one who asked was dropped.
    pub(crate) async fn landed(mut self) -> Option<Landed> {
        self.0.wait_for(Option::is_some).await.ok()?.clone()
    }
}

/// Whether an error says that the one who asked had no more time or gave up, so that another who waits until
/// `mine` may fare better.
pub(crate) fn came_of_its_asker(error: &Error, theirs: Instant, mine: Instant) -> bool {
    match error.kind() {
        ErrorKind::Cancelled => true,
        ErrorKind::Timeout | ErrorKind::RateLimited => {
            let wait = error.retry_after().unwrap_or(Duration::ZERO);
            let until = Instant::now().checked_add(wait);
            until.is_some_and(|until| theirs <= until && until < mine)
        }
        _ => false,
    }
}

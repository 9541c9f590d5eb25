//! One stamp for the stamps of several providers.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use acople_core::AuthStamp;

/// So many combinations are remembered. A refusal that is older than all of them is stale anyway.
const REMEMBERED: usize = 64;

/// Numbers combinations of stamps.
#[derive(Debug, Default)]
pub(crate) struct Stamps(Mutex<Seen>);

#[derive(Debug, Default)]
struct Seen {
    count: u64,
    combinations: VecDeque<(u64, Vec<AuthStamp>)>,
}

impl Stamps {
    /// The number of this combination.
    pub(crate) fn combined(&self, parts: Vec<AuthStamp>) -> AuthStamp {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((number, _)) = seen.combinations.iter().rev().find(|(_, known)| *known == parts) {
            return AuthStamp(*number);
        }
        seen.count = seen.count.saturating_add(1);
        let number = seen.count;
        if seen.combinations.len() == REMEMBERED {
            seen.combinations.pop_front();
        }
        seen.combinations.push_back((number, parts));
        AuthStamp(number)
    }

    /// The stamps that a number stands for; `None` when they are long gone.
    pub(crate) fn parts(&self, combined: AuthStamp) -> Option<Vec<AuthStamp>> {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.combinations.iter().find(|(number, _)| *number == combined.0).map(|(_, parts)| parts.clone())
    }
}

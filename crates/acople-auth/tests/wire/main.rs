//! Renewals on real sockets, in real processes that are killed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod child;
mod crashes;
mod lost_answers;
mod vendor;

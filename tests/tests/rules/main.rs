//! Rules about the sources themselves, which no test of behaviour can show.
#![allow(clippy::unwrap_used, clippy::panic)]
#![allow(unreachable_pub)]

mod injection;
mod lints;
mod sources;

//! What a host is promised: no blocked runtime, bounded memory, no burst after a pause, one complete list of what is
//! wrong with a config.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
#![allow(unreachable_pub)]

mod configs;
#[cfg(target_os = "linux")]
mod memory;
mod runtime;
#[cfg(unix)]
mod soak;
mod suspend;

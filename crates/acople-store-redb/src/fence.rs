//! Generations where the one before is not known.

use acople_core::{Error, ErrorKind, Result};

/// A generation beyond what any writer of a lost or damaged record can hold, and that nobody can guess.
pub(crate) fn beyond_all_writers() -> Result<u64> {
    let mut bytes = [0; 8];
    aws_lc_rs::rand::fill(&mut bytes)
        .map_err(|_| Error::new(ErrorKind::Internal, "the machine has no randomness"))?;
    Ok((1 << 62) | (u64::from_be_bytes(bytes) >> 3))
}

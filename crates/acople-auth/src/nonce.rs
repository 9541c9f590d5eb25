//! Numbers used once.

use acople_core::{Error, ErrorKind, Result};

use crate::digest::hex;

/// 128 random bits, in hexadecimal.
pub(crate) fn nonce() -> Result<String> {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes)
        .map_err(|_| Error::new(ErrorKind::Internal, "the system gives no random numbers"))?;
    Ok(hex(&bytes))
}

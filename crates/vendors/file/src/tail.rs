//! The end of a file: what was there before an offset, and what a crash left behind the last line.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

/// Bytes before an offset that tell whether a file is still the one that was read.
const WITNESS: u64 = 4096;

/// Bytes read at once when looking for a line's start.
const STEP: u64 = 64 << 10;

/// A number that stands for the bytes before an offset.
pub(crate) fn witness(file: &mut File, offset: u64) -> io::Result<u64> {
    let start = offset.saturating_sub(WITNESS);
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    file.take(offset - start).read_to_end(&mut bytes)?;
    Ok(hash(bytes))
}

/// FNV-1a (64 bit): it is kept in cursors, so it must not change, and guards against accidents only.
pub(crate) fn hash(bytes: impl IntoIterator<Item = u8>) -> u64 {
    let step = |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    bytes.into_iter().fold(0xcbf2_9ce4_8422_2325_u64, step)
}

/// Where the last line of a file starts, and its bytes without a newline; nothing when the file ends in one.
/// `None` when that line is longer than `limit`.
pub(crate) fn last_line(file: &mut File, length: u64, limit: u64) -> io::Result<Option<(u64, Vec<u8>)>> {
    let mut start = length;
    loop {
        let from = start.saturating_sub(STEP);
        file.seek(SeekFrom::Start(from))?;
        let mut bytes = Vec::new();
        file.take(start - from).read_to_end(&mut bytes)?;
        match bytes.iter().rposition(|byte| *byte == b'\n') {
            Some(at) => {
                start = from + at as u64 + 1;
                break;
            }
            None => start = from,
        }
        if length - start > limit {
            return Ok(None);
        }
        if start == 0 {
            break;
        }
    }
    if length - start > limit {
        return Ok(None);
    }
    file.seek(SeekFrom::Start(start))?;
    let mut line = Vec::new();
    file.take(length - start).read_to_end(&mut line)?;
    Ok(Some((start, line)))
}

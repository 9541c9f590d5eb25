//! Exit codes: what a script can tell apart without reading.

use acople::ErrorKind;

/// How the process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    Success,
    Internal,
    Config,
    Refused,
    Credentials,
    Later,
    Data,
    Interrupted,
}

impl Exit {
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Internal => 1,
            Self::Config => 2,
            Self::Refused => 3,
            Self::Credentials => 4,
            Self::Later => 5,
            Self::Data => 6,
            Self::Interrupted => 130,
        }
    }
}

impl From<ErrorKind> for Exit {
    fn from(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::Config => Self::Config,
            ErrorKind::Reauth | ErrorKind::Permission => Self::Credentials,
            ErrorKind::RateLimited
            | ErrorKind::QuotaExhausted
            | ErrorKind::Transient
            | ErrorKind::Timeout => Self::Later,
            ErrorKind::Protocol
            | ErrorKind::Schema
            | ErrorKind::Invalid
            | ErrorKind::TooLarge
            | ErrorKind::NotFound
            | ErrorKind::Conflict
            | ErrorKind::Ambiguous
            | ErrorKind::CursorExpired => Self::Data,
            ErrorKind::Cancelled => Self::Interrupted,
            _ => Self::Internal,
        }
    }
}

/// The table for `--help`.
pub(crate) const HELP: &str = "\
Exit codes:
    0  success
    1  unexpected or internal error
    2  usage or configuration
    3  finished, but records were refused (sync: more than tolerated)
    4  credentials or permission
    5  try again later; the message says when
    6  data or protocol problem
  130  interrupted";

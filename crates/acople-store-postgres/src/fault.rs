//! What PostgreSQL reports, and what it means for the store.

use std::error::Error as StdError;
use std::io;

use acople_core::{Error, ErrorKind};
use deadpool_postgres::{PoolError, TimeoutType};
use tokio_postgres::error::SqlState;

/// Why an attempt failed.
#[derive(Debug)]
pub(crate) struct Fault {
    kind: ErrorKind,
    message: String,
    code: Option<String>,
    /// Worth another attempt by the store itself.
    pub(crate) passing: bool,
    /// The connection is not to be used again.
    pub(crate) lost: bool,
    /// The statement may have taken effect.
    pub(crate) unsure: bool,
}

impl Fault {
    /// What a statement's error means.
    pub(crate) fn of(error: &tokio_postgres::Error) -> Self {
        match error.as_db_error() {
            Some(told) => Self::told(told.code(), told.message()),
            None if error.is_closed() || io_kind(error).is_some() => Self {
                lost: true,
                unsure: true,
                ..Self::passing(ErrorKind::Transient, "the connection was lost")
            },
            // What is left are values that do not fit and answers that are not PostgreSQL's.
            None => Self { lost: true, ..Self::lasting(ErrorKind::Internal, error.to_string()) },
        }
    }

    /// What it means that there is no connection: nothing was sent.
    pub(crate) fn of_pool(error: &PoolError) -> Self {
        match error {
            PoolError::Timeout(TimeoutType::Wait) => {
                Self::passing(ErrorKind::Transient, "all connections are in use")
            }
            PoolError::Timeout(_) => Self::passing(ErrorKind::Transient, "the server does not answer"),
            PoolError::Backend(error) => Self::of_connect(error),
            PoolError::Closed => Self::lasting(ErrorKind::Config, "the store is closed"),
            PoolError::NoRuntimeSpecified | PoolError::PostCreateHook(_) => {
                Self::lasting(ErrorKind::Internal, "the pool of connections does not work")
            }
        }
    }

    /// What it means that a connection was not made.
    pub(crate) fn of_connect(error: &tokio_postgres::Error) -> Self {
        if let Some(told) = error.as_db_error() {
            return Self { unsure: false, ..Self::told(told.code(), told.message()) };
        }
        if let Some(why) = refused_certificate(error) {
            return Self::lasting(
                ErrorKind::Config,
                format!("the server's certificate is not accepted: {why}"),
            );
        }
        match io_kind(error) {
            Some(kind) => Self::passing(ErrorKind::Transient, format!("no connection to the server: {kind}")),
            None if error.is_closed() => Self::passing(ErrorKind::Transient, "no connection to the server"),
            // Missing passwords, unknown ways of authentication, a server without TLS.
            None => {
                let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
                let text = error.to_string();
                let cause = if text.ends_with(&cause) { "" } else { &cause };
                Self::lasting(ErrorKind::Config, format!("no connection to the server: {text}{cause}"))
            }
        }
    }

    /// The answer did not come in time: nothing is known of the connection any more.
    pub(crate) fn silent() -> Self {
        Self {
            lost: true,
            unsure: true,
            ..Self::passing(ErrorKind::Timeout, "the server did not answer in time")
        }
    }

    /// The error that a caller gets; `unsure`: an attempt may have taken effect.
    pub(crate) fn error(self, store: &str, unsure: bool) -> Error {
        let error = Error::new(self.kind, format!("{store}: {}", self.message));
        let error = match &self.code {
            Some(code) => error.with_code(code),
            None => error,
        };
        if unsure { error.with_unknown_outcome() } else { error }
    }

    /// By the code of the server's error:
    /// <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
    fn told(state: &SqlState, message: &str) -> Self {
        let code = state.code();
        let class = code.get(..2).unwrap_or_default();
        let fault = match (class, code) {
            // Serialization failure, deadlock, a lock that was not given in time.
            ("40", _) | (_, "55P03") => Self::passing(ErrorKind::Transient, message),
            (_, "57014") => Self::lasting(ErrorKind::Timeout, message),
            (_, "53100") => Self::lasting(
                ErrorKind::Transient,
                format!("no room on the server's disk ({message}); nothing was acknowledged, make room"),
            ),
            // Out of memory, too many connections.
            ("53", _) => Self::passing(ErrorKind::Transient, message),
            // Shutdown, crash, not yet started; failures of the connection; prepared statements that are gone,
            // as behind a pooler, or that a migration has changed.
            ("08" | "57", _) | (_, "26000" | "0A000") => {
                Self { lost: true, unsure: true, ..Self::passing(ErrorKind::Transient, message) }
            }
            // A standby after a change of roles: the next connection finds the primary.
            (_, "25006") => Self { lost: true, ..Self::passing(ErrorKind::Transient, message) },
            ("28" | "3D", _) => Self::lasting(ErrorKind::Config, message),
            (_, "42501") => Self::lasting(
                ErrorKind::Config,
                format!("{message}: grant the store's role its rights on the schema"),
            ),
            (_, "42P01" | "3F000") => Self::lasting(
                ErrorKind::Config,
                format!("{message}: the store's tables are gone, open it again"),
            ),
            ("XX", _) | (_, "58030") => Self::lasting(
                ErrorKind::Internal,
                format!("the server reports damage or a failed disk: {message}"),
            ),
            _ => Self::lasting(ErrorKind::Internal, message),
        };
        Self { code: Some(code.to_owned()), ..fault }
    }

    fn passing(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { passing: true, ..Self::lasting(kind, message) }
    }

    fn lasting(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), code: None, passing: false, lost: false, unsure: false }
    }
}

/// The failure of the system below, if that is what it was.
fn io_kind(error: &tokio_postgres::Error) -> Option<io::ErrorKind> {
    causes(error).find_map(|cause| cause.downcast_ref::<io::Error>()).map(io::Error::kind).or_else(|| {
        // tokio-postgres has no predicate for its own time-out.
        (error.to_string() == "timeout waiting for server").then_some(io::ErrorKind::TimedOut)
    })
}

#[cfg(feature = "tls")]
fn refused_certificate(error: &tokio_postgres::Error) -> Option<String> {
    let io = causes(error).find_map(|cause| cause.downcast_ref::<io::Error>())?;
    io.get_ref()?.downcast_ref::<rustls::Error>().map(ToString::to_string)
}

#[cfg(not(feature = "tls"))]
fn refused_certificate(_: &tokio_postgres::Error) -> Option<String> {
    None
}

fn causes(error: &tokio_postgres::Error) -> impl Iterator<Item = &(dyn StdError + 'static)> {
    std::iter::successors(error.source(), |&cause| cause.source())
}
